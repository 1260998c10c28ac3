/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <tresor/error.h>

#include "backend/actor.h"
#include "backend/record.h"

struct replay_backend {
    struct tresor__backend base;
    const struct tresor__sys *sys;
    const struct tresor__script *script;
    struct tresor_allocator allocator;
    struct tresor__bell *bell;
    struct tresor__flight flight;
    bool is_lost; /* the script goes another way */
};

static struct replay_backend *replay_of(struct tresor__backend *backend)
{
    return (struct replay_backend *)(void *)backend;
}

static void replay_submit(struct tresor__backend *backend, const struct tresor__effect *effects,
                          uint32_t count)
{
    struct replay_backend *replay = replay_of(backend);
    for (uint32_t i = 0; i < count; i++) {
        tresor__flight_add(&replay->flight, &effects[i]);
        const struct tresor__numbered *asked = &replay->flight.effects[replay->flight.count - 1];
        if (!replay->is_lost)
            replay->is_lost = !replay->script->ask(replay->script->cookie, asked);
    }
}

/* These need no file: they are done as any backend does them. */
static bool is_done_here(const struct tresor__effect *effect)
{
    return effect->kind == TRESOR__EFFECT_WORK || effect->kind == TRESOR__EFFECT_RESERVE ||
           effect->kind == TRESOR__EFFECT_RELEASE;
}

static struct tresor__completion do_here(struct replay_backend *replay,
                                         const struct tresor__effect *effect)
{
    return tresor__actor_run(replay->sys, effect, &(struct tresor__bounce){NULL, 0});
}

static void lose(struct replay_backend *replay, const char *why)
{
    replay->is_lost = true;
    replay->script->refuse(replay->script->cookie, why);
}

/* Work is done whatever the script says, for some of it gives memory back. */
static struct tresor__completion work(struct replay_backend *replay,
                                      const struct tresor__effect *effect,
                                      const struct tresor__answer *answer)
{
    struct tresor__completion completion = do_here(replay, effect);
    if (completion.os_errno != answer->os_errno || completion.value != answer->value)
        lose(replay, "work came to something else");
    return completion;
}

/* What the system refused there fails here, without being done. */
static struct tresor__completion give(struct replay_backend *replay,
                                      const struct tresor__effect *effect,
                                      const struct tresor__answer *answer)
{
    if (effect->kind == TRESOR__EFFECT_WORK)
        return work(replay, effect, answer);
    if (!is_done_here(effect) || answer->os_errno != 0)
        return tresor__answer_give(effect, answer);
    struct tresor__completion completion = do_here(replay, effect);
    if (completion.os_errno != 0)
        lose(replay, "the system refused here what it gave there");
    return completion;
}

/* So that a context whose script is lost ends: nothing succeeds but what gives something back. */
static struct tresor__completion fail(struct replay_backend *replay,
                                      const struct tresor__effect *effect)
{
    switch (effect->kind) {
    case TRESOR__EFFECT_WORK:
    case TRESOR__EFFECT_RELEASE:
        return do_here(replay, effect);
    case TRESOR__EFFECT_CLOSE:
    case TRESOR__EFFECT_UNMAP:
    case TRESOR__EFFECT_UNLOCK:
    case TRESOR__EFFECT_CANCEL:
    case TRESOR__EFFECT_ADVISE:
        return tresor__actor_answer(effect, 0);
    default:
        return tresor__actor_answer(effect, -EIO);
    }
}

static uint32_t fail_all(struct replay_backend *replay, struct tresor__completion *completions,
                         uint32_t count, uint32_t limit)
{
    while (count < limit && replay->flight.count > 0) {
        struct tresor__numbered asked = tresor__flight_take(&replay->flight, 0);
        completions[count++] = fail(replay, &asked.effect);
    }
    return count;
}

/* False where the script gives no answer to anything in flight. */
static bool answer_next(struct replay_backend *replay, struct tresor__completion *completion)
{
    struct tresor__answer answer;
    if (!replay->script->answer(replay->script->cookie, &answer)) {
        replay->is_lost = true;
        return false;
    }
    uint32_t place = tresor__flight_at(&replay->flight, answer.number);
    if (place == replay->flight.count ||
        !tresor__answer_is_possible(&replay->flight.effects[place].effect, &answer)) {
        lose(replay, "nothing was asked that this could be an answer to");
        return false;
    }
    struct tresor__numbered asked = tresor__flight_take(&replay->flight, place);
    *completion = give(replay, &asked.effect, &answer);
    return true;
}

static uint32_t replay_poll(struct tresor__backend *backend, struct tresor__completion *completions,
                            uint32_t limit)
{
    struct replay_backend *replay = replay_of(backend);
    struct tresor__poll poll = {.limit = limit};
    uint32_t count = 0;
    if (!replay->is_lost)
        replay->is_lost = !replay->script->poll(replay->script->cookie, &poll);
    if (!replay->is_lost && (poll.limit != limit || poll.answer_count > limit))
        lose(replay, "as many completions were not asked for");
    if (replay->is_lost)
        return fail_all(replay, completions, 0, limit);
    while (count < poll.answer_count && !replay->is_lost &&
           answer_next(replay, &completions[count]))
        count++;
    backend->starts_left = poll.starts_left;
    backend->refused_errno = poll.refused_errno;
    return count;
}

/* What another backend slept for comes with the next poll. */
static void replay_wait(struct tresor__backend *backend, int32_t timeout_ms)
{
    (void)timeout_ms;
    tresor__bell_wait(replay_of(backend)->bell, 0);
}

static bool replay_pending(struct tresor__backend *backend)
{
    struct replay_backend *replay = replay_of(backend);
    bool is_pending = false;
    if (!replay->is_lost)
        replay->is_lost = !replay->script->look(replay->script->cookie, &is_pending);
    return replay->is_lost ? replay->flight.count > 0 : is_pending;
}

static void replay_destroy(struct tresor__backend *backend)
{
    struct replay_backend *replay = replay_of(backend);
    struct tresor_allocator allocator = replay->allocator;
    tresor__flight_free(&replay->flight, &allocator);
    tresor__free(&allocator, replay, sizeof *replay);
}

int32_t tresor__replay_create(const struct tresor__sys *sys, const struct tresor__script *script,
                              const struct tresor_allocator *allocator, struct tresor__bell *bell,
                              uint32_t effects_max, struct tresor__backend **backend)
{
    struct replay_backend *replay = tresor__allocate(allocator, sizeof *replay);
    if (!replay)
        return TRESOR_ERROR_NO_MEMORY;
    int32_t code = tresor__flight_init(&replay->flight, allocator, effects_max);
    if (code != TRESOR_OK) {
        tresor__free(allocator, replay, sizeof *replay);
        return code;
    }
    replay->base = (struct tresor__backend){
        .name = "replay",
        .submit = replay_submit,
        .poll = replay_poll,
        .wait = replay_wait,
        .pending = replay_pending,
        .destroy = replay_destroy,
    };
    replay->sys = sys;
    replay->script = script;
    replay->allocator = *allocator;
    replay->bell = bell;
    *backend = &replay->base;
    return TRESOR_OK;
}
