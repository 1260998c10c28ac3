/* SPDX-License-Identifier: MIT */
/* Effects run inside poll, on the context's thread, one after the other: simple, portable, blocking. */
#include <errno.h>

#include <tresor/error.h>

#include "backend/actor.h"
#include "backend/backend.h"

struct sync_backend {
    struct tresor__backend base;
    const struct tresor__sys *sys;
    struct tresor_allocator allocator;
    int bell[2];
    void *bounces; /* one */
    uint32_t capacity;
    uint32_t head;
    uint32_t count;
    struct tresor__effect effects[]; /* a ring of what was submitted and has not run */
};

static struct sync_backend *sync_of(struct tresor__backend *backend)
{
    return (struct sync_backend *)(void *)backend;
}

static void sync_submit(struct tresor__backend *backend, const struct tresor__effect *effects,
                        uint32_t count)
{
    struct sync_backend *sync = sync_of(backend);
    for (uint32_t i = 0; i < count; i++)
        sync->effects[(sync->head + sync->count++) % sync->capacity] = effects[i];
}

static uint32_t sync_poll(struct tresor__backend *backend, struct tresor__completion *completions,
                          uint32_t limit)
{
    struct sync_backend *sync = sync_of(backend);
    const struct tresor__bounce bounce = tresor__bounce_of(sync->bounces, 0);
    uint32_t done = 0;
    while (done < limit && sync->count > 0) {
        completions[done++] = tresor__actor_run(sync->sys, &sync->effects[sync->head], &bounce);
        sync->head = (sync->head + 1) % sync->capacity;
        sync->count--;
    }
    return done;
}

static void sync_wait(struct tresor__backend *backend, int32_t timeout_ms)
{
    struct sync_backend *sync = sync_of(backend);
    if (sync->count > 0)
        return;
    sync->sys->bell_wait(sync->sys->cookie, sync->bell[0], timeout_ms);
    sync->sys->bell_clear(sync->sys->cookie, sync->bell[0]);
}

static void sync_wake(struct tresor__backend *backend)
{
    struct sync_backend *sync = sync_of(backend);
    sync->sys->bell_ring(sync->sys->cookie, sync->bell[1]);
}

static void sync_destroy(struct tresor__backend *backend)
{
    struct sync_backend *sync = sync_of(backend);
    struct tresor_allocator allocator = sync->allocator;
    sync->sys->close(sync->sys->cookie, sync->bell[0]);
    if (sync->bell[1] != sync->bell[0])
        sync->sys->close(sync->sys->cookie, sync->bell[1]);
    tresor__bounces_close(sync->sys, 1, sync->bounces);
    tresor__free(&allocator, sync,
                 sizeof *sync + sync->capacity * sizeof(struct tresor__effect));
}

int32_t tresor__sync_create(const struct tresor__sys *sys, const struct tresor_allocator *allocator,
                            uint32_t effects_max, struct tresor__backend **backend)
{
    size_t size_bytes = sizeof(struct sync_backend) + effects_max * sizeof(struct tresor__effect);
    struct sync_backend *sync = tresor__allocate(allocator, size_bytes);
    if (!sync)
        return TRESOR_ERROR_NO_MEMORY;
    sync->base = (struct tresor__backend){
        .name = "sync",
        .submit = sync_submit,
        .poll = sync_poll,
        .wait = sync_wait,
        .wake = sync_wake,
        .destroy = sync_destroy,
    };
    sync->sys = sys;
    sync->allocator = *allocator;
    sync->capacity = effects_max;
    if (tresor__bounces_open(sys, 1, &sync->bounces) < 0) {
        tresor__free(allocator, sync, size_bytes);
        return TRESOR_ERROR_NO_MEMORY;
    }
    int64_t result = sys->bell_open(sys->cookie, sync->bell);
    if (result < 0) {
        tresor__bounces_close(sys, 1, sync->bounces);
        tresor__free(allocator, sync, size_bytes);
        return result == -ENOMEM ? TRESOR_ERROR_NO_MEMORY : TRESOR_ERROR_DESCRIPTORS;
    }
    *backend = &sync->base;
    return TRESOR_OK;
}
