/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_DIGEST_H
#define TRESOR_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/residency.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An XXH128 (XXH3, 128 bits, seed 0) as two halves: printed as "%016x%016x", upper first, it is what xxhsum -H2 prints. */
struct tresor_digest {
    uint64_t high;
    uint64_t low;
};

/** What the bytes of one tensor, or of one slice, are promised to be. */
struct tresor_item_digest {
    struct tresor_item item;
    struct tresor_digest digest;
};

/** 1 where this build can make digests (the meson option `hash`); else what needs them is UNSUPPORTED. Any thread. */
TRESOR_API int32_t tresor_can_digest(void);

/**
 * Promise the digests of tensors or slices of a source, which loads with TRESOR_REQUEST_CHECK and tresor_digest then
 * compare; a later one takes the place of an earlier one of the same item. They are copied. A tensor that is split has its
 * slices' digests, not its own. TRESOR_OK; or INVALID (an item of several, or of another source, or NULL), STALE, BUSY (not
 * open yet), UNSUPPORTED (tresor_can_digest) or THREAD, and then none is taken.
 */
TRESOR_API int32_t tresor_source_set_digests(struct tresor_context *context,
                                             struct tresor_source source,
                                             const struct tresor_item_digest *digests,
                                             size_t count);

/**
 * Compute the digests of tensors that are in memory, by the backend's workers, a part of at most 4 MiB at a time (1 MiB, and
 * inside dispatch, on `sync`). With TRESOR_REQUEST_ITEMS each one's ITEM event has it in `digest_high` and `digest_low`; of
 * the other flags CHECK and FINITE count. Nothing is loaded: what is not in memory fails with NOT_RESIDENT. Meanwhile the
 * tensor may be acquired, locked and swapped, and is in use for whoever would evict it. Pages that are mapped from the file
 * are read through it, so a file that became shorter fails with TRUNCATED. Returns as tresor_load; also UNSUPPORTED, and
 * NOT_FOUND as with TRESOR_REQUEST_CHECK.
 */
TRESOR_API int32_t tresor_digest(struct tresor_context *context, const struct tresor_item *items,
                                 size_t item_count, const struct tresor_request_options *options,
                                 struct tresor_request *request);

#ifdef __cplusplus
}
#endif

#endif
