/* SPDX-License-Identifier: MIT */
/* Numbers that look random and are the same for the same seed. */
#ifndef TEST_SUPPORT_RANDOM_H
#define TEST_SUPPORT_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/** xorshift64 of Marsaglia; the seed must not be 0. */
static inline uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/** Below `count`, which is not 0. */
static inline uint32_t random_below(uint64_t *seed, uint32_t count)
{
    return (uint32_t)((random_next(seed) >> 32) % count);
}

/** True once in `count` times. */
static inline bool random_once_in(uint64_t *seed, uint32_t count)
{
    return random_below(seed, count) == 0;
}

#endif
