/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <tresor/error.h>

#include "format/dtype.h"

/* Bytes of 256 elements, from the bits per weight that ggml documents. */
static void names_and_sizes(void **state)
{
    static const struct {
        uint32_t dtype;
        const char *name;
        uint64_t bytes;
    } rows[] = {
        {TRESOR_DTYPE_F32, "f32", 1024},        {TRESOR_DTYPE_F16, "f16", 512},
        {TRESOR_DTYPE_BF16, "bf16", 512},       {TRESOR_DTYPE_Q4_0, "q4_0", 144},
        {TRESOR_DTYPE_Q4_1, "q4_1", 160},       {TRESOR_DTYPE_Q5_0, "q5_0", 176},
        {TRESOR_DTYPE_Q5_1, "q5_1", 192},       {TRESOR_DTYPE_Q8_0, "q8_0", 272},
        {TRESOR_DTYPE_Q2_K, "q2_K", 84},        {TRESOR_DTYPE_Q4_K, "q4_K", 144},
        {TRESOR_DTYPE_Q6_K, "q6_K", 210},       {TRESOR_DTYPE_IQ4_XS, "iq4_xs", 136},
        {TRESOR_DTYPE_IQ1_M, "iq1_m", 56},      {TRESOR_DTYPE_TQ1_0, "tq1_0", 54},
        {TRESOR_DTYPE_MXFP4, "mxfp4", 136},     {TRESOR_DTYPE_I64, "i64", 2048},
        {TRESOR_DTYPE_F8_E4M3, "f8_e4m3", 256}, {TRESOR_DTYPE_C64, "c64", 2048},
    };
    (void)state;
    const uint64_t shape[1] = {256};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t bytes = 0;
        assert_string_equal(tresor_dtype_name(rows[i].dtype), rows[i].name);
        const struct tresor__dtype *type = tresor__dtype_find(rows[i].dtype);
        assert_non_null(type);
        assert_int_equal(tresor__dtype_size(type, shape, 1, 256, &bytes), TRESOR_OK);
        assert_int_equal(bytes, rows[i].bytes);
    }
    assert_string_equal(tresor_dtype_name(4), "unknown"); /* q4_2, which ggml removed */
    assert_string_equal(tresor_dtype_name(UINT32_MAX), "unknown");
}

static void safetensors_names(void **state)
{
    static const char *const names[] = {"BOOL", "U8",  "I8",  "F8_E5M2", "F8_E4M3", "F8_E8M0",
                                        "I16",  "U16", "F16", "BF16",    "I32",     "U32",
                                        "F32",  "C64", "F64", "I64",     "U64"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_non_null(tresor__dtype_find_safetensors(names[i]));
    assert_null(tresor__dtype_find_safetensors("F4"));
    assert_null(tresor__dtype_find_safetensors("f32"));
    assert_null(tresor__dtype_find_safetensors(""));
}

static void overflow_does_not_depend_on_order(void **state)
{
    (void)state;
    const struct tresor__dtype *type = tresor__dtype_find(TRESOR_DTYPE_F32);
    const uint64_t big = UINT64_C(1) << 62;
    const uint64_t bad[][3] = {{big, big, 0}, {0, big, big},      {big, 0, big},
                               {big, 2, 1},   {UINT64_MAX, 1, 1}, {big, 1, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t bytes = 0;
        assert_int_equal(tresor__dtype_size(type, bad[i], 3, 1, &bytes), TRESOR_ERROR_MALFORMED);
    }
    uint64_t bytes = 0;
    const uint64_t most[1] = {INT64_MAX / 4};
    assert_int_equal(tresor__dtype_size(type, most, 1, 1, &bytes), TRESOR_OK);
    assert_int_equal(bytes, INT64_MAX / 4 * 4);
}

/* Its elements would fill whole blocks all the same. */
static void a_row_is_of_whole_blocks(void **state)
{
    const struct tresor__dtype *type = tresor__dtype_find(TRESOR_DTYPE_Q4_0);
    const uint64_t shape[] = {16, 2};
    uint64_t bytes = 0;
    (void)state;
    assert_int_equal(tresor__dtype_size(type, shape, 2, 16, &bytes), TRESOR_ERROR_MALFORMED);
    assert_int_equal(tresor__dtype_size(type, shape, 2, 32, &bytes), TRESOR_OK);
    assert_int_equal(bytes, type->block_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_sizes),
        cmocka_unit_test(safetensors_names),
        cmocka_unit_test(overflow_does_not_depend_on_order),
        cmocka_unit_test(a_row_is_of_whole_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
