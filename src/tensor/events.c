/* SPDX-License-Identifier: MIT */
/* The event queue: objects that have something to tell, each its own place, so it cannot overflow. */
#include "core/handle.h"
#include "tensor/controller.h"

enum {
    KIND_SHIFT = 28,
    FILE_BITS = 16,
};

static uint32_t kind_of(uint32_t identifier)
{
    return identifier >> KIND_SHIFT;
}

static uint32_t place_of(uint32_t identifier)
{
    return identifier & ((1u << KIND_SHIFT) - 1);
}

static struct tresor__file *file_of(struct tresor__controller *controller, uint32_t identifier)
{
    uint32_t place = place_of(identifier);
    struct tresor__slot *slot = &controller->slots[place >> FILE_BITS];
    return &slot->source.model.files[place & ((1u << FILE_BITS) - 1)].io;
}

static uint32_t *next_of(struct tresor__controller *controller, uint32_t identifier)
{
    switch (kind_of(identifier)) {
    case TRESOR__EVENT_OF_REQUEST:
        return &controller->requests[place_of(identifier)].next;
    case TRESOR__EVENT_OF_FILE:
        return &file_of(controller, identifier)->degraded.next;
    case TRESOR__EVENT_OF_POISONED:
        return &file_of(controller, identifier)->poisoned.next;
    case TRESOR__EVENT_OF_CONTEXT:
        return &controller->degraded.next;
    case TRESOR__EVENT_OF_PROGRESS:
        return &controller->requests[place_of(identifier)].next_progress;
    case TRESOR__EVENT_OF_PRESSURE:
        return &controller->pressure.next;
    case TRESOR__EVENT_OF_STAGE:
        return &controller->io.stages[place_of(identifier)].next;
    default:
        return &controller->pairs[identifier].next;
    }
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
    bool is_cut = request->verb == TRESOR_VERB_PLAN && request->withdrawn; /* no cyclic one has another end */
    if (event->error.code == TRESOR_OK && (event->cancelled > 0 || is_cut))
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

/* --- progress --- */

void tresor__events_progress(struct tresor__controller *controller,
                             struct tresor__request *request, uint64_t bytes)
{
    request->arrived_bytes += bytes;
    if (request->has_progress ||
        request->arrived_bytes - request->told_bytes < request->progress_bytes)
        return;
    request->has_progress = true;
    tresor__events_add(controller,
                       tresor__event_identifier(TRESOR__EVENT_OF_PROGRESS, request->index));
}

static void forget_progress(struct tresor__request *request)
{
    request->has_progress = false;
    request->told_bytes = request->arrived_bytes;
}

static void describe_progress(struct tresor__request *request, struct tresor_event *event)
{
    forget_progress(request);
    *event = (struct tresor_event){
        .type = TRESOR_EVENT_PROGRESS,
        .verb = request->verb,
        .total = request->total,
        .done = request->done,
        .failed = request->failed,
        .cancelled = request->cancelled,
        .request.value =
            tresor__handle_make(TRESOR__KIND_REQUEST, request->index, request->generation),
        .cookie = request->cookie,
        .bytes = request->arrived_bytes,
        .total_bytes = request->total_bytes,
        .error = {.file = TRESOR_NONE, .tensor = TRESOR_NONE},
    };
}

/* --- degraded --- */

static void queue_degraded(struct tresor__controller *controller, struct tresor__degraded *degraded,
                           const struct tresor__file *file)
{
    if (degraded->queued || !degraded->untold)
        return;
    degraded->queued = true;
    tresor__events_add(
        controller,
        file ? tresor__event_identifier(TRESOR__EVENT_OF_FILE,
                                        (uint32_t)file->source << FILE_BITS | file->index)
             : tresor__event_identifier(TRESOR__EVENT_OF_CONTEXT, 0));
}

void tresor__events_degrade(struct tresor__controller *controller, struct tresor__file *file,
                            uint32_t degradation, int32_t os_errno)
{
    struct tresor__degraded *degraded = file ? &file->degraded : &controller->degraded;
    uint32_t bit = 1u << degradation;
    if ((degraded->told | degraded->untold) & bit)
        return;
    degraded->untold |= bit;
    degraded->os_errno = os_errno;
    if (!file || controller->slots[file->source].source.state == SOURCE_READY)
        queue_degraded(controller, degraded, file);
}

void tresor__events_recover(struct tresor__controller *controller, uint32_t degradation)
{
    controller->degraded.told &= ~(1u << degradation);
}

void tresor__events_open_source(struct tresor__controller *controller, uint32_t source)
{
    const struct tresor__model *model = &controller->slots[source].source.model;
    for (uint32_t i = 0; i < model->file_count; i++)
        queue_degraded(controller, &model->files[i].io.degraded, &model->files[i].io);
}

static void describe_degraded(struct tresor__controller *controller, uint32_t identifier,
                              struct tresor_event *event)
{
    bool is_file = kind_of(identifier) == TRESOR__EVENT_OF_FILE;
    struct tresor__file *file = is_file ? file_of(controller, identifier) : NULL;
    struct tresor__degraded *degraded = file ? &file->degraded : &controller->degraded;
    uint32_t degradation = (uint32_t)__builtin_ctz(degraded->untold);
    degraded->told |= 1u << degradation;
    degraded->untold &= ~(1u << degradation);
    degraded->queued = false;
    *event = (struct tresor_event){
        .type = TRESOR_EVENT_DEGRADED,
        .flags = degradation,
        .error = {.code = TRESOR_ERROR_UNSUPPORTED,
                  .os_errno = degradation == TRESOR_DEGRADED_DIRECT && file
                                  ? file->direct.os_errno
                                  : degraded->os_errno,
                  .file = file ? file->index : TRESOR_NONE,
                  .tensor = TRESOR_NONE},
    };
    if (file && degradation == TRESOR_DEGRADED_READAHEAD) {
        event->error.wanted = TRESOR__READ_BYTES_MIN;
        event->error.got = file->mapping.slow_bytes;
    }
    if (file)
        event->error.source = tresor__handle_make(TRESOR__KIND_SOURCE, file->source,
                                                  controller->slots[file->source].generation);
    queue_degraded(controller, degraded, file);
}

/* --- poisoned --- */

static uint32_t poisoned_identifier(const struct tresor__file *file)
{
    return tresor__event_identifier(TRESOR__EVENT_OF_POISONED,
                                    (uint32_t)file->source << FILE_BITS | file->index);
}

void tresor__events_poison(struct tresor__controller *controller, struct tresor__piece *piece)
{
    struct tresor__slot *slot = &controller->slots[piece->tensor.source];
    struct tresor__file *file = &slot->source.model.files[piece->file].io;
    struct tresor__poisoned *poisoned = &file->poisoned;
    if (piece->is_to_be_told)
        return;
    piece->is_to_be_told = true;
    piece->next_poisoned = TRESOR_NONE;
    if (poisoned->first == TRESOR_NONE) {
        poisoned->first = piece->index;
        tresor__events_add(controller, poisoned_identifier(file));
    } else {
        slot->pieces[poisoned->last].next_poisoned = piece->index;
    }
    poisoned->last = piece->index;
}

/* The first of the file's; the others stay. */
static void describe_poisoned(struct tresor__controller *controller, uint32_t identifier,
                              struct tresor_event *event)
{
    struct tresor__file *file = file_of(controller, identifier);
    const struct tresor__slot *slot = &controller->slots[file->source];
    struct tresor__piece *piece = &slot->pieces[file->poisoned.first];
    *event = (struct tresor_event){
        .type = TRESOR_EVENT_POISONED,
        .item.value = tresor__items_of_piece(slot, piece->index),
        .bytes = piece->poisoned_bytes,
        .error = {.code = piece->poison_code,
                  .source = tresor__handle_make(TRESOR__KIND_SOURCE, file->source, slot->generation),
                  .file = file->index,
                  .tensor = tresor__model_tensor(&slot->source.model, piece->index),
                  .offset = piece->poison_offset,
                  .wanted = piece->poisoned_bytes},
    };
    piece->is_to_be_told = false;
    piece->poison_code = TRESOR_OK;
    piece->poisoned_bytes = 0;
    file->poisoned.first = piece->next_poisoned;
    if (file->poisoned.first != TRESOR_NONE)
        tresor__events_add(controller, identifier);
}

static void hand_over_pin(struct tresor__controller *controller, struct tresor__pair *pair)
{
    if (!pair->has_pin)
        return;
    pair->has_pin = false;
    controller->pinned_count--;
}

static void describe_pressure(struct tresor__controller *controller, struct tresor_event *event)
{
    struct tresor__pressure *pressure = &controller->pressure;
    *event = (struct tresor_event){
        .type = TRESOR_EVENT_PRESSURE,
        .flags = pressure->untold,
        .bytes = pressure->facts.usage_bytes,
        .total_bytes = pressure->facts.limit_bytes,
        .error = {.file = TRESOR_NONE, .tensor = TRESOR_NONE},
    };
    pressure->untold = 0;
}

bool tresor__events_take(struct tresor__controller *controller, struct tresor_event *event)
{
    uint32_t identifier = controller->events.head;
    if (identifier == TRESOR_NONE)
        return false;
    unlink_event(controller, TRESOR_NONE, identifier);
    switch (kind_of(identifier)) {
    case TRESOR__EVENT_OF_REQUEST:
        take_end(controller, place_of(identifier), event);
        return true;
    case TRESOR__EVENT_OF_FILE:
    case TRESOR__EVENT_OF_CONTEXT:
        describe_degraded(controller, identifier, event);
        break;
    case TRESOR__EVENT_OF_POISONED:
        describe_poisoned(controller, identifier, event);
        break;
    case TRESOR__EVENT_OF_PROGRESS:
        describe_progress(&controller->requests[place_of(identifier)], event);
        break;
    case TRESOR__EVENT_OF_PRESSURE:
        describe_pressure(controller, event);
        break;
    case TRESOR__EVENT_OF_STAGE:
        tresor__stages_hand_out(controller, place_of(identifier), event);
        break;
    default:
        hand_over_pin(controller, &controller->pairs[identifier]);
        *event = controller->pairs[identifier].event;
        tresor__waits_free(controller, identifier);
        break;
    }
    controller->event_total++;
    return true;
}

static void let_go(struct tresor__controller *controller, uint32_t identifier)
{
    if (kind_of(identifier) == TRESOR__EVENT_OF_PAIR) {
        tresor__releases_unpin(controller, &controller->pairs[identifier]);
        tresor__waits_free(controller, identifier);
    } else if (kind_of(identifier) == TRESOR__EVENT_OF_STAGE)
        tresor__io_give_stage(&controller->io, place_of(identifier));
    else if (kind_of(identifier) == TRESOR__EVENT_OF_PROGRESS)
        forget_progress(&controller->requests[place_of(identifier)]);
}

typedef bool chosen(struct tresor__controller *controller, uint32_t identifier, uint32_t argument);

/* Takes every event that is chosen out of the queue and lets it go. Whether there were any. */
static bool discard(struct tresor__controller *controller, chosen *is_chosen, uint32_t argument)
{
    bool discarded = false;
    uint32_t previous = TRESOR_NONE;
    uint32_t identifier = controller->events.head;
    while (identifier != TRESOR_NONE) {
        uint32_t next = *next_of(controller, identifier);
        if (is_chosen(controller, identifier, argument)) {
            unlink_event(controller, previous, identifier);
            let_go(controller, identifier);
            discarded = true;
        } else {
            previous = identifier;
        }
        identifier = next;
    }
    return discarded;
}

static bool is_progress_of_request(struct tresor__controller *controller, uint32_t identifier,
                                   uint32_t request)
{
    (void)controller;
    return identifier == tresor__event_identifier(TRESOR__EVENT_OF_PROGRESS, request);
}

/* By handle, for the events of one that has ended may stay while another uses its place. */
static bool is_of_request(struct tresor__controller *controller, uint32_t identifier,
                          uint32_t request)
{
    uint64_t handle = tresor__handle_make(TRESOR__KIND_REQUEST, request,
                                          controller->requests[request].generation);
    if (kind_of(identifier) == TRESOR__EVENT_OF_STAGE)
        return controller->io.stages[place_of(identifier)].request == handle;
    return is_progress_of_request(controller, identifier, request) ||
           (kind_of(identifier) == TRESOR__EVENT_OF_PAIR &&
            controller->pairs[identifier].event.request.value == handle);
}

bool tresor__events_discard(struct tresor__controller *controller, uint32_t request)
{
    return discard(controller, is_of_request, request);
}

void tresor__events_unpin_request(struct tresor__controller *controller, uint32_t request)
{
    for (uint32_t i = controller->events.head; i != TRESOR_NONE && controller->pinned_count > 0;
         i = *next_of(controller, i))
        if (kind_of(i) == TRESOR__EVENT_OF_PAIR && is_of_request(controller, i, request))
            tresor__releases_unpin(controller, &controller->pairs[i]);
}

void tresor__events_unpin_source(struct tresor__controller *controller, uint32_t source)
{
    for (uint32_t i = controller->events.head; i != TRESOR_NONE && controller->pinned_count > 0;
         i = *next_of(controller, i))
        if (kind_of(i) == TRESOR__EVENT_OF_PAIR && controller->pairs[i].source == source)
            tresor__releases_unpin(controller, &controller->pairs[i]);
}

static bool is_of_file_of_source(struct tresor__controller *controller, uint32_t identifier,
                                 uint32_t source)
{
    (void)controller;
    return (kind_of(identifier) == TRESOR__EVENT_OF_FILE ||
            kind_of(identifier) == TRESOR__EVENT_OF_POISONED) &&
           place_of(identifier) >> FILE_BITS == source;
}

void tresor__events_forget_source(struct tresor__controller *controller, uint32_t source)
{
    discard(controller, is_of_file_of_source, source);
}

bool tresor__events_take_end(struct tresor__controller *controller, uint32_t request,
                             bool discard_items, struct tresor_event *event)
{
    uint32_t end = tresor__event_identifier(TRESOR__EVENT_OF_REQUEST, request);
    if (discard_items)
        tresor__events_discard(controller, request);
    if (controller->requests[request].state != REQUEST_ENDED)
        return false;
    if (controller->requests[request].has_progress) /* it would come after the end */
        discard(controller, is_progress_of_request, request);
    uint32_t previous = TRESOR_NONE;
    uint32_t identifier = controller->events.head;
    while (identifier != end) {
        previous = identifier;
        identifier = *next_of(controller, identifier);
    }
    unlink_event(controller, previous, identifier);
    take_end(controller, request, event);
    return true;
}
