/* SPDX-License-Identifier: MIT */
/* Single effects, carried out on a system that answers as the test says: what is refused, tried again and taken back. */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include <tresor/residency.h>

#include "backend/actor.h"
#include "core/facts.h"

enum {
    PAGE = 4096,
    HUGE_BYTES = 2 * 1024 * 1024,
    TRIES = 16, /* of what may be refused for a moment */
    FILE_DESCRIPTOR = 3,
    DIRECT_DESCRIPTOR = 4,
};

/* What the system says, and was asked. */
static struct {
    struct tresor__sys_stat stats[2]; /* of the file, and of what is opened for direct reads */
    int64_t stat_result;
    int64_t page_bytes;
    int64_t readahead_result;
    uint64_t readahead_bytes;
    uint64_t cached_bytes;
    int64_t advice_result;
    int64_t refusal;  /* of maps, moves and unmaps */
    uint32_t refused; /* so many of them are */
    uint32_t maps;
    uint32_t unmaps;
    uint32_t advices;
    uint32_t file_advices;
    int closed; /* descriptor; 0: none */
    const int64_t *reads; /* what they come to, one after the other; the last one again and again */
    uint32_t read_count;
} world;

static int64_t play_stat(void *cookie, int descriptor, struct tresor__sys_stat *stat)
{
    (void)cookie;
    *stat = world.stats[descriptor == DIRECT_DESCRIPTOR];
    return world.stat_result;
}

static int64_t play_open_direct(void *cookie, int descriptor)
{
    (void)cookie;
    (void)descriptor;
    return DIRECT_DESCRIPTOR;
}

static int64_t play_direct_alignment(void *cookie, int descriptor, uint32_t *alignment_bytes)
{
    (void)cookie;
    (void)descriptor;
    *alignment_bytes = 512;
    return 0;
}

static int64_t play_close(void *cookie, int descriptor)
{
    (void)cookie;
    world.closed = descriptor;
    return 0;
}

static int64_t play_page_bytes(void *cookie)
{
    (void)cookie;
    return world.page_bytes;
}

static int64_t play_readahead_bytes(void *cookie, uint64_t device, uint64_t *bytes)
{
    (void)cookie;
    (void)device;
    *bytes = world.readahead_bytes;
    return world.readahead_result;
}

static int64_t play_cached_bytes(void *cookie, int descriptor, uint64_t offset, uint64_t length, uint64_t *bytes)
{
    (void)cookie;
    (void)descriptor;
    (void)offset;
    (void)length;
    *bytes = world.cached_bytes;
    return 0;
}

static int64_t refuse(void)
{
    if (world.refused == 0)
        return 0;
    world.refused--;
    return world.refusal;
}

static int64_t play_map(void *cookie, enum tresor__sys_map kind, void *address, size_t length, int descriptor,
                        uint64_t offset, void **mapped)
{
    (void)cookie;
    (void)kind;
    (void)length;
    (void)descriptor;
    (void)offset;
    world.maps++;
    *mapped = address;
    return refuse();
}

static int64_t play_unmap(void *cookie, void *address, size_t length)
{
    (void)cookie;
    (void)address;
    (void)length;
    world.unmaps++;
    return refuse();
}

static int64_t play_move_pages(void *cookie, void *from, void *to, size_t length)
{
    (void)cookie;
    (void)from;
    (void)to;
    (void)length;
    return refuse();
}

static int64_t play_advise_memory(void *cookie, void *address, size_t length, enum tresor__sys_memory_advice advice)
{
    (void)cookie;
    (void)address;
    (void)length;
    (void)advice;
    world.advices++;
    return world.advice_result;
}

static int64_t play_advise_file(void *cookie, int descriptor, uint64_t offset, uint64_t length,
                                enum tresor__sys_file_advice advice)
{
    (void)cookie;
    (void)descriptor;
    (void)offset;
    (void)length;
    (void)advice;
    world.file_advices++;
    return 0;
}

