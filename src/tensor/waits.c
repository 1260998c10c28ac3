/* SPDX-License-Identifier: MIT */
/* (request, tensor) pairs: a tensor knows who waits for it, a request what it waits for, both
 * without a search. */
#include <tresor/strategy.h>

#include "core/handle.h"
#include "tensor/controller.h"

static struct tresor__pair *pair_of(struct tresor__controller *controller, uint32_t index)
{
    return &controller->pairs[index];
}

static struct tresor__ledger *ledger_of(struct tresor__controller *controller,
                                        const struct tresor__piece *piece)
{
    struct tresor__slot *slot = &controller->slots[piece->tensor.source];
    return &slot->source.model.files[piece->file].io.ledger;
}

static bool is_watching(const struct tresor__controller *controller,
                        const struct tresor__pair *pair)
{
    return pair->wait == TRESOR__WAIT_LOAD &&
           controller->requests[pair->request].progress_bytes > 0;
}

/* Whom a tensor's machine asks what its load shall be looked at for. */
static void count_looks(const struct tresor__controller *controller, struct tresor__piece *piece,
                        const struct tresor__pair *pair, uint32_t more)
{
    uint32_t looks = controller->requests[pair->request].looks;
    if (pair->wait != TRESOR__WAIT_LOAD)
        return;
    piece->load_looks[TRESOR__LOAD_COMPARES] += looks & TRESOR__LOOK_COMPARE ? more : 0;
    piece->load_looks[TRESOR__LOAD_SEARCHES] += looks & TRESOR__LOOK_FINITE ? more : 0;
}

uint32_t tresor__waits_add(struct tresor__controller *controller, struct tresor__request *request,
                           struct tresor__piece *piece, enum tresor__wait wait)
{
    uint32_t index = controller->free_pair;
    struct tresor__pair *pair = pair_of(controller, index);
    controller->free_pair = pair->next;
    controller->free_pair_count--;
    pair->request = request->index;
    pair->tensor = piece->index;
    pair->source = piece->tensor.source;
    pair->wait = (uint8_t)wait;
    pair->has_pin = false;
    pair->arrived_bytes = 0;
    pair->next_of_tensor = TRESOR_NONE;
    pair->previous_of_tensor = piece->last_wait;
    pair->next_of_request = request->first_wait;
    pair->previous_of_request = TRESOR_NONE;
    if (piece->last_wait == TRESOR_NONE)
        piece->first_wait = index;
    else
        pair_of(controller, piece->last_wait)->next_of_tensor = index;
    piece->last_wait = index;
    piece->waits[wait]++;
    count_looks(controller, piece, pair, 1);
    controller->patient_count += wait == TRESOR__WAIT_PATIENT;
    if (request->first_wait != TRESOR_NONE)
        pair_of(controller, request->first_wait)->previous_of_request = index;
    request->first_wait = index;
    request->unsettled++;
    if (is_watching(controller, pair))
        tresor__ledger_watch(ledger_of(controller, piece), piece->index);
    return index;
}

static void unlink_pair(struct tresor__controller *controller, struct tresor__piece *piece,
                        struct tresor__pair *pair)
{
    struct tresor__request *request = &controller->requests[pair->request];
    if (pair->previous_of_tensor == TRESOR_NONE)
        piece->first_wait = pair->next_of_tensor;
    else
        pair_of(controller, pair->previous_of_tensor)->next_of_tensor = pair->next_of_tensor;
    if (pair->next_of_tensor == TRESOR_NONE)
        piece->last_wait = pair->previous_of_tensor;
    else
        pair_of(controller, pair->next_of_tensor)->previous_of_tensor = pair->previous_of_tensor;
    if (pair->previous_of_request == TRESOR_NONE)
        request->first_wait = pair->next_of_request;
    else
        pair_of(controller, pair->previous_of_request)->next_of_request = pair->next_of_request;
    if (pair->next_of_request != TRESOR_NONE)
        pair_of(controller, pair->next_of_request)->previous_of_request = pair->previous_of_request;
    if (request->retry == (uint32_t)(pair - controller->pairs))
        request->retry = pair->next_of_request;
    if (request->walk == (uint32_t)(pair - controller->pairs))
        request->walk = pair->next_of_request;
    piece->waits[pair->wait]--;
    count_looks(controller, piece, pair, UINT32_MAX);
    controller->patient_count -= pair->wait == TRESOR__WAIT_PATIENT;
    if (is_watching(controller, pair))
        tresor__ledger_unwatch(ledger_of(controller, piece), piece->index);
}

