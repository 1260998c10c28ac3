/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "support/bytes.h"
#include "support/failing_allocator.h"
#include "support/parsing.h"

static const struct tresor__metadata *find_value(const struct tresor__directory *directory,
                                                 const char *key)
{
    uint32_t index = tresor__directory_find_metadata(directory, key, strlen(key));
    assert_int_not_equal(index, TRESOR_NONE);
    return &directory->metadata[index];
}

static const struct tresor__entry *find_entry(const struct tresor__directory *directory,
                                              const char *name)
{
    uint32_t index = tresor__directory_find(directory, name, strlen(name));
    assert_int_not_equal(index, TRESOR_NONE);
    return &directory->entries[index];
}

static void a_good_file_is_read_whole(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    const size_t header = gguf_put_good_file(&bytes);
    struct tresor__directory directory;
    struct tresor__parse_output output;
    directory_start(&directory, NULL);
    parse_whole(bytes.data, bytes.size, 0, &directory, &output);
    assert_int_equal(output.status, TRESOR__PARSE_DONE);
    assert_int_equal(output.format, TRESOR__FORMAT_GGUF);
    assert_int_equal(output.header_bytes, header);
    assert_int_equal(directory.version, 3);
    assert_int_equal(directory.alignment_bytes, 64);
    assert_int_equal(directory.shape_order, TRESOR_SHAPE_INNERMOST_FIRST);
    assert_int_equal(directory.entry_count, 5);
    assert_int_equal(directory.metadata_count, 26);

    const struct tresor__entry *entry = find_entry(&directory, "quantized");
    assert_int_equal(entry->offset_bytes, header);
    assert_int_equal(entry->size_bytes, 6 * 144);
    assert_int_equal(entry->rank, 4);
    assert_int_equal(entry->shape[3], 3);
    assert_int_equal(entry->dtype, TRESOR_DTYPE_Q4_K);
    assert_int_equal(find_entry(&directory, "scalar")->size_bytes, 4);
    assert_int_equal(find_entry(&directory, "empty")->size_bytes, 0);
    assert_int_equal(find_entry(&directory, "byte")->offset_bytes, header + 871);
    assert_int_equal(find_entry(&directory, "")->size_bytes, 8);

    const struct tresor__metadata *value = find_value(&directory, "general.architecture");
    assert_int_equal(value->type, TRESOR_METADATA_STRING);
    assert_int_equal(value->size_bytes, 5);
    assert_memory_equal(bytes.data + value->offset, "llama", 5);
    assert_false(value->in_strings);
    value = find_value(&directory, "tokens");
    assert_int_equal(value->type, TRESOR_METADATA_ARRAY);
    assert_int_equal(value->element_type, TRESOR_METADATA_STRING);
    assert_int_equal(value->count, 4);
    assert_int_equal(value->size_bytes, 4 * 8 + 16);
    assert_memory_equal(bytes.data + value->offset + 8, "a", 1);
    assert_int_equal(find_value(&directory, "nothing")->size_bytes, 0);
    assert_int_equal(find_value(&directory, "array.m")->size_bytes, 24);
    assert_int_equal(find_value(&directory, "array.h")->size_bytes, 3);

    const uint64_t size = bytes.size;
    struct tresor_error error;
    assert_int_equal(tresor__directory_finish(&directory, output.format, &size, 1, &error), 0);
    assert_int_equal(directory.overlap_count, 0);
    tresor__directory_free(&directory);
    bytes_free(&bytes);
}

static void every_window_reaches_the_same_directory(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    gguf_put_good_file(&bytes);
    struct tresor__directory whole, grown;
    struct tresor__parse_output output, grown_output;
    directory_start(&whole, NULL);
    parse_whole(bytes.data, bytes.size, 0, &whole, &output);
    for (size_t step = 0; step < 4; step++) {
        directory_start(&grown, NULL);
        parse_growing(&bytes, 0, step, 0, &grown, &grown_output);
        assert_int_equal(grown_output.status, TRESOR__PARSE_DONE);
        assert_int_equal(grown_output.header_bytes, output.header_bytes);
        assert_same_directory(&whole, &grown);
        tresor__directory_free(&grown);
    }
    for (size_t first = 0; first <= bytes.size; first++) {
        directory_start(&grown, NULL);
        parse_growing(&bytes, first, 0, 0, &grown, &grown_output);
        assert_int_equal(grown_output.status, TRESOR__PARSE_DONE);
        assert_same_directory(&whole, &grown);
        tresor__directory_free(&grown);
    }
    tresor__directory_free(&whole);
    bytes_free(&bytes);
}

