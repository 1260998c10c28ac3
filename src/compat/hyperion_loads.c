/* SPDX-License-Identifier: MIT */
/* Requests of the face of Hyperion's mapped model, and what becomes of them. A request's cookie is its layer's number and one. */
#include "compat/hyperion.h"

static void end_prefetch(struct tresor_hyperion_model *model, const struct tresor_event *event)
{
    struct tresor__hyperion_layer *layer = &model->layers[event->cookie - 1];
    layer->prefetch.value = 0;
    layer->prefetch_code = event->error.code;
    if (event->error.code == TRESOR_OK) {
        layer->may_be_there = true;
        layer->was_prefetched = true;
    } else if (layer->is_cancelled) {
        model->counters.prefetches_cancelled++;
    } else {
        model->counters.prefetches_failed++;
    }
    layer->is_cancelled = false;
}

static void take_event(struct tresor_hyperion_model *model, const struct tresor_event *event)
{
    if (event->type == TRESOR_EVENT_DEGRADED)
        model->counters.degraded |= UINT64_C(1) << event->flags % 64;
    const bool is_awaited = model->awaited.value && event->request.value == model->awaited.value;
    if (event->type == TRESOR_EVENT_ITEM && is_awaited) {
        model->is_pinned = event->flags & TRESOR_EVENT_PINNED;
        model->failure = event->error;
    }
    if (event->type != TRESOR_EVENT_DONE)
        return;
    if (is_awaited) {
        model->end = *event;
        model->awaited.value = 0;
    } else if (event->cookie > 0 &&
               model->layers[event->cookie - 1].prefetch.value == event->request.value) {
        end_prefetch(model, event);
    }
}

void tresor__hyperion_take_events(struct tresor_hyperion_model *model)
{
    struct tresor_event event;
    while (tresor_next_event(model->context, &event) == 1)
        take_event(model, &event);
}

int32_t tresor__hyperion_await(struct tresor_hyperion_model *model, struct tresor_request request)
{
    model->awaited = request;
    model->is_pinned = false;
    model->failure = (struct tresor_error){0};
    while (model->awaited.value) {
        const int32_t waited = tresor_wait(model->context, -1);
        if (waited <= 0)
            return waited < 0 ? waited : TRESOR_ERROR_BACKEND;
        tresor__hyperion_take_events(model);
    }
    return model->end.error.code;
}

bool tresor__hyperion_is_there(struct tresor_hyperion_model *model,
                               struct tresor__hyperion_layer *layer)
{
    struct tresor_choice choice = {0};
    if (layer->may_be_there &&
        tresor_get_choice(model->context, layer->item, &choice) == TRESOR_OK)
        layer->may_be_there = choice.strategy != TRESOR_STRATEGY_DEFAULT;
    return layer->may_be_there;
}

int32_t tresor__hyperion_end(struct tresor_hyperion_model *model,
                             struct tresor__hyperion_layer *layer)
{
    while (layer->prefetch.value) {
        const int32_t waited = tresor_wait(model->context, -1);
        if (waited <= 0)
            return waited < 0 ? waited : TRESOR_ERROR_BACKEND;
        tresor__hyperion_take_events(model);
    }
    return layer->prefetch_code;
}

int32_t tresor__hyperion_evict(struct tresor_hyperion_model *model, uint32_t layer)
{
    struct tresor__hyperion_layer *evicted = &model->layers[layer];
    const struct tresor_request_options options = {.size_bytes = sizeof options};
    struct tresor_request request;
    tresor__hyperion_cancel(model, evicted);
    tresor__hyperion_end(model, evicted);
    int32_t code = tresor_evict(model->context, &evicted->item, 1, &options, &request);
    if (code == TRESOR_OK)
        code = tresor__hyperion_await(model, request);
    evicted->was_prefetched = evicted->was_prefetched && tresor__hyperion_is_there(model, evicted);
    return code;
}

void tresor__hyperion_tidy(struct tresor_hyperion_model *model)
{
    if (!atomic_exchange(&model->has_leftover, false))
        return;
    for (uint32_t i = 0; i < model->layer_count; i++) {
        struct tresor__hyperion_layer *layer = &model->layers[i];
        if (layer->layer_bytes < model->options.layer_bytes_min && !atomic_load(&layer->users) &&
            tresor__hyperion_is_there(model, layer))
            tresor__hyperion_evict(model, i);
    }
}

