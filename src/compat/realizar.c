/* SPDX-License-Identifier: MIT */
#include "compat/realizar.h"

#include <errno.h>
#include <string.h>

#include "compat/failure.h"
#include "compat/view.h"
#include "core/allocator.h"

enum { EVICTIONS_MAX = 4 }; /* a page that was just read is on its way to the lists that an eviction looks at */

struct tresor_realizar_data {
    struct tresor_allocator allocator;
    struct tresor__view view; /* of the file, or of memory of its own */
    bool is_mapped;
    void *taken; /* bytes that were taken over; NULL: none */
    size_t length_bytes;
    void (*release)(void *cookie, void *bytes, size_t length_bytes);
    void *cookie;
    size_t path_bytes; /* with its end */
    char path[];
};

/* --- making it --- */

static struct tresor_realizar_data *make(const struct tresor_allocator *given, const char *path,
                                         struct tresor_error *error)
{
    struct tresor_allocator allocator = tresor__allocator_or_default(given);
    size_t path_bytes = strlen(path) + 1;
    struct tresor_realizar_data *data =
        tresor__allocate(&allocator, sizeof(struct tresor_realizar_data) + path_bytes);
    if (!data) {
        tresor__fail(error, TRESOR_ERROR_NO_MEMORY, 0, sizeof *data + path_bytes, 0);
        return NULL;
    }
    data->allocator = allocator;
    data->view = (struct tresor__view){.descriptor = -1};
    data->path_bytes = path_bytes;
    memcpy(data->path, path, path_bytes);
    return data;
}

static void free_record(struct tresor_realizar_data *data)
{
    struct tresor_allocator allocator = data->allocator;
    tresor__free(&allocator, data, sizeof *data + data->path_bytes);
}

/* Of what is not finished nobody has an address, so an unmap that is refused is all that can be done. */
static int32_t give(int32_t code, struct tresor_realizar_data *made,
                    struct tresor_realizar_data **data)
{
    if (code == TRESOR_OK) {
        *data = made;
        return code;
    }
    if (tresor__view_close(&made->view, NULL) != TRESOR_OK)
        tresor__view_close_file(&made->view);
    free_record(made);
    return code;
}

static int32_t make_room(struct tresor_realizar_data *data, const struct tresor__sys *sys,
                         size_t length_bytes, struct tresor_error *error)
{
    data->length_bytes = length_bytes;
    return tresor__view_make(&data->view, sys, length_bytes,
                             TRESOR__SYS_VIEW_READ | TRESOR__SYS_VIEW_WRITE, error);
}

static int32_t read_all(struct tresor_realizar_data *data, const struct tresor__view *file,
                        struct tresor_error *error)
{
    const struct tresor__sys *sys = file->sys;
    for (uint64_t at = 0; at < file->length_bytes;) {
        int64_t result = 0;
        TRESOR__RETRY(result, sys->read(sys->cookie, file->descriptor,
                                        (char *)data->view.address + at,
                                        (size_t)(file->length_bytes - at), at));
        if (result < 0)
            return tresor__fail_call(error, result, TRESOR_ERROR_NO_MEMORY);
        if (result == 0)
            return tresor__fail(error, TRESOR_ERROR_TRUNCATED, 0, file->length_bytes, at);
        at += (uint64_t)result;
    }
    return TRESOR_OK;
}

/* What was written to while it was read is neither the old nor the new. */
static int32_t read_unchanged(struct tresor_realizar_data *data, const struct tresor__view *file,
                              struct tresor_error *error)
{
    struct tresor__sys_stat before;
    struct tresor__sys_stat after;
    int64_t result = file->sys->stat(file->sys->cookie, file->descriptor, &before);
    int32_t code = result < 0 ? TRESOR_OK : read_all(data, file, error);
    if (code != TRESOR_OK)
        return code;
    if (result == 0)
        result = file->sys->stat(file->sys->cookie, file->descriptor, &after);
    if (result < 0)
        return tresor__fail_call(error, result, TRESOR_ERROR_NO_MEMORY);
    if (before.size_bytes != file->length_bytes || after.size_bytes != before.size_bytes ||
        after.modified_ns != before.modified_ns)
        return tresor__fail(error, TRESOR_ERROR_CHANGED, 0, file->length_bytes, after.size_bytes);
    return TRESOR_OK;
}

