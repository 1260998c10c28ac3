/* SPDX-License-Identifier: MIT */
#include "generate_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <tresor/tensor.h>

/* Rows of quantised tensors are whole blocks, so lengths are multiples of a block's elements. */
#define LENGTH_STEP 32
/* An embedding so long that no size needs it. */
#define LENGTH_STEPS_MAX ((uint64_t)1 << 20)
#define LAYER_ROLES 9

enum shape {
    SHAPE_NORM,         /* embedding */
    SHAPE_EMBEDDING,    /* embedding x vocabulary */
    SHAPE_ATTENTION,    /* embedding x embedding */
    SHAPE_ATTENTION_KV, /* embedding x heads for keys and values */
    SHAPE_WIDEN,        /* embedding x feed forward */
    SHAPE_NARROW,       /* feed forward x embedding */
};

struct role {
    const char *gguf_name;
    const char *safetensors_name;
    enum shape shape;
    enum element gguf_element;
    enum element safetensors_element;
};

static const struct role token_embedding = {"token_embd.weight", "model.embed_tokens.weight",
                                            SHAPE_EMBEDDING, ELEMENT_Q8_0, ELEMENT_BF16};
static const struct role output_norm = {"output_norm.weight", "model.norm.weight", SHAPE_NORM,
                                        ELEMENT_F32, ELEMENT_F32};
static const struct role output_head = {"output.weight", "lm_head.weight", SHAPE_EMBEDDING,
                                        ELEMENT_F16, ELEMENT_F16};

static const struct role layer_roles[LAYER_ROLES] = {
    {"attn_norm.weight", "input_layernorm.weight", SHAPE_NORM, ELEMENT_F32, ELEMENT_F32},
    {"attn_q.weight", "self_attn.q_proj.weight", SHAPE_ATTENTION, ELEMENT_Q4_0, ELEMENT_BF16},
    {"attn_k.weight", "self_attn.k_proj.weight", SHAPE_ATTENTION_KV, ELEMENT_Q4_0, ELEMENT_BF16},
    {"attn_v.weight", "self_attn.v_proj.weight", SHAPE_ATTENTION_KV, ELEMENT_Q8_0, ELEMENT_BF16},
    {"attn_output.weight", "self_attn.o_proj.weight", SHAPE_ATTENTION, ELEMENT_F16, ELEMENT_BF16},
    {"ffn_norm.weight", "post_attention_layernorm.weight", SHAPE_NORM, ELEMENT_F32, ELEMENT_F32},
    {"ffn_gate.weight", "mlp.gate_proj.weight", SHAPE_WIDEN, ELEMENT_Q4_0, ELEMENT_F16},
    {"ffn_up.weight", "mlp.up_proj.weight", SHAPE_WIDEN, ELEMENT_Q4_0, ELEMENT_F16},
    {"ffn_down.weight", "mlp.down_proj.weight", SHAPE_NARROW, ELEMENT_Q8_0, ELEMENT_F16},
};

/* What takes the place of the last three where there are experts. */
static const struct role expert_roles[] = {
    {"ffn_gate_exps.weight", "mlp.experts.gate_proj.weight", SHAPE_WIDEN, ELEMENT_Q4_0, ELEMENT_F16},
    {"ffn_up_exps.weight", "mlp.experts.up_proj.weight", SHAPE_WIDEN, ELEMENT_Q4_0, ELEMENT_F16},
    {"ffn_down_exps.weight", "mlp.experts.down_proj.weight", SHAPE_NARROW, ELEMENT_Q8_0, ELEMENT_F16},
};

enum {
    EXPERT_ROLES = sizeof expert_roles / sizeof expert_roles[0],
    FIRST_EXPERT_ROLE = LAYER_ROLES - EXPERT_ROLES,
};

static const struct element_traits traits[] = {
    [ELEMENT_F32] = {"F32", TRESOR_DTYPE_F32, 1, 4},
    [ELEMENT_F16] = {"F16", TRESOR_DTYPE_F16, 1, 2},
    [ELEMENT_BF16] = {"BF16", TRESOR_DTYPE_BF16, 1, 2},
    [ELEMENT_Q4_0] = {NULL, TRESOR_DTYPE_Q4_0, 32, 18},
    [ELEMENT_Q8_0] = {NULL, TRESOR_DTYPE_Q8_0, 32, 34},
    [ELEMENT_BYTES] = {NULL, TRESOR_DTYPE_U8, 1, 1},
};

const struct element_traits *element_traits(enum element element)
{
    return &traits[element];
}

/* The lengths that all tensors share. */
struct lengths {
    uint64_t embedding;
    uint64_t kv;
    uint64_t feed_forward;
    uint64_t vocabulary;
};

static struct lengths lengths_of(uint64_t embedding)
{
    const uint64_t narrow = embedding * 8 / 3 / LENGTH_STEP * LENGTH_STEP;
    return (struct lengths){
        .embedding = embedding,
        .kv = embedding % (4 * LENGTH_STEP) == 0 ? embedding / 4 : embedding,
        .feed_forward = narrow,
        .vocabulary = embedding * 4,
    };
}

