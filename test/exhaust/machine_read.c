/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "exhaust/exhaust.h"
#include "exhaust/file_world.h"
#include "io/seams.h"

enum {
    SPENT = 1,         /* pages that are to be unmapped, besides those in hand */
    WANTED = 2,        /* an extent that nobody has taken */
    EXTENT = 4,        /* one in hand */
    MORE = 8,          /* that still has users */
    FREE = 16,         /* a block is free */
    RUNNING = 32,      /* a block runs */
    GOOD = 64,         /* and has read all its bytes */
    LAST = 512,        /* one block could reach the end of the extent */
    PASSED = 1024,     /* all that was wanted of the extent has its block, which runs */
    RESERVED = 2048,   /* all is lookahead, and the blocks that are free are left to others */
    URGENT = 4096,     /* what is wanted is more urgent than the extent */
    MISPLACED = 1 << 18,  /* its pages are mapped, but on other nodes than were asked for */
    EXCHANGES = 8192,      /* what is spent can serve what is wanted */
    REFUSED = 16384,       /* it cannot, for the system has no moves */
    CROWDED = 32768,       /* it cannot, for there are too many maps, or as many as when a move was refused */
    GIVEN = 65536,         /* the extent in hand has the pages of a spent one that is in hand too */
    TWO_RUNS = 1 << 17,    /* which are two moves, the first of which is asked for */
    MAPPED_LAST = 1 << 19, /* so that what is spent has its turn */
    RUNNING_BLOCK = 0, /* the value of every input */
};

static bool makes_sense(uint32_t state, uint32_t event, uint32_t knobs)
{
    bool holds = state == READ_MAPPING || state == READ_MOVING || state == READ_FILLING;
    uint32_t stuck = knobs & (REFUSED | CROWDED);
    if ((knobs & EXCHANGES) && (!(knobs & SPENT) || !(knobs & WANTED) || stuck))
        return false;
    if ((knobs & GIVEN) && (!(knobs & EXTENT) || (knobs & PASSED)))
        return false;
    if (state == READ_MOVING && !(knobs & GIVEN))
        return false;
    if ((knobs & (MORE | PASSED)) && !(knobs & EXTENT))
        return false;
    if (!exhaust_at_most_one(knobs, MORE | PASSED) || ((knobs & RESERVED) && !(knobs & FREE)))
        return false;
    if ((knobs & URGENT) && (!(knobs & WANTED) || (knobs & RESERVED)))
        return false;
    if ((knobs & MISPLACED) && event != READ_ON_MAP_OK)
        return false;
    if ((event == READ_ON_BLOCK_END || (knobs & GOOD)) && !(knobs & RUNNING))
        return false;
    return state == READ_UNMAPPING || holds == !!(knobs & EXTENT);
}

static void step(struct tresor__file *file, uint32_t event)
{
    file_world_step(&tresor__read_machine, &file->read, event);
}

static void claim(struct tresor__file *file, uint32_t tensor, uint32_t knobs)
{
    tresor__ledger_claim(&file->ledger, tensor, TRESOR__BACKING_ANONYMOUS,
                         knobs & RESERVED ? TRESOR__URGENCY_LOOKAHEAD
                         : knobs & URGENT ? TRESOR__URGENCY_URGENT
                                          : TRESOR__URGENCY_NORMAL);
}

/* An extent that is left while its only block runs. */
static void run_block(struct tresor__file *file, uint32_t knobs)
{
    claim(file, TENSOR_RUNNING, knobs & RESERVED);
    step(file, READ_ON_TURN);
    step(file, READ_ON_MAP_OK);
    assert_int_equal(file->read.blocks_running, 1);
    struct tresor__block *block = &file_world.blocks[RUNNING_BLOCK];
    block->done = knobs & GOOD ? block->length : 1000;
    if (!(knobs & GOOD))
        block->failure = (struct tresor__failure){.code = TRESOR_ERROR_IO};
}

