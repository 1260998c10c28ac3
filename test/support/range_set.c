/* SPDX-License-Identifier: MIT */
#include "support/range_set.h"

#include <stdlib.h>
#include <string.h>

/* The first range that ends after the address. */
static size_t find(const struct range_set *set, uintptr_t address)
{
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->ranges[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Put `added` in place of `removed` ranges from `at` on. */
static void replace(struct range_set *set, size_t at, size_t removed, const struct range *added,
                    size_t added_count)
{
    if (set->count - removed + added_count > RANGES_MAX)
        abort();
    memmove(&set->ranges[at + added_count], &set->ranges[at + removed],
            (set->count - at - removed) * sizeof *set->ranges);
    for (size_t i = 0; i < added_count; i++)
        set->ranges[at + i] = added[i];
    set->count += added_count - removed;
}

void range_set_add(struct range_set *set, struct range range)
{
    if (range.start >= range.end)
        return;
    size_t at = find(set, range.start);
    if (at > 0 && set->ranges[at - 1].end == range.start)
        at--;
    size_t removed = 0;
    for (; at + removed < set->count && set->ranges[at + removed].start <= range.end; removed++) {
        const struct range *old = &set->ranges[at + removed];
        range.start = old->start < range.start ? old->start : range.start;
        range.end = old->end > range.end ? old->end : range.end;
    }
    replace(set, at, removed, &range, 1);
}

void range_set_remove(struct range_set *set, struct range range)
{
    if (range.start >= range.end)
        return;
    size_t at = find(set, range.start);
    size_t removed = 0;
    size_t left_count = 0;
    struct range left[2];
    for (; at + removed < set->count && set->ranges[at + removed].start < range.end; removed++) {
        const struct range *old = &set->ranges[at + removed];
        if (old->start < range.start)
            left[left_count++] = (struct range){old->start, range.start};
        if (old->end > range.end)
            left[left_count++] = (struct range){range.end, old->end};
    }
    replace(set, at, removed, left, left_count);
}

bool range_set_covers(const struct range_set *set, struct range range)
{
    if (range.start >= range.end)
        return true;
    size_t at = find(set, range.start);
    return at < set->count && set->ranges[at].start <= range.start &&
           set->ranges[at].end >= range.end;
}

bool range_set_touches(const struct range_set *set, struct range range)
{
    size_t at = find(set, range.start);
    return range.start < range.end && at < set->count && set->ranges[at].start < range.end;
}

size_t range_set_bytes(const struct range_set *set)
{
    size_t bytes = 0;
    for (size_t i = 0; i < set->count; i++)
        bytes += set->ranges[i].end - set->ranges[i].start;
    return bytes;
}
