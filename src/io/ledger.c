/* SPDX-License-Identifier: MIT */
#include "io/ledger.h"

#include <assert.h>

#include "io/seams.h"

enum {
    LOOKS_MAX = 1024, /* intervals of one extent that are looked at for their room, every turn */
};

uint64_t tresor__ledger_end(const struct tresor__ledger *ledger, uint32_t last)
{
    uint64_t end = ledger->intervals[last].start_bytes;
    return end < ledger->file_bytes ? end : ledger->file_bytes;
}

/* Bytes of an interval that the file has. */
static uint64_t interval_bytes(const struct tresor__ledger *ledger, uint32_t interval)
{
    return tresor__ledger_end(ledger, interval + 1) - tresor__ledger_start(ledger, interval);
}

static uint64_t interval_mapped_bytes(const struct tresor__ledger *ledger, uint32_t interval)
{
    return tresor__ledger_start(ledger, interval + 1) - tresor__ledger_start(ledger, interval);
}

static void count_pages(struct tresor__ledger *ledger, uint32_t number)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    bool charged = tresor__interval_has_pages(interval) && !interval->lent && !ledger->is_held;
    if (interval->charged == charged)
        return;
    uint64_t bytes = interval_mapped_bytes(ledger, number);
    interval->charged = charged;
    ledger->charged_bytes += charged ? bytes : -bytes;
    ledger->room->charged_bytes += charged ? bytes : -bytes;
}

static void set_lent(struct tresor__ledger *ledger, uint32_t number, bool lent)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    ledger->lent_count += (uint32_t)lent - (uint32_t)interval->lent;
    interval->lent = lent;
    count_pages(ledger, number);
}

static bool is_leaving(const struct tresor__interval *interval)
{
    return interval->users > 0 && interval->users == interval->yielding;
}

static void count_leaving(struct tresor__ledger *ledger, uint32_t number, bool was_leaving)
{
    bool leaving = is_leaving(&ledger->intervals[number]);
    uint64_t bytes = interval_mapped_bytes(ledger, number);
    if (leaving == was_leaving || ledger->is_held)
        return;
    ledger->leaving_bytes += leaving ? bytes : -bytes;
    ledger->room->leaving_bytes += leaving ? bytes : -bytes;
}

static void add_user(struct tresor__ledger *ledger, uint32_t number)
{
    bool was_leaving = is_leaving(&ledger->intervals[number]);
    ledger->intervals[number].users++;
    count_leaving(ledger, number, was_leaving);
}

static void remove_user(struct tresor__ledger *ledger, uint32_t number)
{
    bool was_leaving = is_leaving(&ledger->intervals[number]);
    assert(ledger->intervals[number].users > 0);
    ledger->intervals[number].users--;
    count_leaving(ledger, number, was_leaving);
}

void tresor__ledger_yield(struct tresor__ledger *ledger, uint32_t index, bool yields)
{
    const struct tresor__span *span = &ledger->spans[index];
    for (uint32_t i = span->first_interval; i < span->first_interval + span->interval_count; i++) {
        bool was_leaving = is_leaving(&ledger->intervals[i]);
        assert(yields || ledger->intervals[i].yielding > 0);
        ledger->intervals[i].yielding += yields ? 1 : UINT32_MAX;
        count_leaving(ledger, i, was_leaving);
    }
}

static void commit(struct tresor__ledger *ledger, uint32_t number, bool committed)
{
    if (ledger->is_held)
        return;
    uint64_t bytes = interval_mapped_bytes(ledger, number);
    ledger->committed_bytes += committed ? bytes : -bytes;
    ledger->room->committed_bytes += committed ? bytes : -bytes;
}

uint64_t tresor__ledger_need(const struct tresor__ledger *ledger, uint32_t index)
{
    const struct tresor__span *span = &ledger->spans[index];
    uint64_t bytes = 0;
    for (uint32_t i = span->first_interval; i < span->first_interval + span->interval_count; i++)
        if (ledger->intervals[i].users == 0 && !ledger->is_held)
            bytes += interval_mapped_bytes(ledger, i);
    return bytes;
}

uint64_t tresor__ledger_mark(struct tresor__ledger *ledger, uint32_t index, uint32_t mark)
{
    const struct tresor__span *span = &ledger->spans[index];
    uint64_t bytes = 0;
    for (uint32_t i = span->first_interval; i < span->first_interval + span->interval_count; i++) {
        if (ledger->intervals[i].mark != mark && !ledger->is_held)
            bytes += interval_mapped_bytes(ledger, i);
        ledger->intervals[i].mark = mark;
    }
    return bytes;
}

static uint32_t first_cover(const struct tresor__ledger *ledger, uint32_t interval)
{
    return ledger->intervals[interval].first_cover;
}

static void tell(struct tresor__ledger *ledger, uint32_t index, enum tresor__span_news news)
{
    struct tresor__span *span = &ledger->spans[index];
    span->news = (uint16_t)(span->news | news);
    if (span->in_news)
        return;
    span->in_news = true;
    span->next_news = TRESOR_NONE;
    if (ledger->news_tail == TRESOR_NONE)
        ledger->news_head = index;
    else
        ledger->spans[ledger->news_tail].next_news = index;
    ledger->news_tail = index;
}

