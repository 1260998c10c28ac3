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
    ZERO = 16,
    SHORT = 32,
    OVER = 64,
    NEGATIVE = 128,
    VALUES = ZERO | SHORT | OVER | NEGATIVE,
    LENGTH = 10000,
    DONE = 4096,
};

static struct tresor__block world;

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    uint32_t values = knobs & VALUES;
    (void)event;
    if ((values & (values - 1)) || (state == BLOCK_POPULATING && !(knobs & IN_WINDOW)))
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
    return &world;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    int64_t left = knobs & BEGUN ? LENGTH - DONE : LENGTH;
    int64_t value = left;
    (void)event;
    if (knobs & ZERO)
        value = 0;
    else if (knobs & SHORT)
        value = left - 1;
    else if (knobs & OVER)
        value = left + 1;
    else if (knobs & NEGATIVE)
        value = -1;
    return (struct tresor__input){.value = value, .os_errno = knobs & TRANSIENT ? EINTR : EIO};
}

static void check(void)
{
    assert_true(world.failure.code == TRESOR_OK || world.done < world.length);
    assert_int_equal(world.length, LENGTH);
}

int main(void)
{
    static const uint32_t knobs[] = {
        [BLOCK_FREE] = IN_WINDOW | VALUES,
        [BLOCK_POPULATING] = IN_WINDOW | TRANSIENT | TIRED,
        [BLOCK_READING] = IN_WINDOW | TRANSIENT | TIRED | BEGUN | VALUES,
    };
    static const struct exhaust_guard guards[] = {
        {"is_for_window", .all = IN_WINDOW},       {"may_retry", .all = TRANSIENT, .none = TIRED},
        {"is_impossible", .any = OVER | NEGATIVE}, {"is_end_of_file", .all = ZERO},
        {"is_short", .any = ZERO | SHORT},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__block_machine,
        .world = &world,
        .world_bytes = sizeof world,
        .make = make,
        .input = input,
        .check = check,
        .knobs = knobs,
        .guards = guards,
        .guard_count = sizeof guards / sizeof guards[0],
        .effects = EXHAUST_BIT(TRESOR__EFFECT_POPULATE) | EXHAUST_BIT(TRESOR__EFFECT_READ),
        .messages = EXHAUST_BIT(TRESOR__MESSAGE_BLOCK_END),
        .source = 3,
        .slot = 5,
        .file = 1,
    };
    return exhaust_run(&fixture);
}
