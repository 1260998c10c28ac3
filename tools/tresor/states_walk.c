/* SPDX-License-Identifier: MIT */
#include "states.h"

#include <stddef.h>

void states_each_rule(uint32_t machine, uint32_t state, state_rule_visitor *visit, void *cookie)
{
    struct tresor_state_info from;
    struct tresor_state_info to;
    struct tresor_rule_info rule;
    const char *name;
    if (!tresor_machine_state(machine, state, &from))
        return;
    for (uint32_t event = 0; (name = tresor_machine_event(machine, event)); event++) {
        for (uint32_t i = 0; tresor_machine_rule(machine, state, event, i, &rule); i++) {
            if (!tresor_machine_state(machine, rule.target, &to))
                continue;
            const struct state_rule named = {from.name, name, rule.guard, rule.action, to.name};
            visit(cookie, &named);
        }
    }
}

uint32_t states_each_rejected(uint32_t machine, uint32_t state,
                              void (*visit)(uint32_t position, const char *event))
{
    struct tresor_rule_info rule;
    const char *name;
    uint32_t count = 0;
    for (uint32_t event = 0; (name = tresor_machine_event(machine, event)); event++) {
        if (tresor_machine_rule(machine, state, event, 0, &rule))
            continue;
        if (visit)
            visit(count, name);
        count++;
    }
    return count;
}
