/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "exhaust/exhaust.h"

enum {
    NODES_MAX = 4096
};

/* A state and the effects that are out in it, by the bit of their event for success. */
struct node {
    uint32_t state;
    uint32_t out;
    uint32_t many; /* those that may be out more than once */
};

struct search {
    const struct exhaust_fixture *fixture;
    const struct exhaust_record *record;
    struct node nodes[NODES_MAX];
    uint32_t count;
    bool delivered[EXHAUST_STATES_MAX][EXHAUST_EVENTS_MAX];
};

static void add(struct search *search, struct node node)
{
    for (uint32_t i = 0; i < search->count; i++)
        if (memcmp(&search->nodes[i], &node, sizeof node) == 0)
            return;
    assert_true(search->count < NODES_MAX);
    search->nodes[search->count++] = node;
}

/* An event for failure stands behind its event for success. */
static uint32_t pair_of(const struct tresor__machine *machine, uint32_t event)
{
    const char *name = machine->events[event].name;
    size_t length = strlen(name);
    return length > 7 && strcmp(name + length - 7, "_FAILED") == 0 ? event - 1 : event;
}

static struct node ask(struct node node, uint32_t asked)
{
    node.many |= node.out & asked;
    node.out |= asked;
    return node;
}

static void follow(struct search *search, struct node node, uint32_t event)
{
    const struct tresor__machine *machine = search->fixture->machine;
    const struct tresor__cell *cell = tresor__machine_cell(machine, node.state, event);
    for (uint32_t i = 0; i < cell->count; i++) {
        const struct exhaust_seen *seen = &search->record->rules[node.state][event][i];
        struct node next = node;
        if (cell->rules[i].target != TRESOR__STAY)
            next.state = cell->rules[i].target;
        add(search, ask(next, seen->asked_always));
        add(search, ask(next, seen->asked_ever));
    }
}

static void follow_completion(struct search *search, struct node node, uint32_t event)
{
    const struct tresor__machine *machine = search->fixture->machine;
    uint32_t bit = UINT32_C(1) << pair_of(machine, event);
    if (!(node.out & bit))
        return;
    search->delivered[node.state][event] = true;
    if (tresor__machine_cell(machine, node.state, event)->count == 0)
        fail_msg("%s: %s may arrive in %s, which does not list it", machine->name,
                 machine->events[event].name, machine->states[node.state].name);
    if (node.many & bit)
        follow(search, node, event);
    node.out &= ~bit;
    node.many &= ~bit;
    follow(search, node, event);
}

static bool is_floating(const struct search *search, uint32_t event)
{
    return (search->record->kinds[event] & ~search->fixture->floating) == 0;
}

static void check_node(const struct search *search, const struct node *node)
{
    const struct tresor__machine *machine = search->fixture->machine;
    const struct tresor__state_row *state = &machine->states[node->state];
    bool awaits = false;
    for (uint32_t event = 0; event < machine->event_count; event++)
        awaits = awaits || ((node->out >> event & 1) && !is_floating(search, event));
    if (state->kind == TRESOR__RESTING && awaits)
        fail_msg("%s: %s rests while an effect is out", machine->name, state->name);
    if (state->kind == TRESOR__WAITING && !awaits &&
        !(search->fixture->signal_waits & EXHAUST_BIT(node->state)))
        fail_msg("%s: %s waits for nothing", machine->name, state->name);
}

static void check_reached(const struct search *search)
{
    const struct tresor__machine *machine = search->fixture->machine;
    for (uint32_t state = 0; state < machine->state_count; state++) {
        bool reached = false;
        for (uint32_t i = 0; i < search->count; i++)
            reached = reached || search->nodes[i].state == state;
        if (!reached)
            fail_msg("%s: %s cannot be reached", machine->name, machine->states[state].name);
        for (uint32_t event = 0; event < machine->event_count; event++)
            if (machine->events[event].kind == TRESOR__COMPLETION &&
                machine->cells[state * machine->event_count + event].count > 0 &&
                !search->delivered[state][event])
                fail_msg("%s: %s cannot arrive in %s, which lists it", machine->name,
                         machine->events[event].name, machine->states[state].name);
    }
}

void exhaust_check_outstanding(const struct exhaust_fixture *fixture,
                               const struct exhaust_record *record)
{
    static struct search search;
    const struct tresor__machine *machine = fixture->machine;
    memset(&search, 0, sizeof search);
    search.fixture = fixture;
    search.record = record;
    add(&search, (struct node){0});
    for (uint32_t i = 0; i < search.count; i++) {
        check_node(&search, &search.nodes[i]);
        for (uint32_t event = 0; event < machine->event_count; event++) {
            if (machine->events[event].kind == TRESOR__COMPLETION)
                follow_completion(&search, search.nodes[i], event);
            else
                follow(&search, search.nodes[i], event);
        }
    }
    check_reached(&search);
}
