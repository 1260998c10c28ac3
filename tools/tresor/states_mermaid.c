/* SPDX-License-Identifier: MIT */
/* A mermaid state diagram; several machines become composite states of one. Waiting states are
 * dashed. */
#include "states.h"

#include <stdio.h>
#include <string.h>

static void print_edge(void *cookie, const struct state_rule *rule)
{
    const char *prefix = cookie;
    printf("    %s%s --> %s%s : %s", prefix, rule->from, prefix, rule->to, rule->event);
    if (*rule->guard)
        printf(" [%s]", rule->guard);
    if (strcmp(rule->action, "none") != 0)
        printf(" / %s", rule->action);
    putchar('\n');
}

static void print_body(uint32_t machine, char *prefix)
{
    struct tresor_state_info state;
    for (uint32_t i = 0; tresor_machine_state(machine, i, &state); i++) {
        if (*prefix)
            printf("    state \"%s\" as %s%s\n", state.name, prefix, state.name);
        if (i == 0)
            printf("    [*] --> %s%s\n", prefix, state.name);
        states_each_rule(machine, i, print_edge, prefix);
    }
}

static void print_waiting(uint32_t machine, const char *prefix)
{
    struct tresor_state_info state;
    for (uint32_t i = 0; tresor_machine_state(machine, i, &state); i++) {
        if (state.waiting)
            printf("    class %s%s waiting\n", prefix, state.name);
    }
}

static void print_machines(uint32_t first, uint32_t count)
{
    struct tresor_machine_info info;
    for (uint32_t i = first; i < first + count && tresor_machine_info(i, &info); i++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "%s_", info.name);
        printf("    state %s {\n", info.name);
        print_body(i, prefix);
        puts("    }");
        print_waiting(i, prefix);
    }
}

void states_print_mermaid(uint32_t first, uint32_t count)
{
    char none[] = "";
    puts("stateDiagram-v2");
    puts("    classDef waiting stroke-dasharray: 4");
    if (count > 1) {
        print_machines(first, count);
        return;
    }
    print_body(first, none);
    print_waiting(first, none);
}
