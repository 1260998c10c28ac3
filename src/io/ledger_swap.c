/* SPDX-License-Identifier: MIT */
/*
 * The ledger's part of swaps. An interval is moved from its start, chunk by chunk, and back from where that has come to,
 * so that at every moment one number says which of its bytes have which backing. Who waits for it is not counted, but
 * looked for among the tensors that cover it: those that want the same backing.
 */
#include <assert.h>

#include "io/ledger.h"
#include "io/seams.h"

static uint64_t mapped_bytes(const struct tresor__ledger *ledger, uint32_t number)
{
    return tresor__ledger_start(ledger, number + 1) - tresor__ledger_start(ledger, number);
}

/* Of an interval, those that have not got that backing. */
static uint64_t left_bytes(const struct tresor__ledger *ledger, uint32_t number, uint8_t target)
{
    const struct tresor__interval *interval = &ledger->intervals[number];
    return interval->backing == target ? interval->swapped_bytes
                                       : mapped_bytes(ledger, number) - interval->swapped_bytes;
}

static bool is_wanted(const struct tresor__ledger *ledger, uint32_t number)
{
    const struct tresor__interval *interval = &ledger->intervals[number];
    for (uint32_t i = interval->first_cover; i < ledger->intervals[number + 1].first_cover; i++) {
        const struct tresor__span *span = &ledger->spans[ledger->covers[i]];
        if (span->swap_role == TRESOR__SPAN_LOADING && span->swap_target == interval->swap_target)
            return true;
    }
    return false;
}

/* Some interval of the tensor is in that state for its sake. */
static bool has_swap(const struct tresor__ledger *ledger, const struct tresor__span *span,
                     enum tresor__swap_fill least)
{
    for (uint32_t i = 0; i < span->interval_count; i++) {
        const struct tresor__interval *interval = &ledger->intervals[span->first_interval + i];
        if (interval->swap >= least && interval->swap_target == span->swap_target)
            return true;
    }
    return false;
}

static void leave_alone(struct tresor__ledger *ledger, uint32_t number)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    if (interval->swap == TRESOR__SWAP_WANTED)
        tresor__bitset_remove(&ledger->swap[interval->swap_target], number);
    interval->swap = TRESOR__SWAP_NONE;
}

static void end(struct tresor__ledger *ledger, uint32_t index, enum tresor__span_news news)
{
    ledger->spans[index].swap_role = TRESOR__SPAN_ABSENT;
    tresor__ledger_tell(ledger, index, news);
}

static void end_if_over(struct tresor__ledger *ledger, uint32_t index)
{
    const struct tresor__span *span = &ledger->spans[index];
    if (span->swap_role == TRESOR__SPAN_LOADING && !has_swap(ledger, span, TRESOR__SWAP_WANTED))
        end(ledger, index, TRESOR__NEWS_SWAPPED);
    if (span->swap_role == TRESOR__SPAN_LEAVING && !has_swap(ledger, span, TRESOR__SWAP_RUNNING))
        end(ledger, index, TRESOR__NEWS_SWAPPED);
}

/* What only this tensor, which does not want it any more, had wanted stays as it is. */
static void leave_span_alone(struct tresor__ledger *ledger, const struct tresor__span *span)
{
    for (uint32_t i = 0; i < span->interval_count; i++) {
        uint32_t number = span->first_interval + i;
        const struct tresor__interval *interval = &ledger->intervals[number];
        if (interval->swap == TRESOR__SWAP_WANTED && !is_wanted(ledger, number))
            leave_alone(ledger, number);
    }
}

void tresor__ledger_swap(struct tresor__ledger *ledger, uint32_t index,
                         enum tresor__backing target)
{
    struct tresor__span *span = &ledger->spans[index];
    assert(span->role == TRESOR__SPAN_RESIDENT && span->swap_role == TRESOR__SPAN_ABSENT);
    span->swap_role = TRESOR__SPAN_LOADING;
    span->swap_target = (uint8_t)target;
    span->swap_wanted_bytes = 0;
    span->swap_moved_bytes = 0;
    for (uint32_t i = 0; i < span->interval_count; i++) {
        uint32_t number = span->first_interval + i;
        struct tresor__interval *interval = &ledger->intervals[number];
        uint64_t left = left_bytes(ledger, number, span->swap_target);
        if (left == 0 || interval->lock != TRESOR__LOCK_NONE || interval->lock_leaked)
            continue;
        if (interval->swap == TRESOR__SWAP_NONE) {
            interval->swap = TRESOR__SWAP_WANTED;
            interval->swap_target = span->swap_target;
            tresor__bitset_add(&ledger->swap[target], number);
        }
        if (interval->swap_target == span->swap_target)
            span->swap_wanted_bytes += left;
    }
    end_if_over(ledger, index);
}

