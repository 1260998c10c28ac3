/* SPDX-License-Identifier: MIT */
/* The face of realizar's ModelData, over the real system and over one that lies. */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compat/realizar.h"
#include "support/fake_sys.h"
#include "support/mapped.h"

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

static int32_t open_over(const char *path, bool is_mapped, struct tresor_realizar_data **data,
                         struct tresor_error *error)
{
    return tresor__realizar_open(&world.faulty.sys, path, is_mapped, &world.allocator, data, error);
}

static struct tresor_realizar_data *must_open(bool is_mapped)
{
    struct tresor_realizar_data *data = NULL;
    assert_error(open_over(world.path, is_mapped, &data, NULL), TRESOR_OK);
    return data;
}

static void must_free(struct tresor_realizar_data **data)
{
    assert_error(tresor_realizar_free(data, NULL), TRESOR_OK);
    assert_null(*data);
    mapped_must_be_clean(&world);
}

static void must_hold(const struct tresor_realizar_data *data)
{
    size_t length = 0;
    const void *bytes = tresor_realizar_as_slice(data, &length);
    assert_int_equal(length, world.size_bytes);
    assert_memory_equal(bytes, world.bytes, world.size_bytes);
}

static void both_kinds_hold_the_file(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct tresor_realizar_data *data = must_open(i == 0);
        must_hold(data);
        assert_int_equal(tresor_realizar_len(data), world.size_bytes);
        assert_int_equal(tresor_realizar_is_empty(data), 0);
        assert_int_equal(tresor_realizar_is_mmap(data), i == 0);
        assert_string_equal(tresor_realizar_path(data), world.path);
        assert_int_equal(world.faulty.descriptor_count, i == 0);
        must_free(&data);
        assert_error(tresor_realizar_free(&data, NULL), TRESOR_OK); /* the second does nothing */
    }
}

static void the_public_ones_too(void **state)
{
    struct tresor_realizar_data *data = NULL;
    (void)state;
    assert_error(tresor_realizar_open_mmap(world.path, NULL, &data, NULL), TRESOR_OK);
    must_hold(data);
    assert_int_equal(tresor_realizar_is_mmap(data), 1);
    must_free(&data);
    assert_error(tresor_realizar_open_read(world.path, NULL, &data, NULL), TRESOR_OK);
    must_hold(data);
    assert_int_equal(tresor_realizar_is_mmap(data), 0);
    must_free(&data);
}

static void must_do_nothing(struct tresor_realizar_data *data)
{
    uint64_t before = world.faulty.total;
    uint64_t left = 1;
    assert_error(tresor_realizar_advise_sequential(data, NULL), TRESOR_OK);
    assert_error(tresor_realizar_drop_pages(data, NULL), TRESOR_OK);
    assert_error(tresor_realizar_evict(data, &left, NULL), TRESOR_OK);
    assert_int_equal(left, 0);
    assert_int_equal(world.faulty.total, before);
}

static void what_is_empty(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        struct tresor_realizar_data *data = NULL;
        size_t length = 1;
        if (i < 2)
            assert_error(open_over(world.empty, i == 0, &data, NULL), TRESOR_OK);
        else
            assert_error(tresor__realizar_copy(&world.faulty.sys, NULL, 0, &world.allocator, &data,
                                               NULL),
                         TRESOR_OK);
        assert_non_null(tresor_realizar_as_slice(data, &length));
        assert_int_equal(length, 0);
        assert_int_equal(tresor_realizar_is_empty(data), 1);
        assert_int_equal(tresor_realizar_is_mmap(data), i == 0);
        must_do_nothing(data);
        must_free(&data);
    }
    assert_int_equal(tresor_realizar_is_empty(NULL), 1);
    assert_int_equal(tresor_realizar_is_mmap(NULL), 0);
    assert_non_null(tresor_realizar_as_slice(NULL, NULL));
    assert_string_equal(tresor_realizar_path(NULL), "");
}

static void without_a_mapping_nothing_is_asked(void **state)
{
    struct tresor_realizar_data *data = must_open(false);
    (void)state;
    must_do_nothing(data);
    must_hold(data);
    must_free(&data);
}

static void a_copy_is_its_own(void **state)
{
    uint8_t bytes[5] = {1, 2, 3, 4, 5};
    struct tresor_realizar_data *data = NULL;
    (void)state;
    assert_error(tresor_realizar_from_bytes(bytes, sizeof bytes, &world.allocator, &data, NULL),
                 TRESOR_OK);
    bytes[2] = 9;
    const uint8_t *held = tresor_realizar_as_slice(data, NULL);
    assert_int_equal(held[2], 3);
    assert_int_equal(tresor_realizar_len(data), 5);
    assert_string_equal(tresor_realizar_path(data), "");
    must_free(&data);
}

