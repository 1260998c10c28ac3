/* SPDX-License-Identifier: MIT */
#include <tresor/budget.h>
#include <tresor/choice.h>
#include <tresor/event.h>
#include <tresor/strategy.h>

const char *tresor_strategy_name(uint32_t strategy)
{
    static const char *const names[] = {"default", "mmap", "read"};
    return strategy < sizeof names / sizeof names[0] ? names[strategy] : "unknown";
}

const char *tresor_policy_name(uint32_t policy)
{
    static const char *const names[] = {"default", "lru", "lfru", "priority"};
    return policy < sizeof names / sizeof names[0] ? names[policy] : "unknown";
}

const char *tresor_reason_name(uint32_t reason)
{
    static const char *const names[] = {"none",     "default", "request", "resident",
                                        "strategy", "size",    "system"};
    return reason < sizeof names / sizeof names[0] ? names[reason] : "unknown";
}

const char *tresor_verb_name(uint32_t verb)
{
    static const char *const names[] = {"UNKNOWN", "OPEN", "CLOSE",  "LOAD",  "COPY",
                                        "EVICT",   "LOCK", "UNLOCK", "ADVISE", "STREAM", "BUDGET", "PLAN"};
    return verb < sizeof names / sizeof names[0] ? names[verb] : "UNKNOWN";
}

const char *tresor_degradation_name(uint32_t degradation)
{
    static const char *const names[] = {"unknown", "backend", "direct", "readahead",
                                        "numa",    "pressure"};
    return degradation < sizeof names / sizeof names[0] ? names[degradation] : "unknown";
}
