/* SPDX-License-Identifier: MIT */
/* Maps of the face of llama.cpp: what is brought in, what is left lazy, and books that are true whatever is unmapped or refused. */
#include "support/test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "llama_world.h"
#include "support/random.h"

enum {
    PAGES = 24,
    ADVICES_MAX = 32,
    LAZY_MAX = 4,
    FRAGMENTS_MAX = PAGES,
};

static struct world world;
static uint64_t page;

static struct tresor_llama_map *open_map(struct tresor_llama_file *file)
{
    struct tresor_llama_map *map = NULL;
    struct tresor_error error;
    assert_error(tresor_llama_map_open(file, SIZE_MAX, false, NULL, 0, &map, &error), TRESOR_OK);
    return map;
}

/* --- what is brought in --- */

struct advice {
    int kind; /* enum tresor__sys_memory_advice */
    uint64_t first; /* in pages from here on */
    uint64_t last;
};

struct advices {
    struct advice made[ADVICES_MAX];
    uint32_t count;
    const char *base;
    int32_t populate_errno;
};

static int32_t note_advice(void *cookie, struct faulty_call *call)
{
    struct advices *advices = cookie;
    if (call->row != FAULTY_ADVISE_MEMORY)
        return 0;
    uintptr_t address = (uintptr_t)call->address;
    if (!advices->base) /* the map is the only thing there is */
        advices->base = (const char *)world.faulty.mapped.ranges[0].start;
    uint64_t first = (address - (uintptr_t)advices->base) / page;
    assert_true(advices->count < ADVICES_MAX);
    advices->made[advices->count++] =
        (struct advice){call->kind, first, first + (call->length + page - 1) / page};
    return call->kind == TRESOR__SYS_POPULATE_READ ? advices->populate_errno : 0;
}

enum {
    POPULATE = TRESOR__SYS_POPULATE_READ,
    RANDOM = TRESOR__SYS_MEMORY_RANDOM,
    WILLNEED = TRESOR__SYS_MEMORY_WILLNEED,
};

/* In pages, but for the prefetch; the file ends within its last page. */
static const struct {
    uint64_t prefetch_bytes;
    bool numa;
    uint32_t lazy_count;
    struct tresor_llama_range lazy[LAZY_MAX];
    uint32_t count;
    struct advice wanted[ADVICES_MAX];
} prefetches[] = {
    {UINT64_MAX, false, 0, {{0, 0}}, 1, {{POPULATE, 0, PAGES}}},
    {0, false, 0, {{0, 0}}, 0, {{0, 0, 0}}},
    {1, false, 0, {{0, 0}}, 1, {{POPULATE, 0, 1}}},
    {UINT64_MAX, true, 0, {{0, 0}}, 1, {{RANDOM, 0, PAGES}}},
    {UINT64_MAX, true, 1, {{3, 5}}, 2, {{RANDOM, 3, 5}, {RANDOM, 0, PAGES}}},
    {UINT64_MAX, false, 1, {{3, 5}}, 3, {{RANDOM, 3, 5}, {POPULATE, 0, 3}, {POPULATE, 5, PAGES}}},
    {UINT64_MAX, false, 1, {{0, PAGES}}, 1, {{RANDOM, 0, PAGES}}},
    {UINT64_MAX, false, 1, {{2, PAGES + 9}}, 2, {{RANDOM, 2, PAGES}, {POPULATE, 0, 2}}},
    {UINT64_MAX, false, 1, {{PAGES + 1, PAGES + 9}}, 1, {{POPULATE, 0, PAGES}}},
    {UINT64_MAX, false, 1, {{5, 5}}, 1, {{POPULATE, 0, PAGES}}},
    {UINT64_MAX, false, 1, {{6, 5}}, 1, {{POPULATE, 0, PAGES}}},
    {UINT64_MAX, false, 3, {{9, 12}, {2, 4}, {3, 10}},
     5, {{RANDOM, 2, 4}, {RANDOM, 3, 10}, {RANDOM, 9, 12}, {POPULATE, 0, 2}, {POPULATE, 12, PAGES}}},
};

