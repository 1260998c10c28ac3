/* SPDX-License-Identifier: MIT */
/* Handles: kind (4 bits), slot (36 bits), generation (24 bits, never 0). */
#ifndef TRESOR_CORE_HANDLE_H
#define TRESOR_CORE_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

enum tresor__kind {
    TRESOR__KIND_SOURCE = 1,      /* slot: the source's slot */
    TRESOR__KIND_REQUEST = 2,     /* slot: the request's slot */
    TRESOR__KIND_ITEM_SOURCE = 3, /* slot: the source's slot */
    TRESOR__KIND_ITEM_TENSOR = 4, /* slot: the source's slot and the tensor's index */
    TRESOR__KIND_ITEM_GROUP = 5,  /* slot: the source's slot and the group's index */
    TRESOR__KIND_STAGE = 6,       /* slot: the stage's index */
    TRESOR__KIND_ITEM_SLICE = 7,  /* slot: the source's slot and the piece's index */
};

enum {
    TRESOR__INDEX_BITS = 24, /* of a piece or group in its source */
    TRESOR__SLOT_BITS = 36,
    TRESOR__GENERATION_BITS = 24,
    TRESOR__SOURCES_MAX = 1 << (TRESOR__SLOT_BITS - TRESOR__INDEX_BITS),
    TRESOR__TENSORS_MAX = 1 << TRESOR__INDEX_BITS,
};

static inline uint64_t tresor__handle_make(uint32_t kind, uint64_t slot, uint32_t generation)
{
    return (uint64_t)kind << (TRESOR__SLOT_BITS + TRESOR__GENERATION_BITS) |
           slot << TRESOR__GENERATION_BITS | generation;
}

static inline uint64_t tresor__handle_of_item(uint32_t kind, uint32_t source, uint32_t index,
                                              uint32_t generation)
{
    return tresor__handle_make(kind, (uint64_t)source << TRESOR__INDEX_BITS | index, generation);
}

static inline uint32_t tresor__handle_kind(uint64_t handle)
{
    return (uint32_t)(handle >> (TRESOR__SLOT_BITS + TRESOR__GENERATION_BITS));
}

static inline uint64_t tresor__handle_slot(uint64_t handle)
{
    return handle >> TRESOR__GENERATION_BITS & ((UINT64_C(1) << TRESOR__SLOT_BITS) - 1);
}

static inline uint32_t tresor__handle_generation(uint64_t handle)
{
    return (uint32_t)(handle & ((1u << TRESOR__GENERATION_BITS) - 1));
}

/** Of an item of a tensor, slice or group. */
static inline uint32_t tresor__handle_index(uint64_t handle)
{
    return (uint32_t)(tresor__handle_slot(handle) & ((1u << TRESOR__INDEX_BITS) - 1));
}

/** Whether it is of items. */
static inline bool tresor__handle_is_item(uint64_t handle)
{
    uint32_t kind = tresor__handle_kind(handle);
    return (kind >= TRESOR__KIND_ITEM_SOURCE && kind <= TRESOR__KIND_ITEM_GROUP) ||
           kind == TRESOR__KIND_ITEM_SLICE;
}

/** The slot of the source that a source's or an item's handle belongs to. */
static inline uint32_t tresor__handle_source(uint64_t handle)
{
    uint64_t slot = tresor__handle_slot(handle);
    uint32_t kind = tresor__handle_kind(handle);
    return (uint32_t)(kind == TRESOR__KIND_SOURCE || kind == TRESOR__KIND_ITEM_SOURCE
                          ? slot
                          : slot >> TRESOR__INDEX_BITS);
}

/** The next generation of a slot. */
static inline uint32_t tresor__generation_next(uint32_t generation)
{
    uint32_t next = (generation + 1) & ((1u << TRESOR__GENERATION_BITS) - 1);
    return next == 0 ? 1 : next;
}

#endif
