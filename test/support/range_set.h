/* SPDX-License-Identifier: MIT */
/* A set of addresses as sorted, disjoint ranges. It has room for a fixed number, so that keeping books never allocates. */
#ifndef TEST_SUPPORT_RANGE_SET_H
#define TEST_SUPPORT_RANGE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RANGES_MAX = 2048 };

/** [start, end) */
struct range {
    uintptr_t start;
    uintptr_t end;
};

struct range_set {
    struct range ranges[RANGES_MAX];
    size_t count;
};

/** Neighbours are joined; what is in the set already stays. */
void range_set_add(struct range_set *set, struct range range);

/** Takes any part out, whatever it cuts. */
void range_set_remove(struct range_set *set, struct range range);

/** Whether every address of the range is in the set; an empty range is. */
bool range_set_covers(const struct range_set *set, struct range range);

/** Whether any address of the range is in the set. */
bool range_set_touches(const struct range_set *set, struct range range);

size_t range_set_bytes(const struct range_set *set);

#endif
