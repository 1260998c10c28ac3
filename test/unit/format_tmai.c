/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include <string.h>

#include "support/failing_allocator.h"
#include "support/parsing.h"

static const struct tresor__entry *layer_of(const struct tresor__directory *directory,
                                            const char *name)
{
    const uint32_t index = tresor__directory_find(directory, name, strlen(name));
    assert_int_not_equal(index, TRESOR_NONE);
    return &directory->entries[index];
}

static void a_good_file_is_read_in_the_order_of_its_layers(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    struct tresor__directory directory;
    struct tresor__parse_output output;
    struct tresor_error error;
    const size_t header = tmai_put_good_file(&bytes);
    directory_start(&directory, NULL);
    assert_int_equal(parse_growing(&bytes, 0, 0, 0, &directory, &output), 4);
    assert_int_equal(output.status, TRESOR__PARSE_DONE);
    assert_int_equal(output.format, TRESOR__FORMAT_TMAI);
    assert_string_equal(tresor__format_name(output.format), "tmai");
    assert_int_equal(output.header_bytes, header);
    assert_int_equal(directory.version, 1);
    assert_int_equal(directory.entry_count, 6);
    const struct tresor__entry *first = layer_of(&directory, "layer.0");
    assert_ptr_equal(first, &directory.entries[0]);
    assert_int_equal(first->offset_bytes, header + 4096);
    assert_int_equal(first->size_bytes, 100);
    assert_int_equal(first->rank, 1);
    assert_int_equal(first->shape[0], 100);
    assert_int_equal(first->dtype, TRESOR_DTYPE_U8);
    assert_ptr_equal(layer_of(&directory, "layer.5"), &directory.entries[5]);
    const uint64_t size = bytes.size;
    assert_int_equal(tresor__directory_finish(&directory, output.format, &size, 1, &error), 0);
    tresor__directory_free(&directory);
    bytes_free(&bytes);
}

static void name_and_precisions_are_metadata(void **state)
{
    (void)state;
    static const uint8_t precisions[] = {16, 4, 8, 32, 1, 2};
    struct bytes bytes = {0};
    struct tresor__directory directory;
    struct tresor__parse_output output;
    tmai_put_good_file(&bytes);
    directory_start(&directory, NULL);
    parse_whole(bytes.data, bytes.size, 0, &directory, &output);
    assert_int_equal(directory.metadata_count, 7);
    uint32_t index = tresor__directory_find_metadata(&directory, "general.name", 12);
    assert_int_not_equal(index, TRESOR_NONE);
    assert_int_equal(directory.metadata[index].type, TRESOR_METADATA_STRING);
    assert_int_equal(directory.metadata[index].size_bytes, 5);
    assert_memory_equal(bytes.data + directory.metadata[index].offset, "model", 5);
    for (uint32_t i = 0; i < 6; i++) {
        char key[] = "layer.x.precision";
        key[6] = (char)('0' + i);
        index = tresor__directory_find_metadata(&directory, key, strlen(key));
        assert_int_not_equal(index, TRESOR_NONE);
        const struct tresor__metadata *value = &directory.metadata[index];
        assert_int_equal(value->type, TRESOR_METADATA_U32);
        assert_int_equal(value->size_bytes, 4);
        assert_false(value->in_strings);
        assert_int_equal(bytes.data[value->offset], precisions[i]);
    }
    tresor__directory_free(&directory);
    bytes_free(&bytes);
}

static void every_prefix_is_truncated_and_every_window_resumes(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    struct tresor__directory whole, grown;
    struct tresor__parse_output output;
    struct tresor_error error;
    const size_t header = tmai_put_good_file(&bytes);
    const size_t end = header + 4096 + 100; /* what follows is padding */
    directory_start(&whole, NULL);
    parse_whole(bytes.data, bytes.size, 0, &whole, &output);
    for (size_t size = 0; size <= bytes.size; size++)
        assert_int_equal(parse_outcome(bytes.data, size, &error),
                         size < end ? TRESOR_ERROR_TRUNCATED : TRESOR_OK);
    for (size_t first = 0; first <= header + 1; first++) {
        directory_start(&grown, NULL);
        parse_growing(&bytes, first, 1, 0, &grown, &output);
        assert_int_equal(output.status, TRESOR__PARSE_DONE);
        assert_same_directory(&whole, &grown);
        tresor__directory_free(&grown);
    }
    tresor__directory_free(&whole);
    bytes_free(&bytes);
}

