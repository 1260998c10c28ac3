/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "process_memory.h"
#include "walk.h"

#define LANES 8

/** The sum of all words, what is left at the end as one of them. Lanes, for one addition has not to
 * wait for another then. */
static uint64_t sum_words(const uint8_t *bytes, uint64_t size_bytes)
{
    uint64_t lanes[LANES] = {0};
    uint64_t words[LANES];
    uint64_t sum = 0;
    for (; size_bytes >= sizeof words; bytes += sizeof words, size_bytes -= sizeof words) {
        memcpy(words, bytes, sizeof words);
        for (int i = 0; i < LANES; i++)
            lanes[i] += words[i];
    }
    memset(words, 0, sizeof words);
    if (size_bytes > 0)
        memcpy(words, bytes, size_bytes);
    for (int i = 0; i < LANES; i++)
        sum += lanes[i] + words[i];
    return sum;
}

bool walk_use(struct walk *walk, struct walk_step *step, const void *data)
{
    const uint64_t sum = sum_words(data, step->size_bytes);
    const bool is_same = !step->is_used || sum == step->sum;
    if (!step->is_used)
        step->sum = sum;
    step->is_used = true;
    walk->pass->used++;
    walk->pass->used_bytes += step->size_bytes;
    if (walk->peak_is_sampled) {
        const uint64_t resident_bytes = process_resident_bytes();
        if (resident_bytes > walk->pass->peak_bytes)
            walk->pass->peak_bytes = resident_bytes;
    }
    return is_same;
}
