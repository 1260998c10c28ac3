/* SPDX-License-Identifier: MIT */
/* Tensors that are split while the host goes on, and what their slices must be. */
#include "host.h"

#include <string.h>

enum {
    SPLIT_MAX = 4
};

static struct tresor_tensor_info tensor_of(struct host *host, const struct host_source *source,
                                           uint32_t tensor)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    tresor_source_get_tensor(host->context, source->handle, tensor, &info);
    return info;
}

static bool is_splittable(struct host *host, const struct host_source *source, uint32_t tensor)
{
    struct tresor_tensor_info info = tensor_of(host, source, tensor);
    return info.rank == 3 && info.slice_count == 0;
}

static void look_at_slice(struct host *host, struct host_source *source, uint32_t tensor,
                          uint32_t slice)
{
    struct tresor_slice_info info = {.size_bytes = sizeof info};
    const struct host_tensor *whole = &source->pieces[tensor];
    int32_t code = tresor_source_get_slice(host->context, source->handle, tensor, slice, &info);
    if (code != TRESOR_OK || source->piece_count == HOST_PIECES) {
        host_violate(host, "slice %u of tensor %u: %s", slice, tensor, tresor_error_name(code));
        return;
    }
    uint64_t place = slice * info.slice_bytes;
    if (place + info.slice_bytes > whole->size_bytes || info.address != whole->address + place)
        host_violate(host, "slice %u of tensor %u is not at its place", slice, tensor);
    source->pieces[source->piece_count++] = (struct host_tensor){
        .address = info.address, .bytes = whole->bytes + place, .size_bytes = info.slice_bytes};
}

/* What is split now, and was not before. */
static void look_at_slices(struct host *host, struct host_source *source)
{
    for (uint32_t i = 0; i < source->tensor_count; i++) {
        uint32_t count = tensor_of(host, source, i).slice_count;
        if (count == 0 || source->first_slices[i] > 0)
            continue;
        source->first_slices[i] = source->piece_count;
        for (uint32_t k = 0; k < count; k++)
            look_at_slice(host, source, i, k);
    }
}

uint32_t host_piece(struct host *host, uint32_t index, struct tresor_item item, uint32_t position)
{
    const struct host_source *source = &host->sources[index];
    uint32_t tensor = TRESOR_NONE;
    uint32_t slice = TRESOR_NONE;
    int32_t code = tresor_item_get_piece(host->context, item, position, &tensor, &slice);
    if (code != TRESOR_OK || tensor >= source->tensor_count) {
        host_violate(host, "an item's piece %u: %s", position, tresor_error_name(code));
        return 0;
    }
    if (slice == TRESOR_NONE)
        return tensor; /* also of an event that is older than its split */
    return source->first_slices[tensor] + slice;
}

/* It may be refused where a request lives, something is under way, or some of it is acquired or
 * resident. */
static bool is_in_use(struct host *host, const struct host_source *source)
{
    struct tresor_counters counters = host_counters(host);
    uint64_t steps = host->transitions;
    if (host->live_count > 0 || counters.effects != counters.completions || source->uses > 0)
        return true;
    for (uint32_t i = 0; i < source->tensor_count; i++) {
        uint32_t slices = tensor_of(host, source, i).slice_count;
        for (uint32_t k = 0; k < (slices > 0 ? slices : 1); k++) {
            struct tresor_item item = {0};
            if (slices > 0)
                tresor_item_of_slice(host->context, source->handle, i, k, &item);
            else
                tresor_item_of_tensor(host->context, source->handle, i, &item);
            if (tresor_acquire(host->context, item, NULL) != TRESOR_OK)
                continue;
            tresor_release(host->context, item);
            return true;
        }
    }
    return host_dispatch(host) != 0 || host->transitions != steps; /* a turn was due */
}

void host_split(struct host *host, uint32_t index, bool is_new)
{
    struct host_source *source = &host->sources[index];
    uint32_t list[SPLIT_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < source->tensor_count && count < SPLIT_MAX; i++)
        if (is_splittable(host, source, i) && host_once_in(host, 3))
            list[count++] = i;
    bool is_wrong = count > 0 && host_once_in(host, 12);
    if (is_wrong)
        list[host_draw(host, count)] = source->tensor_count;
    int32_t code = tresor_split(host->context, source->handle, list, count);
    bool is_excused = code == (is_wrong ? TRESOR_ERROR_INVALID : TRESOR_OK) ||
                      (code == TRESOR_ERROR_BUSY && !is_new && is_in_use(host, source)) ||
                      (code == TRESOR_ERROR_NO_MEMORY && host->memory.failed);
    if (!is_excused || (code == TRESOR_OK && count > 0 && source->uses > 0))
        host_violate(host, "a split of %u tensors answered %s", count, tresor_error_name(code));
    if (code == TRESOR_OK)
        look_at_slices(host, source);
}

static void look_at_loaded(struct host *host, const struct host_source *source, uint32_t tensor)
{
    struct tresor_item item = {0};
    const struct host_tensor *known = &source->pieces[tensor];
    tresor_item_of_tensor(host->context, source->handle, tensor, &item);
    if (tresor_acquire(host->context, item, NULL) != TRESOR_OK) {
        host_violate(host, "tensor %u of model %u was not loaded", tensor, source->model);
        return;
    }
    if (memcmp(known->address, known->bytes, known->size_bytes) != 0)
        host_violate(host, "tensor %u of model %u was loaded with other bytes", tensor, source->model);
    if (tresor_release(host->context, item) != TRESOR_OK)
        host_violate(host, "tensor %u of model %u cannot be released", tensor, source->model);
}

void host_split_at_end(struct host *host, uint32_t index)
{
    struct host_source *source = &host->sources[index];
    struct tresor_item item = {0};
    struct tresor_request request = {0};
    uint32_t left = 0;
    for (uint32_t i = 0; i < source->tensor_count; i++)
        left += is_splittable(host, source, i);
    int32_t code = tresor_split_pattern(host->context, source->handle, "*");
    if (code != (left > 0 ? TRESOR_OK : TRESOR_ERROR_NOT_FOUND))
        host_violate(host, "a split of %u tensors, with nothing resident, answered %s", left,
                     tresor_error_name(code));
    look_at_slices(host, source);
    tresor_item_of_source(host->context, source->handle, &item);
    code = tresor_load(host->context, &item, 1, NULL, &request);
    if (!host_note(host, code, request, TRESOR_VERB_LOAD, index))
        host_violate(host, "the last LOAD answered %s", tresor_error_name(code));
    host_settle(host);
    for (uint32_t i = 0; i < source->tensor_count; i++)
        look_at_loaded(host, source, i);
}