/* The first interval is passed over, given up and unmapped; one block reads the others. */
static void pass_extent(struct tresor__file *file)
{
    struct tresor__extent given_up;
    file_world.io.block_bytes = UINT64_C(16) * FILE_PAGE_BYTES;
    step(file, READ_ON_TURN);
    assert_true(tresor__ledger_take_release(&file->ledger, TRESOR__BACKING_ANONYMOUS, &given_up));
    tresor__ledger_released(&file->ledger, given_up, false, NULL);
}

/* Pages of a tensor that has gone are to be moved, have been, or its place is about to be mapped. */
static void exchange(struct tresor__file *file, uint32_t state, uint32_t knobs)
{
    file_world.io.room.seams_max = UINT32_MAX;
    if (knobs & TWO_RUNS)
        tresor__seams_map(&file->ledger, UINT64_C(6) * FILE_PAGE_BYTES, UINT64_C(7) * FILE_PAGE_BYTES, true);
    tresor__ledger_unclaim(&file->ledger, TENSOR_HAND, true);
    step(file, READ_ON_TURN);
    assert_true(file->read.exchange.is_on);
    if (state != READ_MAPPING)
        step(file, READ_ON_MAP_OK);
    if (state != READ_UNMAPPING)
        return;
    while (file->read.state == READ_MOVING)
        step(file, READ_ON_MOVE_OK);
}

static void take_extent(struct tresor__file *file, uint32_t state, uint32_t knobs)
{
    claim(file, TENSOR_LEFT, knobs & RESERVED);
    claim(file, TENSOR_RIGHT, knobs & RESERVED);
    if (knobs & GIVEN) {
        exchange(file, state, knobs);
    } else {
        step(file, READ_ON_TURN);
        if (state != READ_MAPPING)
            step(file, READ_ON_MAP_OK);
    }
    if (knobs & MORE)
        return;
    tresor__ledger_unclaim(&file->ledger, TENSOR_LEFT, false);
    if (knobs & PASSED) {
        pass_extent(file);
        return;
    }
    tresor__ledger_unclaim(&file->ledger, TENSOR_RIGHT, false);
}

/* While a block is free what is in hand comes first. */
static void unmap_hand(struct tresor__file *file)
{
    uint32_t free_count = file_world.io.free_count;
    file_world.io.free_count = 0;
    tresor__ledger_unclaim(&file->ledger, TENSOR_HAND, true);
    step(file, READ_ON_TURN);
    file_world.io.free_count = free_count;
}

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    if (!makes_sense(state, event, knobs))
        return NULL;
    struct tresor__file *file = file_world_make();
    file_world_load(TENSOR_HAND, TRESOR__BACKING_ANONYMOUS);
    file_world_load(TENSOR_SPENT, TRESOR__BACKING_ANONYMOUS);
    if (knobs & RUNNING)
        run_block(file, knobs);
    if (knobs & EXTENT)
        take_extent(file, state, knobs);
    if (state == READ_UNMAPPING && !(knobs & GIVEN))
        unmap_hand(file);
    if (knobs & SPENT)
        tresor__ledger_unclaim(&file->ledger, TENSOR_SPENT, true);
    if (knobs & WANTED)
        claim(file, TENSOR_WANTED, knobs & (URGENT | RESERVED));
    file->read.mapped_last = knobs & MAPPED_LAST;
    if (knobs & FAILED_OFTEN)
        file->read.walk.retries = TRESOR__RETRIES_MAX;
    bool is_movable = (knobs & (EXCHANGES | REFUSED)) || (state == READ_MOVING && (knobs & TWO_RUNS));
    file_world.io.room.seams_max = is_movable && (state != READ_MOVING || !(knobs & CROWDED)) ? UINT32_MAX : 0;
    file->read.never_moves = knobs & REFUSED;
    file->read.seams_refused = knobs & CROWDED ? file_world.io.room.seam_count : 0;
    if (knobs & NO_ROOM)
        file_world_fill_room();
    file_world.io.block_bytes = FILE_PAGE_BYTES * (knobs & LAST ? UINT64_C(16) : 1);
    while (file_world.io.free_count > (knobs & RESERVED ? 1 : 0) &&
           (!(knobs & FREE) || (knobs & RESERVED)))
        tresor__io_take_block(&file_world.io);
    return &file->read;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    struct tresor__input told = file_world_input(event, knobs);
    told.event = event;
    told.value = knobs & MISPLACED ? EPERM : RUNNING_BLOCK;
    return told;
}

