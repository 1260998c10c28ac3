/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_RESIDENCY_H
#define TRESOR_RESIDENCY_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/source.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The items of a source. They return TRESOR_OK, INVALID (no such index), STALE, BUSY (not open
 * yet) or THREAD. */
TRESOR_API int32_t tresor_item_of_source(struct tresor_context *context,
                                         struct tresor_source source, struct tresor_item *item);
TRESOR_API int32_t tresor_item_of_tensor(struct tresor_context *context,
                                         struct tresor_source source, uint32_t tensor,
                                         struct tresor_item *item);

/**
 * Make one item of several tensors of a source: those whose name matches `pattern` (fnmatch-like: *
 * any bytes, ? one byte, [a-c] [!a-c] a set, \ quotes), or the `count` tensors listed. It lives
 * until its source closes. Also NO_MEMORY, NOT_FOUND (nothing matches) and LIMIT (too many groups).
 */
TRESOR_API int32_t tresor_item_of_pattern(struct tresor_context *context,
                                          struct tresor_source source, const char *pattern,
                                          struct tresor_item *item);
TRESOR_API int32_t tresor_item_of_list(struct tresor_context *context, struct tresor_source source,
                                       const uint32_t *tensors, size_t count,
                                       struct tresor_item *item);

/** The number of tensors in an item, or slices where tensors are split, and the sum of their sizes. Either pointer may be NULL. TRESOR_OK, STALE or
 * THREAD. */
TRESOR_API int32_t tresor_item_measure(struct tresor_context *context, struct tresor_item item,
                                       uint32_t *tensor_count, uint64_t *tensor_bytes);

/** Index of the tensor at `position` of an item, in file order (a list: in its own order); of a tensor that is split
 * every slice has a position, see tresor_item_get_piece. TRESOR_OK, INVALID (no such
 * position), STALE or THREAD. */
TRESOR_API int32_t tresor_item_get_tensor(struct tresor_context *context, struct tresor_item item,
                                          uint32_t position, uint32_t *tensor);

enum tresor_request_flag {
    TRESOR_REQUEST_ITEMS = 1, /**< an ITEM event for every tensor, not only for those that failed */
    /** LOAD: each tensor that succeeds is acquired for the host as it is found in memory, so that nothing is evicted
     * before it is used. Its ITEM event, which comes for every tensor, hands that over: it is PINNED, `data` is set, and
     * the host releases `item`. Until the event is taken the pin is the library's, which gives it back where the request
     * is cancelled before its end, its events are discarded, or its source or context is ended: then the event, if it
     * still comes, is not PINNED. */
    TRESOR_REQUEST_PIN = 2,
    /** EVICT: a tensor that is acquired is evicted when its last user has left, rather than BUSY; it may be acquired
     * meanwhile. One that is locked, also then, or being loaded is BUSY all the same. Cancelling withdraws it.
     * LOAD, BUDGET: wait where what is in use leaves too little of the budget, rather than BUSY. */
    TRESOR_REQUEST_WAIT = 4,
};

/** How soon a LOAD, COPY or STREAM is wanted, compared with others: the more urgent overtake. */
enum tresor_urgency {
    TRESOR_URGENCY_DEFAULT = 0,   /**< TRESOR_URGENCY_NORMAL */
    TRESOR_URGENCY_LOOKAHEAD = 1, /**< wanted later; leaves a quarter of the blocks to the others */
    TRESOR_URGENCY_NORMAL = 2,
    TRESOR_URGENCY_URGENT = 3, /**< somebody waits for it */
};

/** How a request runs. Zero is the default of every field. */
struct tresor_request_options {
    size_t size_bytes; /**< sizeof of this struct */
    uint64_t cookie;   /**< given back in the request's events */
    uint32_t flags;    /**< enum tresor_request_flag */
    uint32_t strategy; /**< LOAD: enum tresor_strategy */
    uint32_t urgency;  /**< LOAD, COPY, STREAM: enum tresor_urgency */
    uint32_t reserved; /**< 0 */
    uint64_t progress_bytes; /**< LOAD: a PROGRESS event at most every so many bytes; 0: none */
};

