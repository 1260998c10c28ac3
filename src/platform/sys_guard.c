/* SPDX-License-Identifier: MIT */
/*
 * The guard: a handler of SIGBUS for the whole process, the one thing in this library that is global, for handlers are. It is
 * there while it has users. A fault in a range of its list is mapped over with a page of zeros; any other goes to the handler
 * that was there before, as if this one were not.
 *
 * The handler takes no lock: it walks a list that only grows at its head while it looks, and counts itself for as long as it
 * does. Who takes a range out waits until nobody looks. What it calls, write(2), fstat(2) and sigaction(2), may be called from
 * a handler; mmap(2) is a plain system call wherever there is this file, and pthread_sigmask(3) too.
 */
#include "platform/sys_guard.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

enum {
    /* Where somebody has put a handler over ours, and perhaps calls it, ours stays as it is, and the next user of the guard
     * is served by another. */
    ENTRIES = 4,
};

/* A handler of ours, and the one that was there before it. */
struct entry {
    bool is_used;
    struct sigaction records[2]; /* the one that is not `before` may be written */
    const struct sigaction *_Atomic before;
};

static struct {
    pthread_mutex_t lock; /* over all but what the handler looks at */
    uint32_t users;
    struct entry *top; /* that serves them */
    struct entry entries[ENTRIES];
    struct tresor__guard_range *_Atomic first;
    _Atomic uint32_t looking; /* handlers, on any thread */
} guard = {.lock = PTHREAD_MUTEX_INITIALIZER};

_Static_assert(ATOMIC_POINTER_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
               "a signal handler cannot take locks");

static const struct sigaction default_action = {.sa_handler = SIG_DFL};

/* --- in the handler --- */

static void note_size(struct tresor__guard_range *range)
{
    struct stat found;
    bool is_known = fstat(range->descriptor, &found) == 0;
    uint64_t size_bytes = UINT64_MAX;
    if (is_known)
        size_bytes = (uint64_t)found.st_size > range->offset_bytes
                         ? (uint64_t)found.st_size - range->offset_bytes
                         : 0;
    atomic_store(&range->size_bytes, size_bytes);
    tresor__guard_mark_end(range, size_bytes);
}

