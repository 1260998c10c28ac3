/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "support/rows.h"

enum { UNIT_BYTES = 64 * 1024 };

struct world *world;

void world_violate(const char *format, ...)
{
    va_list arguments;
    if (world->violation[0])
        return;
    va_start(arguments, format);
    vsnprintf(world->violation, sizeof world->violation, format, arguments);
    va_end(arguments);
}

/* --- the system, as far as a context asks it anything itself --- */

static int64_t page_bytes(void *cookie)
{
    (void)cookie;
    return (int64_t)world->spec->page_bytes;
}

static int64_t give_random(void *cookie, void *bytes, size_t length)
{
    (void)cookie;
    memset(bytes, 7, length);
    return 0;
}

static int64_t map_nothing(void *cookie, enum tresor__sys_map kind, void *address, size_t length,
                           int descriptor, uint64_t offset, void **mapped)
{
    (void)cookie, (void)kind, (void)address, (void)length, (void)descriptor, (void)offset;
    *mapped = (void *)(uintptr_t)(UINT64_C(1) << 40);
    return 0;
}

static int64_t unmap_nothing(void *cookie, void *address, size_t length)
{
    (void)cookie, (void)address, (void)length;
    return 0;
}

static int64_t bell_open(void *cookie, int descriptors[2])
{
    (void)cookie;
    descriptors[0] = descriptors[1] = 0;
    return 0;
}

static int64_t do_nothing(void *cookie, int descriptor)
{
    (void)cookie, (void)descriptor;
    return 0;
}

static int64_t wake_nobody(void *cookie, const _Atomic uint32_t *word)
{
    (void)cookie, (void)word;
    return 0;
}

static int64_t max_maps(void *cookie)
{
    (void)cookie;
    return 1000;
}

static int64_t guard(void *cookie)
{
    (void)cookie;
    return 0;
}

static struct tresor__sys sys;

static void make_sys(void)
{
    sys = (struct tresor__sys){
        .map = map_nothing,
        .unmap = unmap_nothing,
        .max_maps = max_maps,
        .random = give_random,
        .page_bytes = page_bytes,
        .bell_open = bell_open,
        .bell_ring = do_nothing,
        .bell_clear = do_nothing,
        .close = do_nothing,
        .word_wake = wake_nobody,
        .guard_open = guard,
        .guard_close = guard,
    };
}

/* --- the backend --- */

static void mark_cancelled(struct tresor__effect *cancel)
{
    for (uint32_t i = 0; i < world->in_flight_count; i++) {
        struct tresor__effect *effect = &world->in_flight[i];
        if (effect->kind != TRESOR__EFFECT_READ || effect->machine != cancel->machine ||
            effect->slot != cancel->slot || effect->source != cancel->source)
            continue;
        effect->is_cancelled = true;
        cancel->is_cancelled = true;
    }
}

static void submit(struct tresor__backend *backend, const struct tresor__effect *effects,
                   uint32_t count)
{
    (void)backend;
    for (uint32_t i = 0; i < count; i++) {
        if (world->in_flight_count == WORLD_EFFECTS) {
            world_violate("more effects than the world has room for");
            return;
        }
        struct tresor__effect *effect = &world->in_flight[world->in_flight_count];
        *effect = effects[i];
        effect->is_cancelled = false;
        if (effect->kind == TRESOR__EFFECT_CANCEL)
            mark_cancelled(effect);
        world->in_flight_count++;
    }
}

static uint32_t poll(struct tresor__backend *backend, struct tresor__completion *completions,
                     uint32_t limit)
{
    (void)backend;
    if (!world->is_staged || limit == 0)
        return 0;
    completions[0] = world->staged;
    world->is_staged = false;
    return 1;
}

static bool pending(struct tresor__backend *backend)
{
    (void)backend;
    return world->is_staged;
}

static void never_wait(struct tresor__backend *backend, int32_t timeout_ms)
{
    (void)backend;
    if (timeout_ms != 0)
        world_violate("the library sleeps by itself");
}

