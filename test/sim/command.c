/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "script.h"
#include "support/told_seed.h"

static const char usage[] =
    "usage: sim [--seed N | --script FILE] [--seeds N] [--report] [--trace] [--lose N] [--flip N]\n"
    "  --seed N       run this seed, and tell what came out of it\n"
    "  --seeds N      run so many, from this seed or 1 on\n"
    "  --script FILE  run the bytes of a file\n"
    "  --trace        write every step of every machine\n"
    "  --report       tell how many loads there were a second\n"
    "  --lose N       plant a loss: the Nth completion\n"
    "  --flip N       plant a wrong byte: in the Nth read and all after it\n";

struct orders {
    uint64_t seed;
    uint64_t seeds;
    uint64_t lose;
    uint64_t flip;
    const char *script; /* NULL: none */
    bool reports;
    bool traces;
};

struct sums {
    uint64_t runs;
    uint64_t wrong;
    uint64_t loads;
    uint64_t loaded;
    uint64_t steps;
    uint64_t passed_ns;
};

static bool read_number(const char *text, uint64_t *number)
{
    char *end = NULL;
    *number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static bool read_orders(int count, char **arguments, struct orders *orders)
{
    const struct {
        const char *name;
        uint64_t *number;
    } rows[] = {{"--seed", &orders->seed},
                {"--seeds", &orders->seeds},
                {"--lose", &orders->lose},
                {"--flip", &orders->flip}};
    for (int i = 1; i < count; i++) {
        uint32_t row = 0;
        bool is_report = strcmp(arguments[i], "--report") == 0;
        bool is_trace = strcmp(arguments[i], "--trace") == 0;
        orders->reports |= is_report;
        orders->traces |= is_trace;
        if (is_report || is_trace)
            continue;
        if (i + 1 == count)
            return false;
        if (strcmp(arguments[i], "--script") == 0) {
            orders->script = arguments[++i];
            continue;
        }
        while (row < 4 && strcmp(arguments[i], rows[row].name) != 0)
            row++;
        if (row == 4 || !read_number(arguments[++i], rows[row].number))
            return false;
    }
    return orders->seed > 0 && orders->seeds > 0;
}

static void add(struct sums *sums, const struct sim_result *result)
{
    sums->runs++;
    sums->wrong += result->violation[0] != '\0';
    sums->loads += result->loads;
    sums->loaded += result->loaded;
    sums->steps += result->steps;
    sums->passed_ns += result->passed_ns;
}

static void tell(const char *what, uint64_t seed, const struct sim_result *result)
{
    printf("%s %ju: digest %016jx, %ju steps, %ju effects, %ju loads of %ju pieces, %.3f ms%s%s\n",
           what, (uintmax_t)seed, (uintmax_t)result->digest, (uintmax_t)result->steps,
           (uintmax_t)result->effects, (uintmax_t)result->loads, (uintmax_t)result->loaded,
           (double)result->passed_ns / 1e6, result->violation[0] ? ": " : "", result->violation);
}

static void run_seeds(struct sim_world *world, const struct orders *orders, const char *program,
                      struct sums *sums)
{
    for (uint64_t i = 0; i < orders->seeds; i++) {
        struct sim_result result;
        struct sim_knobs knobs = sim_knobs_of(orders->seed + i);
        struct sim_choices choices = {.trace = orders->traces ? stdout : NULL};
        knobs.lose_answer = orders->lose;
        knobs.flip_transfer = orders->flip;
        told_seed_begin(knobs.seed);
        sim_world_run(world, &knobs, &choices, &result);
        told_seed_end();
        add(sums, &result);
        if (orders->seeds == 1 || result.violation[0])
            tell("seed", knobs.seed, &result);
        if (result.violation[0])
            printf("again: %s --seed %ju\n", program, (uintmax_t)knobs.seed);
    }
}

static bool run_script(struct sim_world *world, const char *path, struct sums *sums)
{
    char block[4096];
    size_t count;
    struct bytes script = {0};
    struct sim_result result;
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    while ((count = fread(block, 1, sizeof block, file)) > 0)
        bytes_put(&script, block, count);
    bool is_read = !ferror(file);
    fclose(file);
    if (is_read) {
        sim_script_run(world, script.data, script.size, &result);
        add(sums, &result);
        tell("script of bytes", script.size, &result);
    }
    bytes_free(&script);
    return is_read;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(const struct sums *sums, double taken)
{
    printf("%ju runs with %ju loads in %.2f s of processor time: %.0f loads/s of %.1f pieces, %.0f steps/s, "
           "%.1f s of virtual time\n",
           (uintmax_t)sums->runs, (uintmax_t)sums->loads, taken, (double)sums->loads / taken,
           sums->loads > 0 ? (double)sums->loaded / (double)sums->loads : 0.0,
           (double)sums->steps / taken, (double)sums->passed_ns / 1e9);
}

int sim_command(struct sim_world *world, int count, char **arguments)
{
    struct orders orders = {.seed = 1, .seeds = 1};
    struct sums sums = {0};
    if (!read_orders(count, arguments, &orders)) {
        fputs(usage, stderr);
        return 2;
    }
    double start = seconds();
    if (!orders.script) {
        run_seeds(world, &orders, arguments[0], &sums);
    } else if (!run_script(world, orders.script, &sums)) {
        fprintf(stderr, "%s cannot be read\n", orders.script);
        return 2;
    }
    if (orders.reports)
        report(&sums, seconds() - start);
    return sums.wrong > 0;
}