static int32_t load(struct tresor_realizar_data *data, const struct tresor__sys *sys,
                    struct tresor_error *error)
{
    struct tresor__view file;
    int32_t code = tresor__view_open(&file, sys, data->path, TRESOR__SYS_VIEW_READ, error);
    if (code != TRESOR_OK)
        return code;
    code = make_room(data, sys, (size_t)file.length_bytes, error);
    if (code == TRESOR_OK)
        code = read_unchanged(data, &file, error);
    tresor__view_close_file(&file);
    return code;
}

static int32_t map(struct tresor_realizar_data *data, const struct tresor__sys *sys,
                   struct tresor_error *error)
{
    int32_t code = tresor__view_open(&data->view, sys, data->path,
                                     TRESOR__SYS_VIEW_READ | TRESOR__SYS_VIEW_SHARED, error);
    if (code == TRESOR_OK)
        code = tresor__view_map(&data->view, error);
    data->is_mapped = true;
    data->length_bytes = (size_t)data->view.length_bytes;
    return code;
}

int32_t tresor__realizar_open(const struct tresor__sys *sys, const char *path, bool is_mapped,
                              const struct tresor_allocator *allocator,
                              struct tresor_realizar_data **data, struct tresor_error *error)
{
    if (data)
        *data = NULL;
    if (!data || !path)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    struct tresor_realizar_data *made = make(allocator, path, error);
    if (!made)
        return TRESOR_ERROR_NO_MEMORY;
    return give(is_mapped ? map(made, sys, error) : load(made, sys, error), made, data);
}

int32_t tresor_realizar_open_mmap(const char *path, const struct tresor_allocator *allocator,
                                  struct tresor_realizar_data **data, struct tresor_error *error)
{
    return tresor__realizar_open(tresor__sys_posix(), path, true, allocator, data, error);
}

int32_t tresor_realizar_open_read(const char *path, const struct tresor_allocator *allocator,
                                  struct tresor_realizar_data **data, struct tresor_error *error)
{
    return tresor__realizar_open(tresor__sys_posix(), path, false, allocator, data, error);
}

int32_t tresor__realizar_copy(const struct tresor__sys *sys, const void *bytes, size_t length_bytes,
                              const struct tresor_allocator *allocator,
                              struct tresor_realizar_data **data, struct tresor_error *error)
{
    if (data)
        *data = NULL;
    if (!data || (!bytes && length_bytes > 0))
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    struct tresor_realizar_data *made = make(allocator, "", error);
    if (!made)
        return TRESOR_ERROR_NO_MEMORY;
    int32_t code = make_room(made, sys, length_bytes, error);
    if (code == TRESOR_OK && length_bytes > 0)
        memcpy(made->view.address, bytes, length_bytes);
    return give(code, made, data);
}

int32_t tresor_realizar_from_bytes(const void *bytes, size_t length_bytes,
                                   const struct tresor_allocator *allocator,
                                   struct tresor_realizar_data **data, struct tresor_error *error)
{
    return tresor__realizar_copy(tresor__sys_posix(), bytes, length_bytes, allocator, data, error);
}

int32_t tresor_realizar_from_vec(void *bytes, size_t length_bytes,
                                 void (*release)(void *cookie, void *bytes, size_t length_bytes),
                                 void *cookie, const struct tresor_allocator *allocator,
                                 struct tresor_realizar_data **data, struct tresor_error *error)
{
    if (data)
        *data = NULL;
    if (!data || (!bytes && length_bytes > 0))
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    struct tresor_realizar_data *made = make(allocator, "", error);
    if (!made)
        return TRESOR_ERROR_NO_MEMORY;
    made->taken = bytes;
    made->length_bytes = length_bytes;
    made->release = release;
    made->cookie = cookie;
    *data = made;
    return TRESOR_OK;
}

