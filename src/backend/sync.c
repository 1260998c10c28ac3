/* SPDX-License-Identifier: MIT */
/* Effects run inside poll, on the context's thread, one after the other: simple, portable, blocking. */
#include <tresor/error.h>

#include "backend/actor.h"
#include "backend/backend.h"
#include "backend/queue.h"

struct sync_backend {
    struct tresor__backend base;
    const struct tresor__sys *sys;
    struct tresor_allocator allocator;
    struct tresor__bell *bell;
    void *bounces; /* one */
    struct tresor__effect_queue queue;
    struct tresor__effect effects[]; /* of the queue */
};

static struct sync_backend *sync_of(struct tresor__backend *backend)
{
    return (struct sync_backend *)(void *)backend;
}

static void sync_submit(struct tresor__backend *backend, const struct tresor__effect *effects,
                        uint32_t count)
{
    struct sync_backend *sync = sync_of(backend);
    for (uint32_t i = 0; i < count; i++) {
        struct tresor__effect effect = effects[i];
        struct tresor__effect read;
        if (effect.kind == TRESOR__EFFECT_CANCEL &&
            tresor__effect_queue_cancel(&sync->queue, &effect, &read)) {
            read.is_cancelled = true;
            tresor__effect_queue_push(&sync->queue, &read);
            effect.is_cancelled = true;
        }
        tresor__effect_queue_push(&sync->queue, &effect);
    }
}

static uint32_t sync_poll(struct tresor__backend *backend, struct tresor__completion *completions,
                          uint32_t limit)
{
    struct sync_backend *sync = sync_of(backend);
    const struct tresor__bounce bounce = tresor__bounce_of(sync->bounces, 0);
    struct tresor__effect effect;
    uint32_t done = 0;
    while (done < limit && tresor__effect_queue_pop(&sync->queue, &effect))
        completions[done++] = tresor__actor_run(sync->sys, &effect, &bounce);
    return done;
}

static void sync_wait(struct tresor__backend *backend, int32_t timeout_ms)
{
    struct sync_backend *sync = sync_of(backend);
    if (sync->queue.count == 0)
        tresor__bell_wait(sync->bell, timeout_ms);
}

static bool sync_pending(struct tresor__backend *backend)
{
    return sync_of(backend)->queue.count > 0;
}

static void sync_destroy(struct tresor__backend *backend)
{
    struct sync_backend *sync = sync_of(backend);
    struct tresor_allocator allocator = sync->allocator;
    if (sync->bounces)
        tresor__memory_close(sync->sys, TRESOR__BOUNCE_BYTES, sync->bounces);
    tresor__free(&allocator, sync,
                 sizeof *sync + sync->queue.capacity * sizeof(struct tresor__effect));
}

int32_t tresor__sync_create(const struct tresor__sys *sys, const struct tresor_allocator *allocator,
                            struct tresor__bell *bell, uint32_t effects_max,
                            struct tresor__backend **backend)
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
        .pending = sync_pending,
        .destroy = sync_destroy,
    };
    sync->sys = sys;
    sync->allocator = *allocator;
    sync->bell = bell;
    sync->queue =
        (struct tresor__effect_queue){.effects = sync->effects, .capacity = effects_max};
    if (tresor__memory_open(sys, TRESOR__BOUNCE_BYTES, &sync->bounces) < 0) {
        sync_destroy(&sync->base);
        return TRESOR_ERROR_NO_MEMORY;
    }
    *backend = &sync->base;
    return TRESOR_OK;
}
