/* SPDX-License-Identifier: MIT */
/* What the order of the last gets says about the next ones. Pure: a bounded history, and what it looks like. */
#ifndef TRESOR_COMPAT_HYPERION_PATTERN_H
#define TRESOR_COMPAT_HYPERION_PATTERN_H

#include <stdint.h>

enum {
    TRESOR__HYPERION_HISTORY = 64, /* gets that are remembered */
    TRESOR__HYPERION_PERIOD_MAX = TRESOR__HYPERION_HISTORY / 2,
    TRESOR__HYPERION_EVIDENCE = 3, /* steps that must agree before anything is foretold */
};

/** Zero it but for the number of layers. */
struct tresor__hyperion_history {
    uint32_t layer_count;
    uint32_t length; /* of what is remembered */
    uint32_t newest; /* place of the last one, if there is one */
    uint32_t layers[TRESOR__HYPERION_HISTORY];
};

struct tresor__hyperion_order {
    uint32_t pattern; /* enum tresor_hyperion_pattern */
    uint32_t period;  /* of REPEAT, else 0 */
    int64_t stride;   /* of NEXT and STRIDE, the shorter way round, else 0 */
};

/** A layer, below the number of them, was asked for. */
void tresor__hyperion_note(struct tresor__hyperion_history *history, uint32_t layer);

/** What the history looks like: the longest sequence that fits all of its evidence. */
struct tresor__hyperion_order tresor__hyperion_learn(const struct tresor__hyperion_history *history);

/** The layer that will be asked for by the `ahead`th get from now, from 1 on; of an order that is not NONE. */
uint32_t tresor__hyperion_foretell(const struct tresor__hyperion_history *history,
                                   const struct tresor__hyperion_order *order, uint32_t ahead);

#endif
