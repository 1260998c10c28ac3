/* SPDX-License-Identifier: MIT */
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void end_pass(struct walk *walk, const struct before *before)
{
    struct walk_pass *pass = walk->pass;
    struct before now;
    pass->duration_ns = clock_ns() - before->clock_ns;
    look(walk, &now);
    pass->misses = now.counters.misses - before->counters.misses;
    pass->late = now.counters.late - before->counters.late;
    if (walk->strategy == TRESOR_STRATEGY_READ) {
        pass->read_bytes = now.counters.read_bytes - before->counters.read_bytes;
        pass->read_is_known = true;
    } else {
        pass->read_bytes = now.disk_bytes - before->disk_bytes;
        pass->read_is_known = now.disk_is_known && before->disk_is_known;
    }
    if (!walk->peak_is_sampled)
        pass->peak_bytes = process_peak_bytes();
    walk->used_bytes += pass->used_bytes;
}

/** False if it is not whole. */
static bool run_pass(struct walk *walk)
{
    struct before before;
    begin_pass(walk, &before);
    if (walk->has_plan)
        walk_by_plan(walk);
    else
        walk_on_demand(walk);
    end_pass(walk, &before);
    return walk->pass->used == walk->steps.count && !walk->has_failed;
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
        tresor_set_priority(walk->opened->context, step->item, priority);
    }
}

static bool begin(struct walk *walk, struct tresor_item item, struct walk_result *result)
{
    const uint32_t passes = walk->options->passes > 0 ? walk->options->passes : 1;
    int32_t code = walk_steps_make(walk->opened, item, &walk->steps);
    result->passes = calloc(passes, sizeof *result->passes);
    if (code == TRESOR_OK && !result->passes)
        code = TRESOR_ERROR_NO_MEMORY;
    if (code != TRESOR_OK) {
        walk_fail(walk, code, TRESOR_NONE);
        return false;
    }
    if (walk->options->policy == WALK_POLICY_PRIORITY)
        prioritise(walk);
    if (walk->options->policy == WALK_POLICY_PLAN && walk->steps.count > 0)
        return walk_begin_plan(walk, &result->window_bytes);
    return true;
}

static bool run_passes(struct walk *walk, struct walk_result *result)
{
    const uint32_t passes = walk->options->passes > 0 ? walk->options->passes : 1;
    for (uint32_t i = 0; i < passes; i++) {
        walk->pass = &result->passes[result->pass_count++];
        if (!run_pass(walk))
            return false;
    }
    return true;
}

bool walk_run(struct walk *walk, struct tresor_item item, struct walk_result *result)
{
    bool is_whole = false;
    if (begin(walk, item, result)) {
        progress_begin(walk->progress, walk->steps.total_bytes *
                                           (walk->options->passes > 0 ? walk->options->passes : 1));
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
