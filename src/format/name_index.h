/* SPDX-License-Identifier: MIT */
/*
 * From names to numbers: a chained hash table over names that lie in one growing block of strings.
 * The n-th name that is inserted has number n. It grows by doubling, so that n names cost O(n) in
 * all.
 */
#ifndef TRESOR_FORMAT_NAME_INDEX_H
#define TRESOR_FORMAT_NAME_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/allocator.h>

struct tresor__name_slot {
    uint32_t hash;
    uint32_t next; /* number of the next name of the same chain, or TRESOR_NONE */
    uint32_t name_offset;
    uint32_t name_length;
};

/** Zeroed is empty. */
struct tresor__name_index {
    struct tresor__name_slot
        *slots; /* `capacity` of them, and after them as many heads of chains */
    uint32_t count;
    uint32_t capacity; /* zero or a power of two */
};

uint32_t tresor__name_hash(const uint64_t key[2], const char *name, size_t length);

/** Number of that name, or TRESOR_NONE. */
uint32_t tresor__name_index_find(const struct tresor__name_index *index, const char *strings,
                                 uint32_t hash, const char *name, size_t length);

/** Make room for one more name. TRESOR_OK, NO_MEMORY or LIMIT; what was there stays. */
int32_t tresor__name_index_reserve(struct tresor__name_index *index,
                                   const struct tresor_allocator *allocator);

/** Insert a name that is not there yet, after a reserve. */
void tresor__name_index_insert(struct tresor__name_index *index, uint32_t hash,
                               uint32_t name_offset, uint32_t name_length);

/** Forget all names, keep the memory. */
void tresor__name_index_clear(struct tresor__name_index *index);

void tresor__name_index_free(struct tresor__name_index *index,
                             const struct tresor_allocator *allocator);

#endif
