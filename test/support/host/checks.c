/* SPDX-License-Identifier: MIT */
/* What must be so whenever it is looked at. */
#include "host.h"

#include <string.h>

#include "context.h"
#include "core/handle.h"

/* What is in use, or was, may leave a LOAD too little room; and a lower budget may. */
static bool may_load_end(const struct host_request *request, int32_t code)
{
    if (code == TRESOR_ERROR_TOO_BIG)
        return request->may_lack_room;
    return code == TRESOR_ERROR_BUSY && request->may_lack_room && !request->is_patient;
}

bool host_may_end(const struct host *host, const struct host_request *request, int32_t code)
{
    enum tresor_verb verb = request->verb;
    uint32_t model = host->sources[request->source].model;
    if (code == TRESOR_OK)
        return verb != TRESOR_VERB_OPEN || model < MODELS_GOOD;
    if (code == TRESOR_ERROR_CANCELLED)
        return verb != TRESOR_VERB_CLOSE;
    switch (verb) {
    case TRESOR_VERB_OPEN:
        return model >= MODELS_GOOD ||
               (model == MODELS_GOOD - 1 && code == TRESOR_ERROR_UNSUPPORTED);
    case TRESOR_VERB_EVICT:
    case TRESOR_VERB_UNLOCK:
    case TRESOR_VERB_SWAP:
        return code == TRESOR_ERROR_BUSY;
    case TRESOR_VERB_LOCK:
        return code == TRESOR_ERROR_NOT_RESIDENT || code == TRESOR_ERROR_LOCK_LIMIT;
    case TRESOR_VERB_LOAD:
        return may_load_end(request, code);
    case TRESOR_VERB_ADVISE:
        return code == TRESOR_ERROR_UNSUPPORTED &&
               request->origin >= TRESOR_ORIGIN_MEMORY;
    case TRESOR_VERB_BUDGET:
        return code == TRESOR_ERROR_BUSY && request->may_lack_room;
    case TRESOR_VERB_STREAM:
        return (code == TRESOR_ERROR_BUSY || code == TRESOR_ERROR_TOO_BIG) && request->may_lack_room;
    case TRESOR_VERB_PLAN:
        return code == TRESOR_ERROR_TOO_BIG && request->may_lack_room;
    default:
        return false;
    }
}

/* By what was opened, for another file may have its path by now. */
static const struct bytes *bytes_of(const struct host *host, const struct host_source *source,
                                    uint32_t file)
{
    const struct tresor__slot *slot =
        &host->context->controller.slots[tresor__handle_slot(source->handle.value)];
    if (source->origin >= TRESOR_ORIGIN_MEMORY)
        return &host->models->sets[source->model].parts[0].bytes;
    uint64_t inode = slot->source.model.files[file].identity.inode;
    return inode >= 1 && inode <= host->fake->file_count ? host->fake->files[inode - 1].bytes : NULL;
}

static void look_at_tensor(struct host *host, struct host_source *source, uint32_t index)
{
    struct tresor_tensor_info tensor = {.size_bytes = sizeof tensor};
    struct tresor_file_info file = {.size_bytes = sizeof file};
    struct host_tensor *known = &source->pieces[index];
    tresor_source_get_tensor(host->context, source->handle, index, &tensor);
    tresor_source_get_file(host->context, source->handle, tensor.file, &file);
    const struct bytes *bytes = bytes_of(host, source, tensor.file);
    *known = (struct host_tensor){.address = tensor.address, .size_bytes = tensor.tensor_bytes};
    if (!bytes ||
        (tensor.tensor_bytes > 0 && tensor.offset_bytes + tensor.tensor_bytes > bytes->size))
        host_violate(host, "tensor %s is in no file", tensor.name);
    else if (tensor.tensor_bytes > 0 &&
             tensor.address != (const char *)file.window + tensor.offset_bytes)
        host_violate(host, "tensor %s is not at its place in the window", tensor.name);
    else if (tensor.tensor_bytes > 0)
        known->bytes = bytes->data + tensor.offset_bytes;
    else
        known->bytes = bytes->data; /* none of them will be looked at */
}

void host_look_at_source(struct host *host, uint32_t index)
{
    struct host_source *source = &host->sources[index];
    struct tresor_source_info info = {.size_bytes = sizeof info};
    int32_t code = tresor_source_get_info(host->context, source->handle, &info);
    if (code != TRESOR_OK || info.tensor_count > HOST_TENSORS) {
        host_violate(host, "an open source says %s and has %u tensors", tresor_error_name(code),
                     info.tensor_count);
        return;
    }
    source->tensor_count = info.tensor_count;
    source->piece_count = info.tensor_count;
    memset(source->first_slices, 0, sizeof source->first_slices);
    for (uint32_t i = 0; i < source->tensor_count; i++)
        look_at_tensor(host, source, i);
    host_split(host, index, true);
}

void host_check_bytes(struct host *host, const struct host_item *item)
{
    const struct host_source *source = &host->sources[item->source];
    for (uint32_t i = 0; i < item->count; i++) {
        const struct host_tensor *piece = &source->pieces[item->pieces[i]];
        if (memcmp(piece->address, piece->bytes, piece->size_bytes) != 0)
            host_violate(host, "piece %u of model %u does not hold the file's bytes",
                         item->pieces[i], source->model);
    }
}

void host_check_rest(struct host *host)
{
    struct tresor_counters counters = host_counters(host);
    if (host->live_count > 0)
        host_violate(host, "%u requests have not ended, and nothing is left to do",
                     host->live_count);
    if (counters.rejected > 0)
        host_violate(host, "%ju inputs were rejected", (uintmax_t)counters.rejected);
    if (counters.effects != counters.completions)
        host_violate(host, "%ju effects and %ju completions", (uintmax_t)counters.effects,
                     (uintmax_t)counters.completions);
    if (counters.requests != host->request_count)
        host_violate(host, "%ju requests, and %u were accepted", (uintmax_t)counters.requests,
                     host->request_count);
    if (host->transitions != counters.steps)
        host_violate(host, "%ju steps, and %ju were observed", (uintmax_t)counters.steps,
                     (uintmax_t)host->transitions);
    if (!host->is_disturbed && counters.locked_bytes != range_set_bytes(&host->faulty.locked))
        host_violate(host, "%ju bytes locked by the counters, %zu by the system",
                     (uintmax_t)counters.locked_bytes, range_set_bytes(&host->faulty.locked));
}

void host_check_held(struct host *host)
{
    const char *held = faulty_sys_check(&host->faulty);
    if (held)
        host_violate(host, "%s", held);
    if (host->lent != 0)
        host_violate(host, "%u origins were not released", (unsigned)host->lent);
    if (host->memory.outstanding_bytes != 0)
        host_violate(host, "held: %jd allocated bytes", (intmax_t)host->memory.outstanding_bytes);
}
