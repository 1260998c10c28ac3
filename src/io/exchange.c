/* SPDX-License-Identifier: MIT */
#include "io/exchange.h"

#include <assert.h>

#include "io/seams.h"

enum {
    INTERVALS_MAX = 1024, /* of either side at a time, for they are looked at every turn */
    MOVED_BYTES_MIN = 64 * 1024, /* of small pages; fewer are made anew as quickly */
};

struct range {
    uint64_t start;
    uint64_t end;
};

/* The huge pages that lie within. */
static struct range whole_pages(uint64_t start, uint64_t end)
{
    uint64_t unit = TRESOR__HUGE_PAGE_BYTES;
    struct range range = {(start + unit - 1) / unit * unit, end / unit * unit};
    if (range.end < range.start)
        range.end = range.start;
    return range;
}

static struct range pages_of_spent(const struct tresor__ledger *ledger, struct tresor__extent extent)
{
    return whole_pages(tresor__ledger_start(ledger, extent.first),
                       tresor__ledger_start(ledger, extent.last));
}

/* The page where the file ends is a fresh one, and so has zeros behind the end. */
static struct range pages_of_wanted(const struct tresor__ledger *ledger, struct tresor__extent extent)
{
    return whole_pages(tresor__ledger_start(ledger, extent.first),
                       tresor__ledger_end(ledger, extent.last));
}

static uint64_t bytes_of(struct range range)
{
    return range.end - range.start;
}

static uint64_t extent_bytes(const struct tresor__ledger *ledger, struct tresor__extent extent)
{
    return tresor__ledger_start(ledger, extent.last) - tresor__ledger_start(ledger, extent.first);
}

/* Its pages are all there and private, and nothing is locked; a lock would move with its page. */
static bool can_give(const struct tresor__interval *interval)
{
    return !interval->failed && interval->swapped_bytes == 0 && interval->lock == TRESOR__LOCK_NONE && !interval->lock_leaked;
}

static struct tresor__extent first_spent(const struct tresor__ledger *ledger)
{
    const struct tresor__bitset *set = &ledger->release[TRESOR__BACKING_ANONYMOUS];
    uint32_t first = tresor__bitset_next(set, 0);
    if (first == TRESOR_NONE)
        return (struct tresor__extent){0};
    uint32_t last = first;
    while (last < set->size && last - first < INTERVALS_MAX && tresor__bitset_has(set, last) &&
           can_give(&ledger->intervals[last]))
        last++;
    return (struct tresor__extent){first, last};
}

/* As much of what is wanted next as finds room; spare pages are taken up where they are. */
static struct tresor__extent first_wanted(const struct tresor__ledger *ledger, uint64_t room)
{
    uint32_t first = tresor__ledger_first_wanted(ledger, TRESOR__BACKING_ANONYMOUS);
    if (first == TRESOR_NONE)
        return (struct tresor__extent){0};
    const struct tresor__bitset *set =
        &ledger->fill[TRESOR__BACKING_ANONYMOUS][ledger->intervals[first].urgency];
    uint32_t last = first;
    while (last < set->size && last - first < INTERVALS_MAX && tresor__bitset_has(set, last) &&
           !ledger->intervals[last].spare && tresor__ledger_charge(ledger, last) <= room)
        room -= tresor__ledger_charge(ledger, last++);
    return (struct tresor__extent){first, last};
}

/* The first run of huge pages in the range; empty where there is none. */
static struct range first_run(const struct tresor__ledger *ledger, struct range range)
{
    struct range run = {range.start, range.start};
    while (run.start < range.end) {
        run.end = tresor__seams_run_end(ledger, run.start, range.end);
        if (run.end > run.start)
            return run;
        run.start += TRESOR__HUGE_PAGE_BYTES;
    }
    return (struct range){range.end, range.end};
}

static bool has_maps(const struct tresor__ledger *ledger)
{
    return ledger->seams.size > 0 && ledger->room->seam_count < ledger->room->seams_max;
}

/* A spent extent and a wanted one, and what pages of the one go where in the other. */
struct match {
    struct tresor__extent spent;
    struct tresor__extent wanted;
    struct range from;
    struct range to;
};

static uint64_t interval_bytes(const struct tresor__ledger *ledger, uint32_t number)
{
    return tresor__ledger_start(ledger, number + 1) - tresor__ledger_start(ledger, number);
}

/* The first interval of the extent whose small pages are worth their move; its last where there is none. */
static uint32_t first_giver(const struct tresor__ledger *ledger, struct tresor__extent spent)
{
    uint32_t i = spent.first;
    while (i < spent.last && ledger->intervals[i].small_bytes < MOVED_BYTES_MIN)
        i++;
    return i;
}

/* Neither the page where the file ends, nor so many pages that whole huge ones serve better. */
static bool can_take_small(const struct tresor__ledger *ledger, uint32_t number)
{
    uint64_t bytes = interval_bytes(ledger, number);
    return bytes >= MOVED_BYTES_MIN && bytes < TRESOR__SMALL_BYTES &&
           tresor__ledger_start(ledger, number + 1) <= ledger->file_bytes;
}

