/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/bytes.h"
#include "support/failing_allocator.h"
#include "support/parsing.h"

/* Out of order on purpose, with a scalar and an empty tensor. */
static const char good_json[] =
    "{\"second\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[16,17]},"
    "\"__metadata__\":{\"format\":\"p\\u0074\",\"empty\":\"\"},"
    "\"first\":{\"data_offsets\":[0,16],\"shape\":[2,2],\"dtype\":\"F32\"},"
    "\"empty\":{\"dtype\":\"F64\",\"shape\":[0,7],\"data_offsets\":[16,16]}}   ";

enum {
    GOOD_DATA_BYTES = 17
};

static int32_t outcome(const char *json, size_t data_bytes, struct tresor_error *error)
{
    struct bytes bytes = {0};
    safetensors_put_header(&bytes, json);
    bytes_put_zeros(&bytes, data_bytes);
    int32_t code = parse_outcome(bytes.data, bytes.size, error);
    bytes_free(&bytes);
    return code;
}

static void put_good_file(struct bytes *bytes)
{
    safetensors_put_header(bytes, good_json);
    bytes_put_zeros(bytes, GOOD_DATA_BYTES);
}

static void a_good_file_is_read_in_order_of_offset(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    struct tresor__directory directory;
    struct tresor__parse_output output;
    struct tresor_error error;
    put_good_file(&bytes);
    directory_start(&directory, NULL);
    assert_int_equal(parse_growing(&bytes, 0, 0, 0, &directory, &output), 3);
    assert_int_equal(output.status, TRESOR__PARSE_DONE);
    assert_int_equal(output.format, TRESOR__FORMAT_SAFETENSORS);
    assert_int_equal(output.header_bytes, bytes.size - GOOD_DATA_BYTES);
    assert_int_equal(directory.shape_order, TRESOR_SHAPE_OUTERMOST_FIRST);
    assert_int_equal(directory.version, 0);
    assert_int_equal(directory.entry_count, 3);
    static const char *const names[] = {"first", "empty", "second"};
    for (uint32_t i = 0; i < 3; i++)
        assert_string_equal(directory.strings + directory.entries[i].name_offset, names[i]);
    assert_int_equal(directory.entries[0].offset_bytes, output.header_bytes);
    assert_int_equal(directory.entries[0].size_bytes, 16);
    assert_int_equal(directory.entries[0].dtype, TRESOR_DTYPE_F32);
    assert_int_equal(directory.entries[0].rank, 2);
    assert_int_equal(directory.entries[2].rank, 0);
    uint32_t index = tresor__directory_find_metadata(&directory, "format", 6);
    assert_int_not_equal(index, TRESOR_NONE);
    assert_true(directory.metadata[index].in_strings);
    assert_int_equal(directory.metadata[index].size_bytes, 2);
    assert_string_equal(directory.strings + directory.metadata[index].offset, "pt");
    const uint64_t size = bytes.size;
    assert_int_equal(tresor__directory_finish(&directory, output.format, &size, 1, &error), 0);
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
    put_good_file(&bytes);
    directory_start(&whole, NULL);
    parse_whole(bytes.data, bytes.size, 0, &whole, &output);
    for (size_t size = 0; size < bytes.size; size++)
        assert_int_equal(parse_outcome(bytes.data, size, &error), TRESOR_ERROR_TRUNCATED);
    for (size_t first = 0; first <= bytes.size; first++) {
        directory_start(&grown, NULL);
        parse_growing(&bytes, first, 1, 0, &grown, &output);
        assert_int_equal(output.status, TRESOR__PARSE_DONE);
        assert_same_directory(&whole, &grown);
        tresor__directory_free(&grown);
    }
    tresor__directory_free(&whole);
    bytes_free(&bytes);
}

