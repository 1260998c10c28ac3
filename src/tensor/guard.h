/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_TENSOR_GUARD_H
#define TRESOR_TENSOR_GUARD_H

#include "core/fsm.h"
#include "core/guard.h"

#define TRESOR__DEF "tensor/guard.def"
#define TRESOR__S(name) GUARD_##name
#define TRESOR__E(name) GUARD_ON_##name
#include "core/fsm_enum.h"

/** One a context. */
struct tresor__guard {
    uint8_t state;
};

extern const struct tresor__machine tresor__guard_machine;

#endif
