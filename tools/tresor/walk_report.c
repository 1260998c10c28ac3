/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "human.h"
#include "walk.h"

static double seconds(uint64_t duration_ns)
{
    return (double)duration_ns / 1e9;
}

static void print_row(const char *name, const struct walk_pass *pass)
{
    printf("%6s  %9.3f  %9" PRIu64 "  %9" PRIu64 "  %9" PRIu64 "  %10s  %10s\n", name,
           seconds(pass->duration_ns), pass->hits, pass->misses, pass->late,
           pass->read_is_known ? human_size(pass->read_bytes).text : "?",
           pass->peak_bytes > 0 ? human_size(pass->peak_bytes).text : "?");
}

static void add(struct walk_pass *total, const struct walk_pass *pass)
{
    total->duration_ns += pass->duration_ns;
    total->hits += pass->hits;
    total->misses += pass->misses;
    total->late += pass->late;
    total->read_bytes += pass->read_bytes;
    total->read_is_known = total->read_is_known && pass->read_is_known;
    if (pass->peak_bytes > total->peak_bytes)
        total->peak_bytes = pass->peak_bytes;
}

void walk_print_text(const struct walk_result *result)
{
    struct walk_pass total = {.read_is_known = true};
    if (result->pass_count == 0)
        return;
    printf("policy %s, budget %s", result->policy,
           result->budget_bytes > 0 ? human_size(result->budget_bytes).text : "none");
    if (result->window_bytes > 0)
        printf(", window %s", human_size(result->window_bytes).text);
    printf("\n%6s  %9s  %9s  %9s  %9s  %10s  %10s\n", "pass", "seconds", "hits", "misses", "late",
           "read", "peak");
    for (uint32_t i = 0; i < result->pass_count; i++) {
        char name[16];
        snprintf(name, sizeof name, "%" PRIu32, i + 1);
        print_row(name, &result->passes[i]);
        add(&total, &result->passes[i]);
    }
    print_row("all", &total);
}

static json_t *json_of_size(uint64_t size_bytes, bool is_known)
{
    return is_known ? json_integer((json_int_t)size_bytes) : json_null();
}

static json_t *json_of_passes(const struct walk_result *result)
{
    json_t *passes = json_array();
    for (uint32_t i = 0; i < result->pass_count; i++) {
        const struct walk_pass *pass = &result->passes[i];
        json_array_append_new(
            passes, json_pack("{s:f, s:I, s:I, s:I, s:o, s:o}", "seconds",
                              seconds(pass->duration_ns), "hits", (json_int_t)pass->hits, "misses",
                              (json_int_t)pass->misses, "late", (json_int_t)pass->late,
                              "bytes_read", json_of_size(pass->read_bytes, pass->read_is_known),
                              "peak_bytes", json_of_size(pass->peak_bytes, pass->peak_bytes > 0)));
    }
    return passes;
}

json_t *walk_json(const struct walk_result *result)
{
    return json_pack("{s:s, s:o, s:o, s:I, s:o, s:o}", "policy", result->policy, "budget_bytes",
                     json_of_size(result->budget_bytes, result->budget_bytes > 0), "window_bytes",
                     json_of_size(result->window_bytes, result->window_bytes > 0), "used_bytes",
                     (json_int_t)result->used_bytes, "sum",
                     json_sprintf("%016" PRIx64, result->sum), "passes", json_of_passes(result));
}
