/* SPDX-License-Identifier: MIT */
/*
 * Hosts that do anything in any order, in pools that are too small, over a system that fails at
 * times and a backend that answers in any order. A seed decides everything, but for what threads do
 * at the same time; one that fails is printed, and TRESOR_SEED=N runs it alone. TRESOR_SEEDS=N runs so many.
 */
#include "support/test.h"

#include <stdlib.h>

#include "support/host/host.h"
#include "support/sanitizer.h"
#include "support/told_seed.h"

enum {
    KINDS = 8, /* the seed's last three bits */
    SEEDS = HAS_ADDRESS_SANITIZER ? 2000 : 4000,
    MOVES = 240,
    ARENA_BYTES = 128 * 1024 * 1024, /* so that only a fault is a lack of memory */
};

static struct models models;
static struct fake_sys fake;
static struct host host;

/* --- runs --- */

static void run(uint64_t seed)
{
    struct host_plan plan = {
        .seed = seed, .has_faults = (seed & 2) != 0, .backend = TRESOR_BACKEND_SYNC};
    if (seed & 4)
        plan.backend = seed & 1 ? TRESOR_BACKEND_URING : TRESOR_BACKEND_POOL;
    else
        plan.is_shuffled = (seed & 1) != 0;
    told_seed_begin(seed);
    fake_sys_reset(&fake);
    models_add_to(&models, &fake);
    if (host_start(&host, &plan, &models, &fake))
        for (uint32_t i = 0; i < MOVES && !host.violation[0]; i++)
            host_move(&host);
    host_end(&host);
    if (host.violation[0])
        fail_msg("seed %ju: %s", (uintmax_t)seed, host.violation);
    told_seed_end();
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void run_kind(uint64_t kind)
{
    uint64_t chosen = number_of("TRESOR_SEED", 0);
    uint64_t last = KINDS + number_of("TRESOR_SEEDS", SEEDS);
    if (chosen != 0 && chosen % KINDS == kind)
        run(chosen);
    for (uint64_t seed = KINDS + kind; chosen == 0 && seed < last; seed += KINDS)
        run(seed);
}

static void a_good_system(void **state)
{
    (void)state;
    run_kind(0);
}

static void completions_in_any_order(void **state)
{
    (void)state;
    run_kind(1);
}

static void a_system_that_fails(void **state)
{
    (void)state;
    run_kind(2);
}

static void failures_in_any_order(void **state)
{
    (void)state;
    run_kind(3);
}

static void a_good_system_on_workers(void **state)
{
    (void)state;
    run_kind(4);
}

static void a_good_system_with_a_ring(void **state)
{
    (void)state;
    run_kind(5);
}

static void failures_on_workers(void **state)
{
    (void)state;
    run_kind(6);
}

static void failures_with_a_ring(void **state)
{
    (void)state;
    run_kind(7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_good_system, told_seed_teardown),
        cmocka_unit_test_teardown(completions_in_any_order, told_seed_teardown),
        cmocka_unit_test_teardown(a_system_that_fails, told_seed_teardown),
        cmocka_unit_test_teardown(failures_in_any_order, told_seed_teardown),
        cmocka_unit_test_teardown(a_good_system_on_workers, told_seed_teardown),
        cmocka_unit_test_teardown(a_good_system_with_a_ring, told_seed_teardown),
        cmocka_unit_test_teardown(failures_on_workers, told_seed_teardown),
        cmocka_unit_test_teardown(failures_with_a_ring, told_seed_teardown),
    };
    told_seed_watch("seed ");
    models_make(&models);
    fake_sys_init(&fake);
    fake.arena_bytes = ARENA_BYTES;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_sys_free(&fake);
    models_free(&models);
    return failed;
}
