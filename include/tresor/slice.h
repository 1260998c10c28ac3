/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_SLICE_H
#define TRESOR_SLICE_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/source.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Split tensors of an open source, experts above all, into slices along their outermost dimension, which is the last of
 * an INNERMOST_FIRST shape and the first of the other: a shape [64, 32, 8] of a GGUF file makes 8 slices of 64 x 32.
 * From then on a slice is what can be resident: it is loaded, acquired, locked and evicted on its own, at its place in
 * the tensor's window, so addresses stay what they are; a page that slices share leaves with the last of them. The
 * tensor's item, the source's and groups, also those made before, stand for slices in order, and counts of tensors
 * (`total`, `done` and the like) count slices. Errors name the tensor; the item of an event names the slice, and
 * tresor_item_get_piece tells it. CHUNK events of slices count `offset_bytes` from the start of their tensor.
 *
 * Splitting configures: it makes no system call but for memory, and on failure nothing has changed. All of the `count`
 * tensors are split, or none; none at all is TRESOR_OK. There is no way back but to close the source. Returns
 * TRESOR_OK, STALE, THREAD, INVALID (no such tensor, of fewer than two dimensions, of an outermost extent below 2, of
 * bytes that it does not divide, split already or named twice), BUSY (the source is not open; or anything of it is
 * resident or acquired; or a request on it has not ended; or work on it is still under way, which dispatching ends; or
 * another thread is inside tresor_acquire just now), LIMIT (more than 2^24 tensors and slices in one source, or slices that overlap without
 * measure) or NO_MEMORY. Other threads may call tresor_acquire meanwhile: nothing is resident, and they are told so.
 */
TRESOR_API int32_t tresor_split(struct tresor_context *context, struct tresor_source source,
                                const uint32_t *tensors, size_t count);

/**
 * The same for every tensor whose name matches `pattern` as tresor_item_of_pattern has it, of those that can be split
 * and are not. Also NOT_FOUND where there is none. A pattern like * takes two-dimensional tensors too.
 */
TRESOR_API int32_t tresor_split_pattern(struct tresor_context *context, struct tresor_source source,
                                        const char *pattern);

/** One slice of a tensor that was split. */
struct tresor_slice_info {
    size_t size_bytes; /**< in: sizeof of the caller's struct */
    uint32_t tensor;
    uint32_t slice;
    uint32_t slice_count; /**< of the tensor */
    uint32_t file;
    uint64_t offset_bytes; /**< absolute in its file */
    uint64_t slice_bytes;
    const void *address; /**< stable while the source is open; readable while the slice is acquired */
};

/** Fill `info`. TRESOR_OK, INVALID (no such slice, or the tensor is not split; wrong size), STALE, BUSY or THREAD. */
TRESOR_API int32_t tresor_source_get_slice(struct tresor_context *context,
                                           struct tresor_source source, uint32_t tensor,
                                           uint32_t slice, struct tresor_slice_info *info);

/** The item of one slice of a tensor that was split. TRESOR_OK, INVALID, STALE, BUSY or THREAD. */
TRESOR_API int32_t tresor_item_of_slice(struct tresor_context *context, struct tresor_source source,
                                        uint32_t tensor, uint32_t slice, struct tresor_item *item);

/**
 * Make one item of several items of one source: all their pieces, in that order; like one expert's slices of a layer. It
 * lives until its source closes. TRESOR_OK, INVALID (no items, or of several sources), STALE, BUSY, NO_MEMORY, LIMIT
 * (too many groups) or THREAD.
 */
TRESOR_API int32_t tresor_item_of_items(struct tresor_context *context,
                                        const struct tresor_item *items, size_t count,
                                        struct tresor_item *item);

/**
 * What stands at `position` of an item: `*tensor`, and `*slice` of it, which is TRESOR_NONE where the tensor is not
 * split. Either pointer may be NULL. TRESOR_OK, INVALID (no such position), STALE, BUSY or THREAD.
 */
TRESOR_API int32_t tresor_item_get_piece(struct tresor_context *context, struct tresor_item item,
                                         uint32_t position, uint32_t *tensor, uint32_t *slice);

#ifdef __cplusplus
}
#endif

#endif