void tresor__ledger_stop_swap(struct tresor__ledger *ledger, uint32_t index)
{
    struct tresor__span *span = &ledger->spans[index];
    if (span->swap_role != TRESOR__SPAN_LOADING)
        return; /* it is over, and its news are on their way */
    span->swap_role = TRESOR__SPAN_LEAVING;
    leave_span_alone(ledger, span);
    end_if_over(ledger, index);
}

void tresor__ledger_keep_from_swap(struct tresor__ledger *ledger, uint32_t number)
{
    const struct tresor__interval *interval = &ledger->intervals[number];
    if (interval->swap != TRESOR__SWAP_WANTED)
        return;
    leave_alone(ledger, number);
    for (uint32_t i = interval->first_cover; i < ledger->intervals[number + 1].first_cover; i++)
        end_if_over(ledger, ledger->covers[i]);
}

/* An interval that was moved in part, and shall be moved back: from the end of that part. */
static void choose_backward(const struct tresor__ledger *ledger, uint64_t limit_bytes,
                            struct tresor__swap_chunk *chunk)
{
    uint64_t start = tresor__ledger_start(ledger, chunk->extent.first);
    uint64_t until = start + ledger->intervals[chunk->extent.first].swapped_bytes;
    uint64_t from = (until - 1) / limit_bytes * limit_bytes;
    chunk->offset = from > start ? from : start;
    chunk->length = until - chunk->offset;
}

/* From where the first interval has come to, and on into its neighbours. */
static void choose_forward(const struct tresor__ledger *ledger, uint64_t limit_bytes,
                           struct tresor__swap_chunk *chunk)
{
    uint32_t last = chunk->extent.first;
    chunk->offset = tresor__ledger_start(ledger, last) + ledger->intervals[last].swapped_bytes;
    uint64_t limit = (chunk->offset / limit_bytes + 1) * limit_bytes;
    do
        last++;
    while (last < ledger->interval_count && tresor__ledger_start(ledger, last) < limit &&
           tresor__bitset_has(&ledger->swap[chunk->target], last) &&
           ledger->intervals[last].backing != chunk->target &&
           ledger->intervals[last].swapped_bytes == 0);
    uint64_t reach = tresor__ledger_start(ledger, last);
    chunk->extent.last = last;
    chunk->length = (reach < limit ? reach : limit) - chunk->offset;
}

bool tresor__ledger_next_swap(const struct tresor__ledger *ledger, uint64_t limit_bytes,
                              struct tresor__swap_chunk *chunk)
{
    /* What gives private memory back comes first. */
    uint8_t target = ledger->swap[TRESOR__BACKING_FILE].count > 0 ? TRESOR__BACKING_FILE
                                                                  : TRESOR__BACKING_ANONYMOUS;
    uint32_t first = tresor__bitset_next(&ledger->swap[target], 0);
    if (first == TRESOR_NONE)
        return false;
    *chunk = (struct tresor__swap_chunk){.extent = {first, first + 1}, .target = target};
    if (ledger->intervals[first].backing == target)
        choose_backward(ledger, limit_bytes, chunk);
    else
        choose_forward(ledger, limit_bytes, chunk);
    return true;
}

bool tresor__ledger_take_swap(struct tresor__ledger *ledger, uint64_t limit_bytes,
                              struct tresor__swap_chunk *chunk)
{
    if (!tresor__ledger_next_swap(ledger, limit_bytes, chunk))
        return false;
    for (uint32_t i = chunk->extent.first; i < chunk->extent.last; i++) {
        tresor__bitset_remove(&ledger->swap[chunk->target], i);
        ledger->intervals[i].swap = TRESOR__SWAP_RUNNING;
    }
    return true;
}

/* Of the chunk's bytes, those of an interval. */
static uint64_t overlap(const struct tresor__ledger *ledger, const struct tresor__swap_chunk *chunk,
                        uint32_t number)
{
    uint64_t from = tresor__ledger_start(ledger, number);
    uint64_t until = tresor__ledger_start(ledger, number + 1);
    uint64_t end = chunk->offset + chunk->length;
    from = from > chunk->offset ? from : chunk->offset;
    until = until < end ? until : end;
    return until - from;
}

static void move(struct tresor__ledger *ledger, const struct tresor__swap_chunk *chunk,
                 uint32_t number)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    uint64_t bytes = overlap(ledger, chunk, number);
    ledger->resident_bytes[chunk->target] += bytes;
    ledger->resident_bytes[!chunk->target] -= bytes;
    if (interval->backing == chunk->target) {
        interval->swapped_bytes -= bytes;
        return;
    }
    interval->swapped_bytes += bytes;
    if (interval->swapped_bytes < mapped_bytes(ledger, number))
        return;
    interval->swapped_bytes = 0;
    interval->backing = chunk->target;
}

