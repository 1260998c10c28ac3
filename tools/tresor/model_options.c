/* SPDX-License-Identifier: MIT */
#include "model_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "exit_codes.h"
#include "numbers.h"

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

struct choice {
    const char *name;
    uint32_t value;
};

/** The value of the last option's argument; false where no name is it. */
static bool choose(const struct option_reader *reader, const struct choice *choices, size_t count,
                   uint32_t *value)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(reader->value, choices[i].name) == 0) {
            *value = choices[i].value;
            return true;
        }
    }
    return false;
}

bool model_options_take_strategy(const struct option_reader *reader, struct model_options *options)
{
    static const struct choice choices[] = {{"mmap", TRESOR_STRATEGY_MMAP},
                                            {"read", TRESOR_STRATEGY_READ}};
    options->is_strategy_asked = true;
    if (choose(reader, choices, sizeof choices / sizeof choices[0], &options->strategy))
        return true;
    options_wrong(reader, "--strategy: '%s' is not mmap or read", reader->value);
    return false;
}

bool model_options_take_backend(const struct option_reader *reader, struct model_options *options)
{
    static const struct choice choices[] = {{"auto", TRESOR_BACKEND_AUTO},
                                            {"sync", TRESOR_BACKEND_SYNC},
                                            {"pool", TRESOR_BACKEND_POOL},
                                            {"uring", TRESOR_BACKEND_URING}};
    if (choose(reader, choices, sizeof choices / sizeof choices[0], &options->backend))
        return true;
    options_wrong(reader, "--backend: '%s' is not auto, sync, pool or uring", reader->value);
    return false;
}

bool model_options_take_direct(const struct option_reader *reader, struct model_options *options)
{
    static const struct choice choices[] = {{"auto", TRESOR_DIRECT_AUTO},
                                            {"on", TRESOR_DIRECT_ON},
                                            {"off", TRESOR_DIRECT_OFF}};
    if (choose(reader, choices, sizeof choices / sizeof choices[0], &options->direct))
        return true;
    options_wrong(reader, "--direct: '%s' is not auto, on or off", reader->value);
    return false;
}

bool model_options_take_numa(const struct option_reader *reader, struct model_options *options)
{
    static const struct choice choices[] = {{"bind", TRESOR_NUMA_BIND},
                                            {"interleave", TRESOR_NUMA_INTERLEAVE}};
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        const size_t length = strlen(choices[i].name);
        if (strncmp(reader->value, choices[i].name, length) != 0)
            continue;
        const char *rest = reader->value + length;
        options->numa = choices[i].value;
        options->numa_nodes = 0;
        if (*rest == '\0' && options->numa == TRESOR_NUMA_INTERLEAVE)
            return true;
        if (*rest == ':' && parse_mask(rest + 1, &options->numa_nodes) && options->numa_nodes != 0)
            return true;
    }
    options_wrong(reader, "--numa: '%s' is not bind:MASK, interleave:MASK or interleave",
                  reader->value);
    return false;
}

void model_options_take_pattern(const struct option_reader *reader, struct model_options *options)
{
    options->patterns[options->pattern_count++] = reader->value;
}

bool model_options_take_place(const struct option_reader *reader, int key,
                              struct model_options *options)
{
    struct model_place *place = &options->place;
    switch (key) {
    case MODEL_KEY_DESCRIPTOR:
        place->has_descriptor = true;
        return options_u32(reader, 0, INT32_MAX, &place->descriptor);
    case MODEL_KEY_OFFSET:
        return options_size(reader, 0, INT64_MAX / 2, &place->offset_bytes);
    case MODEL_KEY_LENGTH:
        return options_size(reader, 1, INT64_MAX / 2, &place->length_bytes);
    case MODEL_KEY_MAX_DECODED:
        return options_size(reader, 1, INT64_MAX / 2, &place->max_decoded_bytes);
    case MODEL_KEY_MAX_RATIO:
        return options_u32(reader, 1, UINT32_MAX, &place->max_ratio);
    default:
        place->is_blob = true;
        return true;
    }
}

bool model_options_take_path(const struct option_reader *reader, struct model_options *options)
{
    if (options->place.has_descriptor) {
        snprintf(options->descriptor_name, sizeof options->descriptor_name, "descriptor %" PRIu32,
                 options->place.descriptor);
        options->place.path = options->descriptor_name;
        if (reader->operand_count > 0)
            options_wrong(reader, "FILE and --descriptor are both given");
        return reader->operand_count == 0;
    }
    if (reader->operand_count != 1 || !*reader->operands[0]) {
        options_wrong(reader, reader->operand_count > 1 ? "more than one FILE was given"
                                                        : "FILE, the model, is missing");
        return false;
    }
    options->place.path = reader->operands[0];
    return true;
}

/** Pages of the file are never read past the page cache: nothing need be ready for it. */
static void settle_direct(const struct option_reader *reader, struct model_options *options)
{
    if (options->strategy == TRESOR_STRATEGY_READ)
        return;
    if (options->direct == TRESOR_DIRECT_ON)
        fprintf(stderr, "tresor %s: warning: --direct does nothing without --strategy read\n",
                reader->usage->command);
    options->direct = TRESOR_DIRECT_OFF;
}

bool model_options_finish(const struct option_reader *reader, struct model_options *options)
{
    if (!model_options_take_path(reader, options))
        return false;
    settle_direct(reader, options);
    return true;
}

bool model_options_strategy(const struct option_reader *reader, const struct model_options *options,
                            const struct opened *opened, uint32_t *strategy)
{
    *strategy = opened_is_mappable(opened) ? options->strategy : TRESOR_STRATEGY_READ;
    if (*strategy == options->strategy || !options->is_strategy_asked)
        return true;
    options_wrong(reader, "--strategy mmap: '%s' cannot be mapped where it is, only read",
                  opened->path);
    return false;
}

/** Mark what a pattern matches. Returns an error code. */
static int32_t mark(const struct opened *opened, const char *pattern, bool *is_selected)
{
    struct tresor_item item;
    uint32_t count = 0;
    int32_t code = calls_item_of_pattern(opened, pattern, &item);
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
