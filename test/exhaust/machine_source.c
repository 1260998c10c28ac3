/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include <tresor/strategy.h>

#include "exhaust/exhaust.h"
#include "io/extent.h"
#include "source/source.h"

enum {
    CANCELLED = 1 << 0,
    TRANSIENT = 1 << 1,
    TIRED = 1 << 2,
    EMPTY = 1 << 3,    /* the file has no bytes */
    NEED = 1 << 8,     /* the parser wants more of the header */
    TOO_MUCH = 1 << 9, /* than there may be */
    FAILED = 1 << 10,  /* the parser failed */
    CHANGED = 1 << 11, /* the file, since it was opened */
    OTHER = 1 << 12,   /* the opened file is not the first of the set */
    LATER = 1 << 13,   /* not the first file */
    MORE = 1 << 14,    /* not the last file */
    WINDOW = 1 << 15,  /* held */
    HEADER = 1 << 16,
    DESCRIPTOR = 1 << 17,
    BROKEN = 1 << 18, /* an error came before */
    WISHES = 1 << 19, /* direct reads are wanted */
    SHORT = 1 << 21,  /* the file has less than its origin promises */
    COARSE = 1 << 20, /* their alignment is more than a page */
    PACKED = 1 << 22, /* the file is compressed */
    DONE = 1 << 23,   /* all of it is decoded */
    HUNGRY = 1 << 24, /* all that was read of it is */
    PAGES = 1 << 25,  /* there are pages to decode into */
    FULL = 1 << 26,   /* there is no room for more */
    HELD = 1 << 27,   /* all files are decoded */
};

enum {
    FILES_MAX = 4,
    WANT_BYTES = 65536,
    HAVE_BYTES = 1024,
    HEADER_BYTES = 100000,
};

static struct {
    struct tresor__source source;
    struct tresor__model_file files[FILES_MAX];
    struct tresor__io io;
    uint8_t memory[2];
} world;

static bool is_opening(uint32_t state)
{
    return state >= SOURCE_SIZING && state <= SOURCE_DIRECTING;
}

/* Which of how many files, so that it is (not) the first and (not) the last. */
static void place_file(struct tresor__model *model, uint32_t knobs)
{
    bool later = knobs & LATER;
    bool more = knobs & MORE;
    model->file_count = later || more ? 3 : 1;
    model->file_total = model->file_count;
    model->file = !later ? 0 : more ? 1 : 2;
    model->is_other_first = knobs & OTHER;
    if (knobs & OTHER)
        model->file = model->file_total++;
}

static void hold(uint32_t state, uint32_t knobs)
{
    struct tresor__model *model = &world.source.model;
    struct tresor__model_file *file = &world.files[model->file];
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        world.files[i].descriptor = -1;
        world.files[i].direct_descriptor = -1;
        world.files[i].io.direct.facts.alignment_bytes = knobs & COARSE ? 8192 : 512;
        world.files[i].identity.size_bytes = HEADER_BYTES;
        world.files[i].window_bytes = 2 * 1024 * 1024;
    }
    if (is_opening(state) || (knobs & DESCRIPTOR))
        file->descriptor = 9;
    if ((state >= SOURCE_READING && state <= SOURCE_TRIMMING) || (knobs & HEADER))
        file->header = &world.memory[0];
    file->header_bytes = HEADER_BYTES;
    file->header_have_bytes = state >= SOURCE_READING ? HAVE_BYTES : 0;
    if (knobs & WINDOW)
        file->window = &world.memory[1];
    for (uint32_t i = 0; i < model->file_count; i++) {
        if (state == SOURCE_READY || state == SOURCE_DIRECTING || (state == SOURCE_RESERVING && i < model->file))
            world.files[i].window = &world.memory[1];
        if (state == SOURCE_READY || state == SOURCE_RESERVING || state == SOURCE_DIRECTING)
            world.files[i].descriptor = 9;
    }
    file->seen = file->identity;
    if (knobs & CHANGED)
        file->seen.changed_ns++;
    if (knobs & SHORT)
        file->origin.length_bytes = HEADER_BYTES + 1;
    if (knobs & EMPTY)
        file->seen.size_bytes = 0;
}

