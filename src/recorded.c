/* SPDX-License-Identifier: MIT */
#include "recorded.h"

/* What waits beside the backend, for memory that runs short or for a fault, would not be in the tape. */
static bool cannot_record(const struct tresor_context_options *options)
{
    return options->pressure != 0 || options->guard != 0;
}

/* Nothing was asked of the backend yet, so another one can take its place. */
int32_t tresor__context_create_recorded(const struct tresor_context_options *options,
                                        const struct tresor__tape *tape,
                                        struct tresor__host_facts *facts,
                                        struct tresor_context **context)
{
    *context = NULL;
    if (cannot_record(options))
        return TRESOR_ERROR_UNSUPPORTED;
    int32_t code = tresor_context_create(options, context);
    if (code != TRESOR_OK)
        return code;
    struct tresor_context *made = *context;
    struct tresor__controller *controller = &made->controller;
    controller->io.is_recorded = true;
    *facts = (struct tresor__host_facts){
        .page_bytes = controller->limits.page_bytes,
        .seams_max = controller->limits.seams_max,
    };
    code = tresor__record_create(tape, &made->allocator, controller->effects_max, made->backend,
                                 &made->backend);
    if (code != TRESOR_OK) {
        tresor_context_destroy(made);
        *context = NULL;
    }
    return code;
}

/* --- what the system said there --- */

static int64_t replayed_page_bytes(void *cookie)
{
    const struct tresor__replay *replay = cookie;
    return (int64_t)replay->facts.page_bytes;
}

/* Half of them may be seams; no seam at all is half of one. */
static int64_t replayed_max_maps(void *cookie)
{
    const struct tresor__replay *replay = cookie;
    uint32_t seams = replay->facts.seams_max;
    return seams > 0 ? 2 * (int64_t)seams : 1;
}

static int32_t make_replay(void *argument, const struct tresor_allocator *allocator,
                           struct tresor__bell *bell, uint32_t effects_max,
                           struct tresor__backend **backend)
{
    struct tresor__replay *replay = argument;
    return tresor__replay_create(&replay->sys, &replay->script, allocator, bell, effects_max,
                                 backend);
}

static bool are_possible(const struct tresor__host_facts *facts)
{
    enum {
        PAGE_BYTES_MIN = 512,
        PAGE_BYTES_MAX = 1 << 20
    };
    uint64_t page = facts->page_bytes;
    return page >= PAGE_BYTES_MIN && page <= PAGE_BYTES_MAX && (page & (page - 1)) == 0;
}

int32_t tresor__context_create_replayed(const struct tresor_context_options *options,
                                        struct tresor__replay *replay,
                                        struct tresor_context **context)
{
    struct tresor_context_options replayed = *options;
    *context = NULL;
    if (!are_possible(&replay->facts) || cannot_record(options))
        return TRESOR_ERROR_INVALID;
    replayed.numa = TRESOR_NUMA_DEFAULT;
    replayed.numa_nodes = 0;
    replay->sys = *tresor__sys_posix();
    replay->sys.cookie = replay;
    replay->sys.page_bytes = replayed_page_bytes;
    replay->sys.max_maps = replayed_max_maps;
    int32_t code = tresor__context_create_on(&replay->sys, make_replay, replay, &replayed, context);
    if (code == TRESOR_OK)
        (*context)->controller.io.is_recorded = true;
    return code;
}
