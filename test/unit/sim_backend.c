/* SPDX-License-Identifier: MIT */
/* The simulated backend by itself: whom effects wait for, how long they take, and what ends a sleep. */
#include "support/test.h"

#include <string.h>

#include "backend/sim.h"
#include "support/failing_allocator.h"
#include "support/fake_sys.h"

enum {
    EFFECTS = 16,
    FILE_BYTES = 64 * 1024,
    READ_BYTES = 4096,
    LATENCY_NS = 100000,
    NS_PER_MS = 1000000,
};

struct bench {
    struct fake_sys fake;
    struct failing_allocator memory;
    struct bytes bytes;
    struct tresor__bell bell;
    struct tresor__sim sim;
    struct tresor__backend *backend;
    uint8_t buffers[EFFECTS][READ_BYTES];
    uint32_t alarms; /* as they rang, a digit each */
    uint32_t stuck;
    struct tresor__completion completions[EFFECTS];
};

static struct bench bench;

static void on_alarm(void *cookie, uint32_t number)
{
    struct bench *self = cookie;
    self->alarms = 10 * self->alarms + number;
}

static void on_stuck(void *cookie)
{
    ((struct bench *)cookie)->stuck++;
}

/* Every effect takes the same, and a KiB of the disk's a quarter of that for each 4 KiB. */
static void start(uint32_t workers, uint32_t disk_depth)
{
    memset(&bench, 0, sizeof bench);
    fake_sys_init(&bench.fake);
    bytes_put_zeros(&bench.bytes, FILE_BYTES);
    fake_sys_add(&bench.fake, "/fake/file", &bench.bytes);
    bench.sim = (struct tresor__sim){.sys = &bench.fake.sys,
                                     .seed = 1,
                                     .workers = workers,
                                     .disk_depth = disk_depth,
                                     .disk_ns_per_kib = LATENCY_NS / 16,
                                     .begins_in_order = true,
                                     .on_alarm = on_alarm,
                                     .on_stuck = on_stuck,
                                     .cookie = &bench};
    for (uint32_t i = 0; i < TRESOR__EFFECT_COUNT; i++)
        bench.sim.latencies[i].least_ns = LATENCY_NS;
    struct tresor_allocator allocator = failing_allocator_hooks(&bench.memory);
    assert_error(tresor__bell_open(&bench.bell, &bench.fake.sys), TRESOR_OK);
    assert_error(
        tresor__sim_create(&bench.sim, &allocator, &bench.bell, EFFECTS, &bench.backend), TRESOR_OK);
}

static void end(void)
{
    bench.backend->destroy(bench.backend);
    tresor__bell_close(&bench.bell);
    assert_int_equal(bench.memory.outstanding_bytes, 0);
    assert_int_equal(bench.fake.used.count, 0);
    bytes_free(&bench.bytes);
    fake_sys_free(&bench.fake);
}

static void submit(uint8_t kind, uint32_t slot)
{
    struct tresor__effect effect = {.kind = kind,
                                    .machine = TRESOR__MACHINE_BLOCK,
                                    .on_ok = 1,
                                    .on_failed = 2,
                                    .slot = slot,
                                    .length = READ_BYTES,
                                    .descriptor = FAKE_DESCRIPTOR_FIRST,
                                    .address = bench.buffers[slot]};
    bench.backend->submit(bench.backend, &effect, 1);
}

static uint32_t poll(void)
{
    return bench.backend->poll(bench.backend, bench.completions, EFFECTS);
}

/* Sleeps until the next completion, which is one alone. Its slot. */
static uint32_t next(void)
{
    assert_int_equal(poll(), 0);
    while (!bench.backend->pending(bench.backend))
        bench.backend->wait(bench.backend, -1);
    assert_int_equal(poll(), 1);
    return bench.completions[0].slot;
}

static void workers_take_one_after_the_other(void **state)
{
    (void)state;
    start(2, 1);
    for (uint32_t i = 0; i < 3; i++)
        submit(TRESOR__EFFECT_CLOSE, i);
    assert_true(bench.backend->pending(bench.backend)); /* to begin them */
    assert_int_equal(poll(), 0);
    assert_false(bench.backend->pending(bench.backend));
    bench.backend->wait(bench.backend, -1);
    assert_int_equal(bench.sim.now_ns, LATENCY_NS);
    assert_int_equal(poll(), 2);
    assert_int_equal(next(), 2);
    assert_int_equal(bench.sim.now_ns, 2 * LATENCY_NS);
    assert_int_equal(bench.sim.answers, 3);
    end();
}

/* Both seek at the same time, but there is one disk: the second's bytes come behind the first's. */
static void the_disk_has_a_rate(void **state)
{
    (void)state;
    start(1, 2);
    for (uint32_t i = 0; i < 3; i++)
        submit(TRESOR__EFFECT_READ, i);
    assert_int_equal(next(), 0);
    assert_int_equal(bench.completions[0].value, READ_BYTES);
    assert_int_equal(bench.sim.now_ns, LATENCY_NS * 5 / 4);
    assert_int_equal(next(), 1);
    assert_int_equal(bench.sim.now_ns, LATENCY_NS * 6 / 4);
    assert_int_equal(next(), 2); /* which began when the first had ended */
    assert_int_equal(bench.sim.now_ns, LATENCY_NS * 5 / 4 * 2);
    end();
}

