/* SPDX-License-Identifier: MIT */
/* Headers that are wrong, or at a limit; among them those of published faults in other parsers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "support/bytes.h"
#include "support/failing_allocator.h"
#include "support/parsing.h"

static const uint64_t ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};

/* Ends, frees and tells the outcome; 4096 bytes of data follow. */
static int32_t outcome(struct bytes *bytes)
{
    struct tresor_error error;
    bytes_pad(bytes, 32);
    bytes_put_zeros(bytes, 4096);
    int32_t code = parse_outcome(bytes->data, bytes->size, &error);
    bytes_free(bytes);
    return code;
}

static int32_t outcome_of_shape(uint32_t rank, const uint64_t *shape, uint32_t dtype,
                                uint64_t offset)
{
    struct bytes bytes = {0};
    gguf_put_header(&bytes, 3, 1, 0);
    gguf_put_tensor(&bytes, "t", rank, shape, dtype, offset);
    return outcome(&bytes);
}

static void versions(void **state)
{
    static const struct {
        uint32_t version;
        int32_t code;
    } rows[] = {
        {0, TRESOR_ERROR_VERSION},
        {1, TRESOR_ERROR_VERSION},
        {2, TRESOR_OK},
        {3, TRESOR_OK},
        {4, TRESOR_ERROR_VERSION},
        {0x03000000, TRESOR_ERROR_VERSION},
    };
    (void)state;
    struct bytes bytes = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        gguf_put_header(&bytes, rows[i].version, 0, 0);
        assert_int_equal(outcome(&bytes), rows[i].code);
    }
    bytes_put_text(&bytes, "FUGG");
    bytes_put_u32(&bytes, 0x03000000);
    assert_int_equal(outcome(&bytes), TRESOR_ERROR_VERSION);
}