/* The chunk is over: the interval is moved on, or left, or locked, which has waited for that. */
static void settle_interval(struct tresor__ledger *ledger, const struct tresor__swap_chunk *chunk,
                            uint32_t number, bool failed)
{
    struct tresor__interval *interval = &ledger->intervals[number];
    assert(interval->swap == TRESOR__SWAP_RUNNING && interval->fill == TRESOR__FILL_FULL);
    interval->swap = TRESOR__SWAP_NONE;
    if (interval->lock == TRESOR__LOCK_WANTED)
        tresor__bitset_add(&ledger->lock, number);
    if (failed || interval->lock != TRESOR__LOCK_NONE || !is_wanted(ledger, number) ||
        left_bytes(ledger, number, chunk->target) == 0)
        return;
    interval->swap = TRESOR__SWAP_WANTED;
    tresor__bitset_add(&ledger->swap[chunk->target], number);
}

struct tresor__failure tresor__ledger_swap_failure(const struct tresor__ledger *ledger,
                                                   uint32_t index, int32_t code)
{
    const struct tresor__span *span = &ledger->spans[index];
    struct tresor__failure failure = {.code = code, .wanted = span->swap_wanted_bytes};
    bool over = span->swap_moved_bytes > span->swap_wanted_bytes;
    failure.got = over ? span->swap_wanted_bytes : span->swap_moved_bytes;
    for (uint32_t i = 0; i < span->interval_count; i++) {
        uint32_t number = span->first_interval + i;
        const struct tresor__interval *interval = &ledger->intervals[number];
        failure.offset = interval->start_bytes;
        if (left_bytes(ledger, number, span->swap_target) == 0)
            continue;
        failure.offset += interval->backing == span->swap_target ? 0 : interval->swapped_bytes;
        break;
    }
    return failure;
}

static void fail_span(struct tresor__ledger *ledger, uint32_t index,
                      const struct tresor__failure *failure)
{
    struct tresor__span *span = &ledger->spans[index];
    span->failure = tresor__ledger_swap_failure(ledger, index, failure->code);
    span->failure.os_errno = failure->os_errno;
    span->failure.offset = failure->offset;
    span->swap_role = TRESOR__SPAN_ABSENT;
    leave_span_alone(ledger, span);
    tresor__ledger_tell(ledger, index, TRESOR__NEWS_SWAP_FAILED);
}

static void settle_spans(struct tresor__ledger *ledger, const struct tresor__swap_chunk *chunk,
                         uint32_t number, const struct tresor__failure *failure)
{
    uint32_t last = ledger->intervals[number + 1].first_cover;
    for (uint32_t i = ledger->intervals[number].first_cover; i < last; i++) {
        uint32_t index = ledger->covers[i];
        const struct tresor__span *span = &ledger->spans[index];
        bool moves = span->swap_role == TRESOR__SPAN_LOADING && span->swap_target == chunk->target;
        if (moves && failure)
            fail_span(ledger, index, failure);
        else
            end_if_over(ledger, index);
    }
}

static void count_moved(struct tresor__ledger *ledger, const struct tresor__swap_chunk *chunk,
                        uint32_t number)
{
    uint32_t last = ledger->intervals[number + 1].first_cover;
    for (uint32_t i = ledger->intervals[number].first_cover; i < last; i++) {
        struct tresor__span *span = &ledger->spans[ledger->covers[i]];
        if (span->swap_role != TRESOR__SPAN_ABSENT && span->swap_target == chunk->target)
            span->swap_moved_bytes += overlap(ledger, chunk, number);
    }
}

void tresor__ledger_swapped(struct tresor__ledger *ledger, const struct tresor__swap_chunk *chunk,
                            const struct tresor__failure *failure)
{
    struct tresor__extent extent = chunk->extent;
    /* A move that failed may have had others put there. */
    tresor__seams_map(ledger, chunk->offset, chunk->offset + chunk->length, failure != NULL);
    for (uint32_t i = extent.first; i < extent.last; i++)
        ledger->intervals[i].small_bytes = 0;
    for (uint32_t i = extent.first; i < extent.last && !failure; i++) {
        count_moved(ledger, chunk, i);
        move(ledger, chunk, i);
    }
    for (uint32_t i = extent.first; i < extent.last; i++)
        settle_interval(ledger, chunk, i, failure != NULL);
    for (uint32_t i = extent.first; i < extent.last; i++)
        settle_spans(ledger, chunk, i, failure);
}