/* Every byte of the file is the number of its place in a block of 251. */
static int64_t play_read(void *cookie, int descriptor, void *address, size_t length, uint64_t offset)
{
    int64_t result = world.reads[world.read_count];
    (void)cookie;
    (void)descriptor;
    world.read_count += result != world.reads[world.read_count + 1];
    assert_true(result <= (int64_t)length);
    for (int64_t i = 0; i < result; i++)
        ((uint8_t *)address)[i] = (uint8_t)((offset + (uint64_t)i) % 251);
    return result;
}

static const struct tresor__sys sys = {
    .stat = play_stat,
    .open_direct = play_open_direct,
    .direct_alignment = play_direct_alignment,
    .close = play_close,
    .page_bytes = play_page_bytes,
    .readahead_bytes = play_readahead_bytes,
    .cached_bytes = play_cached_bytes,
    .map = play_map,
    .unmap = play_unmap,
    .move_pages = play_move_pages,
    .advise_memory = play_advise_memory,
    .advise_file = play_advise_file,
    .read = play_read,
};

static const struct tresor__sys_stat good_stat = {
    .device = 1, .inode = 2, .size_bytes = 3 * HUGE_BYTES, .modified_ns = 4, .changed_ns = 5};
static struct tresor__identity identity;
static uint8_t place[HUGE_BYTES + PAGE];

static int begin(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.stats[0] = good_stat;
    world.stats[1] = good_stat;
    world.page_bytes = PAGE;
    identity = (struct tresor__identity){good_stat.device, good_stat.inode, good_stat.size_bytes,
                                         good_stat.modified_ns, good_stat.changed_ns};
    return 0;
}

static struct tresor__completion run(struct tresor__effect effect)
{
    static uint8_t bounced[PAGE];
    const struct tresor__bounce bounce = {bounced, sizeof bounced};
    effect.descriptor = FILE_DESCRIPTOR;
    effect.address = effect.address ? effect.address : place;
    return tresor__actor_run(&sys, &effect, &bounce);
}

static struct tresor__completion map_file(uint64_t length)
{
    return run((struct tresor__effect){
        .kind = TRESOR__EFFECT_MAP, .flags = TRESOR__MAP_FILE, .length = length, .record = &identity});
}

/* Between the two openings its path may have become another's. */
static void another_file_is_not_read_directly(void **state)
{
    struct tresor__direct_facts facts = {0};
    const struct tresor__effect open = {.kind = TRESOR__EFFECT_OPEN_DIRECT, .record = &facts};
    (void)state;
    assert_int_equal(run(open).value, DIRECT_DESCRIPTOR);
    assert_int_equal(facts.alignment_bytes, 512);
    assert_int_equal(world.closed, 0);
    for (uint32_t i = 0; i < 2; i++) {
        world.stats[1] = good_stat;
        world.stats[1].device += i;
        world.stats[1].inode += !i;
        world.closed = 0;
        assert_int_equal(run(open).os_errno, ESTALE);
        assert_int_equal(world.closed, DIRECT_DESCRIPTOR);
    }
}

/* A shorter one is mapped: which bytes are missing is told when they are. */
static void another_file_is_not_mapped(void **state)
{
    (void)state;
    assert_int_equal(map_file(PAGE).os_errno, 0);
    for (uint32_t i = 0; i < 4; i++) {
        world.stats[0] = good_stat;
        world.stats[0].device += i == 0;
        world.stats[0].inode += i == 1;
        world.stats[0].size_bytes += i == 2;
        world.stats[0].modified_ns += i == 3;
        world.maps = 0;
        assert_int_equal(map_file(PAGE).os_errno, ESTALE);
        assert_int_equal(world.maps, 0);
    }
    world.stats[0] = good_stat;
    world.stats[0].changed_ns++; /* by a rename, say */
    assert_int_equal(map_file(PAGE).os_errno, 0);
    world.stats[0].size_bytes--;
    world.stats[0].modified_ns++;
    assert_int_equal(map_file(PAGE).os_errno, 0);
}