static uint32_t first_taker(const struct tresor__ledger *ledger, struct tresor__extent wanted)
{
    uint32_t i = wanted.first;
    while (i < wanted.last && !can_take_small(ledger, i))
        i++;
    return i;
}

/* The pages that it shares with its neighbour go with it. */
static uint32_t last_beside(const struct tresor__ledger *ledger, struct tresor__extent extent,
                            uint32_t number)
{
    uint32_t last = number + 1;
    while (last < extent.last && interval_bytes(ledger, last) < MOVED_BYTES_MIN)
        last++;
    return last;
}

static uint64_t charge_of(const struct tresor__ledger *ledger, struct tresor__extent wanted)
{
    uint64_t charge = 0;
    for (uint32_t i = wanted.first; i < wanted.last; i++)
        charge += tresor__ledger_charge(ledger, i);
    return charge;
}

/* Small pages of the first interval that has some, for the first that can take them. */
static bool match_small(const struct tresor__ledger *ledger, struct match *match)
{
    uint32_t giver = first_giver(ledger, match->spent);
    uint32_t taker = first_taker(ledger, match->wanted);
    if (giver == match->spent.last || taker == match->wanted.last)
        return false;
    uint64_t length = ledger->intervals[giver].small_bytes;
    if (length > interval_bytes(ledger, taker))
        length = interval_bytes(ledger, taker);
    match->wanted.last = last_beside(ledger, match->wanted, taker);
    uint64_t charge = charge_of(ledger, match->wanted);
    uint64_t room = tresor__room_left(ledger->room);
    uint32_t spent_last = match->spent.last;
    match->spent.last = last_beside(ledger, match->spent, giver);
    while (match->spent.last < spent_last && extent_bytes(ledger, match->spent) + room < charge)
        match->spent.last++;
    match->from.start = tresor__ledger_start(ledger, giver);
    match->from.end = match->from.start + length;
    match->to.start = tresor__ledger_start(ledger, taker);
    match->to.end = match->to.start + length;
    return true;
}

/* What is spent first, and what is wanted next within the room that it leaves. False where there is one of them only. */
static bool meet(const struct tresor__ledger *ledger, struct match *match)
{
    if (!tresor__ledger_wants(ledger, TRESOR__BACKING_ANONYMOUS))
        return false;
    match->spent = first_spent(ledger);
    uint64_t room = tresor__room_left(ledger->room) + extent_bytes(ledger, match->spent);
    match->wanted = first_wanted(ledger, room);
    match->from = pages_of_spent(ledger, match->spent);
    match->to = pages_of_wanted(ledger, match->wanted);
    return match->spent.last > match->spent.first && match->wanted.last > match->wanted.first;
}

/* Short extents are left to small pages, or they would soon have some of either kind, and neither could be moved. */
static bool has_huge(const struct tresor__ledger *ledger, const struct match *match)
{
    bool is_long = extent_bytes(ledger, match->wanted) >= TRESOR__SMALL_BYTES;
    return (is_long || ledger->room->budget_bytes == 0) &&
           first_giver(ledger, match->spent) == match->spent.last &&
           bytes_of(first_run(ledger, match->from)) > 0 && bytes_of(match->to) > 0;
}

bool tresor__exchange_is_possible(const struct tresor__ledger *ledger)
{
    struct match match;
    return has_maps(ledger) && ledger->lent_count == 0 && meet(ledger, &match) &&
           (has_huge(ledger, &match) || match_small(ledger, &match));
}

/* What of the spent extent is needed, in whole intervals: as many pages as can be taken, and as much room. */
static void cut_spent(const struct tresor__ledger *ledger, struct tresor__extent *spent,
                      struct tresor__extent wanted)
{
    uint64_t pages = bytes_of(pages_of_wanted(ledger, wanted));
    uint64_t room = tresor__room_left(ledger->room);
    uint64_t charge = charge_of(ledger, wanted);
    struct tresor__extent cut = {spent->first, spent->first + 1};
    while (cut.last < spent->last && (bytes_of(pages_of_spent(ledger, cut)) < pages ||
                                      extent_bytes(ledger, cut) + room < charge ||
                                      bytes_of(first_run(ledger, pages_of_spent(ledger, cut))) == 0))
        cut.last++;
    *spent = cut;
}

/* Where there is more that is spent, the rest of what is wanted has its pages from there. */
static void cut_wanted(const struct tresor__ledger *ledger, struct tresor__extent *wanted,
                       struct tresor__extent spent)
{
    uint64_t pages = bytes_of(pages_of_spent(ledger, spent));
    struct tresor__extent cut = {wanted->first, wanted->first + 1};
    if (ledger->release[TRESOR__BACKING_ANONYMOUS].count == spent.last - spent.first)
        return;
    while (cut.last < wanted->last && bytes_of(pages_of_wanted(ledger, cut)) < pages)
        cut.last++;
    *wanted = cut;
}

