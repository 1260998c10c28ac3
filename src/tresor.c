/* SPDX-License-Identifier: MIT */
/* A context at work: effects out to the backend, completions in, events to who waits for them. */
#include <string.h>

#include "context.h"
#include "core/handle.h"
#include "requests.h"

enum {
    BATCH = 32, /* effects and completions that are handed over at a time */
};

/* The address of a thread's own variable tells it from every other living thread. */
static _Thread_local char thread_mark;

const char *tresor_version(void)
{
#define TEXT(value) #value
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)
    return VERSION(TRESOR_VERSION_MAJOR, TRESOR_VERSION_MINOR, TRESOR_VERSION_PATCH);
#undef VERSION
#undef TEXT
}

int32_t tresor__context_enter(const struct tresor_context *context)
{
    const void *owner = atomic_load_explicit(&context->owner, memory_order_relaxed);
    return owner && owner != &thread_mark ? TRESOR_ERROR_THREAD : TRESOR_OK;
}

static void *address_of(struct tresor__controller *controller, const struct tresor__effect *effect,
                        const struct tresor__model_file *file)
{
    switch (effect->space) {
    case TRESOR__SPACE_WINDOW:
    case TRESOR__SPACE_HELD:
        return file->window + effect->place;
    case TRESOR__SPACE_HEADER:
        return file->header + effect->place;
    case TRESOR__SPACE_CALLER:
        return (char *)controller->destinations[controller->io.blocks[effect->slot].job] +
               effect->place;
    case TRESOR__SPACE_STAGE:
        return tresor__stages_address(controller, controller->io.blocks[effect->slot].stage) +
               effect->place;
    case TRESOR__SPACE_SCRATCH:
        return file->window + file->window_bytes + effect->place;
    default:
        return NULL;
    }
}

/* Machines hold no addresses; here their places become some. */
static void resolve(struct tresor_context *context, struct tresor__effect *effect)
{
    static int64_t (*const works[])(void *) = {
        [TRESOR__WORK_PARSE] = tresor__slot_parse,
        [TRESOR__WORK_INDEX] = tresor__slot_index,
        [TRESOR__WORK_FREE] = tresor__slot_free,
        [TRESOR__WORK_DECODE] = tresor__slot_decode,
    };
    struct tresor__controller *controller = &context->controller;
    struct tresor__slot *slot = &controller->slots[effect->source];
    struct tresor__model_file *file = &slot->source.model.files[effect->file];
    bool is_direct = (effect->kind == TRESOR__EFFECT_READ || effect->kind == TRESOR__EFFECT_CLOSE) &&
                     effect->flags & TRESOR__READ_DIRECT;
    effect->descriptor = is_direct ? file->direct_descriptor : file->descriptor;
    effect->path = file->path;
    effect->origin = &file->origin;
    effect->address = address_of(controller, effect, file);
    effect->nodes = context->nodes.numa == TRESOR_NUMA_DEFAULT ? NULL : &context->nodes;
    bool has_target =
        effect->kind == TRESOR__EFFECT_MOVE || effect->kind == TRESOR__EFFECT_REPLACE ||
        ((effect->kind == TRESOR__EFFECT_READ || effect->kind == TRESOR__EFFECT_ADVISE) &&
         tresor__model_is_held(file));
    effect->target = has_target ? file->window + effect->offset : NULL;
    if (effect->kind == TRESOR__EFFECT_WORK) {
        effect->work = works[effect->flags];
        effect->record = slot;
    } else if (effect->kind == TRESOR__EFFECT_READ || effect->kind == TRESOR__EFFECT_OPEN_DIRECT) {
        effect->record = &file->io.direct.facts;
    } else if (effect->kind == TRESOR__EFFECT_STAT) {
        effect->record = effect->machine == TRESOR__MACHINE_CHECK
                             ? &controller->checks[effect->slot].seen
                             : &file->seen;
    } else if (effect->kind == TRESOR__EFFECT_MAP) {
        effect->record = &file->identity;
    } else if (effect->kind == TRESOR__EFFECT_QUERY) {
        effect->record = &file->io.lock_facts;
    }
    tresor__guard_resolve(context, effect, file);
}

