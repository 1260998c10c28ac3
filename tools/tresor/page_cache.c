/* SPDX-License-Identifier: MIT */
#include "page_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_cachestat
#define SYS_cachestat 451 /* the same on every architecture */
#endif

/* A page that was just read is on its way to the lists that eviction looks at. */
#define EVICTIONS_MAX 10
#define EVICTION_PAUSE_NS 20000000

/* As cachestat(2) has them, which is younger than many C libraries. */
struct cache_range {
    uint64_t offset;
    uint64_t length;
};

struct cache_statistics {
    uint64_t cached;
    uint64_t dirty;
    uint64_t under_writeback;
    uint64_t evicted;
    uint64_t recently_evicted;
};

/** Whom the system tells the truth: mincore says to anyone else that all is there. */
static bool may_know(int descriptor, const struct stat *status)
{
    return status->st_uid == geteuid() || geteuid() == 0 ||
           faccessat(descriptor, "", W_OK, AT_EMPTY_PATH | AT_EACCESS) == 0;
}

static uint64_t resident_in(const unsigned char *states, uint64_t pages)
{
    uint64_t resident_pages = 0;
    for (uint64_t i = 0; i < pages; i++)
        resident_pages += states[i] & 1;
    return resident_pages;
}

static int count_mapped(int descriptor, const struct stat *status, struct page_cache_count *count)
{
    const size_t file_bytes = (size_t)status->st_size;
    int error = 0;
    unsigned char *states = malloc((size_t)count->pages);
    void *view = mmap(NULL, file_bytes, PROT_READ, MAP_SHARED, descriptor, 0);
    if (!states || view == MAP_FAILED || mincore(view, file_bytes, states) != 0)
        error = states ? errno : ENOMEM;
    else
        count->resident_pages = resident_in(states, count->pages);
    if (view != MAP_FAILED)
        munmap(view, file_bytes);
    free(states);
    count->is_known =
        error == 0 && (count->resident_pages < count->pages || may_know(descriptor, status));
    return error;
}

int page_cache_count(int descriptor, struct page_cache_count *count)
{
    struct stat status;
    struct cache_statistics statistics = {0};
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    *count = (struct page_cache_count){0};
    if (fstat(descriptor, &status) != 0)
        return errno;
    count->pages = ((uint64_t)status.st_size + page_bytes - 1) / page_bytes;
    count->is_known = count->pages == 0;
    if (count->is_known)
        return 0;
    /* Of the file only: a large folio can reach past its end. */
    const struct cache_range range = {.length = (uint64_t)status.st_size};
    if (syscall(SYS_cachestat, descriptor, &range, &statistics, 0) != 0)
        return count_mapped(descriptor, &status, count);
    count->resident_pages = statistics.cached;
    count->is_known = true;
    return 0;
}

int page_cache_evict(int descriptor, struct page_cache_count *left)
{
    static const struct timespec pause = {.tv_nsec = EVICTION_PAUSE_NS};
    if (fdatasync(descriptor) != 0)
        return errno;
    for (int i = 1;; i++) {
        int error = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
        if (!error)
            error = page_cache_count(descriptor, left);
        if (error || !left->is_known || left->resident_pages == 0 || i == EVICTIONS_MAX)
            return error;
        nanosleep(&pause, NULL);
    }
}
