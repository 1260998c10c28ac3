/* SPDX-License-Identifier: MIT */
/* Items and the requests on them. */
#include <fnmatch.h>
#include <string.h>

#include "context.h"
#include "core/handle.h"
#include "requests.h"
#include "tensor/groups.h"

/* --- items --- */

int32_t tresor_item_of_source(struct tresor_context *context, struct tresor_source source,
                              struct tresor_item *item)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code == TRESOR_OK && !item)
        return TRESOR_ERROR_INVALID;
    if (code == TRESOR_OK)
        item->value =
            tresor__handle_make(TRESOR__KIND_ITEM_SOURCE, slot->source.index, slot->generation);
    return code;
}

int32_t tresor_item_of_tensor(struct tresor_context *context, struct tresor_source source,
                              uint32_t tensor, struct tresor_item *item)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    if (!item || tensor >= slot->source.model.directory.entry_count)
        return TRESOR_ERROR_INVALID;
    item->value = tresor__handle_of_item(TRESOR__KIND_ITEM_TENSOR, slot->source.index, tensor,
                                         slot->generation);
    return TRESOR_OK;
}

static bool matches(const struct tresor__slot *slot, const char *pattern, uint32_t tensor)
{
    const struct tresor__directory *directory = &slot->source.model.directory;
    return fnmatch(pattern, directory->strings + directory->entries[tensor].name_offset, 0) == 0;
}

/* In file order. Slices of one tensor mostly follow each other, so it is compared but once. */
static void put_matches(const struct tresor__slot *slot, const char *pattern,
                        struct tresor__group *group)
{
    const struct tresor__model *model = &slot->source.model;
    uint32_t last = TRESOR_NONE;
    bool is_match = false;
    uint32_t count = 0;
    for (uint32_t i = 0; count < group->count; i++) {
        uint32_t tensor = tresor__model_tensor(model, model->order[i]);
        if (tensor != last)
            is_match = matches(slot, pattern, tensor);
        last = tensor;
        if (is_match)
            group->pieces[count++] = model->order[i];
    }
}

int32_t tresor_item_of_pattern(struct tresor_context *context, struct tresor_source source,
                               const char *pattern, struct tresor_item *item)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    if (!pattern || !item)
        return TRESOR_ERROR_INVALID;
    if (slot->group_count == TRESOR__GROUPS_MAX)
        return TRESOR_ERROR_LIMIT;
    const struct tresor__model *model = &slot->source.model;
    uint64_t total = 0;
    for (uint32_t i = 0; i < model->directory.entry_count; i++)
        total += matches(slot, pattern, i) ? tresor__model_pieces_of(model, i) : 0;
    if (total == 0)
        return TRESOR_ERROR_NOT_FOUND;
    struct tresor__group *group = tresor__groups_make(&model->allocator, (uint32_t)total);
    if (!group)
        return TRESOR_ERROR_NO_MEMORY;
    put_matches(slot, pattern, group);
    item->value = tresor__groups_add(slot, group);
    return TRESOR_OK;
}

int32_t tresor_item_of_list(struct tresor_context *context, struct tresor_source source,
                            const uint32_t *tensors, size_t count, struct tresor_item *item)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    if (!item || (!tensors && count > 0) || count > UINT32_MAX)
        return TRESOR_ERROR_INVALID;
    const struct tresor__model *model = &slot->source.model;
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (tensors[i] >= model->directory.entry_count)
            return TRESOR_ERROR_INVALID;
        total += tresor__model_pieces_of(model, tensors[i]);
    }
    if (slot->group_count == TRESOR__GROUPS_MAX || total > UINT32_MAX)
        return TRESOR_ERROR_LIMIT;
    struct tresor__group *group = tresor__groups_make(&model->allocator, (uint32_t)total);
    if (!group)
        return TRESOR_ERROR_NO_MEMORY;
    uint32_t put = 0;
    for (size_t i = 0; i < count; i++)
        tresor__groups_put(model, group, &put, tensors[i]);
    item->value = tresor__groups_add(slot, group);
    return TRESOR_OK;
}

int32_t tresor__item_find(struct tresor_context *context, struct tresor_item item,
                          struct tresor__slot **slot)
{
    int32_t code = tresor__context_enter(context);
    if (code == TRESOR_OK)
        code = tresor__items_slot(&context->controller, item.value, slot);
    if (code == TRESOR_OK && !tresor__items_valid(*slot, item.value))
        code = TRESOR_ERROR_STALE;
    return code;
}