static void what_is_asked_for_is_brought_in(void **state)
{
    (void)state;
    world_begin(&world, PAGES * page - 100);
    for (size_t i = 0; i < sizeof prefetches / sizeof prefetches[0]; i++) {
        struct tresor_llama_range lazy[LAZY_MAX];
        struct tresor_llama_map *map = NULL;
        struct advices advices = {.count = 0};
        world_again(&world);
        struct tresor_llama_file *file = world_open(&world, "rb", false);
        world.faulty.judge = note_advice;
        world.faulty.judge_cookie = &advices;
        for (uint32_t j = 0; j < prefetches[i].lazy_count; j++)
            lazy[j] = (struct tresor_llama_range){prefetches[i].lazy[j].first * page,
                                                  prefetches[i].lazy[j].last * page};
        assert_error(tresor_llama_map_open(file, prefetches[i].prefetch_bytes, prefetches[i].numa, lazy,
                                           prefetches[i].lazy_count, &map, NULL),
                     TRESOR_OK);
        assert_int_equal(advices.count, prefetches[i].count);
        for (uint32_t j = 0; j < advices.count; j++) {
            assert_int_equal(advices.made[j].kind, prefetches[i].wanted[j].kind);
            assert_int_equal(advices.made[j].first, prefetches[i].wanted[j].first);
            assert_int_equal(advices.made[j].last, prefetches[i].wanted[j].last);
        }
        assert_error(tresor_llama_file_close(file, NULL), TRESOR_OK); /* the map stays */
        assert_int_equal(tresor_llama_map_size(map), world.size_bytes);
        assert_memory_equal(tresor_llama_map_address(map), world.bytes, world.size_bytes);
        assert_error(tresor_llama_map_close(map, NULL), TRESOR_OK);
        const char *wrong = faulty_sys_check(&world.faulty);
        assert_string_equal(wrong ? wrong : "", "");
    }
    world_end(&world);
}

/* Advice takes its place, and where that is refused too there is a warning. */
static void where_nothing_can_be_populated_it_is_advised(void **state)
{
    static const int32_t reasons[] = {EINVAL, ENOMEM, EPERM};
    (void)state;
    world_begin(&world, PAGES * page);
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        struct advices advices = {.populate_errno = reasons[i]};
        struct tresor_error warning;
        world_again(&world);
        struct tresor_llama_file *file = world_open(&world, "rb", false);
        world.faulty.judge = note_advice;
        world.faulty.judge_cookie = &advices;
        if (i > 0)
            world.faulty.plan = (struct faulty_plan){
                .row = FAULTY_ADVISE_MEMORY, .nth = 2, .os_errno = EIO};
        struct tresor_llama_map *map = open_map(file);
        assert_int_equal(advices.count, i > 0 ? 1 : 2);
        if (i == 0)
            assert_int_equal(advices.made[1].kind, WILLNEED);
        assert_int_equal(tresor_llama_map_warning(map, &warning), i > 0);
        if (i > 0)
            assert_int_equal(warning.os_errno, EIO);
        assert_error(tresor_llama_map_close(map, NULL), TRESOR_OK);
        assert_error(tresor_llama_file_close(file, NULL), TRESOR_OK);
    }
    world_end(&world);
}

static void a_file_that_is_shorter_by_now_is_no_map(void **state)
{
    struct tresor_llama_map *map = NULL;
    struct tresor_error error;
    (void)state;
    world_begin(&world, PAGES * page);
    struct tresor_llama_file *file = world_open(&world, "rb", false);
    assert_int_equal(truncate(world.path, (off_t)(2 * page + 5)), 0);
    assert_error(tresor_llama_map_open(file, SIZE_MAX, false, NULL, 0, &map, &error),
                 TRESOR_ERROR_TRUNCATED);
    assert_int_equal(error.wanted, PAGES * page);
    assert_int_equal(error.got, 2 * page + 5);
    assert_null(map);
    assert_error(tresor_llama_file_close(file, NULL), TRESOR_OK);
    world_end(&world);
}

