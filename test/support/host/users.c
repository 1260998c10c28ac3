/* SPDX-License-Identifier: MIT */
/* Items, and what is acquired by them. */
#include "host.h"

#include "context.h"

/* A slice of a tensor, or all of one that is not split. */
static int32_t choose_slice(struct host *host, const struct host_source *source,
                            struct tresor_item *item)
{
    uint32_t tensor = host_draw(host, source->tensor_count);
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    int32_t code = tresor_source_get_tensor(host->context, source->handle, tensor, &info);
    if (code != TRESOR_OK || info.slice_count == 0)
        return tresor_item_of_tensor(host->context, source->handle, tensor, item);
    return tresor_item_of_slice(host->context, source->handle, tensor,
                                host_draw(host, info.slice_count), item);
}

/* An item of items, like an expert's. */
static int32_t choose_several(struct host *host, const struct host_source *source,
                              struct tresor_item *item)
{
    struct tresor_item parts[4];
    uint32_t count = 1 + host_draw(host, 4);
    for (uint32_t i = 0; i < count; i++) {
        int32_t code = choose_slice(host, source, &parts[i]);
        if (code != TRESOR_OK)
            return code;
    }
    return tresor_item_of_items(host->context, parts, count, item);
}

static int32_t choose_kind(struct host *host, const struct host_source *source,
                           struct tresor_item *item)
{
    static const char *const patterns[] = {"*", "1*", "?", "[!0-3]", "none"};
    uint32_t list[6];
    uint32_t length = 1 + host_draw(host, 6);
    uint32_t count = source->tensor_count;
    switch (host_draw(host, 11)) {
    case 0:
    case 1:
        return tresor_item_of_source(host->context, source->handle, item);
    case 2:
        return tresor_item_of_pattern(host->context, source->handle,
                                      patterns[host_draw(host, 5)], item);
    case 3:
        for (uint32_t i = 0; i < length; i++)
            list[i] = host_draw(host, count);
        return tresor_item_of_list(host->context, source->handle, list, length, item);
    case 4:
    case 5:
        return choose_slice(host, source, item);
    case 6:
        return choose_several(host, source, item);
    default:
        return tresor_item_of_tensor(host->context, source->handle,
                                     host_draw(host, count), item);
    }
}

bool host_know_item(struct host *host, uint32_t index, struct host_item *item)
{
    uint64_t bytes = 0;
    item->source = index;
    if (tresor_item_measure(host->context, item->handle, &item->count, &bytes) != TRESOR_OK ||
        item->count == 0 || item->count > HOST_LIST)
        host_violate(host, "an item of %u pieces", item->count);
    for (uint32_t i = 0; i < item->count && !host->violation[0]; i++)
        item->pieces[i] = host_piece(host, index, item->handle, i);
    return !host->violation[0];
}

bool host_choose_item(struct host *host, uint32_t index, struct host_item *item)
{
    const struct host_source *source = &host->sources[index];
    item->source = index;
    int32_t code = choose_kind(host, source, &item->handle);
    if (code != TRESOR_OK) {
        bool is_excused = code == TRESOR_ERROR_NOT_FOUND || code == TRESOR_ERROR_LIMIT ||
                          (code == TRESOR_ERROR_NO_MEMORY && host->memory.failed);
        if (!is_excused)
            host_violate(host, "no item: %s", tresor_error_name(code));
        return false;
    }
    return host_know_item(host, index, item);
}

static void add_use(struct host *host, struct host_source *source, const struct host_item *item)
{
    host->use_count++;
    source->uses++;
    for (uint32_t i = 0; i < item->count; i++)
        source->pieces[item->pieces[i]].users++;
    host_note_use(host);
}

bool host_acquire_item(struct host *host, const struct host_item *item)
{
    struct host_source *source = &host->sources[item->source];
    const void *data = NULL;
    if (host->use_count == HOST_USES)
        return false;
    int32_t code = tresor_acquire(host->context, item->handle, &data);
    if (code == TRESOR_ERROR_NOT_RESIDENT)
        return false;
    if (code != TRESOR_OK) {
        host_violate(host, "acquire answered %s", tresor_error_name(code));
        return false;
    }
    host->uses[host->use_count] = *item;
    add_use(host, source, item);
    if (data != source->pieces[item->pieces[0]].address)
        host_violate(host, "acquire answered another address");
    host_check_bytes(host, item);
    return true;
}

void host_acquire(struct host *host, uint32_t index)
{
    struct host_source *source = &host->sources[index];
    struct host_item *item = &host->uses[host->use_count];
    const void *data = NULL;
    if (host->use_count == HOST_USES || !host_choose_item(host, index, item))
        return;
    int32_t timeout_ms = (int32_t)host_draw(host, 3);
    int32_t code = host_draw(host, 2)
                       ? tresor_acquire(host->context, item->handle, &data)
                       : tresor_acquire_wait(host->context, item->handle, timeout_ms, &data);
    if (code != TRESOR_OK) {
        if (code != TRESOR_ERROR_NOT_RESIDENT && (code != TRESOR_ERROR_AGAIN || timeout_ms == 0))
            host_violate(host, "acquire answered %s", tresor_error_name(code));
        return;
    }
    add_use(host, source, item);
    if (data != source->pieces[item->pieces[0]].address)
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
        source->pieces[item.pieces[i]].users--;
    host->uses[use] = host->uses[--host->use_count];
}

/* Kept where there is room. */
void host_take_pin(struct host *host, uint32_t index, const struct tresor_event *event)
{
    struct host_source *source = &host->sources[index];
    if (host->use_count == HOST_USES)
        host_release(host, host_draw(host, HOST_USES));
    struct host_item *item = &host->uses[host->use_count];
    *item = (struct host_item){.handle = event->item, .source = index, .count = 1};
    item->pieces[0] = host_piece(host, index, event->item, 0);
    if (host->violation[0]) {
        tresor_release(host->context, event->item);
        return;
    }
    add_use(host, source, item);
    if (event->data != source->pieces[item->pieces[0]].address)
        host_violate(host, "piece %u was pinned at another address", item->pieces[0]);
    host_check_bytes(host, item);
}

/* Whether a piece of the item has fewer users than the item would take from it. */
static bool is_not_acquired(const struct host_source *source, const struct host_item *item)
{
    uint32_t taken[HOST_PIECES] = {0};
    for (uint32_t i = 0; i < item->count; i++)
        if (++taken[item->pieces[i]] > source->pieces[item->pieces[i]].users)
            return true;
    return false;
}

void host_release_wrongly(struct host *host, uint32_t index)
{
    const struct host_source *source = &host->sources[index];
    struct host_item item;
    const struct tresor__controller *controller = &host->context->controller;
    /* Which it could take from their events, or from under a look. */
    bool has_pins = controller->pinned_count > 0 || controller->looks_held > 0;
    if (has_pins || !host_choose_item(host, index, &item) || !is_not_acquired(source, &item))
        return;
    int32_t code = tresor_release(host->context, item.handle);
    if (code != TRESOR_ERROR_INVALID)
        host_violate(host, "release of what was not acquired answered %s", tresor_error_name(code));
}
