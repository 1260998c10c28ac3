/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "exhaust/exhaust.h"
#include "io/digest/digest.h"
#include "io/file.h"

enum {
    CANCELLED = 1,
    SEARCHES = 2, /* for what is not finite, */
    COMPARES = 4,
    BAD = 8,      /* which there is */
    OTHER_HIGH = 16, /* the digest is another one, in either half */
    OTHER_LOW = 32,
    MORE = 64,    /* than the part under way */
    MAPPED = 128, /* from the file */
    ALONE = 256,  /* nothing runs beside the context's thread */
    NO_HASH = 512,
};

enum {
    OFFSET = 4096,
    LENGTH = 20 << 20,
    ASKED = 1 << 20,
};

static struct {
    struct tresor__digest digest;
    struct tresor__io io;
    struct tresor__file file;
    struct tresor__interval intervals[2];
} world;

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    (void)event;
    if (!exhaust_at_most_one(knobs, READ_VALUES))
        return NULL;
    memset(&world, 0, sizeof world);
    world.io.ahead_max = knobs & ALONE ? 0 : 3;
    world.file.io = &world.io;
    world.file.ledger.intervals = world.intervals;
    world.file.ledger.interval_count = 1;
    world.intervals[0].backing = knobs & MAPPED ? TRESOR__BACKING_FILE : TRESOR__BACKING_ANONYMOUS;
    world.intervals[1].start_bytes = 64 << 20;
    world.digest = (struct tresor__digest){
        .state = (uint8_t)state,
        .is_cancelled = knobs & CANCELLED,
        .looks = (uint8_t)(TRESOR__LOOK_SUM | (knobs & COMPARES ? TRESOR__LOOK_COMPARE : 0u) |
                           (knobs & SEARCHES ? TRESOR__LOOK_FINITE : 0u)),
        .source = 3,
        .index = 5,
        .file = 1,
        .of = &world.file,
        .offset = OFFSET,
        .length = knobs & MORE ? LENGTH : ASKED,
        .asked = ASKED,
        .wanted_high = knobs & OTHER_HIGH ? 1 : 7,
        .wanted_low = knobs & OTHER_LOW ? 1 : 8,
        .record = {.high = 7, .low = 8, .bad_element = knobs & BAD ? 11 : UINT64_MAX},
    };
    return &world.digest;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    if (event == DIGEST_ON_DIGEST_OK)
        return (struct tresor__input){.value = exhaust_read_value(knobs, ASKED)};
    return (struct tresor__input){.os_errno = knobs & NO_HASH ? ENOSYS : EIO};
}

int main(void)
{
    enum { ALL = CANCELLED | SEARCHES | COMPARES | BAD | OTHER_HIGH | OTHER_LOW | MORE | MAPPED | ALONE | NO_HASH };
    static const uint32_t knobs[] = {
        [DIGEST_IDLE] = MORE | MAPPED | ALONE,
        [DIGEST_LOOKING] = ALL | READ_VALUES,
    };
    static const struct exhaust_guard guards[] = {
        {"is_cancelled", .all = CANCELLED},
        {"is_short", .any = READ_VALUES},
        {"is_not_finite", .all = SEARCHES | BAD},
        {"has_more", .all = MORE},
        {"is_another", .all = COMPARES, .any = OTHER_HIGH | OTHER_LOW},
    };
    static const struct exhaust_action actions[] = {
        {.name = "ask_first"},
        {.name = "ask_next"},
        {.name = "remember_cancel"},
        {"end", .always = EXHAUST_SENDS(LOOKED)},
        {"end_cancelled", .always = EXHAUST_SENDS(LOOKED)},
        {"fail", .always = EXHAUST_SENDS(LOOKED)},
        {"fail_truncated", .always = EXHAUST_SENDS(LOOKED)},
        {"fail_not_finite", .always = EXHAUST_SENDS(LOOKED)},
        {"fail_corrupt", .always = EXHAUST_SENDS(LOOKED)},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__digest_machine,
        EXHAUST_WORLD(world),
        .make = make,
        .input = input,
        .knobs = knobs,
        EXHAUST_GUARDS(guards),
        EXHAUST_ACTIONS(actions),
        .effects = EXHAUST_BIT(TRESOR__EFFECT_DIGEST),
        .messages = EXHAUST_SENDS(LOOKED),
        .source = 3,
        .slot = 5,
        .file = 1,
    };
    return exhaust_run(&fixture);
}
