/* SPDX-License-Identifier: MIT */
/* Walks through a model that is larger than its memory, over and over: by a plan under a budget, and by a mapping. Each in a
 * cage, as work for cage_start. */
#ifndef TRESOR_BENCH_STEADY_H
#define TRESOR_BENCH_STEADY_H

#include "cage.h"
#include "walk.h"

enum {
    SLACK_BYTES = 16 * 1024 * 1024, /* that a cage has beside the budget */
};

struct steady {
    const char *path;
    const struct walk *walk;
    uint64_t budget_bytes;
    uint64_t window_bytes; /* of the plan; 0: the default, as of the block */
    uint64_t block_bytes;
    uint32_t strategy;
};

/* The argument is a struct steady. A pass goes on from where the last one ended: an eighth of the walk that is not measured,
 * for what was brought in while nobody walked, and then all of it once. */
void steady_plan(struct cage *cage, const void *argument);
void steady_mapping(struct cage *cage, const void *argument);

#endif