static uint32_t submit(struct tresor_context *context)
{
    struct tresor__effect *effects = context->controller.effects;
    uint32_t count = tresor__controller_take_effects(&context->controller);
    for (uint32_t i = 0; i < count; i++)
        resolve(context, &effects[i]);
    if (count > 0)
        context->backend->submit(context->backend, effects, count);
    return count;
}

/* Completions of up to a batch are delivered; how many there were. */
static uint32_t deliver_batch(struct tresor_context *context, uint32_t limit)
{
    struct tresor__completion completions[BATCH];
    tresor__context_run_watch(context);
    tresor__context_hear_faults(context);
    if (context->controller.in_flight == 0)
        return 0;
    uint32_t count = context->backend->poll(context->backend, completions,
                                            limit < BATCH ? limit : BATCH);
    if (context->backend->refused_errno != 0)
        tresor__events_degrade(&context->controller, NULL, TRESOR_DEGRADED_BACKEND,
                               context->backend->refused_errno);
    for (uint32_t i = 0; i < count; i++)
        tresor__controller_deliver(&context->controller, &completions[i]);
    return count;
}

bool tresor__context_has_more(struct tresor_context *context)
{
    return tresor__controller_is_due(&context->controller) ||
           (context->controller.in_flight > 0 && context->backend->pending(context->backend)) ||
           (context->watch && tresor__watch_pending(context->watch)) || tresor__context_has_faults(context);
}

/* Rounds of completions, the machines' turns and what they ask, until nothing moves or the limit is reached. */
bool tresor__context_work(struct tresor_context *context)
{
    enum { TURNS_EACH = 8, TURNS_MIN = 64 };
    struct tresor__controller *controller = &context->controller;
    atomic_store_explicit(&context->owner, &thread_mark, memory_order_relaxed);
    context->backend->starts_left = TRESOR__STARTS_MAX;
    for (uint32_t left = context->dispatch_max; left > 0;) {
        uint32_t completions = deliver_batch(context, left);
        tresor__controller_run(controller, TURNS_MIN + TURNS_EACH * completions);
        tresor__context_tell_sleepers(context);
        uint32_t effects = submit(context);
        bool due = tresor__controller_is_due(controller);
        if (!due && (controller->in_flight == 0 || (completions == 0 && effects == 0)))
            /* The dispatch may have started its share of reads, and there are more. */
            return context->backend->starts_left == 0 && tresor__context_has_more(context);
        left -= completions > 0 ? completions : 1;
    }
    return tresor__context_has_more(context);
}

int32_t tresor_dispatch(struct tresor_context *context)
{
    int32_t code = tresor__context_enter(context);
    if (code != TRESOR_OK)
        return code;
    if (atomic_load(&context->woken) & TRESOR__WOKEN_LOOP)
        atomic_fetch_and(&context->woken, ~(uint32_t)TRESOR__WOKEN_LOOP);
    bool more = tresor__context_work(context);
    tresor__context_level(context);
    return more;
}

int32_t tresor_next_event(struct tresor_context *context, struct tresor_event *event)
{
    int32_t code = tresor__context_enter(context);
    if (code != TRESOR_OK)
        return code;
    if (!event)
        return TRESOR_ERROR_INVALID;
    if (!tresor__events_take(&context->controller, event))
        return 0;
    tresor__context_level(context); /* what it held may be what somebody waits for */
    return 1;
}

bool tresor__context_may_sleep(const struct tresor_context *context)
{
    return context->controller.in_flight > 0 || context->controller.draining > 0 ||
           context->controller.patient_count > 0 ||
           (context->controller.stageless.head != TRESOR_NONE &&
            context->controller.stages_out > 0) ||
           tresor__budget_awaits_users(&context->controller);
}

/* Who tells is counted first, tells then, and leaves last; so it is seen here at least once. */
bool tresor__context_is_told(struct tresor_context *context)
{
    return atomic_load(&context->wakers) > 0 || tresor__context_has_more(context);
}

/* Nothing is under way, but a watch or a guard may tell something, or a plan goes on when another thread has used what is there. */
static bool waits_for_use(const struct tresor_context *context)
{
    return context->controller.watch.state == WATCH_WATCHING ||
           context->controller.guard.state == GUARD_GUARDING ||
           tresor__plans_stand(&context->controller);
}