static void destroy(struct tresor__backend *backend)
{
    (void)backend;
    if (world->in_flight_count > 0)
        world_violate("a backend ends with effects in flight");
}

static int32_t make_backend(void *argument, const struct tresor_allocator *allocator,
                            struct tresor__bell *bell, uint32_t effects_max,
                            struct tresor__backend **backend)
{
    (void)argument, (void)allocator, (void)bell, (void)effects_max;
    world->backend = (struct tresor__backend){.name = "world",
                                              .submit = submit,
                                              .poll = poll,
                                              .wait = never_wait,
                                              .pending = pending,
                                              .destroy = destroy};
    *backend = &world->backend;
    return TRESOR_OK;
}

/* --- the beginning and the end --- */

bool world_took_new;

static void observe(void *cookie, const struct tresor_transition *transition)
{
    bool *took_new = cookie;
    *took_new = rows_take(transition) || *took_new;
    if (world->context)
        check_room();
}



static struct tresor_context_options options_of(const struct world_spec *spec)
{
    uint64_t page = spec->page_bytes;
    return (struct tresor_context_options){
        .size_bytes = sizeof(struct tresor_context_options),
        .allocator = arena_hooks(),
        .sources_max = 1,
        .requests_max = spec->live_max + 1,
        .items_max = 8,
        .waits_max = spec->pairs > 0 ? spec->pairs : 8 + spec->crowd,
        .blocks_max = spec->blocks > 0 ? spec->blocks : 2,
        .block_bytes = spec->block_units > 0 ? spec->block_units * (uint64_t)UNIT_BYTES : page,
        .populate_bytes = spec->populate_units > 0 ? spec->populate_units * (uint64_t)UNIT_BYTES : page,
        .stages_max = spec->stages > 0 ? spec->stages : 2,
        .stage_bytes = page,
        .direct = spec->direct > 0 ? spec->direct : TRESOR_DIRECT_OFF,
        .spare_bytes = spec->spare_pages * page,
        .budget_bytes = spec->budget_halves * page / 2,
        .backend = spec->threads > 0 ? TRESOR_BACKEND_POOL : TRESOR_BACKEND_SYNC,
        .threads_max = spec->threads,
        .guard = spec->has_guard ? TRESOR_GUARD_SIGBUS : TRESOR_GUARD_DEFAULT,
        .observer = observe,
        .observer_cookie = &world_took_new,
    };
}

static void answer_all_well(void)
{
    for (uint32_t i = 0; i < 1000 && world->in_flight_count > 0 && !world->violation[0]; i++) {
        world_answer(0, OUTCOME_OK);
        host_settle(true);
    }
}

static void prepare(const struct op *op)
{
    if (!host_do(op))
        world_violate("what comes before was refused");
    host_settle(true);
    if (op->kind != OP_WATCH)
        answer_all_well();
}

void world_begin(const struct world_spec *spec)
{
    static const struct op open = {.kind = OP_OPEN};
    arena_reset();
    make_sys();
    model_make_files(spec);
    struct tresor_allocator allocator = arena_hooks();
    world = tresor__allocate(&allocator, sizeof *world);
    world->spec = spec;
    for (uint32_t i = 0; i < WORLD_PARTS; i++)
        for (uint32_t k = 0; k < WORLD_PAGES; k++)
            world->files[i].pages[k].backing = world->files[i].scratch[k].backing = TRESOR__BACKING_NONE;
    world->options = options_of(spec);
    int32_t code = tresor__context_create_on(&sys, make_backend, NULL, &world->options, &world->context);
    if (code != TRESOR_OK) {
        printf("# the context could not be made: %s\n", tresor_error_name(code));
        abort();
    }
    world->closed_bytes = arena_outstanding_bytes();
    if (!spec->begins_closed)
        prepare(&open);
    for (const struct op *op = spec->before; op && op->kind != OP_END; op++)
        prepare(op);
    arena_keep_first();
}

/* The context is not ended: the arena is all there is of it. */
void world_end(void)
{
    model_free_files();
}
