/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/directory.h"
#include "format/format.h"
#include "format/order.h"
#include "format/siphash.h"
#include "support/failing_allocator.h"
#include "support/parsing.h"

/* Appendix A of the paper: key 00..0f, message 00..0e. */
static void siphash_matches_its_paper(void **state)
{
    (void)state;
    const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    const struct tresor__siphash_rounds rounds = {.per_word = 2, .at_end = 4};
    uint8_t message[15];
    for (uint8_t i = 0; i < sizeof message; i++)
        message[i] = i;
    assert_true(tresor__siphash(rounds, key, message, sizeof message) ==
                UINT64_C(0xa129ca6149be45e5));
}

static void names_are_found_through_growth(void **state)
{
    enum {
        COUNT = 20000
    };
    (void)state;
    struct tresor__directory directory;
    char name[32];
    directory_start(&directory, NULL);
    assert_int_equal(tresor__directory_find(&directory, "x", 1), TRESOR_NONE);
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct tresor__entry entry = {.offset_bytes = i};
        int length = snprintf(name, sizeof name, "blk.%u.weight", i);
        assert_int_equal(tresor__directory_add(&directory, &entry, name, (size_t)length),
                         TRESOR_OK);
        assert_int_equal(tresor__directory_add(&directory, &entry, name, (size_t)length),
                         TRESOR_ERROR_DUPLICATE);
    }
    assert_int_equal(directory.entry_count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        int length = snprintf(name, sizeof name, "blk.%u.weight", i);
        assert_int_equal(tresor__directory_find(&directory, name, (size_t)length), i);
        assert_string_equal(directory.strings + directory.entries[i].name_offset, name);
    }
    assert_int_equal(tresor__directory_find(&directory, "blk.", 4), TRESOR_NONE);
    tresor__directory_free(&directory);
}

static void equal_hashes_do_not_confuse_names(void **state)
{
    static const char strings[] = "ab\0abc\0abd";
    (void)state;
    struct failing_allocator counts = {0};
    const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
    struct tresor__name_index index = {0};
    assert_int_equal(tresor__name_index_reserve(&index, &hooks), TRESOR_OK);
    tresor__name_index_insert(&index, 7, 0, 2);
    tresor__name_index_insert(&index, 7, 3, 3);
    assert_int_equal(tresor__name_index_find(&index, strings, 7, "ab", 2), 0);
    assert_int_equal(tresor__name_index_find(&index, strings, 7, "abc", 3), 1);
    assert_int_equal(tresor__name_index_find(&index, strings, 7, "abd", 3), TRESOR_NONE);
    assert_int_equal(tresor__name_index_find(&index, strings, 7, "a", 1), TRESOR_NONE);
    tresor__name_index_clear(&index);
    assert_int_equal(tresor__name_index_find(&index, strings, 7, "ab", 2), TRESOR_NONE);
    tresor__name_index_free(&index, &hooks);
    assert_int_equal(counts.outstanding_bytes, 0);
}

static size_t asked_bytes; /* the last time */

static void *refuse(void *cookie, void *block, size_t old_bytes, size_t new_bytes)
{
    (void)cookie;
    (void)block;
    (void)old_bytes;
    asked_bytes = new_bytes;
    return NULL;
}

static void keep(void *cookie, void *block, size_t bytes)
{
    (void)cookie;
    (void)block;
    (void)bytes;
}

