/* SPDX-License-Identifier: MIT */
#include "walk_options.h"

#include <string.h>

#define PASSES_MAX 1000000

static const char *const policy_names[] = {
    [WALK_POLICY_DEFAULT] = "lru",       [WALK_POLICY_LRU] = "lru",   [WALK_POLICY_LFRU] = "lfru",
    [WALK_POLICY_PRIORITY] = "priority", [WALK_POLICY_PLAN] = "plan",
};

const char *walk_policy_name(enum walk_policy policy)
{
    return policy_names[policy];
}

bool walk_is_wanted(const struct walk_options *options)
{
    return options->budget_bytes > 0 || options->window_bytes > 0 || options->passes > 0 ||
           options->policy != WALK_POLICY_DEFAULT;
}

bool walk_options_take_budget(const struct option_reader *reader, struct walk_options *options)
{
    return options_size(reader, 1, UINT64_MAX, &options->budget_bytes);
}

bool walk_options_take_policy(const struct option_reader *reader, struct walk_options *options)
{
    for (enum walk_policy i = WALK_POLICY_LRU; i <= WALK_POLICY_PLAN; i++) {
        if (strcmp(reader->value, policy_names[i]) == 0) {
            options->policy = i;
            return true;
        }
    }
    options_wrong(reader, "--policy: '%s' is not lru, lfru, priority or plan", reader->value);
    return false;
}

bool walk_options_take_passes(const struct option_reader *reader, struct walk_options *options)
{
    return options_u32(reader, 1, PASSES_MAX, &options->passes);
}

bool walk_options_take_window(const struct option_reader *reader, struct walk_options *options)
{
    return options_size(reader, 1, UINT64_MAX, &options->window_bytes);
}

bool walk_options_finish(const struct option_reader *reader, struct walk_options *options,
                         bool lock)
{
    if (!walk_is_wanted(options))
        return true;
    const bool has_plan = options->policy == WALK_POLICY_PLAN;
    if (options->window_bytes > 0 && !has_plan)
        options_wrong(reader, "--window needs --policy plan, for nothing else loads ahead");
    else if (options->policy != WALK_POLICY_DEFAULT && !has_plan && options->budget_bytes == 0)
        options_wrong(reader, "--policy %s needs --budget, without which nothing has to leave",
                      walk_policy_name(options->policy));
    else if (lock)
        options_wrong(reader, "--lock does not go with --budget, --policy or --passes, for what "
                              "is locked cannot leave");
    else
        return true;
    return false;
}
