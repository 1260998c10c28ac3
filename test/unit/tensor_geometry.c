/* SPDX-License-Identifier: MIT */
/* Tensors of every size at every kind of place: none, one byte, shared pages, overlaps, a name given twice. */
#include "support/test.h"

#include <string.h>

#include "support/fake_world.h"

static struct fake_world world;

static void start(const struct model_tensor *tensors, uint32_t count)
{
    fake_world_init(&world);
    fake_world_start(&world, tensors, count);
}

static void load_evict_and_close(uint32_t count)
{
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, strategy), TRESOR_OK);
        fake_world_must_have(&world, count);
        assert_error(fake_world_all(&world, TRESOR_VERB_LOCK, 0), TRESOR_OK);
        assert_error(fake_world_all(&world, TRESOR_VERB_UNLOCK, 0), TRESOR_OK);
        assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
        fake_world_must_have(&world, 0);
        struct tresor_counters counters = fake_world_counters(&world);
        assert_int_equal(counters.mapped_bytes + counters.private_bytes, 0);
    }
    fake_world_close(&world);
}

static void none_and_scalars(void **state)
{
    static const struct model_tensor tensors[] = {
        {0, MODEL_NEXT, false}, {0, MODEL_NEXT, true}, {0, MODEL_NEXT, false},
        {0, MODEL_NEXT, true},  {1, MODEL_NEXT, false}};
    struct tresor_request request;
    uint8_t byte = 0;
    (void)state;
    start(tensors, 5);
    assert_int_equal(fake_world_tensor(&world, 1).rank, 0);
    assert_int_equal(fake_world_tensor(&world, 1).tensor_bytes, 4);
    assert_int_equal(fake_world_tensor(&world, 0).tensor_bytes, 0);
    load_evict_and_close(5);
    /* Nothing but none. */
    static const struct model_tensor empty[] = {{0, MODEL_NEXT, false}, {0, MODEL_NEXT, false}};
    start(empty, 2);
    assert_error(session_note(&world.session,
                              tresor_copy(world.session.context, session_tensor(&world.session, 0),
                                          0, 0, &byte, NULL, &request),
                              request),
                 TRESOR_OK);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    load_evict_and_close(2);
}

/* One without bytes may be said to be anywhere, but its address is one of the window's. */
static void none_far_outside(void **state)
{
    static const struct model_tensor tensors[] = {
        {0, UINT64_C(0xfffffffffff00000), false}, {4096, 0, false}, {0, UINT64_C(1) << 40, false}};
    struct tresor_file_info file = {.size_bytes = sizeof file};
    (void)state;
    start(tensors, 3);
    tresor_source_get_file(world.session.context, world.session.source, 0, &file);
    for (uint32_t i = 0; i < 3; i++) {
        const char *address = fake_world_tensor(&world, i).address;
        assert_true(address >= (const char *)file.window);
        assert_true(address <= (const char *)file.window + file.window_bytes);
    }
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, 0), TRESOR_OK);
    for (uint32_t i = 0; i < 3; i++) {
        const void *data = NULL;
        struct tresor_item item = session_tensor(&world.session, i);
        assert_error(tresor_acquire(world.session.context, item, &data), TRESOR_OK);
        assert_ptr_equal(data, fake_world_tensor(&world, i).address);
        assert_error(tresor_release(world.session.context, item), TRESOR_OK);
    }
    fake_world_close(&world);
}

static void a_model_without_tensors(void **state)
{
    struct tresor_request request;
    (void)state;
    fake_world_init(&world);
    model_set_make_gguf(&world.set, "/fake", NULL, 0);
    fake_world_start_context(&world);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    struct tresor_item item = session_all(&world.session);
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &item, 1, 0, &request),
                 TRESOR_OK);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    assert_error(tresor_acquire(world.session.context, item, NULL), TRESOR_ERROR_INVALID);
    fake_world_close(&world);
}

static void overlapping(void **state)
{
    /* The same bytes, a part in the middle, across the end, and all of it again. */
    static const struct model_tensor tensors[] = {
        {100000, 0, false},  {100000, 0, false}, {5000, 32768, false}, {70000, 65536, false},
        {1, 99999 / 32 * 32, false}, {135536, 0, false}};
    const uint32_t count = sizeof tensors / sizeof tensors[0];
    (void)state;
    start(tensors, count);
    struct tresor_source_info info = {.size_bytes = sizeof info};
    tresor_source_get_info(world.session.context, world.session.source, &info);
    assert_true(info.overlap_count > 0);
    /* What they share stays until the last has gone, in any order. */
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
    for (uint32_t i = 0; i < count; i++) {
        assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, (i * 5) % count, 0), TRESOR_OK);
        fake_world_must_have(&world, count - 1 - i);
    }
    assert_int_equal(fake_world_counters(&world).private_bytes, 0);
    load_evict_and_close(count);
}

static void named_twice(void **state)
{
    struct tresor_request request;
    struct tresor_event done;
    (void)state;
    fake_world_open(&world);
    struct tresor_item items[] = {session_tensor(&world.session, 2), session_all(&world.session),
                                  session_tensor(&world.session, 2)};
    static const enum tresor_verb verbs[] = {TRESOR_VERB_LOAD, TRESOR_VERB_LOCK,
                                             TRESOR_VERB_ADVISE, TRESOR_VERB_UNLOCK,
                                             TRESOR_VERB_EVICT};
    for (uint32_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        uint32_t before = world.session.item_count;
        assert_error(session_submit(&world.session, verbs[i], items, 3, 0, &request), TRESOR_OK);
        assert_error(session_finish(&world.session, request, &done), TRESOR_OK);
        assert_int_equal(done.total, FAKE_TENSORS + 2);
        assert_int_equal(done.done, FAKE_TENSORS + 2);
        assert_int_equal(world.session.item_count - before, FAKE_TENSORS + 2);
    }
    fake_world_must_have(&world, 0);
    fake_world_close(&world);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/* Blocks of 64 KiB and tensors from one byte to 1 MiB, wherever the alignment of 32 puts them. */
static void every_size_and_place(void **state)
{
    enum { COUNT = 24 };
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct model_tensor tensors[COUNT];
        uint64_t numbers = seed;
        print_message("# seed %u\n", (unsigned)seed);
        for (uint32_t i = 0; i < COUNT; i++) {
            uint64_t limit = UINT64_C(1) << next_random(&numbers) % 21;
            tensors[i] = (struct model_tensor){.size_bytes = 1 + next_random(&numbers) % limit,
                                               .offset_bytes = MODEL_NEXT};
        }
        start(tensors, COUNT);
        /* One after the other by either strategy, every third gone again. */
        for (uint32_t i = 0; i < COUNT; i++) {
            uint32_t tensor = (i * 7) % COUNT;
            assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, tensor,
                                        TRESOR_STRATEGY_MMAP + next_random(&numbers) % 2),
                         TRESOR_OK);
            if (i % 3 == 0)
                assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, tensor, 0), TRESOR_OK);
        }
        fake_world_must_have(&world, COUNT - COUNT / 3);
        load_evict_and_close(COUNT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_and_scalars), cmocka_unit_test(none_far_outside),
        cmocka_unit_test(a_model_without_tensors),
        cmocka_unit_test(overlapping),      cmocka_unit_test(named_twice),
        cmocka_unit_test(every_size_and_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
