/* SPDX-License-Identifier: MIT */
/* Budgets that rise and fall, policies, plans, and what may be in memory under them at every step. */
#include "host.h"

#include "context.h"

enum {
    PAGE_BYTES = 4096,
    PRIORITIES = 4,
};

/* --- what may be in use --- */

static uint64_t larger(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

/* What the system would not unmap: in windows, in the scratch of swaps, and of sources that are closed. */
static uint64_t lost_bytes(const struct tresor__controller *controller)
{
    const struct tresor__room *room = &controller->io.room;
    return room->leaked_bytes + room->stuck_bytes + controller->leaked_bytes;
}

/* Pages of tensors that are admitted, stages, and what the system would not unmap. */
static uint64_t committed_bytes(const struct host *host)
{
    const struct tresor__controller *controller = &host->context->controller;
    const struct tresor__room *room = &controller->io.room;
    return room->committed_bytes + room->staged_bytes + lost_bytes(controller);
}

static uint64_t charged_bytes(const struct host *host)
{
    const struct tresor__controller *controller = &host->context->controller;
    return controller->io.room.charged_bytes + controller->leaked_bytes;
}

/*
 * No more than the budget is ever committed or charged. Where it was lowered below what is in use, what is in use only
 * falls until it is below it. A page that the system refuses to unmap is more than anybody asked for.
 */
void host_look_at_room(struct host *host)
{
    const struct tresor__controller *controller = &host->context->controller;
    struct host_room *room = &host->room;
    uint64_t committed = committed_bytes(host);
    uint64_t charged = charged_bytes(host);
    uint64_t leaked = lost_bytes(controller);
    uint64_t budget = controller->budget.budget_bytes > 0 ? controller->budget.budget_bytes : UINT64_MAX;
    if (room->budget_bytes != budget || leaked > room->leaked_bytes) {
        uint64_t least = room->budget_bytes == budget ? room->most_bytes : budget;
        room->most_bytes = larger(least, larger(committed, charged));
    }
    for (uint32_t i = 0; budget < room->budget_bytes && i < host->request_count; i++)
        host->requests[i].may_lack_room = true;
    room->budget_bytes = budget;
    room->leaked_bytes = leaked;
    if (committed > room->most_bytes || charged > room->most_bytes)
        host_violate(host, "%ju committed and %ju charged bytes, of %ju at the most, under a budget of %ju",
                     (uintmax_t)committed, (uintmax_t)charged, (uintmax_t)room->most_bytes,
                     (uintmax_t)budget);
    if (controller->budget.budget_bytes > 0)
        host_note_use(host);
    uint64_t now = larger(budget, larger(committed, charged));
    if (now < room->most_bytes)
        room->most_bytes = now;
}

/* Something is acquired, locked, swapped or needed soon by a plan, or memory of streams and of what the system has kept is not to be had. */
static bool is_room_taken(const struct host *host)
{
    const struct tresor__controller *controller = &host->context->controller;
    const struct tresor__room *room = &controller->io.room;
    bool is_taken = host->use_count > 0 || controller->pinned_count > 0 ||
                    tresor__plans_stand(controller) ||
                    room->staged_bytes + lost_bytes(controller) > 0 ||
                    controller->io.awaits_stage_room;
    for (uint32_t i = 0; i < controller->limits.sources && !is_taken; i++) {
        const struct tresor__slot *slot = &controller->slots[i];
        for (uint32_t k = 0; slot->source.state == SOURCE_READY && k < slot->ranking.capacity; k++)
            is_taken = is_taken || slot->pieces[k].lock.state != LOCK_UNLOCKED ||
                       slot->pieces[k].tensor.state == TENSOR_SWAPPING ||
                       slot->pieces[k].tensor.state == TENSOR_STOPPING;
    }
    return is_taken;
}

void host_note_use(struct host *host)
{
    bool is_taken = is_room_taken(host);
    for (uint32_t i = 0; i < host->request_count; i++)
        host->requests[i].may_lack_room |= is_taken;
}

bool host_may_be_too_big(struct host *host, const struct tresor_item *items, uint32_t count)
{
    const struct tresor__controller *controller = &host->context->controller;
    uint64_t most = controller->io.room.staged_bytes + lost_bytes(controller);
    if (controller->io.awaits_stage_room)
        most += tresor__io_stage_room(&controller->io);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t pieces = 0;
        uint64_t bytes = 0;
        tresor_item_measure(host->context, items[i], &pieces, &bytes);
        most += bytes + (uint64_t)pieces * 2 * PAGE_BYTES;
    }
    return controller->budget.budget_bytes > 0 && most > controller->budget.budget_bytes;
}

