/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_SOURCE_CHECK_H
#define TRESOR_SOURCE_CHECK_H

#include "core/fsm.h"
#include "source/model.h"

#define TRESOR__DEF "source/check.def"
#define TRESOR__S(name) CHECK_##name
#define TRESOR__E(name) CHECK_ON_##name
#include "core/fsm_enum.h"

/** One a request's slot, for it may be a CHECK. */
struct tresor__check {
    uint8_t state;
    bool is_cancelled;
    uint16_t source;
    uint32_t index;                    /* its request's slot */
    uint32_t file;                     /* that is asked */
    const struct tresor__model *model; /* of the source, which stays until the request has ended */
    struct tresor__identity seen;      /* what the last STAT found; its own, for several checks may ask one file */
    struct tresor_error error;         /* why it ended: code, file, wanted and got */
};

extern const struct tresor__machine tresor__check_machine;

#endif
