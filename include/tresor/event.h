/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_EVENT_H
#define TRESOR_EVENT_H

#include <stdint.h>

#include <tresor/choice.h>
#include <tresor/error.h>
#include <tresor/handle.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a request asks. */
enum tresor_verb {
    TRESOR_VERB_OPEN = 1,
    TRESOR_VERB_CLOSE = 2,
    TRESOR_VERB_LOAD = 3,
    TRESOR_VERB_COPY = 4,
    TRESOR_VERB_EVICT = 5,
    TRESOR_VERB_LOCK = 6,
    TRESOR_VERB_UNLOCK = 7,
    TRESOR_VERB_ADVISE = 8,
    TRESOR_VERB_STREAM = 9,
    TRESOR_VERB_BUDGET = 10,
    TRESOR_VERB_PLAN = 11,
    TRESOR_VERB_SWAP = 12,
    TRESOR_VERB_CHECK = 13,
    TRESOR_VERB_DIGEST = 14,
};

enum tresor_event_type {
    TRESOR_EVENT_DONE = 1, /**< the one end of a request */
    TRESOR_EVENT_ITEM = 2, /**< one tensor of a request: always when it failed, else if asked for */
    /** The context or a file does with less than was asked for, and goes on; `flags` is an enum
     * tresor_degradation, `error` is UNSUPPORTED with the file and the system's reason. */
    TRESOR_EVENT_DEGRADED = 3,
    /** How far a LOAD has got, if that was asked for: `bytes` of `total_bytes` have arrived, also of
     * tensors that are not complete or failed then. It rises from one to the next, by no less than
     * the request's progress_bytes; what was not taken meanwhile is told at once. */
    TRESOR_EVENT_PROGRESS = 4,
    /** Bytes of one tensor of a STREAM: `bytes` of them at `data`, from `offset_bytes` in the tensor
     * on. They stay until `stage` is given back by tresor_chunk_return. */
    TRESOR_EVENT_CHUNK = 5,
    /** Memory runs short, if the context was made to watch it; `flags` is of enum tresor_pressure_kind, and tells of all
     * that has risen since the last such event was taken. `bytes` is what the process's control group uses of
     * `total_bytes`, its limit: the lowest of its own and those above it, with the usage of the one that has it. 0 of
     * UINT64_MAX where that is not known; UINT64_MAX where there is no limit. */
    TRESOR_EVENT_PRESSURE = 6,
    /** Bytes of a tensor, or a slice, that is in memory were lost, and zeros took their place; see guard.h. `error` is
     * TRUNCATED or IO with the file, the tensor and the offset in the file of the first of them; `bytes` how many there are,
     * all that were since the last such event of it was taken. */
    TRESOR_EVENT_POISONED = 7,
};

enum tresor_event_flag {
    TRESOR_EVENT_PARTIAL = 1, /**< DONE: some tensors succeeded and some did not */
    TRESOR_EVENT_PINNED = 2,  /**< ITEM of a LOAD with TRESOR_REQUEST_PIN: the tensor is acquired, and the host's to
                                   release by `item` */
};

/** What works with less than was asked for. */
enum tresor_degradation {
    TRESOR_DEGRADED_BACKEND = 1, /**< io_uring was refused: worker threads do its work */
    TRESOR_DEGRADED_DIRECT = 2,  /**< direct reads of a file were refused: it is read through the
                                    page cache */
    TRESOR_DEGRADED_READAHEAD = 3, /**< mmap: a file that is not cached is read in small pieces, slower than its disk
                                      can, for the system cannot be asked for more and its device reads ahead
                                      `error.got` bytes where `error.wanted` would do: raise read_ahead_kb, or load
                                      by reading. Once a file */
    TRESOR_DEGRADED_NUMA = 4, /**< read: the system refused to put a file's pages on the nodes that were asked for:
                                 they lie where it puts them. Once a file */
    TRESOR_DEGRADED_PRESSURE = 5, /**< memory cannot be watched, or not any more: the system has, or lets this process
                                     see, neither pressure stall information nor a control group's memory */
};

/**
 * An event, copied out: plain data without pointers to free. A DONE event comes after all other
 * events of its request, and its `error.code` is TRESOR_OK only if every tensor succeeded;
 * otherwise `error` is the first failure, or CANCELLED.
 */
struct tresor_event {
    uint16_t type;  /**< enum tresor_event_type */
    uint16_t verb;  /**< enum tresor_verb of the request; DEGRADED, PRESSURE, POISONED: 0 */
    uint32_t flags; /**< enum tresor_event_flag; DEGRADED: enum tresor_degradation; PRESSURE: enum
                       tresor_pressure_kind */
    uint32_t total; /**< DONE, PROGRESS: tensors that the request named; ITEM, CHUNK: 1 */
    uint32_t done;  /**< tensors that succeeded; PROGRESS: so far */
    uint32_t failed;
    uint32_t cancelled;
    struct tresor_request request; /**< after DONE the handle is stale */
    struct tresor_item item;       /**< ITEM, CHUNK and POISONED: the tensor, or slice of one; otherwise 0 */
    uint64_t cookie;               /**< the request's */
    uint64_t bytes; /**< of the tensors that succeeded; PROGRESS: arrived so far; CHUNK: its own; PRESSURE: used;
                         POISONED: lost */
    void *data;     /**< ITEM of a LOAD that succeeded: the tensor's address, with TRESOR_REQUEST_PIN only if it is
                         PINNED; CHUNK: its bytes; else NULL */
    union {
        uint64_t total_bytes;  /**< PROGRESS: of all tensors that the request named; PRESSURE: the limit;
                                    otherwise 0 */
        uint64_t offset_bytes; /**< CHUNK: of its first byte in the tensor */
        uint64_t digest_high;  /**< ITEM of a DIGEST that succeeded: the upper half of the XXH128 */
        struct tresor_choice choice; /**< ITEM of a LOAD that succeeded: how the tensor came into memory, and why so */
    };
    union {
        struct tresor_stage stage; /**< CHUNK: to be given back; else 0 */
        uint64_t digest_low;       /**< ITEM of a DIGEST that succeeded: the lower half */
    };
    struct tresor_error error;
};

/** Static name of a verb, like "LOAD"; "UNKNOWN" otherwise. Any thread. */
TRESOR_API const char *tresor_verb_name(uint32_t verb);

/** Static name of an enum tresor_degradation, like "direct"; "unknown" otherwise. Any thread. */
TRESOR_API const char *tresor_degradation_name(uint32_t degradation);

#ifdef __cplusplus
}
#endif

#endif