static const struct role *role_of(const struct model *model, uint32_t index)
{
    if (index == 0)
        return &token_embedding;
    if (index == model->tensor_count - 1)
        return &output_head;
    if (index == model->tensor_count - 2)
        return &output_norm;
    const uint32_t role = (index - 1) % LAYER_ROLES;
    return model->expert_count > 0 && role >= FIRST_EXPERT_ROLE
               ? &expert_roles[role - FIRST_EXPERT_ROLE]
               : &layer_roles[role];
}

static bool has_experts(const struct role *role)
{
    return role >= expert_roles && role < expert_roles + EXPERT_ROLES;
}

static uint64_t row_bytes(enum element element, uint64_t columns)
{
    return columns / traits[element].block_elements * traits[element].block_bytes;
}

static void resize(struct model_tensor *tensor, uint64_t columns, uint64_t rows)
{
    tensor->columns = columns;
    tensor->rows = rows;
    tensor->size_bytes = row_bytes(tensor->element, columns) * rows * tensor->experts;
}

static void shape_tensor(struct model_tensor *tensor, const struct role *role,
                         const struct lengths *lengths)
{
    switch (role->shape) {
    case SHAPE_NORM:
        resize(tensor, lengths->embedding, 1);
        break;
    case SHAPE_EMBEDDING:
        resize(tensor, lengths->embedding, lengths->vocabulary);
        break;
    case SHAPE_ATTENTION:
        resize(tensor, lengths->embedding, lengths->embedding);
        break;
    case SHAPE_ATTENTION_KV:
        resize(tensor, lengths->embedding, lengths->kv);
        break;
    case SHAPE_WIDEN:
        resize(tensor, lengths->embedding, lengths->feed_forward);
        break;
    case SHAPE_NARROW:
        resize(tensor, lengths->feed_forward, lengths->embedding);
        break;
    }
}

/** Shape all tensors. Returns their bytes, or more than `limit_bytes` as soon as they are more. */
static uint64_t shape_all(struct model *model, const struct lengths *lengths, uint64_t limit_bytes)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < model->tensor_count && sum <= limit_bytes; i++) {
        shape_tensor(&model->tensors[i], role_of(model, i), lengths);
        sum += model->tensors[i].size_bytes;
    }
    return sum;
}

/** The longest embedding with which all tensors fit into the size; one step if none does. */
static uint64_t find_embedding(struct model *model, uint64_t size_bytes)
{
    uint64_t fits = 1;
    uint64_t fails = LENGTH_STEPS_MAX;
    while (fails - fits > 1) {
        const uint64_t middle = fits + (fails - fits) / 2;
        const struct lengths lengths = lengths_of(middle * LENGTH_STEP);
        if (shape_all(model, &lengths, size_bytes) <= size_bytes)
            fits = middle;
        else
            fails = middle;
    }
    return fits * LENGTH_STEP;
}

/** Give a layer's feed-forward tensors this length; returns the bytes that the layer grows by. */
static uint64_t widen_layer(struct model *model, uint32_t layer, const struct lengths *lengths,
                            bool try_only)
{
    uint64_t growth_bytes = 0;
    const uint32_t first = 1 + layer * LAYER_ROLES;
    for (uint32_t i = first; i < first + LAYER_ROLES && i < model->tensor_count; i++) {
        const struct role *role = role_of(model, i);
        if (role->shape != SHAPE_WIDEN && role->shape != SHAPE_NARROW)
            continue;
        struct model_tensor wider = model->tensors[i];
        shape_tensor(&wider, role, lengths);
        growth_bytes += wider.size_bytes - model->tensors[i].size_bytes;
        if (!try_only)
            model->tensors[i] = wider;
    }
    return growth_bytes;
}

/**
 * Widen the feed-forward tensors into the spare bytes: all layers alike, then, as a step in every
 * layer can be too coarse, one more in the later layers. Returns what is still spare.
 */
static uint64_t widen_layers(struct model *model, struct lengths lengths, uint64_t spare_bytes)
{
    lengths.feed_forward += LENGTH_STEP;
    uint64_t step_bytes = 0;
    for (uint32_t layer = 0; layer < model->layer_count; layer++)
        step_bytes += widen_layer(model, layer, &lengths, true);
    if (step_bytes == 0)
        return spare_bytes;

    const uint64_t steps = spare_bytes / step_bytes;
    lengths.feed_forward += steps * LENGTH_STEP - LENGTH_STEP;
    for (uint32_t layer = 0; layer < model->layer_count; layer++)
        spare_bytes -= widen_layer(model, layer, &lengths, false);
    model->feed_forward_length = lengths.feed_forward;

    lengths.feed_forward += LENGTH_STEP;
    /* From the back, so that the first layer keeps the length that the metadata tells. */
    for (uint32_t layer = model->layer_count; layer-- > 1;) {
        if (widen_layer(model, layer, &lengths, true) > spare_bytes)
            break;
        spare_bytes -= widen_layer(model, layer, &lengths, false);
    }
    return spare_bytes;
}