/* The compressed file, as far as it has come. */
static void pack(uint32_t state, uint32_t knobs)
{
    struct tresor__model *model = &world.source.model;
    struct tresor__model_file *file = &world.files[model->file];
    struct tresor__held *held = &file->held;
    bool is_under_way = state >= SOURCE_HOLDING && state <= SOURCE_CUTTING;
    for (uint32_t i = 0; knobs & HELD && i < model->file_count; i++) {
        world.files[i].descriptor = 9;
        world.files[i].held.is_whole = true;
        world.files[i].window = &world.memory[1];
    }
    if (!is_under_way && !(knobs & PACKED))
        return;
    held->compression = TRESOR_COMPRESSION_GZIP;
    if (state == SOURCE_PARSING || state == SOURCE_HOLDING)
        return;
    file->window = &world.memory[1];
    held->limit_bytes = 1 << 20;
    held->reserved_bytes = 4 << 20;
    held->made_bytes = 5000;
    held->mapped_bytes = knobs & PAGES || state == SOURCE_CUTTING ? 12288 : 5000;
    held->status = knobs & DONE     ? TRESOR__DECODE_DONE
                   : knobs & HUNGRY ? TRESOR__DECODE_NEEDS_INPUT
                                    : TRESOR__DECODE_NEEDS_ROOM;
    world.source.map_bytes = state == SOURCE_ROOMING ? 4096 : 0;
    world.io.room.held_bytes = held->mapped_bytes + world.source.map_bytes;
    world.io.room.charged_bytes = world.io.room.held_bytes;
}

static bool makes_sense(uint32_t state, uint32_t knobs)
{
    if ((knobs & TOO_MUCH) && !(knobs & NEED))
        return false;
    if ((knobs & NEED) && (knobs & FAILED))
        return false;
    if ((knobs & PACKED) && state == SOURCE_RELEASING && !(knobs & WINDOW))
        return false;
    if ((knobs & OTHER) && state == SOURCE_VERIFYING && (!(knobs & LATER) || (knobs & MORE)))
        return false;
    if (state == SOURCE_TRIMMING && !(knobs & LATER))
        return false;
    if (state == SOURCE_RELEASING && !(knobs & (WINDOW | HEADER)))
        return false;
    if (state == SOURCE_CLOSING && !(knobs & DESCRIPTOR))
        return false;
    return exhaust_at_most_one(knobs, READ_VALUES);
}

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    struct tresor__source *source = &world.source;
    (void)event;
    if (!makes_sense(state, knobs))
        return NULL;
    memset(&world, 0, sizeof world);
    source->state = (uint8_t)state;
    source->index = 3;
    source->cancelled = knobs & CANCELLED;
    source->retries = knobs & TIRED ? TRESOR__RETRIES_MAX : 0;
    source->header_want_bytes = WANT_BYTES;
    source->model.files = world.files;
    source->model.source = 3;
    source->model.io = &world.io;
    world.io.page_bytes = 4096;
    world.io.direct = knobs & WISHES ? TRESOR_DIRECT_AUTO : TRESOR_DIRECT_OFF;
    world.io.room.limit_bytes = knobs & FULL ? 0 : UINT64_MAX;
    place_file(&source->model, knobs);
    hold(state, knobs);
    pack(state, knobs);
    if (knobs & NEED) {
        source->model.parsed.status = TRESOR__PARSE_NEED;
        source->model.parsed.need_bytes = knobs & TOO_MUCH ? HEADER_BYTES + 1 : HEADER_BYTES;
    } else if (knobs & FAILED) {
        source->model.parsed.status = TRESOR__PARSE_FAILED;
        source->model.parsed.error.code = TRESOR_ERROR_MALFORMED;
    }
    if (knobs & BROKEN)
        source->error.code = TRESOR_ERROR_IO;
    return source;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    int64_t value = exhaust_read_value(knobs, WANT_BYTES - HAVE_BYTES);
    if (event == SOURCE_ON_OPEN_OK || event == SOURCE_ON_OPEN_DIRECT_OK)
        value = 9;
    if (event == SOURCE_ON_RESERVE_OK)
        value = (int64_t)(uintptr_t)&world.memory[1];
    return (struct tresor__input){.value = value, .os_errno = knobs & TRANSIENT ? EINTR : EIO};
}

/* Tearing down keeps what happened first. */
static void check(void)
{
    const struct tresor__source *source = &world.source;
    uint64_t held = source->map_bytes;
    for (uint32_t i = 0; i < FILES_MAX; i++)
        held += world.files[i].held.mapped_bytes;
    assert_int_equal(world.io.room.held_bytes, held);
    assert_int_equal(world.io.room.charged_bytes, held);
    if (source->state == SOURCE_READY)
        assert_error(source->error.code, TRESOR_OK);
    for (uint32_t i = 0; i < FILES_MAX; i++)
        if (i >= source->model.file_total)
            assert_int_equal(world.files[i].descriptor, -1);
}

