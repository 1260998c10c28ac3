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

/** What an action sends: all of `always`, and all of `sometimes` exactly where the knob `when` is
 * set. */
struct exhaust_action {
    const char *name;
    uint64_t always;
    uint64_t sometimes;
    uint32_t when;
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

    const uint32_t
        *retries; /* in the world: zero when one of `fresh` is asked for on entering a state */
    uint64_t fresh;

    const struct exhaust_action *actions; /* NULL: only `messages` is looked at */
    uint32_t action_count;

    uint64_t effects;  /* kinds that it may ask for */
    uint64_t messages; /* kinds that it may send */
    uint32_t source;   /* of its effects */
    uint32_t slot;
    uint32_t file;

    uint64_t signal_waits; /* states that wait for another machine, not for an effect */
    uint64_t floating;     /* kinds of effects that may be out in any state */
    uint64_t deaf;         /* WAITING states that a CANCEL never reaches */
    uint64_t eager;        /* states that need a turn: whoever enters one asks for it */
    uint64_t looked; /* states that need a turn if there is work: whoever enters one asks for it, or
                        for a look */
};

#define EXHAUST_WORLD(object) .world = &(object), .world_bytes = sizeof(object)
#define EXHAUST_GUARDS(rows) .guards = (rows), .guard_count = sizeof(rows) / sizeof((rows)[0])

#define EXHAUST_ACTIONS(rows) .actions = (rows), .action_count = sizeof(rows) / sizeof((rows)[0])
#define EXHAUST_SENDS(name) EXHAUST_BIT(TRESOR__MESSAGE_##name)

/** Knobs for what a read brought: one of them, or none for all that was asked for. */
enum {
    READ_ZERO = 1 << 24,
    READ_SHORT = 1 << 25,
    READ_OVER = 1 << 26,
    READ_NEGATIVE = 1 << 27,
    READ_VALUES = READ_ZERO | READ_SHORT | READ_OVER | READ_NEGATIVE,
};

/** No two of the `exclusive` knobs are set. */
static inline bool exhaust_at_most_one(uint32_t knobs, uint32_t exclusive)
{
    uint32_t set = knobs & exclusive;
    return (set & (set - 1)) == 0;
}

/** The value of a read of `left` bytes. */
static inline int64_t exhaust_read_value(uint32_t knobs, int64_t left)
{
    return knobs & READ_ZERO       ? 0
           : knobs & READ_SHORT    ? left - 1
           : knobs & READ_OVER     ? left + 1
           : knobs & READ_NEGATIVE ? -1
                                   : left;
}

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

/** Names, kinds and targets of the table, and that who waits listens to CANCEL. */
void exhaust_check_table(const struct exhaust_fixture *fixture);

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
