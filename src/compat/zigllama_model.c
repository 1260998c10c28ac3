/* SPDX-License-Identifier: MIT */
#include "compat/zigllama.h"

#include <stddef.h>
#include <string.h>

#include <tresor/event.h>
#include <tresor/residency.h>

#include "compat/failure.h"
#include "core/allocator.h"
#include "core/options.h"

enum {
    LOAD_FLAGS = TRESOR_ZIGLLAMA_LOAD_LOCK | TRESOR_ZIGLLAMA_LOAD_PREFAULT,
    WORD_BITS = 64,
};

/* What was degraded is told to nobody here. */
static void drain(struct tresor_context *context)
{
    struct tresor_event event;
    while (tresor_next_event(context, &event) == 1)
        continue;
}

/* A request that was asked for with `code`, to its end. */
static int32_t finish(struct tresor_context *context, int32_t code, struct tresor_request request,
                      struct tresor_error *error)
{
    struct tresor_event end = {.error = {.file = TRESOR_NONE, .tensor = TRESOR_NONE}};
    if (code != TRESOR_OK)
        return tresor__zigllama_answer(code, error);
    code = tresor_finish(context, request, 1, &end);
    drain(context);
    if (code != TRESOR_OK && end.error.code != code)
        return tresor__zigllama_answer(code, error);
    if (code != TRESOR_OK && error)
        *error = end.error;
    return code;
}

static size_t model_bytes(uint32_t tensor_count)
{
    size_t words = ((size_t)tensor_count + WORD_BITS - 1) / WORD_BITS;
    return sizeof(struct tresor_zigllama_model) + words * sizeof(uint64_t);
}

static int32_t close_source(struct tresor_context *context, struct tresor_source source,
                            struct tresor_error *error)
{
    struct tresor_request request = {0};
    int32_t code = tresor_source_close(context, source, 0, &request);
    return finish(context, code, request, error);
}

/* --- opening --- */

static int32_t load(struct tresor_zigllama_model *model, struct tresor_item item,
                    struct tresor_error *error)
{
    struct tresor_context *context = model->mapper->context;
    struct tresor_request request = {0};
    int32_t code = tresor_load(context, &item, 1, NULL, &request);
    return finish(context, code, request, error);
}

static int32_t load_all(struct tresor_zigllama_model *model, uint32_t flags,
                        struct tresor_error *error)
{
    struct tresor_context *context = model->mapper->context;
    struct tresor_request request = {0};
    struct tresor_item all;
    int32_t code = tresor_item_of_source(context, model->source, &all);
    if (code != TRESOR_OK)
        return tresor__zigllama_answer(code, error);
    code = load(model, all, error);
    if (code != TRESOR_OK || !(flags & TRESOR_ZIGLLAMA_LOAD_LOCK))
        return code;
    code = tresor_lock(context, &all, 1, NULL, &request);
    model->lock_code = finish(context, code, request, NULL);
    model->is_locked = model->lock_code == TRESOR_OK;
    return TRESOR_OK;
}

/* Over a source that is open, and closed by the caller where this fails. */
static int32_t make(struct tresor_zigllama_mapper *mapper, struct tresor_source source,
                    uint32_t flags, struct tresor_zigllama_model **model,
                    struct tresor_error *error)
{
    struct tresor_source_info info = {.size_bytes = sizeof info};
    int32_t code = tresor_source_get_info(mapper->context, source, &info);
    if (code == TRESOR_OK && strcmp(info.format, "gguf") != 0)
        code = TRESOR_ERROR_FORMAT;
    if (code != TRESOR_OK)
        return tresor__zigllama_answer(code, error);
    size_t size_bytes = model_bytes(info.tensor_count);
    struct tresor_zigllama_model *made = tresor__allocate(&mapper->allocator, size_bytes);
    if (!made)
        return tresor__fail(error, TRESOR_ERROR_NO_MEMORY, 0, size_bytes, 0);
    made->mapper = mapper;
    made->source = source;
    made->tensor_count = info.tensor_count;
    code = flags ? load_all(made, flags, error) : TRESOR_OK;
    if (code == TRESOR_OK)
        *model = made;
    else
        tresor__free(&mapper->allocator, made, size_bytes);
    return code;
}

int32_t tresor_zigllama_load_gguf(struct tresor_zigllama_mapper *mapper, const char *path,
                                  uint32_t flags, struct tresor_zigllama_model **model,
                                  struct tresor_error *error)
{
    struct tresor_source source = {0};
    struct tresor_request request = {0};
    if (model)
        *model = NULL;
    if (!mapper || !path || !model || flags & ~(uint32_t)LOAD_FLAGS)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    if (mapper->model_count == mapper->files_max)
        return tresor__fail(error, TRESOR_ERROR_AGAIN, 0, 0, 0);
    int32_t code = tresor_source_open(mapper->context, path, 0, &source, &request);
    code = finish(mapper->context, code, request, error);
    if (code != TRESOR_OK)
        return code;
    code = make(mapper, source, flags, model, error);
    if (code == TRESOR_OK)
        mapper->models[mapper->model_count++] = *model;
    else
        close_source(mapper->context, source, NULL);
    return code;
}

