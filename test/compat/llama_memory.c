/* SPDX-License-Identifier: MIT */
/* The face of llama.cpp where there is no memory: refused, and as it was before. */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "core/allocator.h"
#include "llama_world.h"

enum { PAGES = 40 };

static struct world world;
static uint32_t until_none; /* allocations; 0: there is memory */

void *__real_tresor__reallocate(const struct tresor_allocator *allocator, void *block,
                                size_t old_bytes, size_t new_bytes);
void *__real_tresor__allocate(const struct tresor_allocator *allocator, size_t size_bytes);
void *__wrap_tresor__reallocate(const struct tresor_allocator *allocator, void *block,
                                size_t old_bytes, size_t new_bytes);
void *__wrap_tresor__allocate(const struct tresor_allocator *allocator, size_t size_bytes);

static bool is_none(void)
{
    return until_none > 0 && --until_none == 0;
}

void *__wrap_tresor__reallocate(const struct tresor_allocator *allocator, void *block,
                                size_t old_bytes, size_t new_bytes)
{
    return is_none() ? NULL : __real_tresor__reallocate(allocator, block, old_bytes, new_bytes);
}

void *__wrap_tresor__allocate(const struct tresor_allocator *allocator, size_t size_bytes)
{
    return is_none() ? NULL : __real_tresor__allocate(allocator, size_bytes);
}

static uint64_t page(void)
{
    return (uint64_t)world.under.page_bytes(world.under.cookie);
}

static void a_file_needs_memory(void **state)
{
    struct tresor_llama_file *file = NULL;
    struct tresor_error error;
    (void)state;
    world_begin(&world, 100);
    FILE *stream = fopen(world.path, "rb");
    for (uint32_t kind = 0; kind < 3; kind++) {
        until_none = 1;
        int32_t code =
            kind == 0   ? tresor__llama_file_open(&world.faulty.sys, world.path, "wb", true, &file, &error)
            : kind == 1 ? tresor_llama_file_open_stream(stream, &file, &error)
                        : tresor_llama_file_open_descriptor(fileno(stream), false, &file, &error);
        assert_error(code, TRESOR_ERROR_NO_MEMORY);
        assert_int_equal(error.os_errno, ENOMEM);
        assert_null(file);
    }
    fclose(stream);
    file = world_open(&world, "rb", false); /* it was not cut short before */
    assert_int_equal(tresor_llama_file_size(file), 100);
    assert_error(tresor_llama_file_close(file, NULL), TRESOR_OK);
    world_end(&world);
}

static void a_map_needs_memory(void **state)
{
    static const struct tresor_llama_range lazy = {0, 10};
    struct tresor_llama_map *map = NULL;
    struct tresor_error error;
    (void)state;
    world_begin(&world, 100);
    struct tresor_llama_file *file = world_open(&world, "rb", false);
    for (uint32_t nth = 1; nth <= 3; nth++) {
        until_none = nth;
        assert_error(tresor_llama_map_open(file, SIZE_MAX, false, &lazy, 1, &map, &error),
                     TRESOR_ERROR_NO_MEMORY);
        assert_null(map);
    }
    assert_int_equal(until_none, 0);
    assert_error(tresor_llama_file_close(file, NULL), TRESOR_OK);
    world_end(&world);
}

/* Room for the books comes first: without it nothing is unmapped. */
static void a_hole_needs_memory(void **state)
{
    struct tresor_llama_map *map = NULL;
    uint32_t refused = 0;
    (void)state;
    world_begin(&world, PAGES * page());
    struct tresor_llama_file *file = world_open(&world, "rb", false);
    assert_error(tresor_llama_map_open(file, 0, false, NULL, 0, &map, NULL), TRESOR_OK);
    for (uint64_t i = 1; i < PAGES; i += 2) {
        const struct tresor_llama_range hole = {i * page(), (i + 1) * page()};
        size_t before = tresor_llama_map_fragments(map, NULL, 0);
        struct tresor_error error;
        until_none = 1;
        int32_t code = tresor_llama_map_unmap(map, &hole, 1, &error);
        until_none = 0;
        if (code == TRESOR_OK)
            continue;
        refused++;
        assert_error(code, TRESOR_ERROR_NO_MEMORY);
        assert_int_equal(tresor_llama_map_fragments(map, NULL, 0), before);
        assert_memory_equal((char *)tresor_llama_map_address(map) + hole.first,
                            world.bytes + hole.first, page());
        assert_error(tresor_llama_map_unmap(map, &hole, 1, &error), TRESOR_OK);
    }
    assert_true(refused > 0);
    assert_error(tresor_llama_map_close(map, NULL), TRESOR_OK);
    assert_error(tresor_llama_file_close(file, NULL), TRESOR_OK);
    world_end(&world);
}

static void a_lock_needs_memory(void **state)
{
    struct tresor_llama_lock *lock = NULL;
    (void)state;
    until_none = 1;
    assert_error(tresor_llama_lock_open(&lock, NULL), TRESOR_ERROR_NO_MEMORY);
    assert_null(lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_needs_memory),
        cmocka_unit_test(a_map_needs_memory),
        cmocka_unit_test(a_hole_needs_memory),
        cmocka_unit_test(a_lock_needs_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