#define TENSOR(dtype, shape, begin, end)                                                           \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void good_and_bad_headers(void **state)
{
    static const struct {
        const char *json;
        size_t data_bytes;
        int32_t code;
    } rows[] = {
        {"{}", 0, TRESOR_OK},
        {"{}", 1, TRESOR_ERROR_MALFORMED}, /* bytes that no tensor covers */
        {"{}      ", 0, TRESOR_OK},
        {"{} \n", 0, TRESOR_ERROR_MALFORMED},
        {"{} {}", 0, TRESOR_ERROR_MALFORMED},
        {"{}x", 0, TRESOR_ERROR_MALFORMED},
        {"{", 0, TRESOR_ERROR_MALFORMED},
        {"{\"__metadata__\":{}}", 0, TRESOR_OK},
        {"{\"__metadata__\":[]}", 0, TRESOR_ERROR_MALFORMED},
        {"{\"__metadata__\":{\"a\":1}}", 0, TRESOR_ERROR_MALFORMED},
        {"{\"__metadata__\":{\"a\":\"\\u0000\"}}", 0, TRESOR_ERROR_MALFORMED},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"1\"}}", 0, TRESOR_ERROR_DUPLICATE},
        {"{\"a\":" TENSOR("U8", "[1]", 0, 1) "}", 1, TRESOR_OK},
        {"{\"a\":" TENSOR("U8", "[1]", 0, 1) "}", 0, TRESOR_ERROR_TRUNCATED},
        {"{\"a\":" TENSOR("U8", "[1]", 0, 1) "}", 2, TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("U8", "[1]", 1, 2) "}", 2, TRESOR_ERROR_MALFORMED}, /* hole before */
        {"{\"a\":" TENSOR("U8", "[1]", 0, 1) ",\"b\":" TENSOR("U8", "[1]", 2, 3) "}", 3,
         TRESOR_ERROR_MALFORMED}, /* hole between */
        {"{\"a\":" TENSOR("U8", "[2]", 0, 2) ",\"b\":" TENSOR("U8", "[2]", 1, 3) "}", 3,
         TRESOR_ERROR_MALFORMED}, /* overlap */
        {"{\"a\":" TENSOR("U8", "[1]", 0, 1) ",\"b\":" TENSOR("U8", "[1]", 0, 1) "}", 1,
         TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("U8", "[1]", 0, 1) ",\"a\":" TENSOR("U8", "[1]", 1, 2) "}", 2,
         TRESOR_ERROR_DUPLICATE},
        {"{\"a\":" TENSOR("C64", "[2]", 0, 16) "}", 16, TRESOR_OK},
        {"{\"a\":" TENSOR("F4", "[2]", 0, 1) "}", 1, TRESOR_ERROR_UNSUPPORTED},
        {"{\"a\":" TENSOR("U8", "[1]", 0, 2) "}", 2, TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("U8", "[0]", 1, 0) "}", 1, TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("U8", "[-1]", 0, 1) "}", 1, TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("U8", "[1.0]", 0, 1) "}", 1, TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("U8", "[true]", 0, 1) "}", 1, TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("U8", "[\"1\"]", 0, 1) "}", 1, TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("U8", "1", 0, 1) "}", 1, TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("U8", "[1]", -1, 0) "}", 1, TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("U8", "[1]", 0, 1e0) "}", 1, TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("U8", "[1]", 9223372036854775807, 9223372036854775808) "}", 1,
         TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("U8", "[1]", 9223372036854775806, 9223372036854775807) "}", 1,
         TRESOR_ERROR_TRUNCATED},
        {"{\"a\":" TENSOR("U8", "[4294967296,4294967296]", 0, 0) "}", 0, TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("F64", "[9223372036854775807]", 0, 8) "}", 8, TRESOR_ERROR_MALFORMED},
        {"{\"a\":" TENSOR("U8", "[1,1,1,1,1,1,1,1]", 0, 1) "}", 1, TRESOR_OK},
        {"{\"a\":" TENSOR("U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", 1, TRESOR_ERROR_LIMIT},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, TRESOR_ERROR_MALFORMED},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 1,
         TRESOR_ERROR_MALFORMED},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1,
         TRESOR_ERROR_MALFORMED},
        {"{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, TRESOR_ERROR_MALFORMED},
        {"{\"a\":1}", 1, TRESOR_ERROR_MALFORMED},
        {"{\"a\\u0000b\":" TENSOR("U8", "[1]", 0, 1) "}", 1, TRESOR_ERROR_MALFORMED},
        {"{\"\":" TENSOR("U8", "[1]", 0, 1) "}", 1, TRESOR_OK},
        {"{\"\xff\":" TENSOR("U8", "[1]", 0, 1) "}", 1, TRESOR_ERROR_MALFORMED},
        {"{\"a\":NaN}", 1, TRESOR_ERROR_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tresor_error error;
        int32_t code = outcome(rows[i].json, rows[i].data_bytes, &error);
        if (code != rows[i].code)
            print_message("# row %zu: %s\n", i, rows[i].json);
        assert_int_equal(code, rows[i].code);
    }
}

