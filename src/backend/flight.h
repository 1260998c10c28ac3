/* SPDX-License-Identifier: MIT */
/* Effects that were asked and not answered yet, each with its number: they count from 1 in the
 * order of asking. */
#ifndef TRESOR_BACKEND_FLIGHT_H
#define TRESOR_BACKEND_FLIGHT_H

#include "core/allocator.h"
#include "core/effect.h"

struct tresor__numbered {
    uint64_t number;
    struct tresor__effect effect;
};

struct tresor__flight {
    struct tresor__numbered *effects; /* in the order of their numbers */
    uint32_t capacity;
    uint32_t count;
    uint64_t total; /* asked so far */
};

/** TRESOR_OK or NO_MEMORY. */
int32_t tresor__flight_init(struct tresor__flight *flight, const struct tresor_allocator *allocator,
                            uint32_t capacity);
void tresor__flight_free(struct tresor__flight *flight, const struct tresor_allocator *allocator);

/** There is room. Returns its number. */
uint64_t tresor__flight_add(struct tresor__flight *flight, const struct tresor__effect *effect);

/** Place of the oldest that a completion may be of; `count` if there is none. What a completion
 * does not tell apart the machines do not either. */
uint32_t tresor__flight_find(const struct tresor__flight *flight,
                             const struct tresor__completion *completion);

/** Place of a number; `count` if there is none. */
uint32_t tresor__flight_at(const struct tresor__flight *flight, uint64_t number);

/** Take out what is at a place. */
struct tresor__numbered tresor__flight_take(struct tresor__flight *flight, uint32_t place);

#endif
