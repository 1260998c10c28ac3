/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_CHOICE_H
#define TRESOR_CHOICE_H

#include <stdint.h>

#include <tresor/handle.h>
#include <tresor/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tresor_context;

/** Why something was chosen. */
enum tresor_reason {
    TRESOR_REASON_NONE = 0,     /**< nothing was: the tensor is not in memory */
    TRESOR_REASON_DEFAULT = 1,  /**< the context's options say so */
    TRESOR_REASON_REQUEST = 2,  /**< a request asked for it */
    TRESOR_REASON_RESIDENT = 3, /**< it was in memory that way already, whatever the request asked for */
    TRESOR_REASON_STRATEGY = 4, /**< the strategy has no use of it */
    TRESOR_REASON_SIZE = 5,     /**< the tensor is too small for it */
    TRESOR_REASON_SYSTEM = 6,   /**< the system refused it: an event has said so, or will */
    TRESOR_REASON_SOURCE = 7,   /**< there is no file behind the source, or its bytes lie askew in it or are compressed (tresor_source_open_with) */
};

/** What a tensor is like in memory, and why; each `_reason` is an enum tresor_reason. */
struct tresor_choice {
    uint8_t strategy; /**< enum tresor_strategy; DEFAULT: not in memory */
    uint8_t strategy_reason;
    uint8_t direct; /**< 1: what of it the page cache did not hold was read past that */
    uint8_t direct_reason;
    uint8_t huge_pages; /**< 1: the system was asked for 2 MiB pages, or to read the file 2 MiB at a time; it need not have them */
    uint8_t huge_pages_reason;
    uint8_t lock; /**< 1: its pages are locked */
    uint8_t lock_reason;
};

/**
 * What was chosen for a tensor, or a slice: an item of one. The ITEM event of a LOAD says the same, of what the load came to.
 * TRESOR_OK, INVALID (an item of several, or NULL), STALE, BUSY (not open yet) or THREAD.
 */
TRESOR_API int32_t tresor_get_choice(struct tresor_context *context, struct tresor_item item,
                                     struct tresor_choice *choice);

/** "default", "request", ...; "none" and "unknown" otherwise. Static text; any thread. */
TRESOR_API const char *tresor_reason_name(uint32_t reason);

#ifdef __cplusplus
}
#endif

#endif
