/* SPDX-License-Identifier: MIT */
/* Items: the pieces that a handle of a source, a tensor, a slice or a group stands for. */
#include "core/handle.h"
#include "tensor/controller.h"

static const struct tresor__group *group_of(const struct tresor__slot *slot, uint64_t item)
{
    return atomic_load_explicit(&slot->groups[tresor__handle_index(item)], memory_order_acquire);
}

int32_t tresor__items_slot(struct tresor__controller *controller, uint64_t handle,
                           struct tresor__slot **slot)
{
    uint32_t source = tresor__handle_source(handle);
    bool is_kind =
        tresor__handle_kind(handle) == TRESOR__KIND_SOURCE || tresor__handle_is_item(handle);
    if (!is_kind || source >= controller->limits.sources)
        return TRESOR_ERROR_STALE;
    *slot = &controller->slots[source];
    if ((*slot)->source.state == SOURCE_FREE ||
        (*slot)->generation != tresor__handle_generation(handle))
        return TRESOR_ERROR_STALE;
    return (*slot)->source.state == SOURCE_READY ? TRESOR_OK : TRESOR_ERROR_BUSY;
}

bool tresor__items_valid(const struct tresor__slot *slot, uint64_t item)
{
    switch (tresor__handle_kind(item)) {
    case TRESOR__KIND_ITEM_SOURCE:
        return true;
    case TRESOR__KIND_ITEM_TENSOR:
        return tresor__handle_index(item) < slot->source.model.directory.entry_count;
    case TRESOR__KIND_ITEM_SLICE:
        return tresor__handle_index(item) >= slot->source.model.directory.entry_count &&
               tresor__handle_index(item) < slot->source.model.piece_count;
    case TRESOR__KIND_ITEM_GROUP:
        return tresor__handle_index(item) < TRESOR__GROUPS_MAX && group_of(slot, item) != NULL;
    default:
        return false;
    }
}

uint32_t tresor__items_count(const struct tresor__slot *slot, uint64_t item)
{
    switch (tresor__handle_kind(item)) {
    case TRESOR__KIND_ITEM_SOURCE:
        return slot->source.model.order_count;
    case TRESOR__KIND_ITEM_TENSOR:
        return tresor__model_pieces_of(&slot->source.model, tresor__handle_index(item));
    case TRESOR__KIND_ITEM_GROUP:
        return group_of(slot, item)->count;
    default:
        return 1;
    }
}

uint32_t tresor__items_piece(const struct tresor__slot *slot, uint64_t item, uint32_t position)
{
    switch (tresor__handle_kind(item)) {
    case TRESOR__KIND_ITEM_SOURCE:
        return slot->source.model.order[position];
    case TRESOR__KIND_ITEM_TENSOR:
        return tresor__model_first_piece(&slot->source.model, tresor__handle_index(item)) + position;
    case TRESOR__KIND_ITEM_GROUP:
        return group_of(slot, item)->pieces[position];
    default:
        return tresor__handle_index(item);
    }
}

uint64_t tresor__items_bytes(const struct tresor__slot *slot, uint64_t item)
{
    switch (tresor__handle_kind(item)) {
    case TRESOR__KIND_ITEM_SOURCE:
        return slot->tensor_bytes;
    case TRESOR__KIND_ITEM_GROUP:
        return group_of(slot, item)->tensor_bytes;
    default:
        return slot->pieces[tresor__handle_index(item)].size_bytes;
    }
}

uint32_t tresor__items_list(const struct tresor__slot *slot, uint64_t item, uint32_t *single,
                            const uint32_t **list)
{
    const struct tresor__model *model = &slot->source.model;
    uint32_t index = tresor__handle_index(item);
    *single = index;
    *list = single;
    switch (tresor__handle_kind(item)) {
    case TRESOR__KIND_ITEM_SOURCE:
        *list = model->splits ? model->order : NULL;
        return model->order_count;
    case TRESOR__KIND_ITEM_TENSOR:
        if (model->splits && model->splits[index].count > 0)
            *list = model->slice_pieces + (model->splits[index].first - model->directory.entry_count);
        return tresor__model_pieces_of(model, index);
    case TRESOR__KIND_ITEM_GROUP: {
        const struct tresor__group *group = group_of(slot, item);
        *list = group->pieces;
        return group->count;
    }
    default:
        return 1;
    }
}

uint64_t tresor__items_of_piece(const struct tresor__slot *slot, uint32_t piece)
{
    bool is_tensor = piece < slot->source.model.directory.entry_count;
    return tresor__handle_of_item(is_tensor ? TRESOR__KIND_ITEM_TENSOR : TRESOR__KIND_ITEM_SLICE,
                                  slot->source.index, piece, slot->generation);
}