bool host_has_stage_room(const struct host *host)
{
    const struct tresor__controller *controller = &host->context->controller;
    return controller->budget.budget_bytes == 0 ||
           tresor__io_stage_room(&controller->io) <= controller->budget.budget_bytes;
}

/* --- moves --- */

uint64_t host_choose_budget(struct host *host)
{
    if (host_once_in(host, 4))
        return 0;
    uint32_t bits = host_draw(host, 10);
    return PAGE_BYTES * (1 + (uint64_t)host_draw(host, 1u << bits));
}

static void submit_budget(struct host *host, uint64_t budget_bytes, uint32_t flags)
{
    struct tresor_request request = {0};
    struct tresor_request_options options = {.size_bytes = sizeof options, .flags = flags};
    int32_t code = tresor_budget(host->context, budget_bytes, &options, &request);
    host_expect(host, code, host_is_full(host), "budget");
    struct host_request *made = host_note(host, code, request, TRESOR_VERB_BUDGET, 0);
    if (!made)
        return;
    made->is_patient = flags != 0;
    made->total_bytes = budget_bytes;
}

void host_set_budget(struct host *host)
{
    uint64_t budget_bytes = host_choose_budget(host);
    submit_budget(host, budget_bytes, host_once_in(host, 3) ? TRESOR_REQUEST_WAIT : 0);
}

void host_lift_budget(struct host *host)
{
    submit_budget(host, 0, 0);
}

void host_set_policy(struct host *host)
{
    int32_t code = tresor_set_policy(host->context, host_draw(host, TRESOR_POLICY_PRIORITY + 1));
    if (code != TRESOR_OK)
        host_violate(host, "set_policy answered %s", tresor_error_name(code));
}

void host_set_priority(struct host *host)
{
    struct host_item item;
    uint32_t index = host_choose_source(host, HOST_OPEN);
    if (index == HOST_SOURCES || !host_choose_item(host, index, &item))
        return;
    int32_t priority = (int32_t)host_draw(host, PRIORITIES);
    int32_t code = priority == 0
                       ? tresor_reset_priority(host->context, item.handle)
                       : tresor_set_priority(host->context, item.handle, priority - PRIORITIES / 2);
    if (code != TRESOR_OK)
        host_violate(host, "set_priority answered %s", tresor_error_name(code));
}

/* --- plans --- */

/* Whether another plan that stands, by what the host knows, is of the same source. */
static bool has_plan(const struct host *host, uint32_t source)
{
    for (uint32_t i = 0; i < host->request_count; i++) {
        const struct host_request *request = &host->requests[i];
        if (request->verb == TRESOR_VERB_PLAN && request->source == source && !request->has_ended)
            return true;
    }
    return false;
}

static bool is_a_step_too_big(struct host *host, const struct tresor_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (host_may_be_too_big(host, &items[i], 1))
            return true;
    return false;
}