static void what_is_no_map_is_refused(void **state)
{
    static const struct tresor_llama_range lazy = {0, 1};
    struct tresor_llama_map *map = NULL;
    struct tresor_error error;
    (void)state;
    world_begin(&world, 0);
    struct tresor_llama_file *file = world_open(&world, "rb", false);
    assert_error(tresor_llama_map_open(file, SIZE_MAX, false, NULL, 0, &map, &error),
                 TRESOR_ERROR_INVALID);
    assert_int_equal(error.os_errno, EINVAL);
    assert_error(tresor_llama_map_open(NULL, 0, false, NULL, 0, &map, &error), TRESOR_ERROR_INVALID);
    assert_error(tresor_llama_map_open(file, 0, false, NULL, 1, &map, &error), TRESOR_ERROR_INVALID);
    assert_error(tresor_llama_map_open(file, 0, false, &lazy, SIZE_MAX / 8, &map, &error),
                 TRESOR_ERROR_INVALID);
    assert_null(map);
    assert_error(tresor_llama_map_close(NULL, NULL), TRESOR_OK);
    assert_error(tresor_llama_file_close(file, NULL), TRESOR_OK);
    assert_true(tresor_llama_map_supported());
    assert_true(tresor_llama_path_max() >= 4096);
    world_end(&world);
}

static void each_call_of_mapping_fails(void **state)
{
    static const struct tresor_llama_range lazy = {0, 100};
    uint64_t injected = 0;
    (void)state;
    world_begin(&world, PAGES * page - 1);
    for (uint32_t row = 0; row < FAULTY_ROWS; row++) {
        uint32_t count;
        const int32_t *errors = faulty_row_errors((enum faulty_row)row, &count);
        for (uint32_t i = 0; i < count; i++)
            for (uint64_t nth = 1; nth < 4; nth++) {
                struct tresor_llama_map *map = NULL;
                struct tresor_error error = {0};
                world_again(&world);
                struct tresor_llama_file *file = world_open(&world, "rb", false);
                memset(world.faulty.counts, 0, sizeof world.faulty.counts);
                world.faulty.plan = (struct faulty_plan){
                    .row = (enum faulty_row)row, .nth = nth, .os_errno = errors[i]};
                int32_t code = tresor_llama_map_open(file, SIZE_MAX, false, &lazy, 1, &map, &error);
                injected += world.faulty.injected;
                assert_int_equal(code, error.code);
                if (code == TRESOR_OK)
                    assert_memory_equal(tresor_llama_map_address(map), world.bytes, world.size_bytes);
                world.faulty.plan = (struct faulty_plan){0};
                assert_error(tresor_llama_map_close(map, NULL), TRESOR_OK);
                assert_error(tresor_llama_file_close(file, NULL), TRESOR_OK);
                const char *wrong = faulty_sys_check(&world.faulty);
                assert_string_equal(wrong ? wrong : "", "");
            }
    }
    assert_true(injected > 20);
    world_end(&world);
}

/* --- unmapping --- */

/* The books must say of each page what the model says, in as few ranges as there can be. */
static void assert_books(const struct tresor_llama_map *map, const bool mapped[PAGES])
{
    struct tresor_llama_range fragments[FRAGMENTS_MAX];
    size_t count = tresor_llama_map_fragments(map, fragments, FRAGMENTS_MAX);
    size_t next = 0;
    for (uint64_t i = 0; i < PAGES; i++) {
        bool begins = mapped[i] && (i == 0 || !mapped[i - 1]);
        bool ends = mapped[i] && (i == PAGES - 1 || !mapped[i + 1]);
        if (begins)
            assert_true(next < count && fragments[next].first == i * page);
        if (ends)
            assert_true(fragments[next++].last == (i + 1) * page);
    }
    assert_int_equal(next, count);
}

