/* SPDX-License-Identifier: MIT */
/* What actors make of answers that a real system seldom gives. */
#include "support/test.h"

#include <errno.h>

#include "backend/actor.h"
#include "core/facts.h"

enum {
    HUGE_BYTES = 2 * 1024 * 1024,
    PAGE_BYTES = 4096,
    WINDOW_BYTES = 3 * HUGE_BYTES,
    FILE_DESCRIPTOR = 3,
    DIRECT_DESCRIPTOR = 4,
};

static struct {
    uintptr_t mapped; /* where the system puts what it maps */
    size_t mapped_bytes;
    uintptr_t unmapped_first;
    size_t unmapped_bytes;
    uint64_t direct_inode; /* of what is opened for direct reads */
    uint32_t closes;
} world;

static int64_t map(void *cookie, enum tresor__sys_map kind, void *address, size_t length, int descriptor,
                   uint64_t offset, void **mapped)
{
    (void)cookie;
    (void)descriptor;
    (void)offset;
    assert_int_equal(kind, TRESOR__SYS_MAP_RESERVE);
    assert_null(address);
    world.mapped_bytes = length;
    *mapped = (void *)world.mapped;
    return 0;
}

static int64_t unmap(void *cookie, void *address, size_t length)
{
    (void)cookie;
    assert_true(length > 0);
    if (world.unmapped_bytes == 0)
        world.unmapped_first = (uintptr_t)address;
    world.unmapped_bytes += length;
    return 0;
}

static int64_t open_direct(void *cookie, int descriptor)
{
    (void)cookie;
    assert_int_equal(descriptor, FILE_DESCRIPTOR);
    return DIRECT_DESCRIPTOR;
}

static int64_t stat_file(void *cookie, int descriptor, struct tresor__sys_stat *stat)
{
    (void)cookie;
    *stat = (struct tresor__sys_stat){
        .device = 1, .inode = descriptor == DIRECT_DESCRIPTOR ? world.direct_inode : 7, .is_regular = true};
    return 0;
}

static int64_t direct_alignment(void *cookie, int descriptor, uint32_t *alignment_bytes)
{
    (void)cookie;
    assert_int_equal(descriptor, DIRECT_DESCRIPTOR);
    *alignment_bytes = PAGE_BYTES;
    return 0;
}

static int64_t close_file(void *cookie, int descriptor)
{
    (void)cookie;
    assert_int_equal(descriptor, DIRECT_DESCRIPTOR);
    world.closes++;
    return 0;
}

static struct tresor__completion run(struct tresor__effect effect)
{
    const struct tresor__sys sys = {.map = map,
                                    .unmap = unmap,
                                    .open_direct = open_direct,
                                    .stat = stat_file,
                                    .direct_alignment = direct_alignment,
                                    .close = close_file};
    return tresor__actor_run(&sys, &effect, &(struct tresor__bounce){NULL, 0});
}

/* Wherever the system puts it, a window begins at the first huge page, and only what is too much is given back. */
static void a_window_begins_at_the_first_huge_page(void **state)
{
    const uintptr_t places[] = {0, PAGE_BYTES, HUGE_BYTES - PAGE_BYTES};
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uintptr_t first = 64 * (uintptr_t)HUGE_BYTES;
        world.mapped = first + places[i];
        world.unmapped_bytes = 0;
        struct tresor__completion completion =
            run((struct tresor__effect){.kind = TRESOR__EFFECT_RESERVE, .length = WINDOW_BYTES});
        assert_int_equal(completion.os_errno, 0);
        assert_int_equal(completion.value, places[i] == 0 ? first : first + HUGE_BYTES);
        assert_int_equal(world.mapped_bytes, WINDOW_BYTES + HUGE_BYTES);
        assert_int_equal(world.unmapped_bytes, HUGE_BYTES);
        assert_int_equal(world.unmapped_first, places[i] == 0 ? first + WINDOW_BYTES : world.mapped);
    }
}

static void what_is_opened_again_is_the_same_file(void **state)
{
    (void)state;
    for (uint64_t inode = 7; inode <= 8; inode++) {
        struct tresor__direct_facts facts = {0};
        world.direct_inode = inode;
        world.closes = 0;
        struct tresor__completion completion = run((struct tresor__effect){
            .kind = TRESOR__EFFECT_OPEN_DIRECT, .descriptor = FILE_DESCRIPTOR, .record = &facts});
        assert_int_equal(completion.os_errno, inode == 7 ? 0 : ESTALE);
        assert_int_equal(world.closes, inode == 7 ? 0 : 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_begins_at_the_first_huge_page),
        cmocka_unit_test(what_is_opened_again_is_the_same_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
