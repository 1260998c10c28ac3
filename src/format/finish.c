/* SPDX-License-Identifier: MIT */
/* What concerns tensors together, once every file of a source is parsed. */
#include "format/format.h"

#include "format/order.h"
#include "format/tmai.h"

static int32_t fail(struct tresor_error *error, struct tresor_error cause)
{
    *error = cause;
    return cause.code;
}

static int32_t fail_entry(struct tresor_error *error, int32_t code,
                          const struct tresor__directory *directory, uint32_t tensor,
                          uint64_t wanted, uint64_t got)
{
    const struct tresor__entry *entry = &directory->entries[tensor];
    return fail(error, (struct tresor_error){.code = code,
                                             .file = entry->file,
                                             .tensor = tensor,
                                             .offset = entry->offset_bytes,
                                             .wanted = wanted,
                                             .got = got});
}

static int32_t check_ends(const struct tresor__directory *directory, const uint64_t *sizes,
                          struct tresor_error *error)
{
    for (uint32_t i = 0; i < directory->entry_count; i++) {
        const struct tresor__entry *entry = &directory->entries[i];
        const uint64_t size = sizes[entry->file];
        const uint64_t got = size > entry->offset_bytes ? size - entry->offset_bytes : 0;
        if (entry->size_bytes > got)
            return fail_entry(error, TRESOR_ERROR_TRUNCATED, directory, i, entry->size_bytes, got);
    }
    return TRESOR_OK;
}

static bool stands_before(const void *cookie, uint32_t first, uint32_t second)
{
    const struct tresor__directory *directory = cookie;
    const struct tresor__entry *a = &directory->entries[first], *b = &directory->entries[second];
    return a->file != b->file ? a->file < b->file : a->offset_bytes < b->offset_bytes;
}

/* Writers can share bytes between tensors on purpose: overlaps are counted, and refused by safetensors alone. */
static int32_t count_overlaps(struct tresor__directory *directory, struct tresor_error *error)
{
    uint32_t *order = NULL;
    int32_t code = tresor__order_make(&directory->allocator, directory->entry_count, stands_before,
                                      directory, &order);
    if (code)
        return fail(
            error, (struct tresor_error){.code = code, .file = TRESOR_NONE, .tensor = TRESOR_NONE});
    uint64_t end = 0;
    uint32_t file = TRESOR_NONE;
    directory->overlap_count = 0;
    for (uint32_t i = 0; i < directory->entry_count; i++) {
        const struct tresor__entry *entry = &directory->entries[order[i]];
        if (!entry->size_bytes)
            continue;
        if (entry->file != file)
            end = 0;
        file = entry->file;
        directory->overlap_count += entry->offset_bytes < end;
        if (entry->offset_bytes + entry->size_bytes > end)
            end = entry->offset_bytes + entry->size_bytes;
    }
    tresor__order_free(&directory->allocator, order, directory->entry_count);
    return TRESOR_OK;
}

/* "The byte buffer needs to be entirely indexed, and cannot contain holes" (README of safetensors).
 */
static int32_t check_cover(const struct tresor__directory *directory, uint32_t file, uint64_t size,
                           struct tresor_error *error)
{
    const struct tresor__directory_file *span = &directory->files[file];
    uint64_t end = span->data_offset;
    for (uint32_t i = 0; i < span->entry_count; i++) {
        /* The parser has put them in order of offset. */
        const struct tresor__entry *entry = &directory->entries[span->first_entry + i];
        if (entry->offset_bytes != end)
            return fail_entry(error, TRESOR_ERROR_MALFORMED, directory, span->first_entry + i, end,
                              entry->offset_bytes);
        end += entry->size_bytes;
    }
    if (end == size)
        return TRESOR_OK;
    return fail(error, (struct tresor_error){.code = TRESOR_ERROR_MALFORMED,
                                             .file = file,
                                             .tensor = TRESOR_NONE,
                                             .offset = end,
                                             .wanted = end,
                                             .got = size});
}