static void every_prefix_is_truncated(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    struct tresor_error error;
    gguf_put_good_file(&bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        assert_int_equal(parse_outcome(bytes.data, size, &error), TRESOR_ERROR_TRUNCATED);
        assert_int_equal(error.file, 0);
        assert_true(error.wanted > error.got);
    }
    assert_int_equal(parse_outcome(bytes.data, bytes.size, &error), TRESOR_OK);
    bytes_free(&bytes);
}

static void no_tensors_need_no_padding(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    struct tresor__directory directory;
    struct tresor__parse_output output;
    gguf_put_header(&bytes, 2, 0, 1);
    gguf_put_key_string(&bytes, "k", "v");
    directory_start(&directory, NULL);
    struct tresor__parser parser = {0};
    struct tresor__parse_input input = {
        .bytes = bytes.data, .have_bytes = bytes.size - 1, .file_size_bytes = bytes.size};
    tresor__parse(&parser, &input, &directory, &output); /* the value's last byte is not here yet */
    assert_int_equal(output.status, TRESOR__PARSE_NEED);
    assert_int_equal(output.need_bytes, bytes.size);
    input.have_bytes++;
    tresor__parse(&parser, &input, &directory, &output);
    assert_int_equal(output.status, TRESOR__PARSE_DONE);
    assert_int_equal(output.header_bytes, bytes.size);
    assert_int_equal(directory.version, 2);
    assert_int_equal(directory.alignment_bytes, 32);
    tresor__directory_free(&directory);
    bytes_free(&bytes);
}

static void put_shard(struct bytes *bytes, uint32_t number, const char *tensor)
{
    static const uint64_t shape[1] = {8};
    gguf_put_header(bytes, 3, 1, 4);
    gguf_put_key(bytes, "split.no", TRESOR_METADATA_U16);
    bytes_put(bytes, &(uint8_t[2]){(uint8_t)number, 0}, 2);
    gguf_put_key(bytes, "split.count", TRESOR_METADATA_I64);
    bytes_put_u64(bytes, 2);
    gguf_put_key(bytes, "split.tensors.count", TRESOR_METADATA_I32);
    bytes_put_u32(bytes, 2);
    gguf_put_key_u32(bytes, number ? "only.in.second" : "only.in.first", 1);
    gguf_put_tensor(bytes, tensor, 1, shape, 0, 0);
    bytes_pad(bytes, 32);
    bytes_put_zeros(bytes, 32);
}

static void shards_share_a_directory(void **state)
{
    (void)state;
    struct bytes first = {0}, second = {0};
    struct tresor__directory directory;
    struct tresor__parse_output output;
    struct tresor_error error;
    put_shard(&first, 0, "a");
    put_shard(&second, 1, "b");
    directory_start(&directory, NULL);
    parse_whole(first.data, first.size, 0, &directory, &output);
    assert_int_equal(output.status, TRESOR__PARSE_DONE);
    const uint32_t string_bytes = directory.string_bytes;
    parse_growing(&second, 0, 1, 1, &directory, &output);
    assert_int_equal(directory.string_bytes,
                     string_bytes + 2); /* "b"; skipped keys leave nothing */
    assert_int_equal(output.status, TRESOR__PARSE_DONE);
    assert_int_equal(output.split_index, 1);
    assert_int_equal(output.split_count, 2);
    assert_int_equal(output.split_tensors, 2);
    assert_int_equal(directory.entry_count, 2);
    assert_int_equal(find_entry(&directory, "b")->file, 1);
    assert_string_equal(directory.strings + find_entry(&directory, "b")->name_offset, "b");
    find_value(&directory, "only.in.first");
    assert_int_equal(tresor__directory_find_metadata(&directory, "only.in.second", 14),
                     TRESOR_NONE);
    uint64_t sizes[2] = {first.size, second.size};
    assert_int_equal(tresor__directory_finish(&directory, output.format, sizes, 2, &error), 0);
    sizes[1]--;
    assert_int_equal(tresor__directory_finish(&directory, output.format, sizes, 2, &error),
                     TRESOR_ERROR_TRUNCATED);
    assert_int_equal(error.file, 1);
    assert_int_equal(error.tensor, 1);
    assert_int_equal(error.wanted, 32);
    assert_int_equal(error.got, 31);
    tresor__directory_free(&directory);
    bytes_free(&first);
    bytes_free(&second);
}

static int32_t parse_second(const struct bytes *second, struct tresor_error *error)
{
    struct bytes first = {0};
    struct tresor__directory directory;
    struct tresor__parse_output output;
    put_shard(&first, 0, "a");
    directory_start(&directory, NULL);
    parse_whole(first.data, first.size, 0, &directory, &output);
    parse_whole(second->data, second->size, 1, &directory, &output);
    *error = output.error;
    tresor__directory_free(&directory);
    bytes_free(&first);
    return error->code;
}

