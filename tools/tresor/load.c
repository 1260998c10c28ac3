/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <inttypes.h>
#include <stdio.h>

#include "clock.h"
#include "commands.h"
#include "exit_codes.h"
#include "interrupt.h"
#include "model_options.h"
#include "options.h"
#include "running.h"
#include "trace.h"

/* So few that a signal is seen, and the bar drawn, often enough on a slow disk. */
#define COMPLETIONS_PER_DISPATCH 8
#define POPULATE_BYTES (8 * 1024 * 1024)
#define ERROR_LINES_MAX 20

enum {
    KEY_STRATEGY,
    KEY_BACKEND,
    KEY_LOCK,
    KEY_TENSOR,
    KEY_TRACE,
    KEY_JSON,
};

static const struct option_row rows[] = {
    MODEL_OPTION_STRATEGY(KEY_STRATEGY),
    MODEL_OPTION_BACKEND(KEY_BACKEND),
    {KEY_LOCK, "lock", NULL, "lock the tensors in memory too"},
    MODEL_OPTION_TENSOR(KEY_TENSOR),
    {KEY_TRACE, "trace", "FILE", "write every transition of the machines, one line of JSON each"},
    {KEY_JSON, "json", NULL, "print one JSON object, also if FILE cannot be opened"},
};

static const struct command_usage usage = {
    .command = "load",
    .operands = "FILE",
    .about = "Load a model's tensors into memory, and say how long it took.\n"
             "What the system refuses to lock is told, but the tensors stay loaded.",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
};

struct load_options {
    struct model_options model;
    const char *trace_path;
    bool lock;
    bool is_json;
};

/** The tensors to load, as one item. Returns an enum tool_exit. */
static int make_item(const struct option_reader *reader, const struct load_options *options,
                     const struct opened *opened, struct failures *failures,
                     struct tresor_item *item)
{
    struct selection selection;
    int code = select_tensors(reader, &options->model, opened, &selection);
    if (code == TOOL_DONE) {
        const int32_t made =
            options->model.pattern_count == 0
                ? tresor_item_of_source(opened->context, opened->source, item)
                : tresor_item_of_list(opened->context, opened->source, selection.tensors,
                                      selection.tensor_count, item);
        if (made != TRESOR_OK) {
            const struct tresor_error error = error_of_code(made);
            failures_add(failures, &error);
            code = TOOL_SOME_FAILED;
        }
    }
    selection_free(&selection);
    return code;
}

static void load_item(const struct opened *opened, struct tresor_item item,
                      struct load_result *result)
{
    struct progress progress;
    struct tresor_event done;
    uint64_t total_bytes = 0;
    tresor_item_measure(opened->context, item, &result->requested, &total_bytes);
    progress_begin(&progress, total_bytes);
    result->failures.progress = &progress;
    const uint64_t start_ns = clock_ns();
    request_run(opened, tresor_load, &item, 1, &result->failures, &progress, &done);
    result->load_ns = clock_ns() - start_ns;
    result->failures.progress = NULL;
    result->loaded = done.done;
    result->failed = done.failed;
    result->bytes = done.bytes;
}

static void lock_item(const struct opened *opened, struct tresor_item item,
                      struct load_result *result)
{
    struct tresor_event done;
    result->failures.ignored_code = TRESOR_ERROR_NOT_RESIDENT; /* why was told by the load */
    request_run(opened, tresor_lock, &item, 1, &result->failures, NULL, &done);
    result->locked = done.done;
    if (done.done < result->loaded)
        fprintf(stderr, "tresor: warning: %" PRIu32 " of %" PRIu32 " tensors are not locked\n",
                result->loaded - done.done, result->loaded);
}

static int load_opened(const struct option_reader *reader, const struct load_options *options,
                       const struct opened *opened, struct load_result *result)
{
    struct tresor_item item;
    const int code = make_item(reader, options, opened, &result->failures, &item);
    if (code != TOOL_DONE)
        return code;
    interrupt_catch();
    load_item(opened, item, result);
    if (options->lock && !interrupt_signal())
        lock_item(opened, item, result);
    failures_end(&result->failures);
    return result->loaded == result->requested ? TOOL_DONE : TOOL_SOME_FAILED;
}

static int load(const struct option_reader *reader, const struct load_options *options,
                struct trace *trace, struct load_result *result)
{
    struct opened opened;
    const struct tresor_context_options context_options = {
        .size_bytes = sizeof context_options,
        .populate_bytes = POPULATE_BYTES,
        .strategy = options->model.strategy,
        .dispatch_max = COMPLETIONS_PER_DISPATCH,
        .observer = trace->path ? trace_transition : NULL,
        .observer_cookie = trace,
        .backend = options->model.backend,
    };
    int code = TOOL_BAD_FILE;
    result->failures.opened = &opened;
    if (opened_begin(&opened, options->model.path, &context_options))
        code = load_opened(reader, options, &opened, result);
    else
        failures_add(&result->failures, &opened.error);
    if (opened.context) {
        result->backend = tresor_backend_name(opened.context);
        tresor_get_counters(opened.context, &result->counters);
    }
    opened_end(&opened);
    return code;
}

/** Load, and report what there is to report. */
static int load_and_report(const struct option_reader *reader, const struct load_options *options)
{
    struct trace trace;
    struct load_result result = {
        .path = options->model.path,
        .strategy = tresor_strategy_name(options->model.strategy),
        .lock_wanted = options->lock,
        .counters = {.size_bytes = sizeof result.counters},
        .failures = {.list = json_array(), .lines_max = ERROR_LINES_MAX},
    };
    if (!trace_begin(&trace, options->trace_path, options->model.path)) {
        json_decref(result.failures.list);
        return TOOL_BAD_FILE;
    }
    int code = load(reader, options, &trace, &result);
    if (options->is_json && code != TOOL_USAGE)
        load_print_json(&result);
    else if (code == TOOL_DONE || (code == TOOL_SOME_FAILED && result.requested > 0))
        load_print_text(&result);
    if (!trace_end(&trace))
        code = TOOL_BAD_FILE;
    json_decref(result.failures.list);
    return code;
}

static bool take_option(const struct option_reader *reader, int key, struct load_options *options)
{
    switch (key) {
    case KEY_STRATEGY:
        return model_options_take_strategy(reader, &options->model);
    case KEY_BACKEND:
        return model_options_take_backend(reader, &options->model);
    case KEY_LOCK:
        options->lock = true;
        return true;
    case KEY_TENSOR:
        model_options_take_pattern(reader, &options->model);
        return true;
    case KEY_TRACE:
        options->trace_path = reader->value;
        return true;
    case KEY_JSON:
        options->is_json = true;
        return true;
    default:
        return false;
    }
}

static int run(struct option_reader *reader, struct load_options *options)
{
    int key;
    while ((key = options_next(reader)) >= 0) {
        if (!take_option(reader, key, options))
            return TOOL_USAGE;
    }
    if (key == OPTIONS_STOP)
        return reader->exit_code;
    if (!model_options_take_path(reader, &options->model.path))
        return TOOL_USAGE;
    return load_and_report(reader, options);
}

int command_load(int argc, char **argv)
{
    struct option_reader reader;
    struct load_options options = {0};
    options_begin(&reader, &usage, argc, argv);
    if (!model_options_begin(&options.model, argc))
        return TOOL_SOME_FAILED;
    const int code = run(&reader, &options);
    model_options_end(&options.model);
    interrupt_finish();
    return code;
}
