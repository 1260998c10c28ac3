/* SPDX-License-Identifier: MIT */
#include "running.h"

#include <poll.h>
#include <stdbool.h>

#include "interrupt.h"

#define WAIT_MS 100

/** Take what has happened. True once the request has ended. */
static bool take_events(const struct opened *opened, struct tresor_request request,
                        const struct run_watch *watch, struct tresor_event *done)
{
    struct tresor_event event;
    while (tresor_next_event(opened->context, &event) == 1) {
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

/** Until there is something to do; or until a signal, or a while, for the bar. Nothing is
 * dispatched meanwhile. */
static void wait_shortly(const struct opened *opened)
{
    struct pollfd wait = {.fd = tresor_get_fd(opened->context), .events = POLLIN};
    poll(&wait, 1, WAIT_MS);
}

static void run(const struct opened *opened, struct tresor_request request,
                const struct run_watch *watch, struct tresor_event *done)
{
    bool is_cancelled = false;
    while (!take_events(opened, request, watch, done)) {
        if (interrupt_signal() && !is_cancelled)
            is_cancelled = tresor_cancel(opened->context, request) == TRESOR_OK;
        draw(opened, watch->progress);
        if (dispatch_timed(opened->context, watch->times) == 0)
            wait_shortly(opened);
    }
    if (watch->progress)
        progress_erase(watch->progress);
}

bool request_run(const struct opened *opened, request_verb *verb, const struct tresor_item *items,
                 size_t item_count, const struct run_watch *watch, struct tresor_event *done)
{
    struct tresor_request request;
    const uint64_t failures_before = watch->failures->count;
    *done = (struct tresor_event){0};
    const int32_t refused = verb(opened->context, items, item_count, NULL, &request);
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
