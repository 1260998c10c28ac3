/* SPDX-License-Identifier: MIT */
/* Durations in buckets: what they say against what sorting says. */
#include "latencies.h"

#include <stdlib.h>

#include "support/random.h"
#include "support/test.h"

#define DURATIONS 20000

static int by_value(const void *a, const void *b)
{
    const uint64_t one = *(const uint64_t *)a;
    const uint64_t other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

static void none_is_zero(void **state)
{
    (void)state;
    static const struct latencies none;
    assert_int_equal(latencies_at(&none, 0), 0);
    assert_int_equal(latencies_at(&none, 999000), 0);
    assert_int_equal(none.max_ns, 0);
}

static void every_size_is_kept_within_one_percent(void **state)
{
    (void)state;
    for (int power = 0; power < 64; power++) {
        for (int64_t beside = -1; beside <= 1; beside++) {
            struct latencies latencies = {0};
            const uint64_t duration = (UINT64_C(1) << power) + (uint64_t)beside;
            latencies_add(&latencies, duration);
            latencies_add(&latencies, UINT64_MAX);
            const uint64_t told = latencies_at(&latencies, 500000);
            const uint64_t off = told > duration ? told - duration : duration - told;
            assert_true(off <= duration / 100);
            assert_true(latencies_at(&latencies, 1000000) >= UINT64_MAX / 100 * 99);
            assert_true(latencies.max_ns == UINT64_MAX);
        }
    }
}

static void ranks_are_those_of_sorting(void **state)
{
    (void)state;
    static const uint32_t millionths[] = {1, 500000, 990000, 999000, 999999, 1000000};
    static uint64_t durations[DURATIONS];
    struct latencies latencies = {0};
    uint64_t seed = 20240601;
    for (int i = 0; i < DURATIONS; i++) {
        durations[i] = random_next(&seed) >> (random_next(&seed) % 64);
        latencies_add(&latencies, durations[i]);
    }
    qsort(durations, DURATIONS, sizeof durations[0], by_value);
    assert_int_equal(latencies.count, DURATIONS);
    assert_true(latencies.max_ns == durations[DURATIONS - 1]);
    for (size_t i = 0; i < sizeof millionths / sizeof millionths[0]; i++) {
        const uint64_t rank = ((uint64_t)millionths[i] * DURATIONS + 999999) / 1000000;
        const uint64_t wanted = durations[rank - 1];
        const uint64_t told = latencies_at(&latencies, millionths[i]);
        assert_true((told > wanted ? told - wanted : wanted - told) <= wanted / 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_zero),
        cmocka_unit_test(every_size_is_kept_within_one_percent),
        cmocka_unit_test(ranks_are_those_of_sorting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
