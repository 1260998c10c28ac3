/* SPDX-License-Identifier: MIT */
/* The budget of a context, who goes first under it, and plans. */
#include <tresor/plan.h>

#include "context.h"
#include "core/handle.h"
#include "requests.h"

enum {
    WINDOW_BYTES_DEFAULT = 64 * 1024 * 1024,
    WINDOW_OF_BUDGET = 20, /* one of so many parts of it, at the most */
};

int32_t tresor_budget(struct tresor_context *context, uint64_t budget_bytes,
                      const struct tresor_request_options *given, struct tresor_request *request)
{
    struct tresor__controller *controller = &context->controller;
    struct tresor_request_options options;
    int32_t code = tresor__context_enter(context);
    if (code == TRESOR_OK)
        code = tresor__requests_check_options(TRESOR_VERB_BUDGET, given, &options);
    if (code == TRESOR_OK && !request)
        code = TRESOR_ERROR_INVALID;
    if (code == TRESOR_OK && controller->free_request == TRESOR_NONE)
        code = TRESOR_ERROR_AGAIN;
    if (code != TRESOR_OK)
        return code;
    struct tresor__request *made =
        tresor__requests_take(controller, TRESOR_VERB_BUDGET, TRESOR__SOURCE_NONE);
    made->cookie = options.cookie;
    made->awaits_room = options.flags & TRESOR_REQUEST_WAIT;
    made->total = 1;
    made->total_bytes = budget_bytes;
    *request = tresor__requests_submit(context, made);
    return TRESOR_OK;
}

int32_t tresor_set_policy(struct tresor_context *context, uint32_t policy)
{
    int32_t code = tresor__context_enter(context);
    if (code != TRESOR_OK)
        return code;
    if (policy > TRESOR_POLICY_PRIORITY)
        return TRESOR_ERROR_INVALID;
    tresor__budget_choose_policy(&context->controller,
                                 policy == TRESOR_POLICY_DEFAULT ? TRESOR_POLICY_LRU : policy);
    return TRESOR_OK;
}

int32_t tresor_set_priority(struct tresor_context *context, struct tresor_item item,
                            int32_t priority)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__item_find(context, item, &slot);
    if (code != TRESOR_OK)
        return code;
    uint32_t count = tresor__items_count(slot, item.value);
    for (uint32_t i = 0; i < count; i++)
        tresor__budget_prioritise(&context->controller,
                                  &slot->pieces[tresor__items_piece(slot, item.value, i)],
                                  priority);
    return TRESOR_OK;
}

int32_t tresor_reset_priority(struct tresor_context *context, struct tresor_item item)
{
    return tresor_set_priority(context, item, 0);
}

/* --- plans --- */

static int32_t check_options(const struct tresor_plan_options *given,
                             struct tresor_plan_options *options)
{
    const uint32_t flags = TRESOR_PLAN_CYCLIC | TRESOR_PLAN_ITEMS;
    *options = (struct tresor_plan_options){0};
    int32_t code = given ? tresor__options_copy(options, sizeof *options, given) : TRESOR_OK;
    if (code == TRESOR_OK &&
        (options->flags & ~flags || options->strategy > TRESOR_STRATEGY_READ))
        code = TRESOR_ERROR_INVALID;
    return code;
}

static uint64_t window_of(const struct tresor__controller *controller,
                          const struct tresor_plan_options *options)
{
    uint64_t part = controller->budget.budget_bytes / WINDOW_OF_BUDGET;
    if (options->window_bytes > 0)
        return options->window_bytes;
    return part > 0 && part < WINDOW_BYTES_DEFAULT ? part : WINDOW_BYTES_DEFAULT;
}

