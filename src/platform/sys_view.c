/* SPDX-License-Identifier: MIT */
#include "platform/sys_view.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef MAP_HUGETLB
enum { HUGE_2_MIB = 21 << 26 }; /* the logarithm of the page, as in linux/mman.h */
#endif

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0
#endif

static int64_t or_errno(int64_t result)
{
    return result < 0 ? -errno : result;
}

int64_t tresor__sys_map_view(void *cookie, const struct tresor__sys_view *view, void **mapped)
{
    int protection = (view->flags & TRESOR__SYS_VIEW_READ ? PROT_READ : 0) |
                     (view->flags & TRESOR__SYS_VIEW_WRITE ? PROT_WRITE : 0) |
                     (view->flags & TRESOR__SYS_VIEW_EXECUTE ? PROT_EXEC : 0);
    int flags = view->flags & TRESOR__SYS_VIEW_SHARED ? MAP_SHARED : MAP_PRIVATE;
    (void)cookie;
    if (view->descriptor < 0)
        flags |= MAP_ANONYMOUS;
    if (view->flags & TRESOR__SYS_VIEW_HUGE_POOL) {
#ifdef MAP_HUGETLB
        flags |= MAP_HUGETLB | HUGE_2_MIB;
#else
        return -EINVAL;
#endif
    }
    void *place =
        mmap(NULL, view->length, protection, flags, view->descriptor, (off_t)view->offset);
    if (place == MAP_FAILED)
        return -errno;
    *mapped = place;
    return 0;
}

int64_t tresor__sys_sync_memory(void *cookie, void *address, size_t length, bool is_waited)
{
    (void)cookie;
    return or_errno(msync(address, length, is_waited ? MS_SYNC : MS_ASYNC));
}

#ifdef __linux__
/* Of anybody else's file mincore(2) says that all of it is there. */
static bool is_told(int descriptor)
{
    struct stat status;
    if (descriptor < 0 || geteuid() == 0)
        return true;
    return (fstat(descriptor, &status) == 0 && status.st_uid == geteuid()) ||
           faccessat(descriptor, "", W_OK, AT_EMPTY_PATH | AT_EACCESS) == 0;
}
#endif

int64_t tresor__sys_resident_bytes(void *cookie, int descriptor, void *address, size_t length,
                                   uint64_t *bytes)
{
    (void)cookie;
#ifdef __linux__
    unsigned char states[4096];
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t pages = 0;
    for (size_t at = 0; at < length; at += sizeof states * page_bytes) {
        size_t left = length - at;
        size_t part = left < sizeof states * page_bytes ? left : sizeof states * page_bytes;
        if (mincore((char *)address + at, part, states) != 0)
            return -errno;
        for (size_t i = 0; i < (part + page_bytes - 1) / page_bytes; i++)
            pages += states[i] & 1;
    }
    *bytes = pages * page_bytes;
    /* What is not there was told all the same. */
    return pages < (length + page_bytes - 1) / page_bytes || is_told(descriptor) ? 0 : -EPERM;
#else
    (void)descriptor;
    (void)address;
    (void)length;
    (void)bytes;
    return -ENOSYS;
#endif
}
