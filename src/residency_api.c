/* SPDX-License-Identifier: MIT */
/* Items and the requests on them. */
#include <fnmatch.h>
#include <string.h>

#include "context.h"
#include "core/handle.h"
#include "requests.h"
#include "tensor/pins.h"

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

static struct tresor__group *make_group(const struct tresor__slot *slot, uint32_t count)
{
    struct tresor__group *group = tresor__allocate(
        &slot->source.model.allocator, sizeof *group + count * sizeof group->tensors[0]);
    if (group)
        group->count = count;
    return group;
}

/* A group is published last, for other threads may look it up as soon as they have its handle. */
static struct tresor_item add_group(struct tresor__slot *slot, struct tresor__group *group)
{
    uint32_t index = slot->group_count++;
    for (uint32_t i = 0; i < group->count; i++)
        group->tensor_bytes += slot->pieces[group->tensors[i]].size_bytes;
    atomic_store_explicit(&slot->groups[index], group, memory_order_release);
    return (struct tresor_item){tresor__handle_of_item(TRESOR__KIND_ITEM_GROUP, slot->source.index,
                                                       index, slot->generation)};
}

static bool matches(const struct tresor__slot *slot, const char *pattern, uint32_t tensor)
{
    const struct tresor__directory *directory = &slot->source.model.directory;
    return fnmatch(pattern, directory->strings + directory->entries[tensor].name_offset, 0) == 0;
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
    uint32_t total = slot->source.model.directory.entry_count;
    uint32_t count = 0;
    for (uint32_t i = 0; i < total; i++)
        count += matches(slot, pattern, i);
    if (count == 0)
        return TRESOR_ERROR_NOT_FOUND;
    struct tresor__group *group = make_group(slot, count);
    if (!group)
        return TRESOR_ERROR_NO_MEMORY;
    count = 0;
    for (uint32_t i = 0; i < total && count < group->count; i++)
        if (matches(slot, pattern, slot->source.model.order[i]))
            group->tensors[count++] = slot->source.model.order[i];
    *item = add_group(slot, group);
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
    for (size_t i = 0; i < count; i++)
        if (tensors[i] >= slot->source.model.directory.entry_count)
            return TRESOR_ERROR_INVALID;
    if (slot->group_count == TRESOR__GROUPS_MAX)
        return TRESOR_ERROR_LIMIT;
    struct tresor__group *group = make_group(slot, (uint32_t)count);
    if (!group)
        return TRESOR_ERROR_NO_MEMORY;
    if (count > 0)
        memcpy(group->tensors, tensors, count * sizeof *tensors);
    *item = add_group(slot, group);
    return TRESOR_OK;
}

static int32_t find_item(struct tresor_context *context, struct tresor_item item,
                         struct tresor__slot **slot)
{
    int32_t code = tresor__context_enter(context);
    if (code == TRESOR_OK)
        code = tresor__items_slot(&context->controller, item.value, slot);
    if (code == TRESOR_OK && !tresor__items_valid(*slot, item.value))
        code = TRESOR_ERROR_STALE;
    return code;
}

int32_t tresor_item_measure(struct tresor_context *context, struct tresor_item item,
                            uint32_t *tensor_count, uint64_t *tensor_bytes)
{
    struct tresor__slot *slot = NULL;
    int32_t code = find_item(context, item, &slot);
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
    int32_t code = find_item(context, item, &slot);
    if (code != TRESOR_OK)
        return code;
    if (!tensor || position >= tresor__items_count(slot, item.value))
        return TRESOR_ERROR_INVALID;
    *tensor = tresor__items_tensor(slot, item.value, position);
    return TRESOR_OK;
}

/* --- requests --- */

