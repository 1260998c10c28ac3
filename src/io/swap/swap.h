/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_IO_SWAP_SWAP_H
#define TRESOR_IO_SWAP_SWAP_H

#include "core/fsm.h"
#include "io/ledger.h"

#define TRESOR__DEF "io/swap/swap.def"
#define TRESOR__S(name) SWAP_##name
#define TRESOR__E(name) SWAP_ON_##name
#include "core/fsm_enum.h"

enum {
    TRESOR__SCRATCH_BYTES = 2 * 1024 * 1024, /* a chunk, and a huge page on the machines that have them */
};

/** Lives in struct tresor__file; there is one a file. */
struct tresor__swap {
    uint8_t state;
    uint32_t retries;
    struct tresor__swap_chunk chunk; /* in hand; length 0: none */
    uint64_t filled_bytes;           /* of it, by blocks */
    uint64_t held_bytes;             /* in the scratch, at the most */
    bool awaits_room;                /* for the next chunk */
};

/** What the next chunk would add to what is charged; 0 where there is none. Pure. */
uint64_t tresor__swap_need(const struct tresor__swap *swap);

extern const struct tresor__machine tresor__swap_machine;

#endif