int32_t tresor__context_time_left(const struct tresor_context *context, int32_t timeout_ms,
                                  int64_t start_ms)
{
    if (timeout_ms < 0)
        return -1;
    int64_t passed = context->sys->now_ms(context->sys->cookie) - start_ms;
    return passed < timeout_ms ? (int32_t)(timeout_ms - passed) : 0;
}

/* A wake that a dispatch has seen is still due here; one that is seen here is over for both. */
static bool is_woken(struct tresor_context *context)
{
    return atomic_exchange(&context->woken, 0) & TRESOR__WOKEN_WAIT;
}

static bool wait_for_event(struct tresor_context *context, int32_t timeout_ms)
{
    int64_t start_ms = timeout_ms < 0 ? 0 : context->sys->now_ms(context->sys->cookie);
    for (;;) {
        bool more = tresor__context_work(context);
        if (context->controller.events.head != TRESOR_NONE)
            return true;
        if (is_woken(context))
            return false;
        int32_t left_ms = tresor__context_time_left(context, timeout_ms, start_ms);
        if (left_ms == 0)
            return false;
        if (more)
            continue;
        if (tresor__context_may_sleep(context) || waits_for_use(context))
            context->backend->wait(context->backend, left_ms);
        else if (!tresor__context_is_told(context))
            return false;
    }
}

int32_t tresor_wait(struct tresor_context *context, int32_t timeout_ms)
{
    int32_t code = tresor__context_enter(context);
    if (code != TRESOR_OK)
        return code;
    bool has_event = wait_for_event(context, timeout_ms);
    tresor__context_level(context);
    return has_event;
}

void tresor_wake(struct tresor_context *context)
{
    atomic_store(&context->woken, TRESOR__WOKEN_WAIT | TRESOR__WOKEN_LOOP);
    tresor__bell_ring(&context->bell);
}

int32_t tresor__request_find(const struct tresor_context *context, struct tresor_request request,
                            uint32_t *index)
{
    uint64_t slot = tresor__handle_slot(request.value);
    if (tresor__handle_kind(request.value) != TRESOR__KIND_REQUEST ||
        slot >= context->controller.limits.requests)
        return TRESOR_ERROR_STALE;
    *index = (uint32_t)slot;
    const struct tresor__request *found = &context->controller.requests[*index];
    bool live = found->state != REQUEST_FREE &&
                found->generation == tresor__handle_generation(request.value);
    return live ? TRESOR_OK : TRESOR_ERROR_STALE;
}

/*
 * It waits for a pair, or for a stage or the end of a pin while there are events to take, and nothing is under way that
 * could give one back.
 */
static bool is_starved(const struct tresor_context *context, uint32_t index)
{
    const struct tresor__controller *controller = &context->controller;
    const struct tresor__request *request = &controller->requests[index];
    bool lacks_pair = request->state == REQUEST_VISITING && request->starving.queued;
    bool lacks_stage = request->verb == TRESOR_VERB_STREAM &&
                       controller->streams[index].stageless.queued &&
                       controller->events.head != TRESOR_NONE;
    bool lacks_release = controller->pinned_count > 0; /* of this one, or of what it waits behind */
    return controller->in_flight == 0 && (lacks_pair || lacks_stage || lacks_release);
}

/* TRESOR_OK with its end taken, or why there will be none. */
static int32_t work_until_end(struct tresor_context *context, uint32_t index, bool discard_items,
                              struct tresor_event *end)
{
    while (!tresor__events_take_end(&context->controller, index, discard_items, end)) {
        if (tresor__context_work(context) || context->controller.requests[index].state == REQUEST_ENDED)
            continue;
        /* Its own events may be what it waits for. */
        if (discard_items && tresor__events_discard(&context->controller, index))
            continue;
        bool is_plan = context->controller.requests[index].verb == TRESOR_VERB_PLAN;
        if ((is_plan || tresor__context_may_sleep(context)) && !is_starved(context, index))
            context->backend->wait(context->backend, -1);
        else if (!tresor__context_is_told(context))
            return tresor__turns_has_starving(&context->controller) ||
                           context->controller.stageless.head != TRESOR_NONE ||
                           context->controller.pinned_count > 0 ||
                           tresor__budget_is_awaited(&context->controller)
                       ? TRESOR_ERROR_AGAIN
                       : TRESOR_ERROR_BACKEND;
    }
    return TRESOR_OK;
}