int32_t tresor__items_find(struct tresor_context *context, const struct tresor_item *items,
                           size_t count, struct tresor__slot **slot)
{
    if (!items || count == 0)
        return TRESOR_ERROR_INVALID;
    for (size_t i = 0; i < count; i++) {
        struct tresor__slot *found = NULL;
        int32_t code = tresor__item_find(context, items[i], &found);
        if (code != TRESOR_OK)
            return code;
        if (i > 0 && found != *slot)
            return TRESOR_ERROR_INVALID;
        *slot = found;
    }
    return TRESOR_OK;
}

int32_t tresor_item_measure(struct tresor_context *context, struct tresor_item item,
                            uint32_t *tensor_count, uint64_t *tensor_bytes)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__item_find(context, item, &slot);
    if (code != TRESOR_OK)
        return code;
    if (tensor_count)
        *tensor_count = tresor__items_count(slot, item.value);
    if (tensor_bytes)
        *tensor_bytes = tresor__items_bytes(slot, item.value);
    return TRESOR_OK;
}

int32_t tresor_item_get_tensor(struct tresor_context *context, struct tresor_item item,
                               uint32_t position, uint32_t *tensor)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__item_find(context, item, &slot);
    if (code != TRESOR_OK)
        return code;
    if (!tensor || position >= tresor__items_count(slot, item.value))
        return TRESOR_ERROR_INVALID;
    *tensor = tresor__model_tensor(&slot->source.model,
                                   tresor__items_piece(slot, item.value, position));
    return TRESOR_OK;
}

/* --- requests --- */

static uint32_t flags_of(enum tresor_verb verb)
{
    switch (verb) {
    case TRESOR_VERB_LOAD:
        return TRESOR_REQUEST_ITEMS | TRESOR_REQUEST_PIN | TRESOR_REQUEST_WAIT;
    case TRESOR_VERB_EVICT:
        return TRESOR_REQUEST_ITEMS | TRESOR_REQUEST_WAIT;
    case TRESOR_VERB_BUDGET:
        return TRESOR_REQUEST_WAIT;
    default:
        return TRESOR_REQUEST_ITEMS;
    }
}

int32_t tresor__requests_check_options(enum tresor_verb verb, const struct tresor_request_options *given,
                             struct tresor_request_options *options)
{
    *options = (struct tresor_request_options){0};
    if (!given)
        return TRESOR_OK;
    int32_t code = tresor__options_copy(options, sizeof *options, given);
    if (code == TRESOR_OK && (options->flags & ~flags_of(verb) ||
                              options->strategy > TRESOR_STRATEGY_READ ||
                              options->urgency > TRESOR_URGENCY_URGENT || options->reserved))
        code = TRESOR_ERROR_INVALID;
    return code;
}

int32_t tresor__requests_strategy(const struct tresor__controller *controller,
                                  const struct tresor__slot *slot, uint32_t asked,
                                  uint8_t *strategy)
{
    bool is_mappable = slot->source.model.is_mappable;
    if (asked == TRESOR_STRATEGY_MMAP && !is_mappable)
        return TRESOR_ERROR_UNSUPPORTED;
    if (asked == TRESOR_STRATEGY_DEFAULT)
        asked = is_mappable ? controller->limits.strategy : TRESOR_STRATEGY_READ;
    *strategy = (uint8_t)asked;
    return TRESOR_OK;
}

static uint8_t urgency_of(const struct tresor_request_options *options)
{
    static const uint8_t urgencies[] = {
        [TRESOR_URGENCY_DEFAULT] = TRESOR__URGENCY_NORMAL,
        [TRESOR_URGENCY_LOOKAHEAD] = TRESOR__URGENCY_LOOKAHEAD,
        [TRESOR_URGENCY_NORMAL] = TRESOR__URGENCY_NORMAL,
        [TRESOR_URGENCY_URGENT] = TRESOR__URGENCY_URGENT,
    };
    return urgencies[options->urgency];
}

/* All items live and of one source; `total` pieces together, of `total_bytes`. */
static int32_t check_items(struct tresor_context *context, const struct tresor_item *items,
                           size_t count, struct tresor__slot **slot, uint64_t *total,
                           uint64_t *total_bytes)
{
    int32_t code = tresor__items_find(context, items, count, slot);
    if (code != TRESOR_OK)
        return code;
    *total = 0;
    *total_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        *total += tresor__items_count(*slot, items[i].value);
        *total_bytes += tresor__items_bytes(*slot, items[i].value);
    }
    return *total > UINT32_MAX ? TRESOR_ERROR_LIMIT : TRESOR_OK;
}

static void take_items(struct tresor__controller *controller, struct tresor__request *request,
                       const struct tresor_item *items, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        uint32_t node = controller->free_item;
        controller->free_item = controller->items[node].next;
        controller->free_item_count--;
        controller->items[node] =
            (struct tresor__item_node){.item = items[i].value, .next = request->first_item};
        request->first_item = node;
    }
    request->item = request->first_item;
}

