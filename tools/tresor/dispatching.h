/* SPDX-License-Identifier: MIT */
/* Dispatching under a watch: how long each call held its caller. */
#ifndef TOOL_DISPATCHING_H
#define TOOL_DISPATCHING_H

#include "calls.h"

#include "latencies.h"

/** All zero is none yet. */
struct dispatch_times {
    struct latencies wall;
    struct latencies processor; /* of the calling thread */
};

/** calls_dispatch; `times` may be NULL. */
int32_t dispatch_timed(const struct opened *opened, struct dispatch_times *times);

#endif