static void count_release(void *cookie, void *bytes, size_t length_bytes)
{
    assert_int_equal(length_bytes, 7);
    free(bytes);
    ++*(int *)cookie;
}

static void what_is_taken_over_is_released_once(void **state)
{
    int released = 0;
    void *bytes = calloc(1, 7);
    struct tresor_realizar_data *data = NULL;
    (void)state;
    world.memory.fail_call = 1;
    assert_error(tresor_realizar_from_vec(bytes, 7, count_release, &released, &world.allocator,
                                          &data, NULL),
                 TRESOR_ERROR_NO_MEMORY);
    assert_int_equal(released, 0);
    assert_null(data);
    assert_error(tresor_realizar_from_vec(bytes, 7, count_release, &released, &world.allocator,
                                          &data, NULL),
                 TRESOR_OK);
    assert_ptr_equal(tresor_realizar_as_slice(data, NULL), bytes);
    must_do_nothing(data);
    must_free(&data);
    assert_int_equal(released, 1);
    static const char text[7] = "static";
    assert_error(tresor_realizar_from_vec((void *)(uintptr_t)text, 7, NULL, NULL, &world.allocator,
                                          &data, NULL),
                 TRESOR_OK);
    must_free(&data);
}

static void what_is_no_file(void **state)
{
    char pipe_path[MAPPED_PATH_BYTES];
    struct tresor_error error = {0};
    (void)state;
    snprintf(pipe_path, sizeof pipe_path, "%s/pipe", world.folder);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    const struct {
        const char *path;
        int32_t code;
    } cases[] = {
        {world.folder, TRESOR_ERROR_NOT_REGULAR},
        {pipe_path, TRESOR_ERROR_NOT_REGULAR},
        {"/dev/null", TRESOR_ERROR_NOT_REGULAR},
        {"/nowhere/at/all", TRESOR_ERROR_NOT_FOUND},
        {"", TRESOR_ERROR_NOT_FOUND},
        {NULL, TRESOR_ERROR_INVALID},
    };
    for (uint32_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        struct tresor_realizar_data *data = (void *)&error;
        assert_error(open_over(cases[i / 2].path, i % 2, &data, &error), cases[i / 2].code);
        assert_error(error.code, cases[i / 2].code);
        assert_null(data);
        mapped_must_be_clean(&world);
    }
    struct tresor_realizar_data *data = NULL;
    assert_error(open_over(world.path, true, NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_realizar_from_bytes(NULL, 1, NULL, &data, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_realizar_from_vec(NULL, 1, NULL, NULL, NULL, &data, NULL),
                 TRESOR_ERROR_INVALID);
    assert_error(tresor_realizar_drop_pages(NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_realizar_evict(NULL, NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_realizar_advise_sequential(NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_realizar_free(NULL, NULL), TRESOR_OK);
}

static void short_reads_go_on(void **state)
{
    static const enum faulty_reads kinds[] = {FAULTY_READS_BYTE, FAULTY_READS_HALF,
                                              FAULTY_READS_RANDOM, FAULTY_READS_INTERRUPTED};
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        world.faulty.reads = kinds[i];
        world.faulty.seed = 7;
        struct tresor_realizar_data *data = must_open(false);
        must_hold(data);
        must_free(&data);
    }
}

static int32_t make_shorter(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    if (call->row == FAULTY_READ)
        assert_int_equal(truncate(world.path, (off_t)world.page_bytes), 0);
    return 0;
}

static int32_t make_longer(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    if (call->row == FAULTY_READ)
        assert_int_equal(truncate(world.path, (off_t)(2 * world.size_bytes)), 0);
    return 0;
}

static int32_t touch_it(void *cookie, struct faulty_call *call)
{
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    (void)cookie;
    if (call->row == FAULTY_READ)
        assert_int_equal(utimensat(AT_FDCWD, world.path, times, 0), 0);
    return 0;
}

static void files_that_change_while_they_are_read(void **state)
{
    struct tresor_realizar_data *data = NULL;
    struct tresor_error error = {0};
    (void)state;
    world.faulty.judge = make_shorter;
    assert_error(open_over(world.path, false, &data, &error), TRESOR_ERROR_TRUNCATED);
    assert_int_equal(error.wanted, world.size_bytes);
    assert_int_equal(error.got, world.page_bytes);
    mapped_reset(&world);
    world.faulty.judge = make_longer;
    assert_error(open_over(world.path, false, &data, &error), TRESOR_ERROR_CHANGED);
    assert_int_equal(error.got, 2 * world.size_bytes);
    mapped_reset(&world);
    world.faulty.judge = touch_it; /* written to, and as long as before */
    assert_error(open_over(world.path, false, &data, &error), TRESOR_ERROR_CHANGED);
    mapped_must_be_clean(&world);
}

/* Gone from this process, and still cached: the two verbs are two. */
static void drop_pages_leaves_the_page_cache(void **state)
{
    struct tresor_realizar_data *data = must_open(true);
    uint64_t cached = 0;
    (void)state;
    must_hold(data);
    const void *bytes = tresor_realizar_as_slice(data, NULL);
    assert_true(mapped_present(&world, bytes, world.size_bytes) > 0);
    assert_error(tresor_realizar_drop_pages(data, NULL), TRESOR_OK);
    assert_int_equal(mapped_present(&world, bytes, world.size_bytes), 0);
    int64_t told = world.faulty.sys.resident_bytes(&world.faulty, world.faulty.descriptors[0],
                                                   (void *)(uintptr_t)bytes, world.size_bytes,
                                                   &cached);
    assert_int_equal(told, 0);
    assert_int_equal(cached, (MAPPED_PAGES + 1) * world.page_bytes);
    assert_int_equal(world.faulty.counts[FAULTY_ADVISE_FILE], 0);
    must_hold(data);
    assert_error(tresor_realizar_advise_sequential(data, NULL), TRESOR_OK);
    must_hold(data);
    must_free(&data);
}

/* What it says is what the kernel says; where a file system evicts nothing, that too. */
static void evict_tells_what_the_kernel_keeps(void **state)
{
    struct tresor_realizar_data *data = must_open(true);
    uint64_t left = 1;
    uint64_t cached = UINT64_MAX;
    (void)state;
    must_hold(data);
    const void *bytes = tresor_realizar_as_slice(data, NULL);
    int descriptor = world.faulty.descriptors[0];
    assert_int_equal(fsync(descriptor), 0);
    int32_t code = tresor_realizar_evict(data, &left, NULL);
    assert_int_equal(mapped_present(&world, bytes, world.size_bytes), 0);
    assert_int_equal(world.faulty.sys.resident_bytes(&world.faulty, descriptor,
                                                     (void *)(uintptr_t)bytes, world.size_bytes,
                                                     &cached),
                     0);
    assert_error(code, cached == 0 ? TRESOR_OK : TRESOR_ERROR_BUSY);
    assert_int_equal(left, cached);
    must_hold(data);
    must_free(&data);
}

static void what_somebody_else_maps_stays(void **state)
{
    struct tresor_realizar_data *data = must_open(true);
    struct tresor_realizar_data *other = must_open(true);
    struct tresor_error error = {0};
    uint64_t left = 0;
    (void)state;
    must_hold(other);
    fsync(world.faulty.descriptors[0]);
    assert_error(tresor_realizar_evict(data, &left, &error), TRESOR_ERROR_BUSY);
    assert_int_equal(left, (MAPPED_PAGES + 1) * world.page_bytes);
    assert_int_equal(error.got, left);
    assert_error(tresor_realizar_free(&other, NULL), TRESOR_OK);
    must_free(&data);
}

/* --- a system that says what it is told to --- */

static struct fake_sys fake;
static struct faulty_sys over_fake;
static int32_t cached_errno;
static int32_t resident_errno;

static int32_t judge_questions(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    return call->row == FAULTY_CACHED_BYTES     ? cached_errno
           : call->row == FAULTY_RESIDENT_BYTES ? resident_errno
                                                : 0;
}

static void evictions_are_verified(void **state)
{
    static uint8_t content[10000];
    const struct bytes bytes = {content, sizeof content, sizeof content};
    const struct {
        uint64_t cached_until;
        int32_t cached_errno;
        int32_t resident_errno;
        int32_t code;
        uint64_t left;
        uint64_t tries;
    } cases[] = {
        {0, 0, 0, TRESOR_OK, 0, 1},
        {UINT64_MAX, 0, 0, TRESOR_ERROR_BUSY, 10000, 4},
        {0, EPERM, 0, TRESOR_ERROR_UNSUPPORTED, UINT64_MAX, 1},
        {0, ENOSYS, 0, TRESOR_ERROR_BUSY, 12288, 4}, /* mincore is asked; the fake one has all */
        {0, EOPNOTSUPP, EPERM, TRESOR_ERROR_UNSUPPORTED, UINT64_MAX, 1},
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tresor_realizar_data *data = NULL;
        struct tresor_error error = {0};
        uint64_t left = 1;
        fake_sys_init(&fake);
        fake_sys_add(&fake, "/model", &bytes);
        fake.cached_until = cases[i].cached_until;
        faulty_sys_init(&over_fake, &fake.sys);
        over_fake.judge = judge_questions;
        cached_errno = cases[i].cached_errno;
        resident_errno = cases[i].resident_errno;
        assert_error(tresor__realizar_open(&over_fake.sys, "/model", true, NULL, &data, NULL),
                     TRESOR_OK);
        assert_error(tresor_realizar_evict(data, &left, &error), cases[i].code);
        assert_error(error.code, cases[i].code);
        assert_true(left == cases[i].left);
        assert_int_equal(over_fake.counts[FAULTY_ADVISE_FILE], cases[i].tries);
        assert_error(tresor_realizar_free(&data, NULL), TRESOR_OK);
        assert_null(faulty_sys_check(&over_fake));
        fake_sys_free(&fake);
    }
}

/* --- faults --- */

static void an_unmap_that_is_refused_may_be_tried_again(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct tresor_error error = {0};
        mapped_reset(&world);
        struct tresor_realizar_data *data = must_open(i == 0);
        world.faulty.plan = (struct faulty_plan){.row = FAULTY_UNMAP, .nth = 1, .os_errno = ENOMEM};
        assert_error(tresor_realizar_free(&data, &error), TRESOR_ERROR_MAP_REFUSED);
        assert_int_equal(error.os_errno, ENOMEM);
        must_hold(data);
        must_free(&data);
    }
}

static void check(int32_t code, const struct tresor_error *error)
{
    assert_true(code <= 0 && strcmp(tresor_error_name(code), "UNKNOWN") != 0);
    if (code != TRESOR_OK)
        assert_error(error->code, code);
}

static void use(struct mapped *mapped, bool is_mapped)
{
    struct tresor_realizar_data *data = NULL;
    struct tresor_error error = {0};
    uint64_t left = 0;
    int32_t code = tresor__realizar_open(&mapped->faulty.sys, mapped->path, is_mapped,
                                         &mapped->allocator, &data, &error);
    check(code, &error);
    assert_int_equal(code == TRESOR_OK, data != NULL);
    if (!data)
        return;
    must_hold(data);
    check(tresor_realizar_advise_sequential(data, &error), &error);
    check(tresor_realizar_drop_pages(data, &error), &error);
    check(tresor_realizar_evict(data, &left, &error), &error);
    must_hold(data);
    for (uint32_t i = 0; data && i < 2; i++) {
        code = tresor_realizar_free(&data, &error);
        check(code, &error);
        assert_int_equal(code == TRESOR_OK, data == NULL);
    }
    if (data) { /* refused for good: only the record is left to free */
        mapped->faulty.plan.nth = 0;
        assert_error(tresor_realizar_free(&data, NULL), TRESOR_OK);
    }
}

static void use_all(struct mapped *mapped)
{
    struct tresor_realizar_data *data = NULL;
    struct tresor_error error = {0};
    use(mapped, true);
    use(mapped, false);
    check(tresor__realizar_copy(&mapped->faulty.sys, mapped->bytes, mapped->size_bytes,
                                &mapped->allocator, &data, &error),
          &error);
    if (data && tresor_realizar_free(&data, NULL) != TRESOR_OK) {
        mapped->faulty.plan.nth = 0;
        assert_error(tresor_realizar_free(&data, NULL), TRESOR_OK);
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
        cmocka_unit_test_setup(both_kinds_hold_the_file, reset),
        cmocka_unit_test_setup(the_public_ones_too, reset),
        cmocka_unit_test_setup(what_is_empty, reset),
        cmocka_unit_test_setup(without_a_mapping_nothing_is_asked, reset),
        cmocka_unit_test_setup(a_copy_is_its_own, reset),
        cmocka_unit_test_setup(what_is_taken_over_is_released_once, reset),
        cmocka_unit_test_setup(what_is_no_file, reset),
        cmocka_unit_test_setup(short_reads_go_on, reset),
        cmocka_unit_test_setup(files_that_change_while_they_are_read, reset),
        cmocka_unit_test_setup(drop_pages_leaves_the_page_cache, reset),
        cmocka_unit_test_setup(evict_tells_what_the_kernel_keeps, reset),
        cmocka_unit_test_setup(what_somebody_else_maps_stays, reset),
        cmocka_unit_test(evictions_are_verified),
        cmocka_unit_test_setup(an_unmap_that_is_refused_may_be_tried_again, reset),
        cmocka_unit_test_setup(every_call_fails, reset),
    };
    return cmocka_run_group_tests_name("compat_realizar", tests, setup, teardown);
}
