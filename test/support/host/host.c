/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"

enum {
    SETTLE_MAX = 20000, /* dispatches; a run has some thousand effects */
    UNIT_BYTES = 64 * 1024,
};

void host_violate(struct host *host, const char *format, ...)
{
    va_list arguments;
    if (host->violation[0])
        return;
    va_start(arguments, format);
    vsnprintf(host->violation, sizeof host->violation, format, arguments);
    va_end(arguments);
}

/* --- the beginning --- */

void host_digest(struct host *host, const void *bytes, size_t length)
{
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < length; i++)
        host->digest = (host->digest ^ byte[i]) * UINT64_C(0x100000001b3);
}

/* Names are constant texts, and their places are the loader's; so what they say is taken. */
static void digest_transition(struct host *host, const struct tresor_transition *transition)
{
    const uint64_t numbers[] = {transition->source, transition->slot, (uint64_t)transition->os_errno};
    host_digest(host, transition->machine, strlen(transition->machine));
    host_digest(host, transition->event, strlen(transition->event));
    host_digest(host, transition->to, strlen(transition->to));
    host_digest(host, numbers, sizeof numbers);
}

static void trace(const struct host *host, const struct tresor_transition *transition)
{
    fprintf(host->plan.trace, "%10.3f ms %s %u/%u %s --%s--> %s  %s",
            host->plan.sim ? (double)host->plan.sim->now_ns / 1e6 : 0.0, transition->machine,
            transition->source, transition->slot, transition->from, transition->event,
            transition->to, transition->action);
    if (transition->os_errno != 0)
        fprintf(host->plan.trace, ", errno %d", transition->os_errno);
    fputc('\n', host->plan.trace);
}

static void observe(void *cookie, const struct tresor_transition *transition)
{
    struct host *host = cookie;
    if (host->plan.sim)
        digest_transition(host, transition);
    if (host->plan.trace)
        trace(host, transition);
    if (transition->sequence != ++host->transitions)
        host_violate(host, "step %ju of %s follows step %ju", (uintmax_t)transition->sequence,
                     transition->machine, (uintmax_t)(host->transitions - 1));
    if (host->context)
        host_look_at_room(host);
}

static uint32_t choose_small(struct host *host)
{
    static const uint32_t sizes[] = {1, 1, 2, 3, 8, 64};
    return sizes[host_draw(host, sizeof sizes / sizeof sizes[0])];
}

static uint64_t choose_spare(struct host *host)
{
    return host_once_in(host, 2) ? 0 : host_draw(host, 400000);
}

/* One after the other, for a script's bytes are taken in this order. */
static void choose_pools(struct host *host, struct tresor_context_options *options)
{
    options->sources_max = 1 + host_draw(host, HOST_SOURCES);
    options->requests_max = 1 + host_draw(host, 40);
    options->items_max = 3 + host_draw(host, 60);
    options->waits_max = choose_small(host);
    options->blocks_max = choose_small(host);
    options->dispatch_max = choose_small(host);
    options->populate_bytes = UNIT_BYTES * (1 + host_draw(host, 3));
    options->spare_bytes = choose_spare(host);
    options->stages_max = 1 + host_draw(host, 6);
}

static void choose_options(struct host *host)
{
    host->options = (struct tresor_context_options){
        .size_bytes = sizeof host->options,
        .allocator = failing_allocator_hooks(&host->memory),
        .block_bytes = UNIT_BYTES,
        .stage_bytes = UNIT_BYTES,
        .observer = observe,
        .observer_cookie = host,
        .backend = host->plan.backend,
    };
    choose_pools(host, &host->options);
    host->options.threads_max = host->plan.sim ? 1 + host_draw(host, 4) : 2;
    host->options.strategy = host_draw(host, TRESOR_STRATEGY_READ + 1);
    host->options.direct = host_draw(host, TRESOR_DIRECT_OFF + 1);
    host->options.budget_bytes = host_choose_budget(host);
    host->options.policy = host_draw(host, TRESOR_POLICY_PRIORITY + 1);
}

static void choose_faults(struct host *host)
{
    static const uint32_t rates[] = {300, 60, 20};
    host->faults.seed = host->plan.seed ^ UINT64_C(0x5deece66d);
    host->is_disturbed = host->plan.has_faults || host->plan.is_disturbed;
    host->faulty.refusals_stay = host->is_disturbed;
    host->faulty.moves_unmap = host->plan.seed % 2 == 0;
    host->faulty.judge = faults_judge;
    host->faulty.judge_cookie = &host->faults;
    if (!host->plan.has_faults)
        return;
    host->faults.rate = rates[host_draw(host, 3)];
    if (host_once_in(host, 4))
        host->memory.fail_call = 1 + host_draw(host, 150);
}