/* In pages and bytes more; what is whole in them goes. */
static const struct {
    int64_t first;
    int64_t last;
    uint64_t gone_first; /* pages */
    uint64_t gone_last;
} cuts[] = {
    {0, 2, 0, 2},
    {5, 7, 5, 7},     /* an interior hole */
    {5, 7, 5, 7},     /* again */
    {4, 9, 4, 9},     /* around it */
    {11, 11, 0, 0},
    {13, 12, 0, 0},
    {PAGES - 2, PAGES, PAGES - 2, PAGES}, /* to the end, within a page */
    {0, PAGES + 50, 0, PAGES},
};

static void whole_pages_go_and_nothing_else(void **state)
{
    (void)state;
    world_begin(&world, PAGES * page - 100);
    bool mapped[PAGES];
    memset(mapped, true, sizeof mapped);
    struct tresor_llama_file *file = world_open(&world, "rb", false);
    struct tresor_llama_map *map = open_map(file);
    assert_books(map, mapped);
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        const struct tresor_llama_range range = {(uint64_t)cuts[i].first * page,
                                                 (uint64_t)cuts[i].last * page};
        assert_error(tresor_llama_map_unmap(map, &range, 1, NULL), TRESOR_OK);
        for (uint64_t j = cuts[i].gone_first; j < cuts[i].gone_last; j++)
            mapped[j] = false;
        assert_books(map, mapped);
        for (uint64_t j = 0; j < PAGES; j++) {
            size_t bytes = j == PAGES - 1 ? page - 100 : page;
            if (mapped[j])
                assert_memory_equal((char *)tresor_llama_map_address(map) + j * page,
                                    world.bytes + j * page, bytes);
        }
    }
    assert_error(tresor_llama_map_close(map, NULL), TRESOR_OK);
    assert_error(tresor_llama_file_close(file, NULL), TRESOR_OK);
    world_end(&world);
}

/* Pages that are only begun stay, at either end; but the last of the file has no other user. */
static void parts_of_pages_stay(void **state)
{
    static const struct {
        uint64_t first, last; /* in bytes beyond a multiple of pages: */
        uint64_t first_page, last_page;
        uint64_t gone_first, gone_last;
    } parts[] = {
        {1, 0, 3, 5, 4, 5}, {0, 1, 3, 5, 3, 5},  {1, 1, 3, 4, 0, 0},
        {1, 4095, 3, 5, 4, 5}, {0, 3996, PAGES - 1, PAGES - 1, PAGES - 1, PAGES},
        {0, 3995, PAGES - 1, PAGES - 1, 0, 0}, {1, 0, PAGES - 1, PAGES, 0, 0},
    };
    (void)state;
    if (page != 4096)
        return;
    world_begin(&world, PAGES * page - 100);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        bool mapped[PAGES];
        memset(mapped, true, sizeof mapped);
        struct tresor_llama_file *file = world_open(&world, "rb", false);
        struct tresor_llama_map *map = open_map(file);
        const struct tresor_llama_range range = {parts[i].first_page * page + parts[i].first,
                                                 parts[i].last_page * page + parts[i].last};
        assert_error(tresor_llama_map_unmap(map, &range, 1, NULL), TRESOR_OK);
        for (uint64_t j = parts[i].gone_first; j < parts[i].gone_last; j++)
            mapped[j] = false;
        assert_books(map, mapped);
        const struct tresor_llama_range far[] = {{UINT64_MAX - 3, UINT64_MAX}, {UINT64_MAX, 0}};
        assert_error(tresor_llama_map_unmap(map, far, 2, NULL), TRESOR_OK);
        assert_books(map, mapped);
        assert_error(tresor_llama_map_close(map, NULL), TRESOR_OK);
        assert_error(tresor_llama_file_close(file, NULL), TRESOR_OK);
    }
    world_end(&world);
}

struct whims {
    uint64_t seed;
    const char *base;
    bool *mapped;
    uint32_t refused;
};

