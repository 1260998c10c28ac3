/* SPDX-License-Identifier: MIT */
#include "core/allocator.h"

#include <string.h>

#include "support/failing_allocator.h"
#include "support/test.h"

static bool is_zero(const unsigned char *bytes, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (bytes[i])
            return false;
    return true;
}

static void check_growing(const struct tresor_allocator *allocator)
{
    unsigned char *block = tresor__allocate(allocator, 100);
    assert_non_null(block);
    assert_true(is_zero(block, 0, 100));
    memset(block, 0xab, 100);
    block = tresor__reallocate(allocator, block, 100, 5000);
    assert_non_null(block);
    assert_int_equal(block[0], 0xab);
    assert_int_equal(block[99], 0xab);
    assert_true(is_zero(block, 100, 5000));
    block = tresor__reallocate(allocator, block, 5000, 50);
    assert_non_null(block);
    assert_int_equal(block[49], 0xab);
    tresor__free(allocator, block, 50);
    tresor__free(allocator, NULL, 0);
}

static void default_allocator(void **state)
{
    struct failing_allocator counts = {0};
    struct tresor_allocator hooks = failing_allocator_hooks(&counts);
    struct tresor_allocator half = {.reallocate = hooks.reallocate};
    struct tresor_allocator other = {.free = hooks.free};
    (void)state;
    const struct tresor_allocator *const given[] = {NULL, &half, &other};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        struct tresor_allocator made = tresor__allocator_or_default(given[i]);
        check_growing(&made);
    }
    assert_int_equal(counts.calls, 0);
}

static void hosts_allocator(void **state)
{
    struct failing_allocator counts = {0};
    struct tresor_allocator hooks = failing_allocator_hooks(&counts);
    struct tresor_allocator made = tresor__allocator_or_default(&hooks);
    (void)state;
    assert_ptr_equal(made.cookie, &counts);
    check_growing(&made);
    assert_int_equal(counts.calls, 3);
    assert_int_equal(counts.outstanding_bytes, 0);
    assert_int_equal(counts.peak_bytes, 5000);
}

static void no_memory(void **state)
{
    struct failing_allocator counts = {.fail_call = 1};
    struct tresor_allocator hooks = failing_allocator_hooks(&counts);
    (void)state;
    assert_null(tresor__allocate(&hooks, 10));
    unsigned char *block = tresor__allocate(&hooks, 10);
    assert_non_null(block);
    block[9] = 7;
    counts.fail_call = counts.calls + 1;
    assert_null(tresor__reallocate(&hooks, block, 10, 1000));
    assert_int_equal(block[9], 7);
    tresor__free(&hooks, block, 10);
    assert_int_equal(counts.outstanding_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_allocator),
        cmocka_unit_test(hosts_allocator),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
