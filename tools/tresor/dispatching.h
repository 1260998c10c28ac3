/* SPDX-License-Identifier: MIT */
/* Dispatching under a watch: how long each call held its caller. */
#ifndef TOOL_DISPATCHING_H
#define TOOL_DISPATCHING_H

#include <tresor/tresor.h>

#include "latencies.h"

/** All zero is none yet. */
struct dispatch_times {
    struct latencies wall;
    struct latencies processor; /* of the calling thread */
};

/** tresor_dispatch; `times` may be NULL. */
int32_t dispatch_timed(struct tresor_context *context, struct dispatch_times *times);

#endif
