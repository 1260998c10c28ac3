/* SPDX-License-Identifier: MIT */
/*
 * The face of Hyperion's mapped model: a TMAI file (docs/formats.md) whose layers are loaded when they are asked for, into a
 * cache that is bounded. What Hyperion does function by function, and what is different here, is in docs/parity.md.
 *
 * Every tresor_hyperion_get_weights pins its layer, so the pointer is good until as many tresor_hyperion_release; what is not
 * pinned leaves when its room is needed, those of lower priority first. Functions return TRESOR_OK or an error of
 * <tresor/error.h>; an index that is no layer's, and NULL for a model, is INVALID.
 *
 * Threads: a model belongs to the thread that opened it; on another one a call does nothing and returns THREAD.
 * tresor_hyperion_release and the bytes of pinned layers are any thread's. No thread works but those of the option `threads`, and what they have
 * finished goes on only inside a call: a host that computes for long calls tresor_hyperion_work now and then, or when
 * tresor_hyperion_get_fd is readable.
 */
#ifndef TRESOR_COMPAT_HYPERION_H
#define TRESOR_COMPAT_HYPERION_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/allocator.h>
#include <tresor/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A model whose layers come and go. Opaque. */
struct tresor_hyperion_model;

/** How a model is opened. tresor_hyperion_defaults fills in all of it. */
struct tresor_hyperion_options {
    size_t size_bytes;                 /**< sizeof of this struct */
    struct tresor_allocator allocator; /**< of the model's own records; zero: malloc and free */
    uint64_t cache_bytes; /**< the most memory that layers take, in whole pages; default 256 MiB; not 0 */
    /** What is smaller is not kept: it is loaded when it is asked for, never ahead, and leaves with its last release. Default
     * 4 KiB: what is less than a page shares it with its neighbours, and frees nothing. 0: all are kept. */
    uint64_t layer_bytes_min;
    uint32_t prefetch; /**< 1 (default): what will probably be asked for next is loaded in the background. 0: nothing is loaded
                            but what is asked for, by the calling thread itself */
    uint32_t threads;  /**< that load in the background, 1 to 256; default 1; without `prefetch` there are none */
    /** 1 (default): the order in which layers are asked for is learned. Then what comes next by that is loaded ahead, as far as there is room,
     * and stays until it was used; and where layers are asked for round and round, some stay for good, rather than each leaving just before
     * its turn. 0: the next layer is loaded ahead, and of equal priority those leave first that were used longest ago. */
    uint32_t adaptive;
    uint32_t reserved; /**< 0 */
};

/** Fill in the defaults. Any thread. */
TRESOR_API void tresor_hyperion_defaults(struct tresor_hyperion_options *options);

/**
 * Open a TMAI file; blocks until its header is read. NULL options are the defaults. Returns TRESOR_OK, INVALID (an option is out
 * of range), FORMAT (it is another), or what opening a source can fail with; `error` (may be NULL) then has the details. On
 * failure `*model` is NULL.
 */
TRESOR_API int32_t tresor_hyperion_open(const char *path,
                                        const struct tresor_hyperion_options *options,
                                        struct tresor_hyperion_model **model,
                                        struct tresor_error *error);

/** Free a model; what is loaded ahead is cancelled. BUSY, and nothing is done, while a layer is pinned. NULL is allowed. Returns
 * TRESOR_OK, BUSY or THREAD. */
TRESOR_API int32_t tresor_hyperion_close(struct tresor_hyperion_model *model);

/** How many layers there are, or INVALID. Any thread. */
TRESOR_API int64_t tresor_hyperion_layer_count(const struct tresor_hyperion_model *model);

/** One layer. */
struct tresor_hyperion_layer {
    size_t size_bytes; /**< in: sizeof of the caller's struct */
    uint64_t offset_bytes; /**< in the file */
    uint64_t layer_bytes;
    uint32_t index;
    uint32_t precision_bits; /**< of an element */
    const void *weights;     /**< where it is in memory, for one who has pinned it; NULL where it is not there now */
    uint32_t is_active;      /**< 1: it is in memory */
    uint32_t users;          /**< gets that were not released yet */
    float priority;          /**< 1 unless it was set */
    uint32_t is_loading;     /**< 1: it is being loaded ahead */
    uint64_t last_access;    /**< the model's how many'th get was its last; 0: it was never asked for */
    uint64_t access_count;   /**< how often it was asked for and got */
};

/** Copy a layer out as it is now. Also THREAD. */
TRESOR_API int32_t tresor_hyperion_get_layer(struct tresor_hyperion_model *model, uint32_t layer,
                                             struct tresor_hyperion_layer *info);

/**
 * The layer's weights, which are only read; loads them where they are not in memory, and then blocks. Pins the layer: they stay
 * until as many releases. What is being loaded ahead gives way. Returns TRESOR_OK, TOO_BIG (the cache is smaller than the
 * layer), BUSY (what is pinned leaves no room), AGAIN (2^24 gets), THREAD, or what a load can fail with, and then the details in
 * `error` (may be NULL); on failure `*weights` is NULL.
 */
