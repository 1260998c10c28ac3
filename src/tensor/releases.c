/* SPDX-License-Identifier: MIT */
/* Pins that loads take for the host, and who waits for the end of others' pins: the evictions that are patient. */
#include "tensor/controller.h"

enum {
    LOOKS_MAX = 256, /* of one turn */
};

/* --- pins of the controller's own --- */

int32_t tresor__releases_pin(struct tresor__controller *controller, struct tresor__pair *pair)
{
    struct tresor__slot *slot = &controller->slots[pair->source];
    int32_t code = tresor__pins_acquire_one(slot, slot->generation, pair->tensor,
                                            &controller->acquires);
    if (code != TRESOR_OK)
        return code == TRESOR_ERROR_STALE ? TRESOR_ERROR_CANCELLED : code; /* its source closes */
    pair->has_pin = true;
    controller->pinned_count++;
    return TRESOR_OK;
}

void tresor__releases_unpin(struct tresor__controller *controller, struct tresor__pair *pair)
{
    struct tresor__slot *slot = &controller->slots[pair->source];
    bool is_awaited = false;
    if (!pair->has_pin)
        return;
    pair->has_pin = false;
    pair->event.data = NULL;
    pair->event.flags &= ~(uint32_t)TRESOR_EVENT_PINNED;
    controller->pinned_count--;
    tresor__pins_release_one(slot, slot->generation, pair->tensor, &is_awaited);
    if (is_awaited && tresor__pins_finish(slot, &pair->tensor, 1) & TRESOR__PINS_RELEASED)
        atomic_store(&controller->released, true);
}

/* --- who waits --- */

/* Where the last user left before this look nobody else will tell. */
void tresor__releases_await(struct tresor__controller *controller, struct tresor__piece *piece)
{
    if (!tresor__pins_await(&controller->slots[piece->tensor.source], piece->index))
        atomic_store(&controller->released, true);
}

static bool is_waiting(const struct tresor__request *request)
{
    return request->is_patient &&
           (request->state == REQUEST_VISITING || request->state == REQUEST_PENDING);
}

/* An exchange, for a thread that finds the flag set relies on this look to see what it has released. */
void tresor__releases_collect(struct tresor__controller *controller)
{
    if (!atomic_load_explicit(&controller->released, memory_order_relaxed))
        return;
    atomic_exchange(&controller->released, false);
    tresor__budget_released(controller);
    tresor__plans_look(controller);
    for (uint32_t i = 0; i < controller->limits.requests && controller->patient_count > 0; i++) {
        struct tresor__request *request = &controller->requests[i];
        if (!is_waiting(request))
            continue;
        request->retry = request->first_wait;
        tresor__turns_add_request(controller, i);
    }
}

static void retry(struct tresor__controller *controller, const struct tresor__pair *pair)
{
    struct tresor__slot *slot = &controller->slots[pair->source];
    struct tresor__piece *piece = &slot->pieces[pair->tensor];
    if (piece->tensor.state != TENSOR_HELD || tresor__pins_await(slot, piece->index))
        return;
    tresor__router_step_on(
        controller, &piece->tensor,
        &(struct tresor__address){TRESOR__MACHINE_TENSOR, pair->source, piece->index},
        &(struct tresor__input){.event = TENSOR_ON_LEFT});
}

void tresor__releases_retry(struct tresor__controller *controller, struct tresor__request *request)
{
    for (uint32_t i = 0; i < LOOKS_MAX && request->retry != TRESOR_NONE; i++) {
        if (!tresor__visits_has_room(controller))
            break;
        const struct tresor__pair *pair = &controller->pairs[request->retry];
        request->retry = pair->next_of_request; /* a pair that goes meanwhile takes this along */
        retry(controller, pair);
    }
    if (request->retry != TRESOR_NONE)
        tresor__turns_add_request(controller, request->index);
}