int32_t tresor_realizar_free(struct tresor_realizar_data **data, struct tresor_error *error)
{
    if (!data || !*data)
        return TRESOR_OK;
    struct tresor_realizar_data *old = *data;
    int32_t code = tresor__view_close(&old->view, error);
    if (code != TRESOR_OK)
        return code;
    if (old->release)
        old->release(old->cookie, old->taken, old->length_bytes);
    free_record(old);
    *data = NULL;
    return TRESOR_OK;
}

/* --- what it is --- */

const void *tresor_realizar_as_slice(const struct tresor_realizar_data *data, size_t *length_bytes)
{
    const void *bytes = data && data->view.address ? data->view.address
                        : data && data->taken      ? data->taken
                                                   : "";
    if (length_bytes)
        *length_bytes = tresor_realizar_len(data);
    return bytes;
}

size_t tresor_realizar_len(const struct tresor_realizar_data *data)
{
    return data ? data->length_bytes : 0;
}

int32_t tresor_realizar_is_empty(const struct tresor_realizar_data *data)
{
    return tresor_realizar_len(data) == 0;
}

int32_t tresor_realizar_is_mmap(const struct tresor_realizar_data *data)
{
    return data && data->is_mapped;
}

const char *tresor_realizar_path(const struct tresor_realizar_data *data)
{
    return data ? data->path : "";
}

/* --- its pages --- */

static int32_t advise(struct tresor_realizar_data *data, enum tresor__sys_memory_advice advice,
                      struct tresor_error *error)
{
    if (!data)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    return data->is_mapped
               ? tresor__view_advise(&data->view, 0, data->length_bytes, advice, error)
               : TRESOR_OK;
}

int32_t tresor_realizar_drop_pages(struct tresor_realizar_data *data, struct tresor_error *error)
{
    return advise(data, TRESOR__SYS_MEMORY_DONTNEED, error);
}

int32_t tresor_realizar_advise_sequential(struct tresor_realizar_data *data,
                                          struct tresor_error *error)
{
    return advise(data, TRESOR__SYS_MEMORY_SEQUENTIAL, error);
}

/* cachestat(2) since Linux 6.5, else mincore(2). */
static int64_t ask_cached(const struct tresor__view *view, uint64_t *bytes)
{
    const struct tresor__sys *sys = view->sys;
    int64_t result =
        sys->cached_bytes(sys->cookie, view->descriptor, 0, view->length_bytes, bytes);
    if (result == -ENOSYS || result == -EOPNOTSUPP)
        result = sys->resident_bytes(sys->cookie, view->descriptor, view->address, view->map_bytes,
                                     bytes);
    return result;
}

static int32_t evict_cached(const struct tresor__view *view, uint64_t *left_bytes,
                            struct tresor_error *error)
{
    const struct tresor__sys *sys = view->sys;
    uint64_t left = UINT64_MAX;
    for (uint32_t i = 0; i < EVICTIONS_MAX && left > 0; i++) {
        /* To the end of the file, whose last page is not whole. */
        int64_t result =
            sys->advise_file(sys->cookie, view->descriptor, 0, 0, TRESOR__SYS_FILE_DONTNEED);
        if (result < 0)
            return tresor__fail_call(error, result, TRESOR_ERROR_NO_MEMORY);
        result = ask_cached(view, &left);
        if (result < 0)
            return tresor__fail(error, TRESOR_ERROR_UNSUPPORTED, (int32_t)-result, 0, 0);
    }
    *left_bytes = left;
    return left == 0 ? TRESOR_OK
                     : tresor__fail(error, TRESOR_ERROR_BUSY, 0, 0, left);
}

int32_t tresor_realizar_evict(struct tresor_realizar_data *data, uint64_t *left_bytes,
                              struct tresor_error *error)
{
    uint64_t left = UINT64_MAX;
    int32_t code = tresor_realizar_drop_pages(data, error);
    if (code == TRESOR_OK && data->view.address && data->is_mapped)
        code = evict_cached(&data->view, &left, error);
    else if (code == TRESOR_OK)
        left = 0;
    if (left_bytes)
        *left_bytes = left;
    return code;
}