/**
 * Requests on items of one source. They are accepted at once, with a handle, or refused without a
 * trace; all work is done by dispatch. Each ends in one DONE event. NULL options are the defaults.
 * They return TRESOR_OK, INVALID, STALE, BUSY (the source is not open), AGAIN (a pool is full now),
 * LIMIT (more items than the context's pool has) or THREAD.
 *
 * LOAD brings tensors into memory at their addresses. What is resident already, by either strategy,
 * is loaded, but what was poisoned (guard.h) is evicted before and loaded anew, BUSY while it is acquired or locked. A tensor
 * that fails does not end the others. Tensors complete as their own bytes
 * arrive, of one urgency in file order; what is more urgent overtakes what has not begun. Two
 * requests for one tensor share its load, at the higher urgency; cancelling one leaves the other.
 * A file that is not the one that was opened (another inode, size or modification time) fails
 * with CHANGED; one that only became shorter with TRUNCATED, where the missing bytes are needed.
 *
 * EVICT takes tensors out of memory. One that is acquired, locked or being loaded fails with BUSY
 * (but see TRESOR_REQUEST_WAIT); one that is not in memory is evicted already. A page that
 * neighbours share leaves with its last tensor. What a compressed file was decoded to stays until its source is closed.
 *
 * LOCK locks the pages of resident tensors (mlock(2)), waiting for loads under way; a tensor that
 * is not in memory fails with NOT_RESIDENT. A refusal by the system is a LOCK_LIMIT error, with the
 * limit in `got`, what the process has locked in `offset` and what was asked for in `wanted`; the
 * tensor stays loaded. UNLOCK undoes it; unlocking what is not locked does nothing. Locks do not
 * count: one UNLOCK is enough.
 */
TRESOR_API int32_t tresor_load(struct tresor_context *context, const struct tresor_item *items,
                               size_t item_count, const struct tresor_request_options *options,
                               struct tresor_request *request);
TRESOR_API int32_t tresor_evict(struct tresor_context *context, const struct tresor_item *items,
                                size_t item_count, const struct tresor_request_options *options,
                                struct tresor_request *request);
TRESOR_API int32_t tresor_lock(struct tresor_context *context, const struct tresor_item *items,
                               size_t item_count, const struct tresor_request_options *options,
                               struct tresor_request *request);
TRESOR_API int32_t tresor_unlock(struct tresor_context *context, const struct tresor_item *items,
                                 size_t item_count, const struct tresor_request_options *options,
                                 struct tresor_request *request);

/**
 * Tell the kernel how tensors will be used; `advice` is an enum tresor_advice. Resident or not. On every backend but
 * sync, advice on one tensor that is under way at the same time reaches the kernel, and ends, in any order.
 */
TRESOR_API int32_t tresor_advise(struct tresor_context *context, const struct tresor_item *items,
                                 size_t item_count, uint32_t advice,
                                 const struct tresor_request_options *options,
                                 struct tresor_request *request);

/**
 * Read `length_bytes` of one tensor, split or not, or of one slice, from `offset_bytes` in it, into the caller's memory, which
 * must stay until the DONE event. The tensor's residency does not change. A range outside the
 * tensor is INVALID. Cancelling it waits for the reads in flight.
 */
TRESOR_API int32_t tresor_copy(struct tresor_context *context, struct tresor_item tensor,
                               uint64_t offset_bytes, uint64_t length_bytes, void *destination,
                               const struct tresor_request_options *options,
                               struct tresor_request *request);

