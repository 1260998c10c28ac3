/* SPDX-License-Identifier: MIT */
/* What a host opens a model from: its path, the file it has open, memory, or a function of its own. */
#include "host.h"

#include <errno.h>
#include <string.h>

enum {
    SHORT_ONCE_IN = 3,
    INTERRUPTED_ONCE_IN = 7,
    ORIGINS = TRESOR_ORIGIN_CALLBACK + 1,
};

/* One model's function. Its cookie is the model's part; who reads is counted beside it. */
struct lending {
    struct host *host;
    const struct bytes *bytes;
};

static struct lending lendings[MODELS_GGUF];

/* Not often enough in a row for the library to give up. */
static int64_t read_at(void *cookie, void *into, uint64_t offset_bytes, size_t size_bytes)
{
    const struct lending *lending = cookie;
    struct host *host = lending->host;
    uint32_t number = atomic_fetch_add(&host->reads, 1);
    if (host->lent == 0 || size_bytes == 0 || offset_bytes >= lending->bytes->size ||
        size_bytes > lending->bytes->size - offset_bytes)
        return -EFAULT; /* which no request may end with */
    if (number % INTERRUPTED_ONCE_IN == 0)
        return -EINTR;
    if (number % SHORT_ONCE_IN == 0)
        size_bytes = (size_bytes + 1) / 2;
    memcpy(into, lending->bytes->data + offset_bytes, size_bytes);
    return (int64_t)size_bytes;
}

static void release(void *cookie)
{
    const struct lending *lending = cookie;
    atomic_fetch_sub(&lending->host->lent, 1);
}

/* Not drawn, so that a seed makes the same moves whatever there is to open from. */
static uint32_t choose_origin(const struct host *host, uint32_t model)
{
    bool may_choose = model < MODELS_GGUF && !host->plan.sim;
    return may_choose ? (uint32_t)(host->seed / 3 + host->request_count) % ORIGINS
                      : TRESOR_ORIGIN_PATH;
}

int32_t host_open(struct host *host, struct host_source *source, uint32_t model,
                  struct tresor_request *request)
{
    struct tresor_source_origin origin = {
        .size_bytes = sizeof origin,
        .kind = choose_origin(host, model),
        .path = models_path(host->models, model),
    };
    if (origin.kind == TRESOR_ORIGIN_DESCRIPTOR) {
        origin.descriptor = FAKE_DESCRIPTOR_FIRST + (int32_t)model;
        faulty_sys_show(&host->faulty, origin.descriptor, false);
    } else if (origin.kind != TRESOR_ORIGIN_PATH) {
        const struct bytes *bytes = &host->models->sets[model].parts[0].bytes;
        lendings[model] = (struct lending){host, bytes};
        origin.memory = origin.kind == TRESOR_ORIGIN_MEMORY ? bytes->data : NULL;
        origin.read_at = origin.kind == TRESOR_ORIGIN_CALLBACK ? read_at : NULL;
        origin.length_bytes = bytes->size;
        origin.release = release;
        origin.cookie = &lendings[model];
        atomic_fetch_add(&host->lent, 1);
    }
    int32_t code = tresor_source_open_with(host->context, &origin, NULL, &source->handle, request);
    if (code != TRESOR_OK && origin.kind >= TRESOR_ORIGIN_MEMORY)
        atomic_fetch_sub(&host->lent, 1);
    if (code == TRESOR_OK)
        source->origin = origin.kind;
    return code;
}

bool host_may_refuse(const struct host *host, uint32_t source, int32_t code)
{
    return code == TRESOR_ERROR_UNSUPPORTED &&
           host->sources[source].origin >= TRESOR_ORIGIN_MEMORY;
}
