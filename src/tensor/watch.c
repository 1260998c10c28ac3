/* SPDX-License-Identifier: MIT */
#include "tensor/watch.h"

static void ask_watch(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    tresor__outbox_effect(out, (struct tresor__effect){.kind = TRESOR__EFFECT_WATCH,
                                                       .machine = TRESOR__MACHINE_WATCH,
                                                       .on_ok = WATCH_ON_WATCH_OK,
                                                       .on_failed = WATCH_ON_WATCH_FAILED});
}

static void ask_unwatch(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    tresor__outbox_effect(out, (struct tresor__effect){.kind = TRESOR__EFFECT_UNWATCH,
                                                       .machine = TRESOR__MACHINE_WATCH,
                                                       .on_ok = WATCH_ON_UNWATCH_OK,
                                                       .on_failed = WATCH_ON_UNWATCH_FAILED});
}

static void tell_and_watch(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_PRESSURE,
                                                         .event = (uint8_t)input->value});
    ask_watch(context, input, out);
}

static void give_up(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)context;
    tresor__outbox_message(
        out, (struct tresor__message){.kind = TRESOR__MESSAGE_BLIND, .code = input->os_errno});
}

static void check(const void *context)
{
    (void)context;
}

#define TRESOR__DEF "tensor/watch.def"
#define TRESOR__S(name) WATCH_##name
#define TRESOR__E(name) WATCH_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__watch_machine =
    TRESOR__MACHINE_TABLE("watch", TRESOR__MACHINE_WATCH, struct tresor__watch, check);
