/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "exhaust/exhaust.h"

static bool is_pair(const char *ok, const char *failed)
{
    size_t stem = strlen(ok) - strlen("_OK");
    return strlen(ok) > 3 && strcmp(ok + stem, "_OK") == 0 && strncmp(ok, failed, stem) == 0 &&
           strcmp(failed + stem, "_FAILED") == 0;
}

/* X_OK and X_FAILED stand next to each other: machines ask with the first and one more. */
static void check_completions(const struct tresor__machine *machine)
{
    const struct tresor__event_row *events = machine->events;
    for (uint32_t i = 0; i < machine->event_count; i++) {
        if (events[i].kind != TRESOR__COMPLETION)
            continue;
        if (i + 1 >= machine->event_count || events[i + 1].kind != TRESOR__COMPLETION ||
            !is_pair(events[i].name, events[i + 1].name))
            fail_msg("%s: %s has no partner behind it", machine->name, events[i].name);
        i++;
    }
}

static void check_names(const struct tresor__machine *machine)
{
    for (uint32_t i = 0; i < machine->state_count; i++) {
        assert_true(machine->states[i].kind <= TRESOR__WAITING);
        assert_true(strlen(machine->states[i].text) > 0);
        for (uint32_t j = 0; j < i; j++)
            assert_string_not_equal(machine->states[i].name, machine->states[j].name);
    }
    for (uint32_t i = 0; i < machine->event_count; i++) {
        assert_true(machine->events[i].kind <= TRESOR__SIGNAL);
        for (uint32_t j = 0; j < i; j++)
            assert_string_not_equal(machine->events[i].name, machine->events[j].name);
    }
}

static void check_rules(const struct tresor__machine *machine, const struct tresor__cell *cell)
{
    assert_true(cell->count <= EXHAUST_RULES_MAX);
    for (uint32_t i = 0; i < cell->count; i++) {
        const struct tresor__rule *rule = &cell->rules[i];
        bool is_last = i + 1 == cell->count;
        assert_non_null(rule->action);
        assert_true(rule->target < machine->state_count || rule->target == TRESOR__STAY);
        assert_int_equal(rule->guard == NULL, rule->guard_name[0] == '\0');
        /* Without a guard behind the others, no input that is listed can be rejected. */
        assert_int_equal(rule->guard == NULL, is_last);
    }
}

void exhaust_check_table(const struct tresor__machine *machine)
{
    assert_true(machine->state_count <= EXHAUST_STATES_MAX);
    assert_true(machine->event_count <= EXHAUST_EVENTS_MAX);
    check_names(machine);
    check_completions(machine);
    for (uint32_t i = 0; i < machine->state_count * machine->event_count; i++)
        check_rules(machine, &machine->cells[i]);
    for (uint32_t event = 0; event < machine->event_count; event++) {
        uint32_t inheriting = 0;
        check_rules(machine, &machine->waiting_cells[event]);
        for (uint32_t state = 0; state < machine->state_count; state++)
            inheriting += machine->states[state].kind == TRESOR__WAITING &&
                          machine->cells[state * machine->event_count + event].count == 0;
        assert_true(machine->waiting_cells[event].count == 0 || inheriting > 0);
    }
}
