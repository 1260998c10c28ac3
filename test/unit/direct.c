/* SPDX-License-Identifier: MIT */
/* Direct reads: in place, at unaligned ends, into memory of any alignment, and where they are refused. */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "support/fake_world.h"

enum {
    BLOCK_BYTES = 64 * 1024,
    GUARD_BYTES = 64,
    GUARD = 0xa5,
};

static struct fake_world world;

static void start(uint32_t direct)
{
    fake_world_init(&world);
    world.options.direct = direct;
    world.options.strategy = TRESOR_STRATEGY_READ;
}

static void load_all(void)
{
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
    fake_world_must_have(&world, FAKE_TENSORS);
}

static struct tresor_file_info file_info(void)
{
    struct tresor_file_info info = {.size_bytes = sizeof info};
    assert_error(
        tresor_source_get_file(world.session.context, world.session.source, 0, &info), TRESOR_OK);
    return info;
}

/* Told once, with the reason, and known to who asks. */
static void must_be_refused(int32_t os_errno)
{
    assert_int_equal(world.session.degraded_count, 1);
    const struct tresor_event *event = &world.session.degraded[0];
    assert_int_equal(event->flags, TRESOR_DEGRADED_DIRECT);
    assert_int_equal(event->error.os_errno, os_errno);
    assert_int_equal(event->error.file, 0);
    assert_true(event->error.source == world.session.source.value);
    assert_int_equal(file_info().direct, 0);
    assert_int_equal(file_info().direct_errno, os_errno);
}

static void all_of_it_goes_past_the_cache(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_ON);
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    assert_int_equal(file_info().direct, 1);
    assert_int_equal(file_info().direct_alignment_bytes, 512);
    uint64_t header_bytes = fake_world_counters(&world).read_bytes;
    load_all();
    struct tresor_counters counters = fake_world_counters(&world);
    assert_true(counters.direct_bytes > 0);
    assert_int_equal(counters.read_bytes - header_bytes, counters.direct_bytes);
    assert_int_equal(counters.cached_bytes, 0);
    assert_int_equal(world.session.degraded_count, 0);
    fake_world_close(&world);
}

static void nothing_of_it_does_when_it_is_off(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_OFF);
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    assert_int_equal(world.faulty.counts[FAULTY_OPEN_DIRECT], 0);
    load_all();
    assert_int_equal(fake_world_counters(&world).direct_bytes, 0);
    assert_int_equal(file_info().direct, 0);
    assert_int_equal(world.session.degraded_count, 0);
    fake_world_close(&world);
}

/* Wherever the page cache begins and ends, also within a block and within a unit. */
static void what_the_cache_holds_is_taken_from_it(void **state)
{
    static const uint64_t starts[] = {0, 4096, 70000};
    static const uint64_t ends[] = {0, 100, 40000, 150000, UINT64_MAX / 2};
    (void)state;
    for (uint32_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        for (uint32_t k = 0; k < sizeof ends / sizeof ends[0]; k++) {
            start(TRESOR_DIRECT_AUTO);
            fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
            world.fake.files[0].cached_start_bytes = starts[i];
            world.fake.files[0].cached_end_bytes = ends[k];
            load_all();
            struct tresor_counters counters = fake_world_counters(&world);
            if (ends[k] <= starts[i])
                assert_int_equal(counters.cached_bytes, 0);
            if (ends[k] == UINT64_MAX / 2 && starts[i] == 0)
                assert_int_equal(counters.direct_bytes, 0);
            fake_world_close(&world);
        }
    }
}

/* What misses makes the kernel read it ahead, so what is not there is not tried. */
static void what_the_cache_does_not_hold_is_not_tried(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_AUTO);
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    load_all();
    assert_int_equal(world.faulty.counts[FAULTY_READ_CACHED], 0);
    fake_world_close(&world);
}

/* Another user's file: each block is tried by one page. */
static void a_cache_that_does_not_tell(void **state)
{
    (void)state;
    for (uint32_t cached = 0; cached < 2; cached++) {
        start(TRESOR_DIRECT_AUTO);
        fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
        world.rules[0] = (struct fake_rule){.row = FAULTY_CACHED_BYTES, .os_errno = EPERM};
        world.fake.files[0].cached_end_bytes = cached ? UINT64_MAX / 2 : 0;
        load_all();
        struct tresor_counters counters = fake_world_counters(&world);
        assert_int_equal(counters.direct_bytes == 0, cached);
        assert_int_equal(counters.cached_bytes > 0, cached);
        /* One page a block where it misses, else as much again as was found: not page after page. */
        uint64_t blocks = world.fake.files[0].size_bytes / BLOCK_BYTES + FAKE_TENSORS;
        assert_true(world.faulty.counts[FAULTY_READ_CACHED] <= blocks * (cached ? 6 : 1));
        assert_true(world.faulty.counts[FAULTY_CACHED_BYTES] <= blocks);
        fake_world_close(&world);
    }
}

