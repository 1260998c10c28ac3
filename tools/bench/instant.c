/* SPDX-License-Identifier: MIT */
#include "instant.h"

enum { CAPACITY = 4096 }; /* a power of two */

struct instant {
    struct tresor__backend base;
    struct tresor__backend *sync;
    struct tresor_allocator allocator;
    uint32_t head;
    uint32_t count;
    struct tresor__completion completions[CAPACITY];
};

static struct instant *instant_of(struct tresor__backend *backend)
{
    return (struct instant *)(void *)backend;
}

static bool is_residency(const struct tresor__effect *effect)
{
    return effect->kind == TRESOR__EFFECT_MAP || effect->kind == TRESOR__EFFECT_UNMAP ||
           effect->kind == TRESOR__EFFECT_POPULATE ||
           (effect->kind == TRESOR__EFFECT_READ && effect->space == TRESOR__SPACE_WINDOW);
}

static void instant_submit(struct tresor__backend *backend, const struct tresor__effect *effects,
                           uint32_t count)
{
    struct instant *instant = instant_of(backend);
    for (uint32_t i = 0; i < count; i++) {
        const struct tresor__effect *effect = &effects[i];
        if (!is_residency(effect)) {
            instant->sync->submit(instant->sync, effect, 1);
            continue;
        }
        uint32_t place = (instant->head + instant->count++) & (CAPACITY - 1);
        instant->completions[place] = (struct tresor__completion){
            .kind = effect->kind,
            .machine = effect->machine,
            .event = effect->on_ok,
            .source = effect->source,
            .slot = effect->slot,
            .file = effect->file,
            /* As of a warm page cache: a MAP of what is cached, and whole reads. */
            .value = effect->kind == TRESOR__EFFECT_READ ? (int64_t)effect->length : 0,
        };
    }
}

static uint32_t instant_poll(struct tresor__backend *backend,
                             struct tresor__completion *completions, uint32_t limit)
{
    struct instant *instant = instant_of(backend);
    uint32_t done = 0;
    while (done < limit && instant->count > 0) {
        completions[done++] = instant->completions[instant->head];
        instant->head = (instant->head + 1) & (CAPACITY - 1);
        instant->count--;
    }
    return done > 0 ? done : instant->sync->poll(instant->sync, completions, limit);
}

static void instant_wait(struct tresor__backend *backend, int32_t timeout_ms)
{
    struct instant *instant = instant_of(backend);
    if (instant->count == 0)
        instant->sync->wait(instant->sync, timeout_ms);
}

static bool instant_pending(struct tresor__backend *backend)
{
    struct instant *instant = instant_of(backend);
    return instant->count > 0 || instant->sync->pending(instant->sync);
}

static void instant_destroy(struct tresor__backend *backend)
{
    struct instant *instant = instant_of(backend);
    struct tresor_allocator allocator = instant->allocator;
    instant->sync->destroy(instant->sync);
    tresor__free(&allocator, instant, sizeof *instant);
}

static int32_t make(void *argument, const struct tresor_allocator *allocator,
                    struct tresor__bell *bell, uint32_t effects_max,
                    struct tresor__backend **backend)
{
    struct instant *instant = tresor__allocate(allocator, sizeof *instant);
    (void)argument;
    if (!instant || effects_max > CAPACITY) {
        tresor__free(allocator, instant, sizeof *instant);
        return TRESOR_ERROR_NO_MEMORY;
    }
    instant->base = (struct tresor__backend){
        .name = "instant",
        .submit = instant_submit,
        .poll = instant_poll,
        .wait = instant_wait,
        .pending = instant_pending,
        .destroy = instant_destroy,
    };
    instant->allocator = *allocator;
    *backend = &instant->base;
    return tresor__sync_create(tresor__sys_posix(), allocator, bell, effects_max, &instant->sync);
}

int32_t instant_create(const struct tresor_context_options *options,
                       struct tresor_context **context)
{
    return tresor__context_create_on(tresor__sys_posix(), make, NULL, options, context);
}
