/* SPDX-License-Identifier: MIT */
#include "backend/record.h"

#include <assert.h>

#include <tresor/error.h>

struct record_backend {
    struct tresor__backend base;
    const struct tresor__tape *tape;
    struct tresor_allocator allocator;
    struct tresor__backend *inner;
    struct tresor__flight flight;
};

static struct record_backend *record_of(struct tresor__backend *backend)
{
    return (struct record_backend *)(void *)backend;
}

/* Any call may be the one in which a ring is given up. */
static void look_alike(struct record_backend *record)
{
    record->base.name = record->inner->name;
    record->base.refused_errno = record->inner->refused_errno;
}

static void record_submit(struct tresor__backend *backend, const struct tresor__effect *effects,
                          uint32_t count)
{
    struct record_backend *record = record_of(backend);
    for (uint32_t i = 0; i < count; i++) {
        tresor__flight_add(&record->flight, &effects[i]);
        record->tape->asked(record->tape->cookie,
                            &record->flight.effects[record->flight.count - 1]);
    }
    record->inner->submit(record->inner, effects, count);
    look_alike(record);
}

static uint32_t record_poll(struct tresor__backend *backend, struct tresor__completion *completions,
                            uint32_t limit)
{
    struct record_backend *record = record_of(backend);
    struct tresor__backend *inner = record->inner;
    inner->starts_left = backend->starts_left;
    uint32_t count = inner->poll(inner, completions, limit);
    backend->starts_left = inner->starts_left;
    look_alike(record);
    record->tape->polled(
        record->tape->cookie,
        &(struct tresor__poll){limit, backend->starts_left, backend->refused_errno, count});
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = tresor__flight_find(&record->flight, &completions[i]);
        struct tresor__numbered asked = tresor__flight_take(&record->flight, place);
        struct tresor__answer answer = tresor__answer_of(&asked, &completions[i]);
        record->tape->answered(record->tape->cookie, &answer);
    }
    return count;
}

static void record_wait(struct tresor__backend *backend, int32_t timeout_ms)
{
    struct record_backend *record = record_of(backend);
    record->inner->wait(record->inner, timeout_ms);
    look_alike(record);
}

static bool record_pending(struct tresor__backend *backend)
{
    struct record_backend *record = record_of(backend);
    bool is_pending = record->inner->pending(record->inner);
    look_alike(record);
    record->tape->looked(record->tape->cookie, is_pending);
    return is_pending;
}

static void record_destroy(struct tresor__backend *backend)
{
    struct record_backend *record = record_of(backend);
    struct tresor_allocator allocator = record->allocator;
    assert(record->flight.count == 0);
    record->inner->destroy(record->inner);
    tresor__flight_free(&record->flight, &allocator);
    tresor__free(&allocator, record, sizeof *record);
}

int32_t tresor__record_create(const struct tresor__tape *tape,
                              const struct tresor_allocator *allocator, uint32_t effects_max,
                              struct tresor__backend *inner, struct tresor__backend **backend)
{
    struct record_backend *record = tresor__allocate(allocator, sizeof *record);
    if (!record)
        return TRESOR_ERROR_NO_MEMORY;
    int32_t code = tresor__flight_init(&record->flight, allocator, effects_max);
    if (code != TRESOR_OK) {
        tresor__free(allocator, record, sizeof *record);
        return code;
    }
    record->base = (struct tresor__backend){
        .submit = record_submit,
        .poll = record_poll,
        .wait = record_wait,
        .pending = record_pending,
        .destroy = record_destroy,
    };
    record->tape = tape;
    record->allocator = *allocator;
    record->inner = inner;
    look_alike(record);
    *backend = &record->base;
    return TRESOR_OK;
}
