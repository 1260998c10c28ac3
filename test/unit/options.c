/* SPDX-License-Identifier: MIT */
/* Versioned structs, between sides that are older or newer than each other. */
#include <string.h>

#include "context.h"
#include "core/handle.h"
#include "support/test.h"

struct known {
    size_t size_bytes;
    uint64_t first;
    uint64_t second;
};

struct newer {
    struct known known;
    uint64_t third;
    unsigned char last;
};

static void same_size(void **state)
{
    const struct known given = {sizeof given, 1, 2};
    struct known got;
    (void)state;
    memset(&got, 0x5a, sizeof got);
    assert_error(tresor__options_copy(&got, sizeof got, &given), TRESOR_OK);
    assert_memory_equal(&got, &given, sizeof got);
}

static void older_caller(void **state)
{
    const struct known given = {offsetof(struct known, second), 1, 2};
    struct known got;
    (void)state;
    memset(&got, 0x5a, sizeof got);
    assert_error(tresor__options_copy(&got, sizeof got, &given), TRESOR_OK);
    assert_int_equal(got.first, 1);
    assert_int_equal(got.second, 0);
}

static void newer_caller(void **state)
{
    struct newer given;
    struct known got;
    (void)state;
    memset(&given, 0, sizeof given);
    given.known = (struct known){sizeof given, 1, 2};
    assert_error(tresor__options_copy(&got, sizeof got, &given), TRESOR_OK);
    assert_int_equal(got.first, 1);
    assert_int_equal(got.second, 2);
    given.third = UINT64_C(1) << 63;
    assert_error(tresor__options_copy(&got, sizeof got, &given), TRESOR_ERROR_INVALID);
    given.third = 0;
    ((unsigned char *)&given)[sizeof given - 1] = 1; /* the very last byte counts */
    assert_error(tresor__options_copy(&got, sizeof got, &given), TRESOR_ERROR_INVALID);
    ((unsigned char *)&given)[sizeof given - 1] = 0;
    ((unsigned char *)&given)[sizeof(struct known)] = 1; /* and the first that is unknown */
    assert_error(tresor__options_copy(&got, sizeof got, &given), TRESOR_ERROR_INVALID);
}

static void impossible_sizes(void **state)
{
    static const size_t sizes[] = {0, 1, sizeof(size_t) - 1, 65537, SIZE_MAX};
    struct known got = {0};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct known given = {sizes[i], 1, 2};
        assert_error(tresor__options_copy(&got, sizeof got, &given), TRESOR_ERROR_INVALID);
    }
    const struct known bare = {sizeof(size_t), 1, 2};
    assert_error(tresor__options_copy(&got, sizeof got, &bare), TRESOR_OK);
    assert_int_equal(got.first, 0);
}

static void infos(void **state)
{
    const struct known known = {0, 1, 2};
    struct newer given;
    (void)state;
    memset(&given, 0x5a, sizeof given);
    given.known.size_bytes = sizeof given;
    assert_error(tresor__info_copy(&given, &known, sizeof known), TRESOR_OK);
    assert_int_equal(given.known.size_bytes, sizeof given); /* stays the caller's */
    assert_int_equal(given.known.first, 1);
    assert_int_equal(given.known.second, 2);
    assert_int_equal(given.last, 0x5a); /* what is unknown stays too */
    given.known = (struct known){offsetof(struct known, second), 7, 7};
    assert_error(tresor__info_copy(&given, &known, sizeof known), TRESOR_OK);
    assert_int_equal(given.known.first, 1);
    assert_int_equal(given.known.second, 7);
    given.known.size_bytes = sizeof(size_t) - 1;
    assert_error(tresor__info_copy(&given, &known, sizeof known), TRESOR_ERROR_INVALID);
}

static void free_nothing(void *cookie, void *block, size_t bytes)
{
    (void)cookie;
    (void)block;
    (void)bytes;
}

/* What a context refuses, it refuses whole. */
static void context_options(void **state)
{
    struct tresor_context *context = NULL;
    (void)state;
    static const struct tresor_context_options bad[] = {
        {.size_bytes = 0},
        {.size_bytes = sizeof bad[0], .strategy = 3},
        {.size_bytes = sizeof bad[0], .sources_max = TRESOR__SOURCES_MAX + 1},
        {.size_bytes = sizeof bad[0], .block_bytes = 65535},
        {.size_bytes = sizeof bad[0], .populate_bytes = 1},
        {.size_bytes = sizeof bad[0], .waits_max = UINT32_MAX},
        {.size_bytes = sizeof bad[0], .policy = 4},
        {.size_bytes = sizeof bad[0], .backend = TRESOR_BACKEND_AUTO + 1},
        {.size_bytes = sizeof bad[0], .direct = TRESOR_DIRECT_OFF + 1},
        {.size_bytes = sizeof bad[0], .stages_max = 4097},
        {.size_bytes = sizeof bad[0], .stage_bytes = 1},
        {.size_bytes = sizeof bad[0], .reserved = 1},
        {.size_bytes = sizeof bad[0], .guard = TRESOR_GUARD_SIGBUS + 1},
        {.size_bytes = sizeof bad[0], .allocator = {.free = free_nothing}}, /* half of an allocator */
        {.size_bytes = sizeof bad[0], .numa_nodes = 1},
        {.size_bytes = sizeof bad[0], .block_bytes = UINT64_C(1) << 31},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_error(tresor_context_create(&bad[i], &context), TRESOR_ERROR_INVALID);
        assert_null(context);
    }
    assert_error(tresor_context_create(NULL, NULL), TRESOR_ERROR_INVALID);
    const struct tresor_context_options good = {.size_bytes = sizeof good, .block_bytes = 65536};
    assert_error(tresor_context_create(&good, &context), TRESOR_OK);
    assert_error(tresor_context_destroy(context), TRESOR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_size),    cmocka_unit_test(older_caller),
        cmocka_unit_test(newer_caller), cmocka_unit_test(impossible_sizes),
        cmocka_unit_test(infos),        cmocka_unit_test(context_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
