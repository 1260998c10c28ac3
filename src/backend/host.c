/* SPDX-License-Identifier: MIT */
#include "backend/host.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include <tresor/error.h>

#include "backend/actor.h"
#include "backend/flight.h"
#include "backend/origins.h"

enum {
    BATCH = 16,
    ERRNO_MAX = 4095, /* of Linux */
};

/* What an effect carries for tresor_effect_run. */
struct inner {
    struct tresor__effect effect;
    const struct tresor__sys *sys;
};

_Static_assert(sizeof(struct inner) <= sizeof((struct tresor_effect){0}.inner), "an effect has room for it");
#define SAME(name)                                                                                 \
    _Static_assert((int)TRESOR_EFFECT_##name == (int)TRESOR__EFFECT_##name, "kinds have one number")
SAME(OPEN);
SAME(OPEN_DIRECT);
SAME(STAT);
SAME(CLOSE);
SAME(WORK);
SAME(RESERVE);
SAME(RELEASE);
SAME(MAP);
SAME(UNMAP);
SAME(MOVE);
SAME(REPLACE);
SAME(POPULATE);
SAME(READAHEAD);
SAME(READ);
SAME(CANCEL);
SAME(ADVISE);
SAME(LOCK);
SAME(UNLOCK);
SAME(QUERY);
#undef SAME

struct host_backend {
    struct tresor__backend base;
    struct tresor_actor actor;
    const struct tresor__sys *sys;
    struct tresor_allocator allocator;
    struct tresor__bell *bell;
    struct tresor__flight flight;
};

static struct host_backend *host_of(struct tresor__backend *backend)
{
    return (struct host_backend *)(void *)backend;
}

static uint32_t public_flags(const struct tresor__effect *effect)
{
    if (effect->kind != TRESOR__EFFECT_READ)
        return 0;
    return (effect->flags & TRESOR__READ_DIRECT ? TRESOR_EFFECT_DIRECT : 0u) |
           (effect->flags & TRESOR__READ_CACHED ? TRESOR_EFFECT_CACHED : 0u) |
           (effect->flags & TRESOR__READ_BOUNCE ? TRESOR_EFFECT_BOUNCE : 0u);
}

uint64_t tresor__host_target(const struct tresor__flight *flight,
                             const struct tresor__effect *cancel)
{
    if (cancel->kind != TRESOR__EFFECT_CANCEL)
        return 0;
    for (uint32_t i = 0; i < flight->count; i++) {
        const struct tresor__effect *effect = &flight->effects[i].effect;
        if (effect->kind == TRESOR__EFFECT_READ && effect->machine == cancel->machine &&
            effect->slot == cancel->slot)
            return flight->effects[i].number;
    }
    return 0;
}

/* What is decoded comes out of memory, and is no read of a file. */
static uint32_t public_kind(const struct tresor__effect *effect)
{
    return effect->kind == TRESOR__EFFECT_READ && effect->target ? TRESOR_EFFECT_WORK : effect->kind;
}

/* Machines count from where the model begins; who makes the call counts from where the file does. */
static uint64_t public_offset(const struct tresor__effect *effect)
{
    bool is_of_window = effect->kind == TRESOR__EFFECT_MOVE || effect->kind == TRESOR__EFFECT_UNMAP;
    return is_of_window ? effect->offset : tresor__effect_at(effect, effect->offset);
}

struct tresor_effect tresor__host_effect(const struct tresor__effect *effect,
                                         const struct tresor__sys *sys, uint64_t number,
                                         uint64_t target)
{
    const struct inner inner = {.effect = *effect, .sys = sys};
    bool has_path = tresor__effect_origin(effect)->kind == TRESOR_ORIGIN_PATH;
    struct tresor_effect public = {
        .kind = public_kind(effect),
        .flags = public_flags(effect),
        .number = number,
        .target = target,
        .descriptor = tresor__effect_has_file(effect) ? effect->descriptor : -1,
        .offset_bytes = public_offset(effect),
        .length_bytes = effect->length,
        .address = effect->address,
        .path = has_path ? effect->path : NULL,
    };
    memcpy(public.inner, &inner, sizeof inner);
    return public;
}

static struct tresor_effect told(struct host_backend *host, const struct tresor__effect *effect)
{
    uint64_t target = tresor__host_target(&host->flight, effect);
    return tresor__host_effect(effect, host->sys, tresor__flight_add(&host->flight, effect), target);
}

static void host_submit(struct tresor__backend *backend, const struct tresor__effect *effects,
                        uint32_t count)
{
    struct host_backend *host = host_of(backend);
    struct tresor_effect batch[BATCH];
    for (uint32_t done = 0; done < count;) {
        uint32_t size = 0;
        while (size < BATCH && done < count)
            batch[size++] = told(host, &effects[done++]);
        host->actor.submit(host->actor.cookie, batch, size);
    }
}

static bool is_possible(const struct tresor__effect *effect, int64_t value)
{
    if (value < 0)
        return value >= -ERRNO_MAX;
    switch (effect->kind) {
    case TRESOR__EFFECT_READ:
        return (uint64_t)value <= effect->length;
    case TRESOR__EFFECT_CANCEL:
        return value <= 1;
    case TRESOR__EFFECT_OPEN:
    case TRESOR__EFFECT_OPEN_DIRECT:
        return value <= INT_MAX;
    case TRESOR__EFFECT_RESERVE:
        return value > 0;
    case TRESOR__EFFECT_MAP:
    case TRESOR__EFFECT_UNMAP:
    case TRESOR__EFFECT_REPLACE:
    case TRESOR__EFFECT_WORK:
        return true;
    default:
        return value == 0;
    }
}

bool tresor__host_take(struct tresor__flight *flight, const struct tresor_answer *answer,
                       struct tresor__completion *completion)
{
    uint32_t place = tresor__flight_at(flight, answer->number);
    if (place == flight->count)
        return false;
    struct tresor__numbered asked = tresor__flight_take(flight, place);
    bool possible = is_possible(&asked.effect, answer->value);
    *completion = tresor__actor_answer(&asked.effect, possible ? answer->value : -EPROTO);
    /* How long the file is now, where that is why it failed. */
    if (completion->os_errno != 0 && asked.effect.kind == TRESOR__EFFECT_POPULATE)
        completion->value = answer->detail > 0 ? answer->detail : 0;
    return true;
}

static uint32_t host_poll(struct tresor__backend *backend, struct tresor__completion *completions,
                          uint32_t limit)
{
    struct host_backend *host = host_of(backend);
    struct tresor_answer answers[BATCH];
    uint32_t most = limit < BATCH ? limit : BATCH;
    uint32_t given = host->actor.poll(host->actor.cookie, answers, most);
    uint32_t count = 0;
    for (uint32_t i = 0; i < given && i < most; i++)
        count += tresor__host_take(&host->flight, &answers[i], &completions[count]);
    return count;
}

static bool host_pending(struct tresor__backend *backend)
{
    struct host_backend *host = host_of(backend);
    return host->actor.pending(host->actor.cookie) != 0;
}

static void host_wait(struct tresor__backend *backend, int32_t timeout_ms)
{
    if (!host_pending(backend))
        tresor__bell_wait(host_of(backend)->bell, timeout_ms);
}

static void host_free(struct host_backend *host)
{
    struct tresor_allocator allocator = host->allocator;
    tresor__flight_free(&host->flight, &allocator);
    tresor__free(&allocator, host, sizeof *host);
}

static void host_destroy(struct tresor__backend *backend)
{
    struct host_backend *host = host_of(backend);
    assert(host->flight.count == 0);
    if (host->actor.destroy)
        host->actor.destroy(host->actor.cookie);
    host_free(host);
}

int32_t tresor__host_create(const struct tresor_actor *actor, const struct tresor__sys *sys,
                            const struct tresor_allocator *allocator, struct tresor__bell *bell,
                            uint32_t effects_max, struct tresor__backend **backend)
{
    struct host_backend *host = tresor__allocate(allocator, sizeof *host);
    if (!host)
        return TRESOR_ERROR_NO_MEMORY;
    int32_t code = tresor__flight_init(&host->flight, allocator, effects_max);
    if (code != TRESOR_OK) {
        tresor__free(allocator, host, sizeof *host);
        return code;
    }
    host->base = (struct tresor__backend){
        .name = actor->name ? actor->name : "host",
        .submit = host_submit,
        .poll = host_poll,
        .wait = host_wait,
        .pending = host_pending,
        .destroy = host_destroy,
    };
    host->actor = *actor;
    host->sys = sys;
    host->allocator = *allocator;
    host->bell = bell;
    *backend = &host->base;
    return TRESOR_OK;
}

static struct tresor__completion run_bounced(const struct inner *inner)
{
    void *memory = NULL;
    int64_t result = tresor__memory_open(inner->sys, TRESOR__BOUNCE_BYTES, &memory);
    if (result < 0)
        return tresor__actor_answer(&inner->effect, result);
    const struct tresor__bounce bounce = tresor__bounce_of(memory, 0);
    struct tresor__completion completion = tresor__actor_run(inner->sys, &inner->effect, &bounce);
    tresor__memory_close(inner->sys, TRESOR__BOUNCE_BYTES, memory);
    return completion;
}

struct tresor_answer tresor_effect_run(const struct tresor_effect *effect)
{
    const struct tresor__bounce none = {0};
    struct inner inner;
    memcpy(&inner, effect->inner, sizeof inner);
    bool is_bounced =
        inner.effect.kind == TRESOR__EFFECT_READ && inner.effect.flags & TRESOR__READ_BOUNCE;
    struct tresor__completion completion =
        is_bounced ? run_bounced(&inner) : tresor__actor_run(inner.sys, &inner.effect, &none);
    bool has_failed = completion.os_errno != 0;
    return (struct tresor_answer){
        .number = effect->number,
        .value = has_failed ? -(int64_t)completion.os_errno : completion.value,
        .detail = has_failed ? completion.value : 0,
    };
}
