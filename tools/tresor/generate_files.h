/* SPDX-License-Identifier: MIT */
/* What the formats share when a made-up model is written: shards, their names, and the data. */
#ifndef TOOL_GENERATE_FILES_H
#define TOOL_GENERATE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "generate_model.h"
#include "output.h"

struct generate_options {
    enum generate_format format;
    uint64_t size_bytes;
    uint32_t tensor_count; /* 0: as many as is plausible */
    uint32_t shard_count;
    uint64_t seed;
    uint32_t alignment_bytes;
    uint32_t vocabulary;
    uint32_t expert_count; /* 0: no mixture of experts */
    const char *path;
};

/** The tensors of one file: all of them in the order of the model. */
struct shard {
    uint32_t index;
    uint32_t first_tensor;
    uint32_t tensor_count;
};

/** Cut the model into shards of about equal size, none empty. There are at most as many as tensors.
 */
void shards_cut(struct shard *shards, uint32_t shard_count, const struct model *model);

/** "NAME-00001-of-00003.gguf" of "NAME.gguf", to be freed; NULL if there is no memory. */
char *shard_path(const char *path, const char *suffix, uint32_t index, uint32_t count);

/** "NAME.safetensors.index.json" of "NAME.safetensors", to be freed; NULL if there is no memory. */
char *shard_index_path(const char *path, const char *suffix);

/** Write a tensor's bytes. */
void write_tensor_data(struct output *output, const struct model *model, uint32_t tensor,
                       uint64_t seed);

/* Write one shard into the open file. False after output_fail or an error of the output. */
bool write_gguf(struct output *output, const struct generate_options *options,
                const struct model *model, const struct shard *shard);
bool write_safetensors(struct output *output, const struct generate_options *options,
                       const struct model *model, const struct shard *shard);

bool write_tmai(struct output *output, const struct generate_options *options,
                const struct model *model);

/** Bytes of the whole TMAI file. */
uint64_t tmai_bytes(const struct model *model, uint32_t alignment_bytes);

/** Write the JSON that tells which shard has which tensor into the open file. */
bool write_safetensors_index(struct output *output, const struct model *model,
                             const struct shard *shards, uint32_t shard_count);

#endif
