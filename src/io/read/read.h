/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_IO_READ_READ_H
#define TRESOR_IO_READ_READ_H

#include "core/fsm.h"
#include "io/exchange.h"
#include "io/extent.h"

#define TRESOR__DEF "io/read/read.def"
#define TRESOR__S(name) READ_##name
#define TRESOR__E(name) READ_ON_##name
#include "core/fsm_enum.h"

/** Lives in struct tresor__file; there is one a file. */
struct tresor__read {
    uint8_t state;
    uint32_t blocks_running;
    struct tresor__extent_walk walk; /* the extent in hand */
    struct tresor__extent spent;     /* the extent that is unmapped, or first gives its pages */
    struct tresor__exchange exchange; /* of its pages for those of the extent in hand */
    bool mapped_last;                /* rather than unmapped: what is spent has the next turn */
    bool never_moves;                /* this file's pages: the system cannot */
    uint32_t seams_refused;          /* with as many a move was refused; 0: none was */
    uint64_t keeps_bytes;            /* of it, which shall stay as spare pages; all or none */
};

extern const struct tresor__machine tresor__read_machine;

#endif
