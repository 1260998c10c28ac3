/* SPDX-License-Identifier: MIT */
#include <tresor/error.h>

#include "tensor/piece.h"

static const struct tresor__piece *piece_of(const void *context)
{
    return (const struct tresor__piece *)(const void *)((const char *)context -
                                                        offsetof(struct tresor__piece, lock));
}

static bool is_resident(const void *context, const struct tresor__input *input)
{
    uint8_t state = piece_of(context)->tensor.state;
    (void)input;
    return state == TENSOR_RESIDENT || state == TENSOR_HELD;
}

/* To be loaded, being loaded or swapped, or being evicted with a load behind it, or perhaps not being evicted after all. */
static bool is_coming(const void *context, const struct tresor__input *input)
{
    const struct tresor__piece *piece = piece_of(context);
    (void)input;
    return piece->tensor.state == TENSOR_ADMITTING || piece->tensor.state == TENSOR_LOADING ||
           piece->tensor.state == TENSOR_VERIFYING ||
           piece->tensor.state == TENSOR_SEALING || piece->tensor.state == TENSOR_SWAPPING ||
           piece->tensor.state == TENSOR_STOPPING ||
           (piece->tensor.state == TENSOR_EVICTING && piece->waits[TRESOR__WAIT_LOAD] > 0);
}

static bool is_wanted(const void *context, const struct tresor__input *input)
{
    (void)input;
    return piece_of(context)->waits[TRESOR__WAIT_LOCK] > 0;
}

static void say(const struct tresor__lock *lock, struct tresor__outbox *out, uint8_t kind,
                int32_t code)
{
    tresor__outbox_message(
        out, (struct tresor__message){.kind = kind, .code = code, .slot = piece_of(lock)->index});
}

static void claim(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_LOCK_CLAIM, TRESOR_OK);
}

static void settle_lock(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_SETTLE_LOCK, TRESOR_OK);
}

static void refuse_absent(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_SETTLE_LOCK, TRESOR_ERROR_NOT_RESIDENT);
}

static void withdraw(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_SETTLE_LOCK, TRESOR_ERROR_LOCK_LIMIT);
    say(context, out, TRESOR__MESSAGE_LOCK_WITHDRAW, TRESOR_OK);
}

static void release(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__lock *lock = context;
    (void)input;
    lock->failure_code = TRESOR_OK;
    say(lock, out, TRESOR__MESSAGE_LOCK_UNCLAIM, TRESOR_OK);
}

static void settle_unlock(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    struct tresor__lock *lock = context;
    (void)input;
    say(lock, out, TRESOR__MESSAGE_SETTLE_UNLOCK, lock->failure_code);
    lock->failure_code = TRESOR_OK;
}

static void settle_unlock_and_claim(void *context, const struct tresor__input *input,
                                    struct tresor__outbox *out)
{
    settle_unlock(context, input, out);
    claim(context, input, out);
}

static void refuse_unlock(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_SETTLE_UNLOCK, TRESOR_ERROR_BUSY);
}

static void remember_failure(void *context, const struct tresor__input *input,
                             struct tresor__outbox *out)
{
    struct tresor__lock *lock = context;
    (void)out;
    lock->failure_code = (int32_t)input->value;
}

static void check(const void *context)
{
    const struct tresor__lock *lock = context;
    assert(lock->state == LOCK_UNLOCKING || lock->failure_code == TRESOR_OK);
    (void)lock;
}

#define TRESOR__DEF "tensor/lock.def"
#define TRESOR__S(name) LOCK_##name
#define TRESOR__E(name) LOCK_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__lock_machine =
    TRESOR__MACHINE_TABLE("lock", TRESOR__MACHINE_LOCK, struct tresor__lock, check);
