/* SPDX-License-Identifier: MIT */
/* The JSON that says in which safetensors file each tensor of a large model is. */
#include "format/parse.h"

#include <string.h>

#include "core/allocator.h"
#include "format/json.h"
#include "format/name_index.h"
#include "format/order.h"

enum {
    INDEX_BYTES_MAX = 100000000,
};

/* One parse. The files are numbered by first mention, then by rank, because the outcome is sorted
 * by name. */
struct index_parse {
    const struct tresor__parse_input *input;
    struct tresor__directory *directory;
    struct tresor__parse_output *output;
    struct tresor__json_text text;
    struct tresor__name_index files; /* numbered by first mention */
};

static bool fail(struct index_parse *parse, int32_t code, const char *key)
{
    return tresor__json_fail(parse->input, &parse->text, parse->output, code, key);
}

/* A shard lies beside its index: a name that could lead anywhere else is refused. */
static bool is_plain_name(const json_t *value)
{
    const char *name = json_string_value(value);
    if (!name || !*name || strlen(name) != json_string_length(value))
        return false;
    return !strchr(name, '/') && !strchr(name, '\\') && strcmp(name, ".") && strcmp(name, "..");
}

/* The number of the file of that name, a new one if it is new. */
static int32_t number_file(struct index_parse *parse, const char *name, uint32_t *number)
{
    struct tresor__directory *directory = parse->directory;
    const size_t length = strlen(name);
    const uint32_t hash = tresor__name_hash(directory->hash_key, name, length);
    *number = tresor__name_index_find(&parse->files, directory->strings, hash, name, length);
    if (*number != TRESOR_NONE)
        return TRESOR_OK;
    uint32_t offset = 0;
    int32_t code = tresor__name_index_reserve(&parse->files, &directory->allocator);
    if (!code)
        code = tresor__directory_add_string(directory, name, length, &offset);
    if (code)
        return code;
    *number = parse->files.count;
    tresor__name_index_insert(&parse->files, hash, offset, (uint32_t)length);
    return TRESOR_OK;
}

static bool read_map(struct index_parse *parse, json_t *map)
{
    if (!json_object_size(map))
        return fail(parse, TRESOR_ERROR_MALFORMED, "weight_map");
    for (void *at = json_object_iter(map); at; at = json_object_iter_next(map, at)) {
        const char *tensor = json_object_iter_key(at);
        json_t *value = json_object_iter_value(at);
        if (!json_is_string(value))
            return fail(parse, TRESOR_ERROR_MALFORMED, tensor);
        if (!is_plain_name(value))
            return fail(parse, TRESOR_ERROR_SHARD, tensor);
        uint32_t number = 0;
        int32_t code = number_file(parse, json_string_value(value), &number);
        if (!code)
            code = tresor__directory_add_shard_tensor(parse->directory, tensor, strlen(tensor),
                                                      number);
        if (code)
            return fail(parse, code, tensor);
    }
    return true;
}

static const char *file_name(const struct index_parse *parse, uint32_t number)
{
    return parse->directory->strings + parse->files.slots[number].name_offset;
}

static bool stands_before(const void *cookie, uint32_t first, uint32_t second)
{
    return strcmp(file_name(cookie, first), file_name(cookie, second)) < 0;
}

static int32_t add_shards(struct index_parse *parse, const uint32_t *order, uint32_t *ranks)
{
    struct tresor__directory *directory = parse->directory;
    for (uint32_t i = 0; i < parse->files.count; i++) {
        int32_t code = tresor__directory_add_shard(directory, file_name(parse, order[i]));
        if (code)
            return code;
        ranks[order[i]] = i;
    }
    for (uint32_t i = 0; i < directory->shard_tensor_count; i++)
        directory->shard_tensors[i].shard = ranks[directory->shard_tensors[i].shard];
    return TRESOR_OK;
}

static bool sort_files(struct index_parse *parse)
{
    const struct tresor_allocator *allocator = &parse->directory->allocator;
    const uint32_t count = parse->files.count;
    const size_t bytes = count * sizeof(uint32_t);
    uint32_t *order = NULL;
    int32_t code = tresor__order_make(allocator, count, stands_before, parse, &order);
    if (code)
        return fail(parse, code, "");
    uint32_t *ranks = tresor__allocate(allocator, bytes);
    code = ranks ? add_shards(parse, order, ranks) : TRESOR_ERROR_NO_MEMORY;
    tresor__free(allocator, ranks, bytes);
    tresor__order_free(allocator, order, count);
    return !code || fail(parse, code, "");
}

/* True once the whole text is here, in a directory that has no files yet. */
static bool find_text(struct index_parse *parse)
{
    const struct tresor__parse_input *input = parse->input;
    const struct tresor__directory *directory = parse->directory;
    struct tresor_error error = {.tensor = TRESOR_NONE, .got = input->file_size_bytes};
    if (directory->file_count || directory->shard_count) {
        error.code = TRESOR_ERROR_SHARD;
        return tresor__parse_fail(parse->output, input, error);
    }
    if (input->file_size_bytes > INDEX_BYTES_MAX) {
        error.code = TRESOR_ERROR_LIMIT;
        error.wanted = INDEX_BYTES_MAX;
        return tresor__parse_fail(parse->output, input, error);
    }
    /* A NUL in a file's name is let through to be told as what it is. */
    parse->text = (struct tresor__json_text){
        .length = input->file_size_bytes, .padding = " \t\r\n", .flags = JSON_ALLOW_NUL};
    return input->have_bytes == input->file_size_bytes ||
           tresor__parse_need(parse->output, input, input->file_size_bytes);
}

void tresor__safetensors_index_parse(const struct tresor__parse_input *input,
                                     struct tresor__directory *directory,
                                     struct tresor__parse_output *output)
{
    struct index_parse parse = {.input = input, .directory = directory, .output = output};
    if (!find_text(&parse))
        return;
    json_t *root = tresor__json_load(input, &parse.text, output);
    if (!root)
        return;
    if (read_map(&parse, json_object_get(root, "weight_map")) && sort_files(&parse))
        output->header_bytes = input->file_size_bytes;
    tresor__name_index_free(&parse.files, &directory->allocator);
    json_decref(root);
}