/* Read-only, as pages of a file are. */
static bool replace(struct tresor__guard_range *range, uintptr_t address)
{
    const uint64_t one = 1;
    uint64_t page = (address - range->start) / range->page_bytes;
    void *place = (void *)(range->start + page * range->page_bytes);
    note_size(range);
    tresor__guard_mark(range, page);
    void *mapped = mmap(place, range->page_bytes, PROT_READ,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    tresor__guard_mark(range, page);
    ssize_t rung = write(range->alarm->bell, &one, sizeof one);
    (void)rung; /* a bell that is full rings already */
    return mapped != MAP_FAILED;
}

static bool contain(uintptr_t address)
{
    struct tresor__guard_range *range = atomic_load(&guard.first);
    while (range && address - range->start >= range->length_bytes)
        range = atomic_load(&range->next);
    return range && replace(range, address);
}

/* The signals that it wanted blocked are, beside those that were; we have blocked all. */
static void mask_as_asked(const struct sigaction *action, const ucontext_t *interrupted)
{
    sigset_t mask;
    sigemptyset(&mask);
    for (int i = 1; i < NSIG; i++)
        if (sigismember(&interrupted->uc_sigmask, i) == 1 || sigismember(&action->sa_mask, i) == 1)
            sigaddset(&mask, i);
    if (!(action->sa_flags & SA_NODEFER))
        sigaddset(&mask, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

/* Sent by somebody, or a warning: who returns from it goes on, and has no fault again. */
static bool is_sent(const siginfo_t *information)
{
#ifdef BUS_MCEERR_AO
    if (information->si_code == BUS_MCEERR_AO)
        return true;
#endif
    return information->si_code <= 0;
}

/* A fault that nobody takes ends the process, also where the signal is ignored, as the kernel would have it: it comes again at
 * once. */
static void do_as_default(const struct sigaction *before, const siginfo_t *information)
{
    if (before->sa_handler == SIG_IGN && is_sent(information))
        return;
    sigaction(SIGBUS, &default_action, NULL);
    if (is_sent(information))
        raise(SIGBUS); /* when this handler has returned */
}

static void pass_on(struct sigaction before, int number, siginfo_t *information, void *interrupted)
{
    if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
        do_as_default(&before, information);
        return;
    }
    mask_as_asked(&before, interrupted);
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(number, information, interrupted);
    else
        before.sa_handler(number);
}

/* The handler before may never return, so that nothing is held when it is called. */
static void on_fault(struct entry *entry, int number, siginfo_t *information, void *interrupted)
{
    int kept = errno;
    atomic_fetch_add(&guard.looking, 1);
    bool is_ours = information->si_code > 0 && contain((uintptr_t)information->si_addr);
    struct sigaction before = *atomic_load(&entry->before);
    if (!is_ours && before.sa_flags & (int)SA_RESETHAND)
        atomic_store(&entry->before, &default_action);
    atomic_fetch_sub(&guard.looking, 1);
    errno = kept;
    if (!is_ours)
        pass_on(before, number, information, interrupted);
}

#define HANDLER(place)                                                                             \
    static void on_fault_##place(int number, siginfo_t *information, void *interrupted)            \
    {                                                                                              \
        on_fault(&guard.entries[place], number, information, interrupted);                         \
    }
HANDLER(0)
HANDLER(1)
HANDLER(2)
HANDLER(3)

static void (*const handlers[ENTRIES])(int, siginfo_t *, void *) = {on_fault_0, on_fault_1, on_fault_2,
                                                                    on_fault_3};

/* --- its users, under the lock --- */

/* Whoever looks from now on sees what was changed before. */
static void wait_until_seen(void)
{
    while (atomic_load(&guard.looking) > 0)
        sched_yield();
}

static bool is_handler_of(const struct sigaction *action, const struct entry *entry)
{
    return action->sa_flags & SA_SIGINFO && action->sa_sigaction == handlers[entry - guard.entries];
}

static void keep(struct entry *entry, const struct sigaction *before)
{
    struct sigaction *record = &entry->records[atomic_load(&entry->before) == &entry->records[0]];
    wait_until_seen(); /* who may still read it */
    *record = *before;
    atomic_store(&entry->before, record);
}

/* The one that is in place, or else a free one. */
static struct entry *choose_entry(const struct sigaction *now, bool *is_in_place)
{
    struct entry *free_one = NULL;
    *is_in_place = false;
    for (struct entry *entry = guard.entries; entry < guard.entries + ENTRIES; entry++) {
        *is_in_place = is_handler_of(now, entry);
        if (*is_in_place)
            return entry;
        if (!entry->is_used)
            free_one = entry;
    }
    return free_one;
}

/* From the first moment on that it is in place it knows the one before. */
static int64_t install(void)
{
    struct sigaction now;
    struct sigaction was;
    bool is_in_place = false;
    if (sigaction(SIGBUS, NULL, &now) != 0)
        return -errno;
    struct entry *entry = choose_entry(&now, &is_in_place);
    if (!entry)
        return -EBUSY;
    guard.top = entry;
    if (is_in_place)
        return 0;
    struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK | (now.sa_flags & SA_RESTART)};
    ours.sa_sigaction = handlers[entry - guard.entries];
    sigfillset(&ours.sa_mask);
    keep(entry, &now);
    if (sigaction(SIGBUS, &ours, &was) != 0)
        return -errno;
    entry->is_used = true;
    keep(entry, &was); /* somebody may have been between the two */
    return 0;
}

/* Only where it is still ours; what came between the look and the exchange is put back. */
static void uninstall(void)
{
    struct sigaction now;
    struct sigaction was;
    if (sigaction(SIGBUS, NULL, &now) != 0 || !is_handler_of(&now, guard.top))
        return;
    if (sigaction(SIGBUS, atomic_load(&guard.top->before), &was) != 0)
        return;
    if (is_handler_of(&was, guard.top))
        guard.top->is_used = false;
    else
        sigaction(SIGBUS, &was, NULL);
}

int64_t tresor__sys_guard_open(void *cookie)
{
    (void)cookie;
    pthread_mutex_lock(&guard.lock);
    int64_t result = guard.users == 0 ? install() : 0;
    if (result == 0)
        guard.users++;
    pthread_mutex_unlock(&guard.lock);
    return result;
}

int64_t tresor__sys_guard_close(void *cookie)
{
    (void)cookie;
    pthread_mutex_lock(&guard.lock);
    if (--guard.users == 0)
        uninstall();
    pthread_mutex_unlock(&guard.lock);
    return 0;
}

int64_t tresor__sys_guard_add(void *cookie, struct tresor__guard_range *range)
{
    (void)cookie;
    pthread_mutex_lock(&guard.lock);
    atomic_store(&range->next, atomic_load(&guard.first));
    atomic_store(&guard.first, range);
    pthread_mutex_unlock(&guard.lock);
    return 0;
}

int64_t tresor__sys_guard_remove(void *cookie, struct tresor__guard_range *range)
{
    struct tresor__guard_range *_Atomic *place = &guard.first;
    (void)cookie;
    pthread_mutex_lock(&guard.lock);
    while (atomic_load(place) != range)
        place = &atomic_load(place)->next;
    atomic_store(place, atomic_load(&range->next));
    wait_until_seen();
    pthread_mutex_unlock(&guard.lock);
    return 0;
}
