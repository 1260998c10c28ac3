/* SPDX-License-Identifier: MIT */
/*
 * Tensors that lie over many others: work grows with the model's size, or the model is refused.
 * Nobody measures time here; steps are counted, and where work per step grew with the number of
 * tensors this would outlast its timeout.
 */
#include "support/test.h"

#include <stdlib.h>

#include "support/fake_world.h"

enum {
    PAGE = FAKE_PAGE_BYTES,
    SMALL = 20000,
    PAGES = 200,
    ARENA_BYTES = 256 * 1024 * 1024,
};

static struct fake_world world;

/* `giants` tensors that are as long as the `small` behind them, each of which has a page. */
static struct model_tensor *make_giants(uint32_t giants, uint32_t small)
{
    struct model_tensor *tensors = calloc(giants + small, sizeof *tensors);
    assert_non_null(tensors);
    for (uint32_t i = 0; i < giants; i++)
        tensors[i] = (struct model_tensor){.size_bytes = (uint64_t)small * PAGE};
    for (uint32_t i = 0; i < small; i++)
        tensors[giants + i] =
            (struct model_tensor){.size_bytes = PAGE, .offset_bytes = (uint64_t)i * PAGE};
    return tensors;
}

static void a_giant_over_many(void **state)
{
    static const enum tresor_verb verbs[] = {TRESOR_VERB_LOAD, TRESOR_VERB_LOCK, TRESOR_VERB_UNLOCK,
                                             TRESOR_VERB_EVICT};
    (void)state;
    struct model_tensor *tensors = make_giants(1, SMALL);
    fake_world_init(&world);
    world.fake.arena_bytes = ARENA_BYTES;
    world.options.waits_max = 4096;
    world.options.dispatch_max = 64;
    world.options.block_bytes = 2 * 1024 * 1024;
    world.options.populate_bytes = 2 * 1024 * 1024;
    fake_world_start(&world, tensors, SMALL + 1);
    free(tensors);
    for (uint32_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        uint64_t before = fake_world_counters(&world).steps;
        assert_error(fake_world_all(&world, verbs[i], TRESOR_STRATEGY_READ), TRESOR_OK);
        assert_in_range(fake_world_counters(&world).steps - before, SMALL, 8 * SMALL);
        if (verbs[i] == TRESOR_VERB_LOAD)
            fake_world_must_have(&world, SMALL + 1);
    }
    assert_int_equal(fake_world_counters(&world).private_bytes, 0);
    fake_world_close(&world);
}

/* The small ones go first, the giant keeps their pages; then each small one by itself. */
static void a_giant_that_stays(void **state)
{
    (void)state;
    struct model_tensor *tensors = make_giants(1, PAGES);
    fake_world_init(&world);
    fake_world_start(&world, tensors, PAGES + 1);
    free(tensors);
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP), TRESOR_OK);
    for (uint32_t i = 1; i <= PAGES; i++)
        assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, i, 0), TRESOR_OK);
    fake_world_must_have(&world, 1);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 1, TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, 0, 0), TRESOR_OK);
    fake_world_must_have(&world, 1);
    fake_world_close(&world);
}

static int32_t open_giants(uint32_t giants)
{
    struct model_tensor *tensors = make_giants(giants, PAGES);
    fake_world_init(&world);
    model_set_make_gguf(&world.set, "/fake", tensors, giants + PAGES);
    free(tensors);
    fake_world_start_context(&world);
    int32_t code = session_open(&world.session, model_set_path(&world.set));
    if (code == TRESOR_OK)
        fake_world_close(&world);
    else
        fake_world_end(&world);
    return code;
}

static void giants_over_many(void **state)
{
    (void)state;
    assert_error(open_giants(10), TRESOR_OK);
    assert_error(open_giants(PAGES), TRESOR_ERROR_LIMIT);
    assert_error(open_giants(5 * PAGES), TRESOR_ERROR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_giant_over_many),
        cmocka_unit_test(a_giant_that_stays),
        cmocka_unit_test(giants_over_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
