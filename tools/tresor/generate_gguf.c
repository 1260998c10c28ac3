/* SPDX-License-Identifier: MIT */
#include "generate_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tresor/tensor.h>

#define GGUF_VERSION 3

/* Kinds of tokens, as llama.cpp numbers them. */
enum token_type {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_BYTE = 6,
};
#define TOKENS_SPECIAL 3
#define TOKENS_BYTE 256

/** Their count comes before them, so a first walk, without an output, only counts. */
struct pairs {
    struct output *output;
    uint64_t count;
};

static void write_string(struct output *output, const char *text)
{
    output_u64(output, strlen(text));
    output_write(output, text, strlen(text));
}

/** Begin a pair. False if it is only counted. */
static bool begin_pair(struct pairs *pairs, const char *key, enum tresor_metadata_type type)
{
    pairs->count++;
    if (!pairs->output)
        return false;
    write_string(pairs->output, key);
    output_u32(pairs->output, type);
    return true;
}

static bool begin_array(struct pairs *pairs, const char *key, enum tresor_metadata_type type,
                        uint64_t count)
{
    if (!begin_pair(pairs, key, TRESOR_METADATA_ARRAY))
        return false;
    output_u32(pairs->output, type);
    output_u64(pairs->output, count);
    return true;
}

static void pair_string(struct pairs *pairs, const char *key, const char *value)
{
    if (begin_pair(pairs, key, TRESOR_METADATA_STRING))
        write_string(pairs->output, value);
}

static void pair_u16(struct pairs *pairs, const char *key, uint16_t value)
{
    if (begin_pair(pairs, key, TRESOR_METADATA_U16))
        output_u16(pairs->output, value);
}

static void pair_u32(struct pairs *pairs, const char *key, uint64_t value)
{
    if (begin_pair(pairs, key, TRESOR_METADATA_U32))
        output_u32(pairs->output, (uint32_t)value);
}

static void pair_i32(struct pairs *pairs, const char *key, uint32_t value)
{
    if (begin_pair(pairs, key, TRESOR_METADATA_I32))
        output_u32(pairs->output, value);
}

static void write_f32(struct output *output, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    output_u32(output, bits);
}

static void pair_f32(struct pairs *pairs, const char *key, float value)
{
    if (begin_pair(pairs, key, TRESOR_METADATA_F32))
        write_f32(pairs->output, value);
}

static enum token_type token_type(uint32_t token)
{
    if (token == 0)
        return TOKEN_UNKNOWN;
    if (token < TOKENS_SPECIAL)
        return TOKEN_CONTROL;
    return token < TOKENS_SPECIAL + TOKENS_BYTE ? TOKEN_BYTE : TOKEN_NORMAL;
}

static void write_token(struct output *output, uint32_t token)
{
    static const char *const special[TOKENS_SPECIAL] = {"<unk>", "<s>", "</s>"};
    char text[16];
    if (token < TOKENS_SPECIAL)
        snprintf(text, sizeof text, "%s", special[token]);
    else if (token < TOKENS_SPECIAL + TOKENS_BYTE)
        snprintf(text, sizeof text, "<0x%02" PRIX32 ">", token - TOKENS_SPECIAL);
    else
        snprintf(text, sizeof text, "word%" PRIu32, token);
    write_string(output, text);
}

static void pairs_of_tokenizer(struct pairs *pairs, uint32_t vocabulary)
{
    pair_string(pairs, "tokenizer.ggml.model", "llama");
    if (begin_array(pairs, "tokenizer.ggml.tokens", TRESOR_METADATA_STRING, vocabulary)) {
        for (uint32_t i = 0; i < vocabulary; i++)
            write_token(pairs->output, i);
    }
    if (begin_array(pairs, "tokenizer.ggml.scores", TRESOR_METADATA_F32, vocabulary)) {
        for (uint32_t i = 0; i < vocabulary; i++)
            write_f32(pairs->output, 0.0F - (float)i);
    }
    if (begin_array(pairs, "tokenizer.ggml.token_type", TRESOR_METADATA_I32, vocabulary)) {
        for (uint32_t i = 0; i < vocabulary; i++)
            output_u32(pairs->output, token_type(i));
    }
    pair_u32(pairs, "tokenizer.ggml.unknown_token_id", 0);
    pair_u32(pairs, "tokenizer.ggml.bos_token_id", 1);
    pair_u32(pairs, "tokenizer.ggml.eos_token_id", 2);
}

