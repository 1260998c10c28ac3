/* SPDX-License-Identifier: MIT */
/*
 * The pieces of one source that may have to go, the first of them at hand: a heap of their indices. What is known of a
 * piece's use may be out of date; it is learned when the piece is asked to go, and then it finds its place anew.
 */
#ifndef TRESOR_TENSOR_RANKING_H
#define TRESOR_TENSOR_RANKING_H

#include "tensor/piece.h"

struct tresor__ranking {
    struct tresor__piece *pieces;
    uint32_t *heap; /* `capacity` places */
    uint32_t count;
    uint32_t capacity; /* pieces of the source */
};

/** A piece that is in no ranking comes in, and one that is in this goes out. */
void tresor__ranking_add(struct tresor__ranking *ranking, tresor__policy *policy, uint32_t piece);
void tresor__ranking_remove(struct tresor__ranking *ranking, tresor__policy *policy,
                            uint32_t piece);

/** The use or the priority of a piece in it has changed. */
void tresor__ranking_move(struct tresor__ranking *ranking, tresor__policy *policy, uint32_t piece);

/** Another policy ranks from now on. */
void tresor__ranking_rebuild(struct tresor__ranking *ranking, tresor__policy *policy);

/** The first, or TRESOR_NONE. */
static inline uint32_t tresor__ranking_first(const struct tresor__ranking *ranking)
{
    return ranking->count > 0 ? ranking->heap[0] : TRESOR_NONE;
}

#endif
