/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "exit_codes.h"
#include "load.h"
#include "sums.h"
#include "text.h"

/** Digests in the order of the selection. */
struct promise {
    struct tresor_digest *digests;
    const struct selection *selection;
};

static int refuse(const struct option_reader *reader, const char *path,
                  const struct sums_error *error)
{
    return error->line > 0
               ? options_wrong(reader, "--check: %s, line %zu: %s", path, error->line, error->text)
               : options_wrong(reader, "--check: %s: %s", path, error->text);
}

static int refuse_missing(const struct option_reader *reader, const char *path,
                          const struct tresor_tensor_info *info)
{
    fputs("tresor load: --check: no line is for the tensor '", stderr);
    text_print(stderr, info->name, info->name_bytes, SIZE_MAX);
    fputs("'\n", stderr);
    return options_wrong(reader, "--check: %s: it is of another model, or only of a part", path);
}

/** Every line must be of a tensor of the model, and every tensor that is selected have one. */
static int match(const struct option_reader *reader, const char *path, const struct opened *opened,
                 struct sums *sums, const struct promise *promise)
{
    uint32_t selected = 0;
    for (uint32_t i = 0; i < opened->info.tensor_count; i++) {
        struct tresor_tensor_info info = {.size_bytes = sizeof info};
        const bool is_selected = selected < promise->selection->tensor_count &&
                                 promise->selection->tensors[selected] == i;
        if (tresor_source_get_tensor(opened->context, opened->source, i, &info) != TRESOR_OK)
            return TOOL_SOME_FAILED;
        const struct sum *sum = sums_take(sums, info.name, info.name_bytes);
        if (!sum && is_selected)
            return refuse_missing(reader, path, &info);
        if (is_selected)
            promise->digests[selected++] = sum->digest;
    }
    const struct sums_error unknown = {sums_first_unused(sums), "the model has no such tensor"};
    return unknown.line > 0 ? refuse(reader, path, &unknown) : TOOL_DONE;
}

static int promise_all(const struct opened *opened, const struct promise *promise,
                       struct failures *failures)
{
    const int32_t code = calls_set_digests(opened, promise->selection->tensors,
                                           promise->digests, promise->selection->tensor_count);
    if (code == TRESOR_OK)
        return TOOL_DONE;
    const struct tresor_error error = error_of_code(code);
    failures_add(failures, &error);
    return TOOL_SOME_FAILED;
}

int load_check(const struct option_reader *reader, const char *path, const struct opened *opened,
               const struct selection *selection, struct failures *failures)
{
    struct sums sums;
    struct sums_error error;
    struct promise promise = {calloc((size_t)selection->tensor_count + 1, sizeof *promise.digests),
                              selection};
    int code = TOOL_SOME_FAILED;
    if (!sums_read(path, &sums, &error))
        code = refuse(reader, path, &error);
    else if (promise.digests)
        code = match(reader, path, opened, &sums, &promise);
    if (code == TOOL_DONE)
        code = promise_all(opened, &promise, failures);
    sums_free(&sums);
    free(promise.digests);
    return code;
}
