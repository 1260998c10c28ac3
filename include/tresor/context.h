/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_CONTEXT_H
#define TRESOR_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/allocator.h>
#include <tresor/backend.h>
#include <tresor/event.h>
#include <tresor/guard.h>
#include <tresor/numa.h>
#include <tresor/observe.h>
#include <tresor/pressure.h>
#include <tresor/strategy.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A context: the machines, their bounded pools and a backend. Opaque. */
struct tresor_context;

/**
 * How a context is made. Set `size_bytes` to sizeof of this struct and zero the rest; a zero field means its
 * default. A later version's unknown tail must be zero.
 */
struct tresor_context_options {
    size_t size_bytes;
    struct tresor_allocator allocator; /**< zero: malloc and free */
    uint32_t strategy;        /**< enum tresor_strategy; DEFAULT is mmap */
    uint32_t sources_max;     /**< open at a time; default 16, at most 4096 */
    uint32_t requests_max;    /**< accepted and not yet taken; default 1024; this and the next four at most 2^24 */
    uint32_t items_max;       /**< named by all requests together; default 4096 */
    uint32_t waits_max;       /**< (request, tensor) pairs under way or with an event to take; default 16384. More
                                   only wait, nothing is refused */
    uint32_t blocks_max;      /**< reads in flight; default 128 */
    uint32_t dispatch_max;    /**< completions that one dispatch handles; default 64 */
    uint32_t policy;          /**< enum tresor_policy, who goes first under a budget; DEFAULT is LRU */
    uint64_t block_bytes;     /**< of one read; default 2 MiB; a multiple of 64 KiB, at most 1 GiB */
    uint64_t populate_bytes;  /**< of one populate of a mapping at the most, after which a cancel is heard; default
                                   512 MiB; a multiple of 64 KiB, at most 1 GiB. Of what the page cache has not got
                                   no more than 8 MiB, beside which workers read up to three times as much ahead */
    tresor_observer *observer; /**< called after every transition; NULL: none */
    void *observer_cookie;
    uint32_t backend;     /**< enum tresor_backend; DEFAULT is AUTO; see tresor_set_backend */
    uint32_t threads_max; /**< of the pool and of uring; default 4, at most 256. Where the system refuses some,
                               fewer work */
    /** enum tresor_direct, of the read strategy, copies and streams. A file that refuses direct reads (some FUSE and
     * network file systems) is read through the page cache, and a DEGRADED event says so. Except with OFF every open
     * file holds two descriptors. */
    uint32_t direct;
    uint32_t stages_max;  /**< chunks of STREAM requests that are read or held by the host; default 16, at most 4096 */
    uint64_t stage_bytes; /**< of one chunk at the most; default 1 MiB; a multiple of 64 KiB, at most 1 GiB */
    /** Private pages of evicted tensors that the context keeps, at the most, so that a next load of the same place by
     * the read strategy need not have them made anew: that costs as much as copying into them. Default 0: an eviction
     * gives all back. What an eviction frees in one piece is kept if all of it finds room, out of everybody's reach. */
    uint64_t spare_bytes;
    uint64_t budget_bytes; /**< of memory for tensors, see budget.h; 0: no budget */
    uint32_t numa;       /**< enum tresor_numa */
    uint32_t pressure;   /**< enum tresor_pressure_watch, as flags; SHRINK needs MEMORY. Where there is nothing to watch a
                              DEGRADED event says so */
    uint64_t numa_nodes; /**< of `numa`, bit i for node i; nodes from 64 on cannot be named */
    uint32_t guard;      /**< enum tresor_guard */
    uint32_t reserved;   /**< 0 */
    /** The host's own backend, which TRESOR_BACKEND_HOST names; copied. NULL: none. */
    const struct tresor_actor *actor;
};

