/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_PLAN_H
#define TRESOR_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/budget.h>

#ifdef __cplusplus
extern "C" {
#endif

enum tresor_plan_flag {
    TRESOR_PLAN_CYCLIC = 1, /**< after the last step comes the first again */
    TRESOR_PLAN_ITEMS = 2,  /**< an ITEM event for every tensor that was loaded, not only for those that failed */
};

/** How a plan is carried out. Zero is the default of every field. */
struct tresor_plan_options {
    size_t size_bytes; /**< sizeof of this struct */
    uint64_t cookie;   /**< given back in the request's events */
    uint32_t flags;    /**< enum tresor_plan_flag */
    uint32_t strategy; /**< enum tresor_strategy of its loads */
    /** How far ahead of its use a tensor is loaded, in bytes of what is used before it. Default: the lesser of 64 MiB and
     * 5% of the budget; without a budget 64 MiB. 1 loads only what is used next. */
    uint64_t window_bytes;
};

/**
 * Declare in which order items of one source will be used: each is a step, whose tensors are used together. While the
 * request stands, what is used next is loaded ahead, and under a budget what is needed last goes for it, which is the best
 * that can be done (Belady's rule); it never goes for what it is needed sooner than. A step has been used when all its
 * tensors have been acquired (or loaded again, by a LOAD) since the step before it and were released: then the plan goes on. A later
 * step that is used first takes the plan there. Tensors that a plan names are not ranked by the policy, and for others they
 * go last, and not within the window.
 *
 * Without TRESOR_PLAN_CYCLIC the request ends with the last step, and where it names a tensor again each acquire of it is
 * one step's; a cyclic one stands until it is cancelled, and however often a tensor is acquired in a step counts once. Its
 * DONE event counts the loads that it made. A load that fails has an ITEM event, and is tried once more when its step comes.
 *
 * Allocates; no I/O. Returns TRESOR_OK, INVALID (also where there is no tensor in it), STALE, BUSY (the source is not open, or
 * another plan names one of the tensors), TOO_BIG (a step is larger than the budget), LIMIT (16 plans stand, or it names
 * 2^28 tensors), AGAIN, NO_MEMORY or THREAD.
 */
TRESOR_API int32_t tresor_plan(struct tresor_context *context, const struct tresor_item *items,
                               size_t item_count, const struct tresor_plan_options *options,
                               struct tresor_request *request);

/** Go on at another step, below their number. What was loaded ahead and has not arrived is cancelled where it is not near
 * any more. TRESOR_OK, INVALID, STALE (no plan that stands) or THREAD. */
TRESOR_API int32_t tresor_plan_seek(struct tresor_context *context, struct tresor_request request,
                                    size_t step);

/** How far a plan has got. */
struct tresor_plan_info {
    size_t size_bytes; /**< in: sizeof of the caller's struct */
    uint64_t step;     /**< that is used now, or next */
    uint64_t step_count;
    uint64_t passes; /**< how often its last step was used */
    uint64_t window_bytes;
};

/** TRESOR_OK, INVALID, STALE (no plan that stands) or THREAD. */
TRESOR_API int32_t tresor_plan_get_info(struct tresor_context *context,
                                        struct tresor_request request,
                                        struct tresor_plan_info *info);

#ifdef __cplusplus
}
#endif

#endif
