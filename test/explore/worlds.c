/* SPDX-License-Identifier: MIT */
/* The worlds: what is in each, what its host may ask for, and what may go wrong. */
#include "worlds.h"

#define LOAD_MMAP(...) {.kind = OP_LOAD, .strategy = TRESOR_STRATEGY_MMAP, .pieces = __VA_ARGS__}
#define LOAD_READ(...) {.kind = OP_LOAD, .strategy = TRESOR_STRATEGY_READ, .pieces = __VA_ARGS__}
#define SWAP_MMAP(...) {.kind = OP_SWAP, .strategy = TRESOR_STRATEGY_MMAP, .pieces = __VA_ARGS__}
#define SWAP_READ(...) {.kind = OP_SWAP, .strategy = TRESOR_STRATEGY_READ, .pieces = __VA_ARGS__}
#define VERB(name, ...) {.kind = OP_##name, .pieces = __VA_ARGS__}
#define ALPHABET(...) .ops = (const struct op[]){__VA_ARGS__, {.kind = OP_END}}
#define BEFORE(...) .before = (const struct op[]){__VA_ARGS__, {.kind = OP_END}}

#define UNIT UINT64_C(65536)
#define TWO_TENSORS .page_bytes = UNIT, .quarters = {5, 5} /* that meet in a page */

const struct world_spec worlds[] = {
    {
        .name = "mapped and read tensors, evictions and users",
        .states = 2000,
        TWO_TENSORS,
        .faults = FAULT_HARD,
        .live_max = 2,
        .pins_max = 1,
        ALPHABET(LOAD_MMAP(1), LOAD_READ(2), VERB(EVICT, 1), VERB(EVICT, 2),
                 VERB(EVICT, 3, .flags = TRESOR_REQUEST_WAIT)),
    },
};

const uint32_t world_count = sizeof worlds / sizeof worlds[0];