/* Places are counted in 32 bits: what does not fit is refused before any memory is asked for. */
static void counts_at_their_most(void **state)
{
    const struct tresor_allocator hooks = {.reallocate = refuse, .free = keep};
    const uint64_t key[2] = {1, 2};
    const uint32_t half = UINT32_C(1) << 31;
    struct tresor__directory directory;
    struct tresor__name_index index = {.count = half, .capacity = half};
    uint32_t offset = 7;
    (void)state;
    tresor__directory_init(&directory, &hooks, key);
    directory.string_bytes = directory.string_capacity = UINT32_MAX - 3;
    asked_bytes = 0;
    assert_int_equal(tresor__directory_add_string(&directory, "long", 4, &offset), TRESOR_ERROR_LIMIT);
    assert_int_equal(tresor__directory_add_string(&directory, "long", SIZE_MAX, &offset), TRESOR_ERROR_LIMIT);
    assert_int_equal(tresor__directory_add_string(&directory, "long", UINT32_MAX, &offset), TRESOR_ERROR_LIMIT);
    assert_int_equal(asked_bytes, 0);
    /* From the half on all is asked for, and not twice as much. */
    directory.string_bytes = directory.string_capacity = half;
    assert_int_equal(tresor__directory_add_string(&directory, "a", 1, &offset), TRESOR_ERROR_NO_MEMORY);
    assert_int_equal(asked_bytes, UINT32_MAX);
    asked_bytes = 0;
    assert_int_equal(tresor__name_index_reserve(&index, &hooks), TRESOR_ERROR_LIMIT);
    assert_int_equal(asked_bytes, 0);
    assert_int_equal(tresor__directory_add_shard_tensor(&directory, "a", TRESOR__NAME_BYTES_MAX + 1, 0),
                     TRESOR_ERROR_LIMIT);
    assert_int_equal(directory.shard_tensor_count, 0);
    assert_int_equal(offset, 7);
}

static void name_lengths_at_and_past_the_limit(void **state)
{
    (void)state;
    struct tresor__directory directory;
    const struct tresor__entry entry = {0};
    static char name[TRESOR__NAME_BYTES_MAX + 1];
    memset(name, 'n', sizeof name);
    directory_start(&directory, NULL);
    assert_int_equal(tresor__directory_add(&directory, &entry, "", 0), TRESOR_OK);
    assert_int_equal(tresor__directory_add(&directory, &entry, name, TRESOR__NAME_BYTES_MAX),
                     TRESOR_OK);
    assert_int_equal(tresor__directory_add(&directory, &entry, name, sizeof name),
                     TRESOR_ERROR_LIMIT);
    assert_int_equal(tresor__directory_find(&directory, name, TRESOR__NAME_BYTES_MAX), 1);
    assert_int_equal(tresor__directory_find(&directory, "", 0), 0);
    tresor__directory_free(&directory);
}

static void a_failed_add_changes_nothing(void **state)
{
    (void)state;
    for (uint64_t call = 1;; call++) {
        struct failing_allocator counts = {.fail_call = call};
        const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
        struct tresor__directory directory;
        const struct tresor__entry entry = {0};
        const struct tresor__metadata metadata = {0};
        char name[32];
        directory_start(&directory, &hooks);
        for (uint32_t i = 0; i < 300; i++) {
            size_t length = (size_t)snprintf(name, sizeof name, "name.%u", i);
            int32_t code = tresor__directory_add(&directory, &entry, name, length);
            if (code) { /* the call that failed is over: it must work now */
                assert_int_equal(code, TRESOR_ERROR_NO_MEMORY);
                assert_int_equal(directory.entry_count, i);
                code = tresor__directory_add(&directory, &entry, name, length);
            }
            assert_int_equal(code, TRESOR_OK);
            code = tresor__directory_add_metadata(&directory, &metadata, name, length);
            if (code) {
                assert_int_equal(code, TRESOR_ERROR_NO_MEMORY);
                code = tresor__directory_add_metadata(&directory, &metadata, name, length);
            }
            assert_int_equal(code, TRESOR_OK);
            assert_int_equal(tresor__directory_find(&directory, name, length), i);
            assert_int_equal(tresor__directory_find_metadata(&directory, name, length), i);
        }
        tresor__directory_free(&directory);
        assert_int_equal(counts.outstanding_bytes, 0);
        if (!counts.failed)
            break;
    }
}

static bool number_before(const void *cookie, uint32_t first, uint32_t second)
{
    const uint32_t *values = cookie;
    return values[first] < values[second];
}

static void order_is_stable_at_every_size(void **state)
{
    (void)state;
    uint32_t values[130], seed = 1;
    for (uint32_t count = 0; count <= 130; count++) {
        struct failing_allocator counts = {0};
        const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
        uint32_t *order = NULL;
        for (uint32_t i = 0; i < count; i++)
            values[i] = (seed = seed * 1664525 + 1013904223) >> 27;
        assert_int_equal(tresor__order_make(&hooks, count, number_before, values, &order), 0);
        for (uint32_t i = 1; i < count; i++) {
            assert_true(values[order[i - 1]] <= values[order[i]]);
            assert_true(values[order[i - 1]] < values[order[i]] || order[i - 1] < order[i]);
        }
        tresor__order_free(&hooks, order, count);
        assert_int_equal(counts.outstanding_bytes, 0);
    }
}

