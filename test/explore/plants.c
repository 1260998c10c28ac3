/* SPDX-License-Identifier: MIT */
/*
 * Faults that are planted in the library must be found, each by the check that is there for it. The linker puts what is
 * below in the place of the library's own functions.
 */
#include "support/test.h"

#include <string.h>

#include "explorer.h"
#include "worlds.h"

enum plant {
    PLANT_NONE,
    PLANT_BLIND_SEAL,    /* what is acquired is evicted */
    PLANT_LOST_RELEASE,  /* a release is forgotten */
    PLANT_LOST_PAIR,     /* what waited for a tensor is never free again */
    PLANT_LOST_BLOCK,
    PLANT_LOST_STAGE,
    PLANT_LOST_EVENT,    /* the end of a request is not told */
    PLANT_NO_NEED,       /* tensors are admitted without room */
    PLANT_NEVER_BUSY,    /* a source closes while it is read from */
    PLANT_WIDE_UNLOCK,   /* a neighbour's page is unlocked too */
    PLANT_WIDE_UNMAP,
    PLANT_SHORT_UNMAP,   /* a page stays behind */
};

static enum plant plant;

/* --- in the place of the library's --- */

bool __real_tresor__pins_seal(struct tresor__slot *slot, uint32_t piece);
bool __wrap_tresor__pins_seal(struct tresor__slot *slot, uint32_t piece);
bool __wrap_tresor__pins_seal(struct tresor__slot *slot, uint32_t piece)
{
    return __real_tresor__pins_seal(slot, piece) || plant == PLANT_BLIND_SEAL;
}

int32_t __real_tresor__pins_release_one(struct tresor__slot *slot, uint32_t generation,
                                        uint32_t piece, bool *is_awaited);
int32_t __wrap_tresor__pins_release_one(struct tresor__slot *slot, uint32_t generation,
                                        uint32_t piece, bool *is_awaited);
int32_t __wrap_tresor__pins_release_one(struct tresor__slot *slot, uint32_t generation,
                                        uint32_t piece, bool *is_awaited)
{
    return plant == PLANT_LOST_RELEASE
               ? TRESOR_OK
               : __real_tresor__pins_release_one(slot, generation, piece, is_awaited);
}

void __real_tresor__waits_free(struct tresor__controller *controller, uint32_t pair);
void __wrap_tresor__waits_free(struct tresor__controller *controller, uint32_t pair);
void __wrap_tresor__waits_free(struct tresor__controller *controller, uint32_t pair)
{
    if (plant != PLANT_LOST_PAIR)
        __real_tresor__waits_free(controller, pair);
}

void __real_tresor__io_give_block(struct tresor__io *io, uint32_t block);
void __wrap_tresor__io_give_block(struct tresor__io *io, uint32_t block);
void __wrap_tresor__io_give_block(struct tresor__io *io, uint32_t block)
{
    if (plant != PLANT_LOST_BLOCK)
        __real_tresor__io_give_block(io, block);
}

void __real_tresor__io_give_stage(struct tresor__io *io, uint32_t stage);
void __wrap_tresor__io_give_stage(struct tresor__io *io, uint32_t stage);
void __wrap_tresor__io_give_stage(struct tresor__io *io, uint32_t stage)
{
    if (plant != PLANT_LOST_STAGE)
        __real_tresor__io_give_stage(io, stage);
}

void __real_tresor__events_add(struct tresor__controller *controller, uint32_t identifier);
void __wrap_tresor__events_add(struct tresor__controller *controller, uint32_t identifier);
void __wrap_tresor__events_add(struct tresor__controller *controller, uint32_t identifier)
{
    if (plant != PLANT_LOST_EVENT)
        __real_tresor__events_add(controller, identifier);
}

uint64_t __real_tresor__ledger_need(const struct tresor__ledger *ledger, uint32_t span);
uint64_t __wrap_tresor__ledger_need(const struct tresor__ledger *ledger, uint32_t span);
uint64_t __wrap_tresor__ledger_need(const struct tresor__ledger *ledger, uint32_t span)
{
    return plant == PLANT_NO_NEED ? 0 : __real_tresor__ledger_need(ledger, span);
}

bool __real_tresor__file_busy(const struct tresor__file *file);
bool __wrap_tresor__file_busy(const struct tresor__file *file);
bool __wrap_tresor__file_busy(const struct tresor__file *file)
{
    return plant != PLANT_NEVER_BUSY && __real_tresor__file_busy(file);
}

void __real_tresor__file_ask(const struct tresor__file *file, struct tresor__outbox *out,
                             struct tresor__effect effect, uint64_t start, uint64_t length);
void __wrap_tresor__file_ask(const struct tresor__file *file, struct tresor__outbox *out,
                             struct tresor__effect effect, uint64_t start, uint64_t length);
void __wrap_tresor__file_ask(const struct tresor__file *file, struct tresor__outbox *out,
                             struct tresor__effect effect, uint64_t start, uint64_t length)
{
    uint64_t page = file->io->page_bytes;
    if ((plant == PLANT_WIDE_UNLOCK && effect.kind == TRESOR__EFFECT_UNLOCK) ||
        (plant == PLANT_WIDE_UNMAP && effect.kind == TRESOR__EFFECT_UNMAP))
        length += page;
    if (plant == PLANT_SHORT_UNMAP && effect.kind == TRESOR__EFFECT_UNMAP && length > page)
        length -= page;
    __real_tresor__file_ask(file, out, effect, start, length);
}

