/* SPDX-License-Identifier: MIT */
/* Tensors that are split, their slices, and items of several. */
#include <fnmatch.h>

#include "context.h"
#include "core/handle.h"
#include "requests.h"
#include "source/model_split.h"
#include "tensor/groups.h"
#include "tensor/split.h"

int32_t tresor_split(struct tresor_context *context, struct tresor_source source,
                     const uint32_t *tensors, size_t count)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    if (count == 0)
        return TRESOR_OK;
    return tensors ? tresor__split(&context->controller, slot, tensors, count)
                   : TRESOR_ERROR_INVALID;
}

static bool is_chosen(const struct tresor__model *model, const char *pattern, uint32_t tensor)
{
    const struct tresor__directory *directory = &model->directory;
    return tresor__model_splittable(model, tensor) > 0 &&
           fnmatch(pattern, directory->strings + directory->entries[tensor].name_offset, 0) == 0;
}

int32_t tresor_split_pattern(struct tresor_context *context, struct tresor_source source,
                             const char *pattern)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    if (!pattern)
        return TRESOR_ERROR_INVALID;
    const struct tresor__model *model = &slot->source.model;
    uint32_t tensors = model->directory.entry_count;
    size_t bytes = tensors * sizeof(uint32_t);
    uint32_t count = 0;
    if (tensors == 0)
        return TRESOR_ERROR_NOT_FOUND;
    uint32_t *list = tresor__allocate(&model->allocator, bytes);
    if (!list)
        return TRESOR_ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < tensors; i++)
        if (is_chosen(model, pattern, i))
            list[count++] = i;
    code =
        count > 0 ? tresor__split(&context->controller, slot, list, count) : TRESOR_ERROR_NOT_FOUND;
    tresor__free(&model->allocator, list, bytes);
    return code;
}

/* The piece of a slice; TRESOR_NONE where there is none. */
static uint32_t piece_of(const struct tresor__model *model, uint32_t tensor, uint32_t slice)
{
    bool is_split = tensor < model->directory.entry_count && model->splits &&
                    slice < model->splits[tensor].count;
    return is_split ? model->splits[tensor].first + slice : TRESOR_NONE;
}

int32_t tresor_source_get_slice(struct tresor_context *context, struct tresor_source source,
                                uint32_t tensor, uint32_t slice, struct tresor_slice_info *info)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    const struct tresor__model *model = &slot->source.model;
    uint32_t piece = piece_of(model, tensor, slice);
    if (piece == TRESOR_NONE)
        return TRESOR_ERROR_INVALID;
    struct tresor_slice_info known = {
        .tensor = tensor,
        .slice = slice,
        .slice_count = model->splits[tensor].count,
        .file = tresor__model_file_of(model, piece),
        .offset_bytes = tresor__model_offset(model, piece),
        .slice_bytes = tresor__model_size(model, piece),
        .address = tresor__model_address(model, piece),
    };
    return tresor__info_copy(info, &known, sizeof known);
}

int32_t tresor_item_of_slice(struct tresor_context *context, struct tresor_source source,
                             uint32_t tensor, uint32_t slice, struct tresor_item *item)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    uint32_t piece = piece_of(&slot->source.model, tensor, slice);
    if (!item || piece == TRESOR_NONE)
        return TRESOR_ERROR_INVALID;
    item->value = tresor__items_of_piece(slot, piece);
    return TRESOR_OK;
}

/* All of one source; how many pieces they have. */
static int32_t count_pieces(struct tresor_context *context, const struct tresor_item *items,
                            size_t count, struct tresor__slot **slot, uint64_t *pieces)
{
    int32_t code = tresor__items_find(context, items, count, slot);
    if (code != TRESOR_OK)
        return code;
    for (size_t i = 0; i < count; i++)
        *pieces += tresor__items_count(*slot, items[i].value);
    return *pieces > UINT32_MAX || (*slot)->group_count == TRESOR__GROUPS_MAX ? TRESOR_ERROR_LIMIT
                                                                              : TRESOR_OK;
}

int32_t tresor_item_of_items(struct tresor_context *context, const struct tresor_item *items,
                             size_t count, struct tresor_item *item)
{
    struct tresor__slot *slot = NULL;
    uint64_t pieces = 0;
    int32_t code = tresor__context_enter(context);
    if (code == TRESOR_OK && !item)
        code = TRESOR_ERROR_INVALID;
    if (code == TRESOR_OK)
        code = count_pieces(context, items, count, &slot, &pieces);
    if (code != TRESOR_OK)
        return code;
    struct tresor__group *group =
        tresor__groups_make(&slot->source.model.allocator, (uint32_t)pieces);
    if (!group)
        return TRESOR_ERROR_NO_MEMORY;
    uint32_t put = 0;
    for (size_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < tresor__items_count(slot, items[i].value); k++)
            group->pieces[put++] = tresor__items_piece(slot, items[i].value, k);
    item->value = tresor__groups_add(slot, group);
    return TRESOR_OK;
}

int32_t tresor_item_get_piece(struct tresor_context *context, struct tresor_item item,
                              uint32_t position, uint32_t *tensor, uint32_t *slice)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__item_find(context, item, &slot);
    if (code != TRESOR_OK)
        return code;
    if (position >= tresor__items_count(slot, item.value))
        return TRESOR_ERROR_INVALID;
    const struct tresor__model *model = &slot->source.model;
    uint32_t piece = tresor__items_piece(slot, item.value, position);
    const struct tresor__slice *part = tresor__model_slice(model, piece);
    if (tensor)
        *tensor = tresor__model_tensor(model, piece);
    if (slice)
        *slice = part ? part->number : TRESOR_NONE;
    return TRESOR_OK;
}
