/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_CORE_ALLOCATOR_H
#define TRESOR_CORE_ALLOCATOR_H

#include <tresor/allocator.h>

/** The host's allocator, or malloc and free where the host gave none. */
struct tresor_allocator tresor__allocator_or_default(const struct tresor_allocator *given);

/** `size_bytes` zeroed bytes, or NULL. */
void *tresor__allocate(const struct tresor_allocator *allocator, size_t size_bytes);

/** Grow or shrink a block; bytes past `old_bytes` are zeroed. NULL leaves the old block as it was. */
void *tresor__reallocate(const struct tresor_allocator *allocator, void *block, size_t old_bytes,
                         size_t new_bytes);

/** Free a block of `size_bytes`; NULL is allowed. */
void tresor__free(const struct tresor_allocator *allocator, void *block, size_t size_bytes);

#endif
