/* SPDX-License-Identifier: MIT */
/* Good files with wrong bytes: whatever they say, a parse ends in a defined way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "support/bytes.h"
#include "support/parsing.h"
#include "support/random.h"

/* Flips, interesting bytes, and whole numbers that are very large or very small. */
static void mutate(uint8_t *data, size_t size, uint64_t *seed)
{
    static const uint8_t interesting[] = {0,   1,   0x7f, 0x80, 0xff, '{',
                                          '}', '"', '[',  ',',  '9',  '-'};
    for (uint64_t count = 1 + random_next(seed) % 4; count; count--) {
        const size_t at = (size_t)(random_next(seed) % size);
        const uint64_t value = random_next(seed);
        switch (random_next(seed) % 3) {
        case 0:
            data[at] ^= (uint8_t)(1u << (value % 8));
            break;
        case 1:
            data[at] = interesting[value % sizeof interesting];
            break;
        default:
            for (size_t i = at; i < size && i < at + 8; i++)
                data[i] = value & 1 ? 0xff : 0;
        }
    }
}

/* The same bytes through a window that grows in small steps end in the same way. */
static void assert_same_in_windows(uint8_t *data, size_t size, size_t step)
{
    const struct bytes bytes = {.data = data, .size = size};
    struct tresor__directory whole, grown;
    struct tresor__parse_output output, grown_output;
    directory_start(&whole, NULL);
    directory_start(&grown, NULL);
    parse_whole(data, size, 0, &whole, &output);
    parse_growing(&bytes, 0, step, 0, &grown, &grown_output);
    assert_int_equal(output.status, grown_output.status);
    assert_int_equal(output.error.code, grown_output.error.code);
    assert_int_equal(output.error.offset, grown_output.error.offset);
    if (output.status == TRESOR__PARSE_DONE)
        assert_same_directory(&whole, &grown);
    tresor__directory_free(&whole);
    tresor__directory_free(&grown);
}

static void mutate_many(const struct bytes *good, size_t header, uint32_t runs, uint64_t seed)
{
    uint8_t *data = malloc(good->size);
    assert_non_null(data);
    uint32_t failed = 0;
    for (uint32_t run = 0; run < runs; run++) {
        struct tresor_error error;
        memcpy(data, good->data, good->size);
        mutate(data, header, &seed);
        const size_t size = run % 8 ? good->size : (size_t)(random_next(&seed) % good->size);
        const int32_t code = parse_outcome(data, size, &error);
        assert_true(code <= 0);
        assert_string_not_equal(tresor_error_name(code), "UNKNOWN");
        assert_int_not_equal(code, TRESOR_ERROR_NO_MEMORY);
        failed += code != TRESOR_OK;
        if (run % 32 == 0)
            assert_same_in_windows(data, size, (size_t)(run / 32 % 64));
    }
    assert_true(failed > runs / 4 && failed < runs); /* else the mutations do not test much */
    free(data);
}

static void mutated_gguf(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    const size_t header = gguf_put_good_file(&bytes);
    mutate_many(&bytes, header, 150000, 1);
    bytes_free(&bytes);
}

static void mutated_tmai(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    const size_t header = tmai_put_good_file(&bytes);
    mutate_many(&bytes, header, 40000, 4);
    bytes_free(&bytes);
}

static void mutated_safetensors(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    safetensors_put_header(&bytes,
                           "{\"__metadata__\":{\"format\":\"pt\"},"
                           "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
                           "\"b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[16,17]}}  ");
    const size_t header = bytes.size;
    bytes_put_zeros(&bytes, 17);
    mutate_many(&bytes, header, 40000, 2);
    bytes_free(&bytes);
}

static void mutated_index(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    bytes_put_text(&bytes,
                   "{\"metadata\":{\"total_size\":33},\"weight_map\":{\"a\":\"2.safetensors\","
                   "\"b\":\"1.safetensors\",\"c\":\"2.safetensors\"}}\n");
    mutate_many(&bytes, bytes.size, 40000, 3);
    bytes_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_gguf),
        cmocka_unit_test(mutated_tmai),
#ifdef TRESOR__SAFETENSORS
        cmocka_unit_test(mutated_safetensors),
        cmocka_unit_test(mutated_index),
#endif
    };
#ifndef TRESOR__SAFETENSORS
    (void)mutated_safetensors;
    (void)mutated_index;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