/* --- the worlds they are found in --- */

/* Both tensors are there and locked. */
static const struct world_spec locked_world = {
    .name = "two locked tensors",
    .page_bytes = 65536,
    .quarters = {5, 5},
    .live_max = 1,
    .before = (const struct op[]){{.kind = OP_LOAD}, {.kind = OP_LOCK}, {.kind = OP_END}},
    .ops = (const struct op[]){{.kind = OP_UNLOCK, .pieces = 1}, {.kind = OP_END}},
};

static const struct world_spec *world_of(const char *name)
{
    if (strcmp(locked_world.name, name) == 0)
        return &locked_world;
    for (uint32_t i = 0; i < world_count; i++)
        if (strcmp(worlds[i].name, name) == 0)
            return &worlds[i];
    fail_msg("there is no world of %s", name);
    return NULL;
}

static void must_be_found(enum plant planted, const char *name, const char *violation)
{
    enum { STATES_MAX = 6000 };
    plant = planted;
    struct explored explored = explorer_run(world_of(name), STATES_MAX);
    plant = PLANT_NONE;
    if (!strstr(explored.violation, violation))
        fail_msg("in %s: \"%s\" was found, and not \"%s\"", name, explored.violation, violation);
}

static void nothing_is_found_where_nothing_is_planted(void **state)
{
    (void)state;
    struct explored explored = explorer_run(world_of("streams of what is cached"), 1000);
    assert_string_equal(explored.violation, "");
}

static void pins_are_respected(void **state)
{
    (void)state;
    must_be_found(PLANT_BLIND_SEAL, "loads, evictions and users", "acquired, and its bytes are not");
}

static void a_forgotten_release_is_found(void **state)
{
    (void)state;
    must_be_found(PLANT_LOST_RELEASE, "loads, evictions and users", "never ends");
}

static void a_lost_pair_is_found(void **state)
{
    (void)state;
    must_be_found(PLANT_LOST_PAIR, "loads, evictions and users", "pairs are not free");
}

static void a_lost_block_is_found(void **state)
{
    (void)state;
    must_be_found(PLANT_LOST_BLOCK, "loads, evictions and users", "a block is lost");
}

static void a_lost_stage_is_found(void **state)
{
    (void)state;
    must_be_found(PLANT_LOST_STAGE, "streams", "a stage is not free");
}

static void a_lost_event_is_found(void **state)
{
    (void)state;
    must_be_found(PLANT_LOST_EVENT, "copies of what is cached", "never ends");
}

static void a_broken_budget_is_found(void **state)
{
    (void)state;
    must_be_found(PLANT_NO_NEED, "a budget for one and a half", "charged bytes, of");
}

static void a_close_that_is_too_early_is_found(void **state)
{
    (void)state;
    must_be_found(PLANT_NEVER_BUSY, "closing at any time", "a map without a window");
}

static void a_use_after_unmap_is_found(void **state)
{
    (void)state;
    must_be_found(PLANT_WIDE_UNMAP, "loads, evictions and users", "its bytes are not");
}

/* Not the library's doing: the system takes pages away that are being read into. */
static void a_read_into_what_is_gone_is_found(void **state)
{
    static const struct op load = {.kind = OP_LOAD, .strategy = TRESOR_STRATEGY_READ};
    (void)state;
    world_begin(world_of("loads, evictions and users"));
    assert_true(host_do(&load));
    host_settle(true);
    while (world->in_flight[0].kind != TRESOR__EFFECT_READ) {
        world_answer(0, OUTCOME_OK);
        host_settle(true);
    }
    struct tresor__effect *unmap = &world->in_flight[world->in_flight_count++];
    *unmap = world->in_flight[0];
    unmap->kind = TRESOR__EFFECT_UNMAP;
    world_answer(world->in_flight_count - 1, OUTCOME_OK);
    assert_string_equal(world->violation, "an unmap of pages that a read in flight goes to, or a look at");
    world_end();
}

static void a_lost_lock_is_found(void **state)
{
    (void)state;
    must_be_found(PLANT_WIDE_UNLOCK, "two locked tensors", "is locked, and its pages are not");
}

static void a_page_that_stays_is_found(void **state)
{
    (void)state;
    must_be_found(PLANT_SHORT_UNMAP, "loads, evictions and users", "are charged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_found_where_nothing_is_planted),
        cmocka_unit_test(pins_are_respected),
        cmocka_unit_test(a_forgotten_release_is_found),
        cmocka_unit_test(a_lost_pair_is_found),
        cmocka_unit_test(a_lost_block_is_found),
        cmocka_unit_test(a_lost_stage_is_found),
        cmocka_unit_test(a_lost_event_is_found),
        cmocka_unit_test(a_broken_budget_is_found),
        cmocka_unit_test(a_close_that_is_too_early_is_found),
        cmocka_unit_test(a_use_after_unmap_is_found),
        cmocka_unit_test(a_read_into_what_is_gone_is_found),
        cmocka_unit_test(a_lost_lock_is_found),
        cmocka_unit_test(a_page_that_stays_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
