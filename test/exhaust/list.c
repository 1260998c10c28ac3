/* SPDX-License-Identifier: MIT */
/* Every machine has a fixture, and the tables' public view says what the tables say. */
#include <string.h>

#include <tresor/observe.h>

#include "support/test.h"
#include "tensor/machines.h"

static void every_machine_has_a_fixture(void **state)
{
    char listed[] = EXHAUST_MACHINES;
    uint32_t count = 0;
    (void)state;
    for (char *name = strtok(listed, " "); name; name = strtok(NULL, " ")) {
        uint32_t found = 0;
        for (uint32_t i = 0; i < TRESOR__MACHINE_COUNT; i++)
            found += strcmp(tresor__machines[i]->name, name) == 0;
        assert_int_equal(found, 1);
        count++;
    }
    assert_int_equal(count, TRESOR__MACHINE_COUNT);
}

static void identifiers_agree(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < TRESOR__MACHINE_COUNT; i++)
        assert_int_equal(tresor__machines[i]->id, i);
}

static void check_view_of_cell(uint32_t machine, uint32_t state, uint32_t event)
{
    struct tresor_rule_info info;
    const struct tresor__cell *cell = tresor__machine_cell(tresor__machines[machine], state, event);
    for (uint32_t i = 0; i < cell->count; i++) {
        uint32_t target = cell->rules[i].target;
        assert_int_equal(tresor_machine_rule(machine, state, event, i, &info), 1);
        assert_string_equal(info.guard, cell->rules[i].guard_name);
        assert_string_equal(info.action, cell->rules[i].action_name);
        assert_int_equal(info.target, target == TRESOR__STAY ? state : target);
    }
    assert_int_equal(tresor_machine_rule(machine, state, event, cell->count, &info), 0);
}

static void view_says_what_tables_say(void **state)
{
    struct tresor_machine_info info;
    struct tresor_state_info row;
    (void)state;
    assert_int_equal(tresor_machine_count(), TRESOR__MACHINE_COUNT);
    assert_int_equal(tresor_machine_info(TRESOR__MACHINE_COUNT, &info), 0);
    assert_null(tresor_machine_event(TRESOR__MACHINE_COUNT, 0));
    for (uint32_t i = 0; i < TRESOR__MACHINE_COUNT; i++) {
        const struct tresor__machine *machine = tresor__machines[i];
        assert_int_equal(tresor_machine_info(i, &info), 1);
        assert_string_equal(info.name, machine->name);
        assert_int_equal(info.state_count, machine->state_count);
        assert_int_equal(info.event_count, machine->event_count);
        assert_int_equal(tresor_machine_state(i, machine->state_count, &row), 0);
        assert_null(tresor_machine_event(i, machine->event_count));
        for (uint32_t s = 0; s < machine->state_count; s++) {
            assert_int_equal(tresor_machine_state(i, s, &row), 1);
            assert_string_equal(row.name, machine->states[s].name);
            assert_int_equal(row.waiting, machine->states[s].kind == TRESOR__WAITING);
            for (uint32_t event = 0; event < machine->event_count; event++)
                check_view_of_cell(i, s, event);
        }
        for (uint32_t event = 0; event < machine->event_count; event++)
            assert_string_equal(tresor_machine_event(i, event), machine->events[event].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_machine_has_a_fixture),
        cmocka_unit_test(identifiers_agree),
        cmocka_unit_test(view_says_what_tables_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