static void pairs_of_model(struct pairs *pairs, const struct generate_options *options,
                           const struct model *model)
{
    pair_string(pairs, "general.architecture", "llama");
    pair_string(pairs, "general.name", "tresor generate");
    pair_u32(pairs, "general.quantization_version", 2);
    pair_u32(pairs, "llama.block_count", model->layer_count);
    pair_u32(pairs, "llama.context_length", 4096);
    pair_u32(pairs, "llama.embedding_length", model->embedding_length);
    pair_u32(pairs, "llama.feed_forward_length", model->feed_forward_length);
    pair_u32(pairs, "llama.attention.head_count", model->head_count);
    pair_u32(pairs, "llama.attention.head_count_kv", model->head_count_kv);
    pair_f32(pairs, "llama.attention.layer_norm_rms_epsilon", 1e-5F);
    pair_u32(pairs, "llama.rope.dimension_count", model->embedding_length / model->head_count);
    if (model->expert_count > 0) {
        pair_u32(pairs, "llama.expert_count", model->expert_count);
        pair_u32(pairs, "llama.expert_used_count", 2);
    }
    pairs_of_tokenizer(pairs, options->vocabulary);
}

/** llama.cpp's convention: the first shard has all metadata, the others what reading them needs. */
static void pairs_of_shard(struct pairs *pairs, const struct generate_options *options,
                           const struct model *model, const struct shard *shard)
{
    if (shard->index == 0)
        pairs_of_model(pairs, options, model);
    pair_u32(pairs, "general.alignment", options->alignment_bytes);
    if (options->shard_count > 1) {
        pair_u16(pairs, "split.no", (uint16_t)shard->index);
        pair_u16(pairs, "split.count", (uint16_t)options->shard_count);
        pair_i32(pairs, "split.tensors.count", model->tensor_count);
    }
}

static uint64_t padding(uint64_t position, uint64_t alignment_bytes)
{
    return -position & (alignment_bytes - 1);
}

static void write_tensor_infos(struct output *output, const struct model *model,
                               const struct shard *shard, uint64_t alignment_bytes)
{
    uint64_t offset_bytes = 0;
    for (uint32_t i = 0; i < shard->tensor_count; i++) {
        const struct model_tensor *tensor = &model->tensors[shard->first_tensor + i];
        write_string(output, tensor->name);
        output_u32(output, tensor->rank);
        output_u64(output, tensor->columns);
        if (tensor->rank > 1)
            output_u64(output, tensor->rows);
        if (tensor->rank > 2)
            output_u64(output, tensor->experts);
        output_u32(output, element_traits(tensor->element)->gguf_type);
        output_u64(output, offset_bytes);
        offset_bytes += tensor->size_bytes;
        offset_bytes += padding(offset_bytes, alignment_bytes);
    }
}

bool write_gguf(struct output *output, const struct generate_options *options,
                const struct model *model, const struct shard *shard)
{
    struct pairs counted = {.output = NULL};
    pairs_of_shard(&counted, options, model, shard);

    output_write(output, "GGUF", 4);
    output_u32(output, GGUF_VERSION);
    output_u64(output, shard->tensor_count);
    output_u64(output, counted.count);
    struct pairs written = {.output = output};
    pairs_of_shard(&written, options, model, shard);
    write_tensor_infos(output, model, shard, options->alignment_bytes);

    /* The last tensor is padded too, as readers of this format expect. */
    output_zeros(output, padding(output_position(output), options->alignment_bytes));
    for (uint32_t i = 0; i < shard->tensor_count; i++) {
        write_tensor_data(output, model, shard->first_tensor + i, options->seed);
        output_zeros(output, padding(output_position(output), options->alignment_bytes));
    }
    return !output->failed;
}
