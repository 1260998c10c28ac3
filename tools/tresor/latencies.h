/* SPDX-License-Identifier: MIT */
/* Many durations in little memory: counted in buckets that grow with what they hold. */
#ifndef TOOL_LATENCIES_H
#define TOOL_LATENCIES_H

#include <stdint.h>

/* A power of two is cut into so many buckets that one is less than 1.6% wide. */
#define LATENCIES_STEP_BITS 6
#define LATENCIES_BUCKETS ((64 - LATENCIES_STEP_BITS + 1) << LATENCIES_STEP_BITS)

/** All zero is none yet. */
struct latencies {
    uint64_t count;
    uint64_t max_ns; /* exact */
    uint64_t buckets[LATENCIES_BUCKETS];
};

void latencies_add(struct latencies *latencies, uint64_t duration_ns);

/**
 * What so many of a million durations did not exceed, like 999000 for p99.9: within 1% of the
 * true one, and never more than the longest; 0 where there are none.
 */
uint64_t latencies_at(const struct latencies *latencies, uint32_t millionths);

#endif
