/* SPDX-License-Identifier: MIT */
#include "source/model.h"

#include <errno.h>
#include <string.h>

#include "source/model_tables.h"
#include "source/shards.h"

static const struct tresor__model_file closed_file = {.descriptor = -1, .direct_descriptor = -1};

static char *copy_path(const struct tresor_allocator *allocator, const char *folder,
                       size_t folder_bytes, const char *name, uint32_t *path_bytes)
{
    size_t name_bytes = strlen(name) + 1;
    char *path = tresor__allocate(allocator, folder_bytes + name_bytes);
    if (!path)
        return NULL;
    memcpy(path, folder, folder_bytes);
    memcpy(path + folder_bytes, name, name_bytes);
    *path_bytes = (uint32_t)(folder_bytes + name_bytes);
    return path;
}

/* What is the library's from the beginning is given back whatever becomes of the open. */
static int handed_over(const struct tresor__origin *origin)
{
    if (!tresor__origin_has_file(origin))
        return TRESOR__NO_DESCRIPTOR;
    return origin->is_owned ? origin->descriptor : -1;
}

int32_t tresor__model_init(struct tresor__model *model, const struct tresor_allocator *allocator,
                           struct tresor__io *io, uint16_t source, const uint64_t hash_key[2],
                           const struct tresor__origin *origin, const char *path)
{
    *model = (struct tresor__model){.allocator = *allocator, .io = io, .source = source};
    model->files = tresor__allocate(allocator, sizeof *model->files);
    if (!model->files)
        return TRESOR_ERROR_NO_MEMORY;
    model->max_decoded_bytes = TRESOR__MAX_DECODED_BYTES;
    model->max_ratio = TRESOR__MAX_RATIO;
    model->file_count = 1;
    model->file_total = 1;
    model->files[0] = closed_file;
    model->files[0].origin = *origin;
    model->files[0].descriptor = handed_over(origin);
    model->is_mappable = tresor__origin_is_mappable(origin, io->page_bytes);
    model->files[0].path = copy_path(allocator, "", 0, path, &model->files[0].path_bytes);
    if (!model->files[0].path) {
        tresor__free(allocator, model->files, sizeof *model->files);
        return TRESOR_ERROR_NO_MEMORY;
    }
    tresor__directory_init(&model->directory, allocator, hash_key);
    return TRESOR_OK;
}

void tresor__model_free(struct tresor__model *model)
{
    const struct tresor_allocator *allocator = &model->allocator;
    for (uint32_t i = 0; i < model->file_total; i++) {
        tresor__decoder_close(model->files[i].held.decoder);
        tresor__free(allocator, model->files[i].path, model->files[i].path_bytes);
    }
    tresor__free(allocator, model->files, model->file_total * sizeof *model->files);
    tresor__free(allocator, model->guard_replaced, model->guard_words * sizeof *model->guard_replaced);
    tresor__free(allocator, model->guard_heard, model->guard_words * sizeof *model->guard_heard);
    tresor__model_free_tables(model);
    tresor__directory_free(&model->directory);
    *model = (struct tresor__model){0};
}

uint32_t tresor__model_next_plain(const struct tresor__model *model, uint32_t from)
{
    while (from < model->file_count && tresor__model_is_held(&model->files[from]))
        from++;
    return from;
}

struct tresor__model_file *tresor__model_range_holder(const struct tresor__model *model)
{
    for (uint32_t i = 0; i < model->file_total; i++)
        if (model->files[i].window || model->files[i].header)
            return &model->files[i];
    return NULL;
}

struct tresor__model_file *tresor__model_descriptor_holder(const struct tresor__model *model)
{
    for (uint32_t i = 0; i < model->file_total; i++)
        if (model->files[i].descriptor >= 0 || model->files[i].direct_descriptor >= 0)
            return &model->files[i];
    return NULL;
}

int32_t tresor__model_open_code(const struct tresor__model *model, int32_t os_errno)
{
    switch (os_errno) {
    case ENOENT:
    case ENOTDIR:
        return model->file_total > 1 ? TRESOR_ERROR_SHARD : TRESOR_ERROR_NOT_FOUND;
    case ELOOP:
    case ENAMETOOLONG:
        return TRESOR_ERROR_NOT_FOUND;
    case EBADF: /* a host's descriptor */
        return TRESOR_ERROR_INVALID;
    case EISDIR:
    case EINVAL:
    case ENXIO:
        return TRESOR_ERROR_NOT_REGULAR;
    default:
        return tresor__failure_of(TRESOR_ERROR_IO, os_errno, 0, 0, 0).code;
    }
}

static void fail(struct tresor__model *model, int32_t code, uint64_t wanted, uint64_t got)
{
    model->parsed.status = TRESOR__PARSE_FAILED;
    model->parsed.error = (struct tresor_error){
        .code = code, .file = model->file, .tensor = TRESOR_NONE, .wanted = wanted, .got = got};
}

/* Room for `count` files; with `keep` the opened one is the first, else it stands behind the last.
 */
static bool grow_files(struct tresor__model *model, uint32_t count, bool keep)
{
    uint32_t total = keep ? count : count + 1;
    struct tresor__model_file *files = tresor__reallocate(
        &model->allocator, model->files, model->file_total * sizeof *files, total * sizeof *files);
    if (!files)
        return false;
    model->files = files;
    model->file_count = count;
    model->file_total = total;
    for (uint32_t i = 1; i < total; i++)
        files[i] = closed_file;
    if (!keep) {
        files[total - 1] = files[0];
        files[0] = closed_file;
        model->file = total - 1;
        model->is_other_first = true;
    }
    return true;
}