/* The pages of a tensor hold more than its own bytes. */
static void count_arrived(struct tresor__controller *controller, struct tresor__pair *pair,
                          const struct tresor__piece *piece, uint64_t bytes)
{
    uint64_t arrived = bytes < piece->size_bytes ? bytes : piece->size_bytes;
    if (arrived <= pair->arrived_bytes)
        return;
    uint64_t more = arrived - pair->arrived_bytes;
    pair->arrived_bytes = arrived;
    tresor__events_progress(controller, &controller->requests[pair->request], more);
}

void tresor__waits_progress(struct tresor__controller *controller,
                            const struct tresor__piece *piece)
{
    const struct tresor__ledger *ledger = ledger_of(controller, piece);
    if (ledger->spans[piece->index].role != TRESOR__SPAN_LOADING)
        return; /* its end is told next */
    uint64_t arrived = tresor__ledger_arrived(ledger, piece->index);
    for (uint32_t i = piece->first_wait; i != TRESOR_NONE;
         i = pair_of(controller, i)->next_of_tensor)
        if (is_watching(controller, pair_of(controller, i)))
            count_arrived(controller, pair_of(controller, i), piece, arrived);
}

void tresor__waits_free(struct tresor__controller *controller, uint32_t index)
{
    struct tresor__pair *pair = pair_of(controller, index);
    pair->next = controller->free_pair;
    controller->free_pair = index;
    controller->free_pair_count++;
}

static struct tresor_error error_of(const struct tresor__slot *slot,
                                    const struct tresor__piece *piece, int32_t code,
                                    const struct tresor__failure *failure)
{
    struct tresor_error error = {
        .code = code,
        .source = tresor__handle_make(TRESOR__KIND_SOURCE, slot->source.index, slot->generation),
        .file = piece->file,
        .tensor = tresor__model_tensor(&slot->source.model, piece->index),
        .offset = piece->offset_bytes,
        .wanted = piece->size_bytes,
    };
    if (failure->code == code) {
        error.os_errno = failure->os_errno;
        error.offset = failure->offset;
        error.wanted = failure->wanted;
        error.got = failure->got;
    }
    return error;
}

/* What a request did not ask for, but found. */
static struct tresor_choice choice_of(const struct tresor__controller *controller,
                                      const struct tresor__request *request,
                                      const struct tresor__piece *piece)
{
    struct tresor_choice choice = tresor__choice_of(controller, piece);
    if (choice.strategy != TRESOR_STRATEGY_DEFAULT && choice.strategy != request->strategy)
        choice.strategy_reason = TRESOR_REASON_RESIDENT;
    return choice;
}

/* Also one that waits for no more than a look at what is there. */
static bool is_of_load(const struct tresor__request *request, const struct tresor__pair *pair)
{
    return pair->wait == TRESOR__WAIT_LOAD ||
           (pair->wait == TRESOR__WAIT_LOOK && request->verb == TRESOR_VERB_LOAD);
}

static void make_event(struct tresor__controller *controller, struct tresor__pair *pair,
                       const struct tresor__piece *piece, const struct tresor_error *error)
{
    const struct tresor__slot *slot = &controller->slots[pair->source];
    const struct tresor__request *request = &controller->requests[pair->request];
    bool done = error->code == TRESOR_OK;
    bool is_loaded = done && is_of_load(request, pair);
    pair->event = (struct tresor_event){
        .type = TRESOR_EVENT_ITEM,
        .verb = request->verb,
        .total = 1,
        .request.value =
            tresor__handle_make(TRESOR__KIND_REQUEST, request->index, request->generation),
        .item.value = tresor__items_of_piece(slot, pair->tensor),
        .cookie = request->cookie,
        .done = done,
        .failed = !done && error->code != TRESOR_ERROR_CANCELLED,
        .cancelled = error->code == TRESOR_ERROR_CANCELLED,
        .flags = pair->has_pin ? TRESOR_EVENT_PINNED : 0,
        .bytes = done ? piece->size_bytes : 0,
        .data = is_loaded && request->wants_pins == pair->has_pin
                    ? tresor__model_address(&slot->source.model, pair->tensor)
                    : NULL,
        .error = *error,
    };
    if (is_loaded)
        pair->event.choice = choice_of(controller, request, piece);
    if (done && request->verb == TRESOR_VERB_DIGEST) {
        pair->event.digest_high = controller->seen_high;
        pair->event.digest_low = controller->seen_low;
    }
}

