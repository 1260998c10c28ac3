/* SPDX-License-Identifier: MIT */
#include "backend/answer.h"

#include <string.h>

#include "backend/actor.h"
#include "core/facts.h"

static bool is_header_read(const struct tresor__effect *effect)
{
    return effect->kind == TRESOR__EFFECT_READ && effect->space == TRESOR__SPACE_HEADER;
}

/* Descriptors and addresses are of one run only. */
static bool tells_value(const struct tresor__effect *effect)
{
    return effect->kind != TRESOR__EFFECT_OPEN && effect->kind != TRESOR__EFFECT_OPEN_DIRECT &&
           effect->kind != TRESOR__EFFECT_RESERVE;
}

/* A query that fails has told what it could. */
static uint32_t fact_count_of(const struct tresor__effect *effect, bool has_failed)
{
    switch (effect->kind) {
    case TRESOR__EFFECT_STAT:
        return has_failed ? 0 : 5;
    case TRESOR__EFFECT_OPEN_DIRECT:
        return has_failed ? 0 : 1;
    case TRESOR__EFFECT_DIGEST:
        return has_failed ? 0 : 3;
    case TRESOR__EFFECT_QUERY:
        return 2;
    default:
        return 0;
    }
}

static void take_facts(const struct tresor__effect *effect, uint64_t *facts)
{
    if (effect->kind == TRESOR__EFFECT_STAT) {
        const struct tresor__identity *identity = effect->record;
        facts[0] = identity->device;
        facts[1] = identity->inode;
        facts[2] = identity->size_bytes;
        facts[3] = (uint64_t)identity->modified_ns;
        facts[4] = (uint64_t)identity->changed_ns;
    } else if (effect->kind == TRESOR__EFFECT_OPEN_DIRECT) {
        const struct tresor__direct_facts *direct = effect->record;
        facts[0] = direct->alignment_bytes;
    } else if (effect->kind == TRESOR__EFFECT_DIGEST) {
        const struct tresor__digest_record *record = effect->record;
        facts[0] = record->high;
        facts[1] = record->low;
        facts[2] = record->bad_element;
    } else {
        const struct tresor__lock_facts *lock = effect->record;
        facts[0] = lock->limit_bytes;
        facts[1] = lock->used_bytes;
    }
}

static void give_seen(struct tresor__digest_record *record, const uint64_t *facts)
{
    record->high = facts[0];
    record->low = facts[1];
    record->bad_element = facts[2];
}

static void give_facts(const struct tresor__effect *effect, const uint64_t *facts)
{
    if (effect->kind == TRESOR__EFFECT_STAT)
        *(struct tresor__identity *)effect->record = (struct tresor__identity){
            .device = facts[0],
            .inode = facts[1],
            .size_bytes = facts[2],
            .modified_ns = (int64_t)facts[3],
            .changed_ns = (int64_t)facts[4],
        };
    else if (effect->kind == TRESOR__EFFECT_OPEN_DIRECT)
        *(struct tresor__direct_facts *)effect->record =
            (struct tresor__direct_facts){.alignment_bytes = (uint32_t)facts[0]};
    else if (effect->kind == TRESOR__EFFECT_DIGEST)
        give_seen(effect->record, facts);
    else
        *(struct tresor__lock_facts *)effect->record =
            (struct tresor__lock_facts){.limit_bytes = facts[0], .used_bytes = facts[1]};
}

struct tresor__answer tresor__answer_of(const struct tresor__numbered *asked,
                                        const struct tresor__completion *completion)
{
    const struct tresor__effect *effect = &asked->effect;
    struct tresor__answer answer = {
        .number = asked->number,
        .os_errno = completion->os_errno,
        .value = tells_value(effect) ? completion->value : 0,
        .fact_count = fact_count_of(effect, completion->os_errno != 0),
    };
    if (answer.fact_count > 0)
        take_facts(effect, answer.facts);
    if (is_header_read(effect) && completion->value > 0) {
        answer.bytes = effect->address;
        answer.size_bytes = (size_t)completion->value;
    }
    return answer;
}

/* More than a page suits no direct read, and a power of two divides whatever else is aligned. */
static bool is_alignment(uint64_t bytes)
{
    return bytes > 0 && bytes <= UINT64_C(1) << 20 && (bytes & (bytes - 1)) == 0;
}

bool tresor__answer_is_possible(const struct tresor__effect *effect,
                                const struct tresor__answer *answer)
{
    bool has_failed = answer->os_errno != 0;
    uint64_t value = (uint64_t)answer->value;
    if (answer->os_errno < 0 || answer->value < 0 ||
        answer->fact_count != fact_count_of(effect, has_failed) ||
        answer->size_bytes != (is_header_read(effect) ? value : 0))
        return false;
    if (has_failed)
        return effect->kind == TRESOR__EFFECT_POPULATE || value == 0;
    switch (effect->kind) {
    case TRESOR__EFFECT_READ:
    case TRESOR__EFFECT_DIGEST:
        return value <= effect->length;
    case TRESOR__EFFECT_CANCEL:
        return value <= 1;
    case TRESOR__EFFECT_OPEN_DIRECT:
        return value == 0 && is_alignment(answer->facts[0]);
    case TRESOR__EFFECT_STAT:
        return value == 0 && answer->facts[2] <= INT64_MAX;
    default:
        return true;
    }
}

struct tresor__completion tresor__answer_give(const struct tresor__effect *effect,
                                              const struct tresor__answer *answer)
{
    if (answer->fact_count > 0)
        give_facts(effect, answer->facts);
    if (answer->size_bytes > 0)
        memcpy(effect->address, answer->bytes, answer->size_bytes);
    struct tresor__completion completion = tresor__actor_answer(
        effect, answer->os_errno != 0 ? -(int64_t)answer->os_errno : answer->value);
    completion.value = answer->value; /* a populate that failed has one too */
    return completion;
}
