/* SPDX-License-Identifier: MIT */
/* Making and ending a context: options in, backend chosen, parts wired. */
#include "backend/actor.h"
#include "context.h"
#include "core/handle.h"

enum {
    SOURCES_DEFAULT = 16,
    REQUESTS_DEFAULT = 1024,
    ITEMS_DEFAULT = 4096,
    WAITS_DEFAULT = 16384,
    BLOCKS_DEFAULT = 128, /* 256 MiB: what lasts through 20 ms without a dispatch */
    DISPATCH_DEFAULT = 64,
    BLOCK_BYTES_DEFAULT = 2 * 1024 * 1024,
    POPULATE_BYTES_DEFAULT = 512 * 1024 * 1024, /* a warm one takes a millisecond; a cold one is 8 MiB at most */
    BLOCK_BYTES_UNIT = 64 * 1024,
    STAGES_DEFAULT = 16,
    STAGES_MAX = 4096,
    STAGE_BYTES_DEFAULT = 1024 * 1024,
    THREADS_DEFAULT = 4,
    THREADS_MAX = 256,
    MAPS_DEFAULT = 65530, /* of a process, where the system does not tell */
    POOL_MAX = 1 << 24,
};

#define BLOCK_BYTES_MAX (UINT64_C(1) << 30)

static bool choose(uint32_t *value, uint32_t default_value, uint32_t limit)
{
    if (*value == 0)
        *value = default_value;
    return *value <= limit;
}

static bool choose_bytes(uint64_t *value, uint64_t default_value)
{
    if (*value == 0)
        *value = default_value;
    return *value % BLOCK_BYTES_UNIT == 0 && *value <= BLOCK_BYTES_MAX;
}

static int32_t complete_options(struct tresor_context_options *options)
{
    const struct {
        uint32_t *value;
        uint32_t default_value;
        uint32_t limit;
    } pools[] = {
        {&options->sources_max, SOURCES_DEFAULT, TRESOR__SOURCES_MAX},
        {&options->requests_max, REQUESTS_DEFAULT, POOL_MAX},
        {&options->items_max, ITEMS_DEFAULT, POOL_MAX},
        {&options->waits_max, WAITS_DEFAULT, POOL_MAX},
        {&options->blocks_max, BLOCKS_DEFAULT, POOL_MAX},
        {&options->dispatch_max, DISPATCH_DEFAULT, POOL_MAX},
        {&options->threads_max, THREADS_DEFAULT, THREADS_MAX},
        {&options->stages_max, STAGES_DEFAULT, STAGES_MAX},
    };
    if (options->strategy == TRESOR_STRATEGY_DEFAULT)
        options->strategy = TRESOR_STRATEGY_MMAP;
    if (options->backend == TRESOR_BACKEND_DEFAULT)
        options->backend = TRESOR_BACKEND_AUTO;
    if (options->policy == TRESOR_POLICY_DEFAULT)
        options->policy = TRESOR_POLICY_LRU;
    if (options->direct == TRESOR_DIRECT_DEFAULT)
        options->direct = TRESOR_DIRECT_AUTO;
    bool valid = options->direct <= TRESOR_DIRECT_OFF && options->policy <= TRESOR_POLICY_PRIORITY &&
                 (options->pressure == 0 || options->pressure == TRESOR_PRESSURE_MEMORY ||
                  options->pressure == (TRESOR_PRESSURE_MEMORY | TRESOR_PRESSURE_SHRINK));
    for (uint32_t i = 0; i < sizeof pools / sizeof pools[0]; i++)
        valid = choose(pools[i].value, pools[i].default_value, pools[i].limit) && valid;
    valid = choose_bytes(&options->block_bytes, BLOCK_BYTES_DEFAULT) && valid;
    valid = choose_bytes(&options->populate_bytes, POPULATE_BYTES_DEFAULT) && valid;
    valid = choose_bytes(&options->stage_bytes, STAGE_BYTES_DEFAULT) && valid;
    valid = valid && options->strategy <= TRESOR_STRATEGY_READ &&
            options->guard <= TRESOR_GUARD_SIGBUS &&
            options->reserved == 0 &&
            !options->allocator.reallocate == !options->allocator.free;
    return valid ? TRESOR_OK : TRESOR_ERROR_INVALID;
}

/* Pages that were moved are maps of their own, and half of what a process may have is left to the host. */
static uint32_t seams_of(const struct tresor__sys *sys)
{
    int64_t maps = sys->max_maps(sys->cookie);
    if (maps <= 0)
        maps = MAPS_DEFAULT;
    return maps / 2 < UINT32_MAX ? (uint32_t)(maps / 2) : UINT32_MAX;
}

