/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "exhaust/exhaust.h"
#include "io/seams.h"

/* One step of one cell: the world as it was made, and what came of it. */
struct stepping {
    const struct exhaust_fixture *fixture;
    struct exhaust_record *record;
    void *before; /* copy of the world */
    void *after;  /* as the table's rule leaves it */
    uint32_t state;
    uint32_t event;
    uint32_t knobs;
    void *context;
    struct tresor__input input;
    struct tresor__outbox out;
};

#define FAIL(stepping, ...)                                                                        \
    do {                                                                                           \
        const struct tresor__machine *failing = (stepping)->fixture->machine;                      \
        print_error("%s, %s, %s, knobs 0x%x: ", failing->name,                                     \
                    failing->states[(stepping)->state].name,                                       \
                    failing->events[(stepping)->event].name, (stepping)->knobs);                   \
        fail_msg(__VA_ARGS__);                                                                     \
    } while (0)

static bool is_unchanged(const struct stepping *stepping)
{
    const struct exhaust_fixture *fixture = stepping->fixture;
    return memcmp(fixture->world, stepping->before, fixture->world_bytes) == 0;
}

static const struct exhaust_guard *find_guard(const struct stepping *stepping, const char *name)
{
    for (uint32_t i = 0; i < stepping->fixture->guard_count; i++)
        if (strcmp(stepping->fixture->guards[i].name, name) == 0)
            return &stepping->fixture->guards[i];
    FAIL(stepping, "the fixture does not know the guard %s", name);
    return NULL;
}

static bool is_promised(const struct stepping *stepping, const char *name)
{
    const struct exhaust_guard *guard = find_guard(stepping, name);
    return (stepping->knobs & guard->all) == guard->all && !(stepping->knobs & guard->none) &&
           (guard->any == 0 || (stepping->knobs & guard->any));
}

/* The rule that must be taken, by what the knobs promise; all guards are asked, twice, and change
 * nothing. */
static uint32_t expect_rule(const struct stepping *stepping, const struct tresor__cell *cell)
{
    uint32_t expected = TRESOR__REJECTED;
    for (uint32_t i = 0; i < cell->count; i++) {
        const struct tresor__rule *rule = &cell->rules[i];
        struct exhaust_seen *seen = &stepping->record->rules[stepping->state][stepping->event][i];
        bool holds = true;
        if (rule->guard) {
            holds = rule->guard(stepping->context, &stepping->input);
            if (holds != rule->guard(stepping->context, &stepping->input) ||
                !is_unchanged(stepping))
                FAIL(stepping, "%s is not pure", rule->guard_name);
            /* A guard may count on those before it having failed. */
            if (expected == TRESOR__REJECTED && holds != is_promised(stepping, rule->guard_name))
                FAIL(stepping, "%s says %s", rule->guard_name, holds ? "yes" : "no");
        }
        if (holds && expected == TRESOR__REJECTED)
            expected = i;
        seen->held += holds;
        seen->refused += !holds;
    }
    return expected;
}

static void check_effect(const struct stepping *stepping, const struct tresor__effect *effect)
{
    const struct exhaust_fixture *fixture = stepping->fixture;
    const struct tresor__machine *machine = fixture->machine;
    uint8_t state = ((const struct tresor__machine_head *)stepping->context)->state;
    if (effect->kind >= TRESOR__EFFECT_COUNT || !(fixture->effects & EXHAUST_BIT(effect->kind)))
        FAIL(stepping, "asks for %s", tresor__effect_name(effect->kind));
    if (effect->machine != machine->id || effect->source != fixture->source ||
        effect->slot != fixture->slot)
        FAIL(stepping, "asks in the name of another");
    if (fixture->file != TRESOR_NONE && effect->file != fixture->file)
        FAIL(stepping, "asks on file %u", effect->file);
    if (effect->on_ok >= machine->event_count || effect->on_failed != effect->on_ok + 1 ||
        machine->events[effect->on_ok].kind != TRESOR__COMPLETION)
        FAIL(stepping, "asks to be told by no completion of its own");
    if (fixture->retries && (fixture->fresh & EXHAUST_BIT(effect->kind)) &&
        state != stepping->state && *fixture->retries != 0)
        FAIL(stepping, "asks for %s as if it had failed before", tresor__effect_name(effect->kind));
    bool moves = effect->kind == TRESOR__EFFECT_MOVE;
    if (effect->space == TRESOR__SPACE_WINDOW &&
        ((effect->place != effect->offset) != moves || effect->length == 0))
        FAIL(stepping, "asks for another place than the file's own");
    if (moves && (effect->place | effect->offset | effect->length) % TRESOR__HUGE_PAGE_BYTES != 0)
        FAIL(stepping, "moves parts of huge pages");
    const char *kind = tresor__effect_name(effect->kind);
    const char *event = machine->events[effect->on_ok].name;
    if (strncmp(event, kind, strlen(kind)) != 0 || strcmp(event + strlen(kind), "_OK") != 0)
        FAIL(stepping, "asks for %s to be told by %s", kind, event);
    if (tresor__machine_cell(machine, state, effect->on_ok)->count == 0 ||
        tresor__machine_cell(machine, state, effect->on_failed)->count == 0)
        FAIL(stepping, "does not listen to %s in %s", event, machine->states[state].name);
}