static void an_error_says_where(void **state)
{
    (void)state;
    struct tresor_error error;
    const char json[] =
        "{\"good\":" TENSOR("U8", "[1]", 0, 1) ",\"od\":" TENSOR("F4", "[1]", 1, 2) "}";
    assert_int_equal(outcome(json, 2, &error), TRESOR_ERROR_UNSUPPORTED);
    assert_int_equal(error.offset, 8 + (uint64_t)(strstr(json, "\"od\"") - json) + 1);
    assert_int_equal(outcome("{\"a\":1,}", 0, &error), TRESOR_ERROR_MALFORMED);
    assert_true(error.offset >= 8 + 7);
    const char overlap[] =
        "{\"a\":" TENSOR("U8", "[2]", 0, 2) ",\"b\":" TENSOR("U8", "[2]", 1, 3) "}";
    assert_int_equal(outcome(overlap, 3, &error), TRESOR_ERROR_MALFORMED);
    assert_int_equal(error.tensor, 1);
}

static void lengths_at_and_past_the_limit(void **state)
{
    static const struct {
        uint64_t length;
        uint64_t file_size;
        uint32_t status;
        int32_t code;
    } rows[] = {
        {100000000, 100000008, TRESOR__PARSE_NEED, TRESOR_OK},
        {100000001, 200000000, TRESOR__PARSE_FAILED, TRESOR_ERROR_LIMIT},
        {UINT64_MAX, 200000000, TRESOR__PARSE_FAILED, TRESOR_ERROR_LIMIT},
        {UINT64_C(1) << 63, 200000000, TRESOR__PARSE_FAILED, TRESOR_ERROR_LIMIT},
        {100000000, 100000007, TRESOR__PARSE_FAILED, TRESOR_ERROR_TRUNCATED},
        {0, 9, TRESOR__PARSE_FAILED, TRESOR_ERROR_MALFORMED},
        {1, 9, TRESOR__PARSE_FAILED, TRESOR_ERROR_MALFORMED},
        {2, 9, TRESOR__PARSE_FAILED, TRESOR_ERROR_TRUNCATED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bytes bytes = {0};
        struct tresor__directory directory;
        struct tresor__parse_output output;
        struct tresor__parser parser = {0};
        bytes_put_u64(&bytes, rows[i].length);
        bytes_put_text(&bytes, "{");
        const struct tresor__parse_input input = {
            .bytes = bytes.data, .have_bytes = 9, .file_size_bytes = rows[i].file_size};
        directory_start(&directory, NULL);
        tresor__parse(&parser, &input, &directory, &output);
        assert_int_equal(output.status, rows[i].status);
        assert_int_equal(output.error.code, rows[i].code);
        tresor__directory_free(&directory);
        bytes_free(&bytes);
    }
}

static void deep_nesting_is_refused(void **state)
{
    enum {
        DEPTH = 1000000
    };
    (void)state;
    struct tresor_error error;
    char *json = malloc(DEPTH + 6);
    assert_non_null(json);
    for (int bracket = 0; bracket < 2; bracket++) {
        memcpy(json, "{\"a\":", 5);
        memset(json + 5, '[', DEPTH);
        for (size_t i = 5; bracket && i + 5 <= DEPTH; i += 5)
            memcpy(json + i, "{\"a\":", 5);
        json[5 + DEPTH] = '\0';
        assert_int_equal(outcome(json, 0, &error), TRESOR_ERROR_MALFORMED);
    }
    free(json);
}

static int32_t parse_file(struct tresor__directory *directory, uint32_t file, const char *json,
                          size_t data_bytes, struct tresor_error *error)
{
    struct bytes bytes = {0};
    struct tresor__parse_output output;
    safetensors_put_header(&bytes, json);
    bytes_put_zeros(&bytes, data_bytes);
    parse_whole(bytes.data, bytes.size, file, directory, &output);
    bytes_free(&bytes);
    *error = output.error;
    return output.error.code;
}

static void several_files(void **state)
{
    (void)state;
    struct tresor__directory directory;
    struct tresor_error error;
    const char a[] = "{\"__metadata__\":{\"k\":\"1\"},\"a\":" TENSOR("U8", "[1]", 0, 1) "}";
    const char b[] = "{\"__metadata__\":{\"k\":\"2\"},\"b\":" TENSOR("U8", "[1]", 0, 1) "}";
    directory_start(&directory, NULL);
    assert_int_equal(parse_file(&directory, 0, a, 1, &error), TRESOR_OK);
    assert_int_equal(parse_file(&directory, 1, b, 1, &error), TRESOR_OK);
    assert_int_equal(directory.entry_count, 2);
    assert_int_equal(directory.metadata_count, 1);
    const uint64_t sizes[2] = {8 + sizeof a - 1 + 1, 8 + sizeof b - 1 + 1};
    assert_int_equal(
        tresor__directory_finish(&directory, TRESOR__FORMAT_SAFETENSORS, sizes, 2, &error), 0);
    assert_int_equal(parse_file(&directory, 2, a, 1, &error), TRESOR_ERROR_DUPLICATE);
    assert_int_equal(error.file, 2);
    assert_int_equal(error.tensor, 0);
    tresor__directory_free(&directory);
}

static void formats_do_not_mix(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    struct tresor__directory directory;
    struct tresor__parse_output output;
    struct tresor_error error;
    gguf_put_good_file(&bytes);
    directory_start(&directory, NULL);
    parse_whole(bytes.data, bytes.size, 0, &directory, &output);
    assert_int_equal(output.status, TRESOR__PARSE_DONE);
    assert_int_equal(parse_file(&directory, 1, "{}", 0, &error), TRESOR_ERROR_SHARD);
    tresor__directory_free(&directory);
    bytes_free(&bytes);
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    put_good_file(&bytes);
    for (uint64_t call = 1;; call++) {
        struct failing_allocator counts = {.fail_call = call};
        const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
        struct tresor__directory directory;
        struct tresor__parse_output output;
        directory_start(&directory, &hooks);
        parse_whole(bytes.data, bytes.size, 0, &directory, &output);
        assert_int_equal(output.error.code, counts.failed ? TRESOR_ERROR_NO_MEMORY : TRESOR_OK);
        tresor__directory_free(&directory);
        assert_int_equal(counts.outstanding_bytes, 0);
        if (!counts.failed)
            break;
    }
    bytes_free(&bytes);
}

static uint64_t jansson_calls, jansson_fail_call;
static int64_t jansson_blocks;

static void *jansson_allocate(size_t size)
{
    if (++jansson_calls == jansson_fail_call)
        return NULL;
    jansson_blocks++;
    return malloc(size);
}

static void jansson_free(void *block)
{
    jansson_blocks -= block != NULL;
    free(block);
}

static void every_failed_allocation_of_jansson_is_reported(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    struct tresor_error error;
    put_good_file(&bytes);
    json_set_alloc_funcs(jansson_allocate, jansson_free);
    bool failed = true;
    for (jansson_fail_call = 1; failed; jansson_fail_call++) {
        jansson_calls = 0;
        int32_t code = parse_outcome(bytes.data, bytes.size, &error);
        failed = jansson_calls >= jansson_fail_call;
        if (code != (failed ? TRESOR_ERROR_NO_MEMORY : TRESOR_OK))
            print_message("# call %d: %d\n", (int)jansson_fail_call, code);
        assert_int_equal(code, failed ? TRESOR_ERROR_NO_MEMORY : TRESOR_OK);
        assert_int_equal(jansson_blocks, 0);
    }
    assert_true(jansson_fail_call > 20);
    json_set_alloc_funcs(malloc, free);
    bytes_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_is_read_in_order_of_offset),
        cmocka_unit_test(every_prefix_is_truncated_and_every_window_resumes),
        cmocka_unit_test(good_and_bad_headers),
        cmocka_unit_test(an_error_says_where),
        cmocka_unit_test(lengths_at_and_past_the_limit),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(several_files),
        cmocka_unit_test(formats_do_not_mix),
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(every_failed_allocation_of_jansson_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