/* The one before it has ended, so it has no chunks. */
static void start_stream(struct tresor__controller *controller,
                         const struct tresor__request *request)
{
    struct tresor__stream *stream = &controller->streams[request->index];
    stream->source = request->source;
    stream->urgency = request->urgency;
    stream->is_cancelled = false;
    stream->is_stopped = false;
    stream->started = 0;
    stream->length = 0;
}

/* What can never fit is refused before anything goes for it. Every tensor has less than two pages besides its own bytes. */
static int32_t check_room(struct tresor__controller *controller, enum tresor_verb verb,
                          struct tresor__slot *slot, const struct tresor_item *items, size_t count,
                          uint64_t total, uint64_t total_bytes)
{
    uint64_t limit = tresor__budget_most(controller);
    uint64_t most = total_bytes + 2 * total * controller->io.page_bytes;
    if (limit == UINT64_MAX)
        return TRESOR_OK;
    if (verb == TRESOR_VERB_STREAM &&
        tresor__io_stage_room(&controller->io) > controller->budget.budget_bytes)
        return TRESOR_ERROR_TOO_BIG;
    if (verb == TRESOR_VERB_LOAD && most > limit &&
        tresor__budget_measure(controller, slot, &items->value, count) > limit)
        return TRESOR_ERROR_TOO_BIG;
    return TRESOR_OK;
}

static int32_t submit_items(struct tresor_context *context, enum tresor_verb verb,
                            const struct tresor_item *items, size_t count,
                            const struct tresor_request_options *given, uint8_t advice,
                            struct tresor_request *request)
{
    struct tresor__controller *controller = &context->controller;
    struct tresor_request_options options;
    struct tresor__slot *slot = NULL;
    uint64_t total = 0;
    uint64_t total_bytes = 0;
    uint8_t strategy = TRESOR_STRATEGY_READ;
    int32_t code = tresor__requests_check_options(verb, given, &options);
    if (code == TRESOR_OK)
        code = request ? check_items(context, items, count, &slot, &total, &total_bytes)
                       : TRESOR_ERROR_INVALID;
    if (code == TRESOR_OK && (verb == TRESOR_VERB_LOAD || verb == TRESOR_VERB_SWAP))
        code = tresor__requests_strategy(controller, slot, options.strategy, &strategy);
    if (code == TRESOR_OK)
        code = check_room(controller, verb, slot, items, count, total, total_bytes);
    if (code != TRESOR_OK)
        return code;
    if (count > controller->limits.items)
        return TRESOR_ERROR_LIMIT;
    if (controller->free_request == TRESOR_NONE || count > controller->free_item_count)
        return TRESOR_ERROR_AGAIN;
    struct tresor__request *made = tresor__requests_take(controller, verb, slot->source.index);
    made->cookie = options.cookie;
    made->wants_pins = options.flags & TRESOR_REQUEST_PIN;
    made->wants_items = made->wants_pins || options.flags & TRESOR_REQUEST_ITEMS;
    made->is_patient = verb == TRESOR_VERB_EVICT && options.flags & TRESOR_REQUEST_WAIT;
    made->awaits_room = verb == TRESOR_VERB_LOAD && options.flags & TRESOR_REQUEST_WAIT;
    made->is_strategy_asked = options.strategy != TRESOR_STRATEGY_DEFAULT;
    made->strategy = strategy;
    made->urgency = urgency_of(&options);
    made->advice = advice;
    if (verb == TRESOR_VERB_STREAM)
        start_stream(controller, made);
    made->total = (uint32_t)total;
    made->total_bytes = total_bytes;
    made->progress_bytes = verb == TRESOR_VERB_LOAD ? options.progress_bytes : 0;
    take_items(controller, made, items, count);
    *request = tresor__requests_submit(context, made);
    return TRESOR_OK;
}

int32_t tresor_load(struct tresor_context *context, const struct tresor_item *items,
                    size_t item_count, const struct tresor_request_options *options,
                    struct tresor_request *request)
{
    return submit_items(context, TRESOR_VERB_LOAD, items, item_count, options, 0, request);
}

int32_t tresor_evict(struct tresor_context *context, const struct tresor_item *items,
                     size_t item_count, const struct tresor_request_options *options,
                     struct tresor_request *request)
{
    return submit_items(context, TRESOR_VERB_EVICT, items, item_count, options, 0, request);
}

int32_t tresor_lock(struct tresor_context *context, const struct tresor_item *items,
                    size_t item_count, const struct tresor_request_options *options,
                    struct tresor_request *request)
{
    return submit_items(context, TRESOR_VERB_LOCK, items, item_count, options, 0, request);
}

