/* SPDX-License-Identifier: MIT */
#include "tensor/slot.h"

#include <errno.h>
#include <string.h>

#include "core/handle.h"
#include "tensor/groups.h"
#include "tensor/pins.h"

int64_t tresor__slot_parse(void *argument)
{
    struct tresor__slot *slot = argument;
    return tresor__model_parse(&slot->source.model);
}

int64_t tresor__slot_decode(void *argument)
{
    struct tresor__slot *slot = argument;
    return tresor__model_decode(&slot->source.model);
}

void tresor__slot_make_piece(const struct tresor__slot *slot, struct tresor__piece *pieces,
                             uint32_t index)
{
    const struct tresor__model *model = &slot->source.model;
    pieces[index] = (struct tresor__piece){
        .tensor = {.source = slot->source.index},
        .index = index,
        .file = tresor__model_file_of(model, index),
        .offset_bytes = tresor__model_offset(model, index),
        .size_bytes = tresor__model_size(model, index),
        .first_wait = TRESOR_NONE,
        .last_wait = TRESOR_NONE,
        .rank = TRESOR_NONE,
        .plan_entry = TRESOR_NONE,
    };
}

static bool make_tables(struct tresor__slot *slot, uint32_t count)
{
    const struct tresor_allocator *allocator = &slot->source.model.allocator;
    slot->groups = tresor__allocate(allocator, TRESOR__GROUPS_MAX * sizeof *slot->groups);
    if (!slot->groups || count == 0)
        return slot->groups != NULL;
    slot->pieces = tresor__allocate(allocator, count * sizeof *slot->pieces);
    slot->ranking = (struct tresor__ranking){
        .pieces = slot->pieces,
        .heap = tresor__allocate(allocator, count * sizeof *slot->ranking.heap),
        .capacity = count,
    };
    return slot->pieces && slot->ranking.heap &&
           tresor__pins_start(slot, allocator, count) == TRESOR_OK;
}

int64_t tresor__slot_index(void *argument)
{
    struct tresor__slot *slot = argument;
    struct tresor__model *model = &slot->source.model;
    uint32_t count = model->directory.entry_count;
    tresor__model_index(model);
    if (model->parsed.status != TRESOR__PARSE_DONE)
        return 0;
    if (count > TRESOR__TENSORS_MAX) {
        model->parsed.status = TRESOR__PARSE_FAILED;
        model->parsed.error = (struct tresor_error){.code = TRESOR_ERROR_LIMIT,
                                                    .file = TRESOR_NONE,
                                                    .tensor = TRESOR_NONE,
                                                    .wanted = count,
                                                    .got = TRESOR__TENSORS_MAX};
        return 0;
    }
    if (!make_tables(slot, count))
        return -ENOMEM;
    slot->tensor_bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        tresor__slot_make_piece(slot, slot->pieces, i);
        slot->tensor_bytes += slot->pieces[i].size_bytes;
    }
    return 0;
}

static void keep_text(char *place, size_t size_bytes, const char *text)
{
    size_t length = strlen(text);
    size_t skip =
        length < size_bytes ? 0 : length - (size_bytes - 1); /* the end of a path tells most */
    memcpy(place, text + skip, length - skip + 1);
}

/* A failed open frees everything, but its error shall still name the file and the tensor. */
static void keep_last(struct tresor__slot *slot)
{
    const struct tresor_error *error = &slot->source.error;
    const struct tresor__model *model = &slot->source.model;
    slot->last_path[0] = '\0';
    slot->last_tensor[0] = '\0';
    if (error->code == TRESOR_OK)
        return;
    if (error->file < model->file_total && model->files[error->file].path)
        keep_text(slot->last_path, sizeof slot->last_path, model->files[error->file].path);
    if (error->tensor < model->directory.entry_count)
        keep_text(slot->last_tensor, sizeof slot->last_tensor,
                  model->directory.strings + model->directory.entries[error->tensor].name_offset);
}

int64_t tresor__slot_free(void *argument)
{
    struct tresor__slot *slot = argument;
    keep_last(slot);
    struct tresor_allocator allocator = slot->source.model.allocator;
    size_t count = slot->source.model.piece_count;
    for (uint32_t i = 0; i < slot->group_count; i++) {
        tresor__groups_free(&allocator, atomic_load_explicit(&slot->groups[i], memory_order_relaxed));
    }
    tresor__free(&allocator, slot->groups, TRESOR__GROUPS_MAX * sizeof *slot->groups);
    tresor__free(&allocator, slot->pieces, count * sizeof *slot->pieces);
    tresor__free(&allocator, slot->ranking.heap, slot->ranking.capacity * sizeof *slot->ranking.heap);
    slot->ranking = (struct tresor__ranking){0};
    tresor__pins_clear(slot);
    slot->groups = NULL;
    slot->group_count = 0;
    slot->pieces = NULL;
    tresor__model_free(&slot->source.model);
    return 0;
}
