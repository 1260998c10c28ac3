/* SPDX-License-Identifier: MIT */
/* Requests on what is open. */
#include "host.h"

#include <stdlib.h>

enum {
    ITEMS_MAX = 3
};

static uint32_t items_named(const struct host *host)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < host->request_count; i++)
        if (!host->requests[i].has_ended)
            count += host->requests[i].named;
    return count;
}

static int32_t ask(struct host *host, enum tresor_verb verb, const struct tresor_item *items,
                   uint32_t count, const struct tresor_request_options *options,
                   struct tresor_request *request)
{
    switch (verb) {
    case TRESOR_VERB_LOAD:
        return tresor_load(host->context, items, count, options, request);
    case TRESOR_VERB_EVICT:
        return tresor_evict(host->context, items, count, options, request);
    case TRESOR_VERB_LOCK:
        return tresor_lock(host->context, items, count, options, request);
    case TRESOR_VERB_UNLOCK:
        return tresor_unlock(host->context, items, count, options, request);
    case TRESOR_VERB_STREAM:
        return tresor_stream(host->context, items, count, options, request);
    case TRESOR_VERB_DIGEST:
        return tresor_digest(host->context, items, count, options, request);
    case TRESOR_VERB_SWAP:
        return tresor_swap(host->context, items, count,
                           host_draw(host, TRESOR_STRATEGY_READ + 1), options, request);
    default:
        return tresor_advise(host->context, items, count,
                             host_draw(host, TRESOR_ADVICE_DONTNEED + 1), options,
                             request);
    }
}

static uint32_t choose_flags(struct host *host, enum tresor_verb verb)
{
    uint32_t flags = host_draw(host, 2) ? TRESOR_REQUEST_ITEMS : 0;
    bool is_special = host_once_in(host, 3);
    if (is_special && verb == TRESOR_VERB_LOAD)
        flags |= TRESOR_REQUEST_PIN;
    if (is_special && verb == TRESOR_VERB_EVICT)
        flags |= TRESOR_REQUEST_WAIT;
    if (verb == TRESOR_VERB_LOAD && host_once_in(host, 4))
        flags |= TRESOR_REQUEST_WAIT;
    if ((verb == TRESOR_VERB_LOAD || verb == TRESOR_VERB_DIGEST) && host_once_in(host, 3))
        flags |= TRESOR_REQUEST_CHECK;
    return flags;
}

static uint32_t choose_urgency(struct host *host)
{
    return host_draw(host, TRESOR_URGENCY_URGENT + 1);
}

/* The request, or NULL where it was refused. */
static struct host_request *submit_items(struct host *host, enum tresor_verb verb, uint32_t source,
                                         const struct tresor_item *items, uint32_t count,
                                         uint32_t strategy)
{
    struct tresor_request request = {0};
    struct tresor_request_options options = {
        .size_bytes = sizeof options,
        .flags = choose_flags(host, verb),
        .strategy = strategy,
        .urgency = choose_urgency(host),
        .progress_bytes = host_once_in(host, 3) ? 1 + host_draw(host, 200000) : 0,
    };
    int32_t code = ask(host, verb, items, count, &options, &request);
    bool has_room = verb == TRESOR_VERB_LOAD     ? !host_may_be_too_big(host, items, count)
                    : verb == TRESOR_VERB_STREAM ? host_has_stage_room(host)
                                                 : true;
    bool may_map = verb == TRESOR_VERB_SWAP || /* whose strategy is its own */
                   (verb == TRESOR_VERB_LOAD && strategy == TRESOR_STRATEGY_MMAP);
    if ((code == TRESOR_ERROR_TOO_BIG && !has_room) ||
        (may_map && host_may_refuse(host, source, code)))
        return NULL;
    bool needs_digests = verb == TRESOR_VERB_DIGEST || options.flags & TRESOR_REQUEST_CHECK;
    if (needs_digests && code == TRESOR_ERROR_UNSUPPORTED && !tresor_can_digest())
        return NULL;
    if (options.flags & TRESOR_REQUEST_CHECK && code == TRESOR_ERROR_NOT_FOUND &&
        !host_has_digests(host, source, items, count))
        return NULL;
    host_expect(host, code,
                host_is_full(host) || items_named(host) + count > host->options.items_max,
                tresor_verb_name(verb));
    struct host_request *made = host_note(host, code, request, verb, source);
    if (!made)
        return NULL;
    made->named = count;
    made->progress_bytes = verb == TRESOR_VERB_LOAD ? options.progress_bytes : 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t bytes = 0;
        tresor_item_measure(host->context, items[i], NULL, &bytes);
        made->total_bytes += bytes;
    }
    made->wants_pins = options.flags & TRESOR_REQUEST_PIN;
    made->is_checked = options.flags & TRESOR_REQUEST_CHECK;
    made->wants_items = made->wants_pins || options.flags & TRESOR_REQUEST_ITEMS;
    made->is_patient = options.flags & TRESOR_REQUEST_WAIT;
    return made;
}