int main(void)
{
    static const uint32_t knobs[] = {
        [READ_IDLE] = FAILED_OFTEN | SPENT | WANTED | FREE | RUNNING | GOOD | NO_ROOM | EXCHANGES |
                      REFUSED | CROWDED | MAPPED_LAST,
        [READ_MAPPING] = SPENT | WANTED | EXTENT | MORE | FREE | RUNNING | GOOD |
                         FAILED_TRANSIENTLY | FAILED_OFTEN | LAST | RESERVED | GIVEN | MISPLACED,
        [READ_MOVING] = SPENT | WANTED | EXTENT | MORE | RUNNING | GOOD | FAILED_TRANSIENTLY |
                        FAILED_OFTEN | GIVEN | TWO_RUNS | CROWDED,
        [READ_FILLING] =
            FAILED_OFTEN | SPENT | WANTED | EXTENT | MORE | FREE | RUNNING | GOOD | LAST |
                         PASSED | RESERVED | URGENT | EXCHANGES | REFUSED,
        [READ_UNMAPPING] = SPENT | WANTED | EXTENT | MORE | FREE | RUNNING | GOOD |
                           FAILED_TRANSIENTLY | FAILED_OFTEN | PASSED | GIVEN | TWO_RUNS,
    };
    static const struct exhaust_guard guards[] = {
        {"can_exchange", .all = EXCHANGES},
        {"has_useless", .all = SPENT, .none = EXCHANGES},
        {"is_exchange", .all = GIVEN},
        {"has_more_to_move", .all = TWO_RUNS, .none = CROWDED},
        {"has_turn_to_map", .all = WANTED, .none = NO_ROOM | MAPPED_LAST},
        {"has_spent", .all = SPENT},
        {"has_room", .all = WANTED, .none = NO_ROOM},
        {"has_wanted", .all = WANTED},
        {"is_last_block", .all = LAST | FREE | MORE, .none = RESERVED},
        {"has_more_and_block", .all = MORE | FREE, .none = RESERVED},
        {"has_more", .all = MORE},
        {"is_overtaken", .all = URGENT | EXTENT, .none = PASSED},
        {"has_extent", .all = EXTENT},
        {"may_retry", .all = FAILED_TRANSIENTLY, .none = FAILED_OFTEN},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__read_machine,
        FILE_WORLD,
        .make = make,
        .input = input,
        .knobs = knobs,
        EXHAUST_GUARDS(guards),
        .retries = &file_world_make()->read.walk.retries,
        .fresh = EXHAUST_BIT(TRESOR__EFFECT_MAP) | EXHAUST_BIT(TRESOR__EFFECT_MOVE) |
                 EXHAUST_BIT(TRESOR__EFFECT_UNMAP),
        .effects = EXHAUST_BIT(TRESOR__EFFECT_MAP) | EXHAUST_BIT(TRESOR__EFFECT_MOVE) |
                   EXHAUST_BIT(TRESOR__EFFECT_UNMAP),
        .messages = EXHAUST_SENDS(AGAIN) | EXHAUST_SENDS(LOOK) | EXHAUST_SENDS(BLOCK_START) |
                    EXHAUST_SENDS(AWAIT_BLOCK) | EXHAUST_SENDS(AWAIT_ROOM) | EXHAUST_SENDS(DEGRADED),
        .eager = EXHAUST_BIT(READ_FILLING),
        .looked = EXHAUST_BIT(READ_IDLE),
    };
    return exhaust_run(&fixture);
}
