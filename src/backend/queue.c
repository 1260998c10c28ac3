/* SPDX-License-Identifier: MIT */
#include "backend/queue.h"

#include <assert.h>

static struct tresor__effect *place(struct tresor__effect_queue *queue, uint32_t number)
{
    return &queue->effects[(queue->head + number) % queue->capacity];
}

void tresor__effect_queue_push(struct tresor__effect_queue *queue,
                               const struct tresor__effect *effect)
{
    assert(queue->count < queue->capacity);
    *place(queue, queue->count++) = *effect;
}

bool tresor__effect_queue_pop(struct tresor__effect_queue *queue, struct tresor__effect *effect)
{
    if (queue->count == 0)
        return false;
    *effect = *place(queue, 0);
    queue->head = (queue->head + 1) % queue->capacity;
    queue->count--;
    return true;
}

bool tresor__effect_is_meant(const struct tresor__effect *cancel,
                             const struct tresor__effect *effect)
{
    return effect->kind == TRESOR__EFFECT_READ && effect->machine == cancel->machine &&
           effect->source == cancel->source && effect->slot == cancel->slot;
}

bool tresor__effect_queue_cancel(struct tresor__effect_queue *queue,
                                 const struct tresor__effect *cancel, struct tresor__effect *read)
{
    uint32_t at = 0;
    while (at < queue->count && !tresor__effect_is_meant(cancel, place(queue, at)))
        at++;
    if (at == queue->count)
        return false;
    *read = *place(queue, at);
    queue->count--;
    for (; at < queue->count; at++)
        *place(queue, at) = *place(queue, at + 1);
    return true;
}
