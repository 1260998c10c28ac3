/* SPDX-License-Identifier: MIT */
#include "requests.h"

#include "core/handle.h"

struct tresor__request *tresor__requests_take(struct tresor__controller *controller,
                                              enum tresor_verb verb, uint32_t source)
{
    struct tresor__request *request = &controller->requests[controller->free_request];
    controller->free_request = request->next;
    uint32_t generation = request->generation == 0 ? 1 : request->generation;
    /* Its places in lists stay: an old turn may still be queued, and does no harm. */
    struct tresor__link turn = request->turn;
    struct tresor__link starving = request->starving;
    *request = (struct tresor__request){
        .state = REQUEST_FREE,
        .verb = (uint8_t)verb,
        .source = (uint16_t)source,
        .index = request->index,
        .generation = generation,
        .next = TRESOR_NONE,
        .turn = turn,
        .starving = starving,
        .first_item = TRESOR_NONE,
        .item = TRESOR_NONE,
        .first_wait = TRESOR_NONE,
        .retry = TRESOR_NONE,
        .error = {.source = source == TRESOR__SOURCE_NONE
                                ? 0
                                : tresor__handle_make(TRESOR__KIND_SOURCE, source,
                                                      controller->slots[source].generation),
                  .file = TRESOR_NONE,
                  .tensor = TRESOR_NONE},
    };
    return request;
}

struct tresor_request tresor__requests_submit(struct tresor_context *context,
                                              struct tresor__request *request)
{
    struct tresor__controller *controller = &context->controller;
    controller->request_total++;
    request->serial = (uint32_t)controller->request_total | UINT32_C(1) << 31;
    tresor__router_step_on(controller, request,
                           &(struct tresor__address){TRESOR__MACHINE_REQUEST, 0, request->index},
                           &(struct tresor__input){.event = REQUEST_ON_SUBMIT});
    tresor__context_level(context);
    return (struct tresor_request){
        tresor__handle_make(TRESOR__KIND_REQUEST, request->index, request->generation)};
}
