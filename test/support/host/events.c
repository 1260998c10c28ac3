/* SPDX-License-Identifier: MIT */
/* Events against what was asked: each belongs to a request that has not ended, and each request
 * ends once. */
#include "host.h"

#include <stdlib.h>
#include <string.h>

#include "core/handle.h"

static void see_item(struct host *host, struct host_request *request,
                     const struct tresor_event *event)
{
    const struct host_source *source = &host->sources[request->source];
    request->items[0] += event->done;
    request->items[1] += event->failed;
    request->items[2] += event->cancelled;
    if (event->done + event->failed + event->cancelled != 1 || event->total != 1)
        host_violate(host, "an ITEM of %s stands for %u", tresor_verb_name(event->verb),
                     event->total);
    bool is_pinned = event->flags & TRESOR_EVENT_PINNED;
    /* The source may have been closed before the event was taken, and even another be open in its place. */
    bool is_gone = tresor_item_get_piece(host->context, event->item, 0, NULL, NULL) != TRESOR_OK;
    bool may_lack = request->wants_pins && (request->is_cancelled || is_gone);
    bool is_load = event->verb == TRESOR_VERB_LOAD || event->verb == TRESOR_VERB_PLAN;
    bool has_data = is_load && event->done && (!may_lack || is_pinned);
    if (is_pinned != (has_data && request->wants_pins))
        host_violate(host, "an ITEM of %s has the flags %u", tresor_verb_name(event->verb),
                     event->flags);
    if (has_data != (event->data != NULL))
        host_violate(host, "an ITEM of %s has %p", tresor_verb_name(event->verb), event->data);
    if (!has_data || source->state != HOST_OPEN || is_gone)
        return;
    uint32_t piece = host_piece(host, request->source, event->item, 0);
    if (event->data != source->pieces[piece].address)
        host_violate(host, "piece %u was loaded to another address", piece);
}

static void check_counts(struct host *host, const struct host_request *request,
                         const struct tresor_event *event)
{
    const char *name = tresor_verb_name(event->verb);
    bool is_good = event->error.code == TRESOR_OK;
    bool is_partial = event->done > 0 && event->done < event->total;
    bool is_cut_short = request->verb == TRESOR_VERB_PLAN && event->error.code == TRESOR_ERROR_CANCELLED;
    if (event->done + event->failed + event->cancelled != event->total ||
        (is_good != (event->done == event->total) && !is_cut_short))
        host_violate(host, "%s of %u ended with %s: %u done, %u failed, %u cancelled", name,
                     event->total, tresor_error_name(event->error.code), event->done, event->failed,
                     event->cancelled);
    if (is_partial != ((event->flags & TRESOR_EVENT_PARTIAL) != 0))
        host_violate(host, "%s with %u of %u done has the flags %u", name, event->done,
                     event->total, event->flags);
    bool has_items = request->verb >= TRESOR_VERB_LOAD && request->verb != TRESOR_VERB_COPY &&
                     request->verb != TRESOR_VERB_BUDGET;
    if (!has_items || request->loses_items)
        return;
    if (request->items[1] != event->failed ||
        request->items[0] != (request->wants_items ? event->done : 0))
        host_violate(host, "%s had %u and %u ITEM events, and ended with %u done, %u failed", name,
                     request->items[0], request->items[1], event->done, event->failed);
}

static void see_source(struct host *host, const struct host_request *request, int32_t code)
{
    struct host_source *source = &host->sources[request->source];
    if (request->verb == TRESOR_VERB_CLOSE || code != TRESOR_OK) {
        source->state = HOST_CLOSED;
        return;
    }
    source->state = HOST_OPEN;
    host_look_at_source(host, request->source);
}

static void see_copy(struct host *host, struct host_request *request, int32_t code)
{
    if (code == TRESOR_OK && memcmp(request->memory.bytes, request->bytes, request->length_bytes) != 0)
        host_violate(host, "a COPY of %ju bytes brought others", (uintmax_t)request->length_bytes);
    host_free(host, &request->memory);
}

static void see_end(struct host *host, struct host_request *request,
                    const struct tresor_event *event)
{
    int32_t code = event->error.code;
    request->has_ended = true;
    host->live_count--;
    host->loads += request->verb == TRESOR_VERB_LOAD;
    host->loaded += request->verb == TRESOR_VERB_LOAD ? event->done : 0;
    check_counts(host, request, event);
    if (code == TRESOR_ERROR_BACKEND)
        host_violate(host, "%s blames the backend", tresor_verb_name(event->verb));
    if (!host->is_disturbed &&
        !host_may_end(host, request, code))
        host_violate(host, "%s ended with %s, and nothing had failed",
                     tresor_verb_name(event->verb), tresor_error_name(code));
    if (request->verb == TRESOR_VERB_OPEN || request->verb == TRESOR_VERB_CLOSE)
        see_source(host, request, code);
    else if (request->verb == TRESOR_VERB_COPY)
        see_copy(host, request, code);
}