void tresor__ledger_tell(struct tresor__ledger *ledger, uint32_t index,
                         enum tresor__span_news news)
{
    tell(ledger, index, news);
}

uint32_t tresor__ledger_pop_news(struct tresor__ledger *ledger)
{
    uint32_t index = ledger->news_head;
    if (index == TRESOR_NONE)
        return TRESOR_NONE;
    struct tresor__span *span = &ledger->spans[index];
    span->in_news = false;
    ledger->news_head = span->next_news;
    if (ledger->news_head == TRESOR_NONE)
        ledger->news_tail = TRESOR_NONE;
    return index;
}

static void want(struct tresor__ledger *ledger, uint32_t number)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    interval->fill = TRESOR__FILL_WANTED;
    tresor__bitset_add(&ledger->fill[interval->wanted][interval->urgency], number);
}

/* Another user is in more of a hurry: what waits changes its set, what is being filled is hurried
 * on. */
static void hasten_interval(struct tresor__ledger *ledger, uint32_t number, enum tresor__urgency urgency)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    if (interval->urgency >= urgency)
        return;
    if (interval->fill == TRESOR__FILL_WANTED) {
        tresor__bitset_remove(&ledger->fill[interval->wanted][interval->urgency], number);
        tresor__bitset_add(&ledger->fill[interval->wanted][urgency], number);
    } else if (interval->fill == TRESOR__FILL_RUNNING &&
               ledger->in_hand[interval->backing] < urgency) {
        ledger->in_hand[interval->backing] = (uint8_t)urgency;
        ledger->hastened[interval->backing] = true;
    }
    interval->urgency = (uint8_t)urgency;
}

void tresor__ledger_hasten(struct tresor__ledger *ledger, uint32_t index,
                           enum tresor__urgency urgency)
{
    const struct tresor__span *span = &ledger->spans[index];
    if (span->role != TRESOR__SPAN_LOADING)
        return;
    for (uint32_t i = 0; i < span->interval_count; i++)
        hasten_interval(ledger, span->first_interval + i, urgency);
}

/* The most urgent of those that wait; COUNT where nobody does. */
static uint32_t most_urgent(const struct tresor__ledger *ledger, enum tresor__backing backing)
{
    for (uint32_t i = TRESOR__URGENCY_COUNT; i-- > 0;)
        if (ledger->fill[backing][i].count > 0)
            return i;
    return TRESOR__URGENCY_COUNT;
}

enum tresor__urgency tresor__ledger_urgency(const struct tresor__ledger *ledger,
                                            enum tresor__backing backing)
{
    uint32_t waiting = most_urgent(ledger, backing);
    uint32_t in_hand = ledger->in_hand[backing];
    return waiting < TRESOR__URGENCY_COUNT && waiting > in_hand ? waiting : in_hand;
}

static void spend(struct tresor__ledger *ledger, uint32_t number)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    interval->fill = TRESOR__FILL_SPENT;
    tresor__bitset_add(&ledger->release[interval->backing], number);
}

static void become_full(struct tresor__ledger *ledger, uint32_t number)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    interval->fill = TRESOR__FILL_FULL;
    ledger->resident_bytes[interval->backing] +=
        interval_mapped_bytes(ledger, number) - interval->swapped_bytes;
    ledger->resident_bytes[!interval->backing] += interval->swapped_bytes;
}

static void cease_full(struct tresor__ledger *ledger, uint32_t number)
{
    const struct tresor__interval *interval = &ledger->intervals[number];
    ledger->resident_bytes[interval->backing] -=
        interval_mapped_bytes(ledger, number) - interval->swapped_bytes;
    ledger->resident_bytes[!interval->backing] -= interval->swapped_bytes;
}

bool tresor__ledger_is_overtaken(const struct tresor__ledger *ledger,
                                 enum tresor__backing backing)
{
    return ledger->hastened[backing] ||
           tresor__ledger_urgency(ledger, backing) > ledger->in_hand[backing];
}

/* Zeros are there for as long as those who had its pages before it have them. */
static void fail_for_others(struct tresor__ledger *ledger, uint32_t index, uint32_t number)
{
    struct tresor__span *span = &ledger->spans[index];
    span->role = TRESOR__SPAN_FAILED;
    span->failure = (struct tresor__failure){.code = TRESOR_ERROR_POISONED,
                                             .offset = tresor__ledger_start(ledger, number),
                                             .wanted = interval_bytes(ledger, number)};
    tell(ledger, index, TRESOR__NEWS_FILL_FAILED);
}

