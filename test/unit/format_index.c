/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "support/bytes.h"
#include "support/failing_allocator.h"
#include "support/parsing.h"

static const char good_json[] = "{\"metadata\":{\"total_size\":3},\"weight_map\":{\"a\":\"m-2.st\","
                                "\"b\":\"m-1.st\",\"c\":\"m-2.st\"}}\n";

static int32_t parse_text(struct tresor__directory *directory, const char *json,
                          struct tresor__parse_output *output)
{
    struct bytes bytes = {0};
    bytes_put_text(&bytes, json);
    parse_growing(&bytes, 0, 0, 0, directory, output);
    bytes_free(&bytes);
    return output->error.code;
}

static void shards_are_unique_and_sorted(void **state)
{
    (void)state;
    struct tresor__directory directory;
    struct tresor__parse_output output;
    directory_start(&directory, NULL);
    assert_int_equal(parse_text(&directory, good_json, &output), TRESOR_OK);
    assert_int_equal(output.status, TRESOR__PARSE_DONE);
    assert_int_equal(output.format, TRESOR__FORMAT_SAFETENSORS_INDEX);
    assert_int_equal(directory.shard_count, 2);
    assert_string_equal(directory.shard_names[0], "m-1.st");
    assert_string_equal(directory.shard_names[1], "m-2.st");
    assert_int_equal(directory.shard_tensor_count, 3);
    assert_int_equal(directory.shard_tensors[0].shard, 1);
    assert_int_equal(directory.shard_tensors[1].shard, 0);
    assert_int_equal(directory.entry_count, 0);
    assert_int_equal(parse_text(&directory, good_json, &output), TRESOR_ERROR_SHARD); /* twice */
    tresor__directory_free(&directory);
}