/* Files refuse direct reads where the system does, or was made to. */
static void see_degraded(struct host *host, const struct tresor_event *event)
{
    uint32_t alignment = host->fake->direct_alignment_bytes;
    bool is_refused = alignment == 0 || alignment > FAKE_PAGE_BYTES || host->is_disturbed ||
                      host->options.direct == TRESOR_DIRECT_ON; /* also of what is no file */
    bool is_ring_refused = host->plan.backend == TRESOR_BACKEND_URING &&
                           (host->fake->has_no_ring || host->is_disturbed);
    if (event->flags == TRESOR_DEGRADED_BACKEND ? !is_ring_refused
                                                : event->flags != TRESOR_DEGRADED_DIRECT || !is_refused)
        host_violate(host, "it does without %s", tresor_degradation_name(event->flags));
}

static void see_progress(struct host *host, struct host_request *request,
                         const struct tresor_event *event)
{
    if (request->progress_bytes == 0 ||
        event->bytes < request->arrived_bytes + request->progress_bytes ||
        event->bytes > request->total_bytes || event->total_bytes != request->total_bytes)
        host_violate(host, "%ju of %ju bytes have arrived, and before %ju, asked every %ju",
                     (uintmax_t)event->bytes, (uintmax_t)event->total_bytes,
                     (uintmax_t)request->arrived_bytes, (uintmax_t)request->progress_bytes);
    if (event->done < request->done ||
        event->done + event->failed + event->cancelled > event->total)
        host_violate(host, "%u, and before %u, of %u are done", event->done, request->done,
                     event->total);
    request->arrived_bytes = event->bytes;
    request->done = event->done;
}

void host_return_chunks(struct host *host, uint32_t limit)
{
    while (limit-- > 0 && host->chunk_count > 0) {
        uint32_t at = host_draw(host, host->chunk_count);
        int32_t code = tresor_chunk_return(host->context, host->chunks[at]);
        if (code != TRESOR_OK ||
            tresor_chunk_return(host->context, host->chunks[at]) != TRESOR_ERROR_STALE)
            host_violate(host, "a chunk's return answered %s", tresor_error_name(code));
        host->chunks[at] = host->chunks[--host->chunk_count];
    }
}

/* A chunk may outlive its request, where a finish took the end before it, and its source. */
static void see_chunk(struct host *host, const struct host_request *request,
                      const struct tresor_event *event)
{
    uint32_t index = UINT32_MAX;
    if (!request || (request->has_ended && !request->loses_items) || event->bytes == 0 ||
        event->bytes > host->options.stage_bytes)
        host_violate(host, "a chunk of %ju bytes of nobody's", (uintmax_t)event->bytes);
    else if (tresor_item_get_tensor(host->context, event->item, 0, &index) == TRESOR_OK) {
        const struct host_tensor *tensor = &host->sources[request->source].pieces[index];
        if (event->offset_bytes + event->bytes > tensor->size_bytes ||
            memcmp(event->data, tensor->bytes + event->offset_bytes, event->bytes) != 0)
            host_violate(host, "a chunk of tensor %u has other bytes", index);
    }
    if (host->chunk_count == HOST_CHUNKS || host_draw(host, 2))
        host_return_chunks(host, 1);
    host->chunks[host->chunk_count++] = event->stage;
}

static void digest_event(struct host *host, const struct tresor_event *event)
{
    const uint64_t numbers[] = {event->type,   event->verb,
                                event->done,   event->failed,
                                event->bytes,  (uint64_t)event->error.code,
                                event->flags,  event->cancelled,
                                event->request.value, host->plan.sim->now_ns};
    host_digest(host, numbers, sizeof numbers);
}

static void trace(const struct host *host, const struct tresor_event *event)
{
    fprintf(host->plan.trace, "              event %u of %s %u: %u done, %u failed, %u cancelled, %ju bytes, %s\n",
            event->type, tresor_verb_name(event->verb), tresor__handle_index(event->request.value),
            event->done, event->failed, event->cancelled, (uintmax_t)event->bytes,
            tresor_error_name(event->error.code));
}

void host_see(struct host *host, const struct tresor_event *event)
{
    char text[512];
    if (host->plan.sim)
        digest_event(host, event);
    if (host->plan.trace)
        trace(host, event);
    struct host_request *request = host_find(host, event->request.value);
    tresor_error_format(host->context, &event->error, text, sizeof text);
    if (request && event->type == TRESOR_EVENT_ITEM && event->flags & TRESOR_EVENT_PINNED)
        host_take_pin(host, request->source, event);
    if (request && request->has_ended && request->loses_items && event->type == TRESOR_EVENT_ITEM)
        return; /* a finish has taken the end before it */
    if (event->type == TRESOR_EVENT_DEGRADED)
        see_degraded(host, event);
    else if (event->type == TRESOR_EVENT_CHUNK)
        see_chunk(host, request, event);
    else if (!request || request->has_ended || request->verb != event->verb)
        host_violate(host, "an event of %s for a request that %s", tresor_verb_name(event->verb),
                     request ? "has ended" : "nobody made");
    else if (event->type == TRESOR_EVENT_DONE)
        see_end(host, request, event);
    else if (event->type == TRESOR_EVENT_PROGRESS)
        see_progress(host, request, event);
    else
        see_item(host, request, event);
}

uint32_t host_take(struct host *host, uint32_t limit)
{
    struct tresor_event event;
    uint32_t count = 0;
    while (count < limit && tresor_next_event(host->context, &event) == 1) {
        count++;
        host_see(host, &event);
    }
    return count;
}