/** What a context has done so far. All counts start at zero. */
struct tresor_counters {
    size_t size_bytes; /**< in: sizeof of the caller's struct */
    uint64_t steps;       /**< transitions taken */
    uint64_t rejected;    /**< inputs that a machine had no rule for */
    uint64_t effects;     /**< asked of the backend */
    uint64_t completions; /**< answered by it; equal to effects when idle, but for a watch over memory and a guard, each
                               of which is one behind */
    uint64_t requests;    /**< accepted */
    uint64_t events;      /**< taken by the host */
    uint64_t read_bytes;     /**< by reads of tensor bytes and headers */
    uint64_t mapped_bytes;   /**< resident through the mmap strategy now, in pages */
    uint64_t private_bytes;  /**< resident through the read strategy now, in pages */
    uint64_t locked_bytes;   /**< locked now, in pages */
    uint64_t leaked_bytes;   /**< of pages whose unmapping the system refused */
    uint64_t direct_bytes;   /**< of read_bytes, those that went past the page cache */
    uint64_t cached_bytes;   /**< of read_bytes, those that the page cache was found to hold */
    uint64_t spare_bytes;    /**< of evicted tensors' private pages, kept now */
    uint64_t hits;           /**< tensors acquired, also for the host by a LOAD with TRESOR_REQUEST_PIN */
    uint64_t misses;         /**< tensors that an acquire found absent, each counted once until it is loaded next. Of an
                                  item's tensors only the first that is absent counts */
    uint64_t late;           /**< the same of tensors that were being loaded; one that was a miss before is not counted
                                  again */
    uint64_t budget_bytes;    /**< the budget; 0: none */
    uint64_t committed_bytes; /**< pages of tensors that are in memory or admitted to it */
    uint64_t charged_bytes;   /**< what counts as memory in use, see budget.h; beyond the budget only while it is lowered */
    uint64_t evicted;         /**< tensors that went for others */
    uint64_t wasted;          /**< of them, those that a plan had loaded ahead of a use that never was */
    uint64_t uncollected_bytes; /**< of mapped pages that were evicted where memory is bounded, those that the page
                                   cache kept all the same, because somebody else has them mapped, dirty or locked,
                                   or a neighbour a part of them; summed over all evictions */
};

/**
 * Make a context. NULL options are the defaults. Returns TRESOR_OK, INVALID (an option is out of range, or `context` is
 * NULL), NO_MEMORY (also where a pool gets no thread at all), DESCRIPTORS, or UNSUPPORTED (the system tells no page
 * size or gives no random numbers; or `numa` was asked for, and the machine has one memory node only, does not tell its
 * nodes, or has one of `numa_nodes` not online; or the system has no SIGBUS for a guard), or BUSY (no guard, see guard.h); on
 * failure `*context` is NULL.
 * A context belongs to the thread that first dispatches; everything else than what says "any thread" is that
 * thread's. After a fork() it is the parent's, whose requests go on: the child has none of its threads, and may only leave
 * it alone until it ends (_exit) or becomes another program (exec), which inherits none of its descriptors.
 */
TRESOR_API int32_t tresor_context_create(const struct tresor_context_options *options,
                                         struct tresor_context **context);

/**
 * Free a context. Requests are cancelled, what is in flight is awaited, sources are closed, and events that were not
 * taken are gone, with the pins that they would have handed over. BUSY, and nothing is done, while a tensor is acquired,
 * a chunk is not given back, or another thread is inside tresor_acquire_wait, tresor_release or tresor_chunk_return; also
 * where a tensor is acquired meanwhile, when all requests have ended. NULL is allowed. Returns TRESOR_OK, BUSY or THREAD.
 */
TRESOR_API int32_t tresor_context_destroy(struct tresor_context *context);

/**
 * Work: hand effects to the backend, take its completions, step the machines. Stops after the context's limit of
 * completions. Returns 1 if more is left to do at once, 0 if not, or THREAD. Calls nothing of the host's but
 * the observer and the allocator.
 */
TRESOR_API int32_t tresor_dispatch(struct tresor_context *context);

/**
 * The descriptor for a host's loop: readable exactly while tresor_dispatch has something to do or an event waits, so
 * that a loop needs to dispatch, and take all events, only when it is. The same one at every call, and kept so from the
 * first on. It is the context's: poll it for reading (level-triggered), never read, write or close it. Work that
 * another thread did at the same moment may leave it readable once too often, never too seldom. After tresor_wake it is
 * readable until the next dispatch, or until a tresor_wait has returned for it. Returns the descriptor, or THREAD.
 */
TRESOR_API int32_t tresor_get_fd(struct tresor_context *context);

