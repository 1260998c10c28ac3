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
};

extern const struct tresor__machine tresor__mapping_machine;

#endif
