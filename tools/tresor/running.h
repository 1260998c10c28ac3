/* SPDX-License-Identifier: MIT */
#ifndef TOOL_RUNNING_H
#define TOOL_RUNNING_H

#include "calls.h"
#include "degraded.h"
#include "dispatching.h"
#include "failures.h"
#include "opened.h"
#include "progress.h"

/** Who hears of a request while it runs. */
struct run_watch {
    struct failures *failures;
    struct degraded *degraded;
    struct progress *progress;    /* the bar; may be NULL */
    struct dispatch_times *times; /* may be NULL */
    uint32_t load_flags;          /* of a LOAD: enum tresor_request_flag */
};

/**
 * Ask (LOAD, EVICT or LOCK) and run to the end: failed tensors go to the watch's failures, the bar is drawn, and a signal
 * cancels the request. What fails the whole, be it a refused call or a cancel, is added too. False
 * if the call was refused; else the DONE event is in `done`, which is all zero otherwise.
 */
bool request_run(const struct opened *opened, enum call_kind verb, const struct tresor_item *items,
                 size_t item_count, const struct run_watch *watch, struct tresor_event *done);

#endif
