/* SPDX-License-Identifier: MIT */
#include "backend/flight.h"

#include <assert.h>
#include <string.h>

#include <tresor/error.h>

int32_t tresor__flight_init(struct tresor__flight *flight, const struct tresor_allocator *allocator,
                            uint32_t capacity)
{
    *flight = (struct tresor__flight){.capacity = capacity};
    flight->effects = tresor__allocate(allocator, capacity * sizeof *flight->effects);
    return flight->effects ? TRESOR_OK : TRESOR_ERROR_NO_MEMORY;
}

void tresor__flight_free(struct tresor__flight *flight, const struct tresor_allocator *allocator)
{
    tresor__free(allocator, flight->effects, flight->capacity * sizeof *flight->effects);
}

uint64_t tresor__flight_add(struct tresor__flight *flight, const struct tresor__effect *effect)
{
    assert(flight->count < flight->capacity);
    struct tresor__numbered *added = &flight->effects[flight->count++];
    *added = (struct tresor__numbered){.number = ++flight->total, .effect = *effect};
    return added->number;
}

static bool is_of(const struct tresor__completion *completion, const struct tresor__effect *effect)
{
    return completion->kind == effect->kind && completion->machine == effect->machine &&
           completion->flags == effect->flags && completion->source == effect->source &&
           completion->slot == effect->slot && completion->file == effect->file;
}

uint32_t tresor__flight_find(const struct tresor__flight *flight,
                             const struct tresor__completion *completion)
{
    uint32_t place = 0;
    while (place < flight->count && !is_of(completion, &flight->effects[place].effect))
        place++;
    return place;
}

uint32_t tresor__flight_at(const struct tresor__flight *flight, uint64_t number)
{
    uint32_t place = 0;
    while (place < flight->count && flight->effects[place].number != number)
        place++;
    return place;
}

struct tresor__numbered tresor__flight_take(struct tresor__flight *flight, uint32_t place)
{
    assert(place < flight->count);
    struct tresor__numbered taken = flight->effects[place];
    flight->count--;
    memmove(&flight->effects[place], &flight->effects[place + 1],
            (flight->count - place) * sizeof *flight->effects);
    return taken;
}
