/* SPDX-License-Identifier: MIT */
/* Any bytes as a layout, by itself and then with its files, each of which has some bytes. */
#include "fuzz.h"

#include <string.h>

#include "support/bytes.h"
#include "support/parsing.h"

enum {
    FILES_MAX = 64,
    FILE_BYTES = 4096,
};

static void parse_file(struct tresor__directory *directory, uint32_t file, uint64_t size)
{
    struct tresor__parser parser = {.format = TRESOR__FORMAT_LAYOUT};
    struct tresor__parse_output output;
    const uint8_t byte = 0;
    const struct tresor__parse_input input = {
        .bytes = &byte, .have_bytes = 1, .file_size_bytes = size, .file = file};
    tresor__parse(&parser, &input, directory, &output);
    FUZZ_CHECK(output.status == TRESOR__PARSE_DONE);
    FUZZ_CHECK(output.format == TRESOR__FORMAT_LAYOUT);
}

static bool fits(const struct tresor__directory *directory, const uint64_t *sizes)
{
    for (uint32_t i = 0; i < directory->entry_count; i++) {
        const struct tresor__entry *entry = &directory->entries[i];
        if (entry->size_bytes > 0 && entry->offset_bytes + entry->size_bytes > sizes[entry->file])
            return false;
    }
    return true;
}

static void parse_model(const uint8_t *data, size_t size)
{
    struct tresor__directory directory;
    struct tresor__parse_output output;
    struct tresor_error error = {0};
    uint64_t sizes[FILES_MAX];
    directory_start(&directory, NULL);
    parse_whole(data, size, 0, &directory, &output);
    if (output.status == TRESOR__PARSE_DONE && output.format == TRESOR__FORMAT_LAYOUT &&
        directory.shard_count <= FILES_MAX) {
        for (uint32_t i = 0; i < directory.shard_count; i++) {
            sizes[i] = FILE_BYTES >> i % 4;
            parse_file(&directory, i, sizes[i]);
        }
        int32_t code = tresor__directory_finish(&directory, output.format, sizes,
                                                directory.shard_count, &error);
        FUZZ_CHECK(code == (fits(&directory, sizes) ? TRESOR_OK : TRESOR_ERROR_TRUNCATED));
        fuzz_check_layout(&directory, code ? NULL : sizes);
        uint32_t count = 0;
        for (uint32_t i = 0; i < directory.file_count; i++) {
            FUZZ_CHECK(directory.files[i].first_entry == count);
            count += directory.files[i].entry_count;
        }
        FUZZ_CHECK(count == directory.entry_count);
    }
    tresor__directory_free(&directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || !strchr(" \t\r\n{", data[0]) || data[0] == '\0')
        return 0;
    fuzz_parse(data, size);
    parse_model(data, size);
    return 0;
}
