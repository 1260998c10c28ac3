/* SPDX-License-Identifier: MIT */
/* The JSON that says in which safetensors file each tensor of a large model is, or in any file: that is a layout. */
#include <string.h>

#include "format/json_files.h"

enum {
    INDEX_BYTES_MAX = 100000000,
};

static bool read_map(struct tresor__json_files *parse, json_t *map)
{
    if (!json_object_size(map))
        return tresor__json_files_fail(parse, TRESOR_ERROR_MALFORMED, "weight_map");
    for (void *at = json_object_iter(map); at; at = json_object_iter_next(map, at)) {
        const char *tensor = json_object_iter_key(at);
        json_t *value = json_object_iter_value(at);
        if (!json_is_string(value))
            return tresor__json_files_fail(parse, TRESOR_ERROR_MALFORMED, tensor);
        if (!tresor__json_is_plain_name(value))
            return tresor__json_files_fail(parse, TRESOR_ERROR_SHARD, tensor);
        uint32_t number = 0;
        int32_t code = tresor__json_files_number(parse, json_string_value(value), &number);
        if (!code)
            code = tresor__directory_add_shard_tensor(parse->directory, tensor, strlen(tensor),
                                                      number);
        if (code)
            return tresor__json_files_fail(parse, code, tensor);
    }
    return true;
}

static bool rank_files(struct tresor__json_files *parse)
{
    struct tresor__directory *directory = parse->directory;
    uint32_t *ranks = NULL;
    int32_t code = tresor__json_files_sort(parse, &ranks);
    if (code)
        return tresor__json_files_fail(parse, code, "");
    for (uint32_t i = 0; i < directory->shard_tensor_count; i++)
        directory->shard_tensors[i].shard = ranks[directory->shard_tensors[i].shard];
    tresor__json_files_free_ranks(parse, ranks);
    return true;
}

/* True once the whole text is here, in a directory that has no files yet. */
static bool find_text(struct tresor__json_files *parse)
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
    struct tresor__json_files parse = {.input = input, .directory = directory, .output = output};
    if (!find_text(&parse))
        return;
    json_t *root = tresor__json_load(input, &parse.text, output);
    if (!root)
        return;
    bool is_layout = json_object_get(root, "tresor_layout") != NULL;
    if (is_layout)
        output->format = TRESOR__FORMAT_LAYOUT;
    if (is_layout ? tresor__layout_read(&parse, root)
                  : read_map(&parse, json_object_get(root, "weight_map")) && rank_files(&parse))
        output->header_bytes = input->file_size_bytes;
    tresor__name_index_free(&parse.files, &directory->allocator);
    json_decref(root);
}
