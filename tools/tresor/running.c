/* SPDX-License-Identifier: MIT */
#include "running.h"

#include <stdbool.h>

#include "interrupt.h"

#define WAIT_MS 100

/** Take what has happened. True once the request has ended. */
static bool take_events(const struct opened *opened, struct tresor_request request,
                        const struct run_watch *watch, struct tresor_event *done)
{
    struct tresor_event event;
    while (calls_next_event(opened, &event) == 1) {
        if (event.type == TRESOR_EVENT_ITEM && event.error.code == TRESOR_ERROR_CANCELLED)
            continue; /* told once, at the end */
        if (event.type == TRESOR_EVENT_ITEM && event.error.code != TRESOR_OK)
            failures_add(watch->failures, &event.error);
        if (event.type == TRESOR_EVENT_POISONED)
            failures_add(watch->failures, &event.error);
        if (event.type == TRESOR_EVENT_DEGRADED)
            degraded_add(watch->degraded, &event);
        if (event.type == TRESOR_EVENT_DONE && event.request.value == request.value) {
            *done = event;
            return true;
        }
    }
    return false;
}

static void draw(const struct opened *opened, struct progress *progress)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    if (!progress || !progress_due(progress))
        return;
    if (tresor_get_counters(opened->context, &counters) == TRESOR_OK)
        progress_draw(progress, counters.mapped_bytes + counters.private_bytes);
}

/* `times` may be NULL. */
static int32_t dispatch(const struct opened *opened, struct dispatch_times *times)
{
    if (!times)
        return calls_dispatch(opened);
    const struct dispatch_start start = dispatch_times_start();
    const int32_t more = calls_dispatch(opened);
    dispatch_times_add(times, &start);
    return more;
}

static void run(const struct opened *opened, struct tresor_request request,
                const struct run_watch *watch, struct tresor_event *done)
{
    bool is_cancelled = false;
    while (!take_events(opened, request, watch, done)) {
        if (interrupt_signal() && !is_cancelled)
            is_cancelled = calls_cancel(opened, request) == TRESOR_OK;
        draw(opened, watch->progress);
        if (dispatch(opened, watch->times) == 0)
            calls_sleep(opened, WAIT_MS); /* or until a signal; the bar is drawn meanwhile */
    }
    if (watch->progress)
        progress_erase(watch->progress);
}

bool request_run(const struct opened *opened, enum call_kind verb, const struct tresor_item *items,
                 size_t item_count, const struct run_watch *watch, struct tresor_event *done)
{
    struct tresor_request request;
    const uint64_t failures_before = watch->failures->count;
    *done = (struct tresor_event){0};
    const int32_t refused = calls_ask(opened, verb, items, item_count, watch->load_flags, &request);
    if (refused != TRESOR_OK) {
        const struct tresor_error error = error_of_code(refused);
        failures_add(watch->failures, &error);
        return false;
    }
    run(opened, request, watch, done);
    const bool is_told = watch->failures->count > failures_before;
    if (done->error.code == TRESOR_ERROR_CANCELLED || (done->error.code != TRESOR_OK && !is_told))
        failures_add(watch->failures, &done->error);
    return true;
}
