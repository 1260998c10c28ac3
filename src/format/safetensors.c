/* SPDX-License-Identifier: MIT */
/* The header of a safetensors file. The format: https://github.com/huggingface/safetensors#format
 */
#include "format/parse.h"

#include <string.h>

#include "core/allocator.h"
#include "format/dtype.h"
#include "format/json.h"
#include "format/little_endian.h"
#include "format/order.h"

enum {
    LENGTH_BYTES = 8,
    HEADER_BYTES_MAX = 100000000, /* MAX_HEADER_SIZE of the reference implementation */
    MEMBERS = 3,                  /* dtype, shape, data_offsets */
};

struct safetensors_row {
    const char *name; /* in the JSON tree */
    struct tresor__entry entry;
};

/* One parse, from the header's text to the directory. */
struct safetensors_parse {
    const struct tresor__parse_input *input;
    struct tresor__directory *directory;
    struct tresor__parse_output *output;
    struct tresor__json_text text;
    uint64_t data_offset;
    struct safetensors_row *rows;
    uint32_t row_count;
};

static bool fail(struct safetensors_parse *parse, int32_t code, const char *key)
{
    return tresor__json_fail(parse->input, &parse->text, parse->output, code, key);
}

static bool add_text(struct safetensors_parse *parse, const char *key, const json_t *value)
{
    struct tresor__directory *directory = parse->directory;
    if (!json_is_string(value))
        return fail(parse, TRESOR_ERROR_MALFORMED, key);
    if (parse->input->file)
        return true;
    const size_t length = json_string_length(value);
    uint32_t offset = 0;
    int32_t code =
        tresor__directory_add_string(directory, json_string_value(value), length, &offset);
    const struct tresor__metadata metadata = {
        .type = TRESOR_METADATA_STRING,
        .count = length,
        .offset = offset,
        .size_bytes = length,
        .in_strings = true,
    };
    if (!code)
        code = tresor__directory_add_metadata(directory, &metadata, key, strlen(key));
    return !code || fail(parse, code, key);
}

static bool add_metadata(struct safetensors_parse *parse, json_t *map)
{
    if (!json_is_object(map))
        return fail(parse, TRESOR_ERROR_MALFORMED, "__metadata__");
    for (void *at = json_object_iter(map); at; at = json_object_iter_next(map, at))
        if (!add_text(parse, json_object_iter_key(at), json_object_iter_value(at)))
            return false;
    return true;
}

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

static int32_t read_offsets(const json_t *offsets, uint64_t size, uint64_t *begin)
{
    uint64_t end = 0;
    if (json_array_size(offsets) != 2 || !as_unsigned(json_array_get(offsets, 0), begin) ||
        !as_unsigned(json_array_get(offsets, 1), &end))
        return TRESOR_ERROR_MALFORMED;
    return *begin <= end && end - *begin == size ? TRESOR_OK : TRESOR_ERROR_MALFORMED;
}

static int32_t read_entry(const json_t *value, struct tresor__entry *entry)
{
    const char *type_name = json_string_value(json_object_get(value, "dtype"));
    if (!type_name || json_object_size(value) != MEMBERS)
        return TRESOR_ERROR_MALFORMED;
    int32_t code = read_shape(json_object_get(value, "shape"), entry);
    if (code)
        return code;
    const struct tresor__dtype *type = tresor__dtype_find_safetensors(type_name);
    if (!type)
        return TRESOR_ERROR_UNSUPPORTED;
    entry->dtype = type->dtype;
    code = tresor__dtype_size(type, entry->shape, entry->rank, 1, &entry->size_bytes);
    return code ? code
                : read_offsets(json_object_get(value, "data_offsets"), entry->size_bytes,
                               &entry->offset_bytes);
}

static bool read_rows(struct safetensors_parse *parse, json_t *root)
{
    for (void *at = json_object_iter(root); at; at = json_object_iter_next(root, at)) {
        const char *name = json_object_iter_key(at);
        json_t *value = json_object_iter_value(at);
        if (!strcmp(name, "__metadata__")) {
            if (!add_metadata(parse, value))
                return false;
            continue;
        }
        struct safetensors_row *row = &parse->rows[parse->row_count++];
        row->name = name;
        row->entry.file = parse->input->file;
        int32_t code = read_entry(value, &row->entry);
        if (code)
            return fail(parse, code, name);
        /* Both are below 2^63: the sum is safe, and so is that of offset and size. */
        row->entry.offset_bytes += parse->data_offset;
    }
    return true;
}

