/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include <xxhash.h>

#include "commands.h"
#include "exit_codes.h"
#include "interrupt.h"
#include "model_options.h"
#include "options.h"
#include "running.h"
#include "text.h"

/* What is in memory at a time, but for a tensor that is larger: models may be larger than memory.
 */
#define GROUP_BYTES ((uint64_t)256 << 20)
#define GROUP_TENSORS_MAX 1024

enum {
    KEY_STRATEGY,
    KEY_BACKEND,
    KEY_DIRECT,
    KEY_TENSOR,
};

static const struct option_row rows[] = {
    MODEL_OPTION_STRATEGY(KEY_STRATEGY),
    MODEL_OPTION_BACKEND(KEY_BACKEND),
    MODEL_OPTION_DIRECT(KEY_DIRECT),
    MODEL_OPTION_TENSOR(KEY_TENSOR),
    MODEL_OPTIONS_PLACE,
};

static const struct command_usage usage = {
    .command = "hash",
    .operands = "FILE",
    .about =
        "Load the tensors, part by part, and print the XXH128 of each one's bytes and its name.",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
};

struct hashing {
    const struct opened *opened;
    struct failures failures;
    struct degraded degraded;
};

/** Tensors next to each other in the selection that are loaded, hashed and evicted together. */
struct group {
    struct tresor_item items[GROUP_TENSORS_MAX];
    uint32_t tensors[GROUP_TENSORS_MAX];
    uint32_t count;
};

static void add_failure(struct hashing *hashing, int32_t code, uint32_t tensor)
{
    struct tresor_error error = error_of_code(code);
    error.source = hashing->opened->source.value;
    error.tensor = tensor;
    failures_add(&hashing->failures, &error);
}

/** Take tensors from `first` on, at least one. False, after a message, if one cannot be asked for.
 */
static bool group_take(struct hashing *hashing, const struct selection *selection, uint32_t first,
                       struct group *group)
{
    const struct opened *opened = hashing->opened;
    uint64_t bytes = 0;
    for (group->count = 0; group->count < GROUP_TENSORS_MAX; group->count++) {
        struct tresor_item *item = &group->items[group->count];
        uint64_t tensor_bytes = 0;
        if (first + group->count == selection->tensor_count)
            return true;
        const uint32_t tensor = selection->tensors[first + group->count];
        int32_t code = tresor_item_of_tensor(opened->context, opened->source, tensor, item);
        if (code == TRESOR_OK)
            code = tresor_item_measure(opened->context, *item, NULL, &tensor_bytes);
        if (code != TRESOR_OK) {
            add_failure(hashing, code, tensor);
            return false;
        }
        if (group->count > 0 && bytes + tensor_bytes > GROUP_BYTES)
            return true;
        bytes += tensor_bytes;
        group->tensors[group->count] = tensor;
    }
    return true;
}

/** Load or evict a group. False if the call was refused. */
static bool ask(struct hashing *hashing, enum call_kind verb, const struct group *group)
{
    struct tresor_event done;
    const struct run_watch watch = {
        .failures = &hashing->failures,
        .degraded = &hashing->degraded,
    };
    return request_run(hashing->opened, verb, group->items, group->count, &watch, &done);
}

static void print_hash(const void *data, uint64_t size_bytes, const struct tresor_tensor_info *info)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, (size_t)size_bytes));
    for (size_t i = 0; i < sizeof canonical.digest; i++)
        printf("%02x", canonical.digest[i]);
    fputs("  ", stdout);
    text_print(stdout, info->name, info->name_bytes, SIZE_MAX);
    putchar('\n');
}

static void hash_tensor(struct hashing *hashing, struct tresor_item item, uint32_t tensor)
{
    const struct opened *opened = hashing->opened;
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    const void *data;
    int32_t code = tresor_acquire(opened->context, item, &data);
    if (code == TRESOR_ERROR_NOT_RESIDENT)
        return; /* told by the load */
    if (code == TRESOR_OK) {
        code = tresor_source_get_tensor(opened->context, opened->source, tensor, &info);
        if (code == TRESOR_OK)
            print_hash(data, info.tensor_bytes, &info);
        tresor_release(opened->context, item);
    }
    if (code != TRESOR_OK)
        add_failure(hashing, code, tensor);
}

static bool hash_group(struct hashing *hashing, const struct group *group)
{
    if (!ask(hashing, CALL_LOAD, group))
        return false;
    for (uint32_t i = 0; i < group->count && !interrupt_signal() && !ferror(stdout); i++)
        hash_tensor(hashing, group->items[i], group->tensors[i]);
    return ask(hashing, CALL_EVICT, group);
}

static void hash_selection(struct hashing *hashing, const struct selection *selection)
{
    struct group group;
    uint32_t position = 0;
    while (position < selection->tensor_count && !interrupt_signal() && !ferror(stdout)) {
        if (!group_take(hashing, selection, position, &group) || !hash_group(hashing, &group))
            return;
        position += group.count;
    }
}

static bool hash_is_possible(const struct option_reader *reader,
                             const struct model_options *options, const struct opened *opened)
{
    uint32_t strategy;
    return model_options_strategy(reader, options, opened, &strategy);
}

static int hash(const struct option_reader *reader, const struct model_options *options)
{
    struct opened opened;
    struct selection selection = {0};
    const struct tresor_context_options context_options = {
        .size_bytes = sizeof context_options,
        .strategy = options->strategy,
        .backend = options->backend,
        .direct = options->direct,
    };
    struct hashing hashing = {
        .opened = &opened,
        .failures = {.opened = &opened, .lines_max = UINT64_MAX},
        .degraded = {.opened = &opened},
    };
    int code = TOOL_BAD_FILE;
    if (opened_begin(&opened, &options->place, &context_options, NULL)) {
        interrupt_catch();
        code = hash_is_possible(reader, options, &opened)
                   ? select_tensors(reader, options, &opened, &selection)
                   : TOOL_USAGE;
        if (code == TOOL_DONE)
            hash_selection(&hashing, &selection);
        if (hashing.failures.count > 0)
            code = TOOL_SOME_FAILED;
        selection_free(&selection);
    } else {
        opened_print_error(&opened, &opened.error);
    }
    opened_end(&opened);
    return code;
}

static bool take_option(const struct option_reader *reader, int key, struct model_options *options)
{
    if (key == KEY_STRATEGY)
        return model_options_take_strategy(reader, options);
    if (key == KEY_BACKEND)
        return model_options_take_backend(reader, options);
    if (key == KEY_DIRECT)
        return model_options_take_direct(reader, options);
    if (key != KEY_TENSOR)
        return model_options_take_place(reader, key, options);
    model_options_take_pattern(reader, options);
    return true;
}

static int run(struct option_reader *reader, struct model_options *options)
{
    int key;
    while ((key = options_next(reader)) >= 0) {
        if (!take_option(reader, key, options))
            return TOOL_USAGE;
    }
    if (key == OPTIONS_STOP)
        return reader->exit_code;
    return model_options_finish(reader, options) ? hash(reader, options) : TOOL_USAGE;
}

int command_hash(int argc, char **argv)
{
    struct option_reader reader;
    struct model_options options;
    options_begin(&reader, &usage, argc, argv);
    if (!model_options_begin(&options, argc))
        return TOOL_SOME_FAILED;
    const int code = run(&reader, &options);
    model_options_end(&options);
    interrupt_finish();
    return code;
}
