/* SPDX-License-Identifier: MIT */
/*
 * Whole worlds from a seed. Without arguments: a fixed set of seeds, the seed TRESOR_SIM_SEED (of the commit, where
 * tools/check has one), and what the simulator itself promises. TRESOR_SIM_SEEDS=N makes the set that large; with
 * arguments it is a command, and --seed N is a run again.
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "script.h"
#include "support/sanitizer.h"
#include "support/told_seed.h"

enum {
    SEEDS = HAS_ADDRESS_SANITIZER ? 900 : 3000,
    SEEDS_TWICE = 60,
    SEEDS_PLANTED = 60,
    SCRIPTS = 150,
};

static struct sim_world world;
static const char *program;

static void run_well(const struct sim_knobs *knobs, struct sim_result *result)
{
    told_seed_begin(knobs->seed);
    sim_world_run(&world, knobs, NULL, result);
    if (result->violation[0])
        fail_msg("%s; again: %s --seed %ju", result->violation, program, (uintmax_t)knobs->seed);
    told_seed_end();
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* --- worlds --- */

static void run_kind(enum sim_kind kind)
{
    uint64_t last = number_of("TRESOR_SIM_SEEDS", SEEDS);
    uint64_t loads = 0;
    for (uint64_t seed = 1; seed <= last; seed++) {
        struct sim_knobs knobs = sim_knobs_of(seed);
        struct sim_result result;
        if (knobs.kind != kind)
            continue;
        run_well(&knobs, &result);
        loads += result.loads;
    }
    assert_true(loads > last); /* else hosts have done nothing to speak of */
}

static void good_worlds(void **state)
{
    (void)state;
    run_kind(SIM_GOOD);
}

static void worn_worlds(void **state)
{
    (void)state;
    run_kind(SIM_WORN);
}

static void broken_worlds(void **state)
{
    (void)state;
    run_kind(SIM_BROKEN);
}

/* In each kind of world. */
static void the_commits_own_world(void **state)
{
    (void)state;
    uint64_t seed = number_of("TRESOR_SIM_SEED", 20250117);
    for (uint64_t kind = 0; kind < SIM_KINDS; kind++) {
        struct sim_knobs knobs = sim_knobs_of(seed - seed % SIM_KINDS + SIM_KINDS + kind);
        struct sim_result result;
        run_well(&knobs, &result);
    }
}

/* --- what a seed is --- */

static void a_seed_is_one_run(void **state)
{
    static struct sim_result first[SEEDS_TWICE];
    (void)state;
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < SEEDS_TWICE; i++) {
            uint32_t at = round == 0 ? i : SEEDS_TWICE - 1 - i; /* after other runs than before */
            struct sim_knobs knobs = sim_knobs_of(at + 1);
            struct sim_result result;
            run_well(&knobs, &result);
            if (round == 0)
                first[at] = result;
            else if (memcmp(&result, &first[at], sizeof result) != 0)
                fail_msg("seed %u has the digest %016jx, and before %016jx", at + 1,
                         (uintmax_t)result.digest, (uintmax_t)first[at].digest);
        }
    for (uint32_t i = 0; i < SEEDS_TWICE; i++)
        for (uint32_t k = 0; k < i; k++) /* some contexts cannot even be made */
            assert_true(first[i].steps == 0 || first[i].digest != first[k].digest);
}

/* The choices are the same; what differs is when effects end. */
static void the_order_comes_from_the_machine(void **state)
{
    struct sim_knobs knobs = sim_knobs_of(3);
    struct sim_result slow;
    struct sim_result quick;
    (void)state;
    run_well(&knobs, &quick);
    knobs.slowness_percent *= 10;
    run_well(&knobs, &slow);
    assert_true(slow.digest != quick.digest);
    assert_true(slow.passed_ns > quick.passed_ns);
}

/* --- what is planted is found --- */

static void a_lost_completion_is_found(void **state)
{
    uint32_t planted = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS_PLANTED; seed++) {
        struct sim_knobs knobs = sim_knobs_of(seed);
        struct sim_result result;
        knobs.lose_answer = 1 + seed % 40;
        sim_world_run(&world, &knobs, NULL, &result);
        bool is_lost = result.effects >= knobs.lose_answer;
        planted += is_lost;
        if (is_lost != (result.violation[0] != '\0'))
            fail_msg("seed %ju with completion %ju of %ju lost: \"%s\"", (uintmax_t)seed,
                     (uintmax_t)knobs.lose_answer, (uintmax_t)result.effects, result.violation);
    }
    assert_true(planted > SEEDS_PLANTED / 2);
}

