/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "support/parsing.h"

void directory_start(struct tresor__directory *directory, const struct tresor_allocator *allocator)
{
    static const uint64_t key[2] = {1, 2};
    tresor__directory_init(directory, allocator, key);
}

static void parse_window(struct tresor__parser *parser, const uint8_t *data, size_t have,
                         size_t size, uint32_t file, struct tresor__directory *directory,
                         struct tresor__parse_output *output)
{
    uint8_t *window = malloc(have ? have : 1);
    assert_non_null(window);
    if (have)
        memcpy(window, data, have);
    const struct tresor__parse_input input = {
        .bytes = window, .have_bytes = have, .file_size_bytes = size, .file = file};
    tresor__parse(parser, &input, directory, output);
    free(window);
}

void parse_whole(const uint8_t *data, size_t size, uint32_t file,
                 struct tresor__directory *directory, struct tresor__parse_output *output)
{
    struct tresor__parser parser = {0};
    parse_window(&parser, data, size, size, file, directory, output);
    assert_int_not_equal(output->status, TRESOR__PARSE_NEED);
}

uint64_t parse_growing(const struct bytes *bytes, size_t first, size_t step, uint32_t file,
                       struct tresor__directory *directory, struct tresor__parse_output *output)
{
    struct tresor__parser parser = {0};
    size_t have = first;
    for (uint64_t calls = 1;; calls++) {
        parse_window(&parser, bytes->data, have, bytes->size, file, directory, output);
        if (output->status != TRESOR__PARSE_NEED)
            return calls;
        assert_true(output->need_bytes > have);
        assert_true(output->need_bytes <= bytes->size);
        have = step ? have + step : (size_t)output->need_bytes;
        if (have > bytes->size)
            have = bytes->size;
    }
}

int32_t parse_outcome(const uint8_t *data, size_t size, struct tresor_error *error)
{
    struct tresor__directory directory;
    struct tresor__parse_output output;
    const uint64_t file_size = size;
    directory_start(&directory, NULL);
    parse_whole(data, size, 0, &directory, &output);
    *error = output.error;
    int32_t code = output.error.code;
    assert_int_equal(output.status == TRESOR__PARSE_FAILED, code != TRESOR_OK);
    if (!code && output.format != TRESOR__FORMAT_SAFETENSORS_INDEX &&
        output.format != TRESOR__FORMAT_LAYOUT)
        code = tresor__directory_finish(&directory, output.format, &file_size, 1, error);
    tresor__directory_free(&directory);
    return code;
}

void assert_same_directory(const struct tresor__directory *first,
                           const struct tresor__directory *second)
{
    assert_int_equal(first->entry_count, second->entry_count);
    for (uint32_t i = 0; i < first->entry_count; i++) {
        const struct tresor__entry *a = &first->entries[i], *b = &second->entries[i];
        assert_memory_equal(a, b, offsetof(struct tresor__entry, rank) + sizeof a->rank);
        assert_string_equal(first->strings + a->name_offset, second->strings + b->name_offset);
    }
    assert_int_equal(first->metadata_count, second->metadata_count);
    for (uint32_t i = 0; i < first->metadata_count; i++) {
        const struct tresor__metadata *a = &first->metadata[i], *b = &second->metadata[i];
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->element_type, b->element_type);
        assert_int_equal(a->count, b->count);
        assert_int_equal(a->offset, b->offset);
        assert_int_equal(a->size_bytes, b->size_bytes);
        assert_string_equal(first->strings + a->key_offset, second->strings + b->key_offset);
    }
    assert_int_equal(first->file_count, second->file_count);
    assert_int_equal(first->version, second->version);
    assert_int_equal(first->alignment_bytes, second->alignment_bytes);
}