/* A mapping's answer is how much the system reads at a time. */
static void how_much_is_read_at_a_time(void **state)
{
    static const struct {
        int64_t advice_result;
        uint64_t cached_bytes;
        int64_t page_bytes;
        int64_t readahead_result;
        uint64_t readahead_bytes;
        int64_t value;
    } rows[] = {
        {0, 0, PAGE, 0, 7, HUGE_BYTES},                    /* it has promised so */
        {0, PAGE, PAGE, 0, 7, 0},                          /* all is there */
        {-EINVAL, 0, PAGE, 0, 131072, 131072},             /* its device's */
        {-EINVAL, 0, PAGE, 0, 0, 1},                       /* nothing ahead */
        {-EINVAL, 0, PAGE, 0, UINT64_MAX, INT64_MAX},      /* is no number */
        {-EINVAL, 0, PAGE, -ENOENT, 131072, INT64_MAX},    /* not known */
        {-EINVAL, PAGE, -EINVAL, 0, 131072, 131072},       /* nobody can ask for a page */
        {-EINVAL, PAGE, 0, 0, 131072, 131072},
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world.advice_result = rows[i].advice_result;
        world.cached_bytes = rows[i].cached_bytes;
        world.page_bytes = rows[i].page_bytes;
        world.readahead_result = rows[i].readahead_result;
        world.readahead_bytes = rows[i].readahead_bytes;
        assert_true(map_file(HUGE_BYTES).value == rows[i].value);
    }
    assert_true(map_file(HUGE_BYTES - PAGE).value == INT64_MAX); /* too little to ask */
}

static void what_the_cache_kept_is_a_number(void **state)
{
    const struct tresor__effect evict = {.kind = TRESOR__EFFECT_UNMAP, .flags = TRESOR__UNMAP_EVICT, .length = PAGE};
    (void)state;
    world.cached_bytes = PAGE;
    assert_int_equal(run(evict).value, PAGE);
    world.cached_bytes = (uint64_t)INT64_MAX + 1;
    assert_int_equal(run(evict).value, 0);
    assert_int_equal(run(evict).os_errno, 0);
}

/* Its size says whether a populate has failed for the file's end or for its disk; where nobody knows, for its disk. */
static void what_a_populate_failed_for(void **state)
{
    static const struct {
        int64_t advice_result;
        int64_t stat_result;
        uint64_t size_bytes;
        int32_t os_errno;
        uint64_t value;
    } rows[] = {
        {0, 0, 2 * PAGE, 0, 0},
        {0, 0, PAGE, EFAULT, PAGE}, /* the end is within the last page */
        {-EFAULT, 0, PAGE, EFAULT, PAGE},
        {-EFAULT, 0, 2 * PAGE, EIO, 2 * PAGE},
        {-EFAULT, -EBADF, 0, EIO, 0},
        {0, -EBADF, 0, EBADF, 0},
        {-ENOMEM, 0, 2 * PAGE, ENOMEM, 0},
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world.advice_result = rows[i].advice_result;
        world.stat_result = rows[i].stat_result;
        world.stats[0].size_bytes = rows[i].size_bytes;
        struct tresor__completion told =
            run((struct tresor__effect){.kind = TRESOR__EFFECT_POPULATE, .length = 2 * PAGE});
        assert_int_equal(told.os_errno, rows[i].os_errno);
        if (rows[i].os_errno)
            assert_int_equal(told.value, rows[i].value);
    }
}

static void advice_needs_a_page(void **state)
{
    static const struct {
        int64_t page_bytes;
        uint64_t length;
        int32_t os_errno;
    } rows[] = {{PAGE, PAGE, 0}, {-ENOSYS, PAGE, ENOSYS}, {0, PAGE, EINVAL}, {0, 0, 0}};
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world.page_bytes = rows[i].page_bytes;
        world.file_advices = 0;
        struct tresor__effect advise = {
            .kind = TRESOR__EFFECT_ADVISE, .flags = TRESOR_ADVICE_WILLNEED, .length = rows[i].length};
        assert_int_equal(run(advise).os_errno, rows[i].os_errno);
        assert_int_equal(world.file_advices, rows[i].page_bytes == PAGE);
    }
}