static uint32_t choose_strategy(struct host *host)
{
    return host_draw(host, TRESOR_STRATEGY_READ + 1);
}

void host_submit(struct host *host, enum tresor_verb verb)
{
    struct tresor_item items[ITEMS_MAX];
    uint32_t index = host_choose_source(host, HOST_OPEN);
    uint32_t count = 1 + host_draw(host, ITEMS_MAX);
    if (index == HOST_SOURCES)
        return;
    for (uint32_t i = 0; i < count; i++) {
        struct host_item item;
        if (!host_choose_item(host, index, &item))
            return;
        items[i] = item.handle;
    }
    submit_items(host, verb, index, items, count, choose_strategy(host));
}

/* Neighbours are asked for one by one, and soon one of them is not wanted any more. */
void host_load_and_cancel(struct host *host)
{
    struct host_request *made[ITEMS_MAX];
    uint32_t index = host_choose_source(host, HOST_OPEN);
    if (index == HOST_SOURCES)
        return;
    const struct host_source *source = &host->sources[index];
    uint32_t strategy = choose_strategy(host);
    uint32_t first = host_draw(host, source->tensor_count);
    for (uint32_t i = 0; i < ITEMS_MAX; i++) {
        struct tresor_item item = {0};
        tresor_item_of_tensor(host->context, source->handle, (first + i) % source->tensor_count,
                              &item);
        made[i] = submit_items(host, TRESOR_VERB_LOAD, index, &item, 1, strategy);
    }
    for (uint32_t left = host_draw(host, 4); left > 0; left--)
        host_dispatch(host);
    struct host_request *unwanted = made[host_draw(host, ITEMS_MAX)];
    if (!unwanted)
        return;
    unwanted->is_cancelled = true;
    tresor_cancel(host->context, (struct tresor_request){unwanted->value});
}

/* It ends where the allocation does, and lies within a page as in the file, or somewhere else. */
static void allocate(struct host *host, struct host_memory *memory, uint64_t length,
                     const uint8_t *alike)
{
    size_t lead = host_once_in(host, 3) ? host_draw(host, FAKE_PAGE_BYTES)
                                        : (uintptr_t)alike % FAKE_PAGE_BYTES;
    memory->size_bytes = lead + length > 0 ? lead + length : 1;
    if (posix_memalign(&memory->allocation, FAKE_PAGE_BYTES, memory->size_bytes) != 0)
        abort();
    memory->bytes = (uint8_t *)memory->allocation + lead;
    faulty_sys_lend(&host->faulty, memory->allocation, memory->size_bytes);
}

/* At once when a COPY has ended, so that the address sanitizer sees who still writes to it. */
void host_free(struct host *host, struct host_memory *memory)
{
    if (memory->allocation)
        faulty_sys_take_back(&host->faulty, memory->allocation, memory->size_bytes);
    free(memory->allocation);
    *memory = (struct host_memory){0};
}

void host_copy(struct host *host)
{
    struct tresor_request request = {0};
    struct tresor_item item = {0};
    uint32_t index = host_choose_source(host, HOST_OPEN);
    if (index == HOST_SOURCES)
        return;
    const struct host_source *source = &host->sources[index];
    uint32_t place = host_draw(host, source->tensor_count);
    const struct host_tensor *tensor = &source->pieces[place];
    uint64_t offset = host_draw(host, (uint32_t)tensor->size_bytes + 1);
    uint64_t length = host_draw(host, (uint32_t)(tensor->size_bytes - offset) + 1);
    struct tresor_request_options options = {.size_bytes = sizeof options,
                                             .urgency = choose_urgency(host)};
    struct host_memory memory;
    allocate(host, &memory, length, tensor->address + offset);
    tresor_item_of_tensor(host->context, source->handle, place, &item);
    int32_t code = tresor_copy(host->context, item, offset, length, memory.bytes, &options, &request);
    host_expect(host, code, host_is_full(host), "copy");
    struct host_request *made = host_note(host, code, request, TRESOR_VERB_COPY, index);
    if (!made) {
        host_free(host, &memory);
        return;
    }
    made->memory = memory;
    made->bytes = tensor->bytes + offset;
    made->length_bytes = length;
}