static void shapes(void **state)
{
    const uint64_t top = UINT64_C(1) << 63, wrap = UINT64_C(1) << 32;
    const struct {
        uint32_t rank;
        uint64_t shape[4];
        uint32_t dtype;
        int32_t code;
    } rows[] = {
        {0, {0}, TRESOR_DTYPE_F32, TRESOR_OK},
        {0, {0}, TRESOR_DTYPE_Q4_0, TRESOR_ERROR_MALFORMED}, /* one element is no block */
        {4, {1, 1, 1, 1}, TRESOR_DTYPE_F32, TRESOR_OK},
        {1, {0}, TRESOR_DTYPE_Q4_0, TRESOR_OK},
        {1, {31}, TRESOR_DTYPE_Q4_0, TRESOR_ERROR_MALFORMED},
        {2, {16, 2}, TRESOR_DTYPE_Q4_0, TRESOR_ERROR_MALFORMED},
        {1, {32}, TRESOR_DTYPE_Q4_0, TRESOR_OK},
        {1, {1024}, TRESOR_DTYPE_F32, TRESOR_OK},
        {1, {1025}, TRESOR_DTYPE_F32, TRESOR_ERROR_TRUNCATED},
        {1, {top}, TRESOR_DTYPE_I8, TRESOR_ERROR_MALFORMED},
        {1, {UINT64_MAX}, TRESOR_DTYPE_I8, TRESOR_ERROR_MALFORMED},
        {1, {top - 1}, TRESOR_DTYPE_I8, TRESOR_ERROR_TRUNCATED},
        {1, {top - 1}, TRESOR_DTYPE_F32, TRESOR_ERROR_MALFORMED},
        {2, {wrap, wrap}, TRESOR_DTYPE_F32, TRESOR_ERROR_MALFORMED}, /* wraps to 0 */
        {3, {wrap, wrap, 0}, TRESOR_DTYPE_F32, TRESOR_ERROR_MALFORMED},
        {1, {1}, 4, TRESOR_ERROR_UNSUPPORTED}, /* q4_2 */
        {1, {1}, TRESOR_DTYPE_BOOL, TRESOR_ERROR_UNSUPPORTED},
        {1, {1}, UINT32_MAX, TRESOR_ERROR_UNSUPPORTED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(outcome_of_shape(rows[i].rank, rows[i].shape, rows[i].dtype, 0),
                         rows[i].code);
    assert_int_equal(outcome_of_shape(5, ones, 0, 0), TRESOR_ERROR_MALFORMED);
    assert_int_equal(outcome_of_shape(8, ones, 0, 0), TRESOR_ERROR_MALFORMED);
}

/* CVE-2024-21802: more dimensions than the reader's array has room for. */
static void a_rank_is_not_believed(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    gguf_put_header(&bytes, 3, 1, 0);
    gguf_put_string(&bytes, "t");
    bytes_put_u32(&bytes, UINT32_MAX);
    assert_int_equal(outcome(&bytes), TRESOR_ERROR_MALFORMED);
}

static void offsets(void **state)
{
    (void)state;
    assert_int_equal(outcome_of_shape(1, ones, 0, 1), TRESOR_OK); /* not aligned */
    assert_int_equal(outcome_of_shape(1, ones, 0, 4092), TRESOR_OK);
    assert_int_equal(outcome_of_shape(1, ones, 0, 4093), TRESOR_ERROR_TRUNCATED);
    assert_int_equal(outcome_of_shape(1, ones, 0, UINT64_MAX), TRESOR_ERROR_MALFORMED);
    assert_int_equal(outcome_of_shape(1, ones, 0, UINT64_MAX - 66), TRESOR_ERROR_MALFORMED);
    assert_int_equal(outcome_of_shape(1, ones, 0, INT64_MAX), TRESOR_ERROR_TRUNCATED);
}

static int32_t outcome_of_alignment(uint32_t type, uint64_t value, size_t size)
{
    struct bytes bytes = {0};
    gguf_put_header(&bytes, 3, 0, 1);
    gguf_put_key(&bytes, "general.alignment", type);
    bytes_put(&bytes, &value, size); /* the test machine is little-endian, like the format */
    return outcome(&bytes);
}

static void alignments(void **state)
{
    static const struct {
        uint32_t value;
        int32_t code;
    } rows[] = {
        {0, TRESOR_ERROR_MALFORMED},       {1, TRESOR_OK},
        {3, TRESOR_ERROR_MALFORMED},       {32, TRESOR_OK},
        {48, TRESOR_ERROR_MALFORMED},      {1 << 20, TRESOR_OK},
        {1 << 21, TRESOR_ERROR_MALFORMED}, {UINT32_C(1) << 31, TRESOR_ERROR_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(outcome_of_alignment(TRESOR_METADATA_U32, rows[i].value, 4), rows[i].code);
    assert_int_equal(outcome_of_alignment(TRESOR_METADATA_U64, UINT64_C(1) << 63, 8),
                     TRESOR_ERROR_MALFORMED);
    assert_int_equal(outcome_of_alignment(TRESOR_METADATA_U64, 32, 8), TRESOR_ERROR_MALFORMED);
    assert_int_equal(outcome_of_alignment(TRESOR_METADATA_I32, 32, 4), TRESOR_ERROR_MALFORMED);
    assert_int_equal(outcome_of_alignment(TRESOR_METADATA_STRING, 0, 8), TRESOR_ERROR_MALFORMED);
}

static int32_t outcome_of_value(const char *key, uint32_t type, const void *value, size_t size)
{
    struct bytes bytes = {0};
    gguf_put_header(&bytes, 3, 0, 1);
    gguf_put_key(&bytes, key, type);
    bytes_put(&bytes, value, size);
    return outcome(&bytes);
}

static void metadata_values(void **state)
{
    (void)state;
    const uint8_t minus_one[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    assert_int_equal(outcome_of_value("k", TRESOR_METADATA_BOOL, "\0", 1), TRESOR_OK);
    assert_int_equal(outcome_of_value("k", TRESOR_METADATA_BOOL, "\1", 1), TRESOR_OK);
    assert_int_equal(outcome_of_value("k", TRESOR_METADATA_BOOL, "\2", 1), TRESOR_ERROR_MALFORMED);
    assert_int_equal(outcome_of_value("k", 13, minus_one, 8), TRESOR_ERROR_MALFORMED);
    assert_int_equal(outcome_of_value("k", UINT32_MAX, minus_one, 8), TRESOR_ERROR_MALFORMED);
    assert_int_equal(outcome_of_value("k", TRESOR_METADATA_I64, minus_one, 8), TRESOR_OK);
    assert_int_equal(outcome_of_value("split.no", TRESOR_METADATA_I8, minus_one, 1),
                     TRESOR_ERROR_MALFORMED);
    assert_int_equal(outcome_of_value("split.no", TRESOR_METADATA_U8, minus_one, 1), TRESOR_OK);
    assert_int_equal(outcome_of_value("split.count", TRESOR_METADATA_U64, minus_one, 8),
                     TRESOR_ERROR_MALFORMED);
    assert_int_equal(outcome_of_value("split.count", TRESOR_METADATA_F32, minus_one, 4),
                     TRESOR_ERROR_MALFORMED);
    assert_int_equal(outcome_of_value("split.tensors.count", TRESOR_METADATA_I32, minus_one, 4),
                     TRESOR_ERROR_MALFORMED);
    /* The length of a string, far past the end (CVE-2024-23496 is its sum with 1). */
    assert_int_equal(outcome_of_value("k", TRESOR_METADATA_STRING, minus_one, 8),
                     TRESOR_ERROR_TRUNCATED);
}

/* Any type will do for a number that it can hold, and a negative one for none. */
static void integers_of_all_types(void **state)
{
    static const struct {
        uint32_t type;
        size_t size;
        bool is_signed;
    } rows[] = {
        {TRESOR_METADATA_U8, 1, false},  {TRESOR_METADATA_I8, 1, true},   {TRESOR_METADATA_U16, 2, false},
        {TRESOR_METADATA_I16, 2, true},  {TRESOR_METADATA_U32, 4, false}, {TRESOR_METADATA_I32, 4, true},
        {TRESOR_METADATA_U64, 8, false}, {TRESOR_METADATA_I64, 8, true},
    };
    const uint8_t one[8] = {1};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t high[8] = {0};
        high[rows[i].size - 1] = 0x80; /* the lowest of a signed type */
        assert_int_equal(outcome_of_value("split.tensors.count", rows[i].type, one, rows[i].size), TRESOR_OK);
        assert_int_equal(outcome_of_value("split.tensors.count", rows[i].type, high, rows[i].size),
                         rows[i].is_signed ? TRESOR_ERROR_MALFORMED : TRESOR_OK);
    }
    struct bytes bytes = {0};
    gguf_put_header(&bytes, 3, 0, 1);
    gguf_put_key_array(&bytes, "split.tensors.count", TRESOR_METADATA_U64, 1);
    bytes_put(&bytes, one, 8);
    assert_int_equal(outcome(&bytes), TRESOR_ERROR_MALFORMED);
    gguf_put_header(&bytes, 3, 0, 1);
    gguf_put_key_string(&bytes, "split.tensors.count", "1");
    assert_int_equal(outcome(&bytes), TRESOR_ERROR_MALFORMED);
}

static int32_t outcome_of_array(uint32_t type, uint64_t count, size_t put)
{
    struct bytes bytes = {0};
    gguf_put_header(&bytes, 3, 0, 1);
    gguf_put_key_array(&bytes, "k", type, count);
    bytes_put_zeros(&bytes, put);
    return outcome(&bytes);
}

static void arrays(void **state)
{
    (void)state;
    assert_int_equal(outcome_of_array(TRESOR_METADATA_ARRAY, 1, 12), TRESOR_ERROR_UNSUPPORTED);
    assert_int_equal(outcome_of_array(13, 0, 0), TRESOR_ERROR_MALFORMED);
    assert_int_equal(outcome_of_array(TRESOR_METADATA_U64, UINT64_C(1) << 61, 0),
                     TRESOR_ERROR_TRUNCATED); /* 8 times that wraps to 0 (CVE-2024-21825) */
    assert_int_equal(outcome_of_array(TRESOR_METADATA_U8, UINT64_MAX, 0), TRESOR_ERROR_TRUNCATED);
    assert_int_equal(outcome_of_array(TRESOR_METADATA_BOOL, UINT64_MAX, 0), TRESOR_ERROR_TRUNCATED);
    assert_int_equal(outcome_of_array(TRESOR_METADATA_STRING, UINT64_MAX, 0),
                     TRESOR_ERROR_TRUNCATED);
    assert_int_equal(outcome_of_array(TRESOR_METADATA_STRING, 10, 80), TRESOR_OK);
    struct bytes bytes = {0};
    gguf_put_header(&bytes, 3, 0, 1);
    gguf_put_key_array(&bytes, "k", TRESOR_METADATA_BOOL, 3);
    bytes_put(&bytes, "\0\1\2", 3);
    assert_int_equal(outcome(&bytes), TRESOR_ERROR_MALFORMED);
    /* CVE-2024-32878: the second string of an array fails, and the others were never set. */
    gguf_put_header(&bytes, 3, 0, 1);
    gguf_put_key_array(&bytes, "k", TRESOR_METADATA_STRING, 3);
    gguf_put_string(&bytes, "fine");
    bytes_put_u64(&bytes, UINT64_MAX - 7);
    assert_int_equal(outcome(&bytes), TRESOR_ERROR_TRUNCATED);
}

/* So many strings are no longer in the file once the first are read; where that is told must not depend on the window. */
static void a_cut_array_ends_at_the_same_string_in_any_window(void **state)
{
    enum { COUNT = 20, WHOLE = 8 };
    (void)state;
    struct bytes bytes = {0};
    struct tresor__directory directory;
    struct tresor__parse_output whole;
    gguf_put_header(&bytes, 3, 0, 1);
    gguf_put_key_array(&bytes, "k", TRESOR_METADATA_STRING, COUNT);
    for (uint32_t i = 0; i < WHOLE; i++)
        gguf_put_string(&bytes, "twelve bytes");
    bytes_put_zeros(&bytes, 4);
    directory_start(&directory, NULL);
    parse_whole(bytes.data, bytes.size, 0, &directory, &whole);
    tresor__directory_free(&directory);
    assert_int_equal(whole.error.code, TRESOR_ERROR_TRUNCATED);
    assert_int_equal(whole.error.offset, bytes.size - 4);
    for (size_t step = 0; step < bytes.size; step++) {
        struct tresor__parse_output grown;
        directory_start(&directory, NULL);
        parse_growing(&bytes, 0, step, 0, &directory, &grown);
        assert_memory_equal(&grown.error, &whole.error, sizeof whole.error);
        tresor__directory_free(&directory);
    }
    bytes_free(&bytes);
}

static int32_t outcome_of_name(size_t length, bool backed)
{
    struct bytes bytes = {0};
    char *name = calloc(1, length + 1);
    assert_non_null(name);
    memset(name, 'n', length);
    gguf_put_header(&bytes, 3, 1, 0);
    if (backed)
        gguf_put_tensor(&bytes, name, 1, ones, 0, 0);
    else
        bytes_put_u64(&bytes, length);
    free(name);
    return outcome(&bytes);
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(outcome_of_name(64, true), TRESOR_OK);
    assert_int_equal(outcome_of_name(65, true), TRESOR_OK);
    assert_int_equal(outcome_of_name(65535, true), TRESOR_OK);
    assert_int_equal(outcome_of_name(65536, true), TRESOR_ERROR_LIMIT);
    assert_int_equal(outcome_of_name(65535, false), TRESOR_ERROR_TRUNCATED);
    assert_int_equal(outcome_of_name(65536, false), TRESOR_ERROR_LIMIT);
    struct bytes bytes = {0};
    gguf_put_header(&bytes, 3, 1, 0);
    bytes_put_u64(&bytes, 3);
    bytes_put(&bytes, "a\0b", 3);
    assert_int_equal(outcome(&bytes), TRESOR_ERROR_MALFORMED);
    gguf_put_header(&bytes, 3, 2, 0);
    gguf_put_tensor(&bytes, "same", 1, ones, 0, 0);
    gguf_put_tensor(&bytes, "same", 1, ones, 0, 32);
    assert_int_equal(outcome(&bytes), TRESOR_ERROR_DUPLICATE);
    gguf_put_header(&bytes, 3, 0, 2);
    gguf_put_key_u32(&bytes, "same", 1);
    gguf_put_key_string(&bytes, "same", "x");
    assert_int_equal(outcome(&bytes), TRESOR_ERROR_DUPLICATE);
}

/* Refused at once: with the smallest window, without an allocation, however large the file says it
 * is. */
static void assert_refused_at_once(struct bytes *bytes, uint64_t file_size)
{
    struct failing_allocator counts = {0};
    const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
    struct tresor__directory directory;
    struct tresor__parse_output output;
    struct tresor__parser parser = {0};
    const struct tresor__parse_input input = {
        .bytes = bytes->data, .have_bytes = bytes->size, .file_size_bytes = file_size};
    directory_start(&directory, &hooks);
    tresor__parse(&parser, &input, &directory, &output);
    assert_int_equal(output.status, TRESOR__PARSE_FAILED);
    assert_int_equal(output.error.code, TRESOR_ERROR_TRUNCATED);
    assert_true(output.error.wanted > output.error.got);
    assert_int_equal(counts.calls, 0);
    tresor__directory_free(&directory);
    bytes_free(bytes);
}

/* CVE-2024-21836, CVE-2024-23605, GHSA-vgg9-87g3-85w8, GHSA-3p75-pq92-q28f: counts and sizes that
 * wrap. */
static void counts_that_no_file_backs(void **state)
{
    static const uint64_t counts[] = {UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 61,
                                      UINT64_MAX / 24 + 2, 100000};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct bytes bytes = {0};
        gguf_put_header(&bytes, 3, counts[i], 0);
        assert_refused_at_once(&bytes, 1000000);
        gguf_put_header(&bytes, 3, 0, counts[i]);
        assert_refused_at_once(&bytes, 1000000);
        gguf_put_header(&bytes, 3, 0, 1);
        gguf_put_key_array(&bytes, "k", TRESOR_METADATA_F64, counts[i]);
        assert_refused_at_once(&bytes, 800000);
        gguf_put_header(&bytes, 3, 0, 1);
        gguf_put_key(&bytes, "k", TRESOR_METADATA_STRING);
        bytes_put_u64(&bytes, counts[i]);
        assert_refused_at_once(&bytes, 100000);
    }
}

/* A file may be large and still have few tensors: storage follows what was parsed. */
static void storage_follows_what_was_parsed(void **state)
{
    (void)state;
    struct failing_allocator counts = {0};
    const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
    struct bytes bytes = {0};
    struct tresor__directory directory;
    struct tresor__parse_output output;
    struct tresor__parser parser = {0};
    gguf_put_header(&bytes, 3, 100000000, 100000000);
    gguf_put_key_u32(&bytes, "k", 1);
    const struct tresor__parse_input input = {
        .bytes = bytes.data, .have_bytes = bytes.size, .file_size_bytes = UINT64_C(1) << 40};
    directory_start(&directory, &hooks);
    tresor__parse(&parser, &input, &directory, &output);
    assert_int_equal(output.status, TRESOR__PARSE_NEED);
    assert_true(counts.peak_bytes < 10000);
    tresor__directory_free(&directory);
    bytes_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions),
        cmocka_unit_test(shapes),
        cmocka_unit_test(a_rank_is_not_believed),
        cmocka_unit_test(offsets),
        cmocka_unit_test(alignments),
        cmocka_unit_test(metadata_values),
        cmocka_unit_test(integers_of_all_types),
        cmocka_unit_test(arrays),
        cmocka_unit_test(a_cut_array_ends_at_the_same_string_in_any_window),
        cmocka_unit_test(names),
        cmocka_unit_test(counts_that_no_file_backs),
        cmocka_unit_test(storage_follows_what_was_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
