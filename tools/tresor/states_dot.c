/* SPDX-License-Identifier: MIT */
/* A graphviz digraph with a cluster for each machine. Waiting states are dashed. */
#include "states.h"

#include <stdio.h>
#include <string.h>

static void print_edge(void *cookie, const struct state_rule *rule)
{
    const char *machine = cookie;
    printf("        \"%s.%s\" -> \"%s.%s\" [label=\"%s", machine, rule->from, machine, rule->to,
           rule->event);
    if (*rule->guard)
        printf(" [%s]", rule->guard);
    if (strcmp(rule->action, "none") != 0)
        printf("\\n%s", rule->action);
    puts("\"]");
}

static void print_machine(uint32_t machine, const char *name)
{
    struct tresor_state_info state;
    char owner[64];
    snprintf(owner, sizeof owner, "%s", name);
    printf("    subgraph \"cluster_%s\" {\n        label=\"%s\"\n", name, name);
    for (uint32_t i = 0; tresor_machine_state(machine, i, &state); i++)
        printf("        \"%s.%s\" [label=\"%s\", style=%s]\n", name, state.name, state.name,
               state.waiting ? "dashed" : "solid");
    for (uint32_t i = 0; tresor_machine_state(machine, i, &state); i++)
        states_each_rule(machine, i, print_edge, owner);
    puts("    }");
}

void states_print_dot(uint32_t first, uint32_t count)
{
    struct tresor_machine_info info;
    puts("digraph tresor {\n    node [shape=box]");
    for (uint32_t i = first; i < first + count && tresor_machine_info(i, &info); i++)
        print_machine(i, info.name);
    puts("}");
}
