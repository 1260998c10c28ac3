/* SPDX-License-Identifier: MIT */
/* The descriptor of a host's loop: the context's bell, kept readable exactly while there is something to do. */
#include "context.h"

static bool has_work(struct tresor_context *context)
{
    const struct tresor__controller *controller = &context->controller;
    return controller->effect_count > 0 || controller->watch_effect_count > 0 ||
           atomic_load(&controller->stages_returned) || atomic_load(&controller->released) ||
           tresor__context_has_more(context) ||
           (controller->draining > 0 && tresor__controller_has_quiet(controller));
}

static bool is_wanted(struct tresor_context *context)
{
    return context->controller.events.head != TRESOR_NONE ||
           (atomic_load(&context->woken) & TRESOR__WOKEN_LOOP) || has_work(context);
}

/* Silenced first and then looked again, for what other threads did meanwhile rang a bell that was about to be heard. */
void tresor__context_level(struct tresor_context *context)
{
    tresor__context_tell_sleepers(context);
    if (!context->is_watched)
        return;
    bool wanted = is_wanted(context);
    if (!wanted) {
        context->backend->wait(context->backend, 0);
        wanted = is_wanted(context);
    }
    if (wanted)
        tresor__bell_ring(&context->bell);
}

int32_t tresor_get_fd(struct tresor_context *context)
{
    int32_t code = tresor__context_enter(context);
    if (code != TRESOR_OK)
        return code;
    context->is_watched = true;
    tresor__context_level(context);
    return tresor__bell_descriptor(&context->bell);
}
