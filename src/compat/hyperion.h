/* SPDX-License-Identifier: MIT */
/* What the parts of the face of Hyperion's mapped model share. */
#ifndef TRESOR_COMPAT_HYPERION_H_INTERNAL
#define TRESOR_COMPAT_HYPERION_H_INTERNAL

#include <stdatomic.h>
#include <stdbool.h>

#include <tresor/compat/hyperion.h>
#include <tresor/tresor.h>

#include "compat/hyperion_pattern.h"

enum {
    TRESOR__HYPERION_AHEAD_MAX = 4, /* layers that are foretold at a time */
};

struct tresor__hyperion_layer {
    struct tresor_item item;
    const void *address;
    uint64_t offset_bytes;
    uint64_t layer_bytes;
    uint64_t page_bytes; /* of all pages that it has a byte in */
    uint32_t precision_bits;
    float priority;
    int32_t rank;                   /* what the library was told */
    _Atomic uint32_t users;         /* gets that were not released */
    bool may_be_there;              /* false: it is not in memory; true: ask */
    bool is_foretold;               /* by the learned order, and not asked for yet */
    bool was_prefetched;            /* and not asked for yet */
    bool is_cancelled;              /* the load under way */
    bool is_wanted;                 /* the host asked for the load under way */
    struct tresor_request prefetch; /* under way, else 0 */
    int32_t prefetch_code;          /* what became of the last one */
    uint64_t last_access;
    uint64_t access_count;
};

struct tresor_hyperion_model {
    struct tresor_hyperion_options options;
    struct tresor_context *context;
    struct tresor_source source;
    struct tresor__hyperion_layer *layers;
    uint32_t layer_count;
    _Atomic bool has_leftover; /* a small layer was released and may still be there */
    struct tresor__hyperion_history history;
    struct tresor__hyperion_order order;
    uint32_t foretold[TRESOR__HYPERION_AHEAD_MAX];
    uint32_t foretold_count;
    struct tresor_hyperion_counters counters;
    struct tresor_request awaited; /* a request that blocks, else 0 */
    struct tresor_event end;       /* of it */
    bool is_pinned;                /* the load that is awaited has handed over its pin */
    struct tresor_error failure;   /* of the item that it was for */
};

/* --- loads (hyperion_loads.c): all on the model's thread --- */

/** Take all events. */
void tresor__hyperion_take_events(struct tresor_hyperion_model *model);

/** Let small layers go that another thread released. */
void tresor__hyperion_tidy(struct tresor_hyperion_model *model);

/** Dispatch, take all events and tidy. What tresor_dispatch returns. */
int32_t tresor__hyperion_advance(struct tresor_hyperion_model *model);

/** Dispatch until the request ends; returns its code. Its end is in model->end. */
int32_t tresor__hyperion_await(struct tresor_hyperion_model *model, struct tresor_request request);

/** Whether the layer is in memory now. */
bool tresor__hyperion_is_there(struct tresor_hyperion_model *model,
                               struct tresor__hyperion_layer *layer);

/** Load and pin it, blocking. */
int32_t tresor__hyperion_load(struct tresor_hyperion_model *model, uint32_t layer,
                              struct tresor_error *error);

/** Begin to load it ahead, where there is room for it beside what must stay. As tresor_hyperion_prefetch, for the host if
 * `is_wanted`. */
int32_t tresor__hyperion_begin(struct tresor_hyperion_model *model, uint32_t layer, bool is_wanted);

/** Wait for the end of the load ahead that is under way; returns its code. */
int32_t tresor__hyperion_end(struct tresor_hyperion_model *model,
                             struct tresor__hyperion_layer *layer);

/** Cancel the load ahead, if there is one. */
void tresor__hyperion_cancel(struct tresor_hyperion_model *model,
                             struct tresor__hyperion_layer *layer);

/** Take it out of memory, blocking. */
int32_t tresor__hyperion_evict(struct tresor_hyperion_model *model, uint32_t layer);

/* --- order (hyperion_order.c) --- */

/** How many gets before it something else is foretold for; TRESOR__HYPERION_AHEAD_MAX of what is not foretold. */
uint32_t tresor__hyperion_turn(const struct tresor_hyperion_model *model, uint32_t layer);

/** Tell the library how important the layer is, if that has changed. */
int32_t tresor__hyperion_rank(struct tresor_hyperion_model *model, uint32_t layer);

/** The layer was asked for and got: learn, rank, and load ahead what comes next. */
void tresor__hyperion_follow(struct tresor_hyperion_model *model, uint32_t layer);

#endif
