/* SPDX-License-Identifier: MIT */
/* The face of Hyperion's mapped model, a TMAI file under a budget: opening, closing, and what it says of itself. */
#include "compat/hyperion.h"

#include <stdio.h>
#include <string.h>

#include "core/allocator.h"
#include "core/options.h"

#define CACHE_BYTES_DEFAULT (UINT64_C(256) << 20)
#define LAYER_BYTES_MIN_DEFAULT 4096
#define PAGE_BYTES 4096 /* the least; where pages are larger more loads ahead are begun and refused */
#define THREADS_MAX 256

void tresor_hyperion_defaults(struct tresor_hyperion_options *options)
{
    *options = (struct tresor_hyperion_options){
        .size_bytes = sizeof *options,
        .cache_bytes = CACHE_BYTES_DEFAULT,
        .layer_bytes_min = LAYER_BYTES_MIN_DEFAULT,
        .prefetch = 1,
        .threads = 1,
        .adaptive = 1,
    };
}

static bool is_good(const struct tresor_hyperion_options *options)
{
    const bool threads_fit = options->threads >= 1 && options->threads <= THREADS_MAX;
    return options->cache_bytes > 0 &&
           options->prefetch <= 1 && options->adaptive <= 1 && options->reserved == 0 &&
           (threads_fit || (!options->prefetch && options->threads == 0));
}

static int32_t fail(struct tresor_error *error, int32_t code)
{
    *error = (struct tresor_error){
        .code = code, .source = TRESOR_NONE, .file = TRESOR_NONE, .tensor = TRESOR_NONE};
    return code;
}

static int32_t create_context(struct tresor_hyperion_model *model)
{
    const struct tresor_hyperion_options *options = &model->options;
    const struct tresor_context_options context = {
        .size_bytes = sizeof context,
        .allocator = options->allocator,
        .strategy = TRESOR_STRATEGY_READ,
        .sources_max = 1,
        .policy = TRESOR_POLICY_PRIORITY,
        .backend = options->prefetch ? TRESOR_BACKEND_POOL : TRESOR_BACKEND_SYNC,
        .threads_max = options->threads,
        .budget_bytes = options->cache_bytes,
    };
    return tresor_context_create(&context, &model->context);
}

static int32_t open_source(struct tresor_hyperion_model *model, const char *path,
                           struct tresor_error *error)
{
    struct tresor_source_info info = {.size_bytes = sizeof info};
    struct tresor_request request;
    int32_t code = tresor_source_open(model->context, path, 0, &model->source, &request);
    if (code != TRESOR_OK)
        return fail(error, code);
    code = tresor__hyperion_await(model, request);
    if (code != TRESOR_OK) {
        *error = model->end.error;
        error->code = code;
        return code;
    }
    code = tresor_source_get_info(model->context, model->source, &info);
    if (code == TRESOR_OK && strcmp(info.format, "tmai") != 0)
        code = TRESOR_ERROR_FORMAT;
    model->layer_count = info.tensor_count;
    model->history.layer_count = info.tensor_count;
    return code == TRESOR_OK ? code : fail(error, code);
}

static uint32_t precision_of(struct tresor_hyperion_model *model, uint32_t layer)
{
    struct tresor_metadata_info info = {.size_bytes = sizeof info};
    char key[40];
    uint32_t index = 0;
    snprintf(key, sizeof key, "layer.%u.precision", layer);
    if (tresor_source_find_metadata(model->context, model->source, key, &index) != TRESOR_OK ||
        tresor_source_get_metadata(model->context, model->source, index, &info) != TRESOR_OK)
        return 0;
    return *(const uint8_t *)info.data; /* at most 32, little endian */
}

static int32_t describe(struct tresor_hyperion_model *model, uint32_t index)
{
    struct tresor__hyperion_layer *layer = &model->layers[index];
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    int32_t code = tresor_source_get_tensor(model->context, model->source, index, &info);
    if (code == TRESOR_OK)
        code = tresor_item_of_tensor(model->context, model->source, index, &layer->item);
    if (code != TRESOR_OK)
        return code;
    layer->address = info.address;
    layer->offset_bytes = info.offset_bytes;
    layer->layer_bytes = info.tensor_bytes;
    const uint64_t first = info.offset_bytes / PAGE_BYTES;
    const uint64_t last = (info.offset_bytes + info.tensor_bytes - 1) / PAGE_BYTES;
    layer->page_bytes = (last - first + 1) * PAGE_BYTES;
    layer->precision_bits = precision_of(model, index);
    layer->priority = 1;
    return tresor__hyperion_rank(model, index);
}

static int32_t describe_all(struct tresor_hyperion_model *model)
{
    int32_t code = TRESOR_OK;
    /* One more, so that a model of no layers has some too. */
    model->layers = tresor__allocate(&model->options.allocator,
                                     ((size_t)model->layer_count + 1) * sizeof *model->layers);
    if (!model->layers)
        return TRESOR_ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < model->layer_count && code == TRESOR_OK; i++)
        code = describe(model, i);
    return code;
}

static void free_model(struct tresor_hyperion_model *model)
{
    const struct tresor_allocator allocator = model->options.allocator;
    tresor__free(&allocator, model->layers,
                 ((size_t)model->layer_count + 1) * sizeof *model->layers);
    tresor__free(&allocator, model, sizeof *model);
}

static int32_t open_model(struct tresor_hyperion_model *model, const char *path,
                          struct tresor_error *error)
{
    int32_t code = create_context(model);
    if (code != TRESOR_OK)
        return fail(error, code);
    code = open_source(model, path, error);
    if (code == TRESOR_OK) {
        code = describe_all(model);
        fail(error, code);
    }
    if (code != TRESOR_OK)
        tresor_context_destroy(model->context);
    return code;
}

int32_t tresor_hyperion_open(const char *path, const struct tresor_hyperion_options *options,
                             struct tresor_hyperion_model **model, struct tresor_error *error)
{
    struct tresor_hyperion_options known;
    struct tresor_error ignored;
    error = error ? error : &ignored;
    if (model)
        *model = NULL;
    tresor_hyperion_defaults(&known);
    const int32_t copied =
        options ? tresor__options_copy(&known, sizeof known, options) : TRESOR_OK;
    if (!path || !model || copied != TRESOR_OK || !is_good(&known))
        return fail(error, TRESOR_ERROR_INVALID);
    known.allocator = tresor__allocator_or_default(&known.allocator);
    struct tresor_hyperion_model *made = tresor__allocate(&known.allocator, sizeof *made);
    if (!made)
        return fail(error, TRESOR_ERROR_NO_MEMORY);
    made->options = known;
    const int32_t code = open_model(made, path, error);
    if (code == TRESOR_OK)
        *model = made;
    else
        free_model(made);
    return code;
}

int32_t tresor_hyperion_close(struct tresor_hyperion_model *model)
{
    if (!model)
        return TRESOR_OK;
    const int32_t code = tresor_context_destroy(model->context);
    if (code == TRESOR_OK)
        free_model(model);
    return code;
}

int64_t tresor_hyperion_layer_count(const struct tresor_hyperion_model *model)
{
    return model ? (int64_t)model->layer_count : TRESOR_ERROR_INVALID;
}

const char *tresor_hyperion_pattern_name(uint32_t pattern)
{
    static const char *const names[] = {"none", "next", "stride", "repeat"};
    return pattern < sizeof names / sizeof names[0] ? names[pattern] : "unknown";
}
