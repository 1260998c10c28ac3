/* SPDX-License-Identifier: MIT */
#include "support/session.h"

#include "context.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_DEFAULT = 20000 };

static void __attribute__((format(printf, 2, 3)))
violate(struct session *session, const char *format, ...)
{
    va_list arguments;
    if (session->violation[0])
        return;
    va_start(arguments, format);
    vsnprintf(session->violation, sizeof session->violation, format, arguments);
    va_end(arguments);
}

static bool is_known(int32_t code)
{
    return code <= 0 && strcmp(tresor_error_name(code), "UNKNOWN") != 0;
}

/* So that one test program can run on every backend. */
static uint32_t backend_of_environment(void)
{
    static const char *const backend_names[] = {
        [TRESOR_BACKEND_DEFAULT] = "",
        [TRESOR_BACKEND_SYNC] = "sync",
        [TRESOR_BACKEND_POOL] = "pool",
        [TRESOR_BACKEND_URING] = "uring",
    };
    const char *name = getenv("TRESOR_TEST_BACKEND");
    for (uint32_t i = TRESOR_BACKEND_SYNC; name && i <= TRESOR_BACKEND_URING; i++)
        if (strcmp(name, backend_names[i]) == 0)
            return i;
    return TRESOR_BACKEND_SYNC;
}

struct tresor_context_options session_options(struct failing_allocator *memory)
{
    return (struct tresor_context_options){
        .size_bytes = sizeof(struct tresor_context_options),
        .allocator = failing_allocator_hooks(memory),
        .sources_max = 2,
        .requests_max = 16,
        .items_max = 64,
        .waits_max = 64,
        .blocks_max = 4,
        .dispatch_max = 16,
        .block_bytes = 64 * 1024,
        .populate_bytes = 64 * 1024,
        .backend = backend_of_environment(),
        /* A ring is given direct reads alone. */
        .direct = backend_of_environment() == TRESOR_BACKEND_URING ? TRESOR_DIRECT_ON
                                                                   : TRESOR_DIRECT_OFF,
        .stages_max = 4,
        .stage_bytes = 64 * 1024,
    };
}

static void start(struct session *session)
{
    memset(session, 0, sizeof *session);
    session->steps_max = STEPS_DEFAULT;
}

static int32_t note_create(struct session *session, int32_t code)
{
    if ((code == TRESOR_OK) != (session->context != NULL))
        violate(session, "create answered %s and %p", tresor_error_name(code),
                (void *)session->context);
    return code;
}

int32_t session_create(struct session *session, const struct tresor__sys *sys,
                       const struct tresor_context_options *options)
{
    start(session);
    return note_create(session, tresor__context_create_over(sys, options, &session->context));
}

int32_t session_create_shuffled(struct session *session, struct shuffled *shuffled,
                                const struct tresor_context_options *options)
{
    start(session);
    return note_create(session, tresor__context_create_on(shuffled->sys, shuffled_create, shuffled,
                                                          options, &session->context));
}

int32_t session_note(struct session *session, int32_t code, struct tresor_request request)
{
    if (!is_known(code))
        violate(session, "a request was answered with %d", code);
    if (code != TRESOR_OK)
        return code;
    if (session->request_count == SESSION_REQUESTS)
        violate(session, "more than %d requests", SESSION_REQUESTS);
    else
        session->requests[session->request_count++] =
            (struct session_request){.value = request.value};
    return code;
}

const struct model_part *session_part(const struct session *session, const struct model_set *set,
                                      const char *path)
{
    return session->part ? session->part : model_set_part(set, path);
}

static struct session_request *find(struct session *session, uint64_t value)
{
    for (uint32_t i = session->request_count; i-- > 0;)
        if (session->requests[i].value == value)
            return &session->requests[i];
    return NULL;
}

static void see_end(struct session *session, struct session_request *request,
                    const struct tresor_event *event)
{
    request->done_count++;
    request->done = *event;
    if (event->done + event->failed + event->cancelled != event->total)
        violate(session, "%s of %u ended with %u done, %u failed, %u cancelled",
                tresor_verb_name(event->verb), event->total, event->done, event->failed,
                event->cancelled);
    bool is_cut = event->verb == TRESOR_VERB_PLAN && event->error.code == TRESOR_ERROR_CANCELLED;
    if (!is_cut && (event->error.code == TRESOR_OK) != (event->done == event->total))
        violate(session, "%s ended with %s, %u of %u done", tresor_verb_name(event->verb),
                tresor_error_name(event->error.code), event->done, event->total);
}

static void see_progress(struct session *session, struct session_request *request,
                         const struct tresor_event *event)
{
    if (event->bytes <= request->progress_bytes || event->bytes > event->total_bytes)
        violate(session, "%" PRIu64 " of %" PRIu64 " bytes have arrived, and before %" PRIu64,
                event->bytes, event->total_bytes, request->progress_bytes);
    request->progress_bytes = event->bytes;
    session->progress[session->progress_count++ % SESSION_PROGRESS] = *event;
}