/** Add words to the vocabulary, which the first and the last tensor have a row each for. */
static void add_words(struct model *model, uint64_t spare_bytes)
{
    struct model_tensor *first = &model->tensors[0];
    struct model_tensor *last = &model->tensors[model->tensor_count - 1];
    uint64_t word_bytes = row_bytes(first->element, first->columns);
    if (last != first)
        word_bytes += row_bytes(last->element, last->columns);
    const uint64_t rows = first->rows + spare_bytes / word_bytes;
    resize(first, first->columns, rows);
    resize(last, last->columns, rows);
}

/** No model of this many tensors is so small: share the bytes out as rows of the least length. */
static void squeeze(struct model *model, uint64_t size_bytes)
{
    uint64_t left_bytes = size_bytes;
    uint64_t left_tensors = 0;
    for (uint32_t i = 0; i < model->tensor_count; i++) {
        struct model_tensor *tensor = &model->tensors[i];
        if (tensor->rank == 1)
            left_bytes -= left_bytes < tensor->size_bytes ? left_bytes : tensor->size_bytes;
        else
            left_tensors++;
    }
    for (uint32_t i = 0; i < model->tensor_count; i++) {
        struct model_tensor *tensor = &model->tensors[i];
        if (tensor->rank == 1)
            continue;
        const uint64_t row = row_bytes(tensor->element, LENGTH_STEP) * tensor->experts;
        const uint64_t rows = (left_bytes / left_tensors + row / 2) / row;
        resize(tensor, LENGTH_STEP, rows ? rows : 1);
        left_bytes -= left_bytes < tensor->size_bytes ? left_bytes : tensor->size_bytes;
        left_tensors--;
    }
}

/** Layers as models have them: the length of the embedding is some 128 times their count. */
uint32_t model_plausible_layers(uint64_t size_bytes)
{
    const uint64_t bytes_of_one_layer = 155000;
    uint64_t layers = 1;
    while (layers * layers * layers * bytes_of_one_layer < size_bytes)
        layers++;
    return (uint32_t)layers;
}

static void name_tensors(struct model *model, enum generate_format format)
{
    for (uint32_t i = 0; i < model->tensor_count; i++) {
        struct model_tensor *tensor = &model->tensors[i];
        const struct role *role = role_of(model, i);
        const bool gguf = format == GENERATE_GGUF;
        const char *name = gguf ? role->gguf_name : role->safetensors_name;
        if (role == &token_embedding || role == &output_norm || role == &output_head)
            snprintf(tensor->name, sizeof tensor->name, "%s", name);
        else
            snprintf(tensor->name, sizeof tensor->name, "%s.%" PRIu32 ".%s",
                     gguf ? "blk" : "model.layers", (i - 1) / LAYER_ROLES, name);
        tensor->element = gguf ? role->gguf_element : role->safetensors_element;
        tensor->rank = role->shape == SHAPE_NORM ? 1 : has_experts(role) ? 3 : 2;
        tensor->experts = has_experts(role) ? model->expert_count : 1;
    }
}

static void size_tensors(struct model *model, uint64_t size_bytes)
{
    const struct lengths lengths = lengths_of(find_embedding(model, size_bytes));
    model->embedding_length = lengths.embedding;
    model->feed_forward_length = lengths.feed_forward;
    model->head_count = lengths.embedding / LENGTH_STEP;
    model->head_count_kv = lengths.kv / LENGTH_STEP;
    const uint64_t shaped_bytes = shape_all(model, &lengths, UINT64_MAX);
    if (shaped_bytes > size_bytes)
        squeeze(model, size_bytes);
    else
        add_words(model, widen_layers(model, lengths, size_bytes - shaped_bytes));
}

bool model_make(struct model *model, enum generate_format format, uint64_t size_bytes,
                uint32_t tensor_count, uint32_t expert_count)
{
    const uint32_t others = 3;
    if (tensor_count == 0)
        tensor_count = model_plausible_layers(size_bytes) * LAYER_ROLES + others;
    *model = (struct model){.tensor_count = tensor_count, .expert_count = expert_count};
    if (tensor_count > others)
        model->layer_count = (tensor_count - others + LAYER_ROLES - 1) / LAYER_ROLES;
    model->tensors = calloc(tensor_count, sizeof *model->tensors);
    if (!model->tensors)
        return false;
    name_tensors(model, format);
    size_tensors(model, size_bytes);
    for (uint32_t i = 0; i < tensor_count; i++)
        model->data_bytes += model->tensors[i].size_bytes;
    return true;
}

void model_free(struct model *model)
{
    free(model->tensors);
}
