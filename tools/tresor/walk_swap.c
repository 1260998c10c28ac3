/* SPDX-License-Identifier: MIT */
#include "calls.h"
#include "clock.h"
#include "interrupt.h"
#include "walk.h"

#define WAIT_MS 100 /* for a signal */

/** What is in memory by a strategy, in pages. */
static uint64_t resident_bytes(const struct walk *walk, uint32_t strategy)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    tresor_get_counters(walk->opened->context, &counters);
    return strategy == TRESOR_STRATEGY_READ ? counters.private_bytes : counters.mapped_bytes;
}

/** What has happened to single tensors is told as a load's is. True once the request has ended. */
static bool take_events(struct walk *walk, struct tresor_request request, int32_t *code)
{
    struct tresor_event event;
    bool has_ended = false;
    while (calls_next_event(walk->opened, &event) == 1) {
        const bool is_failure =
            event.error.code != TRESOR_OK && event.error.code != TRESOR_ERROR_CANCELLED;
        if (event.type == TRESOR_EVENT_DEGRADED)
            degraded_add(walk->degraded, &event);
        if (event.type == TRESOR_EVENT_ITEM && is_failure)
            failures_add(walk->failures, &event.error);
        if (event.type == TRESOR_EVENT_DONE && event.request.value == request.value) {
            *code = event.error.code;
            has_ended = true;
        }
    }
    return has_ended;
}

/** Move one tensor; what is not in memory has nothing to move. */
static int32_t swap_step(struct walk *walk, const struct walk_step *step, uint32_t strategy)
{
    struct tresor_request request;
    bool is_cancelled = false;
    int32_t code = calls_swap(walk->opened, step->item, strategy, &request);
    if (code != TRESOR_OK)
        return code;
    while (!take_events(walk, request, &code)) {
        if (interrupt_signal() && !is_cancelled)
            is_cancelled = calls_cancel(walk->opened, request) == TRESOR_OK;
        calls_wait(walk->opened, WAIT_MS);
    }
    return code;
}

/** One after the other, so that under a budget others can leave for the pages that are on their
 * way: what is being swapped cannot. Returns the first error. */
static int32_t run(struct walk *walk, uint32_t strategy)
{
    int32_t first = TRESOR_OK;
    for (uint32_t i = 0; i < walk->steps.count && !interrupt_signal(); i++) {
        const int32_t code = swap_step(walk, &walk->steps.list[i], strategy);
        first = first == TRESOR_OK ? code : first;
    }
    return first == TRESOR_OK && interrupt_signal() ? TRESOR_ERROR_CANCELLED : first;
}

void walk_swap(struct walk *walk, struct walk_swap *swap)
{
    const uint32_t strategy =
        walk->strategy == TRESOR_STRATEGY_READ ? TRESOR_STRATEGY_MMAP : TRESOR_STRATEGY_READ;
    const uint64_t before_bytes = resident_bytes(walk, strategy);
    const uint64_t failures_before = walk->failures->count;
    const uint64_t start_ns = clock_ns();
    swap->is_done = true;
    swap->at_percent = walk->options->swap_percent;
    swap->strategy = tresor_strategy_name(strategy);
    swap->code = run(walk, strategy);
    swap->duration_ns = clock_ns() - start_ns;
    swap->swapped_bytes = resident_bytes(walk, strategy) - before_bytes;
    if (swap->code != TRESOR_OK && swap->code != TRESOR_ERROR_CANCELLED &&
        walk->failures->count == failures_before)
        walk_fail(walk, swap->code, TRESOR_NONE);
    walk->has_failed = walk->has_failed || walk->failures->count > failures_before;
    calls_set_strategy(walk->opened, strategy);
    walk->strategy = strategy;
}