int32_t tresor_unlock(struct tresor_context *context, const struct tresor_item *items,
                      size_t item_count, const struct tresor_request_options *options,
                      struct tresor_request *request)
{
    return submit_items(context, TRESOR_VERB_UNLOCK, items, item_count, options, 0, request);
}

int32_t tresor_advise(struct tresor_context *context, const struct tresor_item *items,
                      size_t item_count, uint32_t advice,
                      const struct tresor_request_options *options, struct tresor_request *request)
{
    if (advice > TRESOR_ADVICE_DONTNEED)
        return TRESOR_ERROR_INVALID;
    return submit_items(context, TRESOR_VERB_ADVISE, items, item_count, options, (uint8_t)advice,
                        request);
}

int32_t tresor_swap(struct tresor_context *context, const struct tresor_item *items,
                    size_t item_count, uint32_t strategy,
                    const struct tresor_request_options *given, struct tresor_request *request)
{
    struct tresor_request_options options;
    int32_t code = tresor__requests_check_options(TRESOR_VERB_SWAP, given, &options);
    if (code != TRESOR_OK)
        return code;
    if (strategy > TRESOR_STRATEGY_READ)
        return TRESOR_ERROR_INVALID;
    options.size_bytes = sizeof options;
    options.strategy = strategy;
    return submit_items(context, TRESOR_VERB_SWAP, items, item_count, &options, 0, request);
}

int32_t tresor_set_strategy(struct tresor_context *context, uint32_t strategy)
{
    int32_t code = tresor__context_enter(context);
    if (code != TRESOR_OK)
        return code;
    if (strategy > TRESOR_STRATEGY_READ)
        return TRESOR_ERROR_INVALID;
    context->controller.limits.strategy =
        strategy == TRESOR_STRATEGY_DEFAULT ? TRESOR_STRATEGY_MMAP : strategy;
    return TRESOR_OK;
}

int32_t tresor_stream(struct tresor_context *context, const struct tresor_item *items,
                      size_t item_count, const struct tresor_request_options *options,
                      struct tresor_request *request)
{
    return submit_items(context, TRESOR_VERB_STREAM, items, item_count, options, 0, request);
}

/* Once the last chunk is back the context may be destroyed, unless it is told before. */
int32_t tresor_chunk_return(struct tresor_context *context, struct tresor_stage stage)
{
    struct tresor__controller *controller = &context->controller;
    atomic_fetch_add(&context->wakers, 1);
    int32_t code = tresor__stages_return(controller, stage.value);
    if (code == TRESOR_OK && !atomic_exchange(&controller->stages_returned, true))
        tresor__bell_ring(&context->bell);
    atomic_fetch_sub(&context->wakers, 1);
    return code;
}

int32_t tresor_copy(struct tresor_context *context, struct tresor_item tensor,
                    uint64_t offset_bytes, uint64_t length_bytes, void *destination,
                    const struct tresor_request_options *given, struct tresor_request *request)
{
    struct tresor__controller *controller = &context->controller;
    struct tresor_request_options options;
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__requests_check_options(TRESOR_VERB_COPY, given, &options);
    if (code == TRESOR_OK)
        code = tresor__item_find(context, tensor, &slot);
    if (code != TRESOR_OK)
        return code;
    uint32_t kind = tresor__handle_kind(tensor.value);
    if ((kind != TRESOR__KIND_ITEM_TENSOR && kind != TRESOR__KIND_ITEM_SLICE) || !request)
        return TRESOR_ERROR_INVALID;
    const struct tresor__piece *piece = &slot->pieces[tresor__handle_index(tensor.value)];
    if (offset_bytes > piece->size_bytes || length_bytes > piece->size_bytes - offset_bytes ||
        (!destination && length_bytes > 0))
        return TRESOR_ERROR_INVALID;
    if (controller->free_request == TRESOR_NONE)
        return TRESOR_ERROR_AGAIN;
    struct tresor__request *made =
        tresor__requests_take(controller, TRESOR_VERB_COPY, slot->source.index);
    struct tresor__copy *copy = &controller->copies[made->index];
    made->cookie = options.cookie;
    made->total = 1;
    copy->source = slot->source.index;
    copy->file = piece->file;
    copy->tensor = tresor__model_tensor(&slot->source.model, piece->index);
    copy->urgency = urgency_of(&options);
    copy->offset = piece->offset_bytes + offset_bytes;
    copy->length = length_bytes;
    copy->of = &slot->source.model.files[piece->file].io;
    copy->misplaced_bytes = (uint32_t)((uintptr_t)destination % controller->limits.page_bytes);
    copy->started = 0;
    copy->failure = (struct tresor__failure){0};
    controller->destinations[made->index] = destination;
    *request = tresor__requests_submit(context, made);
    return TRESOR_OK;
}
