/* SPDX-License-Identifier: MIT */
#include "cold.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ending.h"
#include "measure.h"
#include "page_cache.h"

/* Static, for the handler of a signal has nothing else to find them by. */
static struct {
    char path[128];
    char text[32];
    volatile sig_atomic_t is_set;
} kept;

static int open_or_give_up(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        give_up("%s: %s", path, strerror(errno));
    return descriptor;
}

/* The bytes that are cached, where an answer was had, as nothing else is worth measuring. */
static uint64_t bytes_of(const char *path, int error, const struct page_cache_count *count)
{
    if (error || !count->is_known)
        give_up("%s: what is cached cannot be known: %s", path,
                error ? strerror(error) : "not an owner");
    return count->resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t cold_cached_bytes(const char *path)
{
    struct page_cache_count count;
    int descriptor = open_or_give_up(path);
    int error = page_cache_count(descriptor, &count);
    close(descriptor);
    return bytes_of(path, error, &count);
}

void cold_evict(const char *path)
{
    struct page_cache_count left;
    int descriptor = open_or_give_up(path);
    int error = page_cache_evict(descriptor, &left);
    close(descriptor);
    uint64_t left_bytes = bytes_of(path, error, &left);
    if (left_bytes > 0)
        give_up("%s: %llu bytes stay in the page cache", path, (unsigned long long)left_bytes);
}

/* A partition's readahead is that of its disk, the folder above; a file system without a disk has
 * only the first. */
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

bool readahead_set(const char *path, uint64_t bytes)
{
    char text[32];
    if (!kept.is_set && !read_setting(path, kept.text, sizeof kept.text))
        return false;
    int descriptor = open_setting(path, O_WRONLY, kept.path, sizeof kept.path);
    if (descriptor < 0)
        return false;
    ending_add(readahead_restore);
    kept.is_set = 1;
    int length = snprintf(text, sizeof text, "%llu", (unsigned long long)bytes / 1024);
    bool is_written = write(descriptor, text, (size_t)length) == length;
    close(descriptor);
    return is_written;
}
