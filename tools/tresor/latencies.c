/* SPDX-License-Identifier: MIT */
#include "latencies.h"

#define STEPS (UINT64_C(1) << LATENCIES_STEP_BITS)
#define MILLION 1000000

/* Below STEPS each number has its bucket; from there on each power of two has STEPS of them. */
static uint32_t bucket_of(uint64_t duration_ns)
{
    if (duration_ns < STEPS)
        return (uint32_t)duration_ns;
    const uint32_t power = 63 - (uint32_t)__builtin_clzll(duration_ns);
    const uint32_t shift = power - LATENCIES_STEP_BITS;
    return (uint32_t)((shift << LATENCIES_STEP_BITS) + (duration_ns >> shift));
}

static uint64_t middle_of(uint32_t bucket)
{
    if (bucket < STEPS)
        return bucket;
    const uint32_t shift = (bucket >> LATENCIES_STEP_BITS) - 1;
    const uint64_t least = (bucket - ((uint64_t)shift << LATENCIES_STEP_BITS)) << shift;
    return least + ((UINT64_C(1) << shift) >> 1);
}

void latencies_add(struct latencies *latencies, uint64_t duration_ns)
{
    latencies->count++;
    latencies->buckets[bucket_of(duration_ns)]++;
    if (duration_ns > latencies->max_ns)
        latencies->max_ns = duration_ns;
}

uint64_t latencies_at(const struct latencies *latencies, uint32_t millionths)
{
    /* Its rank, from one on; parted, so that no count of calls overflows. */
    const uint64_t whole = latencies->count / MILLION * millionths;
    const uint64_t rest = latencies->count % MILLION * millionths;
    uint64_t rank = whole + (rest + MILLION - 1) / MILLION;
    if (rank == 0)
        rank = 1;
    uint64_t passed = 0;
    for (uint32_t i = 0; i < LATENCIES_BUCKETS; i++) {
        passed += latencies->buckets[i];
        if (passed >= rank) {
            const uint64_t middle = middle_of(i);
            return middle < latencies->max_ns ? middle : latencies->max_ns;
        }
    }
    return 0;
}
