/* SPDX-License-Identifier: MIT */
/* Measuring: two ways of doing one thing, run in turn, compared as a ratio, so that a noisy machine
 * cancels out. */
#ifndef TRESOR_BENCH_MEASURE_H
#define TRESOR_BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PAIRS_DEFAULT = 9,
    PAIRS_MAX = 99,
};

struct settings {
    const char *tool;   /* the tresor tool, which makes the models */
    const char *folder; /* for the models that are measured */
    uint32_t pairs;
    uint64_t model_bytes;
};

/** Seconds that one run of a way took. */
typedef double way(void *argument);

/** Alternate `ours` and `raw`, print medians, their ratio's median and spread, and the target it
 * must not pass. */
bool compare(const char *name, way *ours, way *raw, void *argument, uint32_t pairs, double target);

/** The same where there is no target. */
void show(const char *name, way *ours, way *raw, void *argument, uint32_t pairs);

/** Print one figure against a target that it must not pass. */
bool report(const char *name, double value, const char *unit, double target);

/** The middle of values, which are sorted on the way. */
double median(double *values, uint32_t count);

/** Seconds on a clock that only goes forward; and of processor time of this process. */
double now_seconds(void);
double processor_seconds(void);

/** Print why and exit. */
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The benchmarks; each says whether its targets were met. */
bool bench_acquire(const struct settings *settings);
bool bench_check(const struct settings *settings);
bool bench_cold(const struct settings *settings);
bool bench_cycle(const struct settings *settings);
bool bench_donate(const struct settings *settings);
bool bench_dispatch(const struct settings *settings);
bool bench_experts(const struct settings *settings);
bool bench_gaps(const struct settings *settings);
bool bench_memory(const struct settings *settings);
bool bench_open(const struct settings *settings);
bool bench_plan(const struct settings *settings);
bool bench_small(const struct settings *settings);
bool bench_swap(const struct settings *settings);
bool bench_warm(const struct settings *settings);
bool bench_populate(const struct settings *settings);
bool bench_windows(const struct settings *settings);

#endif
