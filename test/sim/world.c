/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "support/random.h"

enum {
    ARENA_BYTES = 128 * 1024 * 1024, /* so that only a limit is a lack of memory */
    STUCK_MAX = 10000,
    NS_PER_US = 1000,
    STALL_MS = 20,
};

void sim_world_make(struct sim_world *world)
{
    models_make(&world->models);
    fake_sys_init(&world->fake);
    world->fake.arena_bytes = ARENA_BYTES;
}

void sim_world_free(struct sim_world *world)
{
    fake_sys_free(&world->fake);
    models_free(&world->models);
}

struct sim_knobs sim_knobs_of(uint64_t seed)
{
    static const uint32_t rates[] = {100, 512, 4096, 60000};
    uint64_t chance = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    struct sim_knobs knobs = {.seed = seed, .kind = seed % SIM_KINDS, .moves = SIM_MOVES};
    random_next(&chance);
    knobs.workers = 1 + random_below(&chance, 4);
    knobs.disk_depth = 1u << random_below(&chance, 6);
    knobs.disk_ns_per_kib = rates[random_below(&chance, 4)];
    knobs.slowness_percent = 1 + random_below(&chance, 400);
    knobs.stall_once_in = random_below(&chance, 2) * 30;
    knobs.begins_in_order = random_once_in(&chance, 2);
    return knobs;
}

/* --- the machine --- */

/* In microseconds, least and spread, of a good disk and four workers. */
static const struct {
    uint32_t least;
    uint32_t spread;
} usual[TRESOR__EFFECT_COUNT] = {
    [TRESOR__EFFECT_OPEN] = {15, 30},     [TRESOR__EFFECT_OPEN_DIRECT] = {15, 30},
    [TRESOR__EFFECT_STAT] = {1, 3},       [TRESOR__EFFECT_CLOSE] = {1, 10},
    [TRESOR__EFFECT_WORK] = {20, 200},    [TRESOR__EFFECT_RESERVE] = {5, 10},
    [TRESOR__EFFECT_RELEASE] = {10, 60},  [TRESOR__EFFECT_MAP] = {4, 20},
    [TRESOR__EFFECT_UNMAP] = {4, 60},     [TRESOR__EFFECT_MOVE] = {10, 60},
    [TRESOR__EFFECT_REPLACE] = {10, 60},  [TRESOR__EFFECT_POPULATE] = {20, 80},
    [TRESOR__EFFECT_READAHEAD] = {20, 80}, [TRESOR__EFFECT_READ] = {60, 60},
    [TRESOR__EFFECT_CANCEL] = {1, 5},     [TRESOR__EFFECT_ADVISE] = {2, 10},
    [TRESOR__EFFECT_LOCK] = {10, 40},     [TRESOR__EFFECT_UNLOCK] = {5, 20},
    [TRESOR__EFFECT_QUERY] = {10, 20},    [TRESOR__EFFECT_DIGEST] = {20, 300},
};

static uint64_t scale(uint32_t microseconds, uint32_t percent)
{
    return (uint64_t)microseconds * NS_PER_US * percent / 100;
}

static void on_alarm(void *cookie, uint32_t number)
{
    sim_change(cookie, number);
}

/* The library would sleep again and again. */
static void on_stuck(void *cookie)
{
    struct sim_world *world = cookie;
    if (++world->stuck == STUCK_MAX)
        abort();
}

static void set_machine(struct sim_world *world, const struct sim_knobs *knobs)
{
    world->sim = (struct tresor__sim){
        .seed = knobs->seed * UINT64_C(0xd1342543de82ef95) | 1,
        .workers = knobs->workers,
        .disk_depth = knobs->disk_depth,
        .disk_ns_per_kib = knobs->disk_ns_per_kib,
        .begins_in_order = knobs->begins_in_order,
        .poll = {.least_ns = NS_PER_US, .spread_ns = 10 * NS_PER_US},
        .on_alarm = on_alarm,
        .on_stuck = on_stuck,
        .cookie = world,
        .lose_answer = knobs->lose_answer,
    };
    for (uint32_t i = 0; i < TRESOR__EFFECT_COUNT; i++)
        world->sim.latencies[i] = (struct tresor__sim_latency){
            .least_ns = scale(usual[i].least, knobs->slowness_percent),
            .spread_ns = scale(usual[i].spread, knobs->slowness_percent),
            .stall_ns = scale(STALL_MS * 1000, knobs->slowness_percent),
            .stall_once_in = knobs->stall_once_in,
        };
}

/* --- a run --- */

static struct host_plan plan_of(struct sim_world *world, const struct sim_knobs *knobs,
                                const struct sim_choices *choices)
{
    struct host_plan plan = {
        .seed = knobs->seed,
        .has_faults = knobs->kind == SIM_BROKEN,
        .backend = TRESOR_BACKEND_POOL, /* so that it is asked for as much as workers would be */
        .sim = &world->sim,
        .is_disturbed = knobs->kind != SIM_GOOD,
        .script = choices ? choices->script : NULL,
        .script_bytes = choices ? choices->script_bytes : 0,
        .record = choices ? choices->record : NULL,
        .trace = choices ? choices->trace : NULL,
    };
    plan.ways = sim_ways(knobs->kind, &plan.way_count);
    return plan;
}

static void tell(struct sim_world *world, struct sim_result *result)
{
    const struct host *host = &world->host;
    *result = (struct sim_result){
        .digest = host->digest,
        .steps = host->transitions,
        .effects = world->sim.asked,
        .transfers = world->fake.transfers,
        .loads = host->loads,
        .loaded = host->loaded,
        .passed_ns = world->sim.now_ns,
    };
    memcpy(result->violation, host->violation, sizeof result->violation);
}

void sim_world_run(struct sim_world *world, const struct sim_knobs *knobs,
                   const struct sim_choices *choices, struct sim_result *result)
{
    struct host *host = &world->host;
    struct host_plan plan = plan_of(world, knobs, choices);
    world->change_count = world->stuck = 0;
    fake_sys_reset(&world->fake);
    models_add_to(&world->models, &world->fake);
    world->fake.flip_transfer = knobs->flip_transfer;
    set_machine(world, knobs);
    if (host_start(host, &plan, &world->models, &world->fake))
        for (uint32_t i = 0; i < knobs->moves && !host->violation[0]; i++) {
            if (host_is_script_over(host))
                break;
            host_move(host);
        }
    host_end(host);
    tell(world, result);
    if (host->violation[0])
        host_abandon(host);
}
