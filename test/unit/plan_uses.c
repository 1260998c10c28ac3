/* SPDX-License-Identifier: MIT */
/* What a plan counts as used, where it looks between any two instructions of those who acquire and release. */
#include "tensor/plan_uses.h"

#include "tensor/pins.h"
#include "tensor/piece.h"

#include "support/failing_allocator.h"
#include "support/test.h"

enum {
    GENERATION = 1,
};

static struct failing_allocator memory;
static struct tresor__acquires acquires;
static struct tresor__slot slot;
static struct tresor__piece piece;

static struct tresor__pin *pin(void)
{
    return &atomic_load(&slot.pins)->pins[0];
}

static void start(void)
{
    const struct tresor_allocator hooks = failing_allocator_hooks(&memory);
    slot = (struct tresor__slot){.generation = GENERATION};
    piece = (struct tresor__piece){0};
    acquires = (struct tresor__acquires){0};
    assert_error(tresor__pins_start(&slot, &hooks, 1), TRESOR_OK);
    tresor__pins_open(&slot, 0);
    tresor__plan_uses_restart(&slot, &piece);
}

static void end(void)
{
    const struct tresor_allocator hooks = failing_allocator_hooks(&memory);
    tresor__pins_free(&slot, &hooks);
    assert_int_equal(memory.outstanding_bytes, 0);
}

/* An acquire in its two steps: it is held first, and has a stamp then. */
static void hold(void)
{
    atomic_fetch_add(&pin()->word, 1);
}

static void stamp(void)
{
    uint64_t clock = tresor__acquires_tick(&acquires);
    uint64_t record = atomic_load(&pin()->record);
    atomic_store(&pin()->record, clock << TRESOR__STAMP_SHIFT | (uint16_t)(record + 1));
}

static void release(void)
{
    bool is_awaited = false;
    assert_error(tresor__pins_release_one(&slot, GENERATION, 0, &is_awaited), TRESOR_OK);
}

static void use(void)
{
    hold();
    stamp();
    release();
}

static bool look(void)
{
    return tresor__plan_uses_look(&slot, &piece);
}

static void a_use_is_counted_when_it_is_over(void **state)
{
    (void)state;
    start();
    assert_false(look());
    hold();
    assert_false(look());
    stamp();
    assert_false(look());
    release();
    assert_true(look());
    tresor__plan_uses_count(&piece, false);
    assert_false(look());
    end();
}

/* Its step is passed at each of the moments in which somebody is there. */
static void who_is_there_when_its_step_is_passed_is_counted_once(void **state)
{
    (void)state;
    for (uint32_t is_stamped = 0; is_stamped < 2; is_stamped++) {
        for (uint32_t is_one = 0; is_one < 2; is_one++) {
            start();
            hold();
            if (is_stamped)
                stamp();
            look();
            tresor__plan_uses_count(&piece, is_one);
            if (!is_stamped)
                stamp();
            assert_false(look());
            release();
            assert_false(look());
            use();
            assert_true(look());
            end();
        }
    }
}

/* Who stays while a second step of it is passed is nobody else's use. */
static void who_stays_is_counted_once(void **state)
{
    (void)state;
    start();
    hold();
    stamp();
    look();
    tresor__plan_uses_count(&piece, true);
    look();
    tresor__plan_uses_count(&piece, true);
    release();
    assert_false(look());
    use();
    assert_true(look());
    end();
}

static void steps_take_one_each_or_all(void **state)
{
    (void)state;
    start();
    use();
    use();
    use();
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(look());
        tresor__plan_uses_count(&piece, true);
    }
    assert_false(look());
    use();
    use();
    assert_true(look());
    tresor__plan_uses_count(&piece, false);
    assert_false(look());
    end();
}

/* What comes after a look is another's, also where that is counted later. */
static void what_was_not_seen_is_not_counted(void **state)
{
    (void)state;
    start();
    use();
    assert_true(look());
    use();
    tresor__plan_uses_count(&piece, false);
    assert_true(look());
    end();
}

static void many_uses_are_no_fewer(void **state)
{
    static const uint32_t counts[] = {INT16_MAX, INT16_MAX + 1, UINT16_MAX, UINT16_MAX + 1, 200000};
    (void)state;
    for (uint32_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        start();
        for (uint32_t n = 0; n < counts[i]; n++)
            use();
        assert_true(look());
        tresor__plan_uses_count(&piece, false);
        assert_false(look());
        use();
        assert_true(look());
        end();
    }
}

static void a_load_of_what_is_there_is_a_use(void **state)
{
    (void)state;
    start();
    piece.use.stamp = tresor__acquires_tick(&acquires);
    assert_true(look());
    tresor__plan_uses_count(&piece, true);
    assert_false(look());
    use();
    assert_true(look());
    end();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_use_is_counted_when_it_is_over),
        cmocka_unit_test(who_is_there_when_its_step_is_passed_is_counted_once),
        cmocka_unit_test(who_stays_is_counted_once),
        cmocka_unit_test(steps_take_one_each_or_all),
        cmocka_unit_test(what_was_not_seen_is_not_counted),
        cmocka_unit_test(many_uses_are_no_fewer),
        cmocka_unit_test(a_load_of_what_is_there_is_a_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
