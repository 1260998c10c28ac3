/* SPDX-License-Identifier: MIT */
/* Acquire and release, on any thread, and waiting for what can be acquired. */
#include "context.h"
#include "core/handle.h"
#include "tensor/faults.h"
#include "tensor/pins.h"

/* The pieces that an item stands for: a list, or NULL for all. */
struct pieces {
    const uint32_t *list;
    uint32_t count;
    uint32_t single; /* what the list is of, where it is one */
};

static struct tresor__slot *slot_of(struct tresor_context *context, struct tresor_item item)
{
    uint32_t source = tresor__handle_source(item.value);
    return tresor__handle_is_item(item.value) && source < context->controller.limits.sources
               ? &context->controller.slots[source]
               : NULL;
}

/* Of what stands for several pieces, inside the gate. STALE if there is no such group, INVALID if it is empty. */
static int32_t list_of(const struct tresor__slot *slot, struct tresor_item item,
                       struct pieces *pieces)
{
    *pieces = (struct pieces){0};
    if (!tresor__items_valid(slot, item.value))
        return TRESOR_ERROR_STALE;
    pieces->count = tresor__items_list(slot, item.value, &pieces->single, &pieces->list);
    return pieces->count > 0 ? TRESOR_OK : TRESOR_ERROR_INVALID;
}

/* The context's own thread needs no bell: it looks when it works next. */
static void tell_released(struct tresor_context *context)
{
    if (atomic_exchange(&context->controller.released, true))
        return;
    if (tresor__context_enter(context) == TRESOR_OK)
        tresor__context_level(context);
    else
        tresor__bell_ring(&context->bell);
}

/* From the moment that it has finished, the context may be destroyed, unless it is told before. */
static void finish(struct tresor_context *context, struct tresor__slot *slot,
                   const struct pieces *pieces)
{
    atomic_fetch_add(&context->wakers, 1);
    uint32_t told = tresor__pins_finish(slot, pieces->list, pieces->count);
    if (told & TRESOR__PINS_RELEASED)
        tell_released(context);
    if (told & TRESOR__PINS_QUIET)
        tresor__bell_ring(&context->bell);
    atomic_fetch_sub(&context->wakers, 1);
}

static void leave(struct tresor_context *context, struct tresor__slot *slot)
{
    if (!tresor__gate_leave(slot, &context->wakers))
        return;
    tresor__bell_ring(&context->bell);
    atomic_fetch_sub(&context->wakers, 1);
}

static int32_t acquire_pieces(struct tresor_context *context, struct tresor__slot *slot,
                              uint32_t generation, const struct pieces *pieces)
{
    bool is_awaited = false;
    int32_t code = tresor__pins_acquire(slot, generation, pieces->list, pieces->count,
                                        &context->controller.acquires, &is_awaited);
    if (is_awaited)
        finish(context, slot, pieces);
    return code;
}

static int32_t release_pieces(struct tresor_context *context, struct tresor__slot *slot,
                              uint32_t generation, const struct pieces *pieces)
{
    bool is_awaited = false;
    int32_t code =
        tresor__pins_release(slot, generation, pieces->list, pieces->count, &is_awaited);
    if (is_awaited)
        finish(context, slot, pieces);
    return code;
}

/* Pages of theirs were replaced, of which the context has not heard yet. The source stays while there is somebody in the gate. */
static bool are_hit(struct tresor_context *context, struct tresor__slot *slot, uint32_t generation,
                    const struct pieces *pieces)
{
    if (!tresor__context_has_faults(context) ||
        tresor__gate_enter(slot, generation, true) != TRESOR_OK)
        return false;
    bool is_hit = tresor__faults_hit(&context->controller, slot, pieces->list, pieces->count);
    leave(context, slot);
    return is_hit;
}

static int32_t acquire_many(struct tresor_context *context, struct tresor__slot *slot,
                            struct tresor_item item, const void **data)
{
    uint32_t generation = tresor__handle_generation(item.value);
    struct pieces pieces;
    int32_t code = tresor__gate_enter(slot, generation, false);
    if (code != TRESOR_OK)
        return code;
    code = list_of(slot, item, &pieces);
    if (code == TRESOR_OK)
        code = acquire_pieces(context, slot, generation, &pieces);
    if (code == TRESOR_OK && data)
        *data =
            tresor__model_address(&slot->source.model,
                                  pieces.list ? pieces.list[0] : slot->source.model.order[0]);
    leave(context, slot);
    return code;
}