/* Both together count as the larger: what the spent one has more than the wanted one is kept apart. */
static void charge_rest(struct tresor__ledger *ledger, uint64_t bytes)
{
    ledger->charged_bytes += bytes - ledger->exchange_bytes;
    ledger->room->charged_bytes += bytes - ledger->exchange_bytes;
    ledger->exchange_bytes = bytes;
}

static void match_huge(const struct tresor__ledger *ledger, struct match *match)
{
    if (bytes_of(match->from) > bytes_of(match->to))
        cut_spent(ledger, &match->spent, match->wanted);
    else
        cut_wanted(ledger, &match->wanted, match->spent);
    match->from = pages_of_spent(ledger, match->spent);
    match->to = pages_of_wanted(ledger, match->wanted);
}

/* Of the wanted intervals, what lies before the pages that come is one map, and so are they where they are small. */
static void note_maps(struct tresor__ledger *ledger, const struct match *match, bool is_small)
{
    for (uint32_t i = match->wanted.first; i < match->wanted.last; i++) {
        struct tresor__interval *interval = &ledger->intervals[i];
        uint64_t start = tresor__ledger_start(ledger, i);
        uint64_t end = tresor__ledger_start(ledger, i + 1);
        if (end <= match->to.start || start >= match->to.end)
            continue;
        if (is_small)
            interval->small_bytes = (uint32_t)bytes_of(match->to);
        else if (interval->small_bytes > 0)
            interval->small_bytes = match->to.start > start ? (uint32_t)(match->to.start - start) : 0;
    }
}

void tresor__exchange_forget(struct tresor__ledger *ledger, struct tresor__extent wanted)
{
    for (uint32_t i = wanted.first; i < wanted.last; i++)
        ledger->intervals[i].small_bytes = 0;
}

/* Take both, and count them as the larger. */
static void take(struct tresor__ledger *ledger, const struct match *match)
{
    uint64_t before = ledger->charged_bytes;
    uint64_t given = extent_bytes(ledger, match->spent);
    tresor__ledger_lend(ledger, match->spent);
    tresor__ledger_take_wanted(ledger, TRESOR__BACKING_ANONYMOUS, match->wanted);
    uint64_t taken = ledger->charged_bytes - (before - given);
    charge_rest(ledger, given > taken ? given - taken : 0);
}

struct tresor__exchange tresor__exchange_take(struct tresor__ledger *ledger, struct tresor__extent *wanted,
                                              struct tresor__extent *spent)
{
    struct match match;
    meet(ledger, &match);
    bool is_small = !has_huge(ledger, &match);
    if (is_small)
        match_small(ledger, &match);
    else
        match_huge(ledger, &match);
    take(ledger, &match);
    note_maps(ledger, &match, is_small);
    *spent = match.spent;
    *wanted = match.wanted;
    struct tresor__exchange exchange = {.is_on = true,
                                        .is_small = is_small,
                                        .from = match.from.start,
                                        .from_end = match.from.end,
                                        .to = match.to.start,
                                        .to_end = match.to.end};
    bool has_run = tresor__exchange_next(ledger, &exchange);
    assert(has_run);
    (void)has_run;
    return exchange;
}

/* The run behind what is asked for, as far as there is place for it. */
static struct range next_run(const struct tresor__ledger *ledger, const struct tresor__exchange *exchange)
{
    struct range rest = {exchange->from + exchange->length, exchange->from_end};
    if (exchange->is_small)
        return rest;
    struct range run = first_run(ledger, rest);
    uint64_t place = exchange->to_end - exchange->to - exchange->length;
    if (bytes_of(run) > place)
        run.end = run.start + place;
    return run;
}

bool tresor__exchange_has_next(const struct tresor__ledger *ledger, const struct tresor__exchange *exchange)
{
    return has_maps(ledger) && bytes_of(next_run(ledger, exchange)) > 0;
}

bool tresor__exchange_next(struct tresor__ledger *ledger, struct tresor__exchange *exchange)
{
    if (exchange->length > 0) {
        exchange->to += exchange->length;
        exchange->from += exchange->length;
        exchange->length = 0;
    }
    struct range run = next_run(ledger, exchange);
    if (bytes_of(run) == 0)
        return false;
    exchange->from = run.start;
    exchange->length = bytes_of(run);
    tresor__seams_map(ledger, exchange->to, exchange->to + exchange->length, true);
    return true;
}

void tresor__exchange_settle(struct tresor__ledger *ledger)
{
    charge_rest(ledger, 0);
}

void tresor__exchange_call_off(struct tresor__ledger *ledger, struct tresor__extent spent)
{
    charge_rest(ledger, 0);
    tresor__ledger_count_lent(ledger, spent, false);
}

void tresor__exchange_undo(struct tresor__ledger *ledger, struct tresor__extent wanted,
                           struct tresor__extent spent)
{
    tresor__ledger_put_back(ledger, wanted);
    charge_rest(ledger, 0);
    tresor__ledger_count_lent(ledger, wanted, true);
    tresor__ledger_count_lent(ledger, spent, false);
}
