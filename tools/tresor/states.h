/* SPDX-License-Identifier: MIT */
/* The machines' tables, walked once and rendered in several ways. */
#ifndef TOOL_STATES_H
#define TOOL_STATES_H

#include <stdint.h>

#include <tresor/observe.h>

/** One rule, by names. */
struct state_rule {
    const char *from;
    const char *event;
    const char *guard; /* "" where there is none */
    const char *action;
    const char *to;
};

typedef void state_rule_visitor(void *cookie, const struct state_rule *rule);

/** Visit the rules of a state by event, in the order in which they are tried. */
void states_each_rule(uint32_t machine, uint32_t state, state_rule_visitor *visit, void *cookie);

/** The names of the events for which a state has no rule, in order, to `visit`. Returns how many
 * there are. */
uint32_t states_each_rejected(uint32_t machine, uint32_t state,
                              void (*visit)(uint32_t position, const char *event));

/** Print to the standard output `count` machines from `first` on. */
typedef void states_renderer(uint32_t first, uint32_t count);

states_renderer states_print_table;
states_renderer states_print_mermaid;
states_renderer states_print_dot;
states_renderer states_print_markdown;
states_renderer states_print_names;

#endif