static int32_t release_many(struct tresor_context *context, struct tresor__slot *slot,
                            struct tresor_item item)
{
    uint32_t generation = tresor__handle_generation(item.value);
    struct pieces pieces;
    int32_t code = tresor__gate_enter(slot, generation, true);
    if (code != TRESOR_OK)
        return code;
    code = list_of(slot, item, &pieces);
    bool is_hit = code == TRESOR_OK && are_hit(context, slot, generation, &pieces);
    if (code == TRESOR_OK)
        code = release_pieces(context, slot, generation, &pieces);
    leave(context, slot);
    return code == TRESOR_OK && is_hit ? TRESOR_ERROR_POISONED : code;
}

static int32_t acquire_one(struct tresor_context *context, struct tresor__slot *slot,
                           struct tresor_item item, const void **data)
{
    uint32_t index = tresor__handle_index(item.value);
    int32_t code = tresor__pins_acquire_one(slot, tresor__handle_generation(item.value), index,
                                            &context->controller.acquires);
    /* The source stays now that it has a user. */
    if (code == TRESOR_OK && data)
        *data = tresor__model_address(&slot->source.model, index);
    return code;
}

static int32_t release_one(struct tresor_context *context, struct tresor__slot *slot,
                           struct tresor_item item)
{
    uint32_t index = tresor__handle_index(item.value);
    const struct pieces pieces = {.list = &index, .count = 1};
    bool is_awaited = false;
    bool is_hit = are_hit(context, slot, tresor__handle_generation(item.value), &pieces);
    int32_t code = tresor__pins_release_one(slot, tresor__handle_generation(item.value), index,
                                            &is_awaited);
    if (is_awaited)
        finish(context, slot, &pieces);
    return code == TRESOR_OK && is_hit ? TRESOR_ERROR_POISONED : code;
}

static bool is_one(struct tresor_item item)
{
    uint32_t kind = tresor__handle_kind(item.value);
    return kind == TRESOR__KIND_ITEM_TENSOR || kind == TRESOR__KIND_ITEM_SLICE;
}

/* What is one piece is done without the gate, unless it turns out that slices stand for it. */
int32_t tresor_acquire(struct tresor_context *context, struct tresor_item item, const void **data)
{
    struct tresor__slot *slot = slot_of(context, item);
    if (!slot)
        return TRESOR_ERROR_STALE;
    int32_t code =
        is_one(item) ? acquire_one(context, slot, item, data) : TRESOR_ERROR_UNSUPPORTED;
    return code == TRESOR_ERROR_UNSUPPORTED ? acquire_many(context, slot, item, data) : code;
}

int32_t tresor_release(struct tresor_context *context, struct tresor_item item)
{
    struct tresor__slot *slot = slot_of(context, item);
    if (!slot)
        return TRESOR_ERROR_STALE;
    int32_t code = is_one(item) ? release_one(context, slot, item) : TRESOR_ERROR_UNSUPPORTED;
    return code == TRESOR_ERROR_UNSUPPORTED ? release_many(context, slot, item) : code;
}

/* --- waiting --- */

void tresor__context_tell_sleepers(struct tresor_context *context)
{
    if (context->openings_told == context->controller.openings)
        return;
    context->openings_told = context->controller.openings;
    /* Who goes to sleep has said so before it looks at this; so it sees the change, or is seen here. */
    atomic_fetch_add(&context->openings, 1);
    if (atomic_load(&context->sleepers) > 0)
        context->sys->word_wake(context->sys->cookie, &context->openings);
}

static int64_t start_of(const struct tresor_context *context, int32_t timeout_ms)
{
    return timeout_ms < 0 ? 0 : context->sys->now_ms(context->sys->cookie);
}

