/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_BUDGET_H
#define TRESOR_BUDGET_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/residency.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A budget bounds the memory of a context's tensors: private pages of windows, pages of files that are mapped and
 * populated, locked ones among them, pages kept as spare, what compressed files were decoded to, for as long as they are open, and
 * the memory of stages once a STREAM has used it. It is counted
 * in whole pages, a page that tensors share once. What the context itself consists of is not in it: its machines, made
 * when it is created and when sources open, and 1 MiB for each worker where reads cannot go to their place.
 *
 * Under a budget a LOAD brings in as much as there is room for and has other tensors evicted to make more: those that no
 * plan names, in the order of the policy, then those that a plan needs last. What is acquired, locked or being loaded stays, and so does
 * what the same request has loaded. A LOAD of more than the whole budget is refused with TOO_BIG before anything is evicted;
 * where what is acquired, locked or needed soon by a plan leaves too little room, its tensors fail with BUSY, or wait with
 * TRESOR_REQUEST_WAIT; and with TOO_BIG where a lower budget has come that it does not fit. A STREAM whose first stage finds
 * no room fails like that too. Two
 * requests that wait and hold what each other needs wait until the host gives something back.
 */

/** Who is evicted first, of those that no plan names. Each counts by a logical clock, of uses: an acquire, or a LOAD. */
enum tresor_policy {
    TRESOR_POLICY_DEFAULT = 0, /**< TRESOR_POLICY_LRU */
    TRESOR_POLICY_LRU = 1,     /**< whose last use is longest ago */
    TRESOR_POLICY_LFRU = 2,    /**< who is used least often, where a use counts half after 32,768 others */
    TRESOR_POLICY_PRIORITY = 3, /**< who has the lowest priority; of equal ones as LRU */
};

/** "lru", "lfru", "priority"; "default" and "unknown" otherwise. Static text; any thread. */
TRESOR_API const char *tresor_policy_name(uint32_t policy);

/**
 * Set the budget, in bytes; 0: none. A higher one is there at once. For a lower one tensors are evicted; the request ends
 * when the memory in use is below it, with BUSY where what is acquired or locked is more than that (with
 * TRESOR_REQUEST_WAIT it goes on as that is released), or the memory of stages, which stays. Whatever becomes of the request, the budget is set: nothing is
 * brought in beyond it. A later one ends an earlier one that is still under way, as CANCELLED. Of `options` the
 * cookie and the flag WAIT count. Returns TRESOR_OK, INVALID, AGAIN or THREAD.
 */
TRESOR_API int32_t tresor_budget(struct tresor_context *context, uint64_t budget_bytes,
                                 const struct tresor_request_options *options,
                                 struct tresor_request *request);

/** Choose the policy, an enum tresor_policy, from now on. TRESOR_OK, INVALID or THREAD. */
TRESOR_API int32_t tresor_set_policy(struct tresor_context *context, uint32_t policy);

/** Give all tensors of an item a priority; the higher stays longer. They begin with 0, which reset restores. TRESOR_OK,
 * STALE, BUSY (not open yet) or THREAD. */
TRESOR_API int32_t tresor_set_priority(struct tresor_context *context, struct tresor_item item,
                                       int32_t priority);
TRESOR_API int32_t tresor_reset_priority(struct tresor_context *context, struct tresor_item item);

#ifdef __cplusplus
}
#endif

#endif
