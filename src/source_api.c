/* SPDX-License-Identifier: MIT */
/* The directory of an open source. */
#include <string.h>

#include "context.h"
#include "core/handle.h"
#include "requests.h"

int32_t tresor__source_find(struct tresor_context *context, struct tresor_source source,
                            struct tresor__slot **slot)
{
    int32_t code = tresor__context_enter(context);
    if (code != TRESOR_OK)
        return code;
    if (tresor__handle_kind(source.value) != TRESOR__KIND_SOURCE)
        return TRESOR_ERROR_STALE;
    return tresor__items_slot(&context->controller, source.value, slot);
}

int32_t tresor_source_close(struct tresor_context *context, struct tresor_source source,
                            uint64_t cookie, struct tresor_request *request)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    if (!request)
        return TRESOR_ERROR_INVALID;
    if (context->controller.free_request == TRESOR_NONE)
        return TRESOR_ERROR_AGAIN;
    struct tresor__request *made =
        tresor__requests_take(&context->controller, TRESOR_VERB_CLOSE, slot->source.index);
    made->cookie = cookie;
    made->total = 1;
    slot->request = made->index;
    *request = tresor__requests_submit(context, made);
    return TRESOR_OK;
}

int32_t tresor_source_check(struct tresor_context *context, struct tresor_source source,
                            uint64_t cookie, struct tresor_request *request)
{
    struct tresor__controller *controller = &context->controller;
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    if (!request)
        return TRESOR_ERROR_INVALID;
    if (controller->free_request == TRESOR_NONE)
        return TRESOR_ERROR_AGAIN;
    struct tresor__request *made =
        tresor__requests_take(controller, TRESOR_VERB_CHECK, slot->source.index);
    made->cookie = cookie;
    made->total = 1;
    struct tresor__check *check = &controller->checks[made->index];
    check->source = slot->source.index;
    check->model = &slot->source.model;
    *request = tresor__requests_submit(context, made);
    return TRESOR_OK;
}

int32_t tresor_source_get_info(struct tresor_context *context, struct tresor_source source,
                               struct tresor_source_info *info)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    const struct tresor__model *model = &slot->source.model;
    struct tresor_source_info known = {
        .format = tresor__format_name(model->format),
        .version = model->directory.version,
        .shape_order = model->directory.shape_order,
        .alignment_bytes = model->directory.alignment_bytes,
        .tensor_count = model->directory.entry_count,
        .metadata_count = model->directory.metadata_count,
        .file_count = model->file_count,
        .overlap_count = model->directory.overlap_count,
        .tensor_bytes = slot->tensor_bytes,
    };
    return tresor__info_copy(info, &known, sizeof known);
}

int32_t tresor_source_get_file(struct tresor_context *context, struct tresor_source source,
                               uint32_t index, struct tresor_file_info *info)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    if (index >= slot->source.model.file_count)
        return TRESOR_ERROR_INVALID;
    const struct tresor__model_file *file = &slot->source.model.files[index];
    struct tresor_file_info known = {
        .path = file->path,
        .file_bytes = tresor__model_file_bytes(file),
        .window = file->window,
        .window_bytes = file->window_bytes,
        .direct = file->io.direct.is_open,
        .direct_errno = file->io.direct.os_errno,
        .direct_alignment_bytes = file->io.direct.facts.alignment_bytes,
        .origin = file->origin.kind,
        .offset_bytes = file->origin.offset_bytes,
        .is_mappable = slot->source.model.is_mappable,
        .compression = file->held.compression,
        .stored_bytes = file->identity.size_bytes,
    };
    return tresor__info_copy(info, &known, sizeof known);
}

int32_t tresor_source_get_tensor(struct tresor_context *context, struct tresor_source source,
                                 uint32_t index, struct tresor_tensor_info *info)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    const struct tresor__directory *directory = &slot->source.model.directory;
    if (index >= directory->entry_count)
        return TRESOR_ERROR_INVALID;
    const struct tresor__entry *entry = &directory->entries[index];
    struct tresor_tensor_info known = {
        .name = directory->strings + entry->name_offset,
        .name_bytes = entry->name_length,
        .dtype = entry->dtype,
        .rank = entry->rank,
        .file = entry->file,
        .offset_bytes = entry->offset_bytes,
        .tensor_bytes = entry->size_bytes,
        .address = tresor__model_address(&slot->source.model, index),
        .slice_count = slot->source.model.splits ? slot->source.model.splits[index].count : 0,
    };
    memcpy(known.shape, entry->shape, sizeof known.shape);
    return tresor__info_copy(info, &known, sizeof known);
}

int32_t tresor_source_get_metadata(struct tresor_context *context, struct tresor_source source,
                                   uint32_t index, struct tresor_metadata_info *info)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    const struct tresor__model *model = &slot->source.model;
    if (index >= model->directory.metadata_count)
        return TRESOR_ERROR_INVALID;
    const struct tresor__metadata *metadata = &model->directory.metadata[index];
    const char *base =
        metadata->in_strings ? model->directory.strings : (const char *)tresor__model_header(&model->files[0]);
    struct tresor_metadata_info known = {
        .key = model->directory.strings + metadata->key_offset,
        .key_bytes = metadata->key_length,
        .type = metadata->type,
        .element_type = metadata->element_type,
        .count = metadata->count,
        .data = base + metadata->offset,
        .data_bytes = metadata->size_bytes,
    };
    return tresor__info_copy(info, &known, sizeof known);
}

int32_t tresor_source_find_tensor(struct tresor_context *context, struct tresor_source source,
                                  const char *name, uint32_t *index)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    if (!name || !index)
        return TRESOR_ERROR_INVALID;
    uint32_t found = tresor__directory_find(&slot->source.model.directory, name, strlen(name));
    if (found == TRESOR_NONE)
        return TRESOR_ERROR_NOT_FOUND;
    *index = found;
    return TRESOR_OK;
}

int32_t tresor_source_find_metadata(struct tresor_context *context, struct tresor_source source,
                                    const char *key, uint32_t *index)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    if (!key || !index)
        return TRESOR_ERROR_INVALID;
    uint32_t found =
        tresor__directory_find_metadata(&slot->source.model.directory, key, strlen(key));
    if (found == TRESOR_NONE)
        return TRESOR_ERROR_NOT_FOUND;
    *index = found;
    return TRESOR_OK;
}
