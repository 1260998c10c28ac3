/* SPDX-License-Identifier: MIT */
/* One source's slot: its machine, its tensors' machines, and what other threads may touch of it. */
#ifndef TRESOR_TENSOR_SLOT_H
#define TRESOR_TENSOR_SLOT_H

#include <stdatomic.h>
#include <stdint.h>

#include "source/source.h"
#include "tensor/piece.h"
#include "tensor/ranking.h"

enum {
    TRESOR__GROUPS_MAX = 4096, /* of one source */
    TRESOR__LAST_PATH_BYTES = 1024,
    TRESOR__LAST_TENSOR_BYTES = 256,
};

/** Pieces that are named together; made once, and anew when a tensor of them is split. */
struct tresor__group {
    uint64_t tensor_bytes;
    uint32_t count;
    uint32_t pieces[];
};

struct tresor__pins;

struct tresor__slot {
    struct tresor__source source;
    struct tresor__piece *pieces;          /* those of tensors, then those of slices */
    struct tresor__pins *_Atomic pins;     /* by piece; see pins.h; they stay when the source goes */
    struct tresor__group *_Atomic *groups; /* GROUPS_MAX places, filled from the front */
    uint32_t group_count;
    uint32_t generation;
    uint32_t request; /* the one that opens or closes it, TRESOR_NONE otherwise */
    uint64_t tensor_bytes;
    uint64_t closing_bytes;           /* of pages that its closing has yet to give back */
    struct tresor__ranking ranking;   /* of pieces that are resident and no plan names; under a budget */
    uint32_t pin_count;                      /* pieces of the source that have pins */
    _Atomic uint32_t held_count;             /* of a closing source, those that have users; see pins.h */
    _Atomic uint64_t gate;                   /* see pins.h */
    char last_path[TRESOR__LAST_PATH_BYTES]; /* what the last failed open stumbled over, for its
                                                error's text */
    char last_tensor[TRESOR__LAST_TENSOR_BYTES];
};

/** Make the piece of that index, as the model has it. */
void tresor__slot_make_piece(const struct tresor__slot *slot, struct tresor__piece *pieces,
                             uint32_t index);

/** WORK_INDEX: the model's tables and the tensors' machines. */
int64_t tresor__slot_index(void *argument);

/** WORK_FREE: all memory of the slot. */
int64_t tresor__slot_free(void *argument);

/** WORK_PARSE. */
int64_t tresor__slot_parse(void *argument);
int64_t tresor__slot_decode(void *argument);

#endif