/* All shards of a GGUF set, whichever of them was opened. */
static void list_gguf(struct tresor__model *model)
{
    uint32_t index = 0;
    uint32_t count = 0;
    uint32_t split_count = model->parsed.split_count;
    bool is_first = model->parsed.split_index == 0;
    if (!tresor__shards_parse(model->files[0].path, &index, &count) || count != split_count ||
        index != model->parsed.split_index) {
        fail(model, TRESOR_ERROR_SHARD, split_count, count);
        return;
    }
    if (!grow_files(model, count, is_first)) {
        fail(model, TRESOR_ERROR_NO_MEMORY, 0, 0);
        return;
    }
    const char *opened = model->files[model->file].path;
    for (uint32_t i = is_first ? 1 : 0; i < count; i++) {
        struct tresor__model_file *file = &model->files[i];
        file->path = copy_path(&model->allocator, "", 0, opened, &file->path_bytes);
        if (!file->path) {
            fail(model, TRESOR_ERROR_NO_MEMORY, 0, 0);
            return;
        }
        tresor__shards_write(file->path, i, count);
    }
    if (is_first)
        return;
    struct tresor_allocator allocator = model->directory.allocator;
    uint64_t key[2] = {model->directory.hash_key[0], model->directory.hash_key[1]};
    tresor__directory_free(&model->directory);
    tresor__directory_init(&model->directory, &allocator, key);
}

/* The files that a safetensors index or a layout names, in its own folder. */
static void list_named(struct tresor__model *model)
{
    uint32_t count = model->directory.shard_count;
    if (count == 0 || count > TRESOR__FILES_MAX) {
        fail(model, TRESOR_ERROR_SHARD, TRESOR__FILES_MAX, count);
        return;
    }
    if (!grow_files(model, count, false)) {
        fail(model, TRESOR_ERROR_NO_MEMORY, 0, 0);
        return;
    }
    const char *opened = model->files[model->file].path;
    size_t folder_bytes = tresor__shards_folder(opened);
    for (uint32_t i = 0; i < count; i++) {
        struct tresor__model_file *file = &model->files[i];
        file->path = copy_path(&model->allocator, opened, folder_bytes,
                               model->directory.shard_names[i], &file->path_bytes);
        if (!file->path) {
            fail(model, TRESOR_ERROR_NO_MEMORY, 0, 0);
            return;
        }
    }
}

/* Other files lie beside the one that was opened, and are whole files as it is, neither a part of one nor compressed. */
static bool has_folder(const struct tresor__model *model)
{
    const struct tresor__origin *origin = &model->files[model->file].origin;
    return origin->kind == TRESOR_ORIGIN_PATH && origin->offset_bytes == 0 &&
           origin->length_bytes == 0 && !tresor__model_is_held(&model->files[model->file]);
}

/* The opened file tells what the source is; every other file must be what the first one says. */
static void end_of_header(struct tresor__model *model)
{
    bool is_opened_one = model->format == TRESOR__FORMAT_UNKNOWN;
    bool names_others = model->parsed.format == TRESOR__FORMAT_SAFETENSORS_INDEX ||
                        model->parsed.format == TRESOR__FORMAT_LAYOUT ||
                        model->parsed.split_count > 1;
    if (is_opened_one && names_others && !has_folder(model)) {
        fail(model, TRESOR_ERROR_UNSUPPORTED, 0, 0);
    } else if (is_opened_one && model->parsed.format == TRESOR__FORMAT_SAFETENSORS_INDEX) {
        model->format = TRESOR__FORMAT_SAFETENSORS;
        list_named(model);
    } else if (is_opened_one && model->parsed.format == TRESOR__FORMAT_LAYOUT) {
        model->format = TRESOR__FORMAT_LAYOUT;
        list_named(model);
    } else if (is_opened_one) {
        model->format = model->parsed.format;
        if (model->parsed.split_count > 1)
            list_gguf(model);
    } else if (model->parsed.format != model->format) {
        fail(model, TRESOR_ERROR_SHARD, model->format, model->parsed.format);
    } else if (model->format == TRESOR__FORMAT_GGUF &&
               (model->parsed.split_count != model->file_count ||
                model->parsed.split_index != model->file)) {
        fail(model, TRESOR_ERROR_SHARD, model->file, model->parsed.split_index);
    }
}

int64_t tresor__model_parse(struct tresor__model *model)
{
    const struct tresor__model_file *file = &model->files[model->file];
    struct tresor__parse_input input = {
        .bytes = tresor__model_header(file),
        .have_bytes = tresor__model_is_held(file) ? file->held.made_bytes : file->header_have_bytes,
        .file_size_bytes = tresor__model_file_bytes(file),
        .file = model->file,
        .name = file->path + tresor__shards_folder(file->path),
    };
    if (model->format == TRESOR__FORMAT_LAYOUT)
        model->parser.format = TRESOR__FORMAT_LAYOUT;
    if (tresor__model_find_compression(model))
        return 0;
    tresor__parse(&model->parser, &input, &model->directory, &model->parsed);
    if (model->parsed.status == TRESOR__PARSE_DONE)
        end_of_header(model);
    return 0;
}
