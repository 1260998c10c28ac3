/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_IO_MLOCK_MLOCK_H
#define TRESOR_IO_MLOCK_MLOCK_H

#include "core/fsm.h"
#include "io/ledger.h"

#define TRESOR__DEF "io/mlock/mlock.def"
#define TRESOR__S(name) MLOCK_##name
#define TRESOR__E(name) MLOCK_ON_##name
#include "core/fsm_enum.h"

/** Lives in struct tresor__file; there is one a file. */
struct tresor__mlock {
    uint8_t state;
    bool single; /* an extent was refused: try interval by interval */
    uint32_t retries;
    int32_t os_errno;             /* of the refusal */
    struct tresor__extent extent; /* in hand */
};

extern const struct tresor__machine tresor__mlock_machine;

#endif