int32_t tresor__hyperion_advance(struct tresor_hyperion_model *model)
{
    const int32_t more = tresor_dispatch(model->context);
    if (more < 0)
        return more;
    tresor__hyperion_take_events(model);
    tresor__hyperion_tidy(model);
    return more;
}

void tresor__hyperion_cancel(struct tresor_hyperion_model *model,
                             struct tresor__hyperion_layer *layer)
{
    if (layer->prefetch.value && tresor_cancel(model->context, layer->prefetch) == TRESOR_OK)
        layer->is_cancelled = true;
}

/*
 * Where what is pinned and what is loaded ahead leave no room together, end the latter: the load would wait for it, however long
 * it takes.
 */
static void give_way(struct tresor_hyperion_model *model, uint32_t layer)
{
    uint64_t bytes = model->layers[layer].page_bytes;
    for (uint32_t i = 0; i < model->layer_count; i++)
        if (i != layer && (model->layers[i].prefetch.value || atomic_load(&model->layers[i].users)))
            bytes += model->layers[i].page_bytes;
    for (uint32_t i = 0; bytes > model->options.cache_bytes && i < model->layer_count; i++)
        if (i != layer)
            tresor__hyperion_cancel(model, &model->layers[i]);
}

int32_t tresor__hyperion_load(struct tresor_hyperion_model *model, uint32_t layer,
                              struct tresor_error *error)
{
    const struct tresor_request_options options = {
        .size_bytes = sizeof options,
        .cookie = (uint64_t)layer + 1,
        .flags = TRESOR_REQUEST_PIN,
        .urgency = TRESOR_URGENCY_URGENT,
    };
    struct tresor_request request;
    give_way(model, layer);
    int32_t code =
        tresor_load(model->context, &model->layers[layer].item, 1, &options, &request);
    if (code == TRESOR_OK)
        code = tresor__hyperion_await(model, request);
    *error = model->failure.code ? model->failure : (struct tresor_error){.code = code};
    if (code == TRESOR_OK && !model->is_pinned)
        return TRESOR_ERROR_BACKEND;
    if (code == TRESOR_OK)
        model->layers[layer].may_be_there = true;
    return code;
}

/* Whether the layer finds room beside what must not go for it. A page that two of them share counts twice. */
static bool has_room(struct tresor_hyperion_model *model, uint32_t index)
{
    const struct tresor__hyperion_layer *layer = &model->layers[index];
    const uint32_t turn = tresor__hyperion_turn(model, index);
    uint64_t left_bytes = model->options.cache_bytes;
    if (layer->page_bytes > left_bytes)
        return false;
    left_bytes -= layer->page_bytes;
    for (uint32_t i = 0; i < model->layer_count; i++) {
        struct tresor__hyperion_layer *other = &model->layers[i];
        if (other == layer || !(other->prefetch.value || tresor__hyperion_is_there(model, other)))
            continue;
        if (!other->prefetch.value && !atomic_load(&other->users) &&
            other->priority <= layer->priority && tresor__hyperion_turn(model, i) >= turn)
            continue;
        if (other->page_bytes > left_bytes)
            return false;
        left_bytes -= other->page_bytes;
    }
    return true;
}

int32_t tresor__hyperion_begin(struct tresor_hyperion_model *model, uint32_t layer, bool is_wanted)
{
    struct tresor__hyperion_layer *begun = &model->layers[layer];
    const struct tresor_request_options options = {
        .size_bytes = sizeof options,
        .cookie = (uint64_t)layer + 1,
        .urgency = TRESOR_URGENCY_LOOKAHEAD,
    };
    if (begun->prefetch.value || tresor__hyperion_is_there(model, begun))
        return TRESOR_OK;
    if (begun->layer_bytes < model->options.layer_bytes_min)
        return TRESOR_ERROR_UNSUPPORTED;
    if (begun->page_bytes > model->options.cache_bytes)
        return TRESOR_ERROR_TOO_BIG;
    if (!has_room(model, layer)) {
        model->counters.prefetches_skipped++;
        return TRESOR_ERROR_BUSY;
    }
    const int32_t code =
        tresor_load(model->context, &begun->item, 1, &options, &begun->prefetch);
    if (code != TRESOR_OK)
        return code;
    begun->was_prefetched = false;
    begun->is_wanted = is_wanted;
    model->counters.prefetches++;
    return TRESOR_OK;
}