/* What opens after the number was read changes it, and what opened before is found by the try. */
static int32_t sleep_until_acquired(struct tresor_context *context, struct tresor_item item,
                                    int32_t timeout_ms, const void **data)
{
    const struct tresor__sys *sys = context->sys;
    int64_t start_ms = start_of(context, timeout_ms);
    for (bool is_told = false;; is_told = true) {
        uint32_t openings = atomic_load(&context->openings);
        int32_t code = tresor_acquire(context, item, data);
        if (code != TRESOR_ERROR_NOT_RESIDENT)
            return code;
        int32_t left_ms = tresor__context_time_left(context, timeout_ms, start_ms);
        if (left_ms == 0)
            return TRESOR_ERROR_AGAIN;
        if (!is_told)
            tresor_wake(context);
        sys->word_wait(sys->cookie, &context->openings, openings, left_ms);
    }
}

/* Plans bring what they name for as long as they stand. */
static bool is_planned(const struct tresor__controller *controller, struct tresor_item item)
{
    const struct tresor__slot *slot = &controller->slots[tresor__handle_source(item.value)];
    uint32_t count =
        tresor__items_valid(slot, item.value) ? tresor__items_count(slot, item.value) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (slot->pieces[tresor__items_piece(slot, item.value, i)].plan != 0)
            return true;
    return false;
}

/* Some request of the item's source may still bring tensors. */
static bool may_come(struct tresor_context *context, struct tresor_item item)
{
    const struct tresor__controller *controller = &context->controller;
    for (uint32_t i = 0; i < controller->limits.requests; i++) {
        const struct tresor__request *request = &controller->requests[i];
        if ((request->verb == TRESOR_VERB_LOAD || request->verb == TRESOR_VERB_PLAN) &&
            request->source == tresor__handle_source(item.value) &&
            (request->state == REQUEST_VISITING || request->state == REQUEST_PENDING))
            return true;
    }
    return is_planned(controller, item);
}

/* A try that gives up tells of what it let go, which is looked after here before anything sleeps: who lets go of the same
 * later would not tell again. */
static int32_t work_until_opened(struct tresor_context *context, struct tresor_item item,
                                 int32_t timeout_ms, int64_t start_ms)
{
    const uint64_t openings = context->controller.openings;
    for (;;) {
        bool more = tresor__context_work(context);
        if (context->controller.openings != openings)
            return TRESOR_OK;
        if (!may_come(context, item))
            return TRESOR_ERROR_NOT_RESIDENT;
        int32_t left_ms = tresor__context_time_left(context, timeout_ms, start_ms);
        if (left_ms == 0)
            return TRESOR_ERROR_AGAIN;
        if (more)
            continue;
        if (tresor__context_may_sleep(context))
            context->backend->wait(context->backend, left_ms);
        else if (!tresor__context_is_told(context))
            return TRESOR_ERROR_NOT_RESIDENT;
    }
}

static int32_t work_until_acquired(struct tresor_context *context, struct tresor_item item,
                                   int32_t timeout_ms, const void **data)
{
    const int64_t start_ms = start_of(context, timeout_ms);
    for (;;) {
        int32_t code = work_until_opened(context, item, timeout_ms, start_ms);
        if (code != TRESOR_OK)
            return code;
        code = tresor_acquire(context, item, data);
        if (code != TRESOR_ERROR_NOT_RESIDENT)
            return code;
    }
}

int32_t tresor_acquire_wait(struct tresor_context *context, struct tresor_item item,
                            int32_t timeout_ms, const void **data)
{
    bool is_own = tresor__context_enter(context) == TRESOR_OK;
    if (!is_own)
        atomic_fetch_add(&context->sleepers, 1);
    int32_t code = tresor_acquire(context, item, data);
    if (code == TRESOR_ERROR_NOT_RESIDENT && timeout_ms != 0 && is_own) {
        code = work_until_acquired(context, item, timeout_ms, data);
        tresor__context_level(context);
    } else if (code == TRESOR_ERROR_NOT_RESIDENT && timeout_ms != 0) {
        code = sleep_until_acquired(context, item, timeout_ms, data);
    }
    if (!is_own)
        atomic_fetch_sub(&context->sleepers, 1);
    return code;
}
