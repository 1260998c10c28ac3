/* SPDX-License-Identifier: MIT */
#include "load.h"

#include "commands.h"
#include "exit_codes.h"
#include "interrupt.h"
#include "options.h"

#define ERROR_LINES_MAX 20

enum {
    KEY_STRATEGY,
    KEY_BACKEND,
    KEY_DIRECT,
    KEY_NUMA,
    KEY_LOCK,
    KEY_COLD,
    KEY_GUARD,
    KEY_TENSOR,
    KEY_SPLIT,
    KEY_BUDGET,
    KEY_POLICY,
    KEY_PASSES,
    KEY_WINDOW,
    KEY_SWAP_AT,
    KEY_TRACE,
    KEY_TRACE_TIMES,
    KEY_JSON,
};

static const struct option_row rows[] = {
    MODEL_OPTION_STRATEGY(KEY_STRATEGY),
    MODEL_OPTION_BACKEND(KEY_BACKEND),
    MODEL_OPTION_DIRECT(KEY_DIRECT),
    MODEL_OPTION_NUMA(KEY_NUMA),
    {KEY_LOCK, "lock", NULL, "lock the tensors in memory too"},
    {KEY_COLD, "cold", NULL, "take the files out of the page cache first; what stays is told"},
    {KEY_GUARD, "guard", NULL,
     "live on, and tell, where a file becomes shorter under tensors that\n"
     "are used, rather than die of SIGBUS"},
    MODEL_OPTION_TENSOR(KEY_TENSOR),
    MODEL_OPTIONS_PLACE,
    {KEY_SPLIT, "split", NULL,
     "split tensors of three dimensions, like experts, and load their\n"
     "slices one by one: what is counted then are slices too"},
    WALK_OPTION_BUDGET(KEY_BUDGET),
    WALK_OPTION_POLICY(KEY_POLICY),
    WALK_OPTION_PASSES(KEY_PASSES),
    WALK_OPTION_WINDOW(KEY_WINDOW),
    WALK_OPTION_SWAP_AT(KEY_SWAP_AT),
    {KEY_TRACE, "trace", "FILE",
     "write what was asked, what the system answered and every\n"
     "transition of the machines, one line of JSON each;\n"
     "'tresor replay' takes the same steps from it"},
    {KEY_TRACE_TIMES, "trace-times", NULL, "with --trace: and when that was, in microseconds"},
    {KEY_JSON, "json", NULL, "print one JSON object, also if FILE cannot be opened"},
};

static const struct command_usage usage = {
    .command = "load",
    .operands = "FILE",
    .about = "Load a model's tensors into memory, and say how long it took.\n"
             "What the system refuses to lock is told, but the tensors stay loaded.\n"
             "With --budget, --policy, --passes or --swap-at the model is walked instead,\n"
             "and each pass is reported.",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
};

/** With a trace if one is wanted. */
static int load_recorded(const struct option_reader *reader, const struct load_options *options,
                         struct trace *trace, struct load_result *result)
{
    if (!trace->path)
        return load_run(reader, options, NULL, result);
    struct recorder *recorder = recorder_begin(trace);
    const int code = recorder ? load_run(reader, options, recorder, result) : TOOL_SOME_FAILED;
    recorder_end(recorder);
    return code;
}

/** Load, and report what there is to report. */
static int load_and_report(const struct option_reader *reader, const struct load_options *options,
                           struct load_result *result)
{
    struct trace trace;
    if (!trace_begin(&trace, options->trace_path, options->trace_times, options->model.place.path))
        return TOOL_BAD_FILE;
    int code = load_recorded(reader, options, &trace, result);
    if (options->is_json && code != TOOL_USAGE)
        load_print_json(result);
    else if (code == TOOL_DONE || (code == TOOL_SOME_FAILED && result->requested > 0))
        load_print_text(result);
    if (!trace_end(&trace))
        code = TOOL_BAD_FILE;
    return code;
}

static int load(const struct option_reader *reader, const struct load_options *options)
{
    struct load_result result = {
        .path = options->model.place.path,
        .strategy = tresor_strategy_name(options->model.strategy),
        .lock_wanted = options->lock,
        .cold_wanted = options->cold,
        .is_split = options->split,
        .walk = {.is_wanted = walk_is_wanted(&options->walk),
                 .policy = walk_policy_name(options->walk.policy),
                 .budget_bytes = options->walk.budget_bytes},
        .counters = {.size_bytes = sizeof result.counters},
        .degraded = {.list = json_array()},
        .failures = {.list = json_array(), .lines_max = ERROR_LINES_MAX},
    };
    const int code = load_and_report(reader, options, &result);
    json_decref(result.degraded.list);
    json_decref(result.failures.list);
    walk_result_free(&result.walk);
    return code;
}

static bool take_option(const struct option_reader *reader, int key, struct load_options *options)
{
    switch (key) {
    case KEY_STRATEGY:
        return model_options_take_strategy(reader, &options->model);
    case KEY_BACKEND:
        return model_options_take_backend(reader, &options->model);
    case KEY_DIRECT:
        return model_options_take_direct(reader, &options->model);
    case KEY_NUMA:
        return model_options_take_numa(reader, &options->model);
    case KEY_LOCK:
        options->lock = true;
        return true;
    case KEY_COLD:
        options->cold = true;
        return true;
    case KEY_GUARD:
        options->guard = true;
        return true;
    case KEY_TENSOR:
        model_options_take_pattern(reader, &options->model);
        return true;
    case KEY_SPLIT:
        options->split = true;
        return true;
    case KEY_BUDGET:
        return walk_options_take_budget(reader, &options->walk);
    case KEY_POLICY:
        return walk_options_take_policy(reader, &options->walk);
    case KEY_PASSES:
        return walk_options_take_passes(reader, &options->walk);
    case KEY_WINDOW:
        return walk_options_take_window(reader, &options->walk);
    case KEY_SWAP_AT:
        return walk_options_take_swap_at(reader, &options->walk);
    case KEY_TRACE:
        options->trace_path = reader->value;
        return true;
    case KEY_TRACE_TIMES:
        options->trace_times = true;
        return true;
    case KEY_JSON:
        options->is_json = true;
        return true;
    default:
        return model_options_take_place(reader, key, &options->model);
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
    if (!model_options_finish(reader, &options->model) ||
        !walk_options_finish(reader, &options->walk, options->lock))
        return TOOL_USAGE;
    if (options->cold && options->model.place.has_descriptor)
        return options_wrong(reader, "--cold needs FILE, by whose path it is opened once more");
    if (options->trace_times && !options->trace_path)
        return options_wrong(reader, "--trace-times needs --trace, whose times they are");
    return load(reader, options);
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
