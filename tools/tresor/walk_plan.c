/* SPDX-License-Identifier: MIT */
/* A walk whose order is declared: one thread uses the tensors, and this one keeps the plan going.
 */
#include <pthread.h>
#include <stdlib.h>

#include "calls.h"
#include "interrupt.h"
#include "walk.h"

#define WAIT_MS 100 /* for a signal */

/** What the two threads share of a pass. */
struct use {
    struct walk *walk;
    struct walk_step *different; /* whose bytes have changed */
    struct walk_step *refused;
    int32_t code; /* of the one refused, or poisoned */
    atomic_ullong progress_bytes;
    atomic_bool is_stopped; /* asked of the thread */
    atomic_bool is_over;    /* said by it */
};

/** Acquire a step however long it takes. False if that failed or shall not go on. */
static bool acquire(struct use *use, struct walk_step *step, const void **data)
{
    const struct opened *opened = use->walk->opened;
    int32_t code = calls_acquire(opened, step->item, data);
    if (code == TRESOR_OK)
        use->walk->pass->hits++;
    while ((code == TRESOR_ERROR_NOT_RESIDENT || code == TRESOR_ERROR_AGAIN) &&
           !atomic_load(&use->is_stopped))
        code = calls_acquire_wait(opened, step->item, WAIT_MS, data);
    if (code == TRESOR_OK)
        return true;
    if (!atomic_load(&use->is_stopped)) {
        use->refused = step;
        use->code = code;
    }
    return false;
}

static void *use_steps(void *cookie)
{
    struct use *use = cookie;
    struct walk *walk = use->walk;
    for (uint32_t i = walk->first; i < walk->last && !atomic_load(&use->is_stopped); i++) {
        struct walk_step *step = &walk->steps.list[i];
        const void *data;
        if (!acquire(use, step, &data))
            break;
        const bool is_same = walk_use(walk, step, data);
        use->code = calls_release(walk->opened, step->item);
        atomic_store(&use->progress_bytes, walk->pass->used_bytes);
        if (use->code == TRESOR_ERROR_POISONED)
            use->refused = step;
        else if (!is_same)
            use->different = step;
        if (use->refused || use->different)
            break;
    }
    atomic_store(&use->is_over, true);
    calls_wake(walk->opened);
    return NULL;
}

/** The first tensor that fails ends the walk. */
static void take_events(struct walk *walk)
{
    struct tresor_event event;
    while (calls_next_event(walk->opened, &event) == 1) {
        const bool is_failure =
            event.error.code != TRESOR_OK && event.error.code != TRESOR_ERROR_CANCELLED;
        if (event.type == TRESOR_EVENT_DEGRADED) {
            degraded_add(walk->degraded, &event);
        } else if (event.type == TRESOR_EVENT_POISONED || (event.type == TRESOR_EVENT_ITEM && is_failure)) {
            failures_add(walk->failures, &event.error);
            walk->has_failed = true;
        } else if (event.type == TRESOR_EVENT_DONE && event.request.value == walk->plan.value) {
            /* It stands until it is cancelled; nothing would come any more. */
            walk->has_plan = false;
            failures_add(walk->failures, &event.error);
            walk->has_failed = true;
        }
    }
}

static void watch(struct walk *walk, struct use *use)
{
    while (!atomic_load(&use->is_over)) {
        take_events(walk);
        if (interrupt_signal() || walk->has_failed)
            atomic_store(&use->is_stopped, true);
        walk_draw(walk, atomic_load(&use->progress_bytes));
        calls_wait(walk->opened, WAIT_MS);
    }
}

void walk_by_plan(struct walk *walk)
{
    struct use use = {.walk = walk};
    pthread_t thread;
    if (pthread_create(&thread, NULL, use_steps, &use) != 0) {
        walk_fail(walk, TRESOR_ERROR_NO_MEMORY, TRESOR_NONE);
        return;
    }
    watch(walk, &use);
    pthread_join(thread, NULL);
    take_events(walk);
    if (use.different)
        walk_fail_sum(walk, use.different);
    if (use.refused && use.code == TRESOR_ERROR_POISONED && !walk->has_failed)
        walk_fail_poisoned(walk, use.refused->tensor);
    else if (use.refused && use.code != TRESOR_ERROR_POISONED)
        walk_fail(walk, use.code, use.refused->tensor);
}

/** Of the steps in their order, to be freed. */
static struct tresor_item *items_of(const struct walk_steps *steps)
{
    struct tresor_item *items = calloc(steps->count, sizeof *items);
    for (uint32_t i = 0; items && i < steps->count; i++)
        items[i] = steps->list[i].item;
    return items;
}

bool walk_begin_plan(struct walk *walk, uint32_t step, uint64_t *window_bytes)
{
    const struct tresor_plan_options options = {
        .size_bytes = sizeof options,
        .flags = TRESOR_PLAN_CYCLIC,
        .strategy = walk->strategy,
        .window_bytes = walk->options->window_bytes,
    };
    struct tresor_plan_info info = {.size_bytes = sizeof info};
    struct tresor_item *items = items_of(&walk->steps);
    int32_t code = TRESOR_ERROR_NO_MEMORY;
    if (items)
        code = calls_plan(walk->opened, items, walk->steps.count, &options, &walk->plan);
    free(items);
    walk->has_plan = code == TRESOR_OK;
    if (code == TRESOR_OK && step > 0)
        code = calls_seek(walk->opened, walk->plan, step);
    if (code == TRESOR_OK)
        code = tresor_plan_get_info(walk->opened->context, walk->plan, &info);
    *window_bytes = info.window_bytes;
    /* The plan does not say which step it is; the one of most pages is. */
    if (code != TRESOR_OK)
        walk_fail(walk, code,
                  code == TRESOR_ERROR_TOO_BIG ? walk_steps_largest(&walk->steps)->tensor
                                               : TRESOR_NONE);
    return code == TRESOR_OK;
}

void walk_end_plan(struct walk *walk)
{
    struct tresor_event event;
    if (walk->has_plan && calls_cancel(walk->opened, walk->plan) == TRESOR_OK)
        calls_finish(walk->opened, walk->plan, &event);
    walk->has_plan = false;
}