int32_t tresor__zigllama_end_model(struct tresor_zigllama_model *model, struct tresor_error *error)
{
    struct tresor_zigllama_mapper *mapper = model->mapper;
    for (uint32_t i = 0; i < model->tensor_count; i++) {
        struct tresor_item item;
        if (!(model->pinned[i / WORD_BITS] >> i % WORD_BITS & 1))
            continue;
        int32_t code = tresor_item_of_tensor(mapper->context, model->source, i, &item);
        if (code != TRESOR_OK) /* another thread's: nothing was released yet */
            return tresor__zigllama_answer(code, error);
        tresor_release(mapper->context, item);
        model->pinned[i / WORD_BITS] &= ~(UINT64_C(1) << i % WORD_BITS);
    }
    int32_t code = close_source(mapper->context, model->source, error);
    if (code != TRESOR_ERROR_THREAD)
        tresor__free(&mapper->allocator, model, model_bytes(model->tensor_count));
    return code;
}

/* --- its tensors --- */

int32_t tresor_zigllama_model_info(struct tresor_zigllama_model *model,
                                   struct tresor_source_info *info, struct tresor_error *error)
{
    int32_t code = model && info
                       ? tresor_source_get_info(model->mapper->context, model->source, info)
                       : TRESOR_ERROR_INVALID;
    return tresor__zigllama_answer(code, error);
}

/* In memory, and there to stay. */
static int32_t pin(struct tresor_zigllama_model *model, uint32_t tensor, struct tresor_item item,
                   struct tresor_error *error)
{
    uint64_t bit = UINT64_C(1) << tensor % WORD_BITS;
    if (model->pinned[tensor / WORD_BITS] & bit)
        return TRESOR_OK;
    int32_t code = load(model, item, error);
    if (code == TRESOR_OK)
        code = tresor__zigllama_answer(tresor_acquire(model->mapper->context, item, NULL), error);
    if (code == TRESOR_OK)
        model->pinned[tensor / WORD_BITS] |= bit;
    return code;
}

static int32_t advise(struct tresor_zigllama_model *model, struct tresor_item item, uint32_t advice)
{
    struct tresor_context *context = model->mapper->context;
    struct tresor_request request = {0};
    int32_t code = tresor_advise(context, &item, 1, advice, NULL, &request);
    return finish(context, code, request, NULL);
}

static uint64_t count_elements(const struct tresor_tensor_info *info)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < info->rank; i++)
        count *= info->shape[i]; /* the parser has seen that it fits */
    return count;
}

static struct tresor_zigllama_view view_of(const struct tresor_tensor_info *info)
{
    struct tresor_zigllama_view view = {
        .data = info->address,
        .element_count = count_elements(info),
        .data_bytes = info->tensor_bytes,
        .offset_bytes = info->offset_bytes,
        .rank = info->rank,
        .dtype = info->dtype,
        .file = info->file,
        .shape_order = TRESOR_SHAPE_INNERMOST_FIRST,
    };
    memcpy(view.shape, info->shape, sizeof view.shape);
    return view;
}

int32_t tresor_zigllama_model_tensor(struct tresor_zigllama_model *model, const char *name,
                                     uint32_t advice, struct tresor_zigllama_view *view,
                                     struct tresor_error *error)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    struct tresor_item item = {0};
    uint32_t tensor = 0;
    if (!model || !name || !view || advice >= TRESOR_ADVICE_DONTNEED)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    struct tresor_context *context = model->mapper->context;
    int32_t code = tresor_source_find_tensor(context, model->source, name, &tensor);
    if (code == TRESOR_OK)
        code = tresor_source_get_tensor(context, model->source, tensor, &info);
    if (code == TRESOR_OK)
        code = tresor_item_of_tensor(context, model->source, tensor, &item);
    if (code != TRESOR_OK)
        return tresor__zigllama_answer(code, error);
    code = pin(model, tensor, item, error);
    if (code != TRESOR_OK)
        return code;
    struct tresor_zigllama_view full = view_of(&info);
    if (advice != TRESOR_ADVICE_NORMAL)
        full.advice_code = advise(model, item, advice);
    return tresor__zigllama_answer(tresor__info_copy(view, &full, sizeof full), error);
}

/* --- statistics --- */

/* The window of a file, of which what is not mapped is not in memory. The path says only whether the system tells of it. */
static bool count_file(const struct tresor__sys *sys, const struct tresor_file_info *file,
                       uint64_t *bytes)
{
    int64_t descriptor = 0;
    int64_t result = -1;
    *bytes = 0;
    if (file->file_bytes == 0)
        return true;
    TRESOR__RETRY(descriptor, sys->open_file(sys->cookie, file->path));
    if (descriptor >= 0) {
        result = sys->resident_bytes(sys->cookie, (int)descriptor, (void *)(uintptr_t)file->window,
                                     (size_t)file->file_bytes, bytes);
        sys->close(sys->cookie, (int)descriptor);
    }
    if (result < 0)
        *bytes = 0;
    return result >= 0;
}

int32_t tresor__zigllama_add_model(struct tresor_zigllama_model *model,
                                   struct tresor_zigllama_stats *sums, struct tresor_error *error)
{
    struct tresor_context *context = model->mapper->context;
    struct tresor_source_info info = {.size_bytes = sizeof info};
    int32_t code = tresor_source_get_info(context, model->source, &info);
    for (uint32_t i = 0; code == TRESOR_OK && i < info.file_count; i++) {
        struct tresor_file_info file = {.size_bytes = sizeof file};
        uint64_t bytes = 0;
        code = tresor_source_get_file(context, model->source, i, &file);
        bool is_known = code == TRESOR_OK && count_file(model->mapper->sys, &file, &bytes);
        sums->total_bytes += file.file_bytes;
        sums->page_count += (file.file_bytes + sums->page_bytes - 1) / sums->page_bytes;
        sums->resident_bytes += bytes;
        sums->is_resident_known = sums->is_resident_known && is_known;
    }
    sums->is_locked = model->is_locked;
    sums->lock_code = model->lock_code;
    return tresor__zigllama_answer(code, error);
}
