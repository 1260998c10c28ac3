/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_TENSOR_MACHINES_H
#define TRESOR_TENSOR_MACHINES_H

#include "core/fsm.h"

/** Every machine's tables, by enum tresor__machine_id. */
extern const struct tresor__machine *const tresor__machines[TRESOR__MACHINE_COUNT];

#endif
