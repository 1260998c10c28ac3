/* SPDX-License-Identifier: MIT */
/* Runs a fuzzer's function over all files of a folder: usage: fuzzer FOLDER. A file that ends the process is a lost case. */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

static int is_named(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* A block of the file's exact size, so that ASan sees a read behind it. */
static uint8_t *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    long end = -1;
    if (file && fseek(file, 0, SEEK_END) == 0)
        end = ftell(file);
    uint8_t *data = end >= 0 ? malloc(end > 0 ? (size_t)end : 1) : NULL;
    if (data) {
        rewind(file);
        *size = fread(data, 1, (size_t)end, file);
        if (*size != (size_t)end) {
            free(data);
            data = NULL;
        }
    }
    if (file)
        fclose(file);
    return data;
}

static bool run_file(const char *path)
{
    size_t size = 0;
    uint8_t *data = read_whole(path, &size);
    if (!data)
        return false;
    const bool is_good = LLVMFuzzerTestOneInput(data, size) == 0;
    free(data);
    return is_good;
}

int main(int count, char **arguments)
{
    struct dirent **entries = NULL;
    const int found = count == 2 ? scandir(arguments[1], &entries, is_named, alphasort) : -1;
    bool is_good = found > 0;
    if (!is_good) {
        printf("1..1\nnot ok 1 - a folder with files\n");
        return 1;
    }
    printf("1..%d\n", found);
    for (int i = 0; i < found; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", arguments[1], entries[i]->d_name);
        const bool passed = run_file(path);
        printf("%sok %d - %s\n", passed ? "" : "not ", i + 1, entries[i]->d_name);
        fflush(stdout);
        is_good = is_good && passed;
        free(entries[i]);
    }
    free(entries);
    return is_good ? 0 : 1;
}
