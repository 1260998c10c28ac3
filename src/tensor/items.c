/* SPDX-License-Identifier: MIT */
/* Items: what a handle of a source, a tensor or a group stands for. */
#include "core/handle.h"
#include "tensor/controller.h"

static const struct tresor__group *group_of(const struct tresor__slot *slot, uint64_t item)
{
    return atomic_load_explicit(&slot->groups[tresor__handle_index(item)], memory_order_acquire);
}

int32_t tresor__items_slot(struct tresor__controller *controller, uint64_t handle,
                           struct tresor__slot **slot)
{
    uint32_t kind = tresor__handle_kind(handle);
    uint32_t source = tresor__handle_source(handle);
    bool is_kind = kind == TRESOR__KIND_SOURCE ||
                   (kind >= TRESOR__KIND_ITEM_SOURCE && kind <= TRESOR__KIND_ITEM_GROUP);
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
        return slot->source.model.directory.entry_count;
    case TRESOR__KIND_ITEM_GROUP:
        return group_of(slot, item)->count;
    default:
        return 1;
    }
}

uint32_t tresor__items_tensor(const struct tresor__slot *slot, uint64_t item, uint32_t position)
{
    switch (tresor__handle_kind(item)) {
    case TRESOR__KIND_ITEM_SOURCE:
        return slot->source.model.order[position];
    case TRESOR__KIND_ITEM_GROUP:
        return group_of(slot, item)->tensors[position];
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