static struct tresor_error error_of_wait(const struct tresor__slot *slot,
                                         const struct tresor__piece *piece, uint8_t wait,
                                         int32_t code)
{
    const struct tresor__span *span =
        &slot->source.model.files[piece->file].io.ledger.spans[piece->index];
    bool is_lock = wait == TRESOR__WAIT_LOCK || wait == TRESOR__WAIT_UNLOCK;
    return error_of(slot, piece, code, is_lock ? &span->lock_failure : &span->failure);
}

/* The pair's end: out of the lists, into the event queue where somebody wants to know, then its
 * request is told. */
static void settle_with(struct tresor__controller *controller, uint32_t index, int32_t code,
                        const struct tresor__failure *failure)
{
    struct tresor__pair *pair = pair_of(controller, index);
    struct tresor__request *request = &controller->requests[pair->request];
    const struct tresor__slot *slot = &controller->slots[pair->source];
    struct tresor__piece *piece = &slot->pieces[pair->tensor];
    unlink_pair(controller, piece, pair);
    /* In the step that finds it in memory, so that nothing is evicted between. */
    if (code == TRESOR_OK && request->wants_pins && request->state != REQUEST_CANCELLING)
        code = tresor__releases_pin(controller, pair);
    if (code == TRESOR_OK && is_of_load(request, pair))
        tresor__budget_touch(controller, piece, request);
    if (code == TRESOR_OK && is_watching(controller, pair))
        count_arrived(controller, pair, piece, piece->size_bytes);
    bool failed = code != TRESOR_OK && code != TRESOR_ERROR_CANCELLED;
    struct tresor_error error = {.file = TRESOR_NONE, .tensor = TRESOR_NONE};
    if (code != TRESOR_OK)
        error = failure ? error_of(slot, piece, code, failure)
                        : error_of_wait(slot, piece, pair->wait, code);
    if (failed && request->error.code == TRESOR_OK)
        request->error = error;
    if (failed || request->wants_items) {
        make_event(controller, pair, piece, &error);
        tresor__events_add(controller, index);
    } else {
        tresor__waits_free(controller, index);
    }
    tresor__router_step_on(
        controller, request, &(struct tresor__address){TRESOR__MACHINE_REQUEST, 0, request->index},
        &(struct tresor__input){.event = REQUEST_ON_SETTLED,
                                .value = code == TRESOR_OK ? (int64_t)piece->size_bytes : code});
}

static void settle(struct tresor__controller *controller, uint32_t index, int32_t code)
{
    settle_with(controller, index, code, NULL);
}

void tresor__waits_settle_one(struct tresor__controller *controller, uint32_t index, int32_t code,
                              const struct tresor__failure *failure)
{
    settle_with(controller, index, code, failure);
}

void tresor__waits_convert(struct tresor__controller *controller, uint32_t index)
{
    struct tresor__pair *pair = pair_of(controller, index);
    struct tresor__piece *piece = &controller->slots[pair->source].pieces[pair->tensor];
    if (is_watching(controller, pair)) {
        count_arrived(controller, pair, piece, piece->size_bytes);
        tresor__ledger_unwatch(ledger_of(controller, piece), piece->index);
    }
    count_looks(controller, piece, pair, UINT32_MAX);
    piece->waits[TRESOR__WAIT_LOAD]--;
    piece->waits[TRESOR__WAIT_LOOK]++;
    pair->wait = TRESOR__WAIT_LOOK;
}

