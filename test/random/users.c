/* SPDX-License-Identifier: MIT */
/* Items, and what is acquired by them. */
#include "host.h"

#include "context.h"

static int32_t choose_kind(struct host *host, const struct host_source *source,
                           struct tresor_item *item)
{
    static const char *const patterns[] = {"*", "1*", "?", "[!0-3]", "none"};
    uint32_t list[6];
    uint32_t length = 1 + random_below(&host->seed, 6);
    uint32_t count = source->tensor_count;
    switch (random_below(&host->seed, 8)) {
    case 0:
    case 1:
        return tresor_item_of_source(host->context, source->handle, item);
    case 2:
        return tresor_item_of_pattern(host->context, source->handle,
                                      patterns[random_below(&host->seed, 5)], item);
    case 3:
        for (uint32_t i = 0; i < length; i++)
            list[i] = random_below(&host->seed, count);
        return tresor_item_of_list(host->context, source->handle, list, length, item);
    default:
        return tresor_item_of_tensor(host->context, source->handle,
                                     random_below(&host->seed, count), item);
    }
}

bool host_choose_item(struct host *host, uint32_t index, struct host_item *item)
{
    const struct host_source *source = &host->sources[index];
    uint64_t bytes = 0;
    item->source = index;
    int32_t code = choose_kind(host, source, &item->handle);
    if (code != TRESOR_OK) {
        bool is_excused = code == TRESOR_ERROR_NOT_FOUND || code == TRESOR_ERROR_LIMIT ||
                          (code == TRESOR_ERROR_NO_MEMORY && host->memory.failed);
        if (!is_excused)
            host_violate(host, "no item: %s", tresor_error_name(code));
        return false;
    }
    if (tresor_item_measure(host->context, item->handle, &item->count, &bytes) != TRESOR_OK ||
        item->count == 0 || item->count > HOST_LIST)
        host_violate(host, "an item of %u tensors", item->count);
    for (uint32_t i = 0; i < item->count; i++)
        if (tresor_item_get_tensor(host->context, item->handle, i, &item->tensors[i]) != TRESOR_OK)
            host_violate(host, "an item of %u tensors has no tensor %u", item->count, i);
    return true;
}

static void add_use(struct host *host, struct host_source *source, const struct host_item *item)
{
    host->use_count++;
    source->uses++;
    for (uint32_t i = 0; i < item->count; i++)
        source->tensors[item->tensors[i]].users++;
}

void host_acquire(struct host *host, uint32_t index)
{
    struct host_source *source = &host->sources[index];
    struct host_item *item = &host->uses[host->use_count];
    const void *data = NULL;
    if (host->use_count == HOST_USES || !host_choose_item(host, index, item))
        return;
    int32_t timeout_ms = (int32_t)random_below(&host->seed, 3);
    int32_t code = random_below(&host->seed, 2)
                       ? tresor_acquire(host->context, item->handle, &data)
                       : tresor_acquire_wait(host->context, item->handle, timeout_ms, &data);
    if (code != TRESOR_OK) {
        if (code != TRESOR_ERROR_NOT_RESIDENT && (code != TRESOR_ERROR_AGAIN || timeout_ms == 0))
            host_violate(host, "acquire answered %s", tresor_error_name(code));
        return;
    }
    add_use(host, source, item);
    if (data != source->tensors[item->tensors[0]].address)
        host_violate(host, "acquire answered another address");
    host_check_bytes(host, item);
}

void host_release(struct host *host, uint32_t use)
{
    struct host_item item = host->uses[use];
    struct host_source *source = &host->sources[item.source];
    host_check_bytes(host, &item);
    int32_t code = tresor_release(host->context, item.handle);
    if (code != TRESOR_OK)
        host_violate(host, "release answered %s", tresor_error_name(code));
    source->uses--;
    for (uint32_t i = 0; i < item.count; i++)
        source->tensors[item.tensors[i]].users--;
    host->uses[use] = host->uses[--host->use_count];
}

/* Kept where there is room. */
void host_take_pin(struct host *host, uint32_t index, const struct tresor_event *event)
{
    struct host_source *source = &host->sources[index];
    if (host->use_count == HOST_USES)
        host_release(host, random_below(&host->seed, HOST_USES));
    struct host_item *item = &host->uses[host->use_count];
    *item = (struct host_item){.handle = event->item, .source = index, .count = 1};
    if (tresor_item_get_tensor(host->context, event->item, 0, &item->tensors[0]) != TRESOR_OK)
        host_violate(host, "an item that is pinned has no tensor");
    add_use(host, source, item);
    if (event->data != source->tensors[item->tensors[0]].address)
        host_violate(host, "tensor %u was pinned at another address", item->tensors[0]);
    host_check_bytes(host, item);
}

/* Whether a tensor of the item has fewer users than the item would take from it. */
static bool is_not_acquired(const struct host_source *source, const struct host_item *item)
{
    uint32_t taken[HOST_TENSORS] = {0};
    for (uint32_t i = 0; i < item->count; i++)
        if (++taken[item->tensors[i]] > source->tensors[item->tensors[i]].users)
            return true;
    return false;
}

void host_release_wrongly(struct host *host, uint32_t index)
{
    const struct host_source *source = &host->sources[index];
    struct host_item item;
    bool has_pins = host->context->controller.pinned_count > 0; /* which it could take from their events */
    if (has_pins || !host_choose_item(host, index, &item) || !is_not_acquired(source, &item))
        return;
    int32_t code = tresor_release(host->context, item.handle);
    if (code != TRESOR_ERROR_INVALID)
        host_violate(host, "release of what was not acquired answered %s", tresor_error_name(code));
}
