/* SPDX-License-Identifier: MIT */
/* Private pages that outlast an eviction: counted, bounded, out of reach, and filled anew by the next load. */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "support/fake_world.h"

static struct fake_world world;

static void start(uint64_t spare_bytes)
{
    fake_world_init(&world);
    world.options.spare_bytes = spare_bytes;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
}

static void load(uint32_t strategy)
{
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, strategy), TRESOR_OK);
    fake_world_must_have(&world, FAKE_TENSORS);
}

static void evict(void)
{
    assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
    fake_world_must_have(&world, 0);
}

static uint64_t spare_bytes(void)
{
    return fake_world_counters(&world).spare_bytes;
}

static uint64_t anonymous_maps(void)
{
    return world.faulty.counts[FAULTY_MAP];
}

static void a_second_load_makes_no_pages(void **state)
{
    (void)state;
    start(UINT64_C(1) << 30);
    load(TRESOR_STRATEGY_READ);
    uint64_t bytes = fake_world_counters(&world).private_bytes;
    assert_int_equal(spare_bytes(), 0);
    uint64_t maps = anonymous_maps();
    for (uint32_t i = 0; i < 3; i++) {
        evict();
        assert_int_equal(spare_bytes(), bytes);
        assert_int_equal(fake_world_counters(&world).private_bytes, 0);
        load(TRESOR_STRATEGY_READ);
        assert_int_equal(spare_bytes(), 0);
        assert_int_equal(fake_world_counters(&world).private_bytes, bytes);
    }
    assert_int_equal(anonymous_maps(), maps);
    fake_world_close(&world);
}

/* What is kept is memory, not the tensor: the file's bytes are read again. */
static void its_bytes_are_read_again(void **state)
{
    (void)state;
    start(UINT64_C(1) << 30);
    load(TRESOR_STRATEGY_READ);
    evict();
    struct tresor_tensor_info info = fake_world_tensor(&world, 2);
    memset((void *)(uintptr_t)info.address, 0x77, info.tensor_bytes);
    uint64_t before = fake_world_counters(&world).read_bytes;
    load(TRESOR_STRATEGY_READ);
    assert_true(fake_world_counters(&world).read_bytes > before);
    fake_world_close(&world);
}

static void none_is_kept_by_default(void **state)
{
    (void)state;
    start(0);
    load(TRESOR_STRATEGY_READ);
    evict();
    assert_int_equal(spare_bytes(), 0);
    assert_int_equal(world.faulty.counts[FAULTY_PROTECT], 0);
    fake_world_close(&world);
}

static void no_more_than_there_is_room_for(void **state)
{
    (void)state;
    start(400000);
    load(TRESOR_STRATEGY_READ);
    for (uint32_t i = FAKE_TENSORS; i-- > 0;) {
        assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, i, 0), TRESOR_OK);
        assert_true(spare_bytes() <= 400000);
    }
    assert_true(spare_bytes() > 0);
    load(TRESOR_STRATEGY_READ);
    assert_int_equal(spare_bytes(), 0);
    fake_world_close(&world);
}

static void a_mapping_takes_their_place(void **state)
{
    (void)state;
    start(UINT64_C(1) << 30);
    load(TRESOR_STRATEGY_READ);
    evict();
    assert_true(spare_bytes() > 0);
    load(TRESOR_STRATEGY_MMAP);
    assert_int_equal(spare_bytes(), 0);
    evict();
    assert_int_equal(spare_bytes(), 0);
    load(TRESOR_STRATEGY_READ);
    fake_world_close(&world);
}

/* A system that will not put them away, or not give them back, costs memory or time and nothing else. */
static void a_refusal(void **state)
{
    (void)state;
    for (int reachable = 0; reachable < 2; reachable++) {
        start(UINT64_C(1) << 30);
        world.rules[0] = (struct fake_rule){
            .row = FAULTY_PROTECT, .os_errno = ENOMEM, .has_kind = true, .kind = reachable};
        for (uint32_t i = 0; i < 3; i++) {
            load(TRESOR_STRATEGY_READ);
            assert_int_equal(spare_bytes(), 0);
            evict();
            assert_int_equal(spare_bytes() > 0, reachable);
        }
        fake_world_heal(&world);
        fake_world_close(&world);
    }
}

/* They go with their source, and the room is free again. */
static void a_close_gives_them_back(void **state)
{
    (void)state;
    start(UINT64_C(1) << 30);
    for (uint32_t i = 0; i < 3; i++) {
        load(TRESOR_STRATEGY_READ);
        evict();
        uint64_t kept = spare_bytes();
        assert_true(kept > 0 && kept < 1000000);
        assert_error(session_close(&world.session), TRESOR_OK);
        assert_int_equal(spare_bytes(), 0);
        assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    }
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_load_makes_no_pages),
        cmocka_unit_test(its_bytes_are_read_again),
        cmocka_unit_test(none_is_kept_by_default),
        cmocka_unit_test(no_more_than_there_is_room_for),
        cmocka_unit_test(a_mapping_takes_their_place),
        cmocka_unit_test(a_refusal),
        cmocka_unit_test(a_close_gives_them_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
