/* SPDX-License-Identifier: MIT */
#include "generate_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "generate_random.h"

/* The first multiple of RANDOM_PART_BYTES past 1 MiB: so long a part goes to the file uncopied. */
#define PART_BYTES (((size_t)1 << 20) / RANDOM_PART_BYTES * RANDOM_PART_BYTES + RANDOM_PART_BYTES)

void shards_cut(struct shard *shards, uint32_t shard_count, const struct model *model)
{
    uint32_t tensor = 0;
    uint64_t left_bytes = model->data_bytes;
    for (uint32_t i = 0; i < shard_count; i++) {
        const uint32_t shards_left = shard_count - i;
        const uint64_t share_bytes = left_bytes / shards_left;
        uint64_t bytes = 0;
        shards[i] = (struct shard){.index = i, .first_tensor = tensor};
        /* Each shard after this one needs a tensor; the last takes what is left. */
        while (model->tensor_count - tensor > shards_left - 1) {
            const uint64_t next_bytes = model->tensors[tensor].size_bytes;
            if (bytes > 0 && shards_left > 1 && bytes + next_bytes / 2 > share_bytes)
                break;
            bytes += next_bytes;
            tensor++;
        }
        shards[i].tensor_count = tensor - shards[i].first_tensor;
        left_bytes -= bytes;
    }
}

/** The length of a path without its suffix. */
static int stem_length(const char *path, const char *suffix)
{
    const size_t length = strlen(path);
    const size_t suffix_length = strlen(suffix);
    if (length > suffix_length && strcmp(path + length - suffix_length, suffix) == 0)
        return (int)(length - suffix_length);
    return (int)length;
}

char *shard_path(const char *path, const char *suffix, uint32_t index, uint32_t count)
{
    char *made = NULL;
    if (asprintf(&made, "%.*s-%05" PRIu32 "-of-%05" PRIu32 "%s", stem_length(path, suffix), path,
                 index + 1, count, suffix) < 0)
        return NULL;
    return made;
}

char *shard_index_path(const char *path, const char *suffix)
{
    char *made = NULL;
    if (asprintf(&made, "%.*s%s.index.json", stem_length(path, suffix), path, suffix) < 0)
        return NULL;
    return made;
}

void write_tensor_data(struct output *output, const struct model *model, uint32_t tensor,
                       uint64_t seed)
{
    static uint8_t part[PART_BYTES];
    struct random_stream stream;
    random_begin(&stream, seed, tensor, model->tensors[tensor].element);
    uint64_t left_bytes = model->tensors[tensor].size_bytes;
    while (left_bytes > 0 && !output->failed) {
        const size_t bytes = left_bytes < PART_BYTES ? (size_t)left_bytes : PART_BYTES;
        random_fill(&stream, part, bytes);
        output_write(output, part, bytes);
        left_bytes -= bytes;
    }
}
