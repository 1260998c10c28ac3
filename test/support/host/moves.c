/* SPDX-License-Identifier: MIT */
/* What a host does: one move after the other, each with a weight. */
#include "host.h"

#include <stdlib.h>

enum {
    ITEMS_MAX = 3
};

uint32_t host_choose_source(struct host *host, enum host_source_state state)
{
    uint32_t start = host_draw(host, HOST_SOURCES);
    for (uint32_t i = 0; i < HOST_SOURCES; i++) {
        uint32_t at = (start + i) % HOST_SOURCES;
        if (host->sources[at].state == state)
            return at;
    }
    return HOST_SOURCES;
}

void host_expect(struct host *host, int32_t code, bool is_full, const char *what)
{
    bool is_excused = code == TRESOR_OK || (code == TRESOR_ERROR_AGAIN && is_full) ||
                      (code == TRESOR_ERROR_NO_MEMORY && host->memory.failed);
    if (!is_excused)
        host_violate(host, "%s answered %s, with %u of %u requests", what, tresor_error_name(code),
                     host->live_count, host->options.requests_max);
}

bool host_is_full(const struct host *host)
{
    return host->live_count == host->options.requests_max;
}

static void open_source(struct host *host)
{
    struct tresor_request request = {0};
    uint32_t index = host_choose_source(host, HOST_CLOSED);
    uint32_t used = 0;
    if (index == HOST_SOURCES)
        return;
    for (uint32_t i = 0; i < HOST_SOURCES; i++)
        used += host->sources[i].state != HOST_CLOSED;
    struct host_source *source = &host->sources[index];
    uint32_t model = host_draw(host, MODELS_ALL);
    int32_t code = host_open(host, source, model, &request);
    host_expect(host, code, host_is_full(host) || used >= host->options.sources_max, "open");
    if (!host_note(host, code, request, TRESOR_VERB_OPEN, index))
        return;
    source->state = HOST_OPENING;
    source->model = model;
}

static void close_source(struct host *host)
{
    struct tresor_request request = {0};
    uint32_t index = host_choose_source(host, HOST_OPEN);
    if (index == HOST_SOURCES)
        return;
    int32_t code = tresor_source_close(host->context, host->sources[index].handle, 0, &request);
    host_expect(host, code, host_is_full(host), "close");
    if (host_note(host, code, request, TRESOR_VERB_CLOSE, index))
        host->sources[index].state = HOST_CLOSING;
}

static void load(struct host *host)
{
    host_submit(host, TRESOR_VERB_LOAD);
}

static void evict(struct host *host)
{
    host_submit(host, TRESOR_VERB_EVICT);
}

static void lock(struct host *host)
{
    host_submit(host, TRESOR_VERB_LOCK);
}

static void unlock(struct host *host)
{
    host_submit(host, TRESOR_VERB_UNLOCK);
}

static void advise(struct host *host)
{
    host_submit(host, TRESOR_VERB_ADVISE);
}

static void swap(struct host *host)
{
    host_submit(host, TRESOR_VERB_SWAP);
}

static void acquire(struct host *host)
{
    uint32_t index = host_choose_source(host, HOST_OPEN);
    if (index < HOST_SOURCES)
        host_acquire(host, index);
}

static void release(struct host *host)
{
    uint32_t index = host_choose_source(host, HOST_OPEN);
    if (host_once_in(host, 6) && index < HOST_SOURCES)
        host_release_wrongly(host, index);
    else if (host->use_count > 0)
        host_release(host, host_draw(host, host->use_count));
}

/* One of the newest, for most of the others have ended. */
static struct host_request *choose_request(struct host *host)
{
    uint32_t count = host->request_count < 8 ? host->request_count : 8;
    return count == 0 ? NULL
                      : &host->requests[host->request_count - 1 - host_draw(host, count)];
}

static void cancel(struct host *host)
{
    struct host_request *request = choose_request(host);
    if (!request)
        return;
    request->is_cancelled = true;
    int32_t code = tresor_cancel(host->context, (struct tresor_request){request->value});
    if (code != (request->has_ended ? TRESOR_ERROR_STALE : TRESOR_OK))
        host_violate(host, "cancel answered %s", tresor_error_name(code));
}

/* A close ends with the last user only, and who waits for that on the same thread waits for ever.
 */
static bool may_block(const struct host *host)
{
    for (uint32_t i = 0; i < HOST_SOURCES; i++)
        if (host->sources[i].state == HOST_CLOSING && host->sources[i].uses > 0)
            return false;
    return true;
}

static bool has_patient(const struct host *host)
{
    for (uint32_t i = 0; i < host->request_count; i++)
        if ((host->requests[i].is_patient || host->requests[i].verb == TRESOR_VERB_PLAN) &&
            !host->requests[i].has_ended)
            return true;
    return false;
}

/* AGAIN is right only where events that the host has not taken, and may not be thrown away, hold
 * the pairs, or requests that wait for the host itself. */
static void check_again(struct host *host, const struct host_request *request, bool discards)
{
    struct tresor_event event;
    if (tresor_next_event(host->context, &event) != 1) {
        if (has_patient(host))
            return;
        host_violate(host, "finish answered AGAIN, and no event is to be taken");
        return;
    }
    if (discards && event.request.value == request->value)
        host_violate(host, "finish answered AGAIN for events that it was to discard");
    host_see(host, &event);
}

