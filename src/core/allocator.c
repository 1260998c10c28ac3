/* SPDX-License-Identifier: MIT */
#include "core/allocator.h"

#include <stdlib.h>
#include <string.h>

static void *default_reallocate(void *cookie, void *block, size_t old_bytes, size_t new_bytes)
{
    (void)cookie;
    (void)old_bytes;
    return realloc(block, new_bytes);
}

static void default_free(void *cookie, void *block, size_t size_bytes)
{
    (void)cookie;
    (void)size_bytes;
    free(block);
}

struct tresor_allocator tresor__allocator_or_default(const struct tresor_allocator *given)
{
    if (given && given->reallocate && given->free)
        return *given;
    return (struct tresor_allocator){.reallocate = default_reallocate, .free = default_free};
}

void *tresor__allocate(const struct tresor_allocator *allocator, size_t size_bytes)
{
    return tresor__reallocate(allocator, NULL, 0, size_bytes);
}

void *tresor__reallocate(const struct tresor_allocator *allocator, void *block, size_t old_bytes,
                         size_t new_bytes)
{
    char *grown = allocator->reallocate(allocator->cookie, block, old_bytes, new_bytes);
    if (grown && new_bytes > old_bytes)
        memset(grown + old_bytes, 0, new_bytes - old_bytes);
    return grown;
}

void tresor__free(const struct tresor_allocator *allocator, void *block, size_t size_bytes)
{
    if (block)
        allocator->free(allocator->cookie, block, size_bytes);
}
