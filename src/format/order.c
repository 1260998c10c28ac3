/* SPDX-License-Identifier: MIT */
#include "format/order.h"

#include <stddef.h>
#include <string.h>

#include <tresor/error.h>

#include "core/allocator.h"

struct merge {
    tresor__order_before *before;
    const void *cookie;
    const uint32_t *from;
    uint32_t *to;
};

static void merge_runs(const struct merge *merge, size_t begin, size_t middle, size_t end)
{
    size_t left = begin, right = middle;
    for (size_t out = begin; out < end; out++) {
        bool take_right =
            left == middle ||
            (right < end && merge->before(merge->cookie, merge->from[right], merge->from[left]));
        merge->to[out] = merge->from[take_right ? right++ : left++];
    }
}

static bool is_ordered(const struct merge *merge, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (merge->before(merge->cookie, merge->from[i], merge->from[i - 1]))
            return false;
    return true;
}

/* Bottom-up merge sort between two halves of a block; returns the half that has the outcome. */
static uint32_t *merge_sort(struct merge merge, uint32_t *first, uint32_t *second, size_t count)
{
    merge.from = first;
    for (size_t run = 1; run < count; run *= 2) {
        merge.to = second;
        for (size_t begin = 0; begin < count; begin += 2 * run) {
            size_t middle = begin + run < count ? begin + run : count;
            size_t end = middle + run < count ? middle + run : count;
            merge_runs(&merge, begin, middle, end);
        }
        second = first;
        first = merge.to;
        merge.from = first;
    }
    return first;
}

int32_t tresor__order_make(const struct tresor_allocator *allocator, uint32_t count,
                           tresor__order_before *before, const void *cookie, uint32_t **ordered)
{
    const size_t bytes = (size_t)count * sizeof(uint32_t);
    *ordered = NULL;
    if (!count)
        return TRESOR_OK;
    uint32_t *numbers = tresor__allocate(allocator, bytes);
    if (!numbers)
        return TRESOR_ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = i;
    struct merge merge = {.before = before, .cookie = cookie, .from = numbers};
    /* Files are nearly always in order already. */
    if (!is_ordered(&merge, count)) {
        uint32_t *scratch = tresor__allocate(allocator, bytes);
        if (!scratch) {
            tresor__free(allocator, numbers, bytes);
            return TRESOR_ERROR_NO_MEMORY;
        }
        uint32_t *sorted = merge_sort(merge, numbers, scratch, count);
        tresor__free(allocator, sorted == numbers ? scratch : numbers, bytes);
        numbers = sorted;
    }
    *ordered = numbers;
    return TRESOR_OK;
}

void tresor__order_free(const struct tresor_allocator *allocator, uint32_t *ordered, uint32_t count)
{
    tresor__free(allocator, ordered, (size_t)count * sizeof(uint32_t));
}
