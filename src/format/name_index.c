/* SPDX-License-Identifier: MIT */
#include "format/name_index.h"

#include <string.h>

#include <tresor/error.h>

#include "core/allocator.h"
#include "format/siphash.h"

enum {
    FIRST_CAPACITY = 64,
};

static const size_t bytes_per_name = sizeof(struct tresor__name_slot) + sizeof(uint32_t);

static uint32_t *chain_heads(const struct tresor__name_index *index)
{
    return (uint32_t *)(void *)(index->slots + index->capacity);
}

static uint32_t *chain_of(const struct tresor__name_index *index, uint32_t hash)
{
    return &chain_heads(index)[hash & (index->capacity - 1)];
}

static void chain_all(struct tresor__name_index *index)
{
    memset(chain_heads(index), 0xff, index->capacity * sizeof(uint32_t)); /* all TRESOR_NONE */
    for (uint32_t i = 0; i < index->count; i++) {
        uint32_t *head = chain_of(index, index->slots[i].hash);
        index->slots[i].next = *head;
        *head = i;
    }
}

uint32_t tresor__name_hash(const uint64_t key[2], const char *name, size_t length)
{
    const struct tresor__siphash_rounds rounds = {.per_word = 1, .at_end = 3};
    return (uint32_t)tresor__siphash(rounds, key, name, length);
}

uint32_t tresor__name_index_find(const struct tresor__name_index *index, const char *strings,
                                 uint32_t hash, const char *name, size_t length)
{
    if (!index->capacity)
        return TRESOR_NONE;
    for (uint32_t i = *chain_of(index, hash); i != TRESOR_NONE; i = index->slots[i].next) {
        const struct tresor__name_slot *slot = &index->slots[i];
        if (slot->hash == hash && slot->name_length == length &&
            !memcmp(strings + slot->name_offset, name, length))
            return i;
    }
    return TRESOR_NONE;
}

int32_t tresor__name_index_reserve(struct tresor__name_index *index,
                                   const struct tresor_allocator *allocator)
{
    if (index->count < index->capacity)
        return TRESOR_OK;
    if (index->capacity > UINT32_MAX / 2)
        return TRESOR_ERROR_LIMIT;
    struct tresor__name_index grown = *index;
    grown.capacity = index->capacity ? index->capacity * 2 : FIRST_CAPACITY;
    grown.slots = tresor__allocate(allocator, grown.capacity * bytes_per_name);
    if (!grown.slots)
        return TRESOR_ERROR_NO_MEMORY;
    if (index->count)
        memcpy(grown.slots, index->slots, index->count * sizeof *index->slots);
    chain_all(&grown);
    tresor__name_index_free(index, allocator);
    *index = grown;
    return TRESOR_OK;
}

void tresor__name_index_insert(struct tresor__name_index *index, uint32_t hash,
                               uint32_t name_offset, uint32_t name_length)
{
    uint32_t *head = chain_of(index, hash);
    index->slots[index->count] = (struct tresor__name_slot){
        .hash = hash, .next = *head, .name_offset = name_offset, .name_length = name_length};
    *head = index->count++;
}

void tresor__name_index_clear(struct tresor__name_index *index)
{
    index->count = 0;
    if (index->capacity)
        chain_all(index);
}

void tresor__name_index_free(struct tresor__name_index *index,
                             const struct tresor_allocator *allocator)
{
    tresor__free(allocator, index->slots, index->capacity * bytes_per_name);
    *index = (struct tresor__name_index){0};
}
