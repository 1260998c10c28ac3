/* SPDX-License-Identifier: MIT */
/* The maps, slices and views of zigllama's face, over the real system. */
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compat/zigllama.h"
#include "support/child.h"
#include "support/mapped.h"

enum {
    READ = TRESOR_ZIGLLAMA_READ,
    WRITE = TRESOR_ZIGLLAMA_WRITE,
    EXECUTE = TRESOR_ZIGLLAMA_EXECUTE,
    SHARED = TRESOR_ZIGLLAMA_SHARED,
    PRIVATE = TRESOR_ZIGLLAMA_PRIVATE,
    POPULATE = TRESOR_ZIGLLAMA_POPULATE,
    HUGE = TRESOR_ZIGLLAMA_HUGE,
    MIB = 1024 * 1024,
};

static struct mapped world;

static int setup(void **state)
{
    (void)state;
    mapped_make(&world);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mapped_remove(&world);
    return 0;
}

static int reset(void **state)
{
    (void)state;
    mapped_reset(&world);
    return 0;
}

static int32_t map_file(const char *path, uint32_t protection, uint32_t flags,
                        struct tresor_zigllama_map **map, struct tresor_error *error)
{
    return tresor__zigllama_map_file(&world.faulty.sys, path, protection, flags, &world.allocator,
                                     map, error);
}

static struct tresor_zigllama_map *must_map(uint32_t protection, uint32_t flags)
{
    struct tresor_zigllama_map *map = NULL;
    assert_error(map_file(world.path, protection, flags, &map, NULL), TRESOR_OK);
    return map;
}

static int32_t map_fresh(uint64_t size_bytes, uint32_t protection, uint32_t flags,
                         struct tresor_zigllama_map **map)
{
    return tresor__zigllama_map_anonymous(&world.faulty.sys, size_bytes, protection, flags,
                                          &world.allocator, map, NULL);
}

static struct tresor_zigllama_map *must_make(uint64_t size_bytes, uint32_t flags)
{
    struct tresor_zigllama_map *map = NULL;
    assert_error(map_fresh(size_bytes, READ | WRITE, flags, &map), TRESOR_OK);
    return map;
}

static void must_unmap(struct tresor_zigllama_map **map)
{
    assert_error(tresor_zigllama_unmap(map, NULL), TRESOR_OK);
    assert_null(*map);
    mapped_must_be_clean(&world);
}

static const uint8_t *bytes_of(const struct tresor_zigllama_map *map, uint64_t length)
{
    const void *data = NULL;
    assert_error(tresor_zigllama_slice(map, 0, length, 1, 1, &data, NULL), TRESOR_OK);
    return data;
}

static uint8_t *writable_of(struct tresor_zigllama_map *map, uint64_t length)
{
    void *data = NULL;
    assert_error(tresor_zigllama_slice_writable(map, 0, length, 1, 1, &data, NULL), TRESOR_OK);
    return data;
}

static struct tresor_zigllama_stats stats_of(const struct tresor_zigllama_map *map)
{
    struct tresor_zigllama_stats stats = {.size_bytes = sizeof stats};
    assert_error(tresor_zigllama_get_stats(map, &stats, NULL), TRESOR_OK);
    assert_int_equal(stats.size_bytes, sizeof stats);
    return stats;
}

/* --- protection and flags --- */

/* What the kernel says of the map at an address, as "r--p". */
static void read_rights(const void *address, char rights[5])
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    rights[0] = '\0';
    while (fgets(line, sizeof line, maps)) {
        unsigned long start;
        unsigned long end;
        char found[5];
        if (sscanf(line, "%lx-%lx %4s", &start, &end, found) == 3 && (uintptr_t)address >= start &&
            (uintptr_t)address < end)
            memcpy(rights, found, 5);
    }
    fclose(maps);
}

static bool is_allowed(uint32_t protection, uint32_t flags)
{
    bool is_known = protection <= 7 && flags <= 15;
    bool is_right = protection == READ || protection == (READ | WRITE) || protection == (READ | EXECUTE);
    return is_known && is_right && (flags & (SHARED | PRIVATE)) != (SHARED | PRIVATE);
}

static void must_have_rights(const struct tresor_zigllama_map *map, uint32_t protection, uint32_t flags)
{
    char rights[5];
    read_rights(bytes_of(map, 1), rights);
    assert_int_equal(rights[0], 'r');
    assert_int_equal(rights[1], protection & WRITE ? 'w' : '-');
    assert_int_equal(rights[2], protection & EXECUTE ? 'x' : '-');
    assert_int_equal(rights[3], flags & SHARED ? 's' : 'p');
}

