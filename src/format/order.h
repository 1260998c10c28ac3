/* SPDX-License-Identifier: MIT */
/*
 * Sorting of numbers by what they stand for. Ours and not qsort, because a failed allocation must
 * be ours to report and equal items must keep their order.
 */
#ifndef TRESOR_FORMAT_ORDER_H
#define TRESOR_FORMAT_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include <tresor/allocator.h>

/** Whether `first` must stand before `second`. */
typedef bool tresor__order_before(const void *cookie, uint32_t first, uint32_t second);

/** The numbers 0 to count-1 in stable order into a new array of `count`. TRESOR_OK or NO_MEMORY.
 * O(n log n). */
int32_t tresor__order_make(const struct tresor_allocator *allocator, uint32_t count,
                           tresor__order_before *before, const void *cookie, uint32_t **ordered);

/** Free an array that tresor__order_make made. */
void tresor__order_free(const struct tresor_allocator *allocator, uint32_t *ordered,
                        uint32_t count);

#endif
