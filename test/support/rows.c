/* SPDX-License-Identifier: MIT */
#include "support/rows.h"

#include <stdio.h>
#include <string.h>

#include "tensor/machines.h"

enum {
    STATES_MAX = 24,
    EVENTS_MAX = 24,
    RULES_MAX = 8,
};

/* The rules of all WAITING states stand behind the last state, for they are rows once. */
static uint64_t taken[TRESOR__MACHINE_COUNT][STATES_MAX + 1][EVENTS_MAX][RULES_MAX];

/* Texts are those of the tables themselves. */
static uint32_t machine_of(const char *name)
{
    uint32_t machine = 0;
    while (tresor__machines[machine]->name != name)
        machine++;
    return machine;
}

static uint32_t state_of(const struct tresor__machine *machine, const char *name)
{
    uint32_t state = 0;
    while (machine->states[state].name != name)
        state++;
    return state;
}

static uint32_t event_of(const struct tresor__machine *machine, const char *name)
{
    uint32_t event = 0;
    while (machine->events[event].name != name)
        event++;
    return event;
}

bool rows_take(const struct tresor_transition *transition)
{
    uint32_t id = machine_of(transition->machine);
    const struct tresor__machine *machine = tresor__machines[id];
    uint32_t state = state_of(machine, transition->from);
    uint32_t event = event_of(machine, transition->event);
    const struct tresor__cell *cell = tresor__machine_cell(machine, state, event);
    uint32_t rule = 0;
    while (cell->rules[rule].guard_name != transition->guard ||
           cell->rules[rule].action_name != transition->action)
        rule++;
    if (cell == &machine->waiting_cells[event])
        state = STATES_MAX;
    return taken[id][state][event][rule]++ == 0;
}

static bool is_one_of(const char *name, const char *const *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static enum rows_part part_of(const struct tresor__machine *machine, const char *state, const char *guard)
{
    static const char *const states[] = {"HOLDING", "DECODING", "ROOMING", "FETCHING", "CUTTING"};
    static const char *const guards[] = {"is_compressed", "is_all_held"};
    bool decodes = machine->id == TRESOR__MACHINE_SOURCE &&
                   (is_one_of(state, states, 5) || is_one_of(guard, guards, 2));
    return decodes ? ROWS_OF_DECODING : ROWS_OF_ALL_ELSE;
}

struct sums {
    enum rows_part part;
    uint32_t missing;
    uint32_t total;
};

static void print_cell(struct sums *sums, const struct tresor__machine *machine, uint32_t place,
                       const char *state, uint32_t event)
{
    const struct tresor__cell *cell = place == STATES_MAX
                                          ? &machine->waiting_cells[event]
                                          : &machine->cells[place * machine->event_count + event];
    for (uint32_t rule = 0; rule < cell->count; rule++) {
        const struct tresor__rule *row = &cell->rules[rule];
        if (part_of(machine, state, row->guard_name) != sums->part)
            continue;
        sums->total++;
        if (taken[machine->id][place][event][rule] > 0)
            continue;
        sums->missing++;
        printf("# never taken: %s: %s, %s: %s%s%s\n", machine->name, state,
               machine->events[event].name, row->guard_name, row->guard_name[0] ? " -> " : "",
               row->action_name);
    }
}

uint32_t rows_print_missing(enum rows_part part, uint32_t *total)
{
    struct sums sums = {.part = part};
    for (uint32_t id = 0; id < TRESOR__MACHINE_COUNT; id++) {
        const struct tresor__machine *machine = tresor__machines[id];
        for (uint32_t event = 0; event < machine->event_count; event++) {
            for (uint32_t state = 0; state < machine->state_count; state++)
                print_cell(&sums, machine, state, machine->states[state].name, event);
            print_cell(&sums, machine, STATES_MAX, "all that wait", event);
        }
    }
    *total = sums.total;
    return sums.missing;
}
