/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_TENSOR_WATCH_H
#define TRESOR_TENSOR_WATCH_H

#include "core/facts.h"
#include "core/fsm.h"

#define TRESOR__DEF "tensor/watch.def"
#define TRESOR__S(name) WATCH_##name
#define TRESOR__E(name) WATCH_ON_##name
#include "core/fsm_enum.h"

/** One a context. */
struct tresor__watch {
    uint8_t state;
};

extern const struct tresor__machine tresor__watch_machine;

#endif