/* Refuses one in three; what it lets through is gone in the model too. */
static int32_t refuse_some(void *cookie, struct faulty_call *call)
{
    struct whims *whims = cookie;
    if (call->row != FAULTY_UNMAP)
        return 0;
    if (random_once_in(&whims->seed, 3)) {
        whims->refused++;
        return ENOMEM;
    }
    uint64_t first = (uint64_t)((const char *)call->address - whims->base) / page;
    for (uint64_t i = first; i < first + call->length / page; i++) {
        assert_true(whims->mapped[i]); /* nothing is unmapped twice */
        whims->mapped[i] = false;
    }
    return 0;
}

/* Any set of ranges, with refusals: the books are what the system has, after each. */
static void books_are_true_after_refusals(void **state)
{
    (void)state;
    world_begin(&world, PAGES * page);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        bool mapped[PAGES];
        struct whims whims = {.seed = seed, .mapped = mapped};
        memset(mapped, true, sizeof mapped);
        world_again(&world);
        struct tresor_llama_file *file = world_open(&world, "rb", false);
        struct tresor_llama_map *map = open_map(file);
        whims.base = tresor_llama_map_address(map);
        world.faulty.judge = refuse_some;
        world.faulty.judge_cookie = &whims;
        for (uint32_t i = 0; i < 8; i++) {
            struct tresor_llama_range ranges[3];
            struct tresor_error error = {0};
            for (uint32_t j = 0; j < 3; j++)
                ranges[j] =
                    (struct tresor_llama_range){random_below(&whims.seed, PAGES) * page,
                                                random_below(&whims.seed, PAGES + 4) * page};
            uint32_t refused = whims.refused;
            int32_t code = tresor_llama_map_unmap(map, ranges, 3, &error);
            assert_error(code, whims.refused > refused ? TRESOR_ERROR_MAP_REFUSED : TRESOR_OK);
            assert_int_equal(error.os_errno, code ? ENOMEM : 0);
            if (code)
                assert_true(error.wanted >= page && error.wanted % page == 0);
            assert_books(map, mapped);
        }
        world.faulty.judge = NULL;
        assert_error(tresor_llama_map_close(map, NULL), TRESOR_OK);
        assert_error(tresor_llama_file_close(file, NULL), TRESOR_OK);
        const char *wrong = faulty_sys_check(&world.faulty);
        assert_string_equal(wrong ? wrong : "", "");
    }
    world_end(&world);
}

static void what_stays_at_the_end_is_told(void **state)
{
    const struct tresor_llama_range hole = {2 * page, 4 * page};
    struct tresor_error error;
    (void)state;
    world_begin(&world, PAGES * page);
    struct tresor_llama_file *file = world_open(&world, "rb", false);
    struct tresor_llama_map *map = open_map(file);
    assert_error(tresor_llama_map_unmap(map, &hole, 1, NULL), TRESOR_OK);
    world.faulty.plan = (struct faulty_plan){.row = FAULTY_UNMAP, .nth = 2, .os_errno = ENOMEM};
    assert_error(tresor_llama_map_close(map, &error), TRESOR_ERROR_MAP_REFUSED);
    assert_int_equal(error.got, 2 * page);
    assert_error(tresor_llama_file_close(file, NULL), TRESOR_OK);
    faulty_sys_clean(&world.faulty);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_for_is_brought_in),
        cmocka_unit_test(where_nothing_can_be_populated_it_is_advised),
        cmocka_unit_test(a_file_that_is_shorter_by_now_is_no_map),
        cmocka_unit_test(what_is_no_map_is_refused),
        cmocka_unit_test(each_call_of_mapping_fails),
        cmocka_unit_test(whole_pages_go_and_nothing_else),
        cmocka_unit_test(parts_of_pages_stay),
        cmocka_unit_test(books_are_true_after_refusals),
        cmocka_unit_test(what_stays_at_the_end_is_told),
    };
    page = (uint64_t)sysconf(_SC_PAGESIZE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
