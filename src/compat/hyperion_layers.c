/* SPDX-License-Identifier: MIT */
/* The layers of the face of Hyperion's mapped model: weights, releases, priorities, and what there is to know. */
#include "compat/hyperion.h"

#include <math.h>

#include "core/options.h"

/* On the model's thread, with what has ended meanwhile taken in. */
static int32_t enter(struct tresor_hyperion_model *model)
{
    const int32_t more = model ? tresor__hyperion_advance(model) : TRESOR_ERROR_INVALID;
    return more < 0 ? more : TRESOR_OK;
}

static int32_t enter_layer(struct tresor_hyperion_model *model, uint32_t layer)
{
    const int32_t code = enter(model);
    return code == TRESOR_OK && layer >= model->layer_count ? TRESOR_ERROR_INVALID : code;
}

int32_t tresor_hyperion_get_layer(struct tresor_hyperion_model *model, uint32_t layer,
                                  struct tresor_hyperion_layer *info)
{
    const int32_t code = enter_layer(model, layer);
    if (code != TRESOR_OK)
        return code;
    struct tresor__hyperion_layer *found = &model->layers[layer];
    const bool is_there = tresor__hyperion_is_there(model, found);
    const struct tresor_hyperion_layer known = {
        .offset_bytes = found->offset_bytes,
        .layer_bytes = found->layer_bytes,
        .index = layer,
        .precision_bits = found->precision_bits,
        .weights = is_there ? found->address : NULL,
        .is_active = is_there,
        .users = atomic_load(&found->users),
        .priority = found->priority,
        .is_loading = found->prefetch.value != 0,
        .last_access = found->last_access,
        .access_count = found->access_count,
    };
    return tresor__info_copy(info, &known, sizeof known);
}

/* A layer was got; `was_there` before anything was loaded for it, or `was_loading`. */
static void count_get(struct tresor_hyperion_model *model, struct tresor__hyperion_layer *layer,
                      bool was_there, bool was_loading)
{
    atomic_fetch_add(&layer->users, 1);
    layer->last_access = ++model->counters.gets;
    layer->access_count++;
    model->counters.hits += was_there;
    model->counters.late += was_loading;
    model->counters.prefetches_used += was_loading || layer->was_prefetched;
    layer->was_prefetched = false;
}

int32_t tresor_hyperion_get_weights(struct tresor_hyperion_model *model, uint32_t layer,
                                    const void **weights, struct tresor_error *error)
{
    struct tresor_error ignored;
    error = error ? error : &ignored;
    *error = (struct tresor_error){0};
    if (weights)
        *weights = NULL;
    int32_t code = enter_layer(model, layer);
    if (code == TRESOR_OK && !weights)
        code = TRESOR_ERROR_INVALID;
    if (code != TRESOR_OK)
        return error->code = code;
    struct tresor__hyperion_layer *found = &model->layers[layer];
    const bool was_loading = found->prefetch.value != 0;
    code = tresor_acquire(model->context, found->item, NULL);
    const bool was_there = code == TRESOR_OK;
    if (code == TRESOR_ERROR_NOT_RESIDENT) {
        found->was_prefetched = false;
        code = tresor__hyperion_load(model, layer, error);
        tresor__hyperion_end(model, found); /* as this load has, or soon will */
    }
    if (code != TRESOR_OK)
        return error->code = code;
    count_get(model, found, was_there, was_loading && !was_there);
    tresor__hyperion_follow(model, layer);
    *error = (struct tresor_error){0};
    *weights = found->address;
    return TRESOR_OK;
}

int32_t tresor_hyperion_prefetch(struct tresor_hyperion_model *model, uint32_t layer)
{
    int32_t code = enter_layer(model, layer);
    if (code == TRESOR_OK)
        code = tresor__hyperion_begin(model, layer, true);
    if (code != TRESOR_OK)
        return code;
    struct tresor__hyperion_layer *begun = &model->layers[layer];
    if (model->options.prefetch)
        tresor_dispatch(model->context);
    else if (begun->prefetch.value)
        code = tresor__hyperion_end(model, begun);
    return code;
}

/* Take a user away; false where there is none. Another thread may do so at the same time. */
static bool take_user(struct tresor__hyperion_layer *layer)
{
    uint32_t users = atomic_load(&layer->users);
    while (users > 0)
        if (atomic_compare_exchange_weak(&layer->users, &users, users - 1))
            return true;
    return false;
}

int32_t tresor_hyperion_release(struct tresor_hyperion_model *model, uint32_t layer)
{
    if (!model || layer >= model->layer_count || !take_user(&model->layers[layer]))
        return TRESOR_ERROR_INVALID;
    struct tresor__hyperion_layer *released = &model->layers[layer];
    const bool is_small = released->layer_bytes < model->options.layer_bytes_min;
    const int32_t code = tresor_release(model->context, released->item);
    if (is_small) {
        atomic_store(&model->has_leftover, true);
        tresor__hyperion_advance(model); /* does nothing on another thread */
    }
    return code;
}

int32_t tresor_hyperion_drop(struct tresor_hyperion_model *model, uint32_t layer)
{
    const int32_t code = enter_layer(model, layer);
    return code == TRESOR_OK ? tresor__hyperion_evict(model, layer) : code;
}

int32_t tresor_hyperion_memory_usage(struct tresor_hyperion_model *model, uint64_t *usage_bytes)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    int32_t code = enter(model);
    if (code == TRESOR_OK && !usage_bytes)
        code = TRESOR_ERROR_INVALID;
    if (code == TRESOR_OK)
        code = tresor_get_counters(model->context, &counters);
    if (code == TRESOR_OK)
        *usage_bytes = counters.charged_bytes;
    return code;
}

int32_t tresor_hyperion_set_priority(struct tresor_hyperion_model *model, uint32_t layer,
                                     float priority)
{
    int32_t code = enter_layer(model, layer);
    if (code == TRESOR_OK && !isfinite(priority))
        code = TRESOR_ERROR_INVALID;
    if (code != TRESOR_OK)
        return code;
    model->layers[layer].priority = priority;
    return tresor__hyperion_rank(model, layer);
}

int32_t tresor_hyperion_reset_priorities(struct tresor_hyperion_model *model)
{
    int32_t code = enter(model);
    for (uint32_t i = 0; code == TRESOR_OK && i < model->layer_count; i++) {
        model->layers[i].priority = 1;
        code = tresor__hyperion_rank(model, i);
    }
    return code;
}

int32_t tresor_hyperion_work(struct tresor_hyperion_model *model)
{
    return model ? tresor__hyperion_advance(model) : TRESOR_ERROR_INVALID;
}

int32_t tresor_hyperion_get_fd(struct tresor_hyperion_model *model)
{
    return model ? tresor_get_fd(model->context) : TRESOR_ERROR_INVALID;
}

int32_t tresor_hyperion_get_counters(struct tresor_hyperion_model *model,
                                     struct tresor_hyperion_counters *counters)
{
    const int32_t code = enter(model);
    if (code != TRESOR_OK)
        return code;
    model->counters.pattern = model->order.pattern;
    model->counters.period = model->order.period;
    model->counters.stride = model->order.stride;
    return tresor__info_copy(counters, &model->counters, sizeof model->counters);
}
