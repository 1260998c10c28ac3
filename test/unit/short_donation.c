/* SPDX-License-Identifier: MIT */
/*
 * Tensors that are shorter than two huge pages, as the slices of experts are, under a budget: their small pages go from one
 * to the next, whatever their places, over a fake system whose maps are never joined.
 */
#include "support/test.h"

#include <errno.h>

#include "context.h"
#include "support/fake_world.h"
#include "support/random.h"
#include "support/shuffled_backend.h"

enum {
    KIB = 1024,
    MIB = 1024 * KIB,
    ARENA_BYTES = 96 * MIB,
    TENSORS = 8,
    ALIKE = 5, /* the first, which differ in a page or two, for they share some with their neighbours */
    LOADS = 60,
};

static const struct model_tensor tensors[TENSORS] = {
    {2700 * KIB, MODEL_NEXT, false},      {2700 * KIB + 64, MODEL_NEXT, false},
    {2701 * KIB, MODEL_NEXT, false},      {2699 * KIB + 32, MODEL_NEXT, false},
    {2702 * KIB, MODEL_NEXT, false},      {700 * KIB + 100, MODEL_NEXT, false},
    {9 * MIB + 4000, MODEL_NEXT, false},  {20 * KIB, MODEL_NEXT, false},
};

static struct fake_world world;
static struct shuffled shuffled;

static void start(uint64_t budget_bytes, uint64_t seed)
{
    fake_world_init(&world);
    world.fake.arena_bytes = ARENA_BYTES;
    world.options.budget_bytes = budget_bytes;
    shuffled = (struct shuffled){.seed = seed};
    world.shuffled = seed > 0 ? &shuffled : NULL;
    fake_world_start(&world, tensors, TENSORS);
}

static void load(uint32_t tensor)
{
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, tensor, TRESOR_STRATEGY_READ), TRESOR_OK);
}

static uint64_t moves(void)
{
    return world.faulty.counts[FAULTY_MOVE_PAGES];
}

/* From the first on that needs another's room each takes its pages with one move. */
static void they_pass_on_their_pages(void **state)
{
    (void)state;
    start(3 * 2704 * KIB, 0);
    for (uint32_t i = 0; i < 3; i++)
        load(i);
    assert_int_equal(moves(), 0);
    for (uint32_t i = 3; i < 20; i++) {
        load(i % ALIKE);
        assert_int_equal(moves(), i - 2);
    }
    fake_world_must_have(&world, 3);
    assert_int_equal(world.fake.crossing_moves, 0);
    fake_world_close(&world);
}

/* Short, long and tiny ones in any order, on a backend that answers in any: each holds its bytes, and no move is tried
 * across the end of a map. */
static void whatever_their_sizes(void **state)
{
    uint64_t moved = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        uint64_t random = seed;
        start((10 + 2 * seed) * MIB, seed % 2 ? seed : 0);
        for (uint32_t i = 0; i < LOADS; i++) {
            load(random_below(&random, TENSORS));
            assert_true(session_verify(&world.session, &world.set) >= 1);
        }
        moved += moves();
        assert_int_equal(world.fake.crossing_moves, 0);
        fake_world_close(&world);
    }
    assert_true(moved > 100);
}

/* What is swapped, or whose move fails, lies in maps that are not known: it has fresh pages, and so has who comes next. */
static void what_lies_in_unknown_maps_is_not_moved(void **state)
{
    static const int32_t errors[] = {EFAULT, ENOMEM};
    (void)state;
    for (uint32_t i = 0; i < 2 * sizeof errors / sizeof *errors; i++) {
        start(3 * 2704 * KIB, 0);
        world.faulty.moves_unmap = i % 2;
        for (uint32_t k = 0; k < 3; k++)
            load(k);
        world.faulty.plan =
            (struct faulty_plan){.row = FAULTY_MOVE_PAGES, .nth = 1, .os_errno = errors[i / 2]};
        for (uint32_t k = 3; k < 20; k++) {
            load(k % ALIKE);
            fake_world_must_have(&world, 3);
        }
        assert_int_equal(world.fake.crossing_moves, 0);
        world.faulty.plan = (struct faulty_plan){0};
        fake_world_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_pass_on_their_pages),
        cmocka_unit_test(whatever_their_sizes),
        cmocka_unit_test(what_lies_in_unknown_maps_is_not_moved),
    };
    return cmocka_run_group_tests_name("short_donation", tests, NULL, NULL);
}
