/* SPDX-License-Identifier: MIT */
/*
 * The table-driven kernel of all machines: a dense [state][event] table of guarded rules, made from
 * one .def file a machine (see fsm_enum.h and fsm_table.h). A step is a pure function of the
 * machine's context and one input; what it wants done it puts into the outbox.
 */
#ifndef TRESOR_CORE_FSM_H
#define TRESOR_CORE_FSM_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/effect.h"

enum tresor__state_kind {
    TRESOR__RESTING, /* awaits no completion */
    TRESOR__WAITING, /* awaits at least one */
};

enum tresor__event_kind {
    TRESOR__REQUEST,    /* from the host or the controller */
    TRESOR__COMPLETION, /* of an effect of this machine */
    TRESOR__SIGNAL,     /* from another machine */
};

typedef bool tresor__guard(const void *context, const struct tresor__input *input);
typedef void tresor__action(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out);

typedef uint32_t tresor__step(void *context, const struct tresor__input *input,
                              struct tresor__outbox *out);

enum {
    TRESOR__STAY = 0xff,     /* a rule's target: the state it is in */
    TRESOR__REJECTED = 0xff, /* a step's answer where no rule holds */
};

struct tresor__rule {
    tresor__guard *guard; /* NULL: always */
    tresor__action *action;
    uint8_t target;
    const char *guard_name; /* "" where there is none */
    const char *action_name;
};

struct tresor__cell {
    const struct tresor__rule *rules;
    uint32_t count;
};

struct tresor__state_row {
    const char *name;
    const char *text;
    uint8_t kind;
};

struct tresor__event_row {
    const char *name;
    uint8_t kind;
};

struct tresor__machine {
    const char *name;
    uint32_t id;
    uint32_t state_count;
    uint32_t event_count;
    const struct tresor__state_row *states;
    const struct tresor__event_row *events;
    const struct tresor__cell *cells;         /* [state * event_count + event] */
    const struct tresor__cell *waiting_cells; /* [event], for WAITING states that list none */
    tresor__step *step;                       /* the same rules, compiled */
    void (*check)(const void *context);       /* asserts the state's invariants */
    size_t context_bytes;
};

/** Every context begins with its state. */
struct tresor__machine_head {
    uint8_t state;
};

/** The rules of (state, event): its own, else those of all WAITING states, else none. */
static inline const struct tresor__cell *tresor__machine_cell(const struct tresor__machine *machine,
                                                              uint32_t state, uint32_t event)
{
    const struct tresor__cell *cell = &machine->cells[state * machine->event_count + event];
    if (cell->count == 0 && machine->states[state].kind == TRESOR__WAITING)
        cell = &machine->waiting_cells[event];
    return cell;
}

/** One step. The number of the rule that was taken, or TRESOR__REJECTED with nothing changed. */
static inline uint32_t tresor__machine_step(const struct tresor__machine *machine, void *context,
                                            const struct tresor__input *input,
                                            struct tresor__outbox *out)
{
    assert(((struct tresor__machine_head *)context)->state < machine->state_count);
    assert(input->event < machine->event_count);
    uint32_t rule = machine->step(context, input, out);
#ifndef NDEBUG
    if (rule != TRESOR__REJECTED)
        machine->check(context);
#endif
    return rule;
}

static inline void tresor__no_action(void *context, const struct tresor__input *input,
                                     struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    (void)out;
}

/** The next free effect of the outbox; the caller fills what is not zero. */
static inline struct tresor__effect *tresor__outbox_effect(struct tresor__outbox *out,
                                                           struct tresor__effect effect)
{
    assert(out->effect_count < TRESOR__OUTBOX_EFFECTS);
    struct tresor__effect *place = &out->effects[out->effect_count++];
    *place = effect;
    return place;
}

static inline void tresor__outbox_message(struct tresor__outbox *out,
                                          struct tresor__message message)
{
    assert(out->message_count < TRESOR__OUTBOX_MESSAGES);
    out->messages[out->message_count++] = message;
}

/** A file's machine: the ledger has news, or work that another machine may take. */
static inline void tresor__outbox_look(struct tresor__outbox *out)
{
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_LOOK});
}

/** Ask for another turn. */
static inline void tresor__outbox_again(struct tresor__outbox *out)
{
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_AGAIN});
}

#endif
