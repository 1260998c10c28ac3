/* SPDX-License-Identifier: MIT */
/*
 * A backend that takes its time: what was asked is run at one moment and answered at a later one,
 * both in an order that comes from a seed, as if by threads. While it holds, nothing is run or
 * answered at all.
 */
#ifndef TEST_SUPPORT_SHUFFLED_BACKEND_H
#define TEST_SUPPORT_SHUFFLED_BACKEND_H

#include "backend/backend.h"

/** Fill in `sys` and `seed`, zero the rest; it must outlive the context. */
struct shuffled {
    const struct tresor__sys *sys;
    uint64_t seed;   /* 0: in the order in which they were asked, and at once */
    bool is_holding; /* a sleep without a timeout ends it */
    bool delays_readaheads; /* none is run; a sleep without a timeout ends it too */
    uint64_t polls;
    uint64_t sleeps;
    uint64_t answers; /* completions so far */
    uint32_t asked;   /* effects that have not run */
    uint32_t run;     /* that have, and were not answered */
};

/** The maker for tresor__context_create_on; its argument is a struct shuffled. */
int32_t shuffled_create(void *argument, const struct tresor_allocator *allocator,
                        struct tresor__bell *bell, uint32_t effects_max,
                        struct tresor__backend **backend);

#endif