/* By begin, then by end, so that an empty tensor stands before the one that begins at the same
 * place. */
static bool stands_before(const void *cookie, uint32_t first, uint32_t second)
{
    const struct safetensors_row *rows = cookie;
    const struct tresor__entry *a = &rows[first].entry, *b = &rows[second].entry;
    return a->offset_bytes != b->offset_bytes ? a->offset_bytes < b->offset_bytes
                                              : a->size_bytes < b->size_bytes;
}

static bool add_row(struct safetensors_parse *parse, const struct safetensors_row *row)
{
    const size_t length = strlen(row->name);
    int32_t code = tresor__directory_add(parse->directory, &row->entry, row->name, length);
    if (!code)
        return true;
    fail(parse, code, row->name);
    if (code == TRESOR_ERROR_DUPLICATE)
        parse->output->error.tensor = tresor__directory_find(parse->directory, row->name, length);
    return false;
}

static bool add_rows(struct safetensors_parse *parse)
{
    const struct tresor_allocator *allocator = &parse->directory->allocator;
    uint32_t *order = NULL;
    int32_t code =
        tresor__order_make(allocator, parse->row_count, stands_before, parse->rows, &order);
    bool good = !code || fail(parse, code, "");
    for (uint32_t i = 0; good && i < parse->row_count; i++)
        good = add_row(parse, &parse->rows[order[i]]);
    tresor__order_free(allocator, order, parse->row_count);
    return good;
}

static bool fill_directory(struct safetensors_parse *parse, json_t *root)
{
    const struct tresor_allocator *allocator = &parse->directory->allocator;
    const uint32_t first_entry = parse->directory->entry_count;
    /* The text has at most 100 MB, so its members are few enough for 32 bits. */
    const size_t bytes = (json_object_size(root) + 1) * sizeof *parse->rows;
    parse->rows = tresor__allocate(allocator, bytes);
    if (!parse->rows)
        return fail(parse, TRESOR_ERROR_NO_MEMORY, "");
    const bool good = read_rows(parse, root) && add_rows(parse);
    tresor__free(allocator, parse->rows, bytes);
    if (!good)
        return false;
    int32_t code = tresor__directory_add_file(parse->directory, parse->data_offset, first_entry);
    return !code || fail(parse, code, "");
}

/* Find the header's text. True once all of it is here. */
static bool find_text(struct safetensors_parse *parse)
{
    const struct tresor__parse_input *input = parse->input;
    struct tresor_error error = {.tensor = TRESOR_NONE};
    const uint64_t length = tresor__load_u64(input->bytes);
    const uint64_t left = input->file_size_bytes - LENGTH_BYTES;
    if (length > HEADER_BYTES_MAX) {
        error.code = TRESOR_ERROR_LIMIT;
        error.got = length;
        error.wanted = HEADER_BYTES_MAX;
        return tresor__parse_fail(parse->output, input, error);
    }
    if (length > left) {
        error.code = TRESOR_ERROR_TRUNCATED;
        error.offset = LENGTH_BYTES;
        error.wanted = length;
        error.got = left;
        return tresor__parse_fail(parse->output, input, error);
    }
    parse->data_offset = LENGTH_BYTES + length;
    parse->text = (struct tresor__json_text){
        .offset = LENGTH_BYTES,
        .length = length,
        .padding = " ", /* "The header data MAY be trailing padded with whitespace (0x20)" */
    };
    return input->have_bytes >= parse->data_offset ||
           tresor__parse_need(parse->output, input, parse->data_offset);
}

void tresor__safetensors_parse(const struct tresor__parse_input *input,
                               struct tresor__directory *directory,
                               struct tresor__parse_output *output)
{
    struct safetensors_parse parse = {.input = input, .directory = directory, .output = output};
    if (!find_text(&parse) ||
        !tresor__parse_begin(output, input, directory, TRESOR_SHAPE_OUTERMOST_FIRST))
        return;
    json_t *root = tresor__json_load(input, &parse.text, output);
    if (!root)
        return;
    if (!input->file)
        directory->alignment_bytes = 1; /* the format promises none */
    if (fill_directory(&parse, root))
        output->header_bytes = parse.data_offset;
    json_decref(root);
}
