/* SPDX-License-Identifier: MIT */
#include "backend/digest.h"

#include <errno.h>
#include <string.h>

#ifdef TRESOR__XXHASH
#define XXH_INLINE_ALL
#include <xxhash.h>
#endif

#include "backend/origins.h"
#include "core/facts.h"
#include "core/finite.h"

enum {
    SUM_ALIGNMENT = 64,
    STEP_BYTES = 128 * 1024, /* of the file at a time: it is summed from where it was copied to, and still cached there */
    TRIES_MAX = 16,
};

/* --- the sum --- */

#ifdef TRESOR__XXHASH
_Static_assert(sizeof(XXH3_state_t) + SUM_ALIGNMENT <= TRESOR__SUM_STATE_BYTES, "it has no room");

static XXH3_state_t *state_of(struct tresor__digest_record *record)
{
    uintptr_t place = (uintptr_t)record->sum_state;
    return (XXH3_state_t *)((place + SUM_ALIGNMENT - 1) / SUM_ALIGNMENT * SUM_ALIGNMENT);
}

static void begin_sum(struct tresor__digest_record *record)
{
    XXH3_state_t *state = state_of(record);
    memset(state, 0, sizeof *state);
    XXH3_128bits_reset(state);
}

static void add_to_sum(struct tresor__digest_record *record, const void *bytes, size_t count)
{
    XXH3_128bits_update(state_of(record), bytes, count);
}

static void end_sum(struct tresor__digest_record *record)
{
    XXH128_hash_t sum = XXH3_128bits_digest(state_of(record));
    record->high = sum.high64;
    record->low = sum.low64;
}

bool tresor__digest_can_sum(void)
{
    return true;
}
#else
static void begin_sum(struct tresor__digest_record *record)
{
    (void)record;
}

static void add_to_sum(struct tresor__digest_record *record, const void *bytes, size_t count)
{
    (void)record;
    (void)bytes;
    (void)count;
}

static void end_sum(struct tresor__digest_record *record)
{
    (void)record;
}

bool tresor__digest_can_sum(void)
{
    return false;
}
#endif

/* --- what is not finite --- */

static void look_at_units(struct tresor__digest_record *record, struct tresor__unit unit,
                          const uint8_t *bytes, size_t count)
{
    size_t found = tresor__finite_find(record->dtype, bytes, count);
    if (found < count && record->bad_element == UINT64_MAX)
        record->bad_element = (record->unit_count + found) * unit.elements;
    record->unit_count += count;
}

/* A unit that is cut is held until the rest of it comes. */
static void look_for_bad(struct tresor__digest_record *record, const uint8_t *bytes, size_t count)
{
    struct tresor__unit unit = tresor__finite_unit(record->dtype);
    if (unit.size_bytes == 0)
        return;
    if (record->held_bytes > 0) {
        size_t missing = unit.size_bytes - record->held_bytes;
        size_t taken = count < missing ? count : missing;
        memcpy(record->held + record->held_bytes, bytes, taken);
        record->held_bytes += (uint32_t)taken;
        bytes += taken;
        count -= taken;
        if (record->held_bytes < unit.size_bytes)
            return;
        look_at_units(record, unit, record->held, 1);
        record->held_bytes = 0;
    }
    look_at_units(record, unit, bytes, count / unit.size_bytes);
    record->held_bytes = (uint32_t)(count % unit.size_bytes);
    if (record->held_bytes > 0)
        memcpy(record->held, bytes + count - record->held_bytes, record->held_bytes);
}

/* --- a part --- */

static void look(const struct tresor__effect *effect, const void *bytes, size_t count)
{
    if (count == 0)
        return;
    if (effect->flags & TRESOR__LOOK_SUM)
        add_to_sum(effect->record, bytes, count);
    if (effect->flags & TRESOR__LOOK_FINITE)
        look_for_bad(effect->record, bytes, count);
}

/* Both at once while the bytes are in the processor's cache. */
static void look_in_steps(const struct tresor__effect *effect)
{
    const uint8_t *bytes = effect->address;
    for (uint64_t done = 0; done < effect->length; done += STEP_BYTES) {
        uint64_t rest = effect->length - done;
        look(effect, bytes + done, (size_t)(rest < STEP_BYTES ? rest : STEP_BYTES));
    }
}

/* A page that the file has lost meanwhile is a short count here, and no signal. */
static int64_t look_through_file(const struct tresor__sys *sys, const struct tresor__effect *effect,
                                 const struct tresor__bounce *bounce)
{
    uint64_t done = 0;
    uint32_t tries = 0;
    while (done < effect->length) {
        uint64_t rest = effect->length - done;
        int64_t got = tresor__origin_read(sys, effect, bounce->memory, effect->offset + done,
                                          rest < STEP_BYTES ? rest : STEP_BYTES);
        if (got == -EINTR && ++tries < TRIES_MAX)
            continue;
        if (got < 0)
            return got;
        if (got == 0)
            break;
        tries = 0;
        look(effect, bounce->memory, (size_t)got);
        done += (uint64_t)got;
    }
    return (int64_t)done;
}

static void begin(const struct tresor__effect *effect)
{
    struct tresor__digest_record *record = effect->record;
    record->bad_element = UINT64_MAX;
    record->held_bytes = 0;
    record->unit_count = 0;
    record->high = record->low = 0;
    if (effect->flags & TRESOR__LOOK_SUM)
        begin_sum(record);
}

int64_t tresor__digest_run(const struct tresor__sys *sys, const struct tresor__effect *effect,
                           const struct tresor__bounce *bounce)
{
    int64_t done = (int64_t)effect->length;
    if (effect->flags & TRESOR__LOOK_SUM && !tresor__digest_can_sum())
        return -ENOSYS;
    if (effect->flags & TRESOR__LOOK_FIRST)
        begin(effect);
    if (effect->flags & TRESOR__LOOK_FILE)
        done = look_through_file(sys, effect, bounce);
    else
        look_in_steps(effect);
    if (effect->flags & TRESOR__LOOK_LAST && effect->flags & TRESOR__LOOK_SUM && done >= 0)
        end_sum(effect->record);
    return done;
}