/* Layers may be put at pages, in any order; what lies between is padding, and nobody shares a byte. */
static int32_t check_gaps(const struct tresor__directory *directory, const uint32_t *order,
                          uint64_t size, struct tresor_error *error)
{
    uint64_t end = directory->files[0].data_offset;
    for (uint32_t i = 0; i < directory->entry_count; i++) {
        const struct tresor__entry *entry = &directory->entries[order[i]];
        if (entry->offset_bytes < end || entry->offset_bytes - end > TRESOR__TMAI_PADDING_MAX)
            return fail_entry(error, TRESOR_ERROR_MALFORMED, directory, order[i], end,
                              entry->offset_bytes);
        end = entry->offset_bytes + entry->size_bytes;
    }
    if (size - end <= TRESOR__TMAI_PADDING_MAX)
        return TRESOR_OK;
    return fail(error, (struct tresor_error){.code = TRESOR_ERROR_MALFORMED,
                                             .tensor = TRESOR_NONE,
                                             .offset = end,
                                             .wanted = end,
                                             .got = size});
}

static int32_t check_layers(const struct tresor__directory *directory, uint64_t size,
                            struct tresor_error *error)
{
    uint32_t *order = NULL;
    int32_t code = tresor__order_make(&directory->allocator, directory->entry_count, stands_before,
                                      directory, &order);
    if (code)
        return fail(
            error, (struct tresor_error){.code = code, .file = TRESOR_NONE, .tensor = TRESOR_NONE});
    code = check_gaps(directory, order, size, error);
    tresor__order_free(&directory->allocator, order, directory->entry_count);
    return code;
}

static int32_t check_shards(const struct tresor__directory *directory, struct tresor_error *error)
{
    for (uint32_t i = 0; i < directory->shard_tensor_count; i++) {
        const struct tresor__shard_tensor *promised = &directory->shard_tensors[i];
        const uint32_t found = tresor__directory_find(
            directory, directory->strings + promised->name_offset, promised->name_length);
        const uint32_t file = found == TRESOR_NONE ? TRESOR_NONE : directory->entries[found].file;
        if (file != promised->shard)
            return fail(error, (struct tresor_error){.code = TRESOR_ERROR_SHARD,
                                                     .file = promised->shard,
                                                     .tensor = found,
                                                     .wanted = i,
                                                     .got = file});
    }
    return TRESOR_OK;
}

static int32_t check_count(const struct tresor__directory *directory, uint32_t file_count,
                           struct tresor_error *error)
{
    int32_t code = TRESOR_OK;
    uint32_t wanted = directory->file_count;
    if (directory->shard_count && directory->shard_count != directory->file_count) {
        code = TRESOR_ERROR_SHARD;
        wanted = directory->shard_count;
    } else if (file_count != directory->file_count) {
        code = TRESOR_ERROR_INVALID;
    }
    return fail(error, (struct tresor_error){.code = code,
                                             .file = TRESOR_NONE,
                                             .tensor = TRESOR_NONE,
                                             .wanted = wanted,
                                             .got = file_count});
}

int32_t tresor__directory_finish(struct tresor__directory *directory, uint32_t format,
                                 const uint64_t *file_sizes_bytes, uint32_t file_count,
                                 struct tresor_error *error)
{
    int32_t code = check_count(directory, file_count, error);
    if (!code)
        code = check_ends(directory, file_sizes_bytes, error);
    if (!code && format == TRESOR__FORMAT_TMAI)
        return check_layers(directory, file_sizes_bytes[0], error);
    if (!code && format != TRESOR__FORMAT_SAFETENSORS)
        return count_overlaps(directory, error);
    for (uint32_t i = 0; !code && i < file_count; i++)
        code = check_cover(directory, i, file_sizes_bytes[i], error);
    return code ? code : check_shards(directory, error);
}
