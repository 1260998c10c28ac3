/* SPDX-License-Identifier: MIT */
/* A request goes through its items' tensors and asks each; a bounded number a turn, so no dispatch
 * is long. */
#include <tresor/strategy.h>

#include "tensor/controller.h"

enum {
    VISITS_MAX = 256, /* of one turn */
    EFFECTS_ROOM = 32,
};

struct asking {
    uint8_t machine;
    uint8_t event;
    uint8_t wait;
};

static struct asking asking_of(const struct tresor__request *request)
{
    switch (request->verb) {
    case TRESOR_VERB_LOAD:
        return (struct asking){TRESOR__MACHINE_TENSOR, TENSOR_ON_LOAD, TRESOR__WAIT_LOAD};
    case TRESOR_VERB_EVICT:
        return (struct asking){TRESOR__MACHINE_TENSOR, TENSOR_ON_EVICT, TRESOR__WAIT_EVICT};
    case TRESOR_VERB_LOCK:
        return (struct asking){TRESOR__MACHINE_LOCK, LOCK_ON_LOCK, TRESOR__WAIT_LOCK};
    case TRESOR_VERB_UNLOCK:
        return (struct asking){TRESOR__MACHINE_LOCK, LOCK_ON_UNLOCK, TRESOR__WAIT_UNLOCK};
    default:
        return (struct asking){TRESOR__MACHINE_TENSOR, TENSOR_ON_ADVISE, TRESOR__WAIT_ADVISE};
    }
}

static int64_t value_of(const struct tresor__request *request)
{
    if (request->verb == TRESOR_VERB_ADVISE)
        return request->advice;
    return tresor__load_value(request->strategy == TRESOR_STRATEGY_READ ? TRESOR__BACKING_ANONYMOUS
                                                                        : TRESOR__BACKING_FILE,
                              request->urgency);
}

/* The tensor where visiting stands; NULL after the last. */
static struct tresor__piece *current_piece(struct tresor__controller *controller,
                                           struct tresor__request *request)
{
    struct tresor__slot *slot = &controller->slots[request->source];
    while (request->item != TRESOR_NONE) {
        const struct tresor__item_node *node = &controller->items[request->item];
        if (request->position < tresor__items_count(slot, node->item))
            return &slot->pieces[tresor__items_tensor(slot, node->item, request->position)];
        request->item = node->next;
        request->position = 0;
    }
    return NULL;
}

static bool has_room(const struct tresor__controller *controller)
{
    return controller->effect_count + controller->in_flight + controller->seal_count +
               EFFECTS_ROOM <=
           controller->effects_max;
}

void tresor__visits_run(struct tresor__controller *controller, struct tresor__request *request)
{
    struct asking asking = asking_of(request);
    struct tresor__input input = {.event = asking.event, .value = value_of(request)};
    for (uint32_t i = 0; i < VISITS_MAX && has_room(controller); i++) {
        struct tresor__piece *piece = current_piece(controller, request);
        if (!piece) {
            tresor__router_step_on(
                controller, request,
                &(struct tresor__address){TRESOR__MACHINE_REQUEST, 0, request->index},
                &(struct tresor__input){.event = REQUEST_ON_VISITED});
            return;
        }
        if (controller->free_pair == TRESOR_NONE) {
            tresor__turns_await_pair(controller, request->index);
            return;
        }
        request->position++;
        tresor__waits_add(controller, request, piece, asking.wait);
        tresor__router_step_on(
            controller,
            asking.machine == TRESOR__MACHINE_TENSOR ? (void *)&piece->tensor : &piece->lock,
            &(struct tresor__address){asking.machine, request->source, piece->index}, &input);
    }
    tresor__turns_add_request(controller, request->index);
}