void tresor__ledger_claim(struct tresor__ledger *ledger, uint32_t index,
                          enum tresor__backing backing, enum tresor__urgency urgency)
{
    struct tresor__span *span = &ledger->spans[index];
    assert(span->role == TRESOR__SPAN_ABSENT);
    uint32_t poisoned = TRESOR_NONE;
    span->role = TRESOR__SPAN_LOADING;
    span->waiting = 0;
    for (uint32_t i = 0; i < span->interval_count; i++) {
        uint32_t number = span->first_interval + i;
        struct tresor__interval *interval = &ledger->intervals[number];
        add_user(ledger, number);
        if (interval->users == 1) {
            commit(ledger, number, true);
            interval->wanted = (uint8_t)backing;
            interval->urgency = TRESOR__URGENCY_LOOKAHEAD;
        }
        hasten_interval(ledger, number, urgency);
        if (interval->fill == TRESOR__FILL_SPENT && !interval->failed) {
            /* The bytes are still there, so they are taken back. */
            tresor__bitset_remove(&ledger->release[interval->backing], number);
            become_full(ledger, number);
            if (interval->releaser != TRESOR_NONE) {
                struct tresor__span *leaving = &ledger->spans[interval->releaser];
                if (--leaving->waiting == 0) {
                    leaving->role = TRESOR__SPAN_ABSENT;
                    tell(ledger, interval->releaser, TRESOR__NEWS_RELEASED);
                }
                interval->releaser = TRESOR_NONE;
            }
        }
        if (interval->fill == TRESOR__FILL_EMPTY && ledger->is_held) {
            interval->backing = TRESOR__BACKING_ANONYMOUS;
            become_full(ledger, number);
        }
        if (interval->fill == TRESOR__FILL_FULL) {
            if (interval->failed)
                poisoned = number;
            continue;
        }
        span->waiting++;
        if (interval->fill == TRESOR__FILL_EMPTY)
            want(ledger, number);
    }
    if (poisoned != TRESOR_NONE) {
        fail_for_others(ledger, index, poisoned);
    } else if (span->waiting == 0) {
        span->role = TRESOR__SPAN_RESIDENT;
        tell(ledger, index, TRESOR__NEWS_FILLED);
    }
}

void tresor__ledger_unclaim(struct tresor__ledger *ledger, uint32_t index, bool wait)
{
    struct tresor__span *span = &ledger->spans[index];
    assert(span->role != TRESOR__SPAN_ABSENT && span->role != TRESOR__SPAN_LEAVING);
    span->waiting = 0;
    span->news = (uint16_t)(span->news & ~(TRESOR__NEWS_FILLED | TRESOR__NEWS_FILL_FAILED |
                                           TRESOR__NEWS_PROGRESS));
    for (uint32_t i = 0; i < span->interval_count; i++) {
        uint32_t number = span->first_interval + i;
        struct tresor__interval *interval = &ledger->intervals[number];
        remove_user(ledger, number);
        if (interval->users > 0)
            continue;
        commit(ledger, number, false);
        if (interval->fill == TRESOR__FILL_WANTED) {
            tresor__bitset_remove(&ledger->fill[interval->wanted][interval->urgency], number);
            interval->fill = TRESOR__FILL_EMPTY;
        } else if (interval->fill == TRESOR__FILL_FULL) {
            cease_full(ledger, number);
            if (ledger->is_held) {
                interval->fill = TRESOR__FILL_EMPTY;
                interval->backing = TRESOR__BACKING_NONE;
                continue;
            }
            spend(ledger, number);
            if (wait) {
                interval->releaser = index;
                span->waiting++;
            }
        }
    }
    span->role = span->waiting > 0 ? TRESOR__SPAN_LEAVING : TRESOR__SPAN_ABSENT;
    if (wait && span->waiting == 0)
        tell(ledger, index, TRESOR__NEWS_RELEASED);
}

/* Neighbours of `set` from its first member at or after `from`; taken out of the set. */
static bool take_extent(struct tresor__bitset *set, uint32_t from, struct tresor__extent *extent)
{
    uint32_t first = tresor__bitset_next(set, from);
    if (first == TRESOR_NONE)
        first = tresor__bitset_next(set, 0);
    if (first == TRESOR_NONE)
        return false;
    uint32_t last = first;
    while (last < set->size && tresor__bitset_has(set, last))
        tresor__bitset_remove(set, last++);
    *extent = (struct tresor__extent){first, last};
    return true;
}

/* Spare pages are taken up as they are, so an extent has them everywhere or nowhere. */
static void cut_at_spare(const struct tresor__ledger *ledger, struct tresor__bitset *set,
                         struct tresor__extent *extent)
{
    uint32_t last = extent->first + 1;
    while (last < extent->last &&
           ledger->intervals[last].spare == ledger->intervals[extent->first].spare)
        last++;
    for (uint32_t i = last; i < extent->last; i++)
        tresor__bitset_add(set, i);
    extent->last = last;
}

uint64_t tresor__ledger_charge(const struct tresor__ledger *ledger, uint32_t number)
{
    return ledger->intervals[number].charged ? 0 : interval_mapped_bytes(ledger, number);
}

uint32_t tresor__ledger_first_wanted(const struct tresor__ledger *ledger,
                                     enum tresor__backing backing)
{
    uint32_t urgency = most_urgent(ledger, backing);
    if (urgency == TRESOR__URGENCY_COUNT)
        return TRESOR_NONE;
    const struct tresor__bitset *set = &ledger->fill[backing][urgency];
    uint32_t first = tresor__bitset_next(set, ledger->cursor[backing][urgency]);
    return first != TRESOR_NONE ? first : tresor__bitset_next(set, 0);
}

/* What is lent is charged where it came from, which has no room for other pages before those are gone. */
bool tresor__ledger_has_room(const struct tresor__ledger *ledger, enum tresor__backing backing)
{
    uint32_t first = tresor__ledger_first_wanted(ledger, backing);
    return first != TRESOR_NONE && ledger->lent_count == 0 &&
           tresor__ledger_charge(ledger, first) <= tresor__room_left(ledger->room);
}

