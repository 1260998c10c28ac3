/* SPDX-License-Identifier: MIT */
/* Which backend a context has: made with it, and changed while nothing is under way. */
#include "backend/host.h"
#include "context.h"

/* More does not make a cold load faster, and each may still have to end after a cancel. */
enum { AHEAD_MAX = 3 };

/* A populate leaves the other workers free to run ahead of it; without workers a readahead would only hold it up. */
uint32_t tresor__backend_ahead_max(uint32_t kind, uint32_t threads_max)
{
    uint32_t others = kind == TRESOR_BACKEND_SYNC ? 0 : threads_max - 1;
    return others < AHEAD_MAX ? others : AHEAD_MAX;
}

bool tresor__backend_is_known(uint32_t kind, const struct tresor_actor *actor)
{
    return kind <= TRESOR_BACKEND_AUTO || (kind == TRESOR_BACKEND_HOST && actor->submit);
}

int32_t tresor__actor_copy(struct tresor_actor *known, const struct tresor_actor *given)
{
    *known = (struct tresor_actor){0};
    int32_t code = given ? tresor__options_copy(known, sizeof *known, given) : TRESOR_OK;
    if (code == TRESOR_OK && given && (!known->submit || !known->poll || !known->pending))
        code = TRESOR_ERROR_INVALID;
    return code;
}

int32_t tresor__backend_make(struct tresor_context *context, uint32_t kind,
                             struct tresor__backend **backend)
{
    uint32_t effects_max = context->controller.effects_max;
    if (kind == TRESOR_BACKEND_HOST)
        return tresor__host_create(&context->actor, context->sys, &context->allocator,
                                   &context->bell, effects_max, backend);
    if (kind == TRESOR_BACKEND_SYNC)
        return tresor__sync_create(context->sys, &context->allocator, &context->bell, effects_max,
                                   backend);
    return kind == TRESOR_BACKEND_POOL
               ? tresor__pool_create(context->sys, &context->allocator, &context->bell,
                                     effects_max, context->threads_max, backend)
               : tresor__uring_create(context->sys, &context->allocator, &context->bell,
                                      effects_max, context->threads_max, backend);
}

/* What has been asked and not taken yet would do under the next backend too, but nobody would call that idle. */
static bool is_idle(const struct tresor__controller *controller)
{
    for (uint32_t i = 0; i < controller->limits.requests; i++) {
        uint32_t state = controller->requests[i].state;
        if (state != REQUEST_FREE && state != REQUEST_ENDED)
            return false;
    }
    return controller->in_flight == 0 && controller->effect_count == 0 &&
           !tresor__controller_is_due(controller);
}

/* The new one is whole before the old one goes. Other threads ring the bell, which is the context's and stays. */
int32_t tresor_set_backend(struct tresor_context *context, uint32_t kind)
{
    struct tresor__backend *backend = NULL;
    int32_t code = tresor__context_enter(context);
    if (code == TRESOR_OK && !tresor__backend_is_known(kind, &context->actor))
        code = TRESOR_ERROR_INVALID;
    if (code == TRESOR_OK && !is_idle(&context->controller))
        code = TRESOR_ERROR_BUSY;
    if (kind == TRESOR_BACKEND_DEFAULT)
        kind = TRESOR_BACKEND_AUTO;
    if (code == TRESOR_OK)
        code = tresor__backend_make(context, kind, &backend);
    if (code != TRESOR_OK)
        return code;
    context->backend->destroy(context->backend);
    context->backend = backend;
    context->controller.io.ahead_max = tresor__backend_ahead_max(kind, context->threads_max);
    tresor__events_recover(&context->controller, TRESOR_DEGRADED_BACKEND);
    tresor__context_level(context);
    return TRESOR_OK;
}

void tresor_ring(struct tresor_context *context)
{
    tresor__bell_ring(&context->bell);
}