/* A look gives turns only to machines without anything in hand. */
static bool asks_for_turn(const struct stepping *stepping, uint8_t state)
{
    bool looks = stepping->fixture->looked & EXHAUST_BIT(state);
    for (uint32_t i = 0; i < stepping->out.message_count; i++) {
        uint8_t kind = stepping->out.messages[i].kind;
        if (kind == TRESOR__MESSAGE_AGAIN || (looks && kind == TRESOR__MESSAGE_LOOK))
            return true;
    }
    return false;
}

static void check_messages(const struct stepping *stepping, const char *action, uint64_t sent)
{
    const struct exhaust_fixture *fixture = stepping->fixture;
    for (uint32_t i = 0; i < fixture->action_count; i++) {
        const struct exhaust_action *row = &fixture->actions[i];
        if (strcmp(row->name, action) != 0)
            continue;
        if (sent != (row->always | (stepping->knobs & row->when ? row->sometimes : 0)))
            FAIL(stepping, "%s sends 0x%llx", action, (unsigned long long)sent);
        return;
    }
    if (fixture->action_count > 0)
        FAIL(stepping, "the fixture does not know the action %s", action);
}

static void check_outbox(const struct stepping *stepping, const char *action,
                         struct exhaust_seen *seen)
{
    const struct exhaust_fixture *fixture = stepping->fixture;
    const struct tresor__outbox *out = &stepping->out;
    uint32_t asked = 0;
    for (uint32_t i = 0; i < out->effect_count; i++) {
        check_effect(stepping, &out->effects[i]);
        asked |= UINT32_C(1) << out->effects[i].on_ok;
        stepping->record->kinds[out->effects[i].on_ok] |= EXHAUST_BIT(out->effects[i].kind);
    }
    uint64_t sent = 0;
    for (uint32_t i = 0; i < out->message_count; i++)
        sent |= EXHAUST_BIT(out->messages[i].kind);
    if (sent & ~fixture->messages)
        FAIL(stepping, "sends messages of kinds 0x%llx", (unsigned long long)sent);
    check_messages(stepping, action, sent);
    seen->asked_always = seen->taken == 0 ? asked : seen->asked_always & asked;
    seen->asked_ever |= asked;
}

static void check_taken(const struct stepping *stepping, const struct tresor__cell *cell,
                        uint32_t taken)
{
    const struct exhaust_fixture *fixture = stepping->fixture;
    const struct tresor__rule *rule = &cell->rules[taken];
    struct exhaust_seen *seen = &stepping->record->rules[stepping->state][stepping->event][taken];
    uint8_t state = ((const struct tresor__machine_head *)stepping->context)->state;
    uint32_t target = rule->target == TRESOR__STAY ? stepping->state : rule->target;
    if (state != target)
        FAIL(stepping, "%s goes to state %u", rule->action_name, state);
    check_outbox(stepping, rule->action_name, seen);
    bool needs_turn = (fixture->eager | fixture->looked) & EXHAUST_BIT(state);
    if (state != stepping->state && needs_turn && !asks_for_turn(stepping, state))
        FAIL(stepping, "%s does not ask for a turn", rule->action_name);
    fixture->machine->check(stepping->context);
    if (fixture->check)
        fixture->check();
    seen->taken++;
}

static void clear(struct tresor__outbox *out)
{
    memset(out, 0x5a, sizeof *out);
    out->effect_count = 0;
    out->message_count = 0;
}

/* What the table's rule does to the world, kept aside: the compiled step must do the same. */
static void apply_table(const struct stepping *stepping, const struct tresor__cell *cell,
                        uint32_t rule, struct tresor__outbox *out)
{
    const struct exhaust_fixture *fixture = stepping->fixture;
    struct tresor__machine_head *head = stepping->context;
    clear(out);
    if (rule != TRESOR__REJECTED) {
        cell->rules[rule].action(stepping->context, &stepping->input, out);
        if (cell->rules[rule].target != TRESOR__STAY)
            head->state = cell->rules[rule].target;
    }
    memcpy(stepping->after, fixture->world, fixture->world_bytes);
    memcpy(fixture->world, stepping->before, fixture->world_bytes);
}

