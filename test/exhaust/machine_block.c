/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "exhaust/exhaust.h"
#include "io/file.h"

enum {
    IN_WINDOW = 1,
    TRANSIENT = 2,
    TIRED = 4,
    BEGUN = 8, /* some bytes were read already */
    PROBES = 16,
    MAKES = 32,    /* its memory is to be populated */
    DIRECT = 64,   /* past the page cache */
    BOUNCES = 128, /* and through memory of the actor's */
    REFUSED = 256,
    UNREACHABLE = 512,
    UNWANTED = 1024, /* cancelled while it was probed or populated */
    ERRORS = TRANSIENT | REFUSED | UNREACHABLE,
    LENGTH = 10000,
    ASKED = 10240, /* in units of direct reads */
    DONE = 4096,
    UNIT = 512,
};

static struct tresor__block world;

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    (void)event;
    if (!exhaust_at_most_one(knobs, READ_VALUES) || !exhaust_at_most_one(knobs, ERRORS) ||
        !exhaust_at_most_one(knobs, DIRECT | BOUNCES) ||
        (state == BLOCK_POPULATING && !(knobs & MAKES)))
        return NULL;
    memset(&world, 0, sizeof world);
    world.state = (uint8_t)state;
    world.space = knobs & IN_WINDOW ? TRESOR__SPACE_WINDOW : TRESOR__SPACE_CALLER;
    world.source = 3;
    world.index = 5;
    world.job = 6;
    world.file = 1;
    world.retries = knobs & TIRED ? TRESOR__RETRIES_MAX : 0;
    world.next_free = TRESOR_NONE;
    world.place = 8192;
    world.offset = 8192;
    world.length = LENGTH;
    world.done = knobs & BEGUN ? DONE : 0;
    world.route.way = knobs & DIRECT    ? TRESOR__WAY_DIRECT
                      : knobs & BOUNCES ? TRESOR__WAY_BOUNCE
                                        : TRESOR__WAY_BUFFERED;
    world.is_cancelled = knobs & UNWANTED;
    world.route.probes = knobs & PROBES;
    world.route.populates = knobs & MAKES;
    world.route.alignment_bytes = UNIT;
    return &world;
}

/* A direct read asks for whole units, and may be answered with as much. */
static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    int64_t begun = knobs & BEGUN ? DONE : 0;
    bool rounds = (knobs & DIRECT) && world.state != BLOCK_PROBING;
    int64_t value = exhaust_read_value(knobs, LENGTH - begun);
    int32_t reason = knobs & TRANSIENT     ? EINTR
                     : knobs & REFUSED     ? EINVAL
                     : knobs & UNREACHABLE ? EFAULT
                                           : EIO;
    (void)event;
    if (rounds && (knobs & READ_OVER))
        value = ASKED - begun + 1;
    return (struct tresor__input){.value = value, .os_errno = reason};
}

static void check(void)
{
    assert_true(world.failure.code == TRESOR_OK || world.done < world.length);
    assert_true(world.done <= world.length);
    assert_int_equal(world.length, LENGTH);
}

int main(void)
{
    static const uint32_t knobs[] = {
        [BLOCK_FREE] = IN_WINDOW | READ_VALUES | PROBES | MAKES | DIRECT,
        [BLOCK_PROBING] = IN_WINDOW | MAKES | DIRECT | READ_VALUES | ERRORS | UNWANTED,
        [BLOCK_POPULATING] = IN_WINDOW | TRANSIENT | TIRED | MAKES | UNWANTED,
        [BLOCK_READING] =
            IN_WINDOW | ERRORS | TIRED | BEGUN | DIRECT | BOUNCES | READ_VALUES,
        [BLOCK_CANCELLING] = IN_WINDOW | BEGUN | DIRECT | READ_VALUES,
        [BLOCK_CANCELLED] = IN_WINDOW | BEGUN | DIRECT | READ_VALUES,
        [BLOCK_ANSWERED] = IN_WINDOW | BEGUN | UNWANTED,
    };
    static const struct exhaust_guard guards[] = {
        {"probes", .all = PROBES},
        {"populates", .all = MAKES},
        {"is_for_caller", .none = IN_WINDOW},
        {"is_refused", .all = REFUSED, .any = DIRECT | BOUNCES},
        {"is_unreachable", .all = UNREACHABLE | DIRECT, .none = IN_WINDOW},
        {"may_retry", .all = TRANSIENT, .none = TIRED},
        {"is_impossible", .any = READ_OVER | READ_NEGATIVE},
        {"is_end_of_file", .all = READ_ZERO},
        {"is_whole", .none = READ_ZERO | READ_SHORT | READ_NEGATIVE},
        {"is_cancelled", .all = UNWANTED},
    };
    static const struct exhaust_action actions[] = {
        {.name = "ask_cached"},
        {.name = "ask_populate"},
        {.name = "populate_again"},
        {.name = "ask_read"},
        {.name = "read_again"},
        {.name = "read_rest"},
        {"read_buffered", .always = EXHAUST_SENDS(DEGRADED)},
        {.name = "read_copied"},
        {.name = "none"},
        {.name = "remember_cancel"},
        {.name = "ask_cancel"},
        {.name = "keep_bytes"},
        {.name = "fail_later"},
        {"end_cancelled", .always = EXHAUST_SENDS(BLOCK_END)},
        {"end_answered", .always = EXHAUST_SENDS(BLOCK_END)},
        {"finish", .always = EXHAUST_SENDS(BLOCK_END)},
        {"fail_memory", .always = EXHAUST_SENDS(BLOCK_END)},
        {"fail_backend", .always = EXHAUST_SENDS(BLOCK_END)},
        {"fail_truncated", .always = EXHAUST_SENDS(BLOCK_END)},
        {"fail_read", .always = EXHAUST_SENDS(BLOCK_END)},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__block_machine,
        EXHAUST_WORLD(world),
        .make = make,
        .input = input,
        .check = check,
        .knobs = knobs,
        EXHAUST_GUARDS(guards),
        EXHAUST_ACTIONS(actions),
        .effects = EXHAUST_BIT(TRESOR__EFFECT_POPULATE) | EXHAUST_BIT(TRESOR__EFFECT_READ) |
                   EXHAUST_BIT(TRESOR__EFFECT_CANCEL),
        .messages = EXHAUST_SENDS(BLOCK_END) | EXHAUST_SENDS(DEGRADED),
        .source = 3,
        .slot = 5,
        .file = 1,
    };
    return exhaust_run(&fixture);
}