/* It was in memory before, and nobody has seen its bytes yet as this one wants them seen. */
static bool awaits_look(struct tresor__controller *controller, const struct tresor__piece *piece,
                        uint32_t index)
{
    const struct tresor__pair *pair = pair_of(controller, index);
    uint32_t looks = controller->requests[pair->request].looks & TRESOR__LOOK_VERDICTS;
    return pair->wait == TRESOR__WAIT_LOAD && looks & ~(uint32_t)piece->tensor.looked;
}

void tresor__waits_settle(struct tresor__controller *controller, struct tresor__piece *piece,
                          enum tresor__wait wait, int32_t code, bool only_first)
{
    uint32_t index = piece->first_wait;
    if (code == TRESOR_ERROR_IO && wait == TRESOR__WAIT_LOAD) {
        /* The tensor's machine only knows that its filling failed; its ledger knows why. */
        const struct tresor__slot *slot = &controller->slots[piece->tensor.source];
        code = slot->source.model.files[piece->file].io.ledger.spans[piece->index].failure.code;
    }
    while (index != TRESOR_NONE && piece->waits[wait] > 0) {
        uint32_t next = pair_of(controller, index)->next_of_tensor;
        if (code == TRESOR_OK && pair_of(controller, index)->wait == wait &&
            awaits_look(controller, piece, index)) {
            tresor__waits_convert(controller, index);
            tresor__looks_add(controller, index);
        } else if (pair_of(controller, index)->wait == wait) {
            settle(controller, index, code);
            if (only_first)
                return;
        }
        index = next;
    }
}

static bool is_swap(uint8_t wait)
{
    return wait == TRESOR__WAIT_SWAP_MMAP || wait == TRESOR__WAIT_SWAP_READ;
}

/* The event says how far it came; what is under way of it ends behind that. */
static void withdraw_swap(struct tresor__controller *controller, uint32_t index, int32_t code)
{
    const struct tresor__pair *pair = pair_of(controller, index);
    uint32_t source = pair->source;
    const struct tresor__piece *piece = &controller->slots[source].pieces[pair->tensor];
    bool has_begun = piece->tensor.state == TENSOR_SWAPPING &&
                     pair->wait == tresor__swap_wait(piece->tensor.side);
    struct tresor__failure failure =
        tresor__ledger_swap_failure(ledger_of(controller, piece), piece->index, code);
    settle_with(controller, index, code, has_begun ? &failure : NULL);
    if (has_begun)
        tresor__router_step(
            controller, &(struct tresor__address){TRESOR__MACHINE_TENSOR, source, piece->index},
            &(struct tresor__input){.event = TENSOR_ON_CANCEL});
}

void tresor__waits_refuse_room(struct tresor__controller *controller, struct tresor__piece *piece)
{
    uint32_t index = piece->first_wait;
    while (index != TRESOR_NONE) {
        const struct tresor__pair *pair = pair_of(controller, index);
        struct tresor__request *request = &controller->requests[pair->request];
        uint32_t next = pair->next_of_tensor;
        if (pair->wait == TRESOR__WAIT_LOAD && tresor__budget_is_too_big(controller, request, piece))
            settle(controller, index, TRESOR_ERROR_TOO_BIG);
        else if (pair->wait == TRESOR__WAIT_LOAD && !request->awaits_room)
            settle(controller, index, TRESOR_ERROR_BUSY);
        index = next;
    }
}

bool tresor__waits_are_patient(const struct tresor__controller *controller,
                               const struct tresor__piece *piece)
{
    for (uint32_t i = piece->first_wait; i != TRESOR_NONE; i = controller->pairs[i].next_of_tensor) {
        const struct tresor__pair *pair = &controller->pairs[i];
        if (pair->wait == TRESOR__WAIT_LOAD && !controller->requests[pair->request].awaits_room)
            return false;
    }
    return true;
}

static bool may_withdraw(const struct tresor__piece *piece, uint8_t wait)
{
    return wait == TRESOR__WAIT_LOAD || wait == TRESOR__WAIT_LOOK || is_swap(wait) ||
           (wait == TRESOR__WAIT_PATIENT && (piece->tensor.state == TENSOR_HELD ||
                                             piece->tensor.state == TENSOR_SEALING ||
                                             piece->tensor.state == TENSOR_SWAPPING ||
                                             piece->tensor.state == TENSOR_STOPPING)) ||
           (wait == TRESOR__WAIT_LOCK && piece->lock.state == LOCK_AWAITING);
}