/** Take the oldest event. Returns 1 with the event, 0 where there is none, THREAD or INVALID. */
TRESOR_API int32_t tresor_next_event(struct tresor_context *context, struct tresor_event *event);

/**
 * Dispatch until an event can be taken, or `timeout_ms` have passed (negative: for ever). Returns 1 if an event
 * can be taken, 0 on a timeout, after tresor_wake, or where nothing is under way that could bring one, or THREAD. A watch
 * over memory, or a guard, could bring one at any time.
 */
TRESOR_API int32_t tresor_wait(struct tresor_context *context, int32_t timeout_ms);

/** Make a tresor_wait return soon, now or at its next call, and tresor_get_fd's descriptor readable. Any thread. */
TRESOR_API void tresor_wake(struct tresor_context *context);

/**
 * The blocking form of every request: dispatch until `request` ends and take its DONE event into `event`
 * (NULL: not wanted). All other events stay, in their order; ITEM and CHUNK events of this request too, unless
 * `discard_items` is not zero, but not its PROGRESS events. Where a stream waits for chunks that the host has, or an EVICT
 * with TRESOR_REQUEST_WAIT for tensors that it has acquired, this waits until another thread gives them back. Returns the
 * event's error code, STALE, THREAD, AGAIN where events that were not taken hold all of the context's pairs or stages, or
 * pins (take some, and call again), or evictions that wait hold all of its pairs, or BACKEND where nothing is under way
 * that could end the request.
 */
TRESOR_API int32_t tresor_finish(struct tresor_context *context, struct tresor_request request,
                                 int32_t discard_items, struct tresor_event *event);

/**
 * Ask for the end of a request. Its DONE event says CANCELLED, or what it had become by then. What other
 * requests want goes on. Memory that a read in flight writes to stays until that read has ended. Returns TRESOR_OK,
 * STALE or THREAD.
 */
TRESOR_API int32_t tresor_cancel(struct tresor_context *context, struct tresor_request request);

/**
 * The strategy of later LOADs (and SWAPs) that name none, an enum tresor_strategy, at once; what is loaded, or asked for
 * already, stays as it is. Returns TRESOR_OK, INVALID (no such strategy) or THREAD.
 */
TRESOR_API int32_t tresor_set_strategy(struct tresor_context *context, uint32_t strategy);

/** Copy the counters. TRESOR_OK, INVALID or THREAD. */
TRESOR_API int32_t tresor_get_counters(struct tresor_context *context,
                                       struct tresor_counters *counters);

/**
 * Change the backend (enum tresor_backend) while the context is idle: every accepted request has ended, though its DONE
 * event need not be taken yet, and the last dispatch left nothing in flight and nothing to do, as it does once
 * tresor_dispatch returns 0 and `effects` and `completions` of the counters are equal. A cancelled request may have ended
 * before its reads have; dispatch until they have too. Whatever is resident, acquired, locked or queued stays as it is, and
 * so does the descriptor of tresor_get_fd. Other threads may acquire, release, give chunks back and wake meanwhile. The
 * option `threads_max` holds for the new one too. A backend that is chosen again is made anew, so one whose ring was
 * refused tries again. Returns TRESOR_OK, INVALID, BUSY where the context is not idle, NO_MEMORY (also where a pool gets
 * no thread at all), or THREAD; on failure the old one goes on. INVALID also is HOST without the option `actor`.
 */
TRESOR_API int32_t tresor_set_backend(struct tresor_context *context, uint32_t backend);

/** The name of the backend that works now: "sync", "pool", the host's own, or "uring", which becomes "pool" where its ring is refused,
 * at the first dispatch that has work or later. Static text. */
TRESOR_API const char *tresor_backend_name(const struct tresor_context *context);

/**
 * Write one line on an error into `buffer` of `size_bytes`, always ended by NUL: what happened, the file, the tensor,
 * the offset, the system's reason, the advice. Returns the length of the whole line, like snprintf. File and tensor are
 * named while the source is open, and of one that failed to open until its place is taken by another. A NULL context
 * leaves them out, and a NULL error makes an empty line.
 */
TRESOR_API size_t tresor_error_format(struct tresor_context *context,
                                      const struct tresor_error *error, char *buffer,
                                      size_t size_bytes);

#ifdef __cplusplus
}
#endif

#endif
