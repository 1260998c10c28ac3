/* SPDX-License-Identifier: MIT */
/* Ending a context in whatever it is doing: requests are cancelled, what is in flight is awaited, sources are closed. */
#include "context.h"
#include "core/handle.h"
#include "tensor/pins.h"

/*
 * Somebody still has what would go: tensors that are acquired, chunks, or a thread that waits or is about to wake the
 * context. Pins in events that nobody has taken are nobody's, and those of looks go with them.
 */
static bool is_held(const struct tresor_context *context)
{
    const struct tresor__controller *controller = &context->controller;
    uint64_t users = 0;
    for (uint32_t i = 0; i < controller->limits.sources; i++) {
        const struct tresor__slot *slot = &controller->slots[i];
        if (slot->source.state == SOURCE_READY || slot->source.state == SOURCE_DRAINING)
            users += tresor__pins_users(slot) + tresor__gate_users(slot);
    }
    return users > (uint64_t)controller->pinned_count + controller->looks_held || tresor__stages_held(controller) ||
           atomic_load(&context->sleepers) > 0 || atomic_load(&context->wakers) > 0;
}

static void cancel_all(struct tresor__controller *controller)
{
    for (uint32_t i = 0; i < controller->limits.requests; i++) {
        const struct tresor__request *request = &controller->requests[i];
        bool runs = request->state == REQUEST_VISITING || request->state == REQUEST_PENDING;
        if (runs && request->verb != TRESOR_VERB_CLOSE)
            tresor__router_step(controller,
                                &(struct tresor__address){TRESOR__MACHINE_REQUEST, 0, i},
                                &(struct tresor__input){.event = REQUEST_ON_CANCEL});
    }
}

/* As many as there are requests for; the others come in a later round. */
static void close_all(struct tresor_context *context)
{
    const struct tresor__controller *controller = &context->controller;
    for (uint32_t i = 0; i < controller->limits.sources; i++) {
        const struct tresor__slot *slot = &controller->slots[i];
        struct tresor_request request;
        if (slot->source.state == SOURCE_READY)
            tresor_source_close(context,
                                (struct tresor_source){tresor__handle_make(TRESOR__KIND_SOURCE, i,
                                                                           slot->generation)},
                                0, &request);
    }
}

/* Nobody will take them. */
static bool drop_events(struct tresor_context *context)
{
    struct tresor_event event;
    bool dropped = false;
    while (tresor__events_take(&context->controller, &event)) {
        dropped = true;
        if (event.type == TRESOR_EVENT_CHUNK)
            tresor_chunk_return(context, event.stage);
        if (event.flags & TRESOR_EVENT_PINNED && event.type == TRESOR_EVENT_ITEM)
            tresor_release(context, event.item);
    }
    return dropped;
}

/* Rounds until nothing is left, or nothing moves any more, for a user has come in the meantime. */
static void end_everything(struct tresor_context *context)
{
    bool moves = true;
    while (moves && tresor__controller_in_use(&context->controller)) {
        cancel_all(&context->controller);
        close_all(context);
        moves = tresor_dispatch(context) > 0;
        moves = drop_events(context) || moves;
        if (!moves && context->controller.in_flight > 0) {
            context->backend->wait(context->backend, -1);
            moves = true;
        }
    }
}

int32_t tresor_context_destroy(struct tresor_context *context)
{
    if (!context)
        return TRESOR_OK;
    int32_t code = tresor__context_enter(context);
    if (code != TRESOR_OK)
        return code;
    if (is_held(context))
        return TRESOR_ERROR_BUSY;
    end_everything(context);
    if (tresor__controller_in_use(&context->controller) || is_held(context))
        return TRESOR_ERROR_BUSY;
    tresor__context_unwatch(context);
    tresor__context_unguard(context);
    context->backend->destroy(context->backend);
    tresor__bell_close(&context->bell);
    tresor__context_free(context);
    return TRESOR_OK;
}