enum { DATA = 256 + 2 * 32 };

/* Two layers in `data_bytes` of data, one byte of which `at` is set. */
struct row {
    uint32_t layers[2][3]; /* offset, size, precision */
    size_t data_bytes;
    size_t at;
    uint8_t value;
    int32_t code;
    uint64_t offset; /* where the error lies */
};

static void check_row(const struct row *row, size_t number)
{
    struct bytes bytes = {0};
    struct tresor_error error = {0};
    tmai_put_header(&bytes, 1, 2);
    for (int i = 0; i < 2; i++)
        tmai_put_layer(&bytes, row->layers[i][0], row->layers[i][1], row->layers[i][2]);
    bytes_put_zeros(&bytes, row->data_bytes);
    if (row->at)
        bytes.data[row->at] = row->value;
    const int32_t code = parse_outcome(bytes.data, bytes.size, &error);
    if (code != row->code || (code && error.offset != row->offset))
        fail_msg("row %zu: %s at %ju", number, tresor_error_name(code), (uintmax_t)error.offset);
    bytes_free(&bytes);
}

/* Every field of the header and of a descriptor, at and past its limits. */
static void every_field_is_checked(void **state)
{
    enum {
        SECOND = 256 + 32, /* the second descriptor */
        WIDE = DATA + 8 + 4095, /* as far as padding reaches */
        TOO_WIDE = WIDE + 1,
    };
    static const struct row rows[] = {
        {{{DATA, 8, 4}, {DATA + 8, 8, 4}}, 16, 0, 0, TRESOR_OK, 0},
        {{{DATA + 8, 8, 4}, {DATA, 8, 4}}, 16, 0, 0, TRESOR_OK, 0},
        {{{DATA, 8, 4}, {DATA + 8, 8, 4}}, 16, 4, 2, TRESOR_ERROR_VERSION, 4},
        {{{DATA, 8, 4}, {DATA + 8, 8, 4}}, 16, 12, 1, TRESOR_ERROR_MALFORMED, 12},
        {{{DATA, 8, 4}, {DATA + 8, 8, 4}}, 16, 78, 1, TRESOR_OK, 0}, /* behind the name's end */
        {{{DATA, 8, 4}, {DATA + 8, 8, 4}}, 16, 80, 1, TRESOR_ERROR_MALFORMED, 80},
        {{{DATA, 8, 4}, {DATA + 8, 8, 4}}, 16, 255, 1, TRESOR_ERROR_MALFORMED, 255},
        {{{DATA, 8, 4}, {DATA + 8, 8, 4}}, 16, SECOND + 12, 1, TRESOR_ERROR_MALFORMED, SECOND + 12},
        {{{DATA, 8, 4}, {DATA + 8, 8, 4}}, 16, SECOND + 31, 1, TRESOR_ERROR_MALFORMED, SECOND + 31},
        {{{DATA, 8, 4}, {DATA - 1, 8, 4}}, 16, 0, 0, TRESOR_ERROR_MALFORMED, SECOND},
        {{{DATA, 8, 4}, {DATA + 7, 8, 4}}, 16, 0, 0, TRESOR_ERROR_MALFORMED, DATA + 7},
        {{{DATA, 8, 4}, {DATA + 8, 9, 4}}, 16, 0, 0, TRESOR_ERROR_TRUNCATED, DATA + 8},
        {{{DATA, 8, 4}, {UINT32_MAX, UINT32_MAX, 4}}, 16, 0, 0, TRESOR_ERROR_TRUNCATED, UINT32_MAX},
        {{{DATA, 8, 4}, {DATA + 8, 0, 4}}, 16, 0, 0, TRESOR_ERROR_MALFORMED, SECOND + 4},
        {{{DATA, 8, 4}, {DATA + 8, 8, 0}}, 16, 0, 0, TRESOR_ERROR_UNSUPPORTED, SECOND + 8},
        {{{DATA, 8, 4}, {DATA + 8, 8, 3}}, 16, 0, 0, TRESOR_ERROR_UNSUPPORTED, SECOND + 8},
        {{{DATA, 8, 4}, {DATA + 8, 8, 64}}, 16, 0, 0, TRESOR_ERROR_UNSUPPORTED, SECOND + 8},
        {{{DATA, 8, 4}, {DATA + 8, 7, 16}}, 16, 0, 0, TRESOR_ERROR_MALFORMED, SECOND + 4},
        {{{DATA, 8, 4}, {DATA + 8, 6, 32}}, 16, 0, 0, TRESOR_ERROR_MALFORMED, SECOND + 4},
        {{{DATA, 8, 4}, {DATA + 9, 6, 16}}, 16, 0, 0, TRESOR_ERROR_MALFORMED, SECOND},
        {{{DATA, 8, 4}, {DATA + 10, 4, 32}}, 16, 0, 0, TRESOR_ERROR_MALFORMED, SECOND},
        {{{DATA, 8, 4}, {DATA + 10, 6, 16}}, 16, 0, 0, TRESOR_OK, 0},
        {{{DATA, 8, 4}, {WIDE, 8, 4}}, WIDE + 8 - DATA, 0, 0, TRESOR_OK, 0},
        {{{DATA, 8, 4}, {TOO_WIDE, 8, 4}}, TOO_WIDE + 8 - DATA, 0, 0, TRESOR_ERROR_MALFORMED,
         TOO_WIDE},
        {{{DATA, 8, 4}, {DATA + 8, 8, 4}}, 16 + 4095, 0, 0, TRESOR_OK, 0},
        {{{DATA, 8, 4}, {DATA + 8, 8, 4}}, 16 + 4096, 0, 0, TRESOR_ERROR_MALFORMED, DATA + 16},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&rows[i], i);
}