/* A good host looks at every byte of what it has opened before it goes. */
static void a_wrong_byte_is_found(void **state)
{
    uint32_t planted = 0;
    (void)state;
    for (uint64_t seed = SIM_KINDS; seed <= SIM_KINDS * SEEDS_PLANTED; seed += SIM_KINDS) {
        struct sim_knobs knobs = sim_knobs_of(seed);
        struct sim_result good;
        struct sim_result result;
        run_well(&knobs, &good);
        knobs.flip_transfer = good.transfers / 2 + 1;
        sim_world_run(&world, &knobs, NULL, &result);
        planted += result.violation[0] != '\0';
    }
    assert_true(planted > SEEDS_PLANTED / 2);
}

/* --- scripts --- */

static void run_script_well(const struct bytes *script, size_t length, struct sim_result *result)
{
    sim_script_run(&world, script->data, length, result);
    if (result->violation[0])
        fail_msg("%s", result->violation);
}

static void a_script_does_what_its_seed_did(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS_TWICE; seed++) {
        struct bytes script = {0};
        struct sim_knobs knobs = sim_knobs_of(seed);
        struct sim_result made;
        struct sim_result again;
        told_seed_begin(seed);
        sim_script_record(&world, &knobs, &script, &made);
        run_script_well(&script, script.size, &again);
        assert_memory_equal(&made, &again, sizeof made);
        told_seed_end();
        bytes_free(&script);
    }
}

/* Cut off, or with bytes changed: still a run, and another one. */
static void any_bytes_are_a_run(void **state)
{
    uint64_t seed = 77;
    uint32_t others = 0;
    (void)state;
    for (uint32_t i = 0; i < SCRIPTS; i++) {
        struct bytes script = {0};
        struct sim_knobs knobs = sim_knobs_of(1 + i);
        struct sim_result made;
        struct sim_result changed;
        told_seed_begin(1 + i);
        sim_script_record(&world, &knobs, &script, &made);
        size_t length = random_below(&seed, (uint32_t)script.size + 1);
        for (uint32_t k = 0; k < 4; k++)
            script.data[random_below(&seed, (uint32_t)script.size)] ^=
                (uint8_t)(1u << random_below(&seed, 8));
        run_script_well(&script, i % 3 == 0 ? length : script.size, &changed);
        others += changed.digest != made.digest;
        told_seed_end();
        bytes_free(&script);
    }
    assert_true(others > SCRIPTS / 2);
}

static void no_bytes_and_rubbish_are_runs(void **state)
{
    uint64_t seed = 5;
    struct bytes script = {0};
    struct sim_result result;
    (void)state;
    run_script_well(&script, 0, &result);
    for (uint32_t i = 0; i < SCRIPTS; i++) {
        script.size = 0;
        for (uint32_t left = random_below(&seed, 3000); left > 0; left--)
            bytes_put_u8(&script, (uint8_t)random_below(&seed, 256));
        told_seed_begin(1 + i);
        run_script_well(&script, script.size, &result);
        told_seed_end();
    }
    bytes_free(&script);
}

int main(int count, char **arguments)
{
    static char words[512];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(good_worlds, told_seed_teardown),
        cmocka_unit_test_teardown(worn_worlds, told_seed_teardown),
        cmocka_unit_test_teardown(broken_worlds, told_seed_teardown),
        cmocka_unit_test_teardown(the_commits_own_world, told_seed_teardown),
        cmocka_unit_test_teardown(a_seed_is_one_run, told_seed_teardown),
        cmocka_unit_test_teardown(the_order_comes_from_the_machine, told_seed_teardown),
        cmocka_unit_test(a_lost_completion_is_found),
        cmocka_unit_test(a_wrong_byte_is_found),
        cmocka_unit_test_teardown(a_script_does_what_its_seed_did, told_seed_teardown),
        cmocka_unit_test_teardown(any_bytes_are_a_run, told_seed_teardown),
        cmocka_unit_test_teardown(no_bytes_and_rubbish_are_runs, told_seed_teardown),
    };
    program = arguments[0];
    snprintf(words, sizeof words, "again: %s --seed ", program);
    told_seed_watch(words);
    sim_world_make(&world);
    int result = count > 1 ? sim_command(&world, count, arguments)
                           : cmocka_run_group_tests(tests, NULL, NULL);
    sim_world_free(&world);
    return result;
}
