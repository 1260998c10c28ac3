/* SPDX-License-Identifier: MIT */
#include "model_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"

bool model_options_begin(struct model_options *options, int argc)
{
    *options = (struct model_options){.strategy = TRESOR_STRATEGY_MMAP,
                                      .backend = TRESOR_BACKEND_AUTO};
    options->patterns = calloc((size_t)argc, sizeof *options->patterns);
    if (!options->patterns)
        fputs("tresor: out of memory\n", stderr);
    return options->patterns;
}

void model_options_end(struct model_options *options)
{
    free(options->patterns);
}

bool model_options_take_strategy(const struct option_reader *reader, struct model_options *options)
{
    static const uint32_t strategies[] = {TRESOR_STRATEGY_MMAP, TRESOR_STRATEGY_READ};
    for (size_t i = 0; i < sizeof strategies / sizeof strategies[0]; i++) {
        if (strcmp(reader->value, tresor_strategy_name(strategies[i])) == 0) {
            options->strategy = strategies[i];
            return true;
        }
    }
    options_wrong(reader, "--strategy: '%s' is not mmap or read", reader->value);
    return false;
}

bool model_options_take_backend(const struct option_reader *reader, struct model_options *options)
{
    static const struct {
        const char *name;
        uint32_t backend;
    } rows[] = {{"auto", TRESOR_BACKEND_AUTO},
                {"sync", TRESOR_BACKEND_SYNC},
                {"pool", TRESOR_BACKEND_POOL},
                {"uring", TRESOR_BACKEND_URING}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(reader->value, rows[i].name) == 0) {
            options->backend = rows[i].backend;
            return true;
        }
    }
    options_wrong(reader, "--backend: '%s' is not auto, sync, pool or uring", reader->value);
    return false;
}

void model_options_take_pattern(const struct option_reader *reader, struct model_options *options)
{
    options->patterns[options->pattern_count++] = reader->value;
}

bool model_options_take_path(const struct option_reader *reader, const char **path)
{
    if (reader->operand_count != 1 || !*reader->operands[0]) {
        options_wrong(reader, reader->operand_count > 1 ? "more than one FILE was given"
                                                        : "FILE, the model, is missing");
        return false;
    }
    *path = reader->operands[0];
    return true;
}

/** Mark what a pattern matches. Returns an error code. */
static int32_t mark(const struct opened *opened, const char *pattern, bool *is_selected)
{
    struct tresor_item item;
    uint32_t count = 0;
    int32_t code = tresor_item_of_pattern(opened->context, opened->source, pattern, &item);
    if (code == TRESOR_OK)
        code = tresor_item_measure(opened->context, item, &count, NULL);
    for (uint32_t i = 0; i < count && code == TRESOR_OK; i++) {
        uint32_t tensor;
        code = tresor_item_get_tensor(opened->context, item, i, &tensor);
        if (code == TRESOR_OK)
            is_selected[tensor] = true;
    }
    return code;
}

static int refuse_pattern(const struct option_reader *reader, const struct opened *opened,
                          const char *pattern, int32_t code)
{
    if (code == TRESOR_ERROR_NOT_FOUND)
        return options_wrong(reader, "--tensor: '%s' matches no tensor of '%s'", pattern,
                             opened->path);
    if (code == TRESOR_ERROR_INVALID)
        return options_wrong(reader, "--tensor: '%s' is not a pattern", pattern);
    const struct tresor_error error = error_of_code(code);
    opened_print_error(opened, &error);
    return TOOL_SOME_FAILED;
}

static int mark_all(const struct option_reader *reader, const struct model_options *options,
                    const struct opened *opened, bool *is_selected)
{
    for (size_t i = 0; i < options->pattern_count; i++) {
        const int32_t code = mark(opened, options->patterns[i], is_selected);
        if (code != TRESOR_OK)
            return refuse_pattern(reader, opened, options->patterns[i], code);
    }
    return TOOL_DONE;
}

int select_tensors(const struct option_reader *reader, const struct model_options *options,
                   const struct opened *opened, struct selection *selection)
{
    const uint32_t count = opened->info.tensor_count;
    bool *is_selected = calloc((size_t)count + 1, sizeof *is_selected);
    *selection = (struct selection){
        .tensors = calloc((size_t)count + 1, sizeof *selection->tensors),
    };
    int code = TOOL_SOME_FAILED;
    if (is_selected && selection->tensors)
        code = mark_all(reader, options, opened, is_selected);
    else
        fputs("tresor: out of memory\n", stderr);
    for (uint32_t i = 0; i < count && code == TOOL_DONE; i++) {
        if (is_selected[i] || options->pattern_count == 0)
            selection->tensors[selection->tensor_count++] = i;
    }
    free(is_selected);
    return code;
}

void selection_free(struct selection *selection)
{
    free(selection->tensors);
}
