/* SPDX-License-Identifier: MIT */
#include "cold.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "measure.h"

enum { EVICTIONS_MAX = 20, EVICTION_PAUSE_US = 50 * 1000 };

/* Static, for the handler of a signal has nothing else to find them by. */
static struct {
    char path[128];
    char text[32];
    volatile sig_atomic_t is_set;
} kept;

static int open_or_give_up(const char *path, uint64_t *size_bytes)
{
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || fstat(descriptor, &status) != 0)
        give_up("%s: %s", path, strerror(errno));
    *size_bytes = (uint64_t)status.st_size;
    return descriptor;
}

/* mincore(2) tells the truth to the file's owner only; everyone else hears that all is there, so nobody is told less. */
uint64_t cold_cached_bytes(const char *path)
{
    uint64_t size_bytes = 0;
    uint64_t cached_bytes = 0;
    int descriptor = open_or_give_up(path, &size_bytes);
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t page_count = (size_bytes + page_bytes - 1) / page_bytes;
    void *bytes = mmap(NULL, size_bytes, PROT_NONE, MAP_SHARED, descriptor, 0);
    unsigned char *pages = malloc(page_count);
    if (bytes == MAP_FAILED || !pages || mincore(bytes, size_bytes, pages) != 0)
        give_up("%s: what is cached cannot be known: %s", path, strerror(errno));
    for (uint64_t i = 0; i < page_count; i++)
        cached_bytes += pages[i] & 1 ? page_bytes : 0;
    free(pages);
    munmap(bytes, size_bytes);
    close(descriptor);
    return cached_bytes;
}

/* More than once: a page just read may still be on its way to the lists that eviction looks at. */
void cold_evict(const char *path)
{
    uint64_t size_bytes = 0;
    uint64_t left_bytes = 0;
    int descriptor = open_or_give_up(path, &size_bytes);
    fdatasync(descriptor);
    for (int i = 0; i < EVICTIONS_MAX; i++) {
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
        left_bytes = cold_cached_bytes(path);
        if (left_bytes == 0)
            break;
        usleep(EVICTION_PAUSE_US);
    }
    close(descriptor);
    if (left_bytes > 0)
        give_up("%s: %llu bytes stay in the page cache", path, (unsigned long long)left_bytes);
}

/* A partition's readahead is that of its disk, the folder above; a file system without a disk has only the first. */
static int open_setting(const char *path, int flags, char *setting, size_t setting_bytes)
{
    static const char *const places[] = {"/sys/class/bdi/%u:%u/read_ahead_kb",
                                         "/sys/dev/block/%u:%u/../queue/read_ahead_kb"};
    struct stat status;
    if (stat(path, &status) != 0)
        give_up("%s: %s", path, strerror(errno));
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(setting, setting_bytes, i == 0 ? places[0] : places[1], major(status.st_dev),
                 minor(status.st_dev));
        int descriptor = open(setting, flags | O_CLOEXEC);
        if (descriptor >= 0)
            return descriptor;
    }
    return -1;
}

static bool read_setting(const char *path, char *text, size_t text_bytes)
{
    char setting[128];
    int descriptor = open_setting(path, O_RDONLY, setting, sizeof setting);
    ssize_t got = descriptor < 0 ? -1 : read(descriptor, text, text_bytes - 1);
    if (descriptor >= 0)
        close(descriptor);
    text[got > 0 ? got : 0] = 0;
    return got > 0;
}

bool readahead_get(const char *path, uint64_t *bytes)
{
    char text[32];
    if (!read_setting(path, text, sizeof text))
        return false;
    *bytes = strtoull(text, NULL, 10) * 1024;
    return true;
}

void readahead_restore(void)
{
    if (!kept.is_set)
        return;
    int descriptor = open(kept.path, O_WRONLY | O_CLOEXEC);
    ssize_t put = write(descriptor, kept.text, strlen(kept.text));
    close(descriptor);
    if (put > 0)
        kept.is_set = 0;
}

static void restore_and_end(int number)
{
    readahead_restore();
    raise(number); /* its handler was reset when it was called */
}

static void restore_whatever_comes(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS};
    static bool is_done;
    struct sigaction action = {.sa_handler = restore_and_end, .sa_flags = (int)SA_RESETHAND};
    if (is_done)
        return;
    is_done = true;
    atexit(readahead_restore);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
}

bool readahead_set(const char *path, uint64_t bytes)
{
    char text[32];
    if (!kept.is_set && !read_setting(path, kept.text, sizeof kept.text))
        return false;
    int descriptor = open_setting(path, O_WRONLY, kept.path, sizeof kept.path);
    if (descriptor < 0)
        return false;
    restore_whatever_comes();
    kept.is_set = 1;
    int length = snprintf(text, sizeof text, "%llu", (unsigned long long)bytes / 1024);
    bool is_written = write(descriptor, text, (size_t)length) == length;
    close(descriptor);
    return is_written;
}