static void every_combination(void **state)
{
    (void)state;
    for (uint32_t protection = 0; protection <= 8; protection++) {
        for (uint32_t flags = 0; flags <= 16; flags++) {
            for (uint32_t fresh = 0; fresh < 2; fresh++) {
                struct tresor_zigllama_map *map = NULL;
                struct tresor_error error = {0};
                int32_t code = fresh ? map_fresh(8192, protection, flags, &map)
                                     : map_file(world.path, protection, flags, &map, &error);
                assert_error(code, is_allowed(protection, flags) ? TRESOR_OK : TRESOR_ERROR_INVALID);
                assert_int_equal(map != NULL, code == TRESOR_OK);
                if (!map)
                    continue;
                must_have_rights(map, protection, flags);
                must_unmap(&map);
            }
        }
    }
}

static void the_public_ones_too(void **state)
{
    struct tresor_zigllama_map *map = NULL;
    (void)state;
    assert_error(tresor_zigllama_map_file(world.path, READ, 0, NULL, &map, NULL), TRESOR_OK);
    assert_memory_equal(bytes_of(map, world.size_bytes), world.bytes, world.size_bytes);
    must_unmap(&map);
    assert_error(tresor_zigllama_map_anonymous(100, READ, 0, NULL, &map, NULL), TRESOR_OK);
    assert_int_equal(bytes_of(map, 100)[99], 0);
    must_unmap(&map);
}

static void what_is_no_file(void **state)
{
    char pipe_path[MAPPED_PATH_BYTES];
    struct tresor_zigllama_map *map = NULL;
    struct tresor_error error = {0};
    (void)state;
    snprintf(pipe_path, sizeof pipe_path, "%s/pipe", world.folder);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_error(map_file(world.empty, READ, 0, &map, &error), TRESOR_ERROR_TRUNCATED);
    assert_int_equal(error.wanted, 1);
    assert_int_equal(error.got, 0);
    assert_error(map_file(world.folder, READ, 0, &map, &error), TRESOR_ERROR_NOT_REGULAR);
    assert_error(map_file(world.folder, READ | WRITE, SHARED, &map, &error),
                 TRESOR_ERROR_NOT_REGULAR);
    assert_error(map_file(pipe_path, READ, 0, &map, &error), TRESOR_ERROR_NOT_REGULAR);
    assert_error(map_file("/nowhere", READ, 0, &map, &error), TRESOR_ERROR_NOT_FOUND);
    assert_int_equal(error.os_errno, ENOENT);
    assert_error(map_file(NULL, READ, 0, &map, &error), TRESOR_ERROR_INVALID);
    assert_error(map_file(world.path, READ, 0, NULL, &error), TRESOR_ERROR_INVALID);
    world.faulty.plan =
        (struct faulty_plan){.row = FAULTY_OPEN_BY, .nth = 2, .os_errno = EACCES};
    assert_error(map_file(world.path, READ | WRITE, SHARED, &map, &error), TRESOR_ERROR_PERMISSION);
    assert_null(map);
    mapped_must_be_clean(&world);
}

static void sizes_of_fresh_memory(void **state)
{
    static const struct {
        uint64_t size_bytes;
        int32_t code;
    } cases[] = {
        {0, TRESOR_ERROR_INVALID},
        {1, TRESOR_OK},
        {UINT64_MAX, TRESOR_ERROR_MAP_REFUSED},
        {UINT64_MAX - MIB, TRESOR_ERROR_MAP_REFUSED}, /* wraps when it is rounded to 2 MiB */
        {UINT64_C(1) << 60, TRESOR_ERROR_MAP_REFUSED},
    };
    (void)state;
    for (uint32_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        struct tresor_zigllama_map *map = NULL;
        assert_error(map_fresh(cases[i / 2].size_bytes, READ, i % 2 ? HUGE : 0, &map),
                     cases[i / 2].code);
        assert_int_equal(map != NULL, cases[i / 2].code == TRESOR_OK);
        if (map)
            must_unmap(&map);
    }
    mapped_must_be_clean(&world);
}

/* --- writing --- */

static void private_writes_stay_private(void **state)
{
    struct tresor_zigllama_map *map = must_map(READ | WRITE, PRIVATE);
    struct tresor_error error = {0};
    (void)state;
    uint8_t *bytes = writable_of(map, world.size_bytes);
    bytes[10] = (uint8_t)~world.bytes[10];
    assert_error(tresor_zigllama_sync(map, 1, &error), TRESOR_ERROR_UNSUPPORTED);
    assert_error(error.code, TRESOR_ERROR_UNSUPPORTED);
    assert_true(mapped_file_has(&world, 10, world.bytes[10]));
    assert_error(tresor_zigllama_advise(map, TRESOR_ADVICE_DONTNEED, NULL), TRESOR_ERROR_INVALID);
    assert_int_equal(bytes[10], (uint8_t)~world.bytes[10]);
    must_unmap(&map);
}

