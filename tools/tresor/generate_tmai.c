/* SPDX-License-Identifier: MIT */
/* TMAI files, the container of Hyperion's mapped models: layers that are no more than bytes. */
#include "generate_files.h"

#include <stdlib.h>

enum {
    VERSION = 1,
    HEADER_BYTES = 256,
    LAYER_BYTES = 32,
    SIZE_STEP = 32,
};

/* The first layer has halves and the last floats, as a model's embedding and output have; Hyperion's own have 4 bits. */
static enum element element_of(const struct model *model, uint32_t layer)
{
    if (layer == model->tensor_count - 1)
        return ELEMENT_F32;
    return layer == 0 ? ELEMENT_F16 : ELEMENT_BYTES;
}

static uint32_t precision_of(enum element element)
{
    return element == ELEMENT_F32 ? 32 : element == ELEMENT_F16 ? 16 : 4;
}

bool layers_make(struct model *model, uint64_t size_bytes, uint32_t layer_count)
{
    uint64_t left_bytes = size_bytes;
    if (layer_count == 0)
        layer_count = model_plausible_layers(size_bytes) + 2; /* an embedding and an output */
    *model = (struct model){.tensor_count = layer_count, .layer_count = layer_count};
    model->tensors = calloc(layer_count, sizeof *model->tensors);
    if (!model->tensors)
        return false;
    for (uint32_t i = 0; i < layer_count; i++) {
        struct model_tensor *layer = &model->tensors[i];
        const uint64_t share = left_bytes / (layer_count - i) / SIZE_STEP * SIZE_STEP;
        layer->element = element_of(model, i);
        layer->size_bytes = share ? share : SIZE_STEP;
        layer->columns = layer->size_bytes;
        layer->rows = layer->experts = layer->rank = 1;
        left_bytes -= left_bytes < layer->size_bytes ? left_bytes : layer->size_bytes;
        model->data_bytes += layer->size_bytes;
    }
    return true;
}

static uint64_t aligned(uint64_t offset_bytes, uint32_t alignment_bytes)
{
    return (offset_bytes + alignment_bytes - 1) / alignment_bytes * alignment_bytes;
}

static uint64_t first_offset(const struct model *model, uint32_t alignment_bytes)
{
    return aligned(HEADER_BYTES + (uint64_t)model->tensor_count * LAYER_BYTES, alignment_bytes);
}

uint64_t tmai_bytes(const struct model *model, uint32_t alignment_bytes)
{
    uint64_t offset_bytes = first_offset(model, alignment_bytes);
    for (uint32_t i = 0; i < model->tensor_count; i++)
        offset_bytes = aligned(offset_bytes + model->tensors[i].size_bytes, alignment_bytes);
    return offset_bytes;
}

static void write_header(struct output *output, const struct model *model)
{
    static const char rest[HEADER_BYTES - 16] = "tresor generate"; /* the name, then zeros */
    output_write(output, "IAMT", 4); /* the number 0x544D4149, "TMAI" from its upper end */
    output_u32(output, VERSION);
    output_u32(output, model->tensor_count);
    output_u32(output, 0);
    output_write(output, rest, sizeof rest);
}

static void write_layers(struct output *output, const struct model *model, uint32_t alignment_bytes)
{
    static const uint8_t unused[LAYER_BYTES - 12];
    uint64_t offset_bytes = first_offset(model, alignment_bytes);
    for (uint32_t i = 0; i < model->tensor_count; i++) {
        const struct model_tensor *layer = &model->tensors[i];
        output_u32(output, (uint32_t)offset_bytes);
        output_u32(output, (uint32_t)layer->size_bytes);
        output_u32(output, precision_of(layer->element));
        output_write(output, unused, sizeof unused);
        offset_bytes = aligned(offset_bytes + layer->size_bytes, alignment_bytes);
    }
}

static void pad(struct output *output, uint32_t alignment_bytes)
{
    const uint64_t position = output_position(output);
    output_zeros(output, aligned(position, alignment_bytes) - position);
}

bool write_tmai(struct output *output, const struct generate_options *options,
                const struct model *model)
{
    write_header(output, model);
    write_layers(output, model, options->alignment_bytes);
    for (uint32_t i = 0; i < model->tensor_count && !output->failed; i++) {
        pad(output, options->alignment_bytes);
        write_tensor_data(output, model, i, options->seed);
    }
    pad(output, options->alignment_bytes);
    return !output->failed;
}