/* The source may have been closed in the meantime, but not in this thread's tests. */
static void see_chunk(struct session *session, const struct tresor_event *event)
{
    struct tresor_tensor_info tensor = {.size_bytes = sizeof tensor};
    struct tresor_file_info file = {.size_bytes = sizeof file};
    session->chunk_bytes += event->bytes;
    if (session->set && tresor_source_get_tensor(session->context, session->source,
                                                 event->error.tensor, &tensor) == TRESOR_OK) {
        tresor_source_get_file(session->context, session->source, tensor.file, &file);
        const struct model_part *part = session_part(session, session->set, file.path);
        uint64_t place = tensor.offset_bytes + event->offset_bytes;
        if (!part || place + event->bytes > part->bytes.size ||
            memcmp(event->data, part->bytes.data + place, (size_t)event->bytes) != 0)
            violate(session, "a chunk of tensor %s has other bytes", tensor.name);
    }
    if (tresor_chunk_return(session->context, event->stage) != TRESOR_OK)
        violate(session, "a chunk cannot be given back");
}

static void see_pressure(struct session *session, const struct tresor_event *event)
{
    session->pressure = *event;
    session->pressure_count++;
    if (event->flags == 0 || event->bytes > event->total_bytes)
        violate(session, "memory is short by %u, with %" PRIu64 " of %" PRIu64 " bytes used",
                event->flags, event->bytes, event->total_bytes);
}

static void see_poisoned(struct session *session, const struct tresor_event *event)
{
    session->poisoned[session->poisoned_count++ % SESSION_POISONED] = *event;
    if (event->bytes == 0 || event->item.value == 0 || event->error.tensor == TRESOR_NONE ||
        (event->error.code != TRESOR_ERROR_TRUNCATED && event->error.code != TRESOR_ERROR_IO))
        violate(session, "a tensor is poisoned in %" PRIu64 " bytes by %s", event->bytes,
                tresor_error_name(event->error.code));
}

static void see(struct session *session, const struct tresor_event *event)
{
    char text[512];
    struct session_request *request = find(session, event->request.value);
    if (++session->event_count == session->lose_event)
        return;
    if (!is_known(event->error.code))
        violate(session, "an event has the code %d", event->error.code);
    if (tresor_error_format(session->context, &event->error, text, sizeof text) == 0)
        violate(session, "%s has no text", tresor_error_name(event->error.code));
    if (event->type == TRESOR_EVENT_DEGRADED)
        session->degraded[session->degraded_count++ % SESSION_DEGRADED] = *event;
    else if (event->type == TRESOR_EVENT_PRESSURE)
        see_pressure(session, event);
    else if (event->type == TRESOR_EVENT_POISONED)
        see_poisoned(session, event);
    else if (!request || request->done_count > 0)
        violate(session, "an event of %s for a request that %s", tresor_verb_name(event->verb),
                request ? "has ended" : "nobody made");
    else if (event->type == TRESOR_EVENT_CHUNK)
        see_chunk(session, event);
    else if (event->type == TRESOR_EVENT_DONE)
        see_end(session, request, event);
    else if (event->type == TRESOR_EVENT_PROGRESS)
        see_progress(session, request, event);
    if (event->type == TRESOR_EVENT_ITEM)
        session->items[session->item_count++ % SESSION_ITEMS] = *event;
}

bool session_pump(struct session *session)
{
    struct tresor_event event;
    bool has_event = false;
    if (session->steps++ >= session->steps_max) {
        violate(session, "more than %" PRIu64 " dispatches", session->steps_max);
        return false;
    }
    int32_t more = tresor_dispatch(session->context);
    if (more < 0)
        violate(session, "dispatch answered %s", tresor_error_name(more));
    while (tresor_next_event(session->context, &event) == 1) {
        has_event = true;
        see(session, &event);
    }
    if (more > 0 || has_event)
        return true;
    if (session->context->controller.in_flight == 0)
        return false;
    session->context->backend->wait(session->context->backend, -1);
    return true;
}

void session_settle(struct session *session)
{
    while (session_pump(session))
        continue;
}

const struct tresor_event *session_end(const struct session *session, struct tresor_request request)
{
    for (uint32_t i = 0; i < session->request_count; i++)
        if (session->requests[i].value == request.value && session->requests[i].done_count > 0)
            return &session->requests[i].done;
    return NULL;
}

int32_t session_finish(struct session *session, struct tresor_request request,
                       struct tresor_event *done)
{
    while (!session_end(session, request) && session_pump(session))
        continue;
    const struct tresor_event *end = session_end(session, request);
    if (!end) {
        violate(session, "request %u has not ended, and nothing is left to do",
                session->request_count);
        return TRESOR_ERROR_BACKEND;
    }
    if (done)
        *done = *end;
    return end->error.code;
}

int32_t session_open(struct session *session, const char *path)
{
    struct tresor_request request = {0};
    int32_t code = session_note(
        session, tresor_source_open(session->context, path, 0, &session->source, &request),
        request);
    return code == TRESOR_OK ? session_finish(session, request, NULL) : code;
}

