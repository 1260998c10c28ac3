/* SPDX-License-Identifier: MIT */
#include "compat/view.h"

#include <errno.h>

#include "compat/failure.h"

enum { HUGE_PAGE_BYTES = 2 * 1024 * 1024 };

static bool writes_file(uint32_t flags)
{
    uint32_t both = TRESOR__SYS_VIEW_SHARED | TRESOR__SYS_VIEW_WRITE;
    return (flags & both) == both;
}

static int32_t look_at(struct tresor__view *view, struct tresor_error *error)
{
    struct tresor__sys_stat stat;
    int64_t result = view->sys->stat(view->sys->cookie, view->descriptor, &stat);
    if (result < 0)
        return tresor__fail_call(error, result, TRESOR_ERROR_NO_MEMORY);
    if (!stat.is_regular)
        return tresor__fail(error, TRESOR_ERROR_NOT_REGULAR, 0, 0, 0);
    view->length_bytes = stat.size_bytes;
    view->map_bytes = (size_t)stat.size_bytes;
    return view->map_bytes == stat.size_bytes
               ? TRESOR_OK
               : tresor__fail(error, TRESOR_ERROR_MAP_REFUSED, 0, stat.size_bytes, SIZE_MAX);
}

int32_t tresor__view_open(struct tresor__view *view, const struct tresor__sys *sys,
                          const char *path, uint32_t flags, struct tresor_error *error)
{
    int64_t result = 0;
    *view = (struct tresor__view){.sys = sys, .descriptor = -1, .flags = flags};
    TRESOR__RETRY(result, writes_file(flags)
                              ? sys->open_by(sys->cookie, path,
                                             TRESOR__SYS_OPEN_READ | TRESOR__SYS_OPEN_WRITE)
                              : sys->open_file(sys->cookie, path));
    if (result < 0)
        return tresor__fail_open(error, result);
    view->descriptor = (int)result;
    int32_t code = look_at(view, error);
    if (code != TRESOR_OK)
        tresor__view_close_file(view);
    return code;
}

void tresor__view_close_file(struct tresor__view *view)
{
    /* What a close says changes nothing: it has closed. */
    if (view->descriptor >= 0)
        view->sys->close(view->sys->cookie, view->descriptor);
    view->descriptor = -1;
}

int32_t tresor__view_map(struct tresor__view *view, struct tresor_error *error)
{
    const struct tresor__sys_view wanted = {
        .descriptor = view->descriptor, .length = view->map_bytes, .flags = view->flags};
    if (view->map_bytes == 0)
        return TRESOR_OK;
    int64_t result = view->sys->map_view(view->sys->cookie, &wanted, &view->address);
    return result < 0 ? tresor__fail_call(error, result, TRESOR_ERROR_MAP_REFUSED) : TRESOR_OK;
}

int32_t tresor__view_make(struct tresor__view *view, const struct tresor__sys *sys,
                          uint64_t length_bytes, uint32_t flags, struct tresor_error *error)
{
    uint64_t map_bytes = length_bytes;
    if (flags & TRESOR__SYS_VIEW_HUGE_POOL)
        map_bytes += -length_bytes % HUGE_PAGE_BYTES;
    *view = (struct tresor__view){.sys = sys,
                                  .descriptor = -1,
                                  .map_bytes = (size_t)map_bytes,
                                  .length_bytes = length_bytes,
                                  .flags = flags};
    if (map_bytes < length_bytes || view->map_bytes != map_bytes)
        return tresor__fail(error, TRESOR_ERROR_MAP_REFUSED, 0, length_bytes, SIZE_MAX);
    return tresor__view_map(view, error);
}

int32_t tresor__view_close(struct tresor__view *view, struct tresor_error *error)
{
    if (view->address) {
        int64_t result = view->sys->unmap(view->sys->cookie, view->address, view->map_bytes);
        if (result < 0)
            return tresor__fail(error, TRESOR_ERROR_MAP_REFUSED, (int32_t)-result, 0, 0);
    }
    view->address = NULL;
    tresor__view_close_file(view);
    return TRESOR_OK;
}

static int32_t fail_short(struct tresor__view *view, int64_t result, struct tresor_error *error)
{
    struct tresor__sys_stat stat = {0};
    view->sys->stat(view->sys->cookie, view->descriptor, &stat);
    return tresor__fail(error, TRESOR_ERROR_TRUNCATED, (int32_t)-result, view->length_bytes,
                        stat.size_bytes);
}

/* Where the kernel cannot populate (before Linux 5.14): a page fault each, unless one of them would be the end. */
static int32_t touch(struct tresor__view *view, struct tresor_error *error)
{
    struct tresor__sys_stat stat = {.size_bytes = view->length_bytes};
    int64_t page_bytes = view->sys->page_bytes(view->sys->cookie);
    if (page_bytes <= 0)
        return tresor__fail(error, TRESOR_ERROR_UNSUPPORTED, (int32_t)-page_bytes, 0, 0);
    if (view->descriptor >= 0) {
        int64_t result = view->sys->stat(view->sys->cookie, view->descriptor, &stat);
        if (result < 0)
            return tresor__fail_call(error, result, TRESOR_ERROR_NO_MEMORY);
    }
    if (stat.size_bytes < view->length_bytes)
        return tresor__fail(error, TRESOR_ERROR_TRUNCATED, 0, view->length_bytes, stat.size_bytes);
    volatile uint8_t *bytes = view->address;
    bool writes = view->descriptor < 0 && view->flags & TRESOR__SYS_VIEW_WRITE;
    for (size_t at = 0; at < view->map_bytes; at += (size_t)page_bytes) {
        uint8_t byte = bytes[at];
        if (writes)
            bytes[at] = byte;
    }
    return TRESOR_OK;
}

/* A fresh page that is only read stays the zero page; one of a file that is written would be copied. */
int32_t tresor__view_populate(struct tresor__view *view, struct tresor_error *error)
{
    const struct tresor__sys *sys = view->sys;
    bool writes = view->descriptor < 0 && view->flags & TRESOR__SYS_VIEW_WRITE;
    int64_t result = 0;
    if (!view->address)
        return TRESOR_OK;
    TRESOR__RETRY(result,
                  sys->advise_memory(sys->cookie, view->address, view->map_bytes,
                                     writes ? TRESOR__SYS_POPULATE_WRITE : TRESOR__SYS_POPULATE_READ));
    if (result == -EINVAL)
        return touch(view, error);
    if (result == -EFAULT && view->descriptor >= 0)
        return fail_short(view, result, error);
    return result < 0 ? tresor__fail_call(error, result, TRESOR_ERROR_NO_MEMORY) : TRESOR_OK;
}

int32_t tresor__view_advise(struct tresor__view *view, uint64_t offset, uint64_t length,
                            enum tresor__sys_memory_advice advice, struct tresor_error *error)
{
    const struct tresor__sys *sys = view->sys;
    int64_t result = 0;
    if (!view->address || length == 0)
        return TRESOR_OK;
    int64_t page_bytes = sys->page_bytes(sys->cookie);
    if (page_bytes <= 0)
        return tresor__fail(error, TRESOR_ERROR_UNSUPPORTED, (int32_t)-page_bytes, 0, 0);
    uint64_t start = offset / (uint64_t)page_bytes * (uint64_t)page_bytes;
    TRESOR__RETRY(result, sys->advise_memory(sys->cookie, (uint8_t *)view->address + start,
                                             (size_t)(offset + length - start), advice));
    return result < 0 ? tresor__fail_call(error, result, TRESOR_ERROR_NO_MEMORY) : TRESOR_OK;
}
