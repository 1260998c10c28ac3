/* SPDX-License-Identifier: MIT */
/* A host's own actor in the place of a backend: effects go out with a number each, and answers are looked at before they
 * become completions. */
#ifndef TRESOR_BACKEND_HOST_H
#define TRESOR_BACKEND_HOST_H

#include <tresor/backend.h>

#include "backend/backend.h"

/** Over an actor that has all its functions, which is copied. Its effects are run over `sys`. TRESOR_OK or NO_MEMORY. */
int32_t tresor__host_create(const struct tresor_actor *actor, const struct tresor__sys *sys,
                            const struct tresor_allocator *allocator, struct tresor__bell *bell,
                            uint32_t effects_max, struct tresor__backend **backend);

#endif