static bool has_workers(const struct host *host)
{
    return !host->plan.is_shuffled && !host->plan.sim && host->plan.backend != TRESOR_BACKEND_SYNC;
}

static void choose_system(struct host *host)
{
    struct fake_sys *fake = host->fake;
    fake->lock_limit_bytes =
        host_once_in(host, 3) ? host_draw(host, 40) * UINT64_C(4096) : UINT64_MAX;
    fake->is_old = host_once_in(host, 6);
    fake->has_workers = host->faulty.has_workers = has_workers(host);
    fake->has_no_ring = host_once_in(host, 6);
    fake->ring.seed = host->seed;
    fake->direct_alignment_bytes = host_once_in(host, 4) ? 0 : 512u << host_draw(host, 4);
    fake->is_direct_silent = host_once_in(host, 4);
    for (uint32_t i = 0; i < fake->file_count; i++) {
        fake->files[i].cached_start_bytes = host_draw(host, 64) * UINT64_C(4096);
        fake->files[i].cached_end_bytes = host_draw(host, 256) * UINT64_C(4096);
    }
}

static int32_t create_simulated(struct host *host)
{
    struct tresor__sim *sim = host->plan.sim;
    host->faulty.clock_ns = &sim->now_ns;
    host->faulty.reads = FAULTY_READS_SOME;
    host->faulty.seed = host->plan.seed;
    sim->sys = &host->faulty.sys;
    return tresor__context_create_on(&host->faulty.sys, tresor__sim_create, sim, &host->options,
                                     &host->context);
}

static int32_t create(struct host *host)
{
    if (host->plan.sim)
        return create_simulated(host);
    host->shuffled = (struct shuffled){.sys = &host->faulty.sys, .seed = host->seed};
    return host->plan.is_shuffled
               ? tresor__context_create_on(&host->faulty.sys, shuffled_create, &host->shuffled,
                                           &host->options, &host->context)
               : tresor__context_create_over(&host->faulty.sys, &host->options, &host->context);
}

bool host_start(struct host *host, const struct host_plan *plan, const struct models *models,
                struct fake_sys *fake)
{
    memset(host, 0, sizeof *host);
    host->plan = *plan;
    host->models = models;
    host->fake = fake;
    host->seed = plan->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    faulty_sys_init(&host->faulty, &fake->sys);
    choose_faults(host);
    choose_options(host);
    choose_system(host);
    int32_t code = create(host);
    if (code != TRESOR_OK && !host->is_disturbed)
        host_violate(host, "create answered %s", tresor_error_name(code));
    if ((code == TRESOR_OK) != (host->context != NULL))
        host_violate(host, "create answered %s and %p", tresor_error_name(code),
                     (void *)host->context);
    return host->context != NULL;
}

/* --- requests --- */

struct host_request *host_note(struct host *host, int32_t code, struct tresor_request request,
                               enum tresor_verb verb, uint32_t source)
{
    if (code != TRESOR_OK)
        return NULL;
    struct host_request *made = &host->requests[host->request_count++];
    *made = (struct host_request){
        .value = request.value,
        .verb = verb,
        .source = source,
        .origin = source < HOST_SOURCES ? host->sources[source].origin : 0,
    };
    host->live_count++;
    host_note_use(host);
    if (host->live_count > host->options.requests_max)
        host_violate(host, "%u requests of %u", host->live_count, host->options.requests_max);
    return made;
}

struct host_request *host_find(struct host *host, uint64_t value)
{
    for (uint32_t i = host->request_count; i-- > 0;)
        if (host->requests[i].value == value)
            return &host->requests[i];
    return NULL;
}

/* --- dispatch --- */

struct tresor_counters host_counters(struct host *host)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    int32_t code = tresor_get_counters(host->context, &counters);
    if (code != TRESOR_OK)
        host_violate(host, "counters answered %s", tresor_error_name(code));
    return counters;
}

static uint64_t answers_so_far(const struct host *host)
{
    return host->plan.sim ? host->plan.sim->answers : host->shuffled.answers;
}

static void look_for_sleepers(struct host *host)
{
    if (host->plan.sim && host->plan.sim->stuck > 0)
        host_violate(host, "it slept for ever, and nothing would have woken it");
}

