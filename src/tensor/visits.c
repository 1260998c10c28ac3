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

static enum tresor__backing backing_of(const struct tresor__request *request)
{
    return request->strategy == TRESOR_STRATEGY_READ ? TRESOR__BACKING_ANONYMOUS
                                                     : TRESOR__BACKING_FILE;
}

static struct asking asking_of(const struct tresor__request *request)
{
    switch (request->verb) {
    case TRESOR_VERB_LOAD:
        return (struct asking){TRESOR__MACHINE_TENSOR, TENSOR_ON_LOAD, TRESOR__WAIT_LOAD};
    case TRESOR_VERB_EVICT:
        return (struct asking){TRESOR__MACHINE_TENSOR, TENSOR_ON_EVICT,
                               request->is_patient ? TRESOR__WAIT_PATIENT : TRESOR__WAIT_EVICT};
    case TRESOR_VERB_LOCK:
        return (struct asking){TRESOR__MACHINE_LOCK, LOCK_ON_LOCK, TRESOR__WAIT_LOCK};
    case TRESOR_VERB_UNLOCK:
        return (struct asking){TRESOR__MACHINE_LOCK, LOCK_ON_UNLOCK, TRESOR__WAIT_UNLOCK};
    case TRESOR_VERB_DIGEST:
        return (struct asking){.wait = TRESOR__WAIT_LOOK};
    case TRESOR_VERB_SWAP:
        return (struct asking){TRESOR__MACHINE_TENSOR, TENSOR_ON_SWAP,
                               (uint8_t)tresor__swap_wait(backing_of(request))};
    default:
        return (struct asking){TRESOR__MACHINE_TENSOR, TENSOR_ON_ADVISE, TRESOR__WAIT_ADVISE};
    }
}

static int64_t value_of(const struct tresor__controller *controller,
                        const struct tresor__request *request)
{
    if (request->verb == TRESOR_VERB_ADVISE)
        return request->advice;
    return tresor__load_value(backing_of(request), request->is_strategy_asked, request->urgency,
                              controller->budget.budget_bytes > 0);
}

/* The tensor where visiting stands; NULL after the last. */
static struct tresor__piece *current_piece(struct tresor__controller *controller,
                                           struct tresor__request *request)
{
    struct tresor__slot *slot = &controller->slots[request->source];
    while (request->item != TRESOR_NONE) {
        const struct tresor__item_node *node = &controller->items[request->item];
        if (request->position < tresor__items_count(slot, node->item))
            return &slot->pieces[tresor__items_piece(slot, node->item, request->position)];
        request->item = node->next;
        request->position = 0;
    }
    return NULL;
}

/* Beside it every block's cancel has room. */
bool tresor__visits_has_room(const struct tresor__controller *controller)
{
    return controller->effect_count + controller->in_flight + controller->seal_count +
               controller->limits.blocks + EFFECTS_ROOM <=
           controller->effects_max;
}

static void visited(struct tresor__controller *controller, struct tresor__request *request)
{
    tresor__router_step_on(controller, request,
                           &(struct tresor__address){TRESOR__MACHINE_REQUEST, 0, request->index},
                           &(struct tresor__input){.event = REQUEST_ON_VISITED});
}

/* A tensor without bytes is delivered already. */
static void stream_piece(struct tresor__controller *controller, struct tresor__request *request,
                         struct tresor__piece *piece)
{
    struct tresor__stream *stream = &controller->streams[request->index];
    const struct tresor__model *model = &controller->slots[request->source].source.model;
    uint32_t pair = tresor__waits_add(controller, request, piece, TRESOR__WAIT_STREAM);
    request->position++;
    if (piece->size_bytes == 0) {
        tresor__waits_settle_one(controller, pair, TRESOR_OK, NULL);
        return;
    }
    stream->pair = pair;
    stream->piece = piece->index;
    stream->tensor = tresor__model_tensor(model, piece->index);
    stream->before = piece->offset_bytes - tresor__model_offset(model, stream->tensor);
    stream->of = &model->files[piece->file].io;
    stream->offset = piece->offset_bytes;
    stream->length = piece->size_bytes;
    stream->started = 0;
    tresor__router_step_on(
        controller, stream,
        &(struct tresor__address){TRESOR__MACHINE_STREAM, request->source, request->index},
        &(struct tresor__input){.event = STREAM_ON_TENSOR});
}

/* One tensor is in the stream's hand at a time; it asks for the next. */
static void visit_for_stream(struct tresor__controller *controller, struct tresor__request *request)
{
    for (uint32_t i = 0; i < VISITS_MAX; i++) {
        struct tresor__piece *piece = current_piece(controller, request);
        if (controller->streams[request->index].state != STREAM_IDLE)
            return;
        if (!piece) {
            visited(controller, request);
            return;
        }
        if (controller->free_pair == TRESOR_NONE) {
            tresor__turns_await_pair(controller, request->index);
            return;
        }
        stream_piece(controller, request, piece);
    }
    tresor__turns_add_request(controller, request->index);
}

void tresor__visits_run(struct tresor__controller *controller, struct tresor__request *request)
{
    if (request->verb == TRESOR_VERB_PLAN) {
        tresor__plan_run(controller, request);
        return;
    }
    if (request->verb == TRESOR_VERB_STREAM) {
        visit_for_stream(controller, request);
        return;
    }
    tresor__releases_retry(controller, request);
    struct asking asking = asking_of(request);
    struct tresor__input input = {.event = asking.event, .value = value_of(controller, request)};
    for (uint32_t i = 0; i < VISITS_MAX && tresor__visits_has_room(controller); i++) {
        struct tresor__piece *piece = current_piece(controller, request);
        if (!piece) {
            visited(controller, request);
            return;
        }
        if (controller->free_pair == TRESOR_NONE) {
            tresor__turns_await_pair(controller, request->index);
            return;
        }
        request->position++;
        uint32_t pair = tresor__waits_add(controller, request, piece, asking.wait);
        if (asking.wait == TRESOR__WAIT_LOOK) {
            tresor__looks_add(controller, pair);
            continue;
        }
        tresor__router_step_on(
            controller,
            asking.machine == TRESOR__MACHINE_TENSOR ? (void *)&piece->tensor : &piece->lock,
            &(struct tresor__address){asking.machine, request->source, piece->index}, &input);
        if (piece->tensor.state == TENSOR_ADMITTING || piece->tensor.state == TENSOR_SWAPPING)
            controller->budget.is_due = true; /* who came last may not wait as long as those before */
    }
    tresor__turns_add_request(controller, request->index);
}
