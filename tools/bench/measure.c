/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double now_seconds(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

double processor_seconds(void)
{
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

static int by_value(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

double median(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* Alternates, prints without an end of line, and gives the ratio. */
static double ratio_of(const char *name, way *ours, way *raw, void *argument, uint32_t pairs)
{
    double our_seconds[PAIRS_MAX];
    double raw_seconds[PAIRS_MAX];
    double ratios[PAIRS_MAX];
    ours(argument); /* one of each to warm up */
    raw(argument);
    for (uint32_t i = 0; i < pairs; i++) {
        our_seconds[i] = ours(argument);
        raw_seconds[i] = raw(argument);
        ratios[i] = our_seconds[i] / raw_seconds[i];
    }
    double ratio = median(ratios, pairs);
    printf("%-44s ours %9.3f ms  raw %9.3f ms  ratio %.3f (%.3f to %.3f)", name,
           median(our_seconds, pairs) * 1e3, median(raw_seconds, pairs) * 1e3, ratio, ratios[0],
           ratios[pairs - 1]);
    return ratio;
}

bool compare(const char *name, way *ours, way *raw, void *argument, uint32_t pairs, double target)
{
    bool met = ratio_of(name, ours, raw, argument, pairs) <= target;
    printf("  target %.2f  %s\n", target, met ? "met" : "MISSED");
    return met;
}

void show(const char *name, way *ours, way *raw, void *argument, uint32_t pairs)
{
    ratio_of(name, ours, raw, argument, pairs);
    putchar('\n');
}

bool report(const char *name, double value, const char *unit, double target)
{
    bool met = value <= target;
    printf("%-44s %.4g %s  target %.4g  %s\n", name, value, unit, target, met ? "met" : "MISSED");
    return met;
}

void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("tresor-bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}
