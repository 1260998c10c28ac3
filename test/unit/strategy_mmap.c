/* SPDX-License-Identifier: MIT */
/* The mmap strategy over a fake system: its way, and each failure by name. */
#include "support/test.h"

#include <errno.h>

#include "io/swap/swap.h"
#include "support/fake_world.h"

static struct fake_world world;

enum {
    TENSORS = FAKE_TENSORS,
    TRIES = 17, /* one and its retries */
};

static int32_t load_all(void)
{
    return fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP);
}

static void loads_evicts_and_loads_again(void **state)
{
    (void)state;
    fake_world_open(&world);
    fake_world_heal(&world);
    assert_error(load_all(), TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    /* One map of all that lies side by side, a populate of each 64 KiB, no read. */
    assert_int_equal(world.faulty.counts[FAULTY_MAP], 1);
    assert_int_equal(world.faulty.counts[FAULTY_ADVISE_MEMORY], 7);
    assert_int_equal(world.faulty.counts[FAULTY_READ], 0);
    assert_true(fake_world_counters(&world).mapped_bytes > 395100);
    assert_int_equal(fake_world_counters(&world).private_bytes, 0);
    assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
    fake_world_must_have(&world, 0);
    assert_int_equal(fake_world_counters(&world).mapped_bytes, 0);
    assert_error(load_all(), TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    fake_world_close(&world);
}

static struct {
    uintptr_t window;
    uintptr_t end; /* of what is loaded */
} chunks;

static int32_t must_end_at_a_chunk(void *cookie, struct faulty_call *call)
{
    uintptr_t end = (uintptr_t)call->address + call->length;
    (void)cookie;
    if (call->row == FAULTY_ADVISE_MEMORY && call->kind == TRESOR__SYS_POPULATE_READ)
        assert_true((end - chunks.window) % world.options.populate_bytes == 0 || end >= chunks.end);
    return 0;
}

/* Wherever a load begins, so that they lie as huge pages do. */
static void chunks_end_at_multiples_of_their_size(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < TENSORS; i++) {
        fake_world_open(&world);
        struct tresor_tensor_info info = fake_world_tensor(&world, i);
        chunks.window = (uintptr_t)info.address - info.offset_bytes;
        chunks.end = (uintptr_t)info.address + info.tensor_bytes;
        world.faulty.judge = must_end_at_a_chunk;
        assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, i, TRESOR_STRATEGY_MMAP), TRESOR_OK);
        assert_true(world.options.populate_bytes > 0);
        fake_world_close(&world);
    }
}