/* The look goes on for others, and holds the piece until it has ended. */
static void withdraw_look(struct tresor__controller *controller, uint32_t index)
{
    const struct tresor__pair *pair = pair_of(controller, index);
    const struct tresor__piece *piece = &controller->slots[pair->source].pieces[pair->tensor];
    settle(controller, index, TRESOR_ERROR_CANCELLED);
    if (piece->waits[TRESOR__WAIT_LOOK] == 0)
        tresor__looks_stop(controller, piece);
}

static void withdraw(struct tresor__controller *controller, uint32_t index)
{
    const struct tresor__pair *pair = pair_of(controller, index);
    bool is_of_tensor = pair->wait != TRESOR__WAIT_LOCK;
    struct tresor__address address = {is_of_tensor ? TRESOR__MACHINE_TENSOR : TRESOR__MACHINE_LOCK,
                                      pair->source, pair->tensor};
    settle(controller, index, TRESOR_ERROR_CANCELLED);
    tresor__router_step(controller, &address,
                        &(struct tresor__input){.event = is_of_tensor ? (uint32_t)TENSOR_ON_CANCEL
                                                                      : (uint32_t)LOCK_ON_CANCEL});
}

/* The next of a walk over a request's pairs, TRESOR_NONE behind the last. What is done to one may settle others. */
static uint32_t walk_on(struct tresor__controller *controller, struct tresor__request *request)
{
    uint32_t index = request->walk;
    if (index != TRESOR_NONE)
        request->walk = pair_of(controller, index)->next_of_request;
    return index;
}

void tresor__waits_withdraw_if(struct tresor__controller *controller,
                               struct tresor__request *request, tresor__waits_filter *holds)
{
    uint32_t index;
    request->walk = request->first_wait;
    while ((index = walk_on(controller, request)) != TRESOR_NONE) {
        const struct tresor__pair *pair = pair_of(controller, index);
        if (holds(controller, &controller->slots[pair->source].pieces[pair->tensor]))
            withdraw(controller, index);
    }
}

/* Those that wait for a chunk of their file, which finds no room. */
static void refuse_swaps_of(struct tresor__controller *controller, struct tresor__request *request)
{
    uint32_t index;
    request->walk = request->first_wait;
    while ((index = walk_on(controller, request)) != TRESOR_NONE) {
        const struct tresor__pair *pair = pair_of(controller, index);
        const struct tresor__slot *slot = &controller->slots[pair->source];
        const struct tresor__piece *piece = &slot->pieces[pair->tensor];
        if (piece->tensor.state == TENSOR_SWAPPING &&
            pair->wait == tresor__swap_wait(piece->tensor.side) &&
            slot->source.model.files[piece->file].io.swap.awaits_room)
            withdraw_swap(controller, index, TRESOR_ERROR_BUSY);
    }
}

void tresor__waits_refuse_swaps(struct tresor__controller *controller)
{
    for (uint32_t i = 0; i < controller->limits.requests; i++) {
        struct tresor__request *request = &controller->requests[i];
        bool is_asking = request->state == REQUEST_VISITING || request->state == REQUEST_PENDING;
        if (request->verb == TRESOR_VERB_SWAP && is_asking)
            refuse_swaps_of(controller, request);
    }
}

bool tresor__waits_withdraw(struct tresor__controller *controller, struct tresor__request *request,
                            uint32_t limit)
{
    uint32_t withdrawn = 0;
    request->walk = request->first_wait;
    while (request->walk != TRESOR_NONE && withdrawn < limit) {
        uint32_t index = walk_on(controller, request);
        const struct tresor__pair *pair = pair_of(controller, index);
        if (!may_withdraw(&controller->slots[pair->source].pieces[pair->tensor], pair->wait))
            continue;
        withdrawn++;
        if (is_swap(pair->wait))
            withdraw_swap(controller, index, TRESOR_ERROR_CANCELLED);
        else if (pair->wait == TRESOR__WAIT_LOOK)
            withdraw_look(controller, index);
        else
            withdraw(controller, index);
    }
    return request->walk != TRESOR_NONE;
}
