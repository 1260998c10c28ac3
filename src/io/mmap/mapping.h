/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_IO_MMAP_MAPPING_H
#define TRESOR_IO_MMAP_MAPPING_H

#include "core/fsm.h"
#include "io/extent.h"

#define TRESOR__DEF "io/mmap/mapping.def"
#define TRESOR__S(name) MAPPING_##name
#define TRESOR__E(name) MAPPING_ON_##name
#include "core/fsm_enum.h"

/** Lives in struct tresor__file; there is one a file. */
struct tresor__mapping {
    uint8_t state;
    struct tresor__extent_walk walk; /* the extent in hand */
    struct tresor__extent spent;     /* the extent that is unmapped */
    uint64_t read_bytes;   /* what the system reads at a time for the extent in hand; 0: the cache has it */
    uint64_t slow_bytes;   /* the same, when it last was less than it should be */
    uint64_t ahead_offset; /* behind what was asked to be read ahead */
    uint32_t ahead_count;  /* READAHEADs that are out, in any state */
};

extern const struct tresor__machine tresor__mapping_machine;

#endif
