/* SPDX-License-Identifier: MIT */
#include "tensor/guard.h"

static void ask_guard(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    tresor__outbox_effect(out, (struct tresor__effect){.kind = TRESOR__EFFECT_GUARD,
                                                       .machine = TRESOR__MACHINE_GUARD,
                                                       .on_ok = GUARD_ON_GUARD_OK,
                                                       .on_failed = GUARD_ON_GUARD_FAILED});
}

/* Input value: a run of pages of the file that the completion is of. */
static void tell_and_guard(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    struct tresor__guard_run run = tresor__guard_run_of(input->value);
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_FAULT,
                                                         .event = run.is_truncated,
                                                         .code = (int32_t)run.count,
                                                         .slot = run.first});
    ask_guard(context, input, out);
}

static void check(const void *context)
{
    (void)context;
}

#define TRESOR__DEF "tensor/guard.def"
#define TRESOR__S(name) GUARD_##name
#define TRESOR__E(name) GUARD_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__guard_machine =
    TRESOR__MACHINE_TABLE("guard", TRESOR__MACHINE_GUARD, struct tresor__guard, check);
