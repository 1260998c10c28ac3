/* SPDX-License-Identifier: MIT */
#include "support/host_origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/compressing.h"
#include "support/test.h"

enum {
    PAGE_BYTES = 4096,
    ASKEW_BYTES = 100,
    BEHIND_BYTES = 10000, /* so that what is behind the model shows where it is taken for it */
};

static bool is_of_file(enum host_origin_kind kind)
{
    return kind == HOST_PATH || kind == HOST_DESCRIPTOR || kind == HOST_ASKEW;
}

static const struct bytes *served(const struct host_origin *host)
{
    return host->packed.data ? &host->packed : &host->part->bytes;
}

/* Other bytes, the model, other bytes. */
static void write_file(struct host_origin *host)
{
    const struct bytes *bytes = served(host);
    snprintf(host->path, sizeof host->path, "%s.apk", host->part->path);
    FILE *file = fopen(host->path, "wb");
    assert_non_null(file);
    for (uint64_t i = 0; i < host->offset_bytes; i++)
        fputc(0xaa, file);
    assert_int_equal(fwrite(bytes->data, 1, bytes->size, file), bytes->size);
    for (uint64_t i = 0; i < BEHIND_BYTES; i++)
        fputc(0xbb, file);
    assert_int_equal(fclose(file), 0);
}

/* What is served is known. */
static void prepare(struct host_origin *host, enum host_origin_kind kind)
{
    host->kind = kind;
    host->descriptor = -1;
    host->offset_bytes = kind == HOST_ASKEW ? ASKEW_BYTES : 2 * PAGE_BYTES;
    host->length_bytes = served(host)->size;
    pthread_mutex_init(&host->lock, NULL);
    if (is_of_file(kind))
        write_file(host);
    if (kind == HOST_DESCRIPTOR || kind == HOST_ASKEW)
        host->descriptor = open(host->path, O_RDONLY | O_CLOEXEC);
    assert_true(host->descriptor >= 0 || kind == HOST_PATH || !is_of_file(kind));
    if (kind == HOST_MEMORY) {
        host->memory = malloc(host->length_bytes);
        assert_non_null(host->memory);
        memcpy(host->memory, served(host)->data, host->length_bytes);
    }
}

void host_origin_init(struct host_origin *host, enum host_origin_kind kind,
                      const struct model_set *set)
{
    *host = (struct host_origin){.part = &set->parts[set->opened]};
    prepare(host, kind);
}

bool host_origin_init_packed(struct host_origin *host, enum host_origin_kind kind,
                             const struct model_set *set, uint32_t compression)
{
    *host = (struct host_origin){.part = &set->parts[set->opened]};
    if (!compress_frame(&host->packed, compression, host->part->bytes.data, host->part->bytes.size))
        return false;
    prepare(host, kind);
    return true;
}

static void violate(struct host_origin *host, const char *text)
{
    if (!host->violation)
        host->violation = text;
}

static bool is_planned(const struct host_origin *host)
{
    return host->fail_read > 0 && (host->reads_stay_failed ? host->reads >= host->fail_read
                                                           : host->reads == host->fail_read);
}

static int64_t read_at(void *cookie, void *into, uint64_t offset_bytes, size_t size_bytes)
{
    struct host_origin *host = cookie;
    pthread_mutex_lock(&host->lock);
    host->reads++;
    bool fails = is_planned(host);
    host->injected += fails;
    if (!host->is_open || host->releases > 0)
        violate(host, "it was read from while it was not open");
    if (size_bytes == 0 || offset_bytes + size_bytes > host->length_bytes)
        violate(host, "it was read from where it is not");
    pthread_mutex_unlock(&host->lock);
    if (fails)
        return -host->os_errno;
    if (host->is_short && size_bytes > 1)
        size_bytes /= 2;
    memcpy(into, served(host)->data + offset_bytes, size_bytes);
    return (int64_t)size_bytes;
}

static void release(void *cookie)
{
    struct host_origin *host = cookie;
    pthread_mutex_lock(&host->lock);
    if (host->releases++ > 0 || !host->is_open)
        violate(host, "it was released twice, or was not open");
    host->is_open = false;
    pthread_mutex_unlock(&host->lock);
    free(host->memory);
    host->memory = NULL;
}

struct tresor_source_origin host_origin_of(struct host_origin *host)
{
    struct tresor_source_origin origin = {
        .size_bytes = sizeof origin,
        .path = host->part->path,
        .length_bytes = host->length_bytes,
    };
    switch (host->kind) {
    case HOST_PATH:
        origin.path = host->path;
        origin.offset_bytes = host->offset_bytes;
        break;
    case HOST_DESCRIPTOR:
    case HOST_ASKEW:
        origin.kind = TRESOR_ORIGIN_DESCRIPTOR;
        origin.flags = host->kind == HOST_ASKEW ? TRESOR_ORIGIN_OWNED : 0;
        origin.descriptor = host->descriptor;
        origin.offset_bytes = host->offset_bytes;
        break;
    case HOST_MEMORY:
        origin.kind = TRESOR_ORIGIN_MEMORY;
        origin.memory = host->memory;
        break;
    default:
        origin.kind = TRESOR_ORIGIN_CALLBACK;
        origin.read_at = read_at;
        break;
    }
    if (!is_of_file(host->kind)) {
        origin.release = release;
        origin.cookie = host;
    }
    return origin;
}

int32_t host_origin_open(struct host_origin *host, struct session *session,
                         struct faulty_sys *faulty)
{
    const struct tresor_source_origin origin = host_origin_of(host);
    struct tresor_request request = {0};
    bool is_handed_over = host->kind == HOST_ASKEW;
    if (faulty && host->descriptor >= 0)
        faulty_sys_show(faulty, host->descriptor, is_handed_over);
    host->is_open = true;
    session->part = host->part;
    int32_t code = session_note(session,
                                tresor_source_open_with(session->context, &origin, NULL,
                                                        &session->source, &request),
                                request);
    if (code != TRESOR_OK) {
        if (faulty && is_handed_over)
            faulty_sys_hide(faulty, host->descriptor);
        host->is_open = false;
        return code;
    }
    if (is_handed_over)
        host->descriptor = -1;
    return session_finish(session, request, NULL);
}

const char *host_origin_end(struct host_origin *host)
{
    if (!is_of_file(host->kind) && host->is_open)
        violate(host, "it was not released");
    free(host->memory);
    bytes_free(&host->packed);
    if (host->descriptor >= 0 && close(host->descriptor) != 0)
        violate(host, "a descriptor that was lent was closed");
    if (host->path[0])
        unlink(host->path);
    pthread_mutex_destroy(&host->lock);
    host->memory = NULL;
    host->descriptor = -1;
    return host->violation;
}

const char *host_origin_name(enum host_origin_kind kind)
{
    static const char *const names[HOST_ORIGINS] = {"path", "descriptor", "askew", "memory",
                                                    "callback"};
    return kind < HOST_ORIGINS ? names[kind] : "unknown";
}