/* From inside an aligned piece on, whatever comes of it at a time. */
static void bounced_reads_go_on(void **state)
{
    enum { INSIDE = 100, WANTED = 6000 };
    static const struct {
        int64_t reads[4];
        int64_t value;
        int32_t os_errno;
    } rows[] = {
        {{4096, 2048}, WANTED, 0},
        {{4096, 500}, 4096 - INSIDE + 500, 0},    /* the file's end */
        {{4096, -EIO}, 4096 - INSIDE, 0},         /* what came is kept */
        {{-EIO}, 0, EIO},
        {{0}, 0, 0},                              /* the file ends before */
        {{50, 50}, 0, EINVAL},                    /* again and again less than what is inside */
        {{4096, 0}, 4096 - INSIDE, 0},
        {{50, 4096, 2048}, WANTED, 0},            /* better the second time */
    };
    struct tresor__direct_facts facts = {512};
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world.reads = rows[i].reads;
        world.read_count = 0;
        memset(place, 0xee, sizeof place);
        struct tresor__completion told = run((struct tresor__effect){.kind = TRESOR__EFFECT_READ,
                                                                     .flags = TRESOR__READ_BOUNCE,
                                                                     .offset = 512 * 7 + INSIDE,
                                                                     .length = WANTED,
                                                                     .record = &facts});
        assert_int_equal(told.os_errno, rows[i].os_errno);
        assert_int_equal(told.value, rows[i].value);
        for (int64_t k = 0; k < told.value; k++)
            assert_int_equal(place[k], (512 * 7 + INSIDE + k) % 251);
        assert_int_equal(place[told.value], 0xee);
    }
}

/* Fresh pages where a move has taken its target away, unless somebody has come there. */
static void a_failed_move_is_mended(void **state)
{
    static const struct {
        int64_t refusal;
        uint32_t refused; /* the move first */
        uint32_t maps;
        uint32_t advices;
    } rows[] = {{-ENOMEM, 1, 1, 1}, {-ENOMEM, 4, 4, 1}, {-ENOMEM, 100, TRIES, 0}, {-EEXIST, 100, 1, 0}, {0, 0, 0, 0}};
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world.refusal = rows[i].refusal;
        world.refused = rows[i].refused;
        world.maps = 0;
        world.advices = 0;
        struct tresor__effect move = {.kind = TRESOR__EFFECT_MOVE, .target = place, .length = HUGE_BYTES};
        assert_int_equal(run(move).os_errno, -rows[i].refusal);
        assert_int_equal(world.maps, rows[i].maps);
        assert_int_equal(world.advices, rows[i].advices);
    }
}

static void memory_is_given_back_as_long_as_it_is_refused(void **state)
{
    static const struct {
        uint32_t refused;
        uint32_t unmaps;
    } rows[] = {{0, 1}, {3, 4}, {100, TRIES}};
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        world.refusal = -ENOMEM;
        world.refused = rows[i].refused;
        world.unmaps = 0;
        tresor__memory_close(&sys, PAGE, place);
        assert_int_equal(world.unmaps, rows[i].unmaps);
    }
}

/* A watch sleeps, a guard waits and pins are sealed elsewhere; and there is nothing behind the last. */
static void what_no_actor_does(void **state)
{
    static const uint8_t kinds[] = {TRESOR__EFFECT_WATCH, TRESOR__EFFECT_GUARD, TRESOR__EFFECT_SEAL,
                                    TRESOR__EFFECT_COUNT, UINT8_MAX};
    (void)state;
    for (uint32_t i = 0; i < sizeof kinds; i++) {
        struct tresor__completion told = run((struct tresor__effect){.kind = kinds[i], .on_ok = 1, .on_failed = 2});
        assert_int_equal(told.os_errno, ENOSYS);
        assert_int_equal(told.event, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(another_file_is_not_read_directly, begin),
        cmocka_unit_test_setup(another_file_is_not_mapped, begin),
        cmocka_unit_test_setup(how_much_is_read_at_a_time, begin),
        cmocka_unit_test_setup(what_the_cache_kept_is_a_number, begin),
        cmocka_unit_test_setup(what_a_populate_failed_for, begin),
        cmocka_unit_test_setup(advice_needs_a_page, begin),
        cmocka_unit_test_setup(bounced_reads_go_on, begin),
        cmocka_unit_test_setup(a_failed_move_is_mended, begin),
        cmocka_unit_test_setup(memory_is_given_back_as_long_as_it_is_refused, begin),
        cmocka_unit_test_setup(what_no_actor_does, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
