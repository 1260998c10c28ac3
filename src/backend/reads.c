/* SPDX-License-Identifier: MIT */
#include "backend/reads.h"

#include <assert.h>

#include <tresor/error.h>

#include "backend/origins.h"
#include "backend/queue.h"

void tresor__reads_init(struct tresor__reads *reads, struct tresor__read_place *places,
                        uint32_t capacity)
{
    *reads = (struct tresor__reads){.places = places,
                                    .capacity = capacity,
                                    .free = TRESOR_NONE,
                                    .head = TRESOR_NONE,
                                    .tail = TRESOR_NONE};
    for (uint32_t i = capacity; i-- > 0;) {
        places[i].next = reads->free;
        reads->free = i;
    }
}

static void release(struct tresor__reads *reads, uint32_t index, struct tresor__effect *effect)
{
    struct tresor__read_place *place = &reads->places[index];
    *effect = place->effect;
    reads->to_cancel -= place->is_to_cancel;
    *place = (struct tresor__read_place){.next = reads->free};
    reads->free = index;
}

void tresor__reads_add(struct tresor__reads *reads, const struct tresor__effect *effect)
{
    uint32_t index = reads->free;
    assert(index != TRESOR_NONE);
    reads->free = reads->places[index].next;
    reads->places[index] =
        (struct tresor__read_place){.effect = *effect, .next = TRESOR_NONE};
    if (reads->waiting++ == 0)
        reads->head = index;
    else
        reads->places[reads->tail].next = index;
    reads->tail = index;
}

/* Takes the read behind `previous` (TRESOR_NONE: the first) out of the queue. */
static void unlink_read(struct tresor__reads *reads, uint32_t previous, uint32_t index)
{
    uint32_t next = reads->places[index].next;
    if (previous == TRESOR_NONE)
        reads->head = next;
    else
        reads->places[previous].next = next;
    if (reads->tail == index)
        reads->tail = previous;
    reads->waiting--;
}

enum tresor__reads_found tresor__reads_cancel(struct tresor__reads *reads,
                                              const struct tresor__effect *cancel,
                                              struct tresor__effect *effect)
{
    uint32_t previous = TRESOR_NONE;
    for (uint32_t i = reads->head; i != TRESOR_NONE; previous = i, i = reads->places[i].next) {
        if (!tresor__effect_is_meant(cancel, &reads->places[i].effect))
            continue;
        unlink_read(reads, previous, i);
        release(reads, i, effect);
        return TRESOR__READS_TAKEN;
    }
    for (uint32_t i = 0; reads->on_ring > 0 && i < reads->capacity; i++) {
        struct tresor__read_place *place = &reads->places[i];
        if (!place->is_on_ring || !tresor__effect_is_meant(cancel, &place->effect))
            continue;
        reads->to_cancel += !place->is_to_cancel;
        place->is_to_cancel = true;
        place->effect.is_cancelled = true;
        return TRESOR__READS_ON_RING;
    }
    return TRESOR__READS_NONE;
}

static uint32_t fill_cancels(const struct tresor__reads *reads,
                             struct tresor__sys_ring_entry *entries, uint32_t limit)
{
    uint32_t count = 0;
    for (uint32_t i = 0; count < reads->to_cancel && count < limit; i++)
        if (reads->places[i].is_to_cancel)
            entries[count++] =
                (struct tresor__sys_ring_entry){.kind = TRESOR__SYS_RING_CANCEL, .tag = i};
    return count;
}

uint32_t tresor__reads_fill(const struct tresor__reads *reads, uint32_t reads_max,
                            struct tresor__sys_ring_entry *entries, uint32_t limit)
{
    uint32_t count = fill_cancels(reads, entries, limit);
    uint32_t left = limit - count < reads_max ? limit - count : reads_max;
    for (uint32_t i = reads->head; i != TRESOR_NONE && left > 0; i = reads->places[i].next) {
        const struct tresor__effect *effect = &reads->places[i].effect;
        entries[count++] = (struct tresor__sys_ring_entry){
            .kind = TRESOR__SYS_RING_READ,
            .descriptor = effect->descriptor,
            .tag = i,
            .address = effect->address,
            .length = (size_t)effect->length,
            .offset = tresor__effect_at(effect, effect->offset),
        };
        left--;
    }
    return count;
}

uint32_t tresor__reads_start(struct tresor__reads *reads,
                             const struct tresor__sys_ring_entry *entries, uint32_t count)
{
    uint32_t started = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = (uint32_t)entries[i].tag;
        if (entries[i].kind == TRESOR__SYS_RING_CANCEL) {
            reads->places[index].is_to_cancel = false;
            reads->to_cancel--;
            continue;
        }
        assert(index == reads->head);
        unlink_read(reads, TRESOR_NONE, index);
        reads->places[index].is_on_ring = true;
        started++;
    }
    reads->on_ring += started;
    return started;
}

void tresor__reads_end(struct tresor__reads *reads, uint64_t tag, struct tresor__effect *effect)
{
    assert(tag < reads->capacity && reads->places[tag].is_on_ring);
    reads->on_ring--;
    release(reads, (uint32_t)tag, effect);
}

bool tresor__reads_take(struct tresor__reads *reads, struct tresor__effect *effect)
{
    for (uint32_t i = 0; reads->on_ring > 0; i++) {
        if (!reads->places[i].is_on_ring)
            continue;
        tresor__reads_end(reads, i, effect);
        return true;
    }
    if (reads->waiting == 0)
        return false;
    uint32_t index = reads->head;
    unlink_read(reads, TRESOR_NONE, index);
    release(reads, index, effect);
    return true;
}
