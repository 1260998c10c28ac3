/* SPDX-License-Identifier: MIT */
/* A host's own actor in the place of a backend: effects go out with a number each, and answers are looked at before they
 * become completions. */
#ifndef TRESOR_BACKEND_HOST_H
#define TRESOR_BACKEND_HOST_H

#include <tresor/backend.h>

#include "backend/backend.h"
#include "backend/flight.h"

/** An effect as a host sees it; it is run over `sys`. */
struct tresor_effect tresor__host_effect(const struct tresor__effect *effect,
                                         const struct tresor__sys *sys, uint64_t number,
                                         uint64_t target);

/** The number of the read in flight that a CANCEL is of; 0 where there is none, and for all other effects. */
uint64_t tresor__host_target(const struct tresor__flight *flight,
                             const struct tresor__effect *cancel);

/** The completion that an answer is, EPROTO where it cannot be one. False where nothing in flight has its number. */
bool tresor__host_take(struct tresor__flight *flight, const struct tresor_answer *answer,
                       struct tresor__completion *completion);

/** Over an actor that has all its functions, which is copied. Its effects are run over `sys`. TRESOR_OK or NO_MEMORY. */
int32_t tresor__host_create(const struct tresor_actor *actor, const struct tresor__sys *sys,
                            const struct tresor_allocator *allocator, struct tresor__bell *bell,
                            uint32_t effects_max, struct tresor__backend **backend);

#endif
