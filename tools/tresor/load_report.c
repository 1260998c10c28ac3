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
    const uint64_t bytes = result->walk.is_wanted ? result->walk.used_bytes : result->bytes;
    return result->load_ns > 0 ? (double)bytes / seconds(result) : 0;
}

static double microseconds(uint64_t duration_ns)
{
    return (double)duration_ns / 1e3;
}

/** Null for a walk, whose dispatches are also sleeps. */
static json_t *json_of_dispatch(const struct load_result *result)
{
    const struct dispatch_times *times = &result->times;
    if (result->walk.is_wanted)
        return json_null();
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "calls", (json_int_t)times->wall.count,
                     "p50_us", microseconds(latencies_at(&times->wall, 500000)), "p99_us",
                     microseconds(latencies_at(&times->wall, 990000)), "p999_us",
                     microseconds(latencies_at(&times->wall, 999000)), "max_us",
                     microseconds(times->wall.max_ns), "max_cpu_us",
                     microseconds(times->processor.max_ns));
}

/** The pages that stayed in the page cache; null for what is not known or was not asked for. */
static json_t *json_of_cold(const struct load_result *result)
{
    const struct page_cache_count *cold = &result->cold;
    if (!result->cold_wanted)
        return json_null();
    return json_pack("{s:I, s:o}", "pages", (json_int_t)cold->pages, "pages_resident",
                     cold->is_known ? json_integer((json_int_t)cold->resident_pages) : json_null());
}

/** Whether any byte was read past the page cache. */
static bool is_direct(const struct load_result *result)
{
    return result->counters.direct_bytes > 0;
}

void load_print_text(const struct load_result *result)
{
    printf("%s: %" PRIu32 " of %" PRIu32 " tensors%s loaded, %s\n", result->path, result->loaded,
           result->requested, result->is_split ? " and slices" : "",
           human_size(result->bytes).text);
    printf("strategy %s, backend %s%s: %.3f s, %s/s\n", result->strategy, result->backend,
           is_direct(result) ? ", direct" : "", seconds(result),
           human_size((uint64_t)bytes_per_second(result)).text);
    if (result->walk.is_wanted)
        walk_print_text(&result->walk);
    if (result->lock_wanted)
        printf("locked: %" PRIu32 " of %" PRIu32 " tensors%s, %s of memory\n", result->locked,
               result->loaded, result->is_split ? " and slices" : "",
               human_size(result->counters.locked_bytes).text);
    degraded_print_list(result->degraded.list);
}

/** How much, and how fast. */
static json_t *json_of_figures(const struct load_result *result)
{
    return json_pack("{s:{s:I, s:I, s:I}, s:I, s:f, s:f, s:f, s:I}", "tensors", "requested",
                     (json_int_t)result->requested, "loaded", (json_int_t)result->loaded, "failed",
                     (json_int_t)result->failed, "bytes", (json_int_t)result->bytes, "seconds",
                     seconds(result), "cpu_seconds", (double)result->processor_ns / 1e9,
                     "bytes_per_second", bytes_per_second(result), "locked_bytes",
                     (json_int_t)result->counters.locked_bytes);
}

/** By what, and what came of it. */
static json_t *json_of_ways(const struct load_result *result)
{
    return json_pack("{s:s, s:s?, s:b, s:o, s:o, s:O, s:O, s:{s:I, s:I}}", "strategy",
                     result->strategy, "backend", result->backend, "direct", is_direct(result),
                     "cold", json_of_cold(result), "dispatch", json_of_dispatch(result),
                     "degraded", result->degraded.list, "errors", result->failures.list, "machine",
                     "steps", (json_int_t)result->counters.steps, "events",
                     (json_int_t)result->counters.events);
}

void load_print_json(const struct load_result *result)
{
    json_t *report = json_of_figures(result);
    json_t *ways = json_of_ways(result);
    json_t *walk = result->walk.is_wanted ? walk_json(&result->walk) : json_object();
    if (report && ways && walk && json_object_update(report, ways) == 0 &&
        json_object_update(report, walk) == 0) {
        json_dumpf(report, stdout, 0);
        putchar('\n');
    } else {
        fputs("tresor: out of memory\n", stderr);
    }
    json_decref(report);
    json_decref(ways);
    json_decref(walk);
}
