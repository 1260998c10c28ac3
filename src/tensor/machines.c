/* SPDX-License-Identifier: MIT */
/* The list of all machines, and the public view of their tables. */
#include "tensor/machines.h"

#include <tresor/observe.h>

#include "source/check.h"
#include "tensor/controller.h"

const struct tresor__machine *const tresor__machines[TRESOR__MACHINE_COUNT] = {
#define MACHINE(NAME, name, text) &tresor__##name##_machine,
#include "core/machines.def"
#undef MACHINE
};

static const char *const texts[TRESOR__MACHINE_COUNT] = {
#define MACHINE(NAME, name, text) text,
#include "core/machines.def"
#undef MACHINE
};

uint32_t tresor_machine_count(void)
{
    return TRESOR__MACHINE_COUNT;
}

int32_t tresor_machine_info(uint32_t machine, struct tresor_machine_info *info)
{
    if (machine >= TRESOR__MACHINE_COUNT || !info)
        return 0;
    const struct tresor__machine *table = tresor__machines[machine];
    *info = (struct tresor_machine_info){.name = table->name,
                                         .text = texts[machine],
                                         .state_count = table->state_count,
                                         .event_count = table->event_count};
    return 1;
}

int32_t tresor_machine_state(uint32_t machine, uint32_t state, struct tresor_state_info *info)
{
    if (machine >= TRESOR__MACHINE_COUNT || state >= tresor__machines[machine]->state_count ||
        !info)
        return 0;
    const struct tresor__state_row *row = &tresor__machines[machine]->states[state];
    *info = (struct tresor_state_info){
        .name = row->name, .text = row->text, .waiting = row->kind == TRESOR__WAITING};
    return 1;
}

int32_t tresor_machine_rule(uint32_t machine, uint32_t state, uint32_t event, uint32_t rule,
                            struct tresor_rule_info *info)
{
    if (machine >= TRESOR__MACHINE_COUNT || state >= tresor__machines[machine]->state_count ||
        event >= tresor__machines[machine]->event_count || !info)
        return 0;
    const struct tresor__cell *cell = tresor__machine_cell(tresor__machines[machine], state, event);
    if (rule >= cell->count)
        return 0;
    const struct tresor__rule *row = &cell->rules[rule];
    *info = (struct tresor_rule_info){
        .guard = row->guard_name,
        .action = row->action_name,
        .target = row->target == TRESOR__STAY ? state : row->target,
    };
    return 1;
}

const char *tresor_machine_event(uint32_t machine, uint32_t event)
{
    if (machine >= TRESOR__MACHINE_COUNT || event >= tresor__machines[machine]->event_count)
        return NULL;
    return tresor__machines[machine]->events[event].name;
}
