/* SPDX-License-Identifier: MIT */
/* One tensor's machines for the fixtures of both. */
#ifndef TEST_EXHAUST_PIECE_WORLD_H
#define TEST_EXHAUST_PIECE_WORLD_H

#include <string.h>

#include "core/facts.h"
#include "tensor/piece.h"

enum {
    PIECE_SOURCE = 3,
    PIECE_INDEX = 5,
    PIECE_FILE = 1,
};

/** Blank but for what tells it from others. */
static inline void piece_make(struct tresor__piece *piece)
{
    memset(piece, 0, sizeof *piece);
    piece->tensor.source = PIECE_SOURCE;
    piece->index = PIECE_INDEX;
    piece->file = PIECE_FILE;
    piece->offset_bytes = 12320;
    piece->size_bytes = 5000;
    piece->first_wait = TRESOR_NONE;
    piece->last_wait = TRESOR_NONE;
}

#endif
