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

static void observe(void *cookie, const struct tresor_transition *transition)
{
    struct host *host = cookie;
    if (transition->sequence != ++host->transitions)
        host_violate(host, "step %ju of %s follows step %ju", (uintmax_t)transition->sequence,
                     transition->machine, (uintmax_t)(host->transitions - 1));
    if (host->context)
        host_look_at_room(host);
}

static uint32_t choose_small(struct host *host)
{
    static const uint32_t sizes[] = {1, 1, 2, 3, 8, 64};
    return sizes[random_below(&host->seed, sizeof sizes / sizeof sizes[0])];
}

static void choose_options(struct host *host)
{
    host->options = (struct tresor_context_options){
        .size_bytes = sizeof host->options,
        .allocator = failing_allocator_hooks(&host->memory),
        .strategy = random_below(&host->seed, TRESOR_STRATEGY_READ + 1),
        .sources_max = 1 + random_below(&host->seed, HOST_SOURCES),
        .requests_max = 1 + random_below(&host->seed, 40),
        .items_max = 3 + random_below(&host->seed, 60),
        .waits_max = choose_small(host),
        .blocks_max = choose_small(host),
        .dispatch_max = choose_small(host),
        .block_bytes = UNIT_BYTES,
        .populate_bytes = UNIT_BYTES * (1 + random_below(&host->seed, 3)),
        .observer = observe,
        .observer_cookie = host,
        .backend = host->plan.backend,
        .threads_max = 2,
        .spare_bytes = random_below(&host->seed, 2) * random_below(&host->seed, 400000),
        .stages_max = 1 + random_below(&host->seed, 6),
        .stage_bytes = UNIT_BYTES,
        .direct = random_below(&host->seed, TRESOR_DIRECT_OFF + 1),
        .budget_bytes = host_choose_budget(host),
        .policy = random_below(&host->seed, TRESOR_POLICY_PRIORITY + 1),
    };
}

static void choose_faults(struct host *host)
{
    static const uint32_t rates[] = {300, 60, 20};
    host->is_disturbed = host->plan.has_faults;
    host->faulty.refusals_stay = host->plan.has_faults;
    host->faulty.moves_unmap = host->plan.seed % 2 == 0;
    host->faulty.judge = faults_judge;
    host->faulty.judge_cookie = &host->faults;
    host->faults.seed = host->plan.seed ^ UINT64_C(0x5deece66d);
    if (!host->plan.has_faults)
        return;
    host->faults.rate = rates[random_below(&host->seed, 3)];
    if (random_once_in(&host->seed, 4))
        host->memory.fail_call = 1 + random_below(&host->seed, 150);
}

static bool has_workers(const struct host *host)
{
    return !host->plan.is_shuffled && host->plan.backend != TRESOR_BACKEND_SYNC;
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
    fake->lock_limit_bytes = random_once_in(&host->seed, 3)
                                 ? random_below(&host->seed, 40) * UINT64_C(4096)
                                 : UINT64_MAX;
    fake->is_old = random_once_in(&host->seed, 6);
    fake->has_workers = host->faulty.has_workers = has_workers(host);
    fake->has_no_ring = random_once_in(&host->seed, 6);
    fake->ring.seed = host->seed;
    fake->direct_alignment_bytes = random_once_in(&host->seed, 4) ? 0 : 512u << random_below(&host->seed, 4);
    fake->is_direct_silent = random_once_in(&host->seed, 4);
    for (uint32_t i = 0; i < fake->file_count; i++) {
        fake->files[i].cached_start_bytes = random_below(&host->seed, 64) * UINT64_C(4096);
        fake->files[i].cached_end_bytes = random_below(&host->seed, 256) * UINT64_C(4096);
    }
    host->shuffled = (struct shuffled){.sys = &host->faulty.sys, .seed = host->seed};
    int32_t code =
        plan->is_shuffled
            ? tresor__context_create_on(&host->faulty.sys, shuffled_create, &host->shuffled,
                                        &host->options, &host->context)
            : tresor__context_create_over(&host->faulty.sys, &host->options, &host->context);
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
    *made = (struct host_request){.value = request.value, .verb = verb, .source = source};
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

int32_t host_dispatch(struct host *host)
{
    uint64_t steps = host->transitions;
    uint64_t answers = host->shuffled.answers;
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
    if (host->shuffled.answers - answers > host->options.dispatch_max)
        host_violate(host, "one dispatch took %ju completions",
                     (uintmax_t)(host->shuffled.answers - answers));
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
        if (more == 0 && taken == 0 && has_workers(host))
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
    host->faults.rate = 0;
    host->memory.fail_call = 0;
    for (uint32_t i = 0; i < host->fake->file_count; i++)
        host->fake->files[i].size_bytes = host->fake->files[i].bytes->size;
}

static void destroy(struct host *host, bool is_sudden)
{
    host->shuffled.is_holding = false;
    if (!is_sudden && tresor_wait(host->context, -1) != 0)
        host_violate(host, "a wait for nothing found something");
    int32_t code = tresor_context_destroy(host->context);
    if (code != TRESOR_OK)
        host_violate(host, "destroy answered %s", tresor_error_name(code));
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

/* Those who wait for room may hold the pairs that an unlocking needs. */
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
    if (host->live_count > 0 && host->context->controller.free_pair == TRESOR_NONE)
        cancel_those_who_wait(host);
    for (uint32_t i = 0; i < HOST_SOURCES && host->live_count > 0; i++) {
        struct tresor_item item = {0};
        struct tresor_request request = {0};
        if (host->sources[i].state != HOST_OPEN || host_is_full(host))
            continue;
        tresor_item_of_source(host->context, host->sources[i].handle, &item);
        int32_t code = tresor_unlock(host->context, &item, 1, NULL, &request);
        host_note(host, code, request, TRESOR_VERB_UNLOCK, i);
        release_and_settle(host);
    }
}

void host_end(struct host *host)
{
    release_all(host);
    bool is_sudden = host->context && random_once_in(&host->seed, 3);
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
        host_check_rest(host);
    }
    if (host->context && !host->violation[0])
        destroy(host, is_sudden);
    else if (!host->violation[0])
        host_check_held(host);
    for (uint32_t i = 0; i < host->request_count; i++)
        free(host->requests[i].memory);
}
