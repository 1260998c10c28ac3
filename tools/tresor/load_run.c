/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <inttypes.h>
#include <stdio.h>

#include "clock.h"
#include "exit_codes.h"
#include "interrupt.h"
#include "running.h"

/* So few that a signal is seen, and the bar drawn, often enough on a slow disk. */
#define COMPLETIONS_PER_DISPATCH 8
#define POPULATE_BYTES (8 * 1024 * 1024)

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
                : calls_item_of_list(opened, selection.tensors, selection.tensor_count, item);
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
    const struct run_watch watch = {
        .failures = &result->failures,
        .degraded = &result->degraded,
        .progress = &progress,
        .times = &result->times,
    };
    const uint64_t processor_before_ns = clock_of_ns(CLOCK_PROCESS_CPUTIME_ID);
    const uint64_t start_ns = clock_ns();
    request_run(opened, CALL_LOAD, &item, 1, &watch, &done);
    result->load_ns = clock_ns() - start_ns;
    result->processor_ns = clock_of_ns(CLOCK_PROCESS_CPUTIME_ID) - processor_before_ns;
    if (opened_is_compressed(opened)) { /* it was read then */
        result->load_ns += opened->open_ns;
        result->processor_ns += opened->processor_ns;
    }
    result->failures.progress = NULL;
    result->loaded = done.done;
    result->failed = done.failed;
    result->bytes = done.bytes;
}

/** What is loaded are tensors that were used at least once. */
static void walk_item(const struct load_options *options, const struct opened *opened,
                      struct tresor_item item, uint32_t strategy, struct load_result *result)
{
    struct progress progress = {0};
    struct walk walk = {
        .opened = opened,
        .options = &options->walk,
        .item = item,
        .strategy = strategy,
        .failures = &result->failures,
        .degraded = &result->degraded,
        .progress = &progress,
    };
    result->failures.progress = &progress;
    tresor_item_measure(opened->context, item, &result->requested, NULL);
    const uint64_t processor_before_ns = clock_of_ns(CLOCK_PROCESS_CPUTIME_ID);
    const bool is_whole = walk_run(&walk, &result->walk);
    result->processor_ns = clock_of_ns(CLOCK_PROCESS_CPUTIME_ID) - processor_before_ns;
    result->failures.progress = NULL;
    for (uint32_t i = 0; walk.steps.list && i < walk.steps.count; i++) {
        result->loaded += walk.steps.list[i].is_used;
        result->bytes += walk.steps.list[i].is_used ? walk.steps.list[i].size_bytes : 0;
    }
    for (uint32_t i = 0; i < result->walk.pass_count; i++)
        result->load_ns += result->walk.passes[i].duration_ns;
    result->failed = walk.has_failed && !interrupt_signal();
    result->walk.is_whole = is_whole;
    if (interrupt_signal() && result->failures.count == 0) {
        const struct tresor_error error = error_of_code(TRESOR_ERROR_CANCELLED);
        failures_add(&result->failures, &error);
    }
    walk_steps_free(&walk.steps);
}

static void lock_item(const struct opened *opened, struct tresor_item item,
                      struct load_result *result)
{
    struct tresor_event done;
    const struct run_watch watch = {.failures = &result->failures, .degraded = &result->degraded};
    result->failures.ignored_code = TRESOR_ERROR_NOT_RESIDENT; /* why was told by the load */
    request_run(opened, CALL_LOCK, &item, 1, &watch, &done);
    result->locked = done.done;
    if (done.done < result->loaded)
        fprintf(stderr, "tresor: warning: %" PRIu32 " of %" PRIu32 " tensors are not locked\n",
                result->loaded - done.done, result->loaded);
}

static int load_opened(const struct option_reader *reader, const struct load_options *options,
                       const struct opened *opened, struct load_result *result)
{
    struct tresor_item item;
    uint32_t strategy;
    if (options->cold && opened_is_compressed(opened))
        return options_wrong(reader, "--cold: '%s' is compressed, and was read when it was opened", opened->path);
    if (!model_options_strategy(reader, &options->model, opened, &strategy))
        return TOOL_USAGE;
    result->strategy = tresor_strategy_name(strategy);
    const int32_t split = options->split ? load_split(opened) : TRESOR_OK;
    if (split != TRESOR_OK) {
        const struct tresor_error error = error_of_code(split);
        failures_add(&result->failures, &error);
        return TOOL_SOME_FAILED;
    }
    const int code = make_item(reader, options, opened, &result->failures, &item);
    if (code != TOOL_DONE)
        return code;
    if (options->cold)
        load_evict_files(opened, &result->cold);
    interrupt_catch();
    if (result->walk.is_wanted)
        walk_item(options, opened, item, strategy, result);
    else
        load_item(opened, item, result);
    if (options->lock && !interrupt_signal())
        lock_item(opened, item, result);
    failures_end(&result->failures);
    return result->loaded == result->requested &&
                   (!result->walk.is_wanted || result->walk.is_whole)
               ? TOOL_DONE
               : TOOL_SOME_FAILED;
}

static uint32_t policy_of(const struct walk_options *options)
{
    switch (options->policy) {
    case WALK_POLICY_LFRU:
        return TRESOR_POLICY_LFRU;
    case WALK_POLICY_PRIORITY:
        return TRESOR_POLICY_PRIORITY;
    default:
        return TRESOR_POLICY_LRU;
    }
}

int load_run(const struct option_reader *reader, const struct load_options *options,
             struct recorder *recorder, struct load_result *result)
{
    struct opened opened;
    const struct tresor_context_options context_options = {
        .size_bytes = sizeof context_options,
        .populate_bytes = POPULATE_BYTES,
        .strategy = options->model.strategy,
        .dispatch_max = COMPLETIONS_PER_DISPATCH,
        .backend = options->model.backend,
        .direct = options->model.direct,
        .numa = options->model.numa,
        .numa_nodes = options->model.numa_nodes,
        .policy = policy_of(&options->walk),
        .budget_bytes = options->walk.budget_bytes,
        .guard = options->guard ? TRESOR_GUARD_SIGBUS : TRESOR_GUARD_DEFAULT,
    };
    int code = TOOL_BAD_FILE;
    result->failures.opened = &opened;
    result->degraded.opened = &opened;
    if (opened_begin(&opened, &options->model.place, &context_options, recorder))
        code = load_opened(reader, options, &opened, result);
    else if (!opened.context && options->model.numa != TRESOR_NUMA_DEFAULT &&
             opened.error.code == TRESOR_ERROR_UNSUPPORTED)
        code = options_wrong(reader, "--numa: this machine has only one memory node, or has not "
                                     "got all of those asked for");
    else
        failures_add(&result->failures, &opened.error);
    if (opened.context) {
        degraded_drain(&result->degraded);
        result->backend = tresor_backend_name(opened.context);
        tresor_get_counters(opened.context, &result->counters);
    }
    opened_end(&opened);
    return code;
}
