/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <inttypes.h>
#include <stdio.h>

#include "human.h"

static double seconds(const struct load_result *result)
{
    return (double)result->load_ns / 1e9;
}

static double bytes_per_second(const struct load_result *result)
{
    return result->load_ns > 0 ? (double)result->bytes / seconds(result) : 0;
}

void load_print_text(const struct load_result *result)
{
    printf("%s: %" PRIu32 " of %" PRIu32 " tensors loaded, %s\n", result->path, result->loaded,
           result->requested, human_size(result->bytes).text);
    printf("strategy %s, backend %s: %.3f s, %s/s\n", result->strategy, result->backend,
           seconds(result), human_size((uint64_t)bytes_per_second(result)).text);
    if (result->lock_wanted)
        printf("locked: %" PRIu32 " of %" PRIu32 " tensors, %s of memory\n", result->locked,
               result->loaded, human_size(result->counters.locked_bytes).text);
}

void load_print_json(const struct load_result *result)
{
    json_t *report = json_pack(
        "{s:{s:I, s:I, s:I}, s:I, s:f, s:f, s:s, s:s?, s:I, s:O, s:{s:I, s:I}}", "tensors",
        "requested", (json_int_t)result->requested, "loaded", (json_int_t)result->loaded, "failed",
        (json_int_t)result->failed, "bytes", (json_int_t)result->bytes, "seconds", seconds(result),
        "bytes_per_second", bytes_per_second(result), "strategy", result->strategy, "backend",
        result->backend, "locked_bytes", (json_int_t)result->counters.locked_bytes, "errors",
        result->failures.list, "machine", "steps", (json_int_t)result->counters.steps, "events",
        (json_int_t)result->counters.events);
    if (!report) {
        fputs("tresor: out of memory\n", stderr);
        return;
    }
    json_dumpf(report, stdout, 0);
    putchar('\n');
    json_decref(report);
}