int32_t session_close(struct session *session)
{
    struct tresor_request request = {0};
    int32_t code = session_note(
        session, tresor_source_close(session->context, session->source, 0, &request), request);
    return code == TRESOR_OK ? session_finish(session, request, NULL) : code;
}

struct tresor_item session_all(struct session *session)
{
    struct tresor_item item = {0};
    if (tresor_item_of_source(session->context, session->source, &item) != TRESOR_OK)
        violate(session, "the source has no item");
    return item;
}

struct tresor_item session_tensor(struct session *session, uint32_t tensor)
{
    struct tresor_item item = {0};
    if (tresor_item_of_tensor(session->context, session->source, tensor, &item) != TRESOR_OK)
        violate(session, "tensor %u has no item", tensor);
    return item;
}

int32_t session_submit(struct session *session, enum tresor_verb verb,
                       const struct tresor_item *items, size_t count, uint32_t strategy,
                       struct tresor_request *request)
{
    struct tresor_request_options options = {
        .size_bytes = sizeof options,
        .flags = TRESOR_REQUEST_ITEMS,
        .strategy = verb == TRESOR_VERB_LOAD ? strategy : TRESOR_STRATEGY_DEFAULT,
    };
    static int32_t (*const verbs[])(struct tresor_context *, const struct tresor_item *, size_t,
                                    const struct tresor_request_options *,
                                    struct tresor_request *) = {
        [TRESOR_VERB_LOAD] = tresor_load,
        [TRESOR_VERB_EVICT] = tresor_evict,
        [TRESOR_VERB_LOCK] = tresor_lock,
        [TRESOR_VERB_UNLOCK] = tresor_unlock,
        [TRESOR_VERB_STREAM] = tresor_stream,
    };
    *request = (struct tresor_request){0};
    int32_t code =
        verb == TRESOR_VERB_SWAP
            ? tresor_swap(session->context, items, count, strategy, &options, request)
        : verb == TRESOR_VERB_ADVISE
            ? tresor_advise(session->context, items, count, strategy, &options, request)
            : verbs[verb](session->context, items, count, &options, request);
    return session_note(session, code, *request);
}

int32_t session_do(struct session *session, enum tresor_verb verb, struct tresor_item item,
                   uint32_t strategy)
{
    struct tresor_request request;
    int32_t code = session_submit(session, verb, &item, 1, strategy, &request);
    return code == TRESOR_OK ? session_finish(session, request, NULL) : code;
}

static void compare(struct session *session, const struct model_set *set,
                    const struct tresor_tensor_info *tensor, const void *data)
{
    struct tresor_file_info file = {.size_bytes = sizeof file};
    tresor_source_get_file(session->context, session->source, tensor->file, &file);
    const struct model_part *part = session_part(session, set, file.path);
    if (!part || tensor->offset_bytes + tensor->tensor_bytes > part->bytes.size)
        violate(session, "tensor %s is in no file", tensor->name);
    else if (data != tensor->address || (const char *)file.window + tensor->offset_bytes != data)
        violate(session, "tensor %s is not at its address", tensor->name);
    else if (memcmp(data, part->bytes.data + tensor->offset_bytes, (size_t)tensor->tensor_bytes))
        violate(session, "tensor %s does not hold the file's bytes", tensor->name);
}

uint32_t session_verify(struct session *session, const struct model_set *set)
{
    uint32_t resident = 0;
    struct tresor_tensor_info tensor = {.size_bytes = sizeof tensor};
    for (uint32_t i = 0; tresor_source_get_tensor(session->context, session->source, i, &tensor) ==
                         TRESOR_OK;
         i++) {
        const void *data = NULL;
        struct tresor_item item = session_tensor(session, i);
        if (tresor_acquire(session->context, item, &data) != TRESOR_OK)
            continue;
        resident++;
        compare(session, set, &tensor, data);
        if (tresor_release(session->context, item) != TRESOR_OK)
            violate(session, "tensor %u cannot be released", i);
    }
    return resident;
}

const struct tresor_event *session_item(struct session *session, uint32_t tensor)
{
    struct tresor_item item = session_tensor(session, tensor);
    for (uint32_t i = session->item_count; i-- > 0 && i + SESSION_ITEMS >= session->item_count;)
        if (session->items[i % SESSION_ITEMS].item.value == item.value)
            return &session->items[i % SESSION_ITEMS];
    return NULL;
}

/* What a test that went wrong left open is closed, but stays wrong. */
static void destroy(struct session *session)
{
    session_settle(session);
    int32_t code = tresor_context_destroy(session->context);
    if (code != TRESOR_OK) {
        violate(session, "destroy answered %s", tresor_error_name(code));
        session_close(session);
        code = tresor_context_destroy(session->context);
    }
    if (code == TRESOR_OK)
        session->context = NULL;
}

const char *session_destroy(struct session *session)
{
    if (session->context)
        destroy(session);
    for (uint32_t i = 0; i < session->request_count; i++)
        if (session->requests[i].done_count != 1)
            violate(session, "request %u of %u ended %u times", i + 1, session->request_count,
                    session->requests[i].done_count);
    return session->violation[0] ? session->violation : NULL;
}
