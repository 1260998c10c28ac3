/* SPDX-License-Identifier: MIT */
/* NaN and infinity are found in every type that can hold one, wherever they stand, and nothing else is. */
#include "support/test.h"

#include <string.h>

#include <tresor/tensor.h>

#include "core/finite.h"
#include "format/dtype.h"
#include "support/random.h"

enum {
    UNITS = 2500,
    UNIT_MAX = 300,
};

/* A number that is not finite, and the largest one that is, at a place of a unit. */
struct row {
    uint32_t dtype;
    uint32_t place;
    uint32_t size_bytes;
    uint64_t bad;
    uint64_t largest;
};

#define HALF_AT(dtype, place) {dtype, place, 2, 0x7c00, 0x7bff}, {dtype, place, 2, 0xfe01, 0xfbff}
#define SINGLE_AT(dtype, place)                                                                    \
    {dtype, place, 4, 0xff800000, 0xff7fffff}, {dtype, place, 4, 0x7fc00000, 0x7f7fffff}

static const struct row rows[] = {
    SINGLE_AT(TRESOR_DTYPE_F32, 0),
    SINGLE_AT(TRESOR_DTYPE_C64, 0),
    SINGLE_AT(TRESOR_DTYPE_C64, 4),
    HALF_AT(TRESOR_DTYPE_F16, 0),
    {TRESOR_DTYPE_BF16, 0, 2, 0x7f80, 0x7f7f},
    {TRESOR_DTYPE_BF16, 0, 2, 0xffff, 0xff7f},
    {TRESOR_DTYPE_F64, 0, 8, UINT64_C(0x7ff0000000000000), UINT64_C(0x7fefffffffffffff)},
    {TRESOR_DTYPE_F64, 0, 8, UINT64_C(0xfff8000000000001), UINT64_C(0xffefffffffffffff)},
    {TRESOR_DTYPE_F8_E4M3, 0, 1, 0xff, 0xfe},
    {TRESOR_DTYPE_F8_E5M2, 0, 1, 0x7c, 0x7b},
    {TRESOR_DTYPE_F8_E8M0, 0, 1, 0xff, 0xfe},
    {TRESOR_DTYPE_MXFP4, 0, 1, 0xff, 0xfe},
    HALF_AT(TRESOR_DTYPE_Q4_0, 0),
    HALF_AT(TRESOR_DTYPE_Q4_1, 2),
    HALF_AT(TRESOR_DTYPE_Q5_0, 0),
    HALF_AT(TRESOR_DTYPE_Q5_1, 2),
    HALF_AT(TRESOR_DTYPE_Q8_0, 0),
    HALF_AT(TRESOR_DTYPE_Q8_1, 2),
    HALF_AT(TRESOR_DTYPE_Q2_K, 80),
    HALF_AT(TRESOR_DTYPE_Q2_K, 82),
    HALF_AT(TRESOR_DTYPE_Q3_K, 108),
    HALF_AT(TRESOR_DTYPE_Q4_K, 0),
    HALF_AT(TRESOR_DTYPE_Q4_K, 2),
    HALF_AT(TRESOR_DTYPE_Q5_K, 2),
    HALF_AT(TRESOR_DTYPE_Q6_K, 208),
    SINGLE_AT(TRESOR_DTYPE_Q8_K, 0),
    HALF_AT(TRESOR_DTYPE_IQ2_XXS, 0),
    HALF_AT(TRESOR_DTYPE_IQ2_XS, 0),
    HALF_AT(TRESOR_DTYPE_IQ2_S, 0),
    HALF_AT(TRESOR_DTYPE_IQ3_XXS, 0),
    HALF_AT(TRESOR_DTYPE_IQ3_S, 0),
    HALF_AT(TRESOR_DTYPE_IQ1_S, 0),
    HALF_AT(TRESOR_DTYPE_IQ4_NL, 0),
    HALF_AT(TRESOR_DTYPE_IQ4_XS, 0),
    HALF_AT(TRESOR_DTYPE_TQ1_0, 52),
    HALF_AT(TRESOR_DTYPE_TQ2_0, 64),
    /* its four words give four bits each, the first the lowest */
    {TRESOR_DTYPE_IQ1_M, 48, 8, UINT64_C(0x7000c00000000000), UINT64_C(0x7000b000f000f000)},
};

static uint8_t memory[UNITS * UNIT_MAX + 1];

static void put(const struct row *row, uint64_t value, size_t unit, uint8_t *bytes)
{
    size_t size = tresor__finite_unit(row->dtype).size_bytes;
    memcpy(bytes + unit * size + row->place, &value, row->size_bytes);
}

static void check_row(const struct row *row, uint64_t *seed, uint32_t astray)
{
    uint8_t *bytes = memory + astray;
    memset(memory, 0, sizeof memory);
    for (size_t i = 0; i < UNITS; i++)
        put(row, row->largest, i, bytes);
    assert_int_equal(tresor__finite_find(row->dtype, bytes, UNITS), UNITS);
    size_t found = UNITS;
    for (uint32_t i = 0; i < 4; i++) {
        size_t at = i == 0 ? UNITS - 1 : random_below(seed, UNITS);
        found = at < found ? at : found;
        put(row, row->bad, at, bytes);
        assert_int_equal(tresor__finite_find(row->dtype, bytes, UNITS), found);
    }
    put(row, row->bad, 0, bytes);
    assert_int_equal(tresor__finite_find(row->dtype, bytes, UNITS), 0);
    assert_int_equal(tresor__finite_find(row->dtype, bytes, 0), 0);
}

static void what_is_not_finite_is_found(void **state)
{
    uint64_t seed = 20240707;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (uint32_t astray = 0; astray < 2; astray++)
            check_row(&rows[i], &seed, astray);
}

/* What a unit is agrees with what the formats say of the type. */
static void units_are_those_of_the_types(void **state)
{
    uint32_t looked_at = 0;
    (void)state;
    for (uint32_t dtype = 0; dtype < 1100; dtype++) {
        const struct tresor__dtype *type = tresor__dtype_find(dtype);
        struct tresor__unit unit = tresor__finite_unit(dtype);
        if (unit.size_bytes == 0)
            continue;
        assert_non_null(type);
        assert_int_equal(unit.size_bytes, type->block_bytes);
        assert_int_equal(unit.elements, type->block_elements);
        assert_true(unit.size_bytes <= UNIT_MAX);
        looked_at++;
    }
    assert_int_equal(looked_at, 32);
}

static void whole_numbers_pass(void **state)
{
    static const uint32_t dtypes[] = {TRESOR_DTYPE_I8, TRESOR_DTYPE_I64, TRESOR_DTYPE_BOOL,
                                      TRESOR_DTYPE_U32, 4711};
    (void)state;
    memset(memory, 0xff, sizeof memory);
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        assert_int_equal(tresor__finite_find(dtypes[i], memory, 100), 100);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_finite_is_found),
        cmocka_unit_test(units_are_those_of_the_types),
        cmocka_unit_test(whole_numbers_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
