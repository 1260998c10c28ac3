/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_STRATEGY_H
#define TRESOR_STRATEGY_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/backend.h>
#include <tresor/error.h>
#include <tresor/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How tensor bytes come into the window. A tensor that is resident by one satisfies a load by any other. */
enum tresor_strategy {
    TRESOR_STRATEGY_DEFAULT = 0, /**< what the context's options say */
    TRESOR_STRATEGY_MMAP = 1,    /**< shared pages of the file, read-only, populated */
    TRESOR_STRATEGY_READ = 2,    /**< private pages, populated, then read into */
};

/** Whether reads go past the page cache, straight into their memory. */
enum tresor_direct {
    TRESOR_DIRECT_DEFAULT = 0, /**< auto */
    /** What the page cache holds is copied out of it; everything else is read directly. */
    TRESOR_DIRECT_AUTO = 1,
    TRESOR_DIRECT_ON = 2,  /**< always directly, whatever the page cache holds */
    TRESOR_DIRECT_OFF = 3, /**< always through the page cache, which then holds it */
};

/** What tresor_advise tells the kernel; as in posix_fadvise(2) and madvise(2). */
enum tresor_advice {
    TRESOR_ADVICE_NORMAL = 0,
    TRESOR_ADVICE_SEQUENTIAL = 1,
    TRESOR_ADVICE_RANDOM = 2,
    TRESOR_ADVICE_WILLNEED = 3, /**< read ahead into the page cache; rounds outward to pages */
    TRESOR_ADVICE_DONTNEED = 4, /**< drop from the page cache; rounds inward, and skips what is mapped */
};

/** "default", "mmap", "read"; "unknown" otherwise. Static text; any thread. */
TRESOR_API const char *tresor_strategy_name(uint32_t strategy);

/**
 * The strategies of one file for engines with a tensor machine of their own: no context, no policy, no budget. A driver is
 * a Mealy machine in a block of the engine's memory: an input goes in, effects and results come out, and nothing is called,
 * allocated or waited for. The engine carries the effects out as it likes (see backend.h), and gives each answer back as an
 * input. Any thread, one at a time.
 */
struct tresor_driver;

/** Where a tensor's bytes are in the file. Tensors may share pages, and overlap. */
struct tresor_driver_tensor {
    uint64_t offset_bytes;
    uint64_t size_bytes;
};

/** What a driver is made for. Zero is the default of what has one. */
struct tresor_driver_options {
    size_t size_bytes; /**< sizeof of this struct */
    const struct tresor_driver_tensor *tensors; /**< copied */
    uint32_t tensor_count; /**< at most 2^24 */
    int32_t descriptor;    /**< of the file, open for reading; the engine's, as long as the driver is used */
    int32_t direct_descriptor; /**< the same file, open for direct reads; looked at only with an alignment */
    uint32_t direct_alignment_bytes; /**< of such reads, in memory and in the file, a power of two up to a page; 0: none are made */
    uint64_t file_bytes;   /**< how long it is */
    /** A range of addresses that the engine has reserved, as long as the file rounded up to pages, at a multiple of 2 MiB for
     * huge pages, else of a page. Byte o of the file will be at window + o. Given back by the engine, after the driver. */
    void *window;
    uint64_t page_bytes;     /**< of the system; default 4096 */
    uint64_t block_bytes;    /**< of one read; default 2 MiB; a multiple of 64 KiB, at most 1 GiB */
    uint64_t populate_bytes; /**< of one populate; default 512 MiB; a multiple of 64 KiB, at most 1 GiB */
    uint32_t blocks_max;     /**< reads in flight; default 16, at most 65536 */
    uint32_t reserved;       /**< 0 */
};

/** Bytes of the block of memory that a driver needs; 0 where the options are not valid. */
TRESOR_API size_t tresor_driver_bytes(const struct tresor_driver_options *options);

/** Make a driver in a block of that many bytes at least, aligned as malloc's are, which stays the engine's: free it when the
 * driver is idle and the window given back. TRESOR_OK, INVALID, NO_MEMORY (the block is too small) or LIMIT (tensors overlap
 * without measure). */
TRESOR_API int32_t tresor_driver_create(const struct tresor_driver_options *options, void *memory,
                                        size_t memory_bytes, struct tresor_driver **driver);

enum tresor_driver_event {
    TRESOR_DRIVER_NONE = 0,    /**< nothing new: only what has not been taken yet comes out */
    TRESOR_DRIVER_LOAD = 1,    /**< tensors that are absent, by `strategy` where no neighbour has their pages already */
    TRESOR_DRIVER_RELEASE = 2, /**< tensors that are resident, or being loaded: then LOAD has no result of its own */
    TRESOR_DRIVER_LOCK = 3,    /**< resident tensors that are not locked */
    TRESOR_DRIVER_UNLOCK = 4,  /**< tensors that are locked */
    TRESOR_DRIVER_ANSWER = 5,  /**< to an effect */
    TRESOR_DRIVER_DEGRADED = 6, /**< only as a result: direct reads were refused, and reads go through the page cache */
};

struct tresor_driver_input {
    uint32_t event;          /**< enum tresor_driver_event */
    uint32_t strategy;       /**< of LOAD: enum tresor_strategy, not DEFAULT */
    const uint32_t *tensors; /**< their indices, each once; not for ANSWER */
    uint32_t tensor_count;
    uint32_t reserved;       /**< 0 */
    struct tresor_answer answer; /**< of ANSWER */
};

/** The one end of what was asked for one tensor. */
struct tresor_driver_result {
    uint32_t event;  /**< LOAD, RELEASE, LOCK, UNLOCK or DEGRADED */
    uint32_t tensor; /**< TRESOR_NONE with DEGRADED */
    const void *data; /**< of a LOAD that went well: its bytes, until it is released */
    /** Code TRESOR_OK, or why not. After a LOAD that failed the tensor is absent; after a RELEASE or UNLOCK that failed too, but
     * the system has kept some of its pages, or their locks. */
    struct tresor_error error;
};

enum {
    TRESOR_DRIVER_BATCH = 16,
};

/** What comes out of a step. */
struct tresor_driver_batch {
    uint32_t effect_count;
    uint32_t result_count;
    uint32_t more;     /**< 1 where not all had room: step again with NONE */
    uint32_t is_idle;  /**< 1 where nothing is in flight or left to be taken */
    struct tresor_effect effects[TRESOR_DRIVER_BATCH]; /**< to be carried out, each answered once */
    struct tresor_driver_result results[TRESOR_DRIVER_BATCH];
};

/**
 * One step; `input` NULL is NONE. Returns TRESOR_OK, or, with no trace but an empty batch, INVALID (no such event, strategy or
 * tensor, or one whose state does not allow it) or BACKEND (an answer to nothing that is in flight, or one that cannot be).
 */
TRESOR_API int32_t tresor_driver_step(struct tresor_driver *driver,
                                      const struct tresor_driver_input *input,
                                      struct tresor_driver_batch *batch);

#ifdef __cplusplus
}
#endif

#endif
