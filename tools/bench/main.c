/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

static const struct {
    const char *name;
    bool (*run)(const struct settings *settings);
} benches[] = {
    {"acquire", bench_acquire}, {"cycle", bench_cycle},       {"open", bench_open},
    {"warm", bench_warm},       {"populate", bench_populate}, {"cold", bench_cold},
    {"dispatch", bench_dispatch}, {"memory", bench_memory},   {"small", bench_small},
    {"gaps", bench_gaps},       {"swap", bench_swap},         {"donate", bench_donate},
    {"plan", bench_plan},       {"windows", bench_windows},   {"experts", bench_experts},
    {"check", bench_check},
};

static const char usage[] =
    "usage: tresor-bench --tool TRESOR --folder FOLDER [--pairs N] [--size BYTES] [NAME]...\n"
    "Prints figures of the library against raw calls, made in turn in one run. NAME: acquire, cycle,\n"
    "open, warm, populate, cold, dispatch, memory, small, gaps, swap, donate, plan, windows, experts,\n"
    "check; all if none is given. Models are made in FOLDER and kept. Exit 1 if a target is missed.\n";

static bool is_named(const char *name, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc == 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"tool", required_argument, NULL, 't'},  {"folder", required_argument, NULL, 'f'},
        {"pairs", required_argument, NULL, 'p'}, {"size", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},        {0},
    };
    struct settings settings = {.pairs = PAIRS_DEFAULT, .model_bytes = UINT64_C(2) << 30};
    bool met = true;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (option) {
        case 't':
            settings.tool = optarg;
            break;
        case 'f':
            settings.folder = optarg;
            break;
        case 'p':
            settings.pairs = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 's':
            settings.model_bytes = strtoull(optarg, NULL, 10);
            break;
        default:
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    }
    if (!settings.tool || !settings.folder || settings.pairs < 5 ||
        settings.pairs > PAIRS_MAX / 3) {
        fputs(usage, stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++)
        if (is_named(benches[i].name, argc - optind, argv + optind))
            met = benches[i].run(&settings) && met;
    return met ? 0 : 1;
}