/**
 * Move resident tensors to another strategy, an enum tresor_strategy: their pages become shared ones of the file, or
 * private ones, a chunk of at most 2 MiB at a time and each in one step, while their addresses stay, readers read and
 * tensors are acquired. A page that neighbours share goes with the first that asks. A tensor that is not in memory has
 * nothing to move, and one that is being loaded is swapped when it is; a locked one fails with BUSY (unlock it first), and
 * so does an eviction of one that is being swapped, but for one with TRESOR_REQUEST_WAIT, which comes behind it.
 * Under a budget each chunk needs as much room besides; others are evicted for it, but not what is in use or being swapped:
 * where only that is left it fails with BUSY. Two swaps to one strategy share the work, one to the other
 * waits for the first to end. A failed or cancelled tensor stays resident, each of its pages on one side or the other: its
 * event says in `offset` where in the file it stopped, and in `got` how many of the `wanted` bytes, in whole pages,
 * were moved; a later SWAP, either way, goes on from there. UNSUPPORTED where the system cannot move pages (Linux
 * can since 5.13). Each chunk that becomes private can cost a map entry (vm.max_map_count); where there is none
 * left it fails with MAP_REFUSED. INVALID where there is no such strategy.
 */
TRESOR_API int32_t tresor_swap(struct tresor_context *context, const struct tresor_item *items,
                               size_t item_count, uint32_t strategy,
                               const struct tresor_request_options *options,
                               struct tresor_request *request);

/**
 * Deliver the bytes of every tensor of the items in chunks, for upload to a device: each CHUNK event has up to the
 * context's `stage_bytes`, in memory of the context's own (`stages_max` chunks of it), which stays until the host gives
 * the chunk back. While all are out nothing is read, and nothing is dropped. Chunks come in the order of the items'
 * tensors and, in each, of its bytes; the tensors' residency does not change. A tensor that fails has an ITEM event and
 * no more chunks. Chunks may be given back in any order, also after DONE, and after their source was closed.
 */
TRESOR_API int32_t tresor_stream(struct tresor_context *context, const struct tresor_item *items,
                                 size_t item_count, const struct tresor_request_options *options,
                                 struct tresor_request *request);

/**
 * Give a chunk back; its bytes may be overwritten from now on. Any thread; no allocation. TRESOR_OK, or STALE (given
 * back already, or no chunk of this context). tresor_context_destroy is BUSY until all are back.
 */
TRESOR_API int32_t tresor_chunk_return(struct tresor_context *context, struct tresor_stage stage);

/**
 * Acquire every tensor of an item, or none: until as many releases they stay in memory, readable at
 * their addresses. `*data` (may be NULL) is the address of the item's first tensor, never NULL on
 * success. Any thread; no system call, no allocation. Returns TRESOR_OK, NOT_RESIDENT, STALE,
 * INVALID, POISONED (bytes of one were lost, see guard.h), or AGAIN (2^24 users of one tensor).
 */
TRESOR_API int32_t tresor_acquire(struct tresor_context *context, struct tresor_item item,
                                  const void **data);

/**
 * The same, but wait until it is resident: at most `timeout_ms` (negative: for ever; 0: as tresor_acquire). It loads
 * nothing by itself: who waits for what nobody loads waits. Any thread. Another than the context's sleeps, after it has
 * woken the context (tresor_wake), whose loop must go on dispatching; on the context's own this dispatches, and leaves
 * events in their order. No system call where it is resident. Returns as tresor_acquire; AGAIN also when the time is over,
 * NOT_RESIDENT on the context's own thread, at once, where nothing is under way that could bring it, and STALE as soon as
 * the source begins to close.
 */
TRESOR_API int32_t tresor_acquire_wait(struct tresor_context *context, struct tresor_item item,
                                       int32_t timeout_ms, const void **data);

/**
 * Undo one acquire of the same item. Any thread; no system call, but where this was the last user of a tensor whose
 * eviction waits for that, or of a source that closes. TRESOR_OK, STALE, INVALID where it was not acquired, or POISONED: it is
 * released, but bytes of it were lost while it was acquired, and what was read of it may be zeros (see guard.h).
 */
TRESOR_API int32_t tresor_release(struct tresor_context *context, struct tresor_item item);

#ifdef __cplusplus
}
#endif

#endif