static void a_cache_that_cannot_be_read(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_AUTO);
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    world.rules[0] = (struct fake_rule){.row = FAULTY_READ_CACHED, .os_errno = EOPNOTSUPP};
    world.fake.files[0].cached_end_bytes = UINT64_MAX / 2;
    load_all();
    assert_true(fake_world_counters(&world).direct_bytes > 0);
    assert_int_equal(world.session.degraded_count, 0);
    fake_world_close(&world);
}

static void a_file_system_without_it(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_ON);
    world.fake.direct_alignment_bytes = 0;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    must_be_refused(EINVAL);
    load_all();
    assert_int_equal(fake_world_counters(&world).direct_bytes, 0);
    assert_int_equal(world.session.degraded_count, 1);
    fake_world_close(&world);
}

static void an_alignment_of_more_than_a_page(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_AUTO);
    world.fake.direct_alignment_bytes = 2 * FAKE_PAGE_BYTES;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    must_be_refused(EINVAL);
    load_all();
    fake_world_close(&world);
}

static void a_system_that_does_not_tell_its_alignment(void **state)
{
    (void)state;
    for (uint32_t alignment = 512; alignment <= FAKE_PAGE_BYTES; alignment *= 2) {
        start(TRESOR_DIRECT_ON);
        world.fake.direct_alignment_bytes = alignment;
        world.fake.is_direct_silent = true;
        fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
        assert_int_equal(file_info().direct_alignment_bytes, alignment);
        load_all();
        assert_true(fake_world_counters(&world).direct_bytes > 0);
        fake_world_close(&world);
    }
}

static int32_t refusal;

static int32_t refuse_direct_reads(void *cookie, struct faulty_call *call)
{
    uint32_t *passed = cookie;
    if (call->row != FAULTY_READ || call->descriptor < FAKE_DIRECT_FIRST)
        return 0;
    if (*passed == 0)
        return refusal;
    (*passed)--;
    return 0;
}

/* Whichever read is the first that is refused, the bytes are there in the end, and it is told once. */
static void a_refusal_at_any_read(void **state)
{
    static const int32_t refusals[] = {EINVAL, EOPNOTSUPP, ENOSYS};
    (void)state;
    for (uint32_t reads = 0; reads < 6; reads++) {
        uint32_t passed = reads;
        refusal = refusals[reads % 3];
        start(TRESOR_DIRECT_ON);
        fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
        world.faulty.judge = refuse_direct_reads;
        world.faulty.judge_cookie = &passed;
        load_all();
        if (passed == 0 && world.session.degraded_count > 0)
            must_be_refused(refusal);
        assert_true(reads > 2 || world.session.degraded_count == 1);
        fake_world_close(&world);
    }
}

static void short_counts_go_on(void **state)
{
    static const enum faulty_reads kinds[] = {FAULTY_READS_HALF, FAULTY_READS_RANDOM,
                                              FAULTY_READS_INTERRUPTED};
    (void)state;
    for (uint32_t i = 0; i < 2 * sizeof kinds / sizeof kinds[0]; i++) {
        start(i % 2 ? TRESOR_DIRECT_AUTO : TRESOR_DIRECT_ON);
        fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
        world.fake.files[0].cached_end_bytes = 100000;
        world.faulty.reads = kinds[i / 2];
        world.faulty.seed = i;
        load_all();
        assert_int_equal(world.session.degraded_count, 0);
        world.faulty.reads = FAULTY_READS_WHOLE;
        fake_world_close(&world);
    }
}

/* The count at the end is checked against what the file promised. */
static void a_file_that_lost_its_end(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_ON);
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    world.fake.files[0].size_bytes -= 700;
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ),
                 TRESOR_ERROR_TRUNCATED);
    world.fake.files[0].size_bytes += 700;
    fake_world_close(&world);
}

static int32_t grow_when_read(void *cookie, struct faulty_call *call)
{
    if (call->row == FAULTY_READ && call->descriptor >= FAKE_DIRECT_FIRST)
        world.fake.files[0].size_bytes = *(uint64_t *)cookie;
    return 0;
}

