/* SPDX-License-Identifier: MIT */
/* What must hold between intervals, spans and sums at every moment. Only tests and debug builds
 * call it, so it looks in every build. */
#undef NDEBUG
#include <assert.h>

#include "io/ledger.h"
#include "io/seams.h"

static bool is_user(uint8_t role)
{
    return role == TRESOR__SPAN_LOADING || role == TRESOR__SPAN_RESIDENT ||
           role == TRESOR__SPAN_FAILED;
}

/* Of the tensors that cover an interval: how many use it and lock it, and for how many their
 * failure is yet to be taken back. */
struct cover {
    uint32_t users;
    uint32_t failed_users;
    uint32_t locks;
    uint32_t failed_locks;
};

static struct cover cover_of(const struct tresor__ledger *ledger, uint32_t number)
{
    struct cover cover = {0};
    uint32_t last = ledger->intervals[number + 1].first_cover;
    for (uint32_t i = ledger->intervals[number].first_cover; i < last; i++) {
        const struct tresor__span *span = &ledger->spans[ledger->covers[i]];
        cover.users += is_user(span->role);
        cover.failed_users += span->role == TRESOR__SPAN_FAILED;
        cover.locks += is_user(span->lock_role);
        cover.failed_locks += span->lock_role == TRESOR__SPAN_FAILED;
    }
    return cover;
}

static void check_sets(const struct tresor__ledger *ledger, uint32_t number)
{
    const struct tresor__interval *interval = &ledger->intervals[number];
    for (uint8_t backing = 0; backing < TRESOR__BACKING_COUNT; backing++) {
        for (uint8_t urgency = 0; urgency < TRESOR__URGENCY_COUNT; urgency++)
            assert(tresor__bitset_has(&ledger->fill[backing][urgency], number) ==
                   (interval->fill == TRESOR__FILL_WANTED && interval->wanted == backing &&
                    interval->urgency == urgency));
        assert(tresor__bitset_has(&ledger->release[backing], number) ==
               (interval->fill == TRESOR__FILL_SPENT && interval->backing == backing));
    }
    for (uint8_t target = 0; target < TRESOR__BACKING_COUNT; target++)
        assert(tresor__bitset_has(&ledger->swap[target], number) ==
               (interval->swap == TRESOR__SWAP_WANTED && interval->swap_target == target));
    assert(tresor__bitset_has(&ledger->lock, number) ==
           (interval->lock == TRESOR__LOCK_WANTED && interval->swap == TRESOR__SWAP_NONE));
    assert(tresor__bitset_has(&ledger->unlock, number) == (interval->lock == TRESOR__LOCK_SPENT));
}

static bool is_backed(const struct tresor__interval *interval)
{
    return interval->fill >= TRESOR__FILL_RUNNING;
}

static void check_fill(const struct tresor__ledger *ledger, uint32_t number, struct cover cover)
{
    const struct tresor__interval *interval = &ledger->intervals[number];
    uint64_t bytes = tresor__ledger_end(ledger, number + 1) - tresor__ledger_start(ledger, number);
    assert(interval->users == cover.users);
    assert(is_backed(interval) ? interval->backing < TRESOR__BACKING_COUNT
                     : interval->backing == TRESOR__BACKING_NONE);
    assert(interval->missing_bytes <= bytes);
    assert((interval->missing_bytes > 0) == (interval->fill == TRESOR__FILL_RUNNING));
    /* What nobody was promised may stay empty; what could be filled again is released first. */
    if (interval->fill == TRESOR__FILL_EMPTY)
        assert(cover.users == cover.failed_users);
    if (interval->fill == TRESOR__FILL_WANTED)
        assert(cover.users > 0);
    if (interval->fill == TRESOR__FILL_FULL)
        assert(cover.users > 0);
    if (interval->fill == TRESOR__FILL_SPENT)
        assert(cover.users == 0 || interval->failed);
}

static void check_lock(const struct tresor__ledger *ledger, uint32_t number, struct cover cover)
{
    const struct tresor__interval *interval = &ledger->intervals[number];
    assert(interval->locks == cover.locks);
    if (interval->lock == TRESOR__LOCK_NONE)
        assert(cover.locks == cover.failed_locks);
    if (interval->lock == TRESOR__LOCK_WANTED || interval->lock == TRESOR__LOCK_HELD)
        assert(cover.locks > 0);
    if (interval->lock == TRESOR__LOCK_SPENT)
        assert(cover.locks == 0);
}

static bool moves(const struct tresor__span *span, const struct tresor__interval *interval)
{
    return span->swap_role == TRESOR__SPAN_LOADING && span->swap_target == interval->swap_target;
}

