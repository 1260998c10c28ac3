/* SPDX-License-Identifier: MIT */
/*
 * Splitting tensors of a source that is idle. All that it then has is made first; other threads may
 * try to acquire meanwhile, so the tables change places behind a gate that is paused, with nobody
 * inside.
 */
#include "tensor/split.h"

#include <string.h>

#include "source/model_split.h"
#include "tensor/groups.h"
#include "tensor/pins.h"

/* What the slot has after the split; then what it had before. */
struct tables {
    struct tresor__model model;
    struct tresor__piece *pieces;
    uint32_t *heap;                /* of the ranking, which is empty */
    uint32_t piece_count;          /* of both */
    struct tresor__group **groups; /* by index; NULL: it stays as it is */
};

static bool has_requests(const struct tresor__controller *controller,
                         const struct tresor__slot *slot)
{
    for (uint32_t i = 0; i < controller->limits.requests; i++) {
        const struct tresor__request *request = &controller->requests[i];
        if (request->source == slot->source.index && request->state != REQUEST_FREE &&
            request->state != REQUEST_ENDED)
            return true;
    }
    return false;
}

static bool is_idle(const struct tresor__controller *controller, const struct tresor__slot *slot)
{
    if (has_requests(controller, slot))
        return false;
    for (uint32_t i = 0; i < slot->source.model.file_count; i++)
        if (tresor__file_busy(&slot->source.model.files[i].io))
            return false;
    for (uint32_t i = 0; i < slot->source.model.piece_count; i++) {
        uint8_t state = slot->pieces[i].tensor.state;
        if (state != TENSOR_ABSENT && state != TENSOR_FAILED)
            return false;
    }
    return true;
}

static bool make_pieces(const struct tresor__slot *slot, struct tables *tables)
{
    const struct tresor_allocator *allocator = &slot->source.model.allocator;
    uint32_t count = tables->model.piece_count;
    tables->piece_count = count;
    tables->pieces = tresor__allocate(allocator, count * sizeof *tables->pieces);
    tables->heap = tresor__allocate(allocator, count * sizeof *tables->heap);
    if (!tables->pieces || !tables->heap)
        return false;
    memcpy(tables->pieces, slot->pieces, slot->source.model.piece_count * sizeof *tables->pieces);
    return true;
}

/* Groups that name what is split. */
static int32_t make_groups(const struct tresor__slot *slot, struct tables *tables)
{
    if (slot->group_count == 0)
        return TRESOR_OK;
    tables->groups = tresor__allocate(&slot->source.model.allocator,
                                      slot->group_count * sizeof(struct tresor__group *));
    if (!tables->groups)
        return TRESOR_ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < slot->group_count; i++) {
        const struct tresor__group *group =
            atomic_load_explicit(&slot->groups[i], memory_order_relaxed);
        uint64_t count = tresor__groups_measure(group, &tables->model);
        if (count > UINT32_MAX)
            return TRESOR_ERROR_LIMIT;
        if (count == group->count)
            continue;
        tables->groups[i] = tresor__groups_split(group, &tables->model, (uint32_t)count);
        if (!tables->groups[i])
            return TRESOR_ERROR_NO_MEMORY;
    }
    return TRESOR_OK;
}

static int32_t make_tables(const struct tresor__slot *slot, const uint32_t *tensors, size_t count,
                           struct tables *tables)
{
    int32_t code = tresor__model_split(&slot->source.model, tensors, count, &tables->model);
    if (code == TRESOR_OK && !make_pieces(slot, tables))
        code = TRESOR_ERROR_NO_MEMORY;
    return code == TRESOR_OK ? make_groups(slot, tables) : code;
}

static void swap_groups(struct tresor__slot *slot, struct tables *tables)
{
    for (uint32_t i = 0; i < slot->group_count; i++)
        if (tables->groups[i])
            tables->groups[i] = atomic_exchange(&slot->groups[i], tables->groups[i]);
}

static void swap(struct tresor__slot *slot, struct tables *tables)
{
    struct tresor__piece *pieces = slot->pieces;
    uint32_t *heap = slot->ranking.heap;
    uint32_t count = slot->source.model.piece_count;
    tresor__model_split_swap(&slot->source.model, &tables->model);
    for (uint32_t i = count; i < tables->piece_count; i++)
        tresor__slot_make_piece(slot, tables->pieces, i);
    slot->pieces = tables->pieces;
    slot->ranking = (struct tresor__ranking){
        .pieces = tables->pieces, .heap = tables->heap, .capacity = tables->piece_count};
    tables->pieces = pieces;
    tables->heap = heap;
    tables->piece_count = count;
    swap_groups(slot, tables);
}

/* Words for the slices come first, for that may fail; who acquires a split tensor is told to look for them. */
static int32_t swap_paused(const struct tresor__controller *controller, struct tresor__slot *slot,
                           const uint32_t *tensors, size_t count, struct tables *tables)
{
    int32_t code = tresor__pins_extend(slot, &controller->allocator, tables->piece_count);
    if (code == TRESOR_OK) {
        swap(slot, tables);
        for (size_t i = 0; i < count; i++)
            tresor__pins_split(slot, tensors[i]);
    }
    tresor__gate_resume(slot);
    return code;
}

static void free_tables(const struct tresor__slot *slot, struct tables *tables)
{
    const struct tresor_allocator *allocator = &slot->source.model.allocator;
    for (uint32_t i = 0; tables->groups && i < slot->group_count; i++)
        tresor__groups_free(allocator, tables->groups[i]);
    tresor__free(allocator, tables->groups, slot->group_count * sizeof(struct tresor__group *));
    tresor__free(allocator, tables->pieces, tables->piece_count * sizeof *tables->pieces);
    tresor__free(allocator, tables->heap, tables->piece_count * sizeof *tables->heap);
    tresor__model_split_free(&tables->model);
}

int32_t tresor__split(struct tresor__controller *controller, struct tresor__slot *slot,
                      const uint32_t *tensors, size_t count)
{
    struct tables tables = {0};
    if (!is_idle(controller, slot))
        return TRESOR_ERROR_BUSY;
    int32_t code = make_tables(slot, tensors, count, &tables);
    if (code == TRESOR_OK && !tresor__gate_pause(slot))
        code = TRESOR_ERROR_BUSY;
    else if (code == TRESOR_OK)
        code = swap_paused(controller, slot, tensors, count, &tables);
    free_tables(slot, &tables);
    return code;
}