static void map_fails(int32_t os_errno, int32_t code, uint64_t calls)
{
    fake_world_open(&world);
    fake_world_heal(&world);
    world.rules[0] = (struct fake_rule){.row = FAULTY_MAP, .os_errno = os_errno};
    assert_error(load_all(), code);
    assert_int_equal(world.faulty.counts[FAULTY_MAP], calls);
    const struct tresor_event *item = session_item(&world.session, 2);
    assert_non_null(item);
    assert_error(item->error.code, code);
    assert_int_equal(item->error.os_errno, os_errno);
    fake_world_must_have(&world, 0);
    fake_world_heal(&world);
    assert_error(load_all(), TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    fake_world_close(&world);
}

static void a_refused_map_by_name(void **state)
{
    (void)state;
    map_fails(ENOMEM, TRESOR_ERROR_MAP_REFUSED, 1);
    map_fails(ENODEV, TRESOR_ERROR_UNSUPPORTED, 1);
    map_fails(EACCES, TRESOR_ERROR_PERMISSION, 1);
    map_fails(EPERM, TRESOR_ERROR_PERMISSION, 1);
    map_fails(ENFILE, TRESOR_ERROR_DESCRIPTORS, 1);
    map_fails(EINVAL, TRESOR_ERROR_MAP_REFUSED, 1);
    map_fails(EAGAIN, TRESOR_ERROR_MAP_REFUSED, TRIES);
}

/* Only the tensors on the bad byte fail, and the error names the chunk that was asked for. */
static void populate_fails(int32_t os_errno, int32_t code)
{
    fake_world_open(&world);
    fake_world_heal(&world);
    world.rules[0] = (struct fake_rule){.row = FAULTY_ADVISE_MEMORY,
                                        .os_errno = os_errno,
                                        .has_place = true,
                                        .place = fake_world_place(&world, 2, 150000)};
    assert_error(load_all(), code);
    fake_world_must_have(&world, TENSORS - 1);
    const struct tresor_event *item = session_item(&world.session, 2);
    uint64_t bad = fake_world_tensor(&world, 2).offset_bytes + 150000;
    assert_error(item->error.code, code);
    assert_int_equal(item->error.tensor, 2);
    assert_int_equal(item->error.offset, bad / 65536 * 65536);
    assert_int_equal(item->error.wanted, 65536);
    for (uint32_t i = 0; i < TENSORS; i++)
        if (i != 2)
            assert_error(session_item(&world.session, i)->error.code, TRESOR_OK);
    fake_world_heal(&world);
    assert_error(load_all(), TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    fake_world_close(&world);
}

static void a_bad_chunk_fails_only_who_covers_it(void **state)
{
    (void)state;
    populate_fails(EIO, TRESOR_ERROR_IO);
    populate_fails(EHWPOISON, TRESOR_ERROR_IO);
    populate_fails(ENOMEM, TRESOR_ERROR_NO_MEMORY);
    /* The file is as long as ever: a fault then is the disk's. */
    populate_fails(EFAULT, TRESOR_ERROR_IO);
    populate_fails(EINTR, TRESOR_ERROR_IO);
}

static void cut_file(uint64_t size_bytes, uint32_t good)
{
    fake_world_open(&world);
    world.fake.files[0].size_bytes = size_bytes;
    assert_error(load_all(), TRESOR_ERROR_TRUNCATED);
    fake_world_must_have(&world, good);
    for (uint32_t i = good; i < TENSORS; i++) {
        const struct tresor_error *error = &session_item(&world.session, i)->error;
        assert_error(error->code, TRESOR_ERROR_TRUNCATED);
        assert_int_equal(error->got, size_bytes > error->offset ? size_bytes - error->offset : 0);
        assert_true(error->got < error->wanted);
    }
    assert_error(session_item(&world.session, 0)->error.code, TRESOR_OK);
    fake_world_close(&world);
}

static void a_file_that_became_shorter(void **state)
{
    (void)state;
    fake_world_open(&world);
    struct tresor_tensor_info third = fake_world_tensor(&world, 2);
    struct tresor_tensor_info last = fake_world_tensor(&world, 3);
    uint64_t end = last.offset_bytes + last.tensor_bytes;
    fake_world_close(&world);
    cut_file(third.offset_bytes + 150000, 2);
    /* The page that the file ends in can still be populated, but its end holds zeros. */
    cut_file(end - 1, 3);
}

static void an_old_kernel_that_cannot_populate(void **state)
{
    (void)state;
    fake_world_init(&world);
    world.fake.is_old = true;
    fake_world_start(&world, fake_world_tensors, TENSORS);
    fake_world_heal(&world);
    assert_error(load_all(), TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    assert_true(world.faulty.read_bytes >= 395100);
    assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
    world.fake.files[0].size_bytes -= 1;
    assert_error(load_all(), TRESOR_ERROR_TRUNCATED);
    fake_world_must_have(&world, TENSORS - 1);
    world.fake.files[0].size_bytes += 1;
    world.rules[0] = (struct fake_rule){.row = FAULTY_READ, .os_errno = EIO};
    assert_error(load_all(), TRESOR_ERROR_IO);
    fake_world_close(&world);
}

static struct fake_rule refuse_unmap(void)
{
    return (struct fake_rule){.row = FAULTY_MAP,
                              .os_errno = ENOMEM,
                              .has_kind = true,
                              .kind = TRESOR__SYS_MAP_RESERVE};
}

static void an_eviction_that_cannot_unmap(void **state)
{
    (void)state;
    fake_world_open(&world);
    assert_error(load_all(), TRESOR_OK);
    uint64_t resident = fake_world_counters(&world).mapped_bytes;
    world.rules[0] = refuse_unmap();
    assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_ERROR_MAP_REFUSED);
    assert_int_equal(session_item(&world.session, 2)->error.os_errno, ENOMEM);
    fake_world_must_have(&world, 0);
    assert_int_equal(fake_world_counters(&world).leaked_bytes, resident);
    assert_int_equal(fake_world_counters(&world).mapped_bytes, 0);
    /* A load that cannot map either leaves it so; one that can has replaced what was leaked. */
    world.rules[1] = (struct fake_rule){.row = FAULTY_MAP, .os_errno = ENOMEM};
    assert_error(load_all(), TRESOR_ERROR_MAP_REFUSED);
    assert_int_equal(fake_world_counters(&world).leaked_bytes, resident);
    fake_world_heal(&world);
    assert_error(load_all(), TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    assert_int_equal(fake_world_counters(&world).leaked_bytes, 0);
    world.rules[0] = refuse_unmap();
    assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_ERROR_MAP_REFUSED);
    /* The window goes as a whole, with what was leaked in it. */
    fake_world_close(&world);
}

static void a_close_that_cannot_unmap(void **state)
{
    (void)state;
    fake_world_open(&world);
    assert_error(load_all(), TRESOR_OK);
    struct tresor_file_info file = {.size_bytes = sizeof file};
    tresor_source_get_file(world.session.context, world.session.source, 0, &file);
    world.rules[0] = (struct fake_rule){.row = FAULTY_UNMAP,
                                        .os_errno = ENOMEM,
                                        .has_place = true,
                                        .place = (uintptr_t)file.window};
    assert_error(session_close(&world.session), TRESOR_ERROR_MAP_REFUSED);
    /* With the scratch of swaps behind it. */
    uint64_t bytes = file.window_bytes + TRESOR__SCRATCH_BYTES;
    assert_int_equal(fake_world_counters(&world).leaked_bytes, bytes);
    struct range window = {(uintptr_t)file.window, (uintptr_t)file.window + bytes};
    assert_true(range_set_covers(&world.faulty.mapped, window));
    world.fake.sys.unmap(world.fake.sys.cookie, (void *)window.start, bytes);
    range_set_remove(&world.faulty.mapped, window);
    fake_world_end(&world);
}

static void a_reservation_that_cannot_be_cut(void **state)
{
    (void)state;
    fake_world_open(&world);
    uint64_t unmaps = world.faulty.counts[FAULTY_UNMAP];
    assert_int_equal(unmaps, 2); /* of the window: before and behind */
    fake_world_close(&world);
    for (uint64_t nth = 0; nth < unmaps; nth++) {
        fake_world_init(&world);
        model_set_make_gguf(&world.set, "/fake", fake_world_tensors, TENSORS);
        fake_world_start_context(&world);
        world.rules[0] = (struct fake_rule){
            .row = FAULTY_UNMAP, .os_errno = ENOMEM, .skip = nth, .times = 1};
        assert_error(session_open(&world.session, model_set_path(&world.set)),
                     TRESOR_ERROR_NO_MEMORY);
        fake_world_end(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_evicts_and_loads_again),
        cmocka_unit_test(chunks_end_at_multiples_of_their_size),
        cmocka_unit_test(a_refused_map_by_name),
        cmocka_unit_test(a_bad_chunk_fails_only_who_covers_it),
        cmocka_unit_test(a_file_that_became_shorter),
        cmocka_unit_test(an_old_kernel_that_cannot_populate),
        cmocka_unit_test(an_eviction_that_cannot_unmap),
        cmocka_unit_test(a_close_that_cannot_unmap),
        cmocka_unit_test(a_reservation_that_cannot_be_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
