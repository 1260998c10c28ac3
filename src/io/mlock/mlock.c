/* SPDX-License-Identifier: MIT */
#include "io/mlock/mlock.h"

#include "io/file.h"

static struct tresor__file *file_of(const void *context)
{
    return TRESOR__FILE_OF(context, mlock);
}

static bool has_spent(const void *context, const struct tresor__input *input)
{
    (void)input;
    return file_of(context)->ledger.unlock.count > 0;
}

static bool has_wanted(const void *context, const struct tresor__input *input)
{
    (void)input;
    return file_of(context)->ledger.lock.count > 0;
}

static bool has_many(const void *context, const struct tresor__input *input)
{
    const struct tresor__mlock *mlock = context;
    (void)input;
    return mlock->extent.last - mlock->extent.first > 1;
}

static bool may_retry(const void *context, const struct tresor__input *input)
{
    const struct tresor__mlock *mlock = context;
    return tresor__may_retry(mlock->retries, input->os_errno);
}

static void ask(struct tresor__mlock *mlock, struct tresor__outbox *out, uint8_t kind,
                uint8_t on_ok)
{
    struct tresor__file *file = file_of(mlock);
    uint64_t start = tresor__ledger_start(&file->ledger, mlock->extent.first);
    tresor__file_ask(file, out,
                     (struct tresor__effect){.kind = kind,
                                             .machine = TRESOR__MACHINE_MLOCK,
                                             .on_ok = on_ok,
                                             .on_failed = (uint8_t)(on_ok + 1)},
                     start, tresor__ledger_start(&file->ledger, mlock->extent.last) - start);
}

static void ask_lock(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__mlock *mlock = context;
    struct tresor__file *file = file_of(context);
    (void)input;
    mlock->retries = 0;
    tresor__ledger_take_lock(&file->ledger, mlock->single ? 0 : file->io->lock_bytes,
                             &mlock->extent);
    ask(mlock, out, TRESOR__EFFECT_LOCK, MLOCK_ON_LOCK_OK);
}

static void lock_again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__mlock *mlock = context;
    (void)input;
    mlock->retries++;
    ask(mlock, out, TRESOR__EFFECT_LOCK, MLOCK_ON_LOCK_OK);
}

static void drop_extent(struct tresor__mlock *mlock, struct tresor__outbox *out)
{
    mlock->extent = (struct tresor__extent){0};
    tresor__outbox_look(out);
    tresor__outbox_again(out);
}

static void finish_lock(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__mlock *mlock = context;
    (void)input;
    tresor__ledger_locked(&file_of(context)->ledger, mlock->extent, NULL);
    drop_extent(mlock, out);
}

static void split(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__mlock *mlock = context;
    struct tresor__ledger *ledger = &file_of(context)->ledger;
    (void)input;
    tresor__ledger_lock_undone(ledger, mlock->extent);
    tresor__ledger_lock_again(ledger, mlock->extent);
    mlock->single = true;
    drop_extent(mlock, out);
}

static void end_of_growth(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    struct tresor__mlock *mlock = context;
    (void)input;
    (void)out;
    mlock->single = false;
}

static void ask_query(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__mlock *mlock = context;
    mlock->os_errno = input->os_errno;
    ask(mlock, out, TRESOR__EFFECT_QUERY, MLOCK_ON_QUERY_OK);
}

static void refuse(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__mlock *mlock = context;
    struct tresor__file *file = file_of(context);
    (void)input;
    tresor__ledger_lock_undone(&file->ledger, mlock->extent);
    do {
        uint64_t start = tresor__ledger_start(&file->ledger, mlock->extent.first);
        struct tresor__failure failure = {
            .code = TRESOR_ERROR_LOCK_LIMIT,
            .os_errno = mlock->os_errno,
            .offset = file->lock_facts.used_bytes,
            .wanted = tresor__ledger_start(&file->ledger, mlock->extent.last) - start,
            .got = file->lock_facts.limit_bytes,
        };
        tresor__ledger_locked(&file->ledger, mlock->extent, &failure);
    } while (tresor__ledger_take_lock(&file->ledger, 0, &mlock->extent));
    drop_extent(mlock, out);
}

static void ask_unlock(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__mlock *mlock = context;
    (void)input;
    mlock->retries = 0;
    tresor__ledger_take_unlock(&file_of(context)->ledger, &mlock->extent);
    ask(mlock, out, TRESOR__EFFECT_UNLOCK, MLOCK_ON_UNLOCK_OK);
}

static void unlock_again(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__mlock *mlock = context;
    (void)input;
    mlock->retries++;
    ask(mlock, out, TRESOR__EFFECT_UNLOCK, MLOCK_ON_UNLOCK_OK);
}

static void finish_unlock(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    struct tresor__mlock *mlock = context;
    (void)input;
    tresor__ledger_unlocked(&file_of(context)->ledger, mlock->extent, NULL);
    drop_extent(mlock, out);
}

static void fail_unlock(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__mlock *mlock = context;
    struct tresor__file *file = file_of(context);
    struct tresor__failure failure = tresor__file_map_failure(file, mlock->extent, input->os_errno);
    tresor__ledger_unlocked(&file->ledger, mlock->extent, &failure);
    drop_extent(mlock, out);
}

static void check(const void *context)
{
    const struct tresor__mlock *mlock = context;
    assert((mlock->extent.first != mlock->extent.last) == (mlock->state != MLOCK_IDLE));
    assert(mlock->retries <= TRESOR__RETRIES_MAX);
    (void)mlock;
}

#define TRESOR__DEF "io/mlock/mlock.def"
#define TRESOR__S(name) MLOCK_##name
#define TRESOR__E(name) MLOCK_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__mlock_machine =
    TRESOR__MACHINE_TABLE("mlock", TRESOR__MACHINE_MLOCK, struct tresor__mlock, check);