int main(void)
{
    static const uint32_t knobs[] = {
        [SOURCE_FREE] = TIRED | TRANSIENT,
        [SOURCE_OPENING] = CANCELLED | TRANSIENT | TIRED | LATER | MORE,
        [SOURCE_SIZING] = CANCELLED | TRANSIENT | EMPTY | SHORT,
        [SOURCE_PREPARING] = TIRED | CANCELLED | LATER,
        [SOURCE_READING] = CANCELLED | TRANSIENT | TIRED | READ_VALUES,
        [SOURCE_PARSING] = TIRED | CANCELLED | NEED | TOO_MUCH | FAILED | LATER | PACKED,
        [SOURCE_HOLDING] = CANCELLED | LATER,
        [SOURCE_DECODING] = CANCELLED | FAILED | DONE | HUNGRY | PAGES | FULL | TIRED,
        [SOURCE_ROOMING] = CANCELLED | TRANSIENT | TIRED,
        [SOURCE_FETCHING] = CANCELLED | TRANSIENT | TIRED | READ_VALUES,
        [SOURCE_CUTTING] = CANCELLED | TIRED,
        [SOURCE_VERIFYING] = TIRED | CANCELLED | CHANGED | OTHER | LATER | MORE,
        [SOURCE_TRIMMING] = TIRED | CANCELLED | LATER | MORE,
        [SOURCE_INDEXING] = CANCELLED | FAILED | LATER | HELD,
        [SOURCE_RESERVING] = CANCELLED | LATER | MORE | WISHES,
        [SOURCE_DIRECTING] = CANCELLED | LATER | MORE | WISHES | TRANSIENT | TIRED | COARSE,
        [SOURCE_READY] = LATER,
        [SOURCE_DRAINING] = LATER,
        [SOURCE_TEARING] = TIRED | CANCELLED | WINDOW | HEADER | DESCRIPTOR | OTHER | BROKEN,
        [SOURCE_RELEASING] = PACKED | TIRED | OTHER | BROKEN | CANCELLED | WINDOW | HEADER | DESCRIPTOR,
        [SOURCE_CLOSING] = CANCELLED | DESCRIPTOR,
        [SOURCE_FREEING] = CANCELLED | BROKEN,
    };
    static const struct exhaust_guard guards[] = {
        {"is_cancelled", .all = CANCELLED},
        {"may_retry", .all = TRANSIENT, .none = TIRED},
        {"may_release_again", .none = TIRED},
        {"lacks_bytes", .any = EMPTY | SHORT},
        {"is_impossible", .any = READ_OVER | READ_NEGATIVE},
        {"is_end_of_file", .all = READ_ZERO},
        {"is_short", .any = READ_ZERO | READ_SHORT},
        {"is_compressed", .all = PACKED},
        {"is_decoded", .all = DONE},
        {"is_hungry", .all = HUNGRY, .none = DONE},
        {"has_pages_left", .all = PAGES},
        {"lacks_room", .all = FULL},
        {"is_all_held", .all = HELD},
        {"exceeds_header", .all = NEED | TOO_MUCH},
        {"needs_more", .all = NEED},
        {"has_failed", .all = FAILED},
        {"has_changed", .all = CHANGED},
        {"is_other_first", .all = OTHER},
        {"is_header_spent", .all = LATER},
        {"has_more_files", .all = MORE},
        {"has_more_windows", .all = MORE},
        {"holds_range", .any = WINDOW | HEADER},
        {"holds_descriptor", .all = DESCRIPTOR},
        {"wants_direct", .all = WISHES},
        {"is_to_reopen", .all = OTHER, .none = CANCELLED | BROKEN},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__source_machine,
        EXHAUST_WORLD(world),
        .make = make,
        .input = input,
        .check = check,
        .knobs = knobs,
        EXHAUST_GUARDS(guards),
        .retries = &world.source.retries,
        .fresh = EXHAUST_BIT(TRESOR__EFFECT_OPEN) | EXHAUST_BIT(TRESOR__EFFECT_READ) |
                 EXHAUST_BIT(TRESOR__EFFECT_RELEASE) | EXHAUST_BIT(TRESOR__EFFECT_MAP),
        .effects = EXHAUST_BIT(TRESOR__EFFECT_MAP) | EXHAUST_BIT(TRESOR__EFFECT_OPEN_DIRECT) | EXHAUST_BIT(TRESOR__EFFECT_OPEN) | EXHAUST_BIT(TRESOR__EFFECT_STAT) |
                   EXHAUST_BIT(TRESOR__EFFECT_RESERVE) | EXHAUST_BIT(TRESOR__EFFECT_READ) |
                   EXHAUST_BIT(TRESOR__EFFECT_WORK) | EXHAUST_BIT(TRESOR__EFFECT_RELEASE) |
                   EXHAUST_BIT(TRESOR__EFFECT_CLOSE),
        .messages = EXHAUST_SENDS(DEGRADED) | EXHAUST_SENDS(AGAIN) | EXHAUST_SENDS(SETTLE_SOURCE),
        .source = 3,
        .slot = 3,
        .file = TRESOR_NONE,
        .eager = EXHAUST_BIT(SOURCE_TEARING),
    };
    return exhaust_run(&fixture);
}