/* What moves is full and not locked, and who wants it moved is its user. */
static void check_swap(const struct tresor__ledger *ledger, uint32_t number)
{
    const struct tresor__interval *interval = &ledger->intervals[number];
    uint64_t bytes = tresor__ledger_start(ledger, number + 1) - tresor__ledger_start(ledger, number);
    uint32_t wanting = 0;
    for (uint32_t i = interval->first_cover; i < ledger->intervals[number + 1].first_cover; i++)
        wanting += moves(&ledger->spans[ledger->covers[i]], interval);
    assert(interval->swapped_bytes < bytes);
    if (interval->swapped_bytes > 0)
        assert(interval->fill >= TRESOR__FILL_FULL);
    if (interval->swap != TRESOR__SWAP_NONE)
        assert(interval->fill == TRESOR__FILL_FULL && interval->users > 0 &&
               !interval->lock_leaked && interval->lock <= TRESOR__LOCK_WANTED);
    if (interval->swap == TRESOR__SWAP_WANTED)
        assert(wanting > 0 && interval->lock == TRESOR__LOCK_NONE);
}

static void check_span_swap(const struct tresor__ledger *ledger, const struct tresor__span *span)
{
    uint32_t moving = 0;
    uint32_t running = 0;
    for (uint32_t i = 0; i < span->interval_count; i++) {
        const struct tresor__interval *interval = &ledger->intervals[span->first_interval + i];
        bool is_its = interval->swap_target == span->swap_target;
        moving += is_its && interval->swap != TRESOR__SWAP_NONE;
        running += is_its && interval->swap == TRESOR__SWAP_RUNNING;
    }
    if (span->swap_role == TRESOR__SPAN_ABSENT)
        return;
    assert(span->role == TRESOR__SPAN_RESIDENT && !is_user(span->lock_role));
    assert(span->swap_role == TRESOR__SPAN_LOADING ? moving > 0 : running > 0);
}

static bool covers(const struct tresor__span *span, uint32_t number)
{
    return number >= span->first_interval && number - span->first_interval < span->interval_count;
}

static void check_waiters(const struct tresor__ledger *ledger, uint32_t number)
{
    const struct tresor__interval *interval = &ledger->intervals[number];
    if (interval->releaser != TRESOR_NONE) {
        const struct tresor__span *span = &ledger->spans[interval->releaser];
        assert(span->role == TRESOR__SPAN_LEAVING && covers(span, number));
        assert(interval->fill == TRESOR__FILL_SPENT || interval->fill == TRESOR__FILL_RELEASING);
    }
    if (interval->unlocker != TRESOR_NONE) {
        const struct tresor__span *span = &ledger->spans[interval->unlocker];
        assert(span->lock_role == TRESOR__SPAN_LEAVING && covers(span, number));
        assert(interval->lock == TRESOR__LOCK_SPENT || interval->lock == TRESOR__LOCK_RELEASING);
    }
}

static void check_span(const struct tresor__ledger *ledger, uint32_t index)
{
    const struct tresor__span *span = &ledger->spans[index];
    uint32_t missing = 0;
    uint32_t leaving = 0;
    uint32_t unlocked = 0;
    uint32_t unlocking = 0;
    assert(span->first_interval + span->interval_count <= ledger->interval_count);
    for (uint32_t i = 0; i < span->interval_count; i++) {
        const struct tresor__interval *interval = &ledger->intervals[span->first_interval + i];
        missing += interval->fill != TRESOR__FILL_FULL;
        leaving += interval->releaser == index;
        unlocked += interval->lock != TRESOR__LOCK_HELD;
        unlocking += interval->unlocker == index;
    }
    assert(span->role != TRESOR__SPAN_LOADING || (missing > 0 && span->waiting == missing));
    assert(span->role != TRESOR__SPAN_RESIDENT || missing == 0);
    assert(span->role != TRESOR__SPAN_LEAVING || (leaving > 0 && span->waiting == leaving));
    assert(span->lock_role != TRESOR__SPAN_LOADING ||
           (unlocked > 0 && span->lock_waiting == unlocked));
    assert(span->lock_role != TRESOR__SPAN_RESIDENT || unlocked == 0);
    assert(span->lock_role != TRESOR__SPAN_LEAVING ||
           (unlocking > 0 && span->lock_waiting == unlocking));
    assert(!is_user(span->lock_role) || span->role == TRESOR__SPAN_RESIDENT);
    assert(span->news == 0 || span->in_news);
}

static void check_news(const struct tresor__ledger *ledger)
{
    uint32_t queued = 0;
    uint32_t watchers = 0;
    uint32_t last = TRESOR_NONE;
    for (uint32_t rank = 0; rank < ledger->order_count; rank++) {
        queued += ledger->spans[ledger->order[rank]].in_news;
        watchers += ledger->spans[ledger->order[rank]].watchers;
    }
    assert(watchers == ledger->watchers);
    for (uint32_t i = ledger->news_head; i != TRESOR_NONE; i = ledger->spans[i].next_news) {
        assert(ledger->spans[i].in_news && queued > 0);
        queued--;
        last = i;
    }
    assert(queued == 0 && last == ledger->news_tail);
}

/* The set's count and its summary words agree with its words. */
static void check_bitset(const struct tresor__bitset *set)
{
    uint32_t count = 0;
    uint32_t words = (set->size + 63) / 64;
    for (uint32_t i = 0; i < words; i++) {
        count += (uint32_t)__builtin_popcountll(set->words[i]);
        assert((set->summary[i / 64] >> (i % 64) & 1) == (set->words[i] != 0));
    }
    assert(count == set->count);
}

