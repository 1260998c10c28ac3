/* SPDX-License-Identifier: MIT */
/*
 * Makes a machine's tables, after its guards and actions. The includer defines TRESOR__DEF, TRESOR__S and
 * TRESOR__E as for fsm_enum.h. Rules name the guards and actions, so a name that does not exist does not compile.
 */
#include "core/fsm.h"

#define none tresor__no_action
#define WHEN(condition, effect, next)                                                              \
    {.guard = (condition),                                                                         \
     .action = (effect),                                                                           \
     .target = TRESOR__S(next),                                                                    \
     .guard_name = #condition,                                                                     \
     .action_name = #effect},
#define ELSE(effect, next)                                                                         \
    {.action = (effect), .target = TRESOR__S(next), .guard_name = "", .action_name = #effect},
#define TRESOR__CELL_OF(rows)                                                                      \
    {                                                                                              \
        (rows), sizeof(rows) / sizeof((rows)[0])                                                   \
    }

#define CELL(state, event, rules) static const struct tresor__rule rules_##state##_##event[] = {rules};
#define ALL_WAITING(event, rules) static const struct tresor__rule waiting_rules_##event[] = {rules};
#include TRESOR__DEF

static const struct tresor__cell machine_cells[TRESOR__S(STATE_COUNT)][TRESOR__E(EVENT_COUNT)] = {
#define CELL(state, event, rules)                                                                  \
    [TRESOR__S(state)][TRESOR__E(event)] = TRESOR__CELL_OF(rules_##state##_##event),
#include TRESOR__DEF
};

/* One more than there are events, so that a machine without ALL_WAITING has no empty initialiser. */
static const struct tresor__cell machine_waiting_cells[TRESOR__E(EVENT_COUNT) + 1] = {
#define ALL_WAITING(event, rules) [TRESOR__E(event)] = TRESOR__CELL_OF(waiting_rules_##event),
#include TRESOR__DEF
    [TRESOR__E(EVENT_COUNT)] = {0},
};

static const struct tresor__state_row machine_states[] = {
#define STATE(name, kind, text) {#name, text, TRESOR__##kind},
#include TRESOR__DEF
};

static const struct tresor__event_row machine_events[] = {
#define EVENT(name, kind) {#name, TRESOR__##kind},
#include TRESOR__DEF
};

/*
 * The rules once more, as code: the compiler sees guards and actions, and a step costs a jump and what they do. The
 * table above is for those who want to look at rules; that both agree is for the exhaustive test to show.
 */
#undef WHEN
#undef ELSE
#define WHEN(condition, effect, next)                                                              \
    if (condition(context, input)) {                                                               \
        effect(context, input, out);                                                               \
        if ((int)TRESOR__S(next) != (int)TRESOR__STAY)                                                     \
            head->state = TRESOR__S(next);                                                         \
        return rule;                                                                               \
    }                                                                                              \
    rule++;
#define ELSE(effect, next)                                                                         \
    effect(context, input, out);                                                                   \
    if ((int)TRESOR__S(next) != (int)TRESOR__STAY)                                                 \
        head->state = TRESOR__S(next);                                                             \
    return rule;
#define TRESOR__CELL_NUMBER(state, event) ((state) * TRESOR__E(EVENT_COUNT) + (event))

/* What WAITING states do with what they list no rule for. */
static uint32_t step_waiting(void *context, const struct tresor__input *input,
                             struct tresor__outbox *out)
{
    struct tresor__machine_head *head = context;
    uint32_t rule = 0;
    (void)rule;
    (void)out;
    if (machine_states[head->state].kind != TRESOR__WAITING)
        return TRESOR__REJECTED;
    switch (input->event) {
#define ALL_WAITING(event, rules)                                                                  \
    case TRESOR__E(event): {                                                                       \
        rules                                                                                      \
    } break;
#include TRESOR__DEF
    default:
        break;
    }
    return TRESOR__REJECTED;
}

static uint32_t machine_step(void *context, const struct tresor__input *input,
                             struct tresor__outbox *out)
{
    struct tresor__machine_head *head = context;
    uint32_t rule = 0;
    switch (TRESOR__CELL_NUMBER(head->state, input->event)) {
#define CELL(state, event, rules)                                                                  \
    case TRESOR__CELL_NUMBER(TRESOR__S(state), TRESOR__E(event)): {                                \
        rules                                                                                      \
    } break;
#include TRESOR__DEF
    default:
        return step_waiting(context, input, out);
    }
    return TRESOR__REJECTED;
}

#define TRESOR__MACHINE_TABLE(machine_name, machine_id, context_type, check_function)              \
    {                                                                                              \
        .name = (machine_name), .id = (machine_id), .state_count = TRESOR__S(STATE_COUNT),         \
        .event_count = TRESOR__E(EVENT_COUNT), .states = machine_states, .events = machine_events, \
        .cells = &machine_cells[0][0], .waiting_cells = machine_waiting_cells,                     \
        .step = machine_step, .check = (check_function), .context_bytes = sizeof(context_type)                           \
    }
