/* SPDX-License-Identifier: MIT */
/*
 * A layout: JSON that says of each tensor in which file beside it, and where in that, its bytes are, for formats that the
 * library does not know:
 *
 *   {"tresor_layout": 1, "tensors": [{"name": "w", "dtype": "f16", "shape": [2, 3], "file": "w.bin", "offset": 64, "size": 12}]}
 *
 * Every member is needed and no other is known, so that what is misspelt is not passed over.
 */
#include <string.h>

#include "core/allocator.h"
#include "format/dtype.h"
#include "format/json_files.h"
#include "format/order.h"

enum {
    VERSION = 1,
    ROOT_MEMBERS = 2,
    TENSOR_MEMBERS = 6,
};

struct layout_row {
    const char *name; /* jansson's */
    size_t name_bytes;
    struct tresor__entry entry; /* its file is a number, then a rank */
};

struct layout {
    struct tresor__json_files *parse;
    struct layout_row *rows;
    uint32_t count;
};

static bool as_unsigned(const json_t *value, uint64_t *number)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *number = (uint64_t)json_integer_value(value);
    return true;
}

static int32_t read_shape(const json_t *shape, struct tresor__entry *entry)
{
    if (!json_is_array(shape))
        return TRESOR_ERROR_MALFORMED;
    if (json_array_size(shape) > TRESOR_RANK_MAX)
        return TRESOR_ERROR_LIMIT;
    entry->rank = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < entry->rank; i++)
        if (!as_unsigned(json_array_get(shape, i), &entry->shape[i]))
            return TRESOR_ERROR_MALFORMED;
    return TRESOR_OK;
}

/* Rows of quantized types are whole blocks; the last dimension is contiguous. */
static int32_t read_type(const json_t *dtype, struct tresor__entry *entry)
{
    const char *name = json_string_value(dtype);
    if (!name)
        return TRESOR_ERROR_MALFORMED;
    const struct tresor__dtype *type = tresor__dtype_find_name(name);
    if (!type)
        return TRESOR_ERROR_UNSUPPORTED;
    entry->dtype = type->dtype;
    uint64_t row = entry->rank > 0 ? entry->shape[entry->rank - 1] : 1;
    return tresor__dtype_size(type, entry->shape, entry->rank, row, &entry->size_bytes);
}

static int32_t read_place(const json_t *value, struct tresor__entry *entry)
{
    uint64_t size = 0;
    if (!as_unsigned(json_object_get(value, "offset"), &entry->offset_bytes) ||
        !as_unsigned(json_object_get(value, "size"), &size) || size != entry->size_bytes ||
        entry->offset_bytes > INT64_MAX - size)
        return TRESOR_ERROR_MALFORMED;
    return TRESOR_OK;
}

static int32_t read_file(struct layout *layout, const json_t *file, uint32_t *number)
{
    if (!json_is_string(file))
        return TRESOR_ERROR_MALFORMED;
    if (!tresor__json_is_plain_name(file))
        return TRESOR_ERROR_SHARD;
    return tresor__json_files_number(layout->parse, json_string_value(file), number);
}

static int32_t read_row(struct layout *layout, const json_t *value, struct layout_row *row)
{
    const json_t *name = json_object_get(value, "name");
    *row = (struct layout_row){.name = ""};
    if (!json_is_string(name))
        return TRESOR_ERROR_MALFORMED;
    row->name = json_string_value(name);
    row->name_bytes = json_string_length(name);
    if (row->name_bytes == 0 || strlen(row->name) != row->name_bytes || json_object_size(value) != TENSOR_MEMBERS)
        return TRESOR_ERROR_MALFORMED;
    int32_t code = read_shape(json_object_get(value, "shape"), &row->entry);
    if (!code)
        code = read_type(json_object_get(value, "dtype"), &row->entry);
    if (!code)
        code = read_place(value, &row->entry);
    return code ? code : read_file(layout, json_object_get(value, "file"), &row->entry.file);
}

static bool read_rows(struct layout *layout, const json_t *tensors)
{
    for (uint32_t i = 0; i < layout->count; i++) {
        int32_t code = read_row(layout, json_array_get(tensors, i), &layout->rows[i]);
        if (code)
            return tresor__json_files_fail(layout->parse, code, layout->rows[i].name);
    }
    return true;
}

static bool stands_before(const void *cookie, uint32_t first, uint32_t second)
{
    const struct layout_row *rows = cookie;
    const struct tresor__entry *a = &rows[first].entry, *b = &rows[second].entry;
    return a->file != b->file ? a->file < b->file : a->offset_bytes < b->offset_bytes;
}

static bool add_row(struct layout *layout, const struct layout_row *row)
{
    struct tresor__directory *directory = layout->parse->directory;
    int32_t code = tresor__directory_add(directory, &row->entry, row->name, row->name_bytes);
    if (!code)
        return true;
    tresor__json_files_fail(layout->parse, code, row->name);
    if (code == TRESOR_ERROR_DUPLICATE)
        layout->parse->output->error.tensor =
            tresor__directory_find(directory, row->name, row->name_bytes);
    return false;
}

/* The tensors of a file stand together. */
static bool add_rows(struct layout *layout)
{
    const struct tresor_allocator *allocator = &layout->parse->directory->allocator;
    uint32_t *order = NULL;
    int32_t code = tresor__order_make(allocator, layout->count, stands_before, layout->rows, &order);
    bool good = !code || tresor__json_files_fail(layout->parse, code, "");
    for (uint32_t i = 0; good && i < layout->count; i++)
        good = add_row(layout, &layout->rows[order[i]]);
    tresor__order_free(allocator, order, layout->count);
    return good;
}

static bool rank_files(struct layout *layout)
{
    uint32_t *ranks = NULL;
    int32_t code = tresor__json_files_sort(layout->parse, &ranks);
    if (code)
        return tresor__json_files_fail(layout->parse, code, "");
    for (uint32_t i = 0; i < layout->count; i++)
        layout->rows[i].entry.file = ranks[layout->rows[i].entry.file];
    tresor__json_files_free_ranks(layout->parse, ranks);
    return true;
}

bool tresor__layout_read(struct tresor__json_files *parse, json_t *root)
{
    const json_t *version = json_object_get(root, "tresor_layout");
    const json_t *tensors = json_object_get(root, "tensors");
    if (!json_is_integer(version))
        return tresor__json_files_fail(parse, TRESOR_ERROR_MALFORMED, "tresor_layout");
    if (json_integer_value(version) != VERSION)
        return tresor__json_files_fail(parse, TRESOR_ERROR_VERSION, "tresor_layout");
    if (json_object_size(root) != ROOT_MEMBERS || json_array_size(tensors) == 0)
        return tresor__json_files_fail(parse, TRESOR_ERROR_MALFORMED, "tensors");
    /* The text has at most 100 MB, so its members are few enough for 32 bits. */
    struct layout layout = {.parse = parse, .count = (uint32_t)json_array_size(tensors)};
    const size_t bytes = layout.count * sizeof *layout.rows;
    layout.rows = tresor__allocate(&parse->directory->allocator, bytes);
    if (!layout.rows)
        return tresor__json_files_fail(parse, TRESOR_ERROR_NO_MEMORY, "");
    parse->directory->shape_order = TRESOR_SHAPE_OUTERMOST_FIRST;
    parse->directory->version = VERSION;
    parse->directory->alignment_bytes = 1;
    const bool good = read_rows(&layout, tensors) && rank_files(&layout) && add_rows(&layout);
    tresor__free(&parse->directory->allocator, layout.rows, bytes);
    return good;
}
