/* SPDX-License-Identifier: MIT */
/* A walk that nobody was told of before: each tensor is asked for when it is used. */
#include "calls.h"
#include "interrupt.h"
#include "walk.h"

#define WAIT_MS 100 /* for a signal */

/** Take what has happened to a load of one tensor. True once it has ended. */
static bool take_events(struct walk *walk, struct tresor_request request, const void **data)
{
    struct tresor_event event;
    bool has_ended = false;
    while (calls_next_event(walk->opened, &event) == 1) {
        if (event.type == TRESOR_EVENT_DEGRADED)
            degraded_add(walk->degraded, &event);
        if (event.type == TRESOR_EVENT_ITEM && event.flags & TRESOR_EVENT_PINNED)
            *data = event.data;
        if (event.type == TRESOR_EVENT_DONE && event.request.value == request.value) {
            has_ended = true;
            if (event.error.code != TRESOR_OK) {
                failures_add(walk->failures, &event.error);
                walk->has_failed = true;
            }
        }
    }
    return has_ended;
}

/** Load what is absent, and acquire it in one. False if that failed, or a signal came. */
static bool load_pinned(struct walk *walk, const struct walk_step *step, const void **data)
{
    const struct tresor_request_options options = {
        .size_bytes = sizeof options,
        .flags = TRESOR_REQUEST_PIN,
        .strategy = walk->strategy,
        .urgency = TRESOR_URGENCY_URGENT,
    };
    struct tresor_request request;
    bool is_cancelled = false;
    *data = NULL;
    const int32_t refused = calls_load(walk->opened, step->item, &options, &request);
    if (refused != TRESOR_OK) {
        walk_fail(walk, refused, step->tensor);
        return false;
    }
    while (!take_events(walk, request, data)) {
        if (interrupt_signal() && !is_cancelled)
            is_cancelled = calls_cancel(walk->opened, request) == TRESOR_OK;
        calls_wait(walk->opened, WAIT_MS);
    }
    return *data;
}

static bool use_step(struct walk *walk, struct walk_step *step)
{
    const void *data = NULL;
    const int32_t code = calls_acquire(walk->opened, step->item, &data);
    if (code == TRESOR_OK)
        walk->pass->hits++;
    else if (code == TRESOR_ERROR_POISONED)
        walk_fail_poisoned(walk, step->tensor);
    else if (code != TRESOR_ERROR_NOT_RESIDENT)
        walk_fail(walk, code, step->tensor);
    else if (!load_pinned(walk, step, &data))
        return false;
    if (!data)
        return false;
    const bool is_same = walk_use(walk, step, data);
    if (calls_release(walk->opened, step->item) == TRESOR_ERROR_POISONED)
        walk_fail_poisoned(walk, step->tensor);
    else if (!is_same)
        walk_fail_sum(walk, step);
    return !walk->has_failed;
}

void walk_on_demand(struct walk *walk)
{
    for (uint32_t i = walk->first; i < walk->last && !interrupt_signal(); i++) {
        if (!use_step(walk, &walk->steps.list[i]))
            return;
        walk_draw(walk, walk->pass->used_bytes);
    }
}
