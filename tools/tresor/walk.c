/* SPDX-License-Identifier: MIT */
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "clock.h"
#include "interrupt.h"
#include "process_memory.h"

void walk_fail(struct walk *walk, int32_t code, uint32_t tensor)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    struct tresor_error error = error_of_code(code);
    if (tensor != TRESOR_NONE &&
        tresor_source_get_tensor(walk->opened->context, walk->opened->source, tensor, &info) ==
            TRESOR_OK) {
        error.source = walk->opened->source.value;
        error.file = info.file;
        error.tensor = tensor;
    }
    failures_add(walk->failures, &error);
    walk->has_failed = true;
}

void walk_fail_sum(struct walk *walk, const struct walk_step *step)
{
    progress_erase(walk->progress);
    fputs("tresor: bytes of a tensor are not what they were when it was used first\n", stderr);
    walk_fail(walk, TRESOR_ERROR_CHANGED, step->tensor);
}

/** Its events say what was lost, and of which others. */
void walk_fail_poisoned(struct walk *walk, uint32_t tensor)
{
    struct tresor_event event;
    bool is_told = false;
    calls_dispatch(walk->opened);
    while (calls_next_event(walk->opened, &event) == 1) {
        if (event.type != TRESOR_EVENT_POISONED)
            continue;
        failures_add(walk->failures, &event.error);
        is_told = true;
    }
    walk->has_failed = true;
    if (!is_told)
        walk_fail(walk, TRESOR_ERROR_POISONED, tensor);
}

void walk_draw(struct walk *walk, uint64_t used_bytes)
{
    if (progress_due(walk->progress))
        progress_draw(walk->progress, walk->used_bytes + used_bytes);
}

/* --- one pass --- */

/** Where the counts stood when a pass began. */
struct before {
    struct tresor_counters counters;
    uint64_t disk_bytes;
    bool disk_is_known;
    uint64_t clock_ns;
};

static void look(const struct walk *walk, struct before *at)
{
    at->counters.size_bytes = sizeof at->counters;
    tresor_get_counters(walk->opened->context, &at->counters);
    at->disk_is_known = process_disk_bytes(&at->disk_bytes);
}

static void begin_pass(struct walk *walk, struct before *before)
{
    look(walk, before);
    walk->peak_is_sampled = !process_reset_peak();
    before->clock_ns = clock_ns();
}

/** What was read since then, by the way in which it was read. */
static void count_reads(const struct walk *walk, struct before *before)
{
    struct walk_pass *pass = walk->pass;
    struct before now;
    look(walk, &now);
    if (walk->strategy == TRESOR_STRATEGY_READ) {
        pass->read_bytes += now.counters.read_bytes - before->counters.read_bytes;
    } else {
        pass->read_bytes += now.disk_bytes - before->disk_bytes;
        pass->read_is_known = pass->read_is_known && now.disk_is_known && before->disk_is_known;
    }
    before->counters.read_bytes = now.counters.read_bytes;
    before->disk_bytes = now.disk_bytes;
}

static void end_pass(struct walk *walk, struct before *before)
{
    struct walk_pass *pass = walk->pass;
    struct tresor_counters now = {.size_bytes = sizeof now};
    pass->duration_ns = clock_ns() - before->clock_ns;
    count_reads(walk, before);
    tresor_get_counters(walk->opened->context, &now);
    pass->misses = now.misses - before->counters.misses;
    pass->late = now.late - before->counters.late;
    if (!walk->peak_is_sampled)
        pass->peak_bytes = process_peak_bytes();
    walk->used_bytes += pass->used_bytes;
}

/** Use steps up to that one. False if that did not go well, or a signal came. */
static bool use_until(struct walk *walk, uint32_t last)
{
    const uint64_t used = walk->pass->used + (last - walk->first);
    walk->last = last;
    /* To wait for a thread that uses nothing would let the plan begin. */
    if (last == walk->first)
        return !interrupt_signal();
    if (walk->has_plan)
        walk_by_plan(walk);
    else
        walk_on_demand(walk);
    walk->first = last;
    return walk->pass->used == used && !walk->has_failed && !interrupt_signal();
}

