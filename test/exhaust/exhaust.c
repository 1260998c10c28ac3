/* SPDX-License-Identifier: MIT */
#include "exhaust/exhaust.h"

static const struct exhaust_fixture *fixture;
static struct exhaust_record record;

static void table_is_sound(void **state)
{
    (void)state;
    exhaust_check_table(fixture->machine);
}

static void every_cell_is_stepped(void **state)
{
    const struct tresor__machine *machine = fixture->machine;
    (void)state;
    exhaust_step_all(fixture, &record);
    for (uint32_t i = 0; i < machine->state_count; i++)
        for (uint32_t event = 0; event < machine->event_count; event++)
            if (record.stepped[i][event] == 0)
                fail_msg("%s: %s, %s was not stepped", machine->name, machine->states[i].name,
                         machine->events[event].name);
}

/* In every cell every rule was taken, and every guard was asked where it holds and where it does
 * not. */
static void every_rule_is_taken(void **state)
{
    const struct tresor__machine *machine = fixture->machine;
    uint32_t cells = 0;
    uint32_t rules = 0;
    (void)state;
    for (uint32_t i = 0; i < machine->state_count; i++) {
        for (uint32_t event = 0; event < machine->event_count; event++) {
            const struct tresor__cell *cell = tresor__machine_cell(machine, i, event);
            cells += cell->count > 0;
            rules += cell->count;
            for (uint32_t rule = 0; rule < cell->count; rule++) {
                const struct exhaust_seen *seen = &record.rules[i][event][rule];
                if (seen->taken == 0)
                    fail_msg("%s: %s, %s: nothing takes %s", machine->name, machine->states[i].name,
                             machine->events[event].name, cell->rules[rule].action_name);
                if (cell->rules[rule].guard && (seen->held == 0 || seen->refused == 0))
                    fail_msg("%s: %s, %s: %s has one answer only", machine->name,
                             machine->states[i].name, machine->events[event].name,
                             cell->rules[rule].guard_name);
            }
        }
    }
    print_message("%s: %u of %u cells listed, %u rules taken\n", machine->name, cells,
                  machine->state_count * machine->event_count, rules);
}

static void no_completion_is_lost(void **state)
{
    (void)state;
    exhaust_check_outstanding(fixture, &record);
}

int exhaust_run(const struct exhaust_fixture *given)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test(every_cell_is_stepped),
        cmocka_unit_test(every_rule_is_taken),
        cmocka_unit_test(no_completion_is_lost),
    };
    fixture = given;
    return cmocka_run_group_tests_name(given->machine->name, tests, NULL, NULL);
}