bool tresor__ledger_has_wide_room(const struct tresor__ledger *ledger, enum tresor__backing backing,
                                  uint64_t bytes)
{
    uint32_t first = tresor__ledger_first_wanted(ledger, backing);
    uint64_t room = tresor__room_left(ledger->room);
    uint64_t charge = 0;
    if (first == TRESOR_NONE || ledger->lent_count > 0)
        return false;
    const struct tresor__bitset *set = &ledger->fill[backing][most_urgent(ledger, backing)];
    for (uint32_t i = first; charge < bytes && i - first < LOOKS_MAX && i < set->size; i++) {
        if (!tresor__bitset_has(set, i))
            break;
        charge += tresor__ledger_charge(ledger, i);
        if (charge > room)
            return false;
    }
    return true;
}

/* The first interval has room. */
static void cut_at_room(const struct tresor__ledger *ledger, struct tresor__bitset *set,
                        struct tresor__extent *extent)
{
    uint64_t room = tresor__room_left(ledger->room);
    uint32_t last = extent->first;
    while (last < extent->last && tresor__ledger_charge(ledger, last) <= room)
        room -= tresor__ledger_charge(ledger, last++);
    for (uint32_t i = last; i < extent->last; i++)
        tresor__bitset_add(set, i);
    extent->last = last;
}

/* The same of a whole extent that is taken. */
static bool takes_up_spare(const struct tresor__interval *interval)
{
    return interval->spare && interval->backing == TRESOR__BACKING_ANONYMOUS;
}

/* Under a budget a short extent has no huge pages, for small ones can be moved to any other's place. */
static bool is_small(const struct tresor__ledger *ledger, enum tresor__backing backing,
                     struct tresor__extent extent)
{
    uint64_t bytes =
        tresor__ledger_start(ledger, extent.last) - tresor__ledger_start(ledger, extent.first);
    return backing == TRESOR__BACKING_ANONYMOUS && ledger->room->budget_bytes > 0 &&
           bytes < TRESOR__SMALL_BYTES && !takes_up_spare(&ledger->intervals[extent.first]);
}

/* It is no longer in the set of its urgency. */
static void begin_fill(struct tresor__ledger *ledger, enum tresor__backing backing,
                       uint32_t urgency, struct tresor__extent extent)
{
    ledger->cursor[backing][urgency] = extent.last;
    ledger->in_hand[backing] = (uint8_t)urgency;
    ledger->hastened[backing] = false;
    bool small = is_small(ledger, backing, extent);
    for (uint32_t i = extent.first; i < extent.last; i++) {
        struct tresor__interval *interval = &ledger->intervals[i];
        interval->small_bytes = small ? (uint32_t)interval_mapped_bytes(ledger, i) : 0;
        interval->fill = TRESOR__FILL_RUNNING;
        interval->backing = (uint8_t)backing;
        interval->missing_bytes = interval_bytes(ledger, i);
        interval->failed = false;
        set_lent(ledger, i, false);
    }
    tresor__seams_map(ledger, tresor__ledger_start(ledger, extent.first),
                      tresor__ledger_start(ledger, extent.last),
                      takes_up_spare(&ledger->intervals[extent.first]));
}

bool tresor__ledger_take_fill(struct tresor__ledger *ledger, enum tresor__backing backing,
                              struct tresor__extent *extent)
{
    if (!tresor__ledger_has_room(ledger, backing))
        return false;
    uint32_t urgency = most_urgent(ledger, backing);
    take_extent(&ledger->fill[backing][urgency], ledger->cursor[backing][urgency], extent);
    if (backing == TRESOR__BACKING_ANONYMOUS)
        cut_at_spare(ledger, &ledger->fill[backing][urgency], extent);
    cut_at_room(ledger, &ledger->fill[backing][urgency], extent);
    begin_fill(ledger, backing, urgency, *extent);
    return true;
}

void tresor__ledger_take_wanted(struct tresor__ledger *ledger, enum tresor__backing backing,
                                struct tresor__extent extent)
{
    uint32_t urgency = ledger->intervals[extent.first].urgency;
    for (uint32_t i = extent.first; i < extent.last; i++) {
        assert(tresor__bitset_has(&ledger->fill[backing][urgency], i));
        tresor__bitset_remove(&ledger->fill[backing][urgency], i);
    }
    begin_fill(ledger, backing, urgency, extent);
}

void tresor__ledger_count_lent(struct tresor__ledger *ledger, struct tresor__extent extent, bool lent)
{
    for (uint32_t i = extent.first; i < extent.last; i++)
        set_lent(ledger, i, lent);
}

void tresor__ledger_lend(struct tresor__ledger *ledger, struct tresor__extent extent)
{
    for (uint32_t i = extent.first; i < extent.last; i++) {
        assert(ledger->intervals[i].fill == TRESOR__FILL_SPENT);
        tresor__bitset_remove(&ledger->release[ledger->intervals[i].backing], i);
        ledger->intervals[i].fill = TRESOR__FILL_RELEASING;
    }
    tresor__ledger_count_lent(ledger, extent, true);
}