int32_t host_dispatch(struct host *host)
{
    uint64_t steps = host->transitions;
    uint64_t answers = answers_so_far(host);
    uint32_t in_flight = host->context->controller.in_flight;
    host_note_use(host);
    int32_t more = tresor_dispatch(host->context);
    host_note_use(host);
    host_look_at_room(host);
    if (more < 0)
        host_violate(host, "dispatch answered %s", tresor_error_name(more));
    /* What workers do in the meantime is not seen here. */
    bool is_idle =
        !has_workers(host) && more == 1 && host->transitions == steps && host->context->controller.in_flight == in_flight;
    if (is_idle)
        host_violate(host, "dispatch says that more is to do, and does nothing");
    if (answers_so_far(host) - answers > host->options.dispatch_max)
        host_violate(host, "one dispatch took %ju completions",
                     (uintmax_t)(answers_so_far(host) - answers));
    look_for_sleepers(host);
    return more;
}

static bool is_under_way(struct host *host)
{
    struct tresor_counters counters = host_counters(host);
    return counters.effects != counters.completions;
}

void host_settle(struct host *host)
{
    host->shuffled.is_holding = false;
    for (uint32_t i = 0; !host->violation[0]; i++) {
        int32_t more = host_dispatch(host);
        uint32_t taken = host_take(host, UINT32_MAX) + host->chunk_count;
        host_return_chunks(host, UINT32_MAX);
        if (more == 0 && taken == 0 && !is_under_way(host))
            break;
        if (more == 0 && taken == 0 && (has_workers(host) || host->plan.sim))
            host->context->backend->wait(host->context->backend, -1);
        if (i == SETTLE_MAX)
            host_violate(host, "no rest after %u dispatches", i);
    }
    uint64_t steps = host->transitions;
    if (host_dispatch(host) != 0 || host->transitions != steps)
        host_violate(host, "dispatch said that nothing is to do, and then did something");
}

/* --- the end --- */

/* Over a good system and with nobody in the way everything can be unlocked and evicted. */
static void empty_source(struct host *host, uint32_t index)
{
    int32_t (*const verbs[])(struct tresor_context *, const struct tresor_item *, size_t,
                             const struct tresor_request_options *,
                             struct tresor_request *) = {tresor_unlock, tresor_evict};
    static const enum tresor_verb names[] = {TRESOR_VERB_UNLOCK, TRESOR_VERB_EVICT};
    struct tresor_item item = {0};
    tresor_item_of_source(host->context, host->sources[index].handle, &item);
    for (uint32_t i = 0; i < 2; i++) {
        struct tresor_request request = {0};
        int32_t code = verbs[i](host->context, &item, 1, NULL, &request);
        if (!host_note(host, code, request, names[i], index))
            host_violate(host, "the last %s answered %s", tresor_verb_name(names[i]),
                         tresor_error_name(code));
        host_settle(host);
    }
}

static void empty(struct host *host)
{
    for (uint32_t i = 0; i < HOST_SOURCES; i++)
        if (host->sources[i].state == HOST_OPEN)
            empty_source(host, i);
    struct tresor_counters counters = host_counters(host);
    if (counters.mapped_bytes + counters.private_bytes + counters.locked_bytes > 0)
        host_violate(host, "%ju mapped, %ju private and %ju locked bytes after all was evicted",
                     (uintmax_t)counters.mapped_bytes, (uintmax_t)counters.private_bytes,
                     (uintmax_t)counters.locked_bytes);
}

static void split_all(struct host *host)
{
    for (uint32_t i = 0; i < HOST_SOURCES; i++)
        if (host->sources[i].state == HOST_OPEN)
            host_split_at_end(host, i);
}

static void close_all(struct host *host)
{
    for (uint32_t i = 0; i < HOST_SOURCES; i++) {
        struct tresor_request request = {0};
        if (host->sources[i].state != HOST_OPEN)
            continue;
        int32_t code = tresor_source_close(host->context, host->sources[i].handle, 0, &request);
        if (!host_note(host, code, request, TRESOR_VERB_CLOSE, i))
            host_violate(host, "the last CLOSE answered %s", tresor_error_name(code));
        host->sources[i].state = HOST_CLOSING;
        host_settle(host);
    }
}

static void heal(struct host *host)
{
    fake_sys_heal(host->fake);
    if (host->plan.sim)
        host->plan.sim->on_alarm = NULL;
    host->faults.rate = 0;
    host->memory.fail_call = 0;
}

/* What has failed before, and was mended since, leaves nothing behind that a new source would suffer from. */
static void open_once_more(struct host *host)
{
    struct tresor_request request = {0};
    struct host_source *source = &host->sources[0];
    uint32_t model = host_draw(host, MODELS_GGUF);
    int32_t code = tresor_source_open(host->context, models_path(host->models, model), 0,
                                      &source->handle, &request);
    if (!host_note(host, code, request, TRESOR_VERB_OPEN, 0)) {
        host_violate(host, "the last OPEN answered %s", tresor_error_name(code));
        return;
    }
    *source = (struct host_source){
        .state = HOST_OPENING, .handle = source->handle, .model = model};
    host_settle(host);
    if (source->state == HOST_OPEN)
        host_split_at_end(host, 0);
    else
        host_violate(host, "model %u cannot be opened any more", model);
    close_all(host);
}

