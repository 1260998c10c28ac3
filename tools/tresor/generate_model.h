/* SPDX-License-Identifier: MIT */
/* The tensors of a made-up model: llama's names and proportions at any size. */
#ifndef TOOL_GENERATE_MODEL_H
#define TOOL_GENERATE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum generate_format {
    GENERATE_NO_FORMAT = 0,
    GENERATE_GGUF,
    GENERATE_SAFETENSORS,
    GENERATE_TMAI,
};

enum element {
    ELEMENT_F32,
    ELEMENT_F16,
    ELEMENT_BF16,
    ELEMENT_Q4_0,
    ELEMENT_Q8_0,
    ELEMENT_BYTES, /* any */
};

/** How an element type is stored and what the formats call it. */
struct element_traits {
    const char *safetensors_name; /* NULL where the format has no such type */
    uint32_t gguf_type;
    uint32_t block_elements;
    uint32_t block_bytes;
};

const struct element_traits *element_traits(enum element element);

#define MODEL_NAME_BYTES 64

struct model_tensor {
    char name[MODEL_NAME_BYTES];
    uint64_t columns; /* the contiguous dimension */
    uint64_t rows;    /* 1 for a vector */
    uint64_t experts; /* of the outermost dimension; 1 where there is none */
    uint64_t size_bytes;
    enum element element;
    uint32_t rank; /* 1 to 3 */
};

struct model {
    struct model_tensor *tensors;
    uint32_t tensor_count;
    uint32_t layer_count;
    uint64_t embedding_length;
    uint64_t feed_forward_length; /* of the first layer; later ones may be a little wider */
    uint64_t head_count;
    uint64_t head_count_kv;
    uint32_t expert_count; /* 0: none */
    uint64_t data_bytes; /* of all tensors, without padding */
};

/**
 * A model of about `size_bytes`, with `tensor_count` tensors or, if that is 0, with as many as a
 * model of that size would have. With an `expert_count` its feed-forward tensors are those of so
 * many experts. False if there is no memory.
 */
bool model_make(struct model *model, enum generate_format format, uint64_t size_bytes,
                uint32_t tensor_count, uint32_t expert_count);

/** Layers as models of that size have them. */
uint32_t model_plausible_layers(uint64_t size_bytes);

/**
 * As model_make, of opaque layers about equal in size, as TMAI files have them; with a `layer_count` of 0 as many as is
 * plausible.
 */
bool layers_make(struct model *model, uint64_t size_bytes, uint32_t layer_count);

void model_free(struct model *model);

#endif