/* Calls for every tensor that covers the interval and awaits its filling. */
static void tell_filled(struct tresor__ledger *ledger, uint32_t number)
{
    for (uint32_t i = first_cover(ledger, number); i < first_cover(ledger, number + 1); i++) {
        uint32_t index = ledger->covers[i];
        struct tresor__span *span = &ledger->spans[index];
        if (span->role != TRESOR__SPAN_LOADING)
            continue;
        assert(span->waiting > 0);
        if (--span->waiting > 0)
            continue;
        span->role = TRESOR__SPAN_RESIDENT;
        tell(ledger, index, TRESOR__NEWS_FILLED);
    }
}

static void tell_failed(struct tresor__ledger *ledger, uint32_t number,
                        const struct tresor__failure *failure)
{
    for (uint32_t i = first_cover(ledger, number); i < first_cover(ledger, number + 1); i++) {
        uint32_t index = ledger->covers[i];
        struct tresor__span *span = &ledger->spans[index];
        if (span->role != TRESOR__SPAN_LOADING)
            continue;
        span->role = TRESOR__SPAN_FAILED;
        span->failure = *failure;
        tell(ledger, index, TRESOR__NEWS_FILL_FAILED);
    }
}

static void tell_progress(struct tresor__ledger *ledger, uint32_t number)
{
    if (ledger->intervals[number].failed)
        return;
    for (uint32_t i = first_cover(ledger, number); i < first_cover(ledger, number + 1); i++) {
        uint32_t index = ledger->covers[i];
        const struct tresor__span *span = &ledger->spans[index];
        if (span->watchers > 0 && span->role == TRESOR__SPAN_LOADING)
            tell(ledger, index, TRESOR__NEWS_PROGRESS);
    }
}

void tresor__ledger_watch(struct tresor__ledger *ledger, uint32_t index)
{
    ledger->spans[index].watchers++;
    ledger->watchers++;
}

void tresor__ledger_unwatch(struct tresor__ledger *ledger, uint32_t index)
{
    assert(ledger->spans[index].watchers > 0);
    ledger->spans[index].watchers--;
    ledger->watchers--;
}

uint64_t tresor__ledger_arrived(const struct tresor__ledger *ledger, uint32_t index)
{
    const struct tresor__span *span = &ledger->spans[index];
    uint64_t arrived = 0;
    for (uint32_t i = 0; i < span->interval_count; i++) {
        uint32_t number = span->first_interval + i;
        const struct tresor__interval *interval = &ledger->intervals[number];
        if (interval->fill == TRESOR__FILL_FULL)
            arrived += interval_bytes(ledger, number);
        else if (interval->fill == TRESOR__FILL_RUNNING && !interval->failed)
            arrived += interval_bytes(ledger, number) - interval->missing_bytes;
    }
    return arrived;
}

static void forget_leaked_lock(struct tresor__ledger *ledger, uint32_t number)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    if (interval->lock_leaked)
        ledger->locked_bytes -= interval_mapped_bytes(ledger, number);
    interval->lock_leaked = false;
}

/* Its private pages are kept though nobody uses them, or are not, or are in use again. */
static void set_spare(struct tresor__ledger *ledger, uint32_t number, bool spare)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    if (interval->spare == spare)
        return;
    uint64_t bytes = interval_mapped_bytes(ledger, number);
    interval->spare = spare;
    ledger->spare_bytes += spare ? bytes : -bytes;
    ledger->room->spare_bytes += spare ? bytes : -bytes;
}

void tresor__ledger_drop_spares(struct tresor__ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->interval_count && ledger->spare_bytes > 0; i++) {
        struct tresor__interval *interval = &ledger->intervals[i];
        if (!interval->spare || interval->fill != TRESOR__FILL_EMPTY)
            continue; /* what is wanted again takes them up */
        set_spare(ledger, i, false);
        interval->backing = TRESOR__BACKING_ANONYMOUS;
        interval->failed = true; /* they hold nothing */
        spend(ledger, i);
    }
}

uint64_t tresor__ledger_leave_room(struct tresor__ledger *ledger)
{
    ledger->room->committed_bytes -= ledger->committed_bytes;
    ledger->room->leaving_bytes -= ledger->leaving_bytes;
    ledger->room->spare_bytes -= ledger->spare_bytes;
    ledger->room->leaked_bytes -= ledger->leaked_bytes;
    ledger->room->seam_count -= ledger->seams.count;
    return ledger->charged_bytes;
}

static void set_leaked(struct tresor__ledger *ledger, uint32_t number, bool leaked)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    if (interval->leaked == leaked)
        return;
    uint64_t bytes = interval_mapped_bytes(ledger, number);
    interval->leaked = leaked;
    ledger->leaked_bytes += leaked ? bytes : -bytes;
    ledger->room->leaked_bytes += leaked ? bytes : -bytes;
}

/* What is mapped over pages that could not be unmapped or unlocked has replaced them. */
static void forget_leaks(struct tresor__ledger *ledger, uint32_t number)
{
    set_leaked(ledger, number, false);
    forget_leaked_lock(ledger, number);
}

/* All parts of a running interval have come back, so it was mapped. */
static void finish_running(struct tresor__ledger *ledger, uint32_t number)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    forget_leaks(ledger, number);
    set_spare(ledger, number, false);
    if (interval->failed || interval->users == 0) {
        spend(ledger, number);
        return;
    }
    become_full(ledger, number);
    tell_filled(ledger, number);
}

