/* SPDX-License-Identifier: MIT */
/* The watch over a context's memory, between its machine and its thread. */
#include "context.h"

static void step(struct tresor_context *context, uint32_t event)
{
    tresor__router_step(&context->controller,
                        &(struct tresor__address){.machine = TRESOR__MACHINE_WATCH},
                        &(struct tresor__input){.event = event});
}

int32_t tresor__context_watch(struct tresor_context *context, uint32_t pressure)
{
    struct tresor__controller *controller = &context->controller;
    int32_t os_errno = 0;
    if (pressure == 0)
        return TRESOR_OK;
    int32_t code = tresor__watch_create(context->sys, &context->allocator, &context->bell,
                                        &context->watch, &os_errno);
    if (code != TRESOR_OK)
        return code;
    controller->pressure.watched = pressure;
    if (context->watch)
        step(context, WATCH_ON_START);
    else
        tresor__events_degrade(controller, NULL, TRESOR_DEGRADED_PRESSURE, os_errno);
    return TRESOR_OK;
}

static void submit(struct tresor_context *context)
{
    struct tresor__controller *controller = &context->controller;
    for (uint32_t i = 0; i < controller->watch_effect_count; i++) {
        struct tresor__effect effect = controller->watch_effects[i];
        effect.record = &controller->pressure.record;
        tresor__watch_submit(context->watch, &effect);
    }
    controller->watch_effect_count = 0;
}

uint32_t tresor__context_run_watch(struct tresor_context *context)
{
    struct tresor__completion completions[TRESOR__WATCH_COMPLETIONS];
    if (!context->watch)
        return 0;
    submit(context);
    uint32_t count = tresor__watch_poll(context->watch, completions);
    for (uint32_t i = 0; i < count; i++)
        tresor__controller_deliver_watch(&context->controller, &completions[i]);
    submit(context);
    return count;
}

/* What it has told meanwhile nobody will take. */
void tresor__context_unwatch(struct tresor_context *context)
{
    if (!context->watch)
        return;
    tresor__context_run_watch(context);
    step(context, WATCH_ON_STOP);
    while (context->controller.watch.state != WATCH_OFF)
        tresor__context_run_watch(context);
    tresor__watch_destroy(context->watch);
    context->watch = NULL;
}