static void shared_writes_get_to_the_file(void **state)
{
    struct tresor_zigllama_map *map = must_map(READ | WRITE, SHARED);
    (void)state;
    uint8_t *bytes = writable_of(map, world.size_bytes);
    bytes[10] = (uint8_t)~world.bytes[10];
    bytes[world.size_bytes - 1] = (uint8_t)~world.bytes[world.size_bytes - 1];
    assert_error(tresor_zigllama_sync(map, 0, NULL), TRESOR_OK);
    assert_error(tresor_zigllama_sync(map, 1, NULL), TRESOR_OK);
    assert_int_equal(world.faulty.counts[FAULTY_SYNC_MEMORY], 2);
    assert_true(mapped_file_has(&world, 10, (uint8_t)~world.bytes[10]));
    assert_error(tresor_zigllama_advise(map, TRESOR_ADVICE_DONTNEED, NULL), TRESOR_OK);
    assert_int_equal(bytes[10], (uint8_t)~world.bytes[10]);
    must_unmap(&map);
}

static void nothing_to_write_back(void **state)
{
    struct tresor_zigllama_map *maps[] = {must_map(READ, SHARED), must_map(READ, PRIVATE),
                                          must_make(5000, 0)};
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        assert_error(tresor_zigllama_sync(maps[i], 1, NULL), TRESOR_OK);
        assert_error(tresor_zigllama_unmap(&maps[i], NULL), TRESOR_OK);
    }
    assert_int_equal(world.faulty.counts[FAULTY_SYNC_MEMORY], 0);
    mapped_must_be_clean(&world);
}

/* --- unmapping --- */

static void unmapped_twice(void **state)
{
    struct tresor_zigllama_map *map = must_map(READ, 0);
    (void)state;
    must_unmap(&map);
    assert_error(tresor_zigllama_unmap(&map, NULL), TRESOR_OK);
    assert_error(tresor_zigllama_unmap(NULL, NULL), TRESOR_OK);
    assert_int_equal(world.faulty.counts[FAULTY_UNMAP], 1);
    map = must_map(READ, 0);
    world.faulty.plan = (struct faulty_plan){.row = FAULTY_UNMAP, .nth = 2, .os_errno = ENOMEM};
    assert_error(tresor_zigllama_unmap(&map, NULL), TRESOR_ERROR_MAP_REFUSED);
    assert_memory_equal(bytes_of(map, world.size_bytes), world.bytes, world.size_bytes);
    must_unmap(&map);
}

/* --- slices --- */