static bool is_same_effect(const struct tresor__effect *a, const struct tresor__effect *b)
{
    return a->kind == b->kind && a->machine == b->machine && a->on_ok == b->on_ok &&
           a->on_failed == b->on_failed && a->space == b->space && a->flags == b->flags &&
           a->source == b->source && a->slot == b->slot && a->file == b->file &&
           a->place == b->place && a->offset == b->offset && a->length == b->length;
}

static bool is_same_message(const struct tresor__message *a, const struct tresor__message *b)
{
    return a->kind == b->kind && a->event == b->event && a->code == b->code && a->slot == b->slot;
}

static bool is_same_outbox(const struct tresor__outbox *a, const struct tresor__outbox *b)
{
    bool same = a->effect_count == b->effect_count && a->message_count == b->message_count;
    for (uint32_t i = 0; same && i < a->effect_count; i++)
        same = is_same_effect(&a->effects[i], &b->effects[i]);
    for (uint32_t i = 0; same && i < a->message_count; i++)
        same = is_same_message(&a->messages[i], &b->messages[i]);
    return same;
}

static void step(struct stepping *stepping)
{
    const struct exhaust_fixture *fixture = stepping->fixture;
    const struct tresor__machine *machine = fixture->machine;
    const struct tresor__cell *cell =
        tresor__machine_cell(machine, stepping->state, stepping->event);
    struct tresor__outbox out_of_table;
    clear(&stepping->out);
    struct tresor__outbox out_before = stepping->out;
    struct tresor__input input_before = stepping->input;
    uint32_t expected = expect_rule(stepping, cell);
    apply_table(stepping, cell, expected, &out_of_table);
    uint64_t allocations = exhaust_allocations();
    uint32_t taken =
        tresor__machine_step(machine, stepping->context, &stepping->input, &stepping->out);
    if (exhaust_allocations() != allocations)
        FAIL(stepping, "allocates in a step");
    assert_memory_equal(&stepping->input, &input_before, sizeof input_before);
    if (taken != expected || (taken == TRESOR__REJECTED) != (cell->count == 0))
        FAIL(stepping, "takes rule %u, not %u of %u", taken, expected, cell->count);
    if (memcmp(fixture->world, stepping->after, fixture->world_bytes) != 0 ||
        !is_same_outbox(&stepping->out, &out_of_table))
        FAIL(stepping, "does other things than its table says");
    if (taken != TRESOR__REJECTED)
        check_taken(stepping, cell, taken);
    else if (!is_unchanged(stepping) || memcmp(&stepping->out, &out_before, sizeof out_before) != 0)
        FAIL(stepping, "is rejected and leaves a trace");
    stepping->record->stepped[stepping->state][stepping->event]++;
}

/* The world in this state with these knobs, and a step of it; nothing where the knobs make no
 * sense. */
static void try_step(struct stepping *stepping)
{
    const struct exhaust_fixture *fixture = stepping->fixture;
    stepping->context = fixture->make(stepping->state, stepping->event, stepping->knobs);
    if (!stepping->context)
        return;
    const struct tresor__machine_head *head = stepping->context;
    if (head->state != stepping->state)
        FAIL(stepping, "the fixture made state %u", head->state);
    fixture->machine->check(stepping->context);
    if (fixture->check)
        fixture->check();
    stepping->input = fixture->input(stepping->event, stepping->knobs);
    stepping->input.event = stepping->event;
    memcpy(stepping->before, fixture->world, fixture->world_bytes);
    step(stepping);
}

void exhaust_step_all(const struct exhaust_fixture *fixture, struct exhaust_record *record)
{
    const struct tresor__machine *machine = fixture->machine;
    struct stepping stepping = {.fixture = fixture, .record = record};
    stepping.before = malloc(fixture->world_bytes);
    stepping.after = malloc(fixture->world_bytes);
    assert_non_null(stepping.before);
    assert_non_null(stepping.after);
    for (stepping.state = 0; stepping.state < machine->state_count; stepping.state++) {
        uint32_t knobs = fixture->knobs[stepping.state];
        for (stepping.event = 0; stepping.event < machine->event_count; stepping.event++) {
            /* Every subset of the knobs, from all of them to none. */
            for (stepping.knobs = knobs;; stepping.knobs = (stepping.knobs - 1) & knobs) {
                try_step(&stepping);
                if (stepping.knobs == 0)
                    break;
            }
        }
    }
    free(stepping.before);
    free(stepping.after);
}
