/* SPDX-License-Identifier: MIT */
/* What a walk over a model is told: how much memory, who leaves it, how often, how far ahead. */
#ifndef TOOL_WALK_OPTIONS_H
#define TOOL_WALK_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/* Their rows in a command's table. */
#define WALK_OPTION_BUDGET(key)                                                                    \
    {                                                                                              \
        (key), "budget", "SIZE",                                                                   \
            "walk the model layer by layer, tensor by tensor, as an engine\n"                      \
            "does: acquire, read every byte, release, with at most SIZE of\n"                      \
            "memory for tensors; each pass is reported. Sizes may end in\n"                        \
            "K, M, G or T"                                                                         \
    }
#define WALK_OPTION_POLICY(key)                                                                    \
    {                                                                                              \
        (key), "policy", "NAME",                                                                   \
            "who leaves first: lru (default), used longest ago; lfru, used\n"                      \
            "least often; priority, later layers before earlier ones; plan:\n"                     \
            "the order is declared, so tensors are loaded ahead of their\n"                        \
            "use, and what is needed last leaves"                                                  \
    }
#define WALK_OPTION_PASSES(key)                                                                    \
    {                                                                                              \
        (key), "passes", "N",                                                                      \
            "walk the model N times (default 1); without --budget all of it\n"                     \
            "must find room"                                                                       \
    }
#define WALK_OPTION_WINDOW(key)                                                                    \
    {                                                                                              \
        (key), "window", "SIZE",                                                                   \
            "how far ahead --policy plan loads (default: the lesser of 64M\n"                      \
            "and 5% of the budget)"                                                                \
    }

enum walk_policy {
    WALK_POLICY_DEFAULT, /* not given: lru */
    WALK_POLICY_LRU,
    WALK_POLICY_LFRU,
    WALK_POLICY_PRIORITY,
    WALK_POLICY_PLAN,
};

/** All zero: no walk is wanted. */
struct walk_options {
    uint64_t budget_bytes; /* 0: none */
    uint64_t window_bytes; /* 0: the default */
    uint32_t passes;       /* 0: not given */
    enum walk_policy policy;
};

/* The argument of the last option; false after options_wrong. */
bool walk_options_take_budget(const struct option_reader *reader, struct walk_options *options);
bool walk_options_take_policy(const struct option_reader *reader, struct walk_options *options);
bool walk_options_take_passes(const struct option_reader *reader, struct walk_options *options);
bool walk_options_take_window(const struct option_reader *reader, struct walk_options *options);

/** After all options: whether they fit together, and with --lock; false after options_wrong. */
bool walk_options_finish(const struct option_reader *reader, struct walk_options *options,
                         bool lock);

/** Whether any of them was given. */
bool walk_is_wanted(const struct walk_options *options);

/** As --policy has it. */
const char *walk_policy_name(enum walk_policy policy);

#endif