static void a_file_of_no_layers_is_a_model_of_none(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    struct tresor_error error;
    tmai_put_header(&bytes, 1, 0);
    assert_int_equal(parse_outcome(bytes.data, bytes.size, &error), TRESOR_OK);
    bytes_free(&bytes);
}

/* The format has no shards: it is nobody's second file, and no index may name it. */
static void it_belongs_to_no_set(void **state)
{
    (void)state;
    struct bytes first = {0}, second = {0};
    struct tresor__directory directory;
    struct tresor__parse_output output;
    gguf_put_good_file(&first);
    tmai_put_good_file(&second);
    directory_start(&directory, NULL);
    parse_whole(first.data, first.size, 0, &directory, &output);
    parse_whole(second.data, second.size, 1, &directory, &output);
    assert_int_equal(output.error.code, TRESOR_ERROR_SHARD);
    tresor__directory_free(&directory);
    directory_start(&directory, NULL);
    assert_int_equal(tresor__directory_add_shard(&directory, "model.tmai"), TRESOR_OK);
    parse_whole(second.data, second.size, 0, &directory, &output);
    assert_int_equal(output.error.code, TRESOR_ERROR_SHARD);
    tresor__directory_free(&directory);
    bytes_free(&first);
    bytes_free(&second);
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    tmai_put_good_file(&bytes);
    const uint64_t size = bytes.size;
    uint64_t call = 1;
    for (bool failed = true; failed; call++) {
        struct failing_allocator counts = {.fail_call = call};
        const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
        struct tresor__directory directory;
        struct tresor__parse_output output;
        directory_start(&directory, &hooks);
        parse_whole(bytes.data, bytes.size, 0, &directory, &output);
        struct tresor_error error = output.error;
        if (output.status == TRESOR__PARSE_DONE)
            tresor__directory_finish(&directory, output.format, &size, 1, &error);
        failed = counts.failed;
        assert_int_equal(error.code, failed ? TRESOR_ERROR_NO_MEMORY : TRESOR_OK);
        tresor__directory_free(&directory);
        assert_int_equal(counts.outstanding_bytes, 0);
    }
    assert_true(call > 6);
    bytes_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_is_read_in_the_order_of_its_layers),
        cmocka_unit_test(name_and_precisions_are_metadata),
        cmocka_unit_test(every_prefix_is_truncated_and_every_window_resumes),
        cmocka_unit_test(every_field_is_checked),
        cmocka_unit_test(a_file_of_no_layers_is_a_model_of_none),
        cmocka_unit_test(it_belongs_to_no_set),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
