/* SPDX-License-Identifier: MIT */
/*
 * Who goes first, and what is loaded ahead. A rank is the priority that was set in its upper 20 bits and, with the option
 * `adaptive`, what the learned order makes of the layer in the others; of equal ranks the least recently used goes.
 */
#include "compat/hyperion.h"

#include <string.h>

enum {
    ORDER_BITS = 12,
    FORETOLD = (1 << ORDER_BITS) - 1, /* it is needed next */
};

/* A whole number that is less for a lower priority: the bits of a float, those of negative ones turned round. */
static int32_t order_of(float priority)
{
    int32_t bits;
    memcpy(&bits, &priority, sizeof bits);
    if (priority == 0)
        return 0;
    return bits < 0 ? bits ^ INT32_MAX : bits;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static bool walks(const struct tresor__hyperion_order *order)
{
    return order->pattern == TRESOR_HYPERION_NEXT || order->pattern == TRESOR_HYPERION_STRIDE;
}

/*
 * In a walk round and round, what was used longest ago is what is needed next: so the places of layers say who stays, and the same ones
 * always do. What the walk does not come by goes before them.
 */
static uint32_t place_in_order(const struct tresor_hyperion_model *model, uint32_t layer)
{
    if (model->layers[layer].is_foretold)
        return FORETOLD;
    if (!walks(&model->order))
        return 0;
    const uint64_t count = model->layer_count;
    const uint64_t step = (uint64_t)(model->order.stride + (int64_t)count) % count;
    const uint64_t last = model->history.layers[model->history.newest];
    if ((layer + count - last) % count % common_divisor(step, count) != 0)
        return 0;
    return (uint32_t)((count - layer) * (FORETOLD - 2) / count) + 1;
}

int32_t tresor__hyperion_rank(struct tresor_hyperion_model *model, uint32_t layer)
{
    struct tresor__hyperion_layer *ranked = &model->layers[layer];
    int32_t rank = order_of(ranked->priority);
    if (model->options.adaptive)
        rank = (int32_t)(((uint32_t)rank & ~(uint32_t)FORETOLD) | place_in_order(model, layer));
    if (rank == ranked->rank)
        return TRESOR_OK;
    const int32_t code = tresor_set_priority(model->context, ranked->item, rank);
    if (code == TRESOR_OK)
        ranked->rank = rank;
    return code;
}

static void rank_all(struct tresor_hyperion_model *model)
{
    for (uint32_t i = 0; i < model->layer_count; i++)
        tresor__hyperion_rank(model, i);
}

static bool has(const uint32_t *layers, uint32_t count, uint32_t layer)
{
    for (uint32_t i = 0; i < count; i++)
        if (layers[i] == layer)
            return true;
    return false;
}

uint32_t tresor__hyperion_turn(const struct tresor_hyperion_model *model, uint32_t layer)
{
    uint32_t turn = 0;
    if (!model->layers[layer].is_foretold)
        return TRESOR__HYPERION_AHEAD_MAX;
    while (turn < model->foretold_count && model->foretold[turn] != layer)
        turn++;
    return turn;
}

/* The layers that come next, each once, without the one that is used now: no more than a quarter of the cache, so that it
 * can keep some, but for one. */
static uint32_t foretell(const struct tresor_hyperion_model *model, uint32_t layer, uint32_t *next)
{
    uint32_t count = 0;
    uint64_t bytes = 0;
    for (uint32_t ahead = 1; ahead <= TRESOR__HYPERION_AHEAD_MAX; ahead++) {
        const uint32_t foretold =
            tresor__hyperion_foretell(&model->history, &model->order, ahead);
        bytes += model->layers[foretold].page_bytes;
        if (foretold == layer || has(next, count, foretold) ||
            (count > 0 && bytes > model->options.cache_bytes / 4))
            break;
        next[count++] = foretold;
    }
    return count;
}

/* Take over what is foretold now. What is not any more is loaded ahead no further. */
static void expect(struct tresor_hyperion_model *model, const uint32_t *next, uint32_t count)
{
    uint32_t before[TRESOR__HYPERION_AHEAD_MAX];
    const uint32_t before_count = model->foretold_count;
    memcpy(before, model->foretold, sizeof before);
    memcpy(model->foretold, next, count * sizeof *next);
    model->foretold_count = count;
    for (uint32_t i = 0; i < before_count; i++) {
        struct tresor__hyperion_layer *layer = &model->layers[before[i]];
        if (!layer->is_foretold || has(next, count, before[i]))
            continue;
        layer->is_foretold = false;
        if (!layer->is_wanted)
            tresor__hyperion_cancel(model, layer);
        tresor__hyperion_rank(model, before[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct tresor__hyperion_layer *layer = &model->layers[next[i]];
        model->counters.predictions += !layer->is_foretold;
        layer->is_foretold = true;
        tresor__hyperion_rank(model, next[i]);
    }
}

static void learn(struct tresor_hyperion_model *model, uint32_t layer)
{
    const struct tresor__hyperion_order before = model->order;
    struct tresor__hyperion_layer *used = &model->layers[layer];
    uint32_t next[TRESOR__HYPERION_AHEAD_MAX] = {0};
    model->counters.predictions_right += used->is_foretold;
    used->is_foretold = false;
    tresor__hyperion_note(&model->history, layer);
    model->order = tresor__hyperion_learn(&model->history);
    const bool foretells = model->order.pattern != TRESOR_HYPERION_NONE;
    expect(model, next, foretells ? foretell(model, layer, next) : 0);
    /* Which layers a walk keeps changes only with the walk. */
    if (before.pattern != model->order.pattern || before.stride != model->order.stride)
        rank_all(model);
    else
        tresor__hyperion_rank(model, layer);
}

/* In the order in which they come: what finds no room leaves none for what comes later. */
static void load_ahead(struct tresor_hyperion_model *model, const uint32_t *next, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (tresor__hyperion_begin(model, next[i], false) == TRESOR_ERROR_BUSY)
            return;
}

void tresor__hyperion_follow(struct tresor_hyperion_model *model, uint32_t layer)
{
    const uint32_t behind = (layer + 1) % model->layer_count;
    if (model->options.adaptive)
        learn(model, layer);
    if (!model->options.prefetch)
        return;
    if (model->options.adaptive)
        load_ahead(model, model->foretold, model->foretold_count);
    else if (behind != layer)
        load_ahead(model, &behind, 1);
    tresor_dispatch(model->context);
}