static void a_sleep_ends_at_its_time(void **state)
{
    (void)state;
    start(1, 1);
    bench.backend->wait(bench.backend, 7);
    assert_int_equal(bench.sim.now_ns, 7 * NS_PER_MS);
    submit(TRESOR__EFFECT_CLOSE, 0);
    bench.backend->wait(bench.backend, 7);
    assert_int_equal(bench.sim.now_ns, 7 * NS_PER_MS + LATENCY_NS);
    bench.backend->wait(bench.backend, 7); /* for what has ended already it does not sleep */
    assert_int_equal(bench.sim.now_ns, 7 * NS_PER_MS + LATENCY_NS);
    assert_int_equal(poll(), 1);
    tresor__bell_ring(&bench.bell);
    bench.backend->wait(bench.backend, -1);
    assert_int_equal(bench.sim.now_ns, 7 * NS_PER_MS + LATENCY_NS);
    assert_int_equal(bench.stuck, 0);
    bench.backend->wait(bench.backend, -1);
    assert_int_equal(bench.stuck, 1);
    end();
}

static void alarms_ring_in_their_order(void **state)
{
    (void)state;
    start(1, 1);
    for (uint32_t i = 0; i < TRESOR__SIM_ALARMS; i++)
        assert_true(tresor__sim_alarm(&bench.sim, i < 3 ? NS_PER_MS * (3 - i) : 9 * NS_PER_MS, i + 1));
    assert_false(tresor__sim_alarm(&bench.sim, 1, 9));
    tresor__sim_pass(&bench.sim, 2 * NS_PER_MS);
    assert_int_equal(bench.alarms, 32);
    assert_true(tresor__sim_alarm(&bench.sim, 1, 7));
    bench.backend->wait(bench.backend, -1);
    assert_int_equal(bench.alarms, 327);
    bench.backend->wait(bench.backend, -1);
    assert_int_equal(bench.alarms, 3271);
    assert_int_equal(bench.sim.now_ns, 3 * NS_PER_MS);
    end();
}

static const struct tresor__completion *find(uint8_t kind, uint32_t slot, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (bench.completions[i].kind == kind && bench.completions[i].slot == slot)
            return &bench.completions[i];
    fail_msg("no completion of kind %u for slot %u", kind, slot);
    return NULL;
}

/* One that waits ends without the disk; and each cancel has a completion of its own, also one that finds nothing. */
static void what_waits_is_cancelled(void **state)
{
    (void)state;
    start(1, 1);
    submit(TRESOR__EFFECT_READ, 0);
    submit(TRESOR__EFFECT_READ, 1);
    assert_int_equal(poll(), 0);
    submit(TRESOR__EFFECT_CANCEL, 1);
    submit(TRESOR__EFFECT_CANCEL, 5);
    bench.backend->wait(bench.backend, -1);
    assert_int_equal(poll(), 3);
    assert_int_equal(find(TRESOR__EFFECT_READ, 1, 3)->event, 2);
    assert_int_equal(find(TRESOR__EFFECT_CANCEL, 1, 3)->value, 1);
    assert_int_equal(find(TRESOR__EFFECT_CANCEL, 5, 3)->value, 0);
    assert_int_equal(next(), 0);
    assert_int_equal(bench.completions[0].value, READ_BYTES);
    end();
}

/* It is set aside, until nothing else could end the sleep. */
static void a_lost_completion_is_given_at_the_end(void **state)
{
    (void)state;
    start(1, 1);
    bench.sim.lose_answer = 1;
    submit(TRESOR__EFFECT_CLOSE, 0);
    submit(TRESOR__EFFECT_CLOSE, 1);
    assert_int_equal(next(), 1);
    assert_int_equal(bench.sim.stuck, 0);
    assert_int_equal(next(), 0);
    assert_int_equal(bench.sim.stuck, 1);
    assert_int_equal(bench.stuck, 0); /* nobody is told who could not go on */
    end();
}

static void no_memory_leaves_nothing(void **state)
{
    (void)state;
    start(1, 1);
    end();
    uint64_t calls = bench.memory.calls;
    for (uint64_t call = 1; call <= calls; call++) {
        struct failing_allocator memory = {.fail_call = call};
        struct tresor_allocator allocator = failing_allocator_hooks(&memory);
        struct tresor__backend *backend = NULL;
        assert_error(tresor__sim_create(&bench.sim, &allocator, &bench.bell, EFFECTS, &backend),
                     TRESOR_ERROR_NO_MEMORY);
        assert_int_equal(memory.outstanding_bytes, 0);
    }
    struct failing_allocator memory = {0};
    struct tresor_allocator allocator = failing_allocator_hooks(&memory);
    struct tresor__backend *backend = NULL;
    bench.fake.private_limit_bytes = 1; /* the bounce */
    assert_error(tresor__sim_create(&bench.sim, &allocator, &bench.bell, EFFECTS, &backend),
                 TRESOR_ERROR_NO_MEMORY);
    assert_int_equal(memory.outstanding_bytes, 0);
    fake_sys_free(&bench.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_take_one_after_the_other),
        cmocka_unit_test(the_disk_has_a_rate),
        cmocka_unit_test(a_sleep_ends_at_its_time),
        cmocka_unit_test(alarms_ring_in_their_order),
        cmocka_unit_test(what_waits_is_cancelled),
        cmocka_unit_test(a_lost_completion_is_given_at_the_end),
        cmocka_unit_test(no_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