static void slices_at_the_edges(void **state)
{
    struct tresor_zigllama_map *map = must_map(READ, 0);
    const uint64_t size = world.size_bytes;
    const struct {
        uint64_t offset;
        uint64_t count;
        uint64_t element;
        uint64_t alignment;
        bool is_good;
    } cases[] = {
        {0, size, 1, 1, true},
        {0, size + 1, 1, 1, false},
        {0, 0, 1, 1, true},
        {size, 0, 1, 1, true},
        {size + 1, 0, 1, 1, false},
        {size - 1, 1, 1, 1, true},
        {size, 1, 1, 1, false},
        {size - 3, 1, 4, 1, false},
        {4, 5, 4, 4, true},
        {2, 1, 4, 4, false},
        {2, 1, 4, 2, true},
        {1, 1, 4, 1, true},
        {0, 1, 0, 1, false},
        {0, 1, 4, 0, false},
        {0, 1, 4, 3, false},
        {0, 1, 18, 2, true},
        {world.page_bytes, 1, 1, world.page_bytes, true},
        {64, 1, 1, world.page_bytes, false},
        {0, UINT64_C(1) << 62, 8, 1, false}, /* the product wraps to 0 */
        {0, (UINT64_C(1) << 61) + 1, 8, 1, false}, /* to 8 */
        {UINT64_MAX, 1, 1, 1, false},              /* the end wraps to 0 */
        {UINT64_MAX - 3, 1, 8, 1, false},
        {16, UINT64_MAX - 15, 1, 1, false},
        {0, UINT64_MAX, UINT64_MAX, 1, false},
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tresor_error error = {0};
        const void *data = &error;
        int32_t code = tresor_zigllama_slice(map, cases[i].offset, cases[i].count, cases[i].element,
                                             cases[i].alignment, &data, &error);
        assert_error(code, cases[i].is_good ? TRESOR_OK : TRESOR_ERROR_INVALID);
        assert_error(error.code, code);
        assert_ptr_equal(data, cases[i].is_good ? (const void *)(bytes_of(map, 0) + cases[i].offset)
                                                : (const void *)&error);
    }
    const void *data = NULL;
    assert_error(tresor_zigllama_slice(NULL, 0, 1, 1, 1, &data, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_slice(map, 0, 1, 1, 1, NULL, NULL), TRESOR_ERROR_INVALID);
    must_unmap(&map);
}

static void what_is_out_of_bounds_says_by_how_much(void **state)
{
    struct tresor_zigllama_map *map = must_map(READ, 0);
    struct tresor_error error = {0};
    const void *data = NULL;
    (void)state;
    tresor_zigllama_slice(map, 8, world.size_bytes, 1, 1, &data, &error);
    assert_int_equal(error.wanted, world.size_bytes + 8);
    assert_int_equal(error.got, world.size_bytes);
    tresor_zigllama_slice(map, 8, UINT64_MAX, 8, 1, &data, &error);
    assert_true(error.wanted == UINT64_MAX);
    must_unmap(&map);
}

static void only_writable_maps_are_written(void **state)
{
    struct tresor_zigllama_map *map = must_map(READ, SHARED);
    void *data = NULL;
    (void)state;
    assert_error(tresor_zigllama_slice_writable(map, 0, 1, 1, 1, &data, NULL),
                 TRESOR_ERROR_PERMISSION);
    assert_null(data);
    assert_error(tresor_zigllama_slice_writable(NULL, 0, 1, 1, 1, &data, NULL),
                 TRESOR_ERROR_INVALID);
    must_unmap(&map);
    map = must_make(100, 0);
    assert_error(tresor_zigllama_slice_writable(map, 0, 101, 1, 1, &data, NULL),
                 TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_slice_writable(map, 0, 100, 1, 1, NULL, NULL),
                 TRESOR_ERROR_INVALID);
    memset(writable_of(map, 100), 7, 100);
    assert_int_equal(bytes_of(map, 100)[99], 7);
    must_unmap(&map);
}

/* --- views --- */

#define BIG (UINT64_C(1) << 32)

static void views_at_the_edges(void **state)
{
    static const struct {
        uint64_t shape[TRESOR_RANK_MAX + 1];
        uint32_t rank;
        uint64_t offset;
        uint64_t elements; /* UINT64_MAX: INVALID */
    } cases[] = {
        {{0}, 0, 8, 1},
        {{6}, 1, 4, 6},
        {{2, 3}, 2, 0, 6},
        {{1, 1, 1, 1, 1, 1, 1, 2}, 8, 0, 2},
        {{1, 1, 1, 1, 1, 1, 1, 1, 1}, 9, 0, UINT64_MAX},
        {{0, 5}, 2, 0, 0},
        {{BIG, BIG, 0}, 3, 0, 0}, /* none is none, whatever the others are */
        {{BIG, BIG}, 2, 0, UINT64_MAX}, /* the product wraps to 0 */
        {{BIG, BIG, BIG}, 3, 0, UINT64_MAX},
        {{BIG + 1, BIG}, 2, 0, UINT64_MAX},
        {{UINT64_C(1) << 62}, 1, 0, UINT64_MAX}, /* the bytes wrap to 0 */
        {{UINT64_MAX, UINT64_MAX}, 2, 0, UINT64_MAX},
        {{1}, 1, 2, UINT64_MAX}, /* not aligned */
        {{1000, 1000}, 2, 0, UINT64_MAX},
        {{1}, 1, UINT64_MAX - 3, UINT64_MAX},
    };
    struct tresor_zigllama_map *map = must_map(READ, 0);
    (void)state;
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tresor_zigllama_view view = {.size_bytes = sizeof view};
        int32_t code = tresor_zigllama_view(map, cases[i].offset, cases[i].shape, cases[i].rank, 4, 4,
                                            &view, NULL);
        assert_error(code, cases[i].elements == UINT64_MAX ? TRESOR_ERROR_INVALID : TRESOR_OK);
        if (code != TRESOR_OK)
            continue;
        assert_true(view.element_count == cases[i].elements);
        assert_true(view.data_bytes == 4 * cases[i].elements);
        assert_ptr_equal(view.data, bytes_of(map, 0) + cases[i].offset);
        assert_int_equal(view.rank, cases[i].rank);
        assert_int_equal(view.dtype, TRESOR_NONE);
        assert_memory_equal(view.shape, cases[i].shape, cases[i].rank * sizeof(uint64_t));
    }
    must_unmap(&map);
}

