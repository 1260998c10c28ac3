/* SPDX-License-Identifier: MIT */
/* A context's guard against faults in its windows, between its machine and the handler. */
#include <errno.h>

#include <tresor/guard.h>

#include "context.h"
#include "tensor/faults.h"

enum { RUNS_MAX = 64 }; /* of pages, told at a time */

static void step(struct tresor_context *context, const struct tresor__input *input)
{
    tresor__router_step(&context->controller,
                        &(struct tresor__address){.machine = TRESOR__MACHINE_GUARD}, input);
}

int32_t tresor__context_guard(struct tresor_context *context, uint32_t kind)
{
    struct tresor__controller *controller = &context->controller;
    if (kind == TRESOR_GUARD_DEFAULT)
        return TRESOR_OK;
    int64_t result = context->sys->guard_open(context->sys->cookie);
    if (result < 0)
        return result == -EBUSY ? TRESOR_ERROR_BUSY : TRESOR_ERROR_UNSUPPORTED;
    controller->io.is_guarded = true;
    controller->alarm.bell = context->bell.descriptors[1];
    step(context, &(struct tresor__input){.event = GUARD_ON_START});
    return TRESOR_OK;
}

/* All windows are gone, so nobody rings the bell any more. */
void tresor__context_unguard(struct tresor_context *context)
{
    struct tresor__controller *controller = &context->controller;
    if (controller->guard.state != GUARD_GUARDING)
        return;
    step(context, &(struct tresor__input){.event = GUARD_ON_GUARD_FAILED, .os_errno = ECANCELED});
    context->sys->guard_close(context->sys->cookie);
}

uint32_t tresor__context_hear_faults(struct tresor_context *context)
{
    return tresor__controller_hear_faults(&context->controller, RUNS_MAX);
}

bool tresor__context_has_faults(const struct tresor_context *context)
{
    return tresor__guard_is_hit(&context->controller.alarm);
}

void tresor__guard_resolve(struct tresor_context *context, struct tresor__effect *effect,
                           struct tresor__model_file *file)
{
    struct tresor__guard_range *range = &file->guard;
    bool is_window = effect->kind == TRESOR__EFFECT_RESERVE
                         ? !(effect->flags & TRESOR__RESERVE_WRITABLE)
                         : effect->space == TRESOR__SPACE_WINDOW;
    /* Only pages of a file can be lost, and no page of what is decoded is one. */
    bool is_of_file = tresor__origin_has_file(&file->origin) && file->held.compression == TRESOR_COMPRESSION_NONE;
    if (!context->controller.io.is_guarded || !is_window || !is_of_file)
        return;
    if (effect->kind == TRESOR__EFFECT_RESERVE || effect->kind == TRESOR__EFFECT_RELEASE)
        effect->record = range;
    if (effect->kind == TRESOR__EFFECT_RESERVE)
        range->alarm = &context->controller.alarm;
    if (effect->kind == TRESOR__EFFECT_MAP)
        tresor__guard_renew(range, effect->offset, effect->length);
}