/* The last block asks for whole units, and what is behind its end is nobody's. */
static void a_file_that_grows_while_it_is_read(void **state)
{
    static const uint8_t more[700] = {GUARD};
    (void)state;
    start(TRESOR_DIRECT_ON);
    model_set_make_gguf(&world.set, "/fake", fake_world_tensors, FAKE_TENSORS);
    bytes_put(&world.set.parts[0].bytes, more, sizeof more);
    fake_world_start_context(&world);
    uint64_t grown_bytes = world.fake.files[0].size_bytes;
    world.fake.files[0].size_bytes -= sizeof more;
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    world.faulty.judge = grow_when_read;
    world.faulty.judge_cookie = &grown_bytes;
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_int_equal(world.fake.files[0].size_bytes, grown_bytes);
    fake_world_must_have(&world, FAKE_TENSORS);
    fake_world_close(&world);
}

/* --- into the caller's memory --- */

static void copy_must_be_exact(uint8_t *memory, uint32_t tensor, uint64_t offset, uint64_t length)
{
    struct tresor_tensor_info info = fake_world_tensor(&world, tensor);
    const uint8_t *wanted = world.set.parts[0].bytes.data + info.offset_bytes + offset;
    struct tresor_request request;
    memset(memory - GUARD_BYTES, GUARD, length + 2 * GUARD_BYTES);
    int32_t code = tresor_copy(world.session.context, session_tensor(&world.session, tensor),
                               offset, length, memory, NULL, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    assert_memory_equal(memory, wanted, length);
    for (uint32_t i = 0; i < GUARD_BYTES; i++)
        assert_true(memory[-1 - (int)i] == GUARD && memory[length + i] == GUARD);
}

/* Memory that lies as the file does, and memory that does not, from and to any byte. */
static void copies_to_any_place(void **state)
{
    static _Alignas(4096) uint8_t memory[8 * BLOCK_BYTES];
    static const uint64_t offsets[] = {0, 1, 511, 512, 5000};
    static const uint64_t cuts[] = {0, 1, 513, 60000};
    (void)state;
    start(TRESOR_DIRECT_ON);
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    struct tresor_tensor_info info = fake_world_tensor(&world, 2);
    assert_true(info.tensor_bytes > 2 * BLOCK_BYTES && info.tensor_bytes < 6 * BLOCK_BYTES);
    for (uint32_t i = 0; i < 5; i++) {
        for (uint32_t k = 0; k < 4; k++) {
            uint64_t length = info.tensor_bytes - offsets[i] - cuts[k];
            uint64_t congruent = (info.offset_bytes + offsets[i]) % 4096;
            copy_must_be_exact(memory + 4096 + congruent, 2, offsets[i], length);
            copy_must_be_exact(memory + 4096 + congruent + 512, 2, offsets[i], length);
            copy_must_be_exact(memory + 4096 + congruent + 1, 2, offsets[i], length);
            copy_must_be_exact(memory + 4096, 2, offsets[i], length % 3000);
        }
    }
    assert_true(fake_world_counters(&world).direct_bytes > 0);
    assert_int_equal(world.session.degraded_count, 0);
    fake_world_close(&world);
}

/* A count that is short of the place where the wanted bytes begin is not the end of the file. */
static void short_counts_before_what_is_wanted(void **state)
{
    static _Alignas(4096) uint8_t memory[4096];
    static const enum faulty_reads kinds[] = {FAULTY_READS_BYTE, FAULTY_READS_RANDOM};
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        start(TRESOR_DIRECT_ON);
        fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
        world.faulty.reads = kinds[i];
        for (uint32_t offset = 0; offset < 1000; offset += 97)
            copy_must_be_exact(memory + 2048 + offset % 7, 2, offset, 300);
        world.faulty.reads = FAULTY_READS_WHOLE;
        if (kinds[i] == FAULTY_READS_BYTE)
            must_be_refused(EINVAL);
        fake_world_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_goes_past_the_cache),
        cmocka_unit_test(nothing_of_it_does_when_it_is_off),
        cmocka_unit_test(what_the_cache_holds_is_taken_from_it),
        cmocka_unit_test(what_the_cache_does_not_hold_is_not_tried),
        cmocka_unit_test(a_cache_that_does_not_tell),
        cmocka_unit_test(a_cache_that_cannot_be_read),
        cmocka_unit_test(a_file_system_without_it),
        cmocka_unit_test(an_alignment_of_more_than_a_page),
        cmocka_unit_test(a_system_that_does_not_tell_its_alignment),
        cmocka_unit_test(a_refusal_at_any_read),
        cmocka_unit_test(short_counts_go_on),
        cmocka_unit_test(a_file_that_lost_its_end),
        cmocka_unit_test(a_file_that_grows_while_it_is_read),
        cmocka_unit_test(copies_to_any_place),
        cmocka_unit_test(short_counts_before_what_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