static void doubles_across_and_within_shards(void **state)
{
    (void)state;
    struct bytes second = {0};
    struct tresor_error error;
    put_shard(&second, 1, "a");
    assert_int_equal(parse_second(&second, &error), TRESOR_ERROR_DUPLICATE);
    assert_int_equal(error.file, 1);
    assert_int_equal(error.tensor, 0);
    bytes_free(&second);

    gguf_put_header(&second, 3, 0, 2);
    gguf_put_key_u32(&second, "twice", 1);
    gguf_put_key_u32(&second, "twice", 1);
    assert_int_equal(parse_second(&second, &error), TRESOR_ERROR_DUPLICATE);
    bytes_free(&second);

    gguf_put_header(&second, 3, 0, 2); /* the first file has this key too: no double */
    gguf_put_key_u32(&second, "only.in.first", 1);
    gguf_put_key_u32(&second, "other", 1);
    assert_int_equal(parse_second(&second, &error), TRESOR_OK);
    bytes_free(&second);
}

static void files_come_in_order(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    struct tresor__directory directory;
    struct tresor__parse_output output;
    put_shard(&bytes, 0, "a");
    directory_start(&directory, NULL);
    parse_whole(bytes.data, bytes.size, 1, &directory, &output);
    assert_int_equal(output.error.code, TRESOR_ERROR_INVALID);
    tresor__directory_free(&directory);
    bytes_free(&bytes);
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    struct bytes first = {0}, second = {0};
    gguf_put_good_file(&first);
    put_shard(&second, 1, "b");
    uint64_t failures = 0;
    for (uint64_t call = 1;; call++, failures++) {
        struct failing_allocator counts = {.fail_call = call};
        const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
        struct tresor__directory directory;
        struct tresor__parse_output output;
        directory_start(&directory, &hooks);
        parse_whole(first.data, first.size, 0, &directory, &output);
        if (output.status == TRESOR__PARSE_DONE)
            parse_whole(second.data, second.size, 1, &directory, &output);
        assert_int_equal(output.error.code, counts.failed ? TRESOR_ERROR_NO_MEMORY : TRESOR_OK);
        tresor__directory_free(&directory);
        assert_int_equal(counts.outstanding_bytes, 0);
        if (!counts.failed)
            break;
    }
    assert_true(failures >= 7);
    bytes_free(&first);
    bytes_free(&second);
}

/* Whatever the window, all strings in it are walked, and none of them is left for the next call. */
static void a_large_header_is_resumed_not_restarted(void **state)
{
    enum {
        COUNT = 200000,
        STRING_BYTES = 8 + 5,
    };
    (void)state;
    struct bytes bytes = {0};
    struct tresor__directory directory;
    struct tresor__parse_output output;
    struct tresor__parser parser = {0};
    gguf_put_header(&bytes, 3, 0, 1);
    gguf_put_key_array(&bytes, "tokens", TRESOR_METADATA_STRING, COUNT);
    const size_t head = bytes.size;
    for (uint32_t i = 0; i < COUNT; i++)
        gguf_put_string(&bytes, "token");
    directory_start(&directory, NULL);
    for (size_t have = head; have < bytes.size; have += 10007) {
        const struct tresor__parse_input input = {
            .bytes = bytes.data, .have_bytes = have, .file_size_bytes = bytes.size};
        tresor__parse(&parser, &input, &directory, &output);
        assert_int_equal(output.status, TRESOR__PARSE_NEED);
        assert_int_equal(parser.state.gguf.array_left, COUNT - (have - head) / STRING_BYTES);
        memset(bytes.data, 0xff, parser.state.gguf.position); /* it never looks back */
    }
    const struct tresor__parse_input input = {
        .bytes = bytes.data, .have_bytes = bytes.size, .file_size_bytes = bytes.size};
    tresor__parse(&parser, &input, &directory, &output);
    assert_int_equal(output.status, TRESOR__PARSE_DONE);
    assert_int_equal(directory.metadata[0].size_bytes, STRING_BYTES * COUNT);
    tresor__directory_free(&directory);
    bytes_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_is_read_whole),
        cmocka_unit_test(every_window_reaches_the_same_directory),
        cmocka_unit_test(every_prefix_is_truncated),
        cmocka_unit_test(no_tensors_need_no_padding),
        cmocka_unit_test(shards_share_a_directory),
        cmocka_unit_test(doubles_across_and_within_shards),
        cmocka_unit_test(files_come_in_order),
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(a_large_header_is_resumed_not_restarted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