static int32_t check_options(const struct tresor_request_options *given,
                             struct tresor_request_options *options)
{
    *options = (struct tresor_request_options){0};
    if (!given)
        return TRESOR_OK;
    int32_t code = tresor__options_copy(options, sizeof *options, given);
    if (code == TRESOR_OK && (options->flags & ~(uint32_t)TRESOR_REQUEST_ITEMS ||
                              options->strategy > TRESOR_STRATEGY_READ ||
                              options->urgency > TRESOR_URGENCY_URGENT || options->reserved))
        code = TRESOR_ERROR_INVALID;
    return code;
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

/* All items live and of one source; `total` tensors together, of `total_bytes`. */
static int32_t check_items(struct tresor_context *context, const struct tresor_item *items,
                           size_t count, struct tresor__slot **slot, uint64_t *total,
                           uint64_t *total_bytes)
{
    if (!items || count == 0)
        return TRESOR_ERROR_INVALID;
    *total = 0;
    *total_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        struct tresor__slot *found = NULL;
        int32_t code = find_item(context, items[i], &found);
        if (code != TRESOR_OK)
            return code;
        if (i > 0 && found != *slot)
            return TRESOR_ERROR_INVALID;
        *slot = found;
        *total += tresor__items_count(found, items[i].value);
        *total_bytes += tresor__items_bytes(found, items[i].value);
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
    int32_t code = check_options(given, &options);
    if (code == TRESOR_OK)
        code = request ? check_items(context, items, count, &slot, &total, &total_bytes)
                       : TRESOR_ERROR_INVALID;
    if (code != TRESOR_OK)
        return code;
    if (count > controller->limits.items)
        return TRESOR_ERROR_LIMIT;
    if (controller->free_request == TRESOR_NONE || count > controller->free_item_count)
        return TRESOR_ERROR_AGAIN;
    struct tresor__request *made = tresor__requests_take(controller, verb, slot->source.index);
    made->cookie = options.cookie;
    made->wants_items = options.flags & TRESOR_REQUEST_ITEMS;
    made->strategy =
        (uint8_t)(options.strategy == TRESOR_STRATEGY_DEFAULT ? controller->limits.strategy
                                                              : options.strategy);
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
    int32_t code = check_options(given, &options);
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
        context->backend->wake(context->backend);
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
    int32_t code = check_options(given, &options);
    if (code == TRESOR_OK)
        code = find_item(context, tensor, &slot);
    if (code != TRESOR_OK)
        return code;
    if (tresor__handle_kind(tensor.value) != TRESOR__KIND_ITEM_TENSOR || !request)
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
    copy->tensor = piece->index;
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

/* --- acquire and release, on any thread --- */

static struct tresor__slot *slot_of(struct tresor_context *context, struct tresor_item item)
{
    uint32_t kind = tresor__handle_kind(item.value);
    uint32_t source = tresor__handle_source(item.value);
    bool is_item = kind >= TRESOR__KIND_ITEM_SOURCE && kind <= TRESOR__KIND_ITEM_GROUP;
    return is_item && source < context->controller.limits.sources
               ? &context->controller.slots[source]
               : NULL;
}

/* What an item's tensors are for the pins: a list, or NULL for all; and how many. */
static uint32_t list_of(const struct tresor__slot *slot, struct tresor_item item, uint32_t *single,
                        const uint32_t **list)
{
    *single = tresor__handle_index(item.value);
    *list = single;
    switch (tresor__handle_kind(item.value)) {
    case TRESOR__KIND_ITEM_SOURCE:
        *list = NULL;
        return slot->source.model.directory.entry_count;
    case TRESOR__KIND_ITEM_GROUP: {
        const struct tresor__group *group =
            atomic_load_explicit(&slot->groups[*single], memory_order_acquire);
        *list = group->tensors;
        return group->count;
    }
    default:
        return 1;
    }
}

static void leave(struct tresor_context *context, struct tresor__slot *slot)
{
    if (!tresor__gate_leave(slot, &context->wakers))
        return;
    context->backend->wake(context->backend);
    atomic_fetch_sub(&context->wakers, 1);
}

int32_t tresor_acquire(struct tresor_context *context, struct tresor_item item, const void **data)
{
    struct tresor__slot *slot = slot_of(context, item);
    if (!slot)
        return TRESOR_ERROR_STALE;
    int32_t code = tresor__gate_enter(slot, tresor__handle_generation(item.value));
    if (code != TRESOR_OK)
        return code;
    uint32_t single = 0;
    const uint32_t *list = NULL;
    code = tresor__items_valid(slot, item.value) ? TRESOR_OK : TRESOR_ERROR_STALE;
    uint32_t count = code == TRESOR_OK ? list_of(slot, item, &single, &list) : 0;
    if (code == TRESOR_OK && count == 0)
        code = TRESOR_ERROR_INVALID;
    if (code == TRESOR_OK)
        code = tresor__pins_acquire(slot, list, count);
    if (code != TRESOR_OK) {
        leave(context, slot);
        return code;
    }
    if (data)
        *data = tresor__model_address(&slot->source.model,
                                      list ? list[0] : slot->source.model.order[0]);
    return TRESOR_OK;
}

int32_t tresor_release(struct tresor_context *context, struct tresor_item item)
{
    struct tresor__slot *slot = slot_of(context, item);
    if (!slot || !tresor__gate_holds(slot, tresor__handle_generation(item.value)) ||
        !tresor__items_valid(slot, item.value))
        return TRESOR_ERROR_STALE;
    uint32_t single = 0;
    const uint32_t *list = NULL;
    uint32_t count = list_of(slot, item, &single, &list);
    int32_t code = count > 0 ? tresor__pins_release(slot, list, count) : TRESOR_ERROR_INVALID;
    if (code == TRESOR_OK)
        leave(context, slot);
    return code;
}