/** The steps of this pass before the swap; more than there are where it comes in a later one. */
static uint32_t steps_before_swap(const struct walk *walk, const struct walk_swap *swap)
{
    const long double total = (long double)walk->steps.total_bytes * walk->passes;
    const long double due = total * walk->options->swap_percent / 100;
    long double used = (long double)walk->used_bytes;
    uint32_t steps = 0;
    if (!walk->options->has_swap || swap->is_done)
        return UINT32_MAX;
    while (steps < walk->steps.count && used < due)
        used += (long double)walk->steps.list[steps++].size_bytes;
    return used < due ? UINT32_MAX : steps;
}

/** A plan loads by one strategy: another takes its place. */
static bool swap_here(struct walk *walk, struct before *before, struct walk_result *result)
{
    const bool has_plan = walk->has_plan;
    walk_end_plan(walk);
    count_reads(walk, before);
    walk_swap(walk, &result->swap);
    count_reads(walk, before);
    if (walk->has_failed || interrupt_signal())
        return false;
    return !has_plan ||
           walk_begin_plan(walk, walk->first % walk->steps.count, &result->window_bytes);
}

/** False if it is not whole. */
static bool run_pass(struct walk *walk, struct walk_result *result)
{
    struct before before;
    const uint32_t steps = steps_before_swap(walk, &result->swap);
    bool is_well = true;
    walk->first = 0;
    walk->pass->read_is_known = true;
    begin_pass(walk, &before);
    if (steps != UINT32_MAX)
        is_well = use_until(walk, steps) && swap_here(walk, &before, result);
    is_well = is_well && use_until(walk, walk->steps.count);
    end_pass(walk, &before);
    return is_well;
}

/* --- all passes --- */

/** Earlier layers stay longer. */
static void prioritise(struct walk *walk)
{
    int32_t priority = 0;
    for (uint32_t i = walk->steps.count; i-- > 0;) {
        const struct walk_step *step = &walk->steps.list[i];
        if (i + 1 < walk->steps.count && step->layer != step[1].layer)
            priority++;
        calls_set_priority(walk->opened, step->item, priority);
    }
}

static bool begin(struct walk *walk, struct walk_result *result)
{
    int32_t code = walk_steps_make(walk->opened, walk->item, &walk->steps);
    result->passes = calloc(walk->passes, sizeof *result->passes);
    if (code == TRESOR_OK && !result->passes)
        code = TRESOR_ERROR_NO_MEMORY;
    if (code != TRESOR_OK) {
        walk_fail(walk, code, TRESOR_NONE);
        return false;
    }
    if (walk->options->policy == WALK_POLICY_PRIORITY)
        prioritise(walk);
    if (walk->options->policy == WALK_POLICY_PLAN && walk->steps.count > 0)
        return walk_begin_plan(walk, 0, &result->window_bytes);
    return true;
}

static bool run_passes(struct walk *walk, struct walk_result *result)
{
    for (uint32_t i = 0; i < walk->passes; i++) {
        walk->pass = &result->passes[result->pass_count++];
        if (!run_pass(walk, result))
            return false;
    }
    return true;
}

bool walk_run(struct walk *walk, struct walk_result *result)
{
    bool is_whole = false;
    walk->passes = walk->options->passes > 0 ? walk->options->passes : 1;
    if (begin(walk, result)) {
        progress_begin(walk->progress, walk->steps.total_bytes * walk->passes);
        is_whole = run_passes(walk, result);
        progress_erase(walk->progress);
    }
    walk_end_plan(walk);
    for (uint32_t i = 0; i < walk->steps.count && walk->steps.list; i++)
        result->sum += walk->steps.list[i].sum;
    result->used_bytes = walk->used_bytes;
    return is_whole;
}

void walk_result_free(struct walk_result *result)
{
    free(result->passes);
}
