/* SPDX-License-Identifier: MIT */
/* What a context does when memory runs short. */
#ifndef TRESOR_TENSOR_PRESSURE_H
#define TRESOR_TENSOR_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/facts.h"

struct tresor__controller;

struct tresor__pressure {
    uint32_t watched;                     /* enum tresor_pressure_watch */
    uint32_t untold;                      /* enum tresor_pressure_kind: what has risen since the last event was taken */
    uint32_t next;                        /* in the list of events, if anything is untold */
    struct tresor__pressure_facts facts;  /* of the last time that something rose */
    struct tresor__pressure_facts record; /* where WATCH writes */
};

/**
 * The charge, in bytes, at which the usage would be nine tenths of the limit, if nothing else of it changed: less than what
 * is charged now where usage is above that, more where it is below. What is charged now where there is no limit.
 */
uint64_t tresor__pressure_target(uint64_t charged_bytes, uint64_t usage_bytes,
                                 uint64_t limit_bytes);

/** The watch has told of `kinds` (enum tresor_pressure_kind), and its record has the numbers: keep them and queue the
 * event, unless one is queued that will tell of this too. */
void tresor__pressure_rise(struct tresor__controller *controller, uint32_t kinds);

#endif
