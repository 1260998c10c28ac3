/* SPDX-License-Identifier: MIT */
#include "support/temporary.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void temporary_make(char path[TEMPORARY_PATH_BYTES])
{
    const char *base = getenv("TMPDIR");
    int length = snprintf(path, TEMPORARY_PATH_BYTES, "%s/tresor-XXXXXX", base ? base : "/tmp");
    if (length >= TEMPORARY_PATH_BYTES || !mkdtemp(path))
        abort();
    /* Tests that give up their rights shall still reach what is in it. */
    if (chmod(path, 0755) != 0)
        abort();
}

void temporary_remove(const char *path)
{
    char name[TEMPORARY_PATH_BYTES + 256];
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove(name);
    }
    if (folder)
        closedir(folder);
    rmdir(path);
}

void temporary_write(const char *path, const void *bytes, size_t size_bytes)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size_bytes, file) != size_bytes || fclose(file) != 0)
        abort();
}
