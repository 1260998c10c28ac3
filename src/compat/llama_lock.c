/* SPDX-License-Identifier: MIT */
/* Locked memory that grows from one end, by whole pages, and is unlocked with its object. */
#include "compat/llama.h"

#include <errno.h>

#include "core/allocator.h"

/* Where memory has gone meanwhile its parts are asked one by one, but not without end. */
enum { UNLOCKS_MAX = 4096 };

struct tresor_llama_lock {
    const struct tresor__sys *sys;
    uintptr_t page;
    uintptr_t base; /* 0: none */
    uintptr_t start;
    uintptr_t end; /* [start, end) is locked */
    struct tresor_error refusal;
};

int32_t tresor__llama_lock_open(const struct tresor__sys *sys, struct tresor_llama_lock **lock,
                                struct tresor_error *error)
{
    struct tresor_allocator allocator = tresor__allocator_or_default(NULL);
    int64_t page = sys->page_bytes(sys->cookie);
    if (!lock || page <= 0)
        return tresor__llama_fail(error,
                                  &(struct tresor_error){.code = TRESOR_ERROR_INVALID,
                                                         .os_errno = page < 0 ? (int32_t)-page : EINVAL});
    struct tresor_llama_lock *made = tresor__allocate(&allocator, sizeof *made);
    if (!made)
        return tresor__llama_fail(
            error, &(struct tresor_error){.code = TRESOR_ERROR_NO_MEMORY, .os_errno = ENOMEM});
    made->sys = sys;
    made->page = (uintptr_t)page;
    *lock = made;
    return TRESOR_OK;
}

int32_t tresor_llama_lock_open(struct tresor_llama_lock **lock, struct tresor_error *error)
{
    return tresor__llama_lock_open(tresor__sys_posix(), lock, error);
}

int32_t tresor_llama_lock_init(struct tresor_llama_lock *lock, void *address,
                               struct tresor_error *error)
{
    if (lock->base)
        return tresor__llama_fail(error, &(struct tresor_error){.code = TRESOR_ERROR_BUSY});
    lock->base = (uintptr_t)address;
    lock->start = lock->base & ~(lock->page - 1);
    lock->end = lock->start;
    return TRESOR_OK;
}

/* --- unlock --- */

/* How many bytes stay locked. What is mapped no more is locked no more, and the system stops at the first such page. */
static uint64_t unlock(const struct tresor_llama_lock *lock, uintptr_t start, uintptr_t end,
                       uint32_t *calls, int64_t *reason)
{
    uint32_t interruptions = 0;
    int64_t result;
    if (start == end)
        return 0;
    if ((*calls)++ >= UNLOCKS_MAX)
        return end - start;
    do
        result = lock->sys->unlock(lock->sys->cookie, (const void *)start, end - start);
    while (tresor__llama_again(result, &interruptions));
    if (result == 0 || (result == -ENOMEM && end - start <= lock->page))
        return 0;
    *reason = result;
    if (result != -ENOMEM)
        return end - start;
    uintptr_t middle = start + (end - start) / 2 / lock->page * lock->page;
    uint64_t left = unlock(lock, start, middle, calls, reason);
    return left + unlock(lock, middle, end, calls, reason);
}

int32_t tresor_llama_lock_close(struct tresor_llama_lock *lock, struct tresor_error *error)
{
    struct tresor_allocator allocator = tresor__allocator_or_default(NULL);
    uint32_t calls = 0;
    int64_t reason = 0;
    if (!lock)
        return TRESOR_OK;
    uint64_t left = unlock(lock, lock->start, lock->end, &calls, &reason);
    tresor__free(&allocator, lock, sizeof *lock);
    if (left == 0)
        return TRESOR_OK;
    return tresor__llama_fail(error, &(struct tresor_error){.code = TRESOR_ERROR_IO,
                                                            .os_errno = (int32_t)-reason,
                                                            .got = left});
}

/* --- lock --- */

/* A lock that was refused may have locked a part, which is taken back. */
static int32_t refuse(struct tresor_llama_lock *lock, uintptr_t end, int64_t result)
{
    const struct tresor__sys *sys = lock->sys;
    uint32_t calls = 0;
    int64_t reason;
    uint64_t limit = 0;
    uint64_t locked = 0;
    unlock(lock, lock->end, end, &calls, &reason);
    if (sys->lock_limit(sys->cookie, &limit) < 0)
        limit = 0;
    if (sys->locked(sys->cookie, &locked) < 0)
        locked = lock->end - lock->start;
    return tresor__llama_fail(&lock->refusal,
                              &(struct tresor_error){.code = TRESOR_ERROR_LOCK_LIMIT,
                                                     .os_errno = (int32_t)-result,
                                                     .offset = locked,
                                                     .wanted = end - lock->start,
                                                     .got = limit});
}

int32_t tresor_llama_lock_grow_to(struct tresor_llama_lock *lock, size_t size_bytes,
                                  struct tresor_error *error)
{
    uint32_t interruptions = 0;
    int64_t result;
    if (!lock->base)
        return TRESOR_OK;
    if (lock->refusal.code != TRESOR_OK)
        return tresor__llama_fail(error, &lock->refusal);
    if (size_bytes > UINTPTR_MAX - lock->page - lock->base)
        return tresor__llama_fail(error, &(struct tresor_error){.code = TRESOR_ERROR_INVALID,
                                                                .os_errno = EINVAL,
                                                                .wanted = size_bytes});
    uintptr_t end = (lock->base + size_bytes + lock->page - 1) & ~(lock->page - 1);
    if (size_bytes == 0 || end <= lock->end)
        return TRESOR_OK;
    do
        result = lock->sys->lock(lock->sys->cookie, (const void *)lock->end, end - lock->end);
    while (tresor__llama_again(result, &interruptions));
    if (result < 0) {
        refuse(lock, end, result);
        return tresor__llama_fail(error, &lock->refusal);
    }
    lock->end = end;
    return TRESOR_OK;
}

uint64_t tresor_llama_lock_locked(const struct tresor_llama_lock *lock)
{
    return lock->end - lock->start;
}

/* To lock nothing is allowed wherever there are locks; from within a page on it would be that page. */
bool tresor_llama_lock_supported(void)
{
    const struct tresor__sys *sys = tresor__sys_posix();
    return sys->lock(sys->cookie, NULL, 0) != -ENOSYS;
}