static void subtract_missing(struct tresor__ledger *ledger, uint32_t number, uint64_t bytes)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    assert(interval->fill == TRESOR__FILL_RUNNING && interval->missing_bytes >= bytes);
    interval->missing_bytes -= bytes;
    if (interval->missing_bytes == 0)
        finish_running(ledger, number);
}

bool tresor__ledger_abandon(struct tresor__ledger *ledger, uint32_t number, uint64_t offset)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    if (interval->users > 0 && !interval->failed)
        return false;
    interval->failed = true; /* a part of it will never be read, whoever claims it from now on */
    subtract_missing(ledger, number, tresor__ledger_end(ledger, number + 1) - offset);
    return true;
}

void tresor__ledger_put_back(struct tresor__ledger *ledger, struct tresor__extent rest)
{
    uint8_t backing = ledger->intervals[rest.first].backing;
    for (uint32_t i = rest.first; i < rest.last; i++) {
        struct tresor__interval *interval = &ledger->intervals[i];
        assert(interval->missing_bytes == interval_bytes(ledger, i));
        interval->failed = true; /* what is mapped there holds nothing */
        subtract_missing(ledger, i, interval->missing_bytes);
    }
    for (uint32_t i = 0; i < TRESOR__URGENCY_COUNT; i++)
        if (ledger->cursor[backing][i] == rest.last)
            ledger->cursor[backing][i] = rest.first; /* the sweep goes on where it was overtaken */
    ledger->hastened[backing] = false;
}

void tresor__ledger_settle(struct tresor__ledger *ledger, uint32_t hint, uint64_t offset,
                           uint64_t length, const struct tresor__failure *failure)
{
    uint64_t end = offset + length;
    uint32_t number = hint;
    while (tresor__ledger_start(ledger, number + 1) <= offset)
        number++;
    for (; number < ledger->interval_count && tresor__ledger_start(ledger, number) < end;
         number++) {
        uint64_t from = tresor__ledger_start(ledger, number);
        uint64_t to = tresor__ledger_end(ledger, number + 1);
        from = from > offset ? from : offset;
        to = to < end ? to : end;
        if (failure && !ledger->intervals[number].failed) {
            ledger->intervals[number].failed = true;
            /* Who has come since its read was taken back still wants it: it is released and read again. */
            if (failure->code != TRESOR_ERROR_CANCELLED)
                tell_failed(ledger, number, failure);
        }
        subtract_missing(ledger, number, to - from);
        if (ledger->watchers > 0)
            tell_progress(ledger, number);
    }
}