static void destroy(struct host *host, bool is_sudden)
{
    host->shuffled.is_holding = false;
    if (!is_sudden && tresor_wait(host->context, -1) != 0)
        host_violate(host, "a wait for nothing found something");
    int32_t code = tresor_context_destroy(host->context);
    if (code != TRESOR_OK)
        host_violate(host, "destroy answered %s", tresor_error_name(code));
    else
        host->context = NULL;
    look_for_sleepers(host);
    host_check_held(host);
}

/* Loads that end then bring pins, too. */
static void release_all(struct host *host)
{
    while (host->use_count > 0)
        host_release(host, host->use_count - 1);
}

static void release_and_settle(struct host *host)
{
    do {
        release_all(host);
        host_settle(host);
    } while (host->use_count > 0 && !host->violation[0]);
}

/* A lock that awaits what waits for room may hold what would have to go for it, and a swap's own tensor its chunk's room. */
static bool has_lock(const struct host *host)
{
    for (uint32_t i = 0; i < host->request_count; i++)
        if ((host->requests[i].verb == TRESOR_VERB_LOCK || host->requests[i].verb == TRESOR_VERB_SWAP) &&
            !host->requests[i].has_ended)
            return true;
    return false;
}

/* Those who wait for room may also hold the pairs, the items or the requests that an unlocking needs. */
static void cancel_those_who_wait(struct host *host)
{
    for (uint32_t i = 0; i < host->request_count; i++) {
        struct host_request *request = &host->requests[i];
        if (!request->is_patient || request->has_ended)
            continue;
        request->is_cancelled = true;
        tresor_cancel(host->context, (struct tresor_request){request->value});
    }
    release_and_settle(host);
}

/* With nothing in use and nothing locked nobody has a reason to wait for room. */
static void unlock_for_those_who_wait(struct host *host)
{
    if (has_lock(host) || (host->live_count > 0 && host->context->controller.free_pair == TRESOR_NONE))
        cancel_those_who_wait(host);
    for (uint32_t i = 0; i < HOST_SOURCES && host->live_count > 0; i++) {
        struct tresor_item item = {0};
        struct tresor_request request = {0};
        if (host->sources[i].state != HOST_OPEN)
            continue;
        tresor_item_of_source(host->context, host->sources[i].handle, &item);
        int32_t code = tresor_unlock(host->context, &item, 1, NULL, &request);
        if (host_note(host, code, request, TRESOR_VERB_UNLOCK, i))
            release_and_settle(host);
        else
            cancel_those_who_wait(host);
    }
}

void host_end(struct host *host)
{
    release_all(host);
    bool is_sudden = host->context && host_once_in(host, 3);
    if (is_sudden)
        host_return_chunks(host, UINT32_MAX);
    if (host->context && !is_sudden) {
        host_cancel_plans(host);
        release_and_settle(host);
        unlock_for_those_who_wait(host);
        host_check_rest(host);
        heal(host);
        host_lift_budget(host);
        release_and_settle(host);
        if (!host->is_disturbed) {
            empty(host);
            split_all(host);
            empty(host);
        }
        close_all(host);
        if (host->plan.sim && host->is_disturbed)
            open_once_more(host);
        host_check_rest(host);
    }
    if (host->context && !host->violation[0])
        destroy(host, is_sudden);
    else if (!host->violation[0])
        host_check_held(host);
    for (uint32_t i = 0; i < host->request_count; i++)
        host_free(host, &host->requests[i].memory);
}

/* What is still under way ends as the context does. */
void host_abandon(struct host *host)
{
    struct tresor_event event;
    if (!host->context)
        return;
    for (uint32_t i = 0; i < host->chunk_count; i++)
        tresor_chunk_return(host->context, host->chunks[i]);
    while (tresor_next_event(host->context, &event) == 1) {
        if (event.type == TRESOR_EVENT_CHUNK)
            tresor_chunk_return(host->context, event.stage);
        if (event.type == TRESOR_EVENT_ITEM && event.flags & TRESOR_EVENT_PINNED)
            tresor_release(host->context, event.item);
    }
    for (uint32_t i = 0; i < host->use_count; i++)
        tresor_release(host->context, host->uses[i].handle);
    if (tresor_context_destroy(host->context) != TRESOR_OK)
        abort();
    host->context = NULL;
}
