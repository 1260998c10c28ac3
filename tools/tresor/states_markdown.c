/* SPDX-License-Identifier: MIT */
/* A page on each machine, as kept in docs/machines. */
#include "states.h"

#include <stdio.h>

static void print_rule(void *cookie, const struct state_rule *rule)
{
    (void)cookie;
    printf("| %s | %s | %s | %s | %s |\n", rule->from, rule->event, rule->guard, rule->action,
           rule->to);
}

static void print_rejected(uint32_t position, const char *event)
{
    printf("%s%s", position > 0 ? ", " : "", event);
}

static void print_states(uint32_t machine)
{
    struct tresor_state_info state;
    puts("## States\n\n| state | | what is owned and awaited |\n|---|---|---|");
    for (uint32_t i = 0; tresor_machine_state(machine, i, &state); i++)
        printf("| %s | %s | %s |\n", state.name, state.waiting ? "waits" : "rests", state.text);
}

static void print_matrix(uint32_t machine)
{
    struct tresor_state_info state;
    puts("\n## Rules\n\n"
         "The first rule of a state and an event whose guard holds is taken.\n\n"
         "| state | event | guard | action | next state |\n|---|---|---|---|---|");
    for (uint32_t i = 0; tresor_machine_state(machine, i, &state); i++)
        states_each_rule(machine, i, print_rule, NULL);
    puts("\nEverything else is rejected and changes nothing:\n\n| state | events |\n|---|---|");
    for (uint32_t i = 0; tresor_machine_state(machine, i, &state); i++) {
        printf("| %s | ", state.name);
        states_each_rejected(machine, i, print_rejected);
        puts(" |");
    }
}

void states_print_markdown(uint32_t first, uint32_t count)
{
    struct tresor_machine_info info;
    for (uint32_t i = first; i < first + count && tresor_machine_info(i, &info); i++) {
        printf("# The %s machine\n\nIt stands for %s. This page is made by `tools/docs` from the\n"
               "table that the library runs. Dashed states wait for an answer.\n\n```mermaid\n",
               info.name, info.text);
        states_print_mermaid(i, 1);
        puts("```\n");
        print_states(i);
        print_matrix(i);
        if (i + 1 < first + count)
            putchar('\n');
    }
}