struct extent {
    uint64_t offset;
    uint64_t size;
    uint32_t file;
};

static uint32_t count_overlaps(const struct extent *extents, uint32_t count)
{
    struct tresor__directory directory;
    struct tresor_error error;
    const uint64_t sizes[2] = {1000, 1000};
    char name[16];
    directory_start(&directory, NULL);
    for (uint32_t i = 0; i < count; i++) {
        const struct tresor__entry entry = {.offset_bytes = extents[i].offset,
                                            .size_bytes = extents[i].size,
                                            .file = extents[i].file};
        size_t length = (size_t)snprintf(name, sizeof name, "%u", i);
        assert_int_equal(tresor__directory_add(&directory, &entry, name, length), 0);
    }
    assert_int_equal(tresor__directory_add_file(&directory, 0, 0), 0);
    assert_int_equal(tresor__directory_add_file(&directory, 0, count), 0);
    assert_int_equal(tresor__directory_finish(&directory, TRESOR__FORMAT_GGUF, sizes, 2, &error),
                     0);
    uint32_t overlaps = directory.overlap_count;
    tresor__directory_free(&directory);
    return overlaps;
}

static void overlaps_are_counted(void **state)
{
    (void)state;
    const struct extent apart[] = {{64, 32, 0}, {0, 32, 0}, {32, 32, 0}, {0, 100, 1}};
    const struct extent nested[] = {{0, 500, 0}, {10, 10, 0}, {30, 10, 0}, {500, 10, 0}};
    const struct extent equal[] = {{7, 3, 0}, {7, 3, 0}, {7, 3, 1}};
    const struct extent empty[] = {{0, 10, 0}, {5, 0, 0}, {5, 0, 0}, {9, 1, 0}};
    assert_int_equal(count_overlaps(apart, 4), 0);
    assert_int_equal(count_overlaps(nested, 4), 2);
    assert_int_equal(count_overlaps(equal, 3), 1);
    assert_int_equal(count_overlaps(empty, 4), 1);
}

static void finish_reports_a_failed_allocation(void **state)
{
    (void)state;
    struct failing_allocator counts = {0};
    const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
    struct tresor__directory directory;
    struct tresor_error error;
    const uint64_t size = 100;
    const struct tresor__entry late = {.offset_bytes = 50, .size_bytes = 1}, early = {0};
    directory_start(&directory, &hooks);
    assert_int_equal(tresor__directory_add(&directory, &late, "late", 4), 0);
    assert_int_equal(tresor__directory_add(&directory, &early, "early", 5), 0);
    assert_int_equal(tresor__directory_add_file(&directory, 0, 0), 0);
    for (uint64_t more = 1; more <= 2; more++) {
        counts.fail_call = counts.calls + more;
        assert_int_equal(
            tresor__directory_finish(&directory, TRESOR__FORMAT_GGUF, &size, 1, &error),
            TRESOR_ERROR_NO_MEMORY);
        assert_int_equal(error.code, TRESOR_ERROR_NO_MEMORY);
    }
    assert_int_equal(tresor__directory_finish(&directory, TRESOR__FORMAT_GGUF, &size, 1, &error),
                     0);
    assert_int_equal(tresor__directory_finish(&directory, TRESOR__FORMAT_GGUF, &size, 2, &error),
                     TRESOR_ERROR_INVALID);
    tresor__directory_free(&directory);
    assert_int_equal(counts.outstanding_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_matches_its_paper),
        cmocka_unit_test(names_are_found_through_growth),
        cmocka_unit_test(equal_hashes_do_not_confuse_names),
        cmocka_unit_test(counts_at_their_most),
        cmocka_unit_test(name_lengths_at_and_past_the_limit),
        cmocka_unit_test(a_failed_add_changes_nothing),
        cmocka_unit_test(order_is_stable_at_every_size),
        cmocka_unit_test(overlaps_are_counted),
        cmocka_unit_test(finish_reports_a_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
