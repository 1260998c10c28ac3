/* SPDX-License-Identifier: MIT */
/* The pool as a part of another backend. */
#ifndef TRESOR_BACKEND_POOL_H
#define TRESOR_BACKEND_POOL_H

#include "backend/backend.h"
#include "backend/bell.h"

/**
 * The same as tresor__pool_create with a bell that the caller owns: its workers ring it until the pool is destroyed. Who
 * waits on it himself hears it, and looks at `pending` after that.
 */
int32_t tresor__pool_create_with_bell(const struct tresor__sys *sys,
                                      const struct tresor_allocator *allocator,
                                      uint32_t effects_max, uint32_t threads,
                                      struct tresor__bell *bell, struct tresor__backend **backend);

#endif