void host_plan(struct host *host)
{
    struct tresor_item steps[HOST_STEPS];
    struct tresor_request request = {0};
    uint32_t index = host_choose_source(host, HOST_OPEN);
    uint32_t count = 1 + host_draw(host, HOST_STEPS);
    if (index == HOST_SOURCES)
        return;
    for (uint32_t i = 0; i < count; i++) {
        struct host_item item;
        bool is_repeated = i > 0 && host_once_in(host, 4);
        if (!is_repeated && !host_choose_item(host, index, &item))
            return;
        steps[i] = is_repeated ? steps[host_draw(host, i)] : item.handle;
    }
    struct tresor_plan_options options = {.size_bytes = sizeof options};
    options.flags = host_draw(host, (TRESOR_PLAN_CYCLIC | TRESOR_PLAN_ITEMS) + 1);
    options.strategy = host_draw(host, TRESOR_STRATEGY_READ + 1);
    if (!host_once_in(host, 3))
        options.window_bytes = host_draw(host, 400000);
    int32_t code = tresor_plan(host->context, steps, count, &options, &request);
    if ((code == TRESOR_ERROR_TOO_BIG && is_a_step_too_big(host, steps, count)) ||
        (code == TRESOR_ERROR_BUSY && has_plan(host, index)) ||
        (options.strategy == TRESOR_STRATEGY_MMAP && host_may_refuse(host, index, code)))
        return;
    host_expect(host, code, host_is_full(host), "plan");
    struct host_request *made = host_note(host, code, request, TRESOR_VERB_PLAN, index);
    if (!made)
        return;
    made->wants_items = options.flags & TRESOR_PLAN_ITEMS;
    made->step_count = count;
    for (uint32_t i = 0; i < count; i++)
        made->steps[i] = steps[i];
}

/* A plan that has not ended, of a source that is open; NULL where there is none. */
static struct host_request *choose_plan(struct host *host)
{
    struct host_request *chosen = NULL;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < host->request_count; i++) {
        struct host_request *request = &host->requests[i];
        bool stands = request->verb == TRESOR_VERB_PLAN && !request->has_ended &&
                      host->sources[request->source].state == HOST_OPEN;
        if (stands && host_draw(host, ++seen) == 0)
            chosen = request;
    }
    return chosen;
}

/* Its end may be there already, not taken. */
static bool get_info(struct host *host, const struct host_request *plan, struct tresor_plan_info *info)
{
    *info = (struct tresor_plan_info){.size_bytes = sizeof *info};
    int32_t code = tresor_plan_get_info(host->context, (struct tresor_request){plan->value}, info);
    if (code != TRESOR_OK && code != TRESOR_ERROR_STALE)
        host_violate(host, "plan_get_info answered %s", tresor_error_name(code));
    if (code == TRESOR_OK && (info->step_count != plan->step_count || info->step > info->step_count))
        host_violate(host, "a plan is at step %ju of %ju", (uintmax_t)info->step,
                     (uintmax_t)info->step_count);
    return code == TRESOR_OK && info->step < info->step_count;
}

void host_follow_plan(struct host *host)
{
    struct tresor_plan_info info;
    struct host_request *plan = choose_plan(host);
    if (!plan || !get_info(host, plan, &info))
        return;
    uint32_t step = (uint32_t)info.step;
    if (host_once_in(host, 8))
        step = host_draw(host, plan->step_count);
    struct host_item item = {.handle = plan->steps[step]};
    if (!host_know_item(host, plan->source, &item) || !host_acquire_item(host, &item))
        return;
    if (host_draw(host, 3) > 0)
        host_release(host, host->use_count - 1);
}

void host_seek(struct host *host)
{
    struct host_request *plan = choose_plan(host);
    if (!plan)
        return;
    size_t step = host_draw(host, plan->step_count + 1);
    int32_t code = tresor_plan_seek(host->context, (struct tresor_request){plan->value}, step);
    bool is_right = code == (step < plan->step_count ? TRESOR_OK : TRESOR_ERROR_INVALID) ||
                    code == TRESOR_ERROR_STALE;
    if (!is_right)
        host_violate(host, "plan_seek answered %s", tresor_error_name(code));
}

void host_cancel_plans(struct host *host)
{
    for (uint32_t i = 0; i < host->request_count; i++) {
        struct host_request *request = &host->requests[i];
        if (request->verb != TRESOR_VERB_PLAN || request->has_ended)
            continue;
        request->is_cancelled = true;
        tresor_cancel(host->context, (struct tresor_request){request->value});
    }
}
