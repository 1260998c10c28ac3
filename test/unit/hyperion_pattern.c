/* SPDX-License-Identifier: MIT */
/* What is learned from sequences of gets that are made: walks, strides, loops, and none at all. */
#include "support/test.h"

#include <stdlib.h>
#include <tresor/compat/hyperion.h>

#include "compat/hyperion_pattern.h"
#include "support/random.h"

static struct tresor__hyperion_order order_after(struct tresor__hyperion_history *history,
                                                 const uint32_t *layers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        tresor__hyperion_note(history, layers[i]);
    return tresor__hyperion_learn(history);
}

/* As many walks as there are numbers of layers and steps: each is learned by the fourth get, and foretold for ever. */
static void walks_are_foretold_from_the_fourth_get_on(void **state)
{
    (void)state;
    for (uint32_t count = 2; count <= 70; count++)
        for (uint32_t step = 1; step < count; step++) {
            struct tresor__hyperion_history history = {.layer_count = count};
            uint32_t layer = step * 7 % count;
            for (uint32_t gets = 1; gets <= 200; gets++, layer = (layer + step) % count) {
                tresor__hyperion_note(&history, layer);
                const struct tresor__hyperion_order order = tresor__hyperion_learn(&history);
                if (gets <= TRESOR__HYPERION_EVIDENCE) {
                    assert_int_equal(order.pattern, TRESOR_HYPERION_NONE);
                    continue;
                }
                assert_int_equal(order.pattern,
                                 step == 1 ? TRESOR_HYPERION_NEXT : TRESOR_HYPERION_STRIDE);
                assert_int_equal((order.stride + count) % count, step);
                assert_true(2 * llabs(order.stride) <= count);
                for (uint32_t ahead = 1; ahead <= 5; ahead++)
                    assert_int_equal(tresor__hyperion_foretell(&history, &order, ahead),
                                     (layer + (uint64_t)ahead * step) % count);
            }
        }
}

/* Loops of any length up to the longest: learned once they were heard twice, though they may have walks within. */
static void loops_are_foretold_once_they_were_heard_twice(void **state)
{
    enum { LAYERS = 1000 };
    (void)state;
    uint64_t seed = 11;
    for (uint32_t run = 0; run < 300; run++) {
        const uint32_t period = 2 + run % (TRESOR__HYPERION_PERIOD_MAX - 1);
        struct tresor__hyperion_history history = {.layer_count = LAYERS};
        uint32_t loop[TRESOR__HYPERION_PERIOD_MAX];
        for (uint32_t i = 0; i < period; i++)
            loop[i] = run % 2 ? i : (uint32_t)(random_next(&seed) % (LAYERS / 32)) + 31 * i;
        for (uint32_t gets = 1; gets <= 6 * period; gets++) {
            tresor__hyperion_note(&history, loop[(gets - 1) % period]);
            const struct tresor__hyperion_order order = tresor__hyperion_learn(&history);
            if (gets < 2 * period || gets < TRESOR__HYPERION_EVIDENCE + period)
                continue;
            assert_int_equal(order.pattern, TRESOR_HYPERION_REPEAT);
            assert_int_equal(order.period, period);
            for (uint32_t ahead = 1; ahead <= 2 * period; ahead++)
                assert_int_equal(tresor__hyperion_foretell(&history, &order, ahead),
                                 loop[(gets - 1 + ahead) % period]);
        }
    }
}

static void one_layer_again_and_again_is_a_loop_of_one(void **state)
{
    (void)state;
    struct tresor__hyperion_history history = {.layer_count = 9};
    const uint32_t same[] = {3, 3, 3, 3};
    const struct tresor__hyperion_order order = order_after(&history, same, 4);
    assert_int_equal(order.pattern, TRESOR_HYPERION_REPEAT);
    assert_int_equal(order.period, 1);
    assert_int_equal(tresor__hyperion_foretell(&history, &order, 3), 3);
}

static void no_order_is_found_where_there_is_none(void **state)
{
    (void)state;
    uint64_t seed = 12;
    struct tresor__hyperion_history history = {.layer_count = 100000};
    for (uint32_t gets = 0; gets < 100000; gets++) {
        tresor__hyperion_note(&history, (uint32_t)(random_next(&seed) % 100000));
        assert_int_equal(tresor__hyperion_learn(&history).pattern, TRESOR_HYPERION_NONE);
    }
}

/* A jump ends a walk at once, and three steps make the next one. */
static void what_changes_is_learned_anew(void **state)
{
    (void)state;
    struct tresor__hyperion_history history = {.layer_count = 500};
    for (uint32_t i = 0; i < 300; i++)
        tresor__hyperion_note(&history, i);
    assert_int_equal(tresor__hyperion_learn(&history).pattern, TRESOR_HYPERION_NEXT);
    const uint32_t jump[] = {20};
    assert_int_equal(order_after(&history, jump, 1).pattern, TRESOR_HYPERION_NONE);
    const uint32_t back[] = {18, 16};
    assert_int_equal(order_after(&history, back, 2).pattern, TRESOR_HYPERION_NONE);
    const uint32_t more[] = {14};
    const struct tresor__hyperion_order order = order_after(&history, more, 1);
    assert_int_equal(order.pattern, TRESOR_HYPERION_STRIDE);
    assert_int_equal(order.stride, -2);
    assert_int_equal(tresor__hyperion_foretell(&history, &order, 8), 498);
}

/* Three gets as a while before are no loop where the others of that while were not. */
static void the_end_of_a_loop_is_none(void **state)
{
    (void)state;
    struct tresor__hyperion_history history = {.layer_count = 50};
    const uint32_t layers[] = {0, 10, 20, 33, 47, 5, 1, 11, 22, 33, 47, 5};
    assert_int_equal(order_after(&history, layers, 12).pattern, TRESOR_HYPERION_NONE);
}

/* What was longer ago than the history is long says nothing: a loop of 33 is none. */
static void the_history_is_bounded(void **state)
{
    (void)state;
    struct tresor__hyperion_history history = {.layer_count = 1000};
    for (uint32_t gets = 0; gets < 1000; gets++) {
        const uint32_t at = gets % (TRESOR__HYPERION_PERIOD_MAX + 1);
        tresor__hyperion_note(&history, at * at % 1000);
        assert_int_not_equal(tresor__hyperion_learn(&history).pattern, TRESOR_HYPERION_REPEAT);
    }
    assert_int_equal(history.length, TRESOR__HYPERION_HISTORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_are_foretold_from_the_fourth_get_on),
        cmocka_unit_test(loops_are_foretold_once_they_were_heard_twice),
        cmocka_unit_test(one_layer_again_and_again_is_a_loop_of_one),
        cmocka_unit_test(no_order_is_found_where_there_is_none),
        cmocka_unit_test(what_changes_is_learned_anew),
        cmocka_unit_test(the_end_of_a_loop_is_none),
        cmocka_unit_test(the_history_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
