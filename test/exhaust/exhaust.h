/* SPDX-License-Identifier: MIT */
/*
 * Steps every cell of a machine's table. A machine's fixture makes its world in each state, once
 * for every combination of the knobs that matter there, so that every guard holds and fails; what
 * the knobs promise, the guards must say.
 */
#ifndef TEST_EXHAUST_EXHAUST_H
#define TEST_EXHAUST_EXHAUST_H

#include "core/fsm.h"
#include "support/test.h"

enum {
    EXHAUST_STATES_MAX = 24,
    EXHAUST_EVENTS_MAX = 24,
    EXHAUST_RULES_MAX = 8,
};

#define EXHAUST_BIT(number) (UINT64_C(1) << (number))

/** A guard holds where all of `all` are set, none of `none`, and (unless it is 0) one of `any`. */
struct exhaust_guard {
    const char *name;
    uint32_t all;
    uint32_t none;
    uint32_t any;
};

struct exhaust_fixture {
    const struct tresor__machine *machine;

    /* Everything that a step can reach, as one block. */
    void *world;
    size_t world_bytes;

    /* Makes the world and returns the machine's context in `state`; NULL where these knobs make no
     * sense together. */
    void *(*make)(uint32_t state, uint32_t event, uint32_t knobs);
    struct tresor__input (*input)(uint32_t event, uint32_t knobs);
    void (*check)(void);   /* of what is around the machine; NULL: nothing */
    const uint32_t *knobs; /* by state: those that matter there */

    const struct exhaust_guard *guards;
    uint32_t guard_count;

    uint64_t effects;  /* kinds that it may ask for */
    uint64_t messages; /* kinds that it may send */
    uint32_t source;   /* of its effects */
    uint32_t slot;
    uint32_t file;

    uint64_t signal_waits; /* states that wait for another machine, not for an effect */
    uint64_t floating;     /* kinds of effects that may be out in any state */
    uint64_t eager;        /* states that need a turn: whoever enters one asks for it */
};

/** Run all tests on the fixture; what main returns. */
int exhaust_run(const struct exhaust_fixture *fixture);

/* --- what stepping saw, for the checks that follow --- */

/** One rule: how often it was taken, and the effects that it asked for, by the bit of their event
 * for success. */
struct exhaust_seen {
    uint32_t taken;
    uint32_t held; /* how often its guard held, and did not */
    uint32_t refused;
    uint32_t asked_always;
    uint32_t asked_ever;
};

struct exhaust_record {
    uint32_t stepped[EXHAUST_STATES_MAX][EXHAUST_EVENTS_MAX];
    struct exhaust_seen rules[EXHAUST_STATES_MAX][EXHAUST_EVENTS_MAX][EXHAUST_RULES_MAX];
    uint64_t kinds[EXHAUST_EVENTS_MAX]; /* of the effects that an event for success belongs to */
};

/** Step every cell with every combination of knobs. */
void exhaust_step_all(const struct exhaust_fixture *fixture, struct exhaust_record *record);

/** Names, kinds and targets of the table. */
void exhaust_check_table(const struct tresor__machine *machine);

/**
 * Follow every rule from the first state together with the set of effects that are out: every state
 * and every listed completion can be reached, no completion can arrive where it is not listed, and
 * nobody waits for nothing.
 */
void exhaust_check_outstanding(const struct exhaust_fixture *fixture,
                               const struct exhaust_record *record);

/** Number of calls of malloc and its like so far. */
uint64_t exhaust_allocations(void);

#endif