static void check_bitsets(const struct tresor__ledger *ledger)
{
    for (uint32_t backing = 0; backing < TRESOR__BACKING_COUNT; backing++) {
        for (uint32_t urgency = 0; urgency < TRESOR__URGENCY_COUNT; urgency++)
            check_bitset(&ledger->fill[backing][urgency]);
        assert(ledger->in_hand[backing] < TRESOR__URGENCY_COUNT);
        check_bitset(&ledger->release[backing]);
    }
    check_bitset(&ledger->swap[0]);
    check_bitset(&ledger->swap[1]);
    check_bitset(&ledger->lock);
    check_bitset(&ledger->unlock);
    check_bitset(&ledger->seams);
}

/* Where a place has no pages within or beside it there is no seam, so that they do not become more and more. */
static void check_seams(const struct tresor__ledger *ledger)
{
    uint32_t number = 0;
    for (uint32_t seam = tresor__bitset_next(&ledger->seams, 0); seam != TRESOR_NONE;
         seam = tresor__bitset_next(&ledger->seams, seam + 1)) {
        uint64_t start = seam / 2 * TRESOR__HUGE_PAGE_BYTES;
        uint64_t end = seam % 2 ? start + TRESOR__HUGE_PAGE_BYTES - 1 : start;
        bool has_pages = false;
        while (number > 0 && tresor__ledger_start(ledger, number) >= start)
            number--;
        for (; number < ledger->interval_count && tresor__ledger_start(ledger, number) <= end; number++)
            has_pages = has_pages || (tresor__ledger_start(ledger, number + 1) >= start &&
                                      tresor__interval_has_pages(&ledger->intervals[number]));
        assert(has_pages);
    }
    assert(ledger->seams.count <= ledger->room->seam_count);
}

void tresor__ledger_check(const struct tresor__ledger *ledger)
{
    uint64_t resident[TRESOR__BACKING_COUNT] = {0};
    uint64_t locked = 0;
    uint64_t leaked = 0;
    uint64_t spare = 0;
    uint64_t committed = 0;
    uint64_t leaving = 0;
    uint64_t charged = 0;
    uint32_t lent = 0;
    for (uint32_t i = 0; i < ledger->interval_count; i++) {
        const struct tresor__interval *interval = &ledger->intervals[i];
        uint64_t bytes = tresor__ledger_start(ledger, i + 1) - tresor__ledger_start(ledger, i);
        struct cover cover = cover_of(ledger, i);
        assert(bytes > 0);
        check_sets(ledger, i);
        check_fill(ledger, i, cover);
        check_lock(ledger, i, cover);
        check_waiters(ledger, i);
        check_swap(ledger, i);
        if (interval->fill == TRESOR__FILL_FULL)
            resident[interval->backing] += bytes - interval->swapped_bytes;
        if (interval->fill == TRESOR__FILL_FULL)
            resident[!interval->backing] += interval->swapped_bytes;
        assert(interval->unlocked_bytes <= bytes &&
               (interval->unlocked_bytes == 0 || interval->lock >= TRESOR__LOCK_HELD));
        if (interval->lock >= TRESOR__LOCK_HELD || interval->lock_leaked)
            locked += bytes - interval->unlocked_bytes;
        if (interval->leaked)
            leaked += bytes;
        if (interval->spare)
            spare += bytes;
        if (interval->users > 0 && !ledger->is_held)
            committed += bytes;
        if (interval->users > 0 && !ledger->is_held && interval->yielding == interval->users)
            leaving += bytes;
        assert(interval->charged ==
               (tresor__interval_has_pages(interval) && !interval->lent && !ledger->is_held));
        if (interval->charged)
            charged += bytes;
        lent += interval->lent;
    }
    for (uint32_t rank = 0; rank < ledger->order_count; rank++)
        check_span(ledger, ledger->order[rank]);
    for (uint32_t rank = 0; rank < ledger->order_count; rank++)
        check_span_swap(ledger, &ledger->spans[ledger->order[rank]]);
    check_news(ledger);
    check_bitsets(ledger);
    for (uint32_t backing = 0; backing < TRESOR__BACKING_COUNT; backing++)
        assert(resident[backing] == ledger->resident_bytes[backing]);
    assert(locked == ledger->locked_bytes);
    assert(leaked == ledger->leaked_bytes && leaked <= ledger->room->leaked_bytes);
    assert(spare == ledger->spare_bytes);
    assert(lent == ledger->lent_count);
    assert(committed == ledger->committed_bytes && committed <= ledger->room->committed_bytes);
    assert(leaving == ledger->leaving_bytes && leaving <= ledger->room->leaving_bytes);
    charged += ledger->exchange_bytes;
    assert(charged == ledger->charged_bytes && charged <= ledger->room->charged_bytes);
    check_seams(ledger);
}
