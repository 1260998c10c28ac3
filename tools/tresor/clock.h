/* SPDX-License-Identifier: MIT */
#ifndef TOOL_CLOCK_H
#define TOOL_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_of_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/** A clock that nobody sets. */
static inline uint64_t clock_ns(void)
{
    return clock_of_ns(CLOCK_MONOTONIC);
}

#endif