int32_t tresor_finish(struct tresor_context *context, struct tresor_request request,
                      int32_t discard_items, struct tresor_event *event)
{
    struct tresor_event end;
    uint32_t index = 0;
    int32_t code = tresor__context_enter(context);
    if (code == TRESOR_OK)
        code = tresor__request_find(context, request, &index);
    if (code != TRESOR_OK)
        return code;
    code = work_until_end(context, index, discard_items != 0, &end);
    tresor__context_level(context);
    if (code != TRESOR_OK)
        return code;
    if (event)
        *event = end;
    return end.error.code;
}

int32_t tresor_cancel(struct tresor_context *context, struct tresor_request request)
{
    uint32_t index = 0;
    int32_t code = tresor__context_enter(context);
    if (code == TRESOR_OK)
        code = tresor__request_find(context, request, &index);
    if (code != TRESOR_OK || context->controller.requests[index].verb == TRESOR_VERB_CLOSE)
        return code;
    if (context->controller.requests[index].state != REQUEST_ENDED)
        tresor__events_unpin_request(&context->controller, index);
    tresor__router_step(&context->controller,
                        &(struct tresor__address){TRESOR__MACHINE_REQUEST, 0, index},
                        &(struct tresor__input){.event = REQUEST_ON_CANCEL});
    tresor__context_level(context);
    return TRESOR_OK;
}

const char *tresor_backend_name(const struct tresor_context *context)
{
    return context->backend->name;
}

static void add_file(struct tresor_counters *counters, const struct tresor__ledger *ledger)
{
    counters->mapped_bytes += ledger->resident_bytes[TRESOR__BACKING_FILE];
    counters->private_bytes += ledger->resident_bytes[TRESOR__BACKING_ANONYMOUS];
    counters->locked_bytes += ledger->locked_bytes;
    counters->leaked_bytes += ledger->leaked_bytes;
}

int32_t tresor_get_counters(struct tresor_context *context, struct tresor_counters *counters)
{
    const struct tresor__controller *controller = &context->controller;
    int32_t code = tresor__context_enter(context);
    if (code != TRESOR_OK)
        return code;
    if (!counters)
        return TRESOR_ERROR_INVALID;
    struct tresor_counters known = {
        .steps = controller->steps,
        .rejected = controller->rejected,
        .effects = controller->effect_total,
        .completions = controller->completion_total,
        .requests = controller->request_total,
        .events = controller->event_total,
        .read_bytes = controller->read_bytes,
        .leaked_bytes = controller->leaked_bytes,
        .direct_bytes = controller->direct_bytes,
        .spare_bytes = controller->io.room.spare_bytes,
        .cached_bytes = controller->cached_bytes,
        .budget_bytes = controller->budget.budget_bytes,
        .committed_bytes = controller->io.room.committed_bytes,
        .charged_bytes = controller->io.room.charged_bytes,
        .evicted = controller->budget.evicted,
        .wasted = controller->budget.wasted,
        .hits = atomic_load_explicit(&controller->acquires.clock, memory_order_relaxed) -
                controller->budget.ticks,
        .misses = atomic_load_explicit(&controller->acquires.misses, memory_order_relaxed),
        .late = atomic_load_explicit(&controller->acquires.late, memory_order_relaxed),
        .uncollected_bytes = controller->io.room.uncollected_bytes,
    };
    for (uint32_t i = 0; i < controller->limits.sources; i++) {
        const struct tresor__slot *slot = &controller->slots[i];
        bool has_ledgers = slot->source.state == SOURCE_READY || slot->source.state == SOURCE_DRAINING;
        for (uint32_t k = 0; has_ledgers && k < slot->source.model.file_count; k++)
            add_file(&known, &slot->source.model.files[k].io.ledger);
    }
    return tresor__info_copy(counters, &known, sizeof known);
}