/* All live and of one source, and each within the budget. */
static int32_t check_steps(struct tresor_context *context, const struct tresor_item *items,
                           size_t count, struct tresor__slot **slot)
{
    uint64_t limit = tresor__budget_most(&context->controller);
    int32_t code = tresor__items_find(context, items, count, slot);
    for (size_t i = 0; i < count && code == TRESOR_OK && limit != UINT64_MAX; i++)
        if (tresor__budget_measure(&context->controller, *slot, &items[i].value, 1) > limit)
            code = TRESOR_ERROR_TOO_BIG;
    return code;
}

static void give_back(struct tresor__controller *controller, struct tresor__request *request)
{
    request->next = controller->free_request;
    controller->free_request = request->index;
}

int32_t tresor_plan(struct tresor_context *context, const struct tresor_item *items,
                    size_t item_count, const struct tresor_plan_options *given,
                    struct tresor_request *request)
{
    struct tresor__controller *controller = &context->controller;
    struct tresor_plan_options options;
    struct tresor__slot *slot = NULL;
    uint8_t strategy = TRESOR_STRATEGY_READ;
    int32_t code = tresor__context_enter(context);
    if (code == TRESOR_OK)
        code = check_options(given, &options);
    if (code == TRESOR_OK)
        code = request ? check_steps(context, items, item_count, &slot) : TRESOR_ERROR_INVALID;
    if (code == TRESOR_OK)
        code = tresor__requests_strategy(controller, slot, options.strategy, &strategy);
    if (code == TRESOR_OK && controller->free_request == TRESOR_NONE)
        code = TRESOR_ERROR_AGAIN;
    if (code != TRESOR_OK)
        return code;
    struct tresor__request *made =
        tresor__requests_take(controller, TRESOR_VERB_PLAN, slot->source.index);
    made->cookie = options.cookie;
    made->wants_items = options.flags & TRESOR_PLAN_ITEMS;
    made->awaits_room = true;
    made->urgency = TRESOR__URGENCY_LOOKAHEAD;
    made->is_strategy_asked = options.strategy != TRESOR_STRATEGY_DEFAULT;
    made->strategy = strategy;
    code = tresor__plan_make(controller, made, &items->value, item_count,
                             window_of(controller, &options), options.flags & TRESOR_PLAN_CYCLIC);
    if (code != TRESOR_OK) {
        give_back(controller, made);
        return code;
    }
    *request = tresor__requests_submit(context, made);
    return TRESOR_OK;
}

static int32_t find_plan(struct tresor_context *context, struct tresor_request request,
                         struct tresor__plan **plan)
{
    uint32_t index = 0;
    int32_t code = tresor__context_enter(context);
    if (code == TRESOR_OK)
        code = tresor__request_find(context, request, &index);
    if (code != TRESOR_OK)
        return code;
    const struct tresor__request *found = &context->controller.requests[index];
    *plan = found->state == REQUEST_VISITING
                ? tresor__plan_of(&context->controller, found->index)
                : NULL;
    return *plan ? TRESOR_OK : TRESOR_ERROR_STALE;
}

int32_t tresor_plan_seek(struct tresor_context *context, struct tresor_request request, size_t step)
{
    struct tresor__plan *plan = NULL;
    int32_t code = find_plan(context, request, &plan);
    if (code == TRESOR_OK && step >= plan->step_count)
        code = TRESOR_ERROR_INVALID;
    if (code != TRESOR_OK)
        return code;
    tresor__plan_seek(&context->controller, plan, (uint32_t)step);
    tresor__context_level(context);
    return TRESOR_OK;
}

int32_t tresor_plan_get_info(struct tresor_context *context, struct tresor_request request,
                             struct tresor_plan_info *info)
{
    struct tresor__plan *plan = NULL;
    int32_t code = find_plan(context, request, &plan);
    if (code != TRESOR_OK)
        return code;
    if (!info)
        return TRESOR_ERROR_INVALID;
    struct tresor_plan_info known = {
        .step = plan->step,
        .step_count = plan->step_count,
        .passes = plan->passes,
        .window_bytes = plan->window_bytes,
    };
    return tresor__info_copy(info, &known, sizeof known);
}