static void a_view_keeps_its_own_shape(void **state)
{
    struct tresor_zigllama_map *map = must_map(READ, 0);
    struct tresor_zigllama_view view = {.size_bytes = sizeof view};
    uint64_t shape[2] = {3, 4};
    (void)state;
    assert_error(tresor_zigllama_view(map, 0, shape, 2, 2, 2, &view, NULL), TRESOR_OK);
    shape[0] = 99;
    assert_int_equal(view.shape[0], 3);
    assert_memory_equal(view.data, world.bytes, view.data_bytes);
    assert_error(tresor_zigllama_view(map, 0, NULL, 1, 2, 2, &view, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_view(map, 0, shape, 2, 2, 2, NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_view(NULL, 0, shape, 2, 2, 2, &view, NULL), TRESOR_ERROR_INVALID);
    view.size_bytes = 1;
    assert_error(tresor_zigllama_view(map, 0, shape, 0, 2, 2, &view, NULL), TRESOR_ERROR_INVALID);
    must_unmap(&map);
}

/* --- locks --- */

static void locks_are_taken_once_and_given_back(void **state)
{
    struct tresor_zigllama_map *map = must_map(READ, 0);
    (void)state;
    assert_error(tresor_zigllama_unlock(map, NULL), TRESOR_OK);
    assert_int_equal(world.faulty.counts[FAULTY_UNLOCK], 0);
    assert_error(tresor_zigllama_lock(map, NULL), TRESOR_OK);
    assert_error(tresor_zigllama_lock(map, NULL), TRESOR_OK);
    assert_int_equal(world.faulty.counts[FAULTY_LOCK], 1);
    assert_int_equal(range_set_bytes(&world.faulty.locked), (MAPPED_PAGES + 1) * world.page_bytes);
    assert_int_equal(stats_of(map).is_locked, 1);
    assert_error(tresor_zigllama_unlock(map, NULL), TRESOR_OK);
    assert_int_equal(range_set_bytes(&world.faulty.locked), 0);
    assert_int_equal(stats_of(map).is_locked, 0);
    assert_error(tresor_zigllama_lock(map, NULL), TRESOR_OK);
    must_unmap(&map); /* which takes the lock with it */
    assert_error(tresor_zigllama_lock(NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_unlock(NULL, NULL), TRESOR_ERROR_INVALID);
}

static void a_refused_lock_says_why(void **state)
{
    struct tresor_zigllama_map *map = must_map(READ, 0);
    struct tresor_error error = {0};
    uint64_t limit = 0;
    uint64_t locked = 0;
    (void)state;
    world.faulty.plan = (struct faulty_plan){.row = FAULTY_LOCK, .nth = 1, .os_errno = ENOMEM};
    assert_error(tresor_zigllama_lock(map, &error), TRESOR_ERROR_LOCK_LIMIT);
    assert_int_equal(world.faulty.sys.lock_limit(&world.faulty, &limit), 0);
    assert_int_equal(world.faulty.sys.locked(&world.faulty, &locked), 0);
    assert_true(error.wanted == world.size_bytes && error.got == limit && error.offset == locked);
    assert_int_equal(error.os_errno, ENOMEM);
    assert_int_equal(world.faulty.counts[FAULTY_UNLOCK], 1); /* for the part that may have been locked */
    struct tresor_zigllama_stats stats = stats_of(map);
    assert_int_equal(stats.is_locked, 0);
    assert_error(stats.lock_code, TRESOR_ERROR_LOCK_LIMIT);
    assert_int_equal(range_set_bytes(&world.faulty.locked), 0);
    assert_error(tresor_zigllama_lock(map, NULL), TRESOR_OK);
    assert_error(stats_of(map).lock_code, TRESOR_OK);
    must_unmap(&map);
}

/* --- pages --- */

static void populated_or_not(void **state)
{
    size_t pages = 10;
    (void)state;
    struct tresor_zigllama_map *map = must_make(pages * world.page_bytes - 1, 0);
    assert_int_equal(mapped_present(&world, bytes_of(map, 0), pages * world.page_bytes), 0);
    assert_error(tresor_zigllama_prefault(map, NULL), TRESOR_OK);
    assert_int_equal(mapped_present(&world, bytes_of(map, 0), pages * world.page_bytes), pages);
    must_unmap(&map);
    map = must_make(pages * world.page_bytes, POPULATE);
    assert_int_equal(mapped_present(&world, bytes_of(map, 0), pages * world.page_bytes), pages);
    must_unmap(&map);
    map = must_map(READ, POPULATE);
    assert_int_equal(mapped_present(&world, bytes_of(map, 0), world.size_bytes), MAPPED_PAGES + 1);
    must_unmap(&map);
    assert_error(tresor_zigllama_prefault(NULL, NULL), TRESOR_ERROR_INVALID);
}

static int32_t refuse_populate(void *cookie, struct faulty_call *call)
{
    bool populates = call->row == FAULTY_ADVISE_MEMORY && (call->kind == TRESOR__SYS_POPULATE_READ ||
                                                           call->kind == TRESOR__SYS_POPULATE_WRITE);
    (void)cookie;
    return populates ? EINVAL : 0;
}

/* Before Linux 5.14 there was no such advice; then each page is touched. */
static void populated_by_an_old_kernel(void **state)
{
    (void)state;
    world.faulty.judge = refuse_populate;
    populated_or_not(state);
    assert_true(world.faulty.injected > 0);
}

static void a_file_that_became_shorter(void **state)
{
    (void)state;
    for (uint32_t old = 0; old < 2; old++) {
        mapped_reset(&world);
        world.faulty.judge = old ? refuse_populate : NULL;
        struct tresor_zigllama_map *map = must_map(READ, SHARED);
        struct tresor_error error = {0};
        assert_int_equal(truncate(world.path, 5), 0);
        assert_error(tresor_zigllama_prefault(map, &error), TRESOR_ERROR_TRUNCATED);
        assert_int_equal(error.wanted, world.size_bytes);
        assert_int_equal(error.got, 5);
        must_unmap(&map);
    }
}

static void advice_is_given(void **state)
{
    struct tresor_zigllama_map *map = must_map(READ, PRIVATE);
    struct tresor_zigllama_map *fresh = must_make(9000, 0);
    (void)state;
    for (uint32_t advice = 0; advice <= TRESOR_ADVICE_DONTNEED; advice++) {
        assert_error(tresor_zigllama_advise(map, advice, NULL), TRESOR_OK);
        assert_error(tresor_zigllama_advise(fresh, advice, NULL),
                     advice == TRESOR_ADVICE_DONTNEED ? TRESOR_ERROR_INVALID : TRESOR_OK);
    }
    assert_memory_equal(bytes_of(map, world.size_bytes), world.bytes, world.size_bytes);
    assert_error(tresor_zigllama_advise(map, TRESOR_ADVICE_DONTNEED + 1, NULL),
                 TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_advise(NULL, 0, NULL), TRESOR_ERROR_INVALID);
    world.faulty.plan = (struct faulty_plan){
        .row = FAULTY_ADVISE_MEMORY, .nth = world.faulty.counts[FAULTY_ADVISE_MEMORY] + 1, .os_errno = EIO};
    struct tresor_error error = {0};
    assert_error(tresor_zigllama_advise(map, TRESOR_ADVICE_WILLNEED, &error), TRESOR_ERROR_IO);
    assert_error(error.code, TRESOR_ERROR_IO);
    assert_error(tresor_zigllama_unmap(&fresh, NULL), TRESOR_OK);
    must_unmap(&map);
}

static int32_t refuse_huge(void *cookie, struct faulty_call *call)
{
    const uint32_t *refused = cookie; /* 1: the pool, 2: the advice */
    bool is_pool = call->row == FAULTY_MAP_VIEW && call->kind & TRESOR__SYS_VIEW_HUGE_POOL;
    bool is_advice = call->row == FAULTY_ADVISE_MEMORY && (call->kind == TRESOR__SYS_HUGE_PAGES ||
                                                           call->kind == TRESOR__SYS_HUGE_READS);
    return (is_pool && *refused & 1) || (is_advice && *refused & 2) ? ENOMEM : 0;
}

static void huge_pages_are_a_wish(void **state)
{
    (void)state;
    for (uint32_t refused = 0; refused < 4; refused++) {
        mapped_reset(&world);
        world.faulty.judge = refuse_huge;
        world.faulty.judge_cookie = &refused;
        struct tresor_zigllama_map *map = must_make(3 * MIB + 1, HUGE | POPULATE);
        uint32_t huge = stats_of(map).huge;
        assert_int_equal(stats_of(map).total_bytes, 3 * MIB + 1);
        if (refused == 0)
            assert_true(huge != TRESOR_ZIGLLAMA_HUGE_NONE);
        else if (refused & 1)
            assert_int_equal(huge, refused & 2 ? TRESOR_ZIGLLAMA_HUGE_NONE
                                               : TRESOR_ZIGLLAMA_HUGE_ADVISED);
        memset(writable_of(map, 3 * MIB + 1), 1, 3 * MIB + 1);
        must_unmap(&map);
        map = must_map(READ, HUGE);
        if (refused & 2)
            assert_int_equal(stats_of(map).huge, TRESOR_ZIGLLAMA_HUGE_NONE);
        assert_memory_equal(bytes_of(map, world.size_bytes), world.bytes, world.size_bytes);
        must_unmap(&map);
    }
}

/* --- statistics --- */

static void the_kernel_counts_what_is_in_memory(void **state)
{
    struct tresor_zigllama_map *map = must_make(10 * world.page_bytes, 0);
    (void)state;
    struct tresor_zigllama_stats stats = stats_of(map);
    assert_int_equal(stats.total_bytes, 10 * world.page_bytes);
    assert_int_equal(stats.page_count, 10);
    assert_int_equal(stats.page_bytes, world.page_bytes);
    assert_int_equal(stats.is_resident_known, 1);
    assert_int_equal(stats.resident_bytes, 0);
    uint8_t *bytes = writable_of(map, 10 * world.page_bytes);
    bytes[0] = bytes[4 * world.page_bytes] = bytes[9 * world.page_bytes] = 1;
    assert_int_equal(stats_of(map).resident_bytes, 3 * world.page_bytes);
    must_unmap(&map);
    map = must_map(READ, 0); /* was just written, so the page cache has it */
    stats = stats_of(map);
    assert_int_equal(stats.page_count, MAPPED_PAGES + 1);
    assert_int_equal(stats.resident_bytes, (MAPPED_PAGES + 1) * world.page_bytes);
    world.faulty.plan = (struct faulty_plan){
        .row = FAULTY_RESIDENT_BYTES, .nth = world.faulty.counts[FAULTY_RESIDENT_BYTES] + 1, .os_errno = EPERM};
    stats = stats_of(map);
    assert_int_equal(stats.is_resident_known, 0);
    assert_int_equal(stats.resident_bytes, 0);
    struct tresor_zigllama_stats none = {.size_bytes = 3};
    assert_error(tresor_zigllama_get_stats(map, &none, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_get_stats(map, NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_get_stats(NULL, &none, NULL), TRESOR_ERROR_INVALID);
    must_unmap(&map);
}

/* More pages than are asked for at a time. */
static void many_pages_are_counted(void **state)
{
    size_t length = 5000 * world.page_bytes;
    struct tresor_zigllama_map *map = must_make(length, 0);
    (void)state;
    uint8_t *bytes = writable_of(map, length);
    for (size_t i = 0; i < 5000; i += 3)
        bytes[i * world.page_bytes] = 1;
    uint64_t resident = stats_of(map).resident_bytes;
    /* Large pages may come where they were not asked for. */
    assert_true(resident >= 1667 * world.page_bytes && resident <= length);
    assert_int_equal(resident, mapped_present(&world, bytes, length) * world.page_bytes);
    must_unmap(&map);
}

struct stranger {
    bool is_done;
    bool is_known;
};

/* To whom a file neither belongs nor is writable mincore(2) says that all of it is there. */
static void look_as_a_stranger(void *shared)
{
    struct stranger *stranger = shared;
    struct tresor_zigllama_map *map = NULL;
    struct tresor_zigllama_stats stats = {.size_bytes = sizeof stats};
    if (!child_give_up_rights() ||
        tresor_zigllama_map_file(world.path, READ, 0, NULL, &map, NULL) != TRESOR_OK)
        return;
    stranger->is_done = tresor_zigllama_get_stats(map, &stats, NULL) == TRESOR_OK;
    stranger->is_known = stats.is_resident_known;
}

static void a_stranger_is_told_nothing(void **state)
{
    struct stranger *stranger = child_share(sizeof *stranger);
    (void)state;
    assert_int_equal(chmod(world.path, 0644), 0);
    assert_true(child_run(look_as_a_stranger, stranger));
    if (geteuid() == 0) {
        assert_true(stranger->is_done);
        assert_false(stranger->is_known);
    }
    child_unshare(stranger, sizeof *stranger);
}

static void statistics_as_text(void **state)
{
    static const struct tresor_zigllama_stats stats = {
        .size_bytes = sizeof stats, .total_bytes = 3 * MIB, .page_bytes = 4096, .page_count = 768,
        .resident_bytes = MIB, .is_resident_known = 1, .lock_code = TRESOR_ERROR_LOCK_LIMIT};
    char text[256];
    (void)state;
    size_t length = tresor_zigllama_format_stats(&stats, text, sizeof text);
    assert_string_equal(text, "mapped: 3.0 MiB (768 pages of 4 KiB)\nin memory: 1.0 MiB\nlocked: no, "
                              "refused: the system refused to lock memory\n");
    assert_int_equal(length, strlen(text));
    assert_int_equal(tresor_zigllama_format_stats(&stats, NULL, 0), length);
    assert_int_equal(tresor_zigllama_format_stats(&stats, text, 8), length);
    assert_string_equal(text, "mapped:");
    struct tresor_zigllama_stats unknown = {.size_bytes = sizeof unknown, .is_locked = 1};
    tresor_zigllama_format_stats(&unknown, text, sizeof text);
    assert_non_null(strstr(text, "in memory: not known\nlocked: yes\n"));
    assert_int_equal(tresor_zigllama_format_stats(NULL, text, sizeof text), 0);
}

/* --- faults --- */

static void check(int32_t code, const struct tresor_error *error)
{
    assert_true(code <= 0 && strcmp(tresor_error_name(code), "UNKNOWN") != 0);
    if (code != TRESOR_OK)
        assert_error(error->code, code);
}

static void use_and_unmap(struct mapped *mapped, struct tresor_zigllama_map *map)
{
    struct tresor_error error = {0};
    struct tresor_zigllama_stats stats = {.size_bytes = sizeof stats};
    bool is_file = map->view.descriptor >= 0;
    if (is_file)
        assert_memory_equal(bytes_of(map, mapped->size_bytes), mapped->bytes, mapped->size_bytes);
    check(tresor_zigllama_lock(map, &error), &error);
    check(tresor_zigllama_prefault(map, &error), &error);
    check(tresor_zigllama_advise(map, TRESOR_ADVICE_RANDOM, &error), &error);
    check(tresor_zigllama_sync(map, 1, &error), &error);
    check(tresor_zigllama_get_stats(map, &stats, &error), &error);
    check(tresor_zigllama_unlock(map, &error), &error);
    for (uint32_t i = 0; map && i < 2; i++) {
        int32_t code = tresor_zigllama_unmap(&map, &error);
        check(code, &error);
        assert_int_equal(code == TRESOR_OK, map == NULL);
    }
    if (map) {
        mapped->faulty.plan.nth = 0;
        assert_error(tresor_zigllama_unmap(&map, NULL), TRESOR_OK);
    }
}

static void use_all(struct mapped *mapped)
{
    static const struct {
        uint32_t protection;
        uint32_t flags;
    } kinds[] = {{READ, POPULATE}, {READ | WRITE, SHARED | HUGE}};
    for (uint32_t i = 0; i < 4; i++) {
        struct tresor_zigllama_map *map = NULL;
        struct tresor_error error = {0};
        int32_t code =
            i < 2 ? tresor__zigllama_map_file(&mapped->faulty.sys, mapped->path, kinds[i].protection,
                                              kinds[i].flags, &mapped->allocator, &map, &error)
                  : tresor__zigllama_map_anonymous(&mapped->faulty.sys, 10000, READ | WRITE,
                                                   i == 2 ? POPULATE : HUGE, &mapped->allocator, &map,
                                                   &error);
        check(code, &error);
        assert_int_equal(code == TRESOR_OK, map != NULL);
        if (map)
            use_and_unmap(mapped, map);
    }
}

static void every_call_fails(void **state)
{
    (void)state;
    mapped_fail_each(&world, use_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_combination, reset),
        cmocka_unit_test_setup(the_public_ones_too, reset),
        cmocka_unit_test_setup(what_is_no_file, reset),
        cmocka_unit_test_setup(sizes_of_fresh_memory, reset),
        cmocka_unit_test_setup(private_writes_stay_private, reset),
        cmocka_unit_test_setup(shared_writes_get_to_the_file, reset),
        cmocka_unit_test_setup(nothing_to_write_back, reset),
        cmocka_unit_test_setup(unmapped_twice, reset),
        cmocka_unit_test_setup(slices_at_the_edges, reset),
        cmocka_unit_test_setup(what_is_out_of_bounds_says_by_how_much, reset),
        cmocka_unit_test_setup(only_writable_maps_are_written, reset),
        cmocka_unit_test_setup(views_at_the_edges, reset),
        cmocka_unit_test_setup(a_view_keeps_its_own_shape, reset),
        cmocka_unit_test_setup(locks_are_taken_once_and_given_back, reset),
        cmocka_unit_test_setup(a_refused_lock_says_why, reset),
        cmocka_unit_test_setup(populated_or_not, reset),
        cmocka_unit_test_setup(populated_by_an_old_kernel, reset),
        cmocka_unit_test_setup(a_file_that_became_shorter, reset),
        cmocka_unit_test_setup(advice_is_given, reset),
        cmocka_unit_test_setup(huge_pages_are_a_wish, reset),
        cmocka_unit_test_setup(the_kernel_counts_what_is_in_memory, reset),
        cmocka_unit_test_setup(many_pages_are_counted, reset),
        cmocka_unit_test_setup(a_stranger_is_told_nothing, reset),
        cmocka_unit_test(statistics_as_text),
        cmocka_unit_test_setup(every_call_fails, reset),
    };
    return cmocka_run_group_tests_name("compat_zigllama_map", tests, setup, teardown);
}
