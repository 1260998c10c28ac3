/* SPDX-License-Identifier: MIT */
#include "source/shards.h"

#include <string.h>

enum {
    DIGITS = 5,
    FIRST_DIGIT = 1,   /* of the index, in the suffix */
    SECOND_DIGIT = 10, /* of the count */
};

static bool parse_digits(const char *text, uint32_t *number)
{
    *number = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *number = *number * 10 + (uint32_t)(text[i] - '0');
    }
    return true;
}

static void write_digits(char *text, uint32_t number)
{
    for (int i = DIGITS - 1; i >= 0; i--) {
        text[i] = (char)('0' + number % 10);
        number /= 10;
    }
}

bool tresor__shards_parse(const char *path, uint32_t *index, uint32_t *count)
{
    size_t length = strlen(path);
    if (length <= TRESOR__SHARD_SUFFIX_BYTES)
        return false;
    const char *suffix = path + length - TRESOR__SHARD_SUFFIX_BYTES;
    if (suffix[0] != '-' || memcmp(suffix + 6, "-of-", 4) != 0 ||
        memcmp(suffix + 15, ".gguf", 5) != 0)
        return false;
    if (!parse_digits(suffix + FIRST_DIGIT, index) || !parse_digits(suffix + SECOND_DIGIT, count))
        return false;
    if (*index == 0 || *index > *count)
        return false;
    --*index;
    return true;
}

void tresor__shards_write(char *path, uint32_t index, uint32_t count)
{
    char *suffix = path + strlen(path) - TRESOR__SHARD_SUFFIX_BYTES;
    write_digits(suffix + FIRST_DIGIT, index + 1);
    write_digits(suffix + SECOND_DIGIT, count);
}

size_t tresor__shards_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}
