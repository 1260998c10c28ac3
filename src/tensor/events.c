/* SPDX-License-Identifier: MIT */
/* The event queue: pairs and requests that have something to tell, each its own place, so it cannot
 * overflow. */
#include "core/handle.h"
#include "tensor/controller.h"

static uint32_t *next_of(struct tresor__controller *controller, uint32_t identifier)
{
    if (identifier & TRESOR__EVENT_OF_REQUEST)
        return &controller->requests[identifier & ~TRESOR__EVENT_OF_REQUEST].next;
    return &controller->pairs[identifier].next;
}

void tresor__events_add(struct tresor__controller *controller, uint32_t identifier)
{
    *next_of(controller, identifier) = TRESOR_NONE;
    if (controller->events.tail == TRESOR_NONE)
        controller->events.head = identifier;
    else
        *next_of(controller, controller->events.tail) = identifier;
    controller->events.tail = identifier;
}

/* Takes the event behind `previous` (TRESOR_NONE: the first) out of the queue. */
static void unlink_event(struct tresor__controller *controller, uint32_t previous,
                         uint32_t identifier)
{
    uint32_t next = *next_of(controller, identifier);
    if (previous == TRESOR_NONE)
        controller->events.head = next;
    else
        *next_of(controller, previous) = next;
    if (controller->events.tail == identifier)
        controller->events.tail = previous;
}

static void free_items(struct tresor__controller *controller, struct tresor__request *request)
{
    uint32_t node = request->first_item;
    while (node != TRESOR_NONE) {
        uint32_t next = controller->items[node].next;
        controller->items[node].next = controller->free_item;
        controller->free_item = node;
        controller->free_item_count++;
        node = next;
    }
    request->first_item = TRESOR_NONE;
}

static void describe_end(const struct tresor__request *request, struct tresor_event *event)
{
    *event = (struct tresor_event){
        .type = TRESOR_EVENT_DONE,
        .verb = request->verb,
        .total = request->total,
        .request.value =
            tresor__handle_make(TRESOR__KIND_REQUEST, request->index, request->generation),
        .cookie = request->cookie,
        .done = request->done,
        .failed = request->failed,
        .cancelled = request->total - request->done - request->failed,
        .bytes = request->done_bytes,
        .error = request->error,
    };
    if (event->error.code == TRESOR_OK && event->cancelled > 0)
        event->error.code = TRESOR_ERROR_CANCELLED;
    if (event->done > 0 && event->done < event->total)
        event->flags |= TRESOR_EVENT_PARTIAL;
}

static void take_end(struct tresor__controller *controller, uint32_t index,
                     struct tresor_event *event)
{
    struct tresor__request *request = &controller->requests[index];
    describe_end(request, event);
    free_items(controller, request);
    request->generation = tresor__generation_next(request->generation);
    tresor__router_step_on(controller, request,
                           &(struct tresor__address){TRESOR__MACHINE_REQUEST, 0, index},
                           &(struct tresor__input){.event = REQUEST_ON_TAKEN});
    request->next = controller->free_request;
    controller->free_request = index;
    controller->event_total++;
}

bool tresor__events_take(struct tresor__controller *controller, struct tresor_event *event)
{
    uint32_t identifier = controller->events.head;
    if (identifier == TRESOR_NONE)
        return false;
    unlink_event(controller, TRESOR_NONE, identifier);
    if (identifier & TRESOR__EVENT_OF_REQUEST) {
        take_end(controller, identifier & ~TRESOR__EVENT_OF_REQUEST, event);
        return true;
    }
    *event = controller->pairs[identifier].event;
    tresor__waits_free(controller, identifier);
    controller->event_total++;
    return true;
}

static void discard_items_of(struct tresor__controller *controller, uint32_t request)
{
    uint32_t previous = TRESOR_NONE;
    uint32_t identifier = controller->events.head;
    while (identifier != TRESOR_NONE) {
        uint32_t next = *next_of(controller, identifier);
        bool is_item = !(identifier & TRESOR__EVENT_OF_REQUEST) &&
                       controller->pairs[identifier].request == request;
        if (is_item) {
            unlink_event(controller, previous, identifier);
            tresor__waits_free(controller, identifier);
        } else {
            previous = identifier;
        }
        identifier = next;
    }
}

bool tresor__events_take_end(struct tresor__controller *controller, uint32_t request,
                             bool discard_items, struct tresor_event *event)
{
    if (discard_items)
        discard_items_of(controller, request);
    if (controller->requests[request].state != REQUEST_ENDED)
        return false;
    uint32_t previous = TRESOR_NONE;
    uint32_t identifier = controller->events.head;
    while (identifier != (TRESOR__EVENT_OF_REQUEST | request)) {
        previous = identifier;
        identifier = *next_of(controller, identifier);
    }
    unlink_event(controller, previous, identifier);
    take_end(controller, request, event);
    return true;
}
