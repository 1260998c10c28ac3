/* SPDX-License-Identifier: MIT */
#include "support/shuffled_backend.h"

#include <stdlib.h>

#include <tresor/error.h>

#include "backend/actor.h"
#include "support/random.h"

struct shuffled_backend {
    struct tresor__backend base;
    struct shuffled *shuffled;
    struct tresor_allocator allocator;
    struct tresor__bell *bell;
    uint32_t capacity;
    struct tresor__effect *effects;         /* shuffled->asked of them */
    struct tresor__completion *completions; /* shuffled->run of them */
};

static struct shuffled_backend *self(struct tresor__backend *backend)
{
    return (struct shuffled_backend *)(void *)backend;
}

/* More than it was made for is a fault of the library's that no test could go on after. */
static void submit(struct tresor__backend *base, const struct tresor__effect *effects,
                   uint32_t count)
{
    struct shuffled_backend *backend = self(base);
    struct shuffled *shuffled = backend->shuffled;
    if (shuffled->asked + shuffled->run + count > backend->capacity)
        abort();
    for (uint32_t i = 0; i < count; i++)
        backend->effects[shuffled->asked++] = effects[i];
}

static uint32_t choose(struct shuffled *shuffled, uint32_t count)
{
    return shuffled->seed == 0 ? 0 : random_below(&shuffled->seed, count);
}

/* The order of those that remain is kept, for without a seed it is that of asking. */
static void run_one(struct shuffled_backend *backend)
{
    struct shuffled *shuffled = backend->shuffled;
    static _Alignas(4096) uint8_t memory[TRESOR__BOUNCE_BYTES];
    const struct tresor__bounce bounce = {memory, sizeof memory};
    uint32_t at = choose(shuffled, shuffled->asked);
    while (shuffled->delays_readaheads && at < shuffled->asked &&
           backend->effects[at].kind == TRESOR__EFFECT_READAHEAD)
        at++;
    if (at == shuffled->asked)
        return;
    backend->completions[shuffled->run++] =
        tresor__actor_run(shuffled->sys, &backend->effects[at], &bounce);
    shuffled->asked--;
    for (uint32_t i = at; i < shuffled->asked; i++)
        backend->effects[i] = backend->effects[i + 1];
}

static struct tresor__completion answer_one(struct shuffled_backend *backend)
{
    struct shuffled *shuffled = backend->shuffled;
    uint32_t at = choose(shuffled, shuffled->run);
    struct tresor__completion completion = backend->completions[at];
    shuffled->run--;
    shuffled->answers++;
    for (uint32_t i = at; i < shuffled->run; i++)
        backend->completions[i] = backend->completions[i + 1];
    return completion;
}

/* All without a seed, otherwise any number of them, perhaps none. */
static uint32_t how_many(struct shuffled *shuffled, uint32_t count)
{
    return shuffled->seed == 0 ? count : random_below(&shuffled->seed, count + 1);
}

static uint32_t poll(struct tresor__backend *base, struct tresor__completion *completions,
                     uint32_t limit)
{
    struct shuffled_backend *backend = self(base);
    struct shuffled *shuffled = backend->shuffled;
    shuffled->polls++;
    if (shuffled->is_holding)
        return 0;
    for (uint32_t left = how_many(shuffled, shuffled->asked); left > 0; left--)
        run_one(backend);
    uint32_t count = how_many(shuffled, shuffled->run < limit ? shuffled->run : limit);
    for (uint32_t i = 0; i < count; i++)
        completions[i] = answer_one(backend);
    return count;
}

/* With a seed a poll may bring nothing all the same. */
static bool pending(struct tresor__backend *base)
{
    const struct shuffled *shuffled = self(base)->shuffled;
    return !shuffled->is_holding && shuffled->asked + shuffled->run > 0;
}

static void sleep_until(struct tresor__backend *base, int32_t timeout_ms)
{
    struct shuffled_backend *backend = self(base);
    struct shuffled *shuffled = backend->shuffled;
    shuffled->sleeps += timeout_ms != 0;
    if (timeout_ms < 0)
        shuffled->is_holding = shuffled->delays_readaheads = false;
    if (!pending(base))
        tresor__bell_wait(backend->bell, timeout_ms);
}

static void free_all(struct shuffled_backend *backend)
{
    struct tresor_allocator allocator = backend->allocator;
    uint32_t capacity = backend->capacity;
    tresor__free(&allocator, backend->effects, capacity * sizeof *backend->effects);
    tresor__free(&allocator, backend->completions, capacity * sizeof *backend->completions);
    tresor__free(&allocator, backend, sizeof *backend);
}

static void destroy(struct tresor__backend *base)
{
    struct shuffled_backend *backend = self(base);
    if (backend->shuffled->asked + backend->shuffled->run > 0)
        abort();
    free_all(backend);
}

int32_t shuffled_create(void *argument, const struct tresor_allocator *allocator,
                        struct tresor__bell *bell, uint32_t effects_max,
                        struct tresor__backend **made)
{
    struct shuffled *shuffled = argument;
    struct shuffled_backend *backend = tresor__allocate(allocator, sizeof *backend);
    if (!backend)
        return TRESOR_ERROR_NO_MEMORY;
    backend->base = (struct tresor__backend){.name = "shuffled",
                                             .submit = submit,
                                             .poll = poll,
                                             .wait = sleep_until,
                                             .pending = pending,
                                             .destroy = destroy};
    backend->shuffled = shuffled;
    backend->allocator = *allocator;
    backend->bell = bell;
    backend->capacity = effects_max;
    backend->effects = tresor__allocate(allocator, effects_max * sizeof *backend->effects);
    backend->completions = tresor__allocate(allocator, effects_max * sizeof *backend->completions);
    if (backend->effects && backend->completions) {
        *made = &backend->base;
        return TRESOR_OK;
    }
    free_all(backend);
    return TRESOR_ERROR_NO_MEMORY;
}
