/* SPDX-License-Identifier: MIT */
#include "tensor/groups.h"

#include "core/handle.h"

static size_t bytes_of(uint32_t count)
{
    return sizeof(struct tresor__group) + count * sizeof(uint32_t);
}

struct tresor__group *tresor__groups_make(const struct tresor_allocator *allocator, uint32_t count)
{
    struct tresor__group *group = tresor__allocate(allocator, bytes_of(count));
    if (group)
        group->count = count;
    return group;
}

void tresor__groups_free(const struct tresor_allocator *allocator, struct tresor__group *group)
{
    if (group)
        tresor__free(allocator, group, bytes_of(group->count));
}

void tresor__groups_put(const struct tresor__model *model, struct tresor__group *group,
                        uint32_t *count, uint32_t tensor)
{
    uint32_t first = tresor__model_first_piece(model, tensor);
    for (uint32_t i = 0; i < tresor__model_pieces_of(model, tensor); i++)
        group->pieces[(*count)++] = first + i;
}

uint64_t tresor__groups_add(struct tresor__slot *slot, struct tresor__group *group)
{
    uint32_t index = slot->group_count++;
    for (uint32_t i = 0; i < group->count; i++)
        group->tensor_bytes += slot->pieces[group->pieces[i]].size_bytes;
    atomic_store_explicit(&slot->groups[index], group, memory_order_release);
    return tresor__handle_of_item(TRESOR__KIND_ITEM_GROUP, slot->source.index, index,
                                  slot->generation);
}

static bool is_tensor(const struct tresor__model *model, uint32_t piece)
{
    return piece < model->directory.entry_count;
}

uint64_t tresor__groups_measure(const struct tresor__group *group,
                                const struct tresor__model *model)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < group->count; i++)
        count += is_tensor(model, group->pieces[i])
                     ? tresor__model_pieces_of(model, group->pieces[i])
                     : 1;
    return count;
}

struct tresor__group *tresor__groups_split(const struct tresor__group *group,
                                           const struct tresor__model *model, uint32_t count)
{
    struct tresor__group *made = tresor__groups_make(&model->allocator, count);
    uint32_t put = 0;
    if (!made)
        return NULL;
    made->tensor_bytes = group->tensor_bytes;
    for (uint32_t i = 0; i < group->count; i++) {
        if (is_tensor(model, group->pieces[i]))
            tresor__groups_put(model, made, &put, group->pieces[i]);
        else
            made->pieces[put++] = group->pieces[i];
    }
    return made;
}