uint32_t tresor__ledger_find(const struct tresor__ledger *ledger, uint64_t offset)
{
    uint32_t low = 0;
    uint32_t high = ledger->interval_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (tresor__ledger_start(ledger, middle + 1) <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Who has been told that it is filled has its bytes no more; who has not will never be. */
static void fail_fillings(struct tresor__ledger *ledger, uint32_t number, const struct tresor__failure *failure)
{
    for (uint32_t i = first_cover(ledger, number); i < first_cover(ledger, number + 1); i++) {
        struct tresor__span *span = &ledger->spans[ledger->covers[i]];
        if (span->role != TRESOR__SPAN_RESIDENT || !(span->news & TRESOR__NEWS_FILLED))
            continue;
        span->news = (uint16_t)(span->news & ~TRESOR__NEWS_FILLED);
        span->role = TRESOR__SPAN_LOADING;
    }
    tell_failed(ledger, number, failure);
}

void tresor__ledger_poison(struct tresor__ledger *ledger, uint32_t number, uint64_t offset, uint64_t length,
                           const struct tresor__failure *failure)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    uint64_t from = tresor__ledger_start(ledger, number);
    uint64_t until = tresor__ledger_start(ledger, number + 1);
    if (interval->fill < TRESOR__FILL_RUNNING || interval->fill > TRESOR__FILL_SPENT)
        return; /* whatever is there will not be read again */
    from = from > offset ? from : offset;
    until = until < offset + length ? until : offset + length;
    interval->failed = true;
    if (interval->lock >= TRESOR__LOCK_HELD) {
        interval->unlocked_bytes += until - from;
        ledger->locked_bytes -= until - from;
    }
    if (interval->fill <= TRESOR__FILL_FULL)
        fail_fillings(ledger, number, failure);
}

void tresor__ledger_unmapped(struct tresor__ledger *ledger, struct tresor__extent extent,
                             const struct tresor__failure *failure)
{
    bool keeps = takes_up_spare(&ledger->intervals[extent.first]);
    for (uint32_t i = extent.first; i < extent.last; i++) {
        struct tresor__interval *interval = &ledger->intervals[i];
        assert(interval->fill == TRESOR__FILL_RUNNING);
        interval->fill = TRESOR__FILL_EMPTY;
        interval->backing = TRESOR__BACKING_NONE;
        interval->missing_bytes = 0;
        interval->small_bytes = 0;
        count_pages(ledger, i);
        tell_failed(ledger, i, failure);
    }
    tresor__seams_unmap(ledger, extent, keeps);
}

bool tresor__ledger_take_release(struct tresor__ledger *ledger, enum tresor__backing backing,
                                 struct tresor__extent *extent)
{
    if (!take_extent(&ledger->release[backing], 0, extent))
        return false;
    for (uint32_t i = extent->first; i < extent->last; i++)
        ledger->intervals[i].fill = TRESOR__FILL_RELEASING;
    return true;
}

void tresor__ledger_released(struct tresor__ledger *ledger, struct tresor__extent extent,
                             bool kept, const struct tresor__failure *failure)
{
    for (uint32_t i = extent.first; i < extent.last; i++) {
        struct tresor__interval *interval = &ledger->intervals[i];
        assert(interval->fill == TRESOR__FILL_RELEASING);
        interval->fill = TRESOR__FILL_EMPTY;
        interval->backing = TRESOR__BACKING_NONE;
        interval->swapped_bytes = 0;
        interval->small_bytes = 0;
        interval->failed = false;
        if (failure) {
            assert(!interval->leaked);
            set_leaked(ledger, i, true);
        } else {
            forget_leaked_lock(ledger, i);
        }
        set_spare(ledger, i, kept && !failure);
        set_lent(ledger, i, false);
        if (interval->users > 0)
            want(ledger, i);
        uint32_t index = interval->releaser;
        interval->releaser = TRESOR_NONE;
        if (index == TRESOR_NONE)
            continue;
        struct tresor__span *span = &ledger->spans[index];
        assert(span->role == TRESOR__SPAN_LEAVING && span->waiting > 0);
        if (failure) {
            span->failure = *failure;
            tell(ledger, index, TRESOR__NEWS_RELEASE_FAILED);
        }
        if (--span->waiting == 0) {
            span->role = TRESOR__SPAN_ABSENT;
            tell(ledger, index, TRESOR__NEWS_RELEASED);
        }
    }
    if (failure)
        return;
    if (kept)
        tresor__seams_map(ledger, tresor__ledger_start(ledger, extent.first),
                          tresor__ledger_start(ledger, extent.last), true);
    else
        tresor__seams_unmap(ledger, extent, false);
}

void tresor__ledger_lock(struct tresor__ledger *ledger, uint32_t index)
{
    struct tresor__span *span = &ledger->spans[index];
    assert(span->role == TRESOR__SPAN_RESIDENT && span->lock_role == TRESOR__SPAN_ABSENT);
    span->lock_role = TRESOR__SPAN_LOADING;
    span->lock_waiting = 0;
    span->lock_failure = (struct tresor__failure){0};
    for (uint32_t i = 0; i < span->interval_count; i++) {
        uint32_t number = span->first_interval + i;
        struct tresor__interval *interval = &ledger->intervals[number];
        interval->locks++;
        if (interval->lock == TRESOR__LOCK_SPENT) {
            tresor__bitset_remove(&ledger->unlock, number);
            interval->lock = TRESOR__LOCK_HELD;
            if (interval->unlocker != TRESOR_NONE) {
                struct tresor__span *leaving = &ledger->spans[interval->unlocker];
                if (--leaving->lock_waiting == 0) {
                    leaving->lock_role = TRESOR__SPAN_ABSENT;
                    tell(ledger, interval->unlocker, TRESOR__NEWS_UNLOCKED);
                }
                interval->unlocker = TRESOR_NONE;
            }
        }
        if (interval->lock == TRESOR__LOCK_HELD)
            continue;
        span->lock_waiting++;
        if (interval->lock == TRESOR__LOCK_NONE) {
            interval->lock = TRESOR__LOCK_WANTED;
            tresor__ledger_keep_from_swap(ledger, number);
            /* The pages of a chunk that moves would leave their lock behind; it is taken up when they are there. */
            if (interval->swap == TRESOR__SWAP_NONE)
                tresor__bitset_add(&ledger->lock, number);
        }
    }
    if (span->lock_waiting == 0) {
        span->lock_role = TRESOR__SPAN_RESIDENT;
        tell(ledger, index, TRESOR__NEWS_LOCKED);
    }
}

void tresor__ledger_unlock(struct tresor__ledger *ledger, uint32_t index, bool wait)
{
    struct tresor__span *span = &ledger->spans[index];
    assert(span->lock_role != TRESOR__SPAN_ABSENT && span->lock_role != TRESOR__SPAN_LEAVING);
    span->lock_waiting = 0;
    span->news = (uint16_t)(span->news & ~(TRESOR__NEWS_LOCKED | TRESOR__NEWS_LOCK_FAILED));
    for (uint32_t i = 0; i < span->interval_count; i++) {
        uint32_t number = span->first_interval + i;
        struct tresor__interval *interval = &ledger->intervals[number];
        assert(interval->locks > 0);
        if (--interval->locks > 0)
            continue;
        if (interval->lock == TRESOR__LOCK_WANTED) {
            tresor__bitset_remove(&ledger->lock, number);
            interval->lock = TRESOR__LOCK_NONE;
        } else if (interval->lock == TRESOR__LOCK_HELD) {
            interval->lock = TRESOR__LOCK_SPENT;
            tresor__bitset_add(&ledger->unlock, number);
            if (wait) {
                interval->unlocker = index;
                span->lock_waiting++;
            }
        }
    }
    span->lock_role = span->lock_waiting > 0 ? TRESOR__SPAN_LEAVING : TRESOR__SPAN_ABSENT;
    if (wait && span->lock_waiting == 0)
        tell(ledger, index, TRESOR__NEWS_UNLOCKED);
}

bool tresor__ledger_take_lock(struct tresor__ledger *ledger, uint64_t limit_bytes,
                              struct tresor__extent *extent)
{
    uint32_t first = tresor__bitset_next(&ledger->lock, 0);
    if (first == TRESOR_NONE)
        return false;
    uint64_t start = tresor__ledger_start(ledger, first);
    uint32_t last = first;
    while (last < ledger->interval_count && tresor__bitset_has(&ledger->lock, last) &&
           (last == first || tresor__ledger_start(ledger, last + 1) - start <= limit_bytes)) {
        tresor__bitset_remove(&ledger->lock, last);
        ledger->intervals[last].lock = TRESOR__LOCK_RUNNING;
        last++;
    }
    *extent = (struct tresor__extent){first, last};
    return true;
}

void tresor__ledger_lock_undone(struct tresor__ledger *ledger, struct tresor__extent extent)
{
    for (uint32_t i = extent.first; i < extent.last; i++)
        forget_leaked_lock(ledger, i);
}

void tresor__ledger_lock_again(struct tresor__ledger *ledger, struct tresor__extent extent)
{
    for (uint32_t i = extent.first; i < extent.last; i++) {
        struct tresor__interval *interval = &ledger->intervals[i];
        assert(interval->lock == TRESOR__LOCK_RUNNING);
        interval->lock = interval->locks > 0 ? TRESOR__LOCK_WANTED : TRESOR__LOCK_NONE;
        if (interval->locks > 0)
            tresor__bitset_add(&ledger->lock, i);
    }
}

static void tell_lock(struct tresor__ledger *ledger, uint32_t number,
                      const struct tresor__failure *failure)
{
    for (uint32_t i = first_cover(ledger, number); i < first_cover(ledger, number + 1); i++) {
        uint32_t index = ledger->covers[i];
        struct tresor__span *span = &ledger->spans[index];
        if (span->lock_role != TRESOR__SPAN_LOADING)
            continue;
        if (failure) {
            span->lock_role = TRESOR__SPAN_FAILED;
            span->lock_failure = *failure;
            tell(ledger, index, TRESOR__NEWS_LOCK_FAILED);
        } else if (--span->lock_waiting == 0) {
            span->lock_role = TRESOR__SPAN_RESIDENT;
            tell(ledger, index, TRESOR__NEWS_LOCKED);
        }
    }
}

void tresor__ledger_locked(struct tresor__ledger *ledger, struct tresor__extent extent,
                           const struct tresor__failure *failure)
{
    for (uint32_t i = extent.first; i < extent.last; i++) {
        struct tresor__interval *interval = &ledger->intervals[i];
        assert(interval->lock == TRESOR__LOCK_RUNNING);
        if (failure) {
            interval->lock = TRESOR__LOCK_NONE;
        } else {
            if (!interval->lock_leaked)
                ledger->locked_bytes += interval_mapped_bytes(ledger, i);
            interval->lock_leaked = false;
            interval->lock = TRESOR__LOCK_HELD;
            if (interval->locks == 0) {
                interval->lock = TRESOR__LOCK_SPENT;
                tresor__bitset_add(&ledger->unlock, i);
            }
        }
        tell_lock(ledger, i, failure);
    }
}

bool tresor__ledger_take_unlock(struct tresor__ledger *ledger, struct tresor__extent *extent)
{
    if (!take_extent(&ledger->unlock, 0, extent))
        return false;
    for (uint32_t i = extent->first; i < extent->last; i++)
        ledger->intervals[i].lock = TRESOR__LOCK_RELEASING;
    return true;
}

void tresor__ledger_unlocked(struct tresor__ledger *ledger, struct tresor__extent extent,
                             const struct tresor__failure *failure)
{
    for (uint32_t i = extent.first; i < extent.last; i++) {
        struct tresor__interval *interval = &ledger->intervals[i];
        assert(interval->lock == TRESOR__LOCK_RELEASING);
        if (failure) { /* all of it counts, for want of knowing better */
            interval->lock_leaked = true;
            ledger->locked_bytes += interval->unlocked_bytes;
        } else {
            ledger->locked_bytes -= interval_mapped_bytes(ledger, i) - interval->unlocked_bytes;
        }
        interval->unlocked_bytes = 0;
        interval->lock = TRESOR__LOCK_NONE;
        if (interval->locks > 0) {
            interval->lock = TRESOR__LOCK_WANTED;
            tresor__bitset_add(&ledger->lock, i);
        }
        uint32_t index = interval->unlocker;
        interval->unlocker = TRESOR_NONE;
        if (index == TRESOR_NONE)
            continue;
        struct tresor__span *span = &ledger->spans[index];
        assert(span->lock_role == TRESOR__SPAN_LEAVING && span->lock_waiting > 0);
        if (failure) {
            span->lock_failure = *failure;
            tell(ledger, index, TRESOR__NEWS_UNLOCK_FAILED);
        }
        if (--span->lock_waiting == 0) {
            span->lock_role = TRESOR__SPAN_ABSENT;
            tell(ledger, index, TRESOR__NEWS_UNLOCKED);
        }
    }
}
