/* SPDX-License-Identifier: MIT */
/* The names of the files of a set, from the name of one. Pure. */
#ifndef TRESOR_SOURCE_SHARDS_H
#define TRESOR_SOURCE_SHARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TRESOR__SHARD_SUFFIX_BYTES = 20, /* of "-00001-of-00003.gguf" */
};

/**
 * Whether a path is that of shard `index` (from 0) of `count` by llama.cpp's convention,
 * NAME-00001-of-00003.gguf (gguf-split, llama_split_path).
 */
bool tresor__shards_parse(const char *path, uint32_t *index, uint32_t *count);

/** Write the suffix of shard `index` over the end of `path`, which has one. */
void tresor__shards_write(char *path, uint32_t index, uint32_t count);

/** Length of a path's folder with its last slash, 0 where it has none. */
size_t tresor__shards_folder(const char *path);

#endif
