/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_HANDLE_H
#define TRESOR_HANDLE_H

#include <stdint.h>

/**
 * Handles are values: copied freely, compared by `value`, never freed. They name a kind, a slot and a generation,
 * so that a handle whose object is gone is refused with TRESOR_ERROR_STALE instead of meaning another object.
 * Zero is never a handle.
 */

/** An open model. */
struct tresor_source {
    uint64_t value;
};

/** What can be resident: a tensor, a group of tensors, or a whole source. */
struct tresor_item {
    uint64_t value;
};

/** A request that was accepted and has not ended. */
struct tresor_request {
    uint64_t value;
};

/** A chunk of a STREAM request that the host has, until it gives it back. */
struct tresor_stage {
    uint64_t value;
};

#endif