static void good_and_bad_indexes(void **state)
{
    static const struct {
        const char *json;
        int32_t code;
    } rows[] = {
        {"{\"weight_map\":{\"a\":\"1.st\"}}", TRESOR_OK},
        {"{\"weight_map\":{\"a\":\"1.st\"}} \r\n\t", TRESOR_OK},
        {"{\"weight_map\":{\"a\":\"..st\"}}", TRESOR_OK},
        {"{\"weight_map\":{\"a\":\"1.st\"}}x", TRESOR_ERROR_MALFORMED},
        {"{\"weight_map\":{\"a\":\"1.st\"}", TRESOR_ERROR_MALFORMED},
        {"{\"weight_map\":{}}", TRESOR_ERROR_MALFORMED},
        {"{\"weight_map\":[]}", TRESOR_ERROR_MALFORMED},
        {"{\"metadata\":{}}  ", TRESOR_ERROR_MALFORMED},
        {"{\"weight_map\":{\"a\":1}}", TRESOR_ERROR_MALFORMED},
        {"{\"weight_map\":{\"a\":\"1\",\"a\":\"2\"}}", TRESOR_ERROR_DUPLICATE},
        {"{\"weight_map\":{\"a\":\"\"}}", TRESOR_ERROR_SHARD},
        {"{\"weight_map\":{\"a\":\".\"}}", TRESOR_ERROR_SHARD},
        {"{\"weight_map\":{\"a\":\"..\"}}", TRESOR_ERROR_SHARD},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", TRESOR_ERROR_SHARD},
        {"{\"weight_map\":{\"a\":\"../1.st\"}}", TRESOR_ERROR_SHARD},
        {"{\"weight_map\":{\"a\":\"b\\u002f1.st\"}}", TRESOR_ERROR_SHARD},
        {"{\"weight_map\":{\"a\":\"..\\\\1.st\"}}", TRESOR_ERROR_SHARD},
        {"{\"weight_map\":{\"a\":\"1.st\\u0000\"}}", TRESOR_ERROR_SHARD},
        {"{\"weight_map\":{\"a\\u0000\":\"1.st\"}}", TRESOR_ERROR_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tresor__directory directory;
        struct tresor__parse_output output;
        directory_start(&directory, NULL);
        int32_t code = parse_text(&directory, rows[i].json, &output);
        if (code != rows[i].code)
            print_message("# row %zu: %s\n", i, rows[i].json);
        assert_int_equal(code, rows[i].code);
        tresor__directory_free(&directory);
    }
}

static void every_prefix_fails(void **state)
{
    (void)state;
    struct tresor_error error;
    for (size_t size = 0; size < sizeof good_json - 2; size++)
        assert_int_not_equal(parse_outcome((const uint8_t *)good_json, size, &error), TRESOR_OK);
}

static void an_index_past_its_limit(void **state)
{
    (void)state;
    struct tresor__directory directory;
    struct tresor__parse_output output;
    struct tresor__parser parser = {0};
    struct tresor__parse_input input = {.bytes = (const uint8_t *)good_json,
                                        .have_bytes = sizeof good_json - 1,
                                        .file_size_bytes = 100000000};
    directory_start(&directory, NULL);
    tresor__parse(&parser, &input, &directory, &output);
    assert_int_equal(output.status, TRESOR__PARSE_NEED);
    assert_int_equal(output.need_bytes, 100000000);
    input.file_size_bytes++;
    tresor__parse(&parser, &input, &directory, &output);
    assert_int_equal(output.error.code, TRESOR_ERROR_LIMIT);
    tresor__directory_free(&directory);
}

/* One file per tensor name, of one byte each; the shards after an index. */
static int32_t finish_shards(const char *const *jsons, const size_t *data_bytes, uint32_t count,
                             struct tresor_error *error)
{
    struct tresor__directory directory;
    struct tresor__parse_output output;
    uint64_t sizes[4] = {0};
    directory_start(&directory, NULL);
    assert_int_equal(parse_text(&directory, good_json, &output), TRESOR_OK);
    for (uint32_t i = 0; i < count; i++) {
        struct bytes bytes = {0};
        safetensors_put_header(&bytes, jsons[i]);
        bytes_put_zeros(&bytes, data_bytes[i]);
        sizes[i] = bytes.size;
        parse_whole(bytes.data, bytes.size, i, &directory, &output);
        assert_int_equal(output.status, TRESOR__PARSE_DONE);
        bytes_free(&bytes);
    }
    int32_t code =
        tresor__directory_finish(&directory, TRESOR__FORMAT_SAFETENSORS, sizes, count, error);
    assert_int_equal(code, error->code);
    tresor__directory_free(&directory);
    return code;
}

#define BYTE(name, begin, end)                                                                     \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[" #begin "," #end "]}"

static void tensors_are_where_the_map_says(void **state)
{
    (void)state;
    struct tresor_error error;
    const char *const good[] = {"{" BYTE("b", 0, 1) "," BYTE("extra", 1, 2) "}",
                                "{" BYTE("a", 0, 1) "," BYTE("c", 1, 2) "}"};
    const char *const moved[] = {"{" BYTE("b", 0, 1) "," BYTE("c", 1, 2) "}",
                                 "{" BYTE("a", 0, 1) "}"};
    const char *const missing[] = {"{}", "{" BYTE("a", 0, 1) "," BYTE("c", 1, 2) "}"};
    assert_int_equal(finish_shards(good, (size_t[]){2, 2}, 2, &error), TRESOR_OK);
    assert_int_equal(finish_shards(moved, (size_t[]){2, 1}, 2, &error), TRESOR_ERROR_SHARD);
    assert_int_equal(error.tensor, 1);
    assert_int_equal(error.file, 1);
    assert_int_equal(error.wanted, 2); /* "c" in the map */
    assert_int_equal(error.got, 0);
    assert_int_equal(finish_shards(missing, (size_t[]){0, 2}, 2, &error), TRESOR_ERROR_SHARD);
    assert_int_equal(error.tensor, TRESOR_NONE);
    assert_int_equal(error.file, 0);
    assert_int_equal(error.wanted, 1);
    assert_int_equal(finish_shards(good, (size_t[]){2}, 1, &error), TRESOR_ERROR_SHARD);
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    for (uint64_t call = 1;; call++) {
        struct failing_allocator counts = {.fail_call = call};
        const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
        struct tresor__directory directory;
        struct tresor__parse_output output;
        directory_start(&directory, &hooks);
        int32_t code = parse_text(&directory, good_json, &output);
        assert_int_equal(code, counts.failed ? TRESOR_ERROR_NO_MEMORY : TRESOR_OK);
        tresor__directory_free(&directory);
        assert_int_equal(counts.outstanding_bytes, 0);
        if (!counts.failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_unique_and_sorted),
        cmocka_unit_test(good_and_bad_indexes),
        cmocka_unit_test(every_prefix_fails),
        cmocka_unit_test(an_index_past_its_limit),
        cmocka_unit_test(tensors_are_where_the_map_says),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
