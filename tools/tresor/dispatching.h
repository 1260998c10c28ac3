/* SPDX-License-Identifier: MIT */
/* Dispatching under a watch: how long each call held its caller. */
#ifndef TOOL_DISPATCHING_H
#define TOOL_DISPATCHING_H

#include "latencies.h"

/** All zero is none yet. */
struct dispatch_times {
    struct latencies wall;
    struct latencies processor; /* of the calling thread */
};

struct dispatch_start {
    uint64_t wall_ns;
    uint64_t processor_ns;
};

/** Right before a dispatch, and right behind it. */
struct dispatch_start dispatch_times_start(void);
void dispatch_times_add(struct dispatch_times *times, const struct dispatch_start *start);

#endif
