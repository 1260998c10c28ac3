/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_ALLOCATOR_H
#define TRESOR_ALLOCATOR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The host's memory for the library's own records (never for tensor bytes, which are mapped). Both
 * functions may be called on the context's thread and on its workers. `reallocate` behaves like realloc:
 * a NULL block allocates, NULL returned means no memory and leaves the old block valid. Sizes are in bytes;
 * `old_bytes` and `size_bytes` are the sizes last asked for.
 */
struct tresor_allocator {
    void *cookie; /**< given back in every call */
    void *(*reallocate)(void *cookie, void *block, size_t old_bytes, size_t new_bytes);
    void (*free)(void *cookie, void *block, size_t size_bytes);
};

#ifdef __cplusplus
}
#endif

#endif
