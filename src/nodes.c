/* SPDX-License-Identifier: MIT */
/* Which memory nodes a context's options mean, on this machine. */
#include "backend/nodes.h"
#include "context.h"

static bool is_valid(const struct tresor_context_options *options)
{
    switch (options->numa) {
    case TRESOR_NUMA_DEFAULT:
        return options->numa_nodes == 0;
    case TRESOR_NUMA_BIND:
        return options->numa_nodes != 0;
    default:
        return options->numa == TRESOR_NUMA_INTERLEAVE;
    }
}

static bool has_two(uint64_t mask)
{
    return (mask & (mask - 1)) != 0;
}

int32_t tresor__nodes_choose(const struct tresor__sys *sys,
                             const struct tresor_context_options *options,
                             struct tresor__nodes *nodes)
{
    uint64_t online = 0;
    *nodes = (struct tresor__nodes){.numa = options->numa, .mask = options->numa_nodes};
    if (!is_valid(options))
        return TRESOR_ERROR_INVALID;
    if (options->numa == TRESOR_NUMA_DEFAULT)
        return TRESOR_OK;
    if (tresor__nodes_online(sys, &online) < 0 || !has_two(online) || (nodes->mask & ~online) != 0)
        return TRESOR_ERROR_UNSUPPORTED;
    if (nodes->mask == 0)
        nodes->mask = online;
    return TRESOR_OK;
}
