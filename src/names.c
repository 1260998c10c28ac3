/* SPDX-License-Identifier: MIT */
#include <tresor/budget.h>
#include <tresor/choice.h>
#include <tresor/event.h>
#include <tresor/source.h>
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

const char *tresor_compression_name(uint32_t compression)
{
    static const char *const names[] = {"none", "zstd", "gzip", "lz4"};
    return compression < sizeof names / sizeof names[0] ? names[compression] : "unknown";
}

const char *tresor_reason_name(uint32_t reason)
{
    static const char *const names[] = {"none",     "default", "request", "resident",
                                        "strategy", "size",    "system",  "source"};
    return reason < sizeof names / sizeof names[0] ? names[reason] : "unknown";
}

const char *tresor_verb_name(uint32_t verb)
{
    static const char *const names[] = {
        [TRESOR_VERB_OPEN] = "OPEN",     [TRESOR_VERB_CLOSE] = "CLOSE",
        [TRESOR_VERB_LOAD] = "LOAD",     [TRESOR_VERB_COPY] = "COPY",
        [TRESOR_VERB_EVICT] = "EVICT",   [TRESOR_VERB_LOCK] = "LOCK",
        [TRESOR_VERB_UNLOCK] = "UNLOCK", [TRESOR_VERB_ADVISE] = "ADVISE",
        [TRESOR_VERB_STREAM] = "STREAM", [TRESOR_VERB_BUDGET] = "BUDGET",
        [TRESOR_VERB_PLAN] = "PLAN",     [TRESOR_VERB_SWAP] = "SWAP",
        [TRESOR_VERB_CHECK] = "CHECK",
    };
    return verb < sizeof names / sizeof names[0] && names[verb] ? names[verb] : "UNKNOWN";
}

const char *tresor_degradation_name(uint32_t degradation)
{
    static const char *const names[] = {"unknown", "backend", "direct", "readahead",
                                        "numa",    "pressure"};
    return degradation < sizeof names / sizeof names[0] ? names[degradation] : "unknown";
}
