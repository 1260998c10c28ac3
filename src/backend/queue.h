/* SPDX-License-Identifier: MIT */
/* Effects that were submitted and have not begun, in their order. */
#ifndef TRESOR_BACKEND_QUEUE_H
#define TRESOR_BACKEND_QUEUE_H

#include "core/effect.h"

/** A ring over memory of the owner's: room for what can be in flight. */
struct tresor__effect_queue {
    struct tresor__effect *effects;
    uint32_t capacity;
    uint32_t head;
    uint32_t count;
};

/** There is room. */
void tresor__effect_queue_push(struct tresor__effect_queue *queue,
                               const struct tresor__effect *effect);

/** The oldest; false if there is none. */
bool tresor__effect_queue_pop(struct tresor__effect_queue *queue, struct tresor__effect *effect);

/** Whether a CANCEL means this effect. */
bool tresor__effect_is_meant(const struct tresor__effect *cancel,
                             const struct tresor__effect *effect);

/** Take the read that a CANCEL means out; false if it is not there. */
bool tresor__effect_queue_cancel(struct tresor__effect_queue *queue,
                                 const struct tresor__effect *cancel,
                                 struct tresor__effect *read);

#endif
