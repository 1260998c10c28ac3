/* SPDX-License-Identifier: MIT */
#include "states.h"

#include <stdio.h>
#include <string.h>

/** The columns that the longest name of each kind needs. */
struct widths {
    int state;
    int event;
    int guard;
    int action;
};

static void widen(int *width, const char *text)
{
    const int own = (int)strlen(text);
    *width = own > *width ? own : *width;
}

static void widen_by_rule(void *cookie, const struct state_rule *rule)
{
    struct widths *widths = cookie;
    widen(&widths->state, rule->from);
    widen(&widths->event, rule->event);
    widen(&widths->guard, rule->guard);
    widen(&widths->action, rule->action);
}

static void print_row(const struct widths *widths, const char *from, const char *event,
                      const char *guard, const char *action, const char *to)
{
    printf("  %-*s  %-*s  %-*s  %-*s  %s\n", widths->state, from, widths->event, event,
           widths->guard, guard, widths->action, action, to);
}

static void print_rule(void *cookie, const struct state_rule *rule)
{
    print_row(cookie, rule->from, rule->event, *rule->guard ? rule->guard : "-", rule->action,
              rule->to);
}

static void print_rejected(uint32_t position, const char *event)
{
    printf("%s%s", position > 0 ? " " : "", event);
}

static void print_states(uint32_t machine, const struct widths *widths)
{
    struct tresor_state_info state;
    puts("\n  states");
    for (uint32_t i = 0; tresor_machine_state(machine, i, &state); i++)
        printf("  %-*s  %-5s  %s\n", widths->state, state.name, state.waiting ? "waits" : "rests",
               state.text);
}

static void print_matrix(uint32_t machine, struct widths *widths)
{
    struct tresor_state_info state;
    putchar('\n');
    print_row(widths, "state", "event", "guard", "action", "next");
    for (uint32_t i = 0; tresor_machine_state(machine, i, &state); i++) {
        states_each_rule(machine, i, print_rule, widths);
        if (states_each_rejected(machine, i, NULL) == 0)
            continue;
        printf("  %-*s  rejects: ", widths->state, state.name);
        states_each_rejected(machine, i, print_rejected);
        putchar('\n');
    }
}

static void print_machine(uint32_t machine)
{
    struct tresor_machine_info info;
    struct widths widths = {.state = 5, .event = 5, .guard = 5, .action = 6};
    if (!tresor_machine_info(machine, &info))
        return;
    for (uint32_t i = 0; i < info.state_count; i++)
        states_each_rule(machine, i, widen_by_rule, &widths);
    printf("%s: %s\n", info.name, info.text);
    print_states(machine, &widths);
    print_matrix(machine, &widths);
}

void states_print_table(uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            putchar('\n');
        print_machine(first + i);
    }
}