static void finish(struct host *host)
{
    struct tresor_event event = {0};
    struct host_request *request = choose_request(host);
    bool stands = request && request->verb == TRESOR_VERB_PLAN;
    if (!request || request->has_ended || !may_block(host) || stands ||
        (has_patient(host) && host->use_count > 0))
        return; /* it could wait for this thread itself, or for what waits for it */
    request->loses_items = true;
    host_return_chunks(host, UINT32_MAX); /* nobody else would */
    bool discards = host_draw(host, 2) == 0;
    int32_t code =
        tresor_finish(host->context, (struct tresor_request){request->value}, discards, &event);
    if (event.type == TRESOR_EVENT_DONE && event.request.value == request->value)
        host_see(host, &event);
    else if (code == TRESOR_ERROR_AGAIN)
        check_again(host, request, discards);
    else
        host_violate(host, "finish answered %s", tresor_error_name(code));
}

static void stream(struct host *host)
{
    host_submit(host, TRESOR_VERB_STREAM);
}

static void split(struct host *host)
{
    uint32_t index = host_choose_source(host, HOST_OPEN);
    if (index < HOST_SOURCES)
        host_split(host, index, false);
}

static void return_chunks(struct host *host)
{
    host_return_chunks(host, 1 + host_draw(host, 3));
}

/* With all completions held back it sleeps once, for the whole time. */
static void wait(struct host *host)
{
    host->shuffled.is_holding = host_draw(host, 2) == 0;
    uint64_t steps = host->transitions;
    uint64_t polls = host->shuffled.polls;
    uint64_t sleeps = host->shuffled.sleeps;
    /* With an eviction that waits for the host, on workers, it would really sleep. */
    uint32_t limit_ms = has_patient(host) ? 2 : 50;
    int32_t found = tresor_wait(host->context, (int32_t)host_draw(host, limit_ms));
    if (found < 0)
        host_violate(host, "wait answered %s", tresor_error_name(found));
    if (host->shuffled.is_holding && (host->shuffled.sleeps - sleeps > 1 ||
                                      host->shuffled.polls - polls > host->transitions - steps + 4))
        host_violate(host, "wait looked %ju times and slept %ju times for nothing",
                     (uintmax_t)(host->shuffled.polls - polls),
                     (uintmax_t)(host->shuffled.sleeps - sleeps));
    if (found == 1 && host_take(host, 1) == 0)
        host_violate(host, "wait found an event that is not there");
    host->shuffled.is_holding = false;
}

static void dispatch(struct host *host)
{
    host->shuffled.is_holding = host_once_in(host, 4);
    for (uint32_t left = 1 + host_draw(host, 6); left > 0; left--)
        host_dispatch(host);
    host->shuffled.is_holding = false;
}

static void take(struct host *host)
{
    host_take(host, 1 + host_draw(host, 5));
}

static void settle(struct host *host)
{
    host_settle(host);
}

/* Somebody else cuts a file off, makes it whole again, or writes the same bytes once more. */
static void touch_file(struct host *host)
{
    if (!host->plan.has_faults)
        return;
    pthread_mutex_lock(&host->faulty.lock); /* workers read it */
    uint32_t number = host_draw(host, host->fake->file_count);
    struct fake_file *file = &host->fake->files[number];
    bool is_whole = file->size_bytes == file->bytes->size;
    if (is_whole && host_once_in(host, 2))
        file->size_bytes = host_draw(host, (uint32_t)file->bytes->size);
    else
        fake_sys_restore(host->fake, number);
    file->modified_ns++;
    pthread_mutex_unlock(&host->faulty.lock);
}

static uint32_t weight_of(const struct host_way *ways, uint32_t count)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += ways[i].weight;
    return sum;
}

static void go(struct host *host, const struct host_way *ways, uint32_t chosen)
{
    while (chosen >= ways->weight)
        chosen -= ways++->weight;
    ways->move(host);
}

void host_move(struct host *host)
{
    static const struct host_way ways[] = {
        {7, open_source}, {2, close_source}, {22, load},     {12, evict},
        {6, lock},        {5, unlock},       {4, advise},    {7, host_copy},
        {8, acquire},     {6, release},      {6, cancel},    {5, host_load_and_cancel},
        {2, finish},      {3, wait},         {16, dispatch}, {8, take},
        {1, settle},      {1, touch_file},   {5, stream},    {5, return_chunks},
        {3, split},       {9, swap},         {3, host_set_budget}, {1, host_set_policy},
        {2, host_set_priority}, {4, host_plan}, {9, host_follow_plan}, {2, host_seek},
    };
    uint32_t own = weight_of(ways, sizeof ways / sizeof ways[0]);
    uint32_t chosen = host_draw(host, own + weight_of(host->plan.ways, host->plan.way_count));
    if (host->request_count + HOST_REQUESTS_LEFT > HOST_REQUESTS)
        return;
    if (chosen < own)
        go(host, ways, chosen);
    else
        go(host, host->plan.ways, chosen - own);
}