static int32_t make_controller(struct tresor_context *context, const struct tresor__sys *sys,
                               const struct tresor_context_options *options)
{
    struct tresor__controller_limits limits = {
        .sources = options->sources_max,
        .requests = options->requests_max,
        .items = options->items_max,
        .pairs = options->waits_max,
        .blocks = options->blocks_max,
        .stages = options->stages_max,
        .stage_bytes = options->stage_bytes,
        .spare_bytes = options->spare_bytes,
        .block_bytes = options->block_bytes,
        .populate_bytes = options->populate_bytes,
        .ahead_max = tresor__backend_ahead_max(options->backend, options->threads_max),
        .seams_max = seams_of(sys),
        .strategy = options->strategy,
        .budget_bytes = options->budget_bytes,
        .policy = options->policy,
        .direct = options->direct,
    };
    int64_t page_bytes = sys->page_bytes(sys->cookie);
    if (page_bytes <= 0 || sys->random(sys->cookie, limits.hash_key, sizeof limits.hash_key) < 0)
        return TRESOR_ERROR_UNSUPPORTED;
    limits.page_bytes = (uint64_t)page_bytes;
    return tresor__controller_init(&context->controller, &context->allocator, &limits);
}

static size_t stages_bytes(const struct tresor__controller *controller)
{
    return controller->limits.stages * (size_t)tresor__io_stage_room(&controller->io);
}

static int32_t make_stages(struct tresor_context *context)
{
    void *memory = NULL;
    int64_t result =
        tresor__memory_open(context->sys, stages_bytes(&context->controller), &memory);
    context->controller.stage_memory = memory;
    return result < 0 ? TRESOR_ERROR_NO_MEMORY : TRESOR_OK;
}

void tresor__context_free(struct tresor_context *context)
{
    struct tresor_allocator allocator = context->allocator;
    struct tresor__controller *controller = &context->controller;
    if (controller->stage_memory)
        tresor__memory_close(context->sys, stages_bytes(controller), controller->stage_memory);
    tresor__controller_free(controller);
    tresor__free(&allocator, context, sizeof *context);
}

/* The bell before who rings it: the backend, and the watch. */
static int32_t make_actors(struct tresor_context *context, tresor__backend_maker *make,
                           void *argument, const struct tresor_context_options *options)
{
    int32_t code = tresor__bell_open(&context->bell, context->sys);
    if (code != TRESOR_OK)
        return code;
    code = make ? make(argument, &context->allocator, &context->bell,
                       context->controller.effects_max, &context->backend)
                : tresor__backend_make(context, options->backend, &context->backend);
    if (code == TRESOR_OK) {
        code = tresor__context_guard(context, options->guard);
        if (code == TRESOR_OK)
            code = tresor__context_watch(context, options->pressure);
        if (code != TRESOR_OK) {
            tresor__context_unguard(context);
            context->backend->destroy(context->backend);
        }
    }
    if (code != TRESOR_OK)
        tresor__bell_close(&context->bell);
    return code;
}

int32_t tresor__context_create_on(const struct tresor__sys *sys, tresor__backend_maker *make,
                                  void *argument, const struct tresor_context_options *given,
                                  struct tresor_context **context)
{
    struct tresor_context_options options = {0};
    *context = NULL;
    int32_t code = given ? tresor__options_copy(&options, sizeof options, given) : TRESOR_OK;
    if (code == TRESOR_OK)
        code = complete_options(&options);
    if (code != TRESOR_OK)
        return code;
    struct tresor_allocator allocator = tresor__allocator_or_default(&options.allocator);
    struct tresor_context *made = tresor__allocate(&allocator, sizeof *made);
    if (!made)
        return TRESOR_ERROR_NO_MEMORY;
    made->allocator = allocator;
    made->sys = sys;
    made->dispatch_max = options.dispatch_max;
    made->threads_max = options.threads_max;
    code = tresor__actor_copy(&made->actor, options.actor);
    if (code == TRESOR_OK && !tresor__backend_is_known(options.backend, &made->actor))
        code = TRESOR_ERROR_INVALID;
    if (code == TRESOR_OK)
        code = tresor__nodes_choose(sys, &options, &made->nodes);
    if (code == TRESOR_OK)
        code = make_controller(made, sys, &options);
    if (code == TRESOR_OK) {
        made->controller.observer = options.observer;
        made->controller.observer_cookie = options.observer_cookie;
        code = make_stages(made);
    }
    if (code == TRESOR_OK)
        code = make_actors(made, make, argument, &options);
    if (code == TRESOR_OK)
        *context = made;
    else
        tresor__context_free(made);
    return code;
}

int32_t tresor__context_create_over(const struct tresor__sys *sys,
                                    const struct tresor_context_options *options,
                                    struct tresor_context **context)
{
    return tresor__context_create_on(sys, NULL, NULL, options, context);
}

int32_t tresor_context_create(const struct tresor_context_options *options,
                              struct tresor_context **context)
{
    return context ? tresor__context_create_over(tresor__sys_posix(), options, context)
                   : TRESOR_ERROR_INVALID;
}
