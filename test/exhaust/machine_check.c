/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "exhaust/exhaust.h"
#include "source/check.h"

enum {
    MORE = 1, /* another file behind the one that is asked */
    CANCELLED = 2,
    SHORTER = 4, /* what was seen of the file */
    LONGER = 8,
    WRITTEN = 16,
    OTHER_INODE = 32,
    OTHER_DEVICE = 64,
    LINKED = 128, /* only its change time is another */
};

static struct {
    struct tresor__check check;
    struct tresor__model model;
    struct tresor__model_file files[2];
} world;

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    (void)event;
    if (!exhaust_at_most_one(knobs, SHORTER | LONGER))
        return NULL;
    memset(&world, 0, sizeof world);
    world.model.files = world.files;
    world.model.file_count = knobs & MORE ? 2 : 1;
    world.files[0].identity = (struct tresor__identity){1, 2, 3000, 4, 5};
    world.files[1].identity = (struct tresor__identity){1, 3, 2000, 4, 5};
    world.check = (struct tresor__check){
        .state = (uint8_t)state,
        .is_cancelled = knobs & CANCELLED,
        .source = 3,
        .index = 5,
        .model = &world.model,
        .seen = world.files[0].identity,
    };
    world.check.seen.size_bytes += knobs & SHORTER ? UINT64_MAX : knobs & LONGER ? 1 : 0;
    world.check.seen.modified_ns += knobs & WRITTEN ? 1 : 0;
    world.check.seen.inode += knobs & OTHER_INODE ? 1 : 0;
    world.check.seen.device += knobs & OTHER_DEVICE ? 1 : 0;
    world.check.seen.changed_ns += knobs & LINKED ? 1 : 0;
    return &world.check;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    (void)knobs;
    return (struct tresor__input){.event = event, .os_errno = event == CHECK_ON_STAT_FAILED ? EIO : 0};
}

int main(void)
{
    enum { ALL = MORE | CANCELLED | SHORTER | LONGER | WRITTEN | OTHER_INODE | OTHER_DEVICE | LINKED };
    static const uint32_t knobs[] = {[CHECK_ASKING] = ALL};
    static const struct exhaust_guard guards[] = {
        {"is_cancelled", .all = CANCELLED},
        {"is_shorter", .all = SHORTER},
        {"has_changed", .any = SHORTER | LONGER | WRITTEN | OTHER_INODE | OTHER_DEVICE},
        {"has_more_files", .all = MORE},
    };
    static const struct exhaust_action actions[] = {
        {.name = "ask_first"},
        {.name = "ask_next"},
        {.name = "remember_cancel"},
        {"settle", .always = EXHAUST_SENDS(SETTLE_REQUEST)},
        {"end_cancelled", .always = EXHAUST_SENDS(SETTLE_REQUEST)},
        {"fail_truncated", .always = EXHAUST_SENDS(SETTLE_REQUEST)},
        {"fail_changed", .always = EXHAUST_SENDS(SETTLE_REQUEST)},
        {"fail_stat", .always = EXHAUST_SENDS(SETTLE_REQUEST)},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__check_machine,
        EXHAUST_WORLD(world),
        .make = make,
        .input = input,
        .knobs = knobs,
        EXHAUST_GUARDS(guards),
        EXHAUST_ACTIONS(actions),
        .effects = EXHAUST_BIT(TRESOR__EFFECT_STAT),
        .messages = EXHAUST_SENDS(SETTLE_REQUEST),
        .source = 3,
        .slot = 5,
        .file = TRESOR_NONE,
    };
    return exhaust_run(&fixture);
}
