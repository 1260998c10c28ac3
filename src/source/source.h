/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_SOURCE_SOURCE_H
#define TRESOR_SOURCE_SOURCE_H

#include "core/fsm.h"
#include "core/link.h"
#include "source/model.h"

#define TRESOR__DEF "source/source.def"
#define TRESOR__S(name) SOURCE_##name
#define TRESOR__E(name) SOURCE_ON_##name
#include "core/fsm_enum.h"

/** One a slot of the context's sources. */
struct tresor__source {
    uint8_t state;
    bool cancelled;
    uint16_t index;
    uint32_t retries;
    uint64_t header_want_bytes; /* how much of the header shall be read */
    uint64_t map_bytes;         /* of pages that are asked for */
    uint64_t leaked_bytes;      /* of ranges whose release was refused for good */
    struct tresor_error error;  /* why it did not open, or what its close could not give back */
    struct tresor__link turn;
    struct tresor__model model;
};

extern const struct tresor__machine tresor__source_machine;

#endif
