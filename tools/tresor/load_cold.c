/* SPDX-License-Identifier: MIT */
#include "load_cold.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

static int evict(const char *path, struct page_cache_count *left)
{
    *left = (struct page_cache_count){0};
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return errno;
    const int error = page_cache_evict(descriptor, left);
    close(descriptor);
    return error;
}

static void warn(const char *path, int error, const struct page_cache_count *left)
{
    if (!error && left->is_known && left->resident_pages == 0)
        return;
    fputs("tresor: warning: '", stderr);
    text_print(stderr, path, strlen(path), SIZE_MAX);
    if (error)
        fprintf(stderr, "' cannot be taken out of the page cache: %s\n", strerror(error));
    else if (!left->is_known)
        fputs("': the system does not tell what is left in the page cache\n", stderr);
    else
        fprintf(stderr, "': %" PRIu64 " of %" PRIu64 " pages stay in the page cache\n",
                left->resident_pages, left->pages);
}

void load_evict_files(const struct opened *opened, struct page_cache_count *left)
{
    *left = (struct page_cache_count){.is_known = true};
    for (uint32_t i = 0; i < opened->info.file_count; i++) {
        struct tresor_file_info file = {.size_bytes = sizeof file};
        struct page_cache_count of_file;
        if (tresor_source_get_file(opened->context, opened->source, i, &file) != TRESOR_OK)
            continue;
        const int error = evict(file.path, &of_file);
        warn(file.path, error, &of_file);
        left->pages += of_file.pages;
        left->resident_pages += of_file.resident_pages;
        left->is_known = left->is_known && of_file.is_known && !error;
    }
}