TRESOR_API int32_t tresor_hyperion_get_weights(struct tresor_hyperion_model *model, uint32_t layer,
                                               const void **weights, struct tresor_error *error);

/**
 * Load a layer that will be asked for, and pin nothing. With the option `prefetch` this begins it and returns: TRESOR_OK says that it is in memory
 * or on its way; a failure shows in the counters, and the next get tries again. Without it this blocks, and TRESOR_OK says that it is
 * in memory. Nothing that is in use, of higher priority or loaded ahead itself goes for it: BUSY where the rest is too little. Also TOO_BIG,
 * UNSUPPORTED (smaller than `layer_bytes_min`), AGAIN, THREAD, and without `prefetch` what a load can fail with.
 */
TRESOR_API int32_t tresor_hyperion_prefetch(struct tresor_hyperion_model *model, uint32_t layer);

/**
 * Undo one get. With the last one the layer may leave memory when its room is needed, and, if it is smaller than `layer_bytes_min`, leaves
 * at once, or, where another thread released it, with the next call of the model's. Any thread. INVALID where it is not pinned.
 */
TRESOR_API int32_t tresor_hyperion_release(struct tresor_hyperion_model *model, uint32_t layer);

/** Free a layer's memory now. TRESOR_OK also where it was not there; BUSY while it is pinned; MAP_REFUSED where the system keeps
 * it; THREAD. */
TRESOR_API int32_t tresor_hyperion_drop(struct tresor_hyperion_model *model, uint32_t layer);

/** Memory that layers take, in bytes, whole pages, never more than `cache_bytes`. Also THREAD. */
TRESOR_API int32_t tresor_hyperion_memory_usage(struct tresor_hyperion_model *model,
                                                uint64_t *usage_bytes);

/**
 * Who stays longer: what has a lower priority leaves first, whenever it was used; any finite number (else INVALID), at first 1, which reset
 * restores for all layers. With the option `adaptive` priorities that differ by less than one in 2048 are as one. Also THREAD.
 */
TRESOR_API int32_t tresor_hyperion_set_priority(struct tresor_hyperion_model *model, uint32_t layer,
                                                float priority);
TRESOR_API int32_t tresor_hyperion_reset_priorities(struct tresor_hyperion_model *model);

/** Go on with what is loaded ahead; does not block where there is `prefetch`. Returns 1 if more is to do at once, 0 if not, or INVALID or THREAD. */
TRESOR_API int32_t tresor_hyperion_work(struct tresor_hyperion_model *model);

/** A descriptor that is readable when tresor_hyperion_work has something to do: see tresor_get_fd, whose rules it has. */
TRESOR_API int32_t tresor_hyperion_get_fd(struct tresor_hyperion_model *model);

/** What the order of the last 64 gets was found to be. */
enum tresor_hyperion_pattern {
    TRESOR_HYPERION_NONE = 0,   /**< none of the following */
    TRESOR_HYPERION_NEXT = 1,   /**< one behind the other, and after the last the first */
    TRESOR_HYPERION_STRIDE = 2, /**< each as far from the one before, round and round */
    TRESOR_HYPERION_REPEAT = 3, /**< a sequence of up to 32 gets over and over */
};

/** "none", "next", "stride", "repeat"; "unknown" otherwise. Static text; any thread. */
TRESOR_API const char *tresor_hyperion_pattern_name(uint32_t pattern);

/** What a model has done so far. */
struct tresor_hyperion_counters {
    size_t size_bytes;        /**< in: sizeof of the caller's struct */
    uint64_t gets;            /**< that succeeded */
    uint64_t hits;            /**< of them, those whose layer was in memory */
    uint64_t late;            /**< of them, those whose layer was being loaded ahead */
    uint64_t prefetches;      /**< loads ahead that were begun, also by tresor_hyperion_prefetch */
    uint64_t prefetches_used; /**< of them, those whose layer was asked for then */
    uint64_t prefetches_skipped; /**< that were not begun, for want of room */
    uint64_t prefetches_failed;
    uint64_t prefetches_cancelled; /**< which something else was asked for instead of, or needed the room of */
    uint64_t predictions;          /**< layers that the learned order foretold; 0 without `adaptive` */
    uint64_t predictions_right;    /**< of them, those that were asked for next, or as far ahead as they were foretold */
    uint32_t pattern;              /**< enum tresor_hyperion_pattern, now; NONE without `adaptive` */
    uint32_t period;               /**< of REPEAT; else 0 */
    int64_t stride;                /**< of NEXT and STRIDE, in layers; else 0 */
    uint64_t degraded; /**< bit i: the model does with less than it asked for, as enum tresor_degradation i says */
};

/** Copy the counters. Also THREAD. */
TRESOR_API int32_t tresor_hyperion_get_counters(struct tresor_hyperion_model *model,
                                                struct tresor_hyperion_counters *counters);

#ifdef __cplusplus
}
#endif

#endif
