/* SPDX-License-Identifier: MIT */
/*
 * The handler of SIGBUS as a function that is called here, over a process whose actions are played: what the system refuses,
 * who comes in between, and faults that would end this process.
 */
#include "support/test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/guard.h"
#include "platform/sys.h"

enum { LAYERS = 4 };

static const struct tresor__sys *sys;
static uint64_t page;

/* --- the process --- */

static struct sigaction action; /* of SIGBUS */
static uint32_t calls;
static uint32_t fail_call;              /* from 1 on; 0: none */
static const struct sigaction *between; /* is there before the next action is set */
static uint32_t raised;
static bool has_no_memory;

int __real_sigaction(int number, const struct sigaction *given, struct sigaction *before);
int __wrap_sigaction(int number, const struct sigaction *given, struct sigaction *before);
int __wrap_raise(int number);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset);
void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int descriptor, off_t offset);

int __wrap_sigaction(int number, const struct sigaction *given, struct sigaction *before)
{
    if (number != SIGBUS)
        return __real_sigaction(number, given, before);
    if (++calls == fail_call) {
        errno = EINVAL;
        return -1;
    }
    if (given && between) {
        action = *between;
        between = NULL;
    }
    struct sigaction was = action;
    if (given)
        action = *given;
    if (before)
        *before = was;
    return 0;
}

int __wrap_raise(int number)
{
    assert_int_equal(number, SIGBUS);
    raised++;
    return 0;
}

void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int descriptor, off_t offset)
{
    if (has_no_memory)
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, length, protection, flags, descriptor, offset);
}

void *__wrap_mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset)
{
    return __wrap_mmap64(address, length, protection, flags, descriptor, offset);
}

/* --- what is done to it --- */

static int begin(void **state)
{
    (void)state;
    sys = tresor__sys_posix();
    page = (uint64_t)sys->page_bytes(NULL);
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    calls = 0;
    fail_call = 0;
    between = NULL;
    raised = 0;
    has_no_memory = false;
    return 0;
}

/* A handler of ours that was left is taken up and away. */
static void clear(const struct sigaction *ours, const struct sigaction *before)
{
    action = *ours;
    assert_int_equal(sys->guard_open(NULL), 0);
    assert_int_equal(sys->guard_close(NULL), 0);
    assert_true(action.sa_sigaction == before->sa_sigaction);
}

/* A fault, or a signal, at an address, as the kernel would call the handler. */
static void happen(const struct sigaction *handler, int code, const void *address)
{
    siginfo_t information = {.si_code = code};
    ucontext_t interrupted;
    sigset_t before;
    memset(&interrupted, 0, sizeof interrupted);
    sigemptyset(&interrupted.uc_sigmask);
    sigaddset(&interrupted.uc_sigmask, SIGUSR1);
    information.si_addr = (void *)(uintptr_t)address;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    handler->sa_sigaction(SIGBUS, &information, &interrupted);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static uint32_t taken;
static bool blocked[3]; /* SIGUSR1, SIGUSR2, SIGBUS */

static void take(int number, siginfo_t *information, void *interrupted)
{
    sigset_t mask;
    (void)information;
    (void)interrupted;
    assert_int_equal(number, SIGBUS);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    blocked[0] = sigismember(&mask, SIGUSR1);
    blocked[1] = sigismember(&mask, SIGUSR2);
    blocked[2] = sigismember(&mask, SIGBUS);
    taken++;
}

static struct sigaction taking(void)
{
    struct sigaction made = {.sa_flags = SA_SIGINFO};
    made.sa_sigaction = take;
    sigemptyset(&made.sa_mask);
    sigaddset(&made.sa_mask, SIGUSR2);
    return made;
}

/* --- tests --- */

static void what_is_refused_is_not_installed(void **state)
{
    (void)state;
    for (fail_call = 1; fail_call <= 2; fail_call++) {
        calls = 0;
        assert_int_equal(sys->guard_open(NULL), -EINVAL);
        assert_true(action.sa_handler == SIG_DFL);
    }
    fail_call = 0;
    assert_int_equal(sys->guard_open(NULL), 0);
    assert_true(action.sa_flags & SA_SIGINFO);
    assert_int_equal(sys->guard_close(NULL), 0);
    assert_true(action.sa_handler == SIG_DFL);
}

static void what_cannot_be_taken_away_stays(void **state)
{
    const struct sigaction before = taking();
    (void)state;
    for (uint32_t i = 1; i <= 2; i++) {
        action = before;
        assert_int_equal(sys->guard_open(NULL), 0);
        struct sigaction ours = action;
        calls = 0;
        fail_call = i;
        assert_int_equal(sys->guard_close(NULL), 0);
        fail_call = 0;
        assert_true(action.sa_sigaction == ours.sa_sigaction);
        /* And is the next one's, who still knows what was there. */
        clear(&ours, &before);
    }
}

static void who_comes_between_is_heard(void **state)
{
    const struct sigaction theirs = taking();
    (void)state;
    between = &theirs;
    assert_int_equal(sys->guard_open(NULL), 0);
    taken = 0;
    happen(&action, BUS_ADRERR, NULL);
    assert_int_equal(taken, 1);
    /* Between the look and the exchange at the end: theirs is put back. */
    action.sa_flags |= SA_SIGINFO;
    struct sigaction ours = action;
    struct sigaction over = taking();
    over.sa_flags |= (int)SA_NODEFER;
    between = &over;
    assert_int_equal(sys->guard_close(NULL), 0);
    assert_true(action.sa_sigaction == take);
    assert_true(action.sa_flags & SA_NODEFER);
    clear(&ours, &theirs);
}

/* Each of the four, where others have built on the ones before it. */
static void each_handler_passes_on(void **state)
{
    struct sigaction layers[LAYERS];
    const struct sigaction theirs = taking();
    (void)state;
    for (uint32_t i = 0; i < LAYERS; i++) {
        action = theirs;
        assert_int_equal(sys->guard_open(NULL), 0);
        layers[i] = action;
        for (uint32_t k = 0; k < i; k++)
            assert_true(layers[k].sa_sigaction != layers[i].sa_sigaction);
        taken = 0;
        memset(blocked, 0, sizeof blocked);
        happen(&layers[i], BUS_ADRERR, &layers);
        assert_int_equal(taken, 1);
        assert_true(blocked[0] && blocked[1] && blocked[2]);
        action = theirs;
        assert_int_equal(sys->guard_close(NULL), 0);
    }
    assert_int_equal(sys->guard_open(NULL), -EBUSY);
    for (uint32_t i = 0; i < LAYERS; i++)
        clear(&layers[i], &theirs);
}

/* A fault comes again when the handler has returned; what was sent does not, so it is sent again. */
static void what_nobody_takes_ends_the_process(void **state)
{
    static const struct {
        void (*before)(int);
        int code;
        bool is_default; /* becomes so */
        uint32_t raised;
    } rows[] = {
        {SIG_DFL, BUS_ADRERR, true, 0}, {SIG_DFL, SI_USER, true, 1},  {SIG_DFL, BUS_MCEERR_AO, true, 1},
        {SIG_IGN, BUS_ADRERR, true, 0}, {SIG_IGN, SI_USER, false, 0}, {SIG_IGN, BUS_MCEERR_AO, false, 0},
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sigaction before = {.sa_handler = rows[i].before};
        action = before;
        assert_int_equal(sys->guard_open(NULL), 0);
        struct sigaction ours = action;
        raised = 0;
        happen(&ours, rows[i].code, NULL);
        assert_int_equal(raised, rows[i].raised);
        assert_int_equal(action.sa_handler == SIG_DFL, rows[i].is_default);
        assert_int_equal(sys->guard_close(NULL), 0);
        clear(&ours, &before);
    }
}

struct guarded {
    uint8_t *memory;
    struct tresor__guard_alarm alarm;
    struct tresor__guard_range range;
    _Atomic uint64_t replaced[1];
    uint64_t heard[1];
};

static void guard(struct guarded *guarded)
{
    int bell[2];
    memset(guarded, 0, sizeof *guarded);
    guarded->memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(guarded->memory != MAP_FAILED);
    memset(guarded->memory, 7, 2 * page);
    assert_int_equal(sys->bell_open(NULL, bell), 0);
    guarded->alarm.bell = bell[1];
    guarded->range = (struct tresor__guard_range){
        .start = (uintptr_t)guarded->memory,
        .length_bytes = 2 * page,
        .page_bytes = page,
        .file_bytes = 2 * page,
        .descriptor = -1, /* nobody can say how long the file is */
        .alarm = &guarded->alarm,
        .replaced = guarded->replaced,
        .heard = guarded->heard,
    };
    assert_int_equal(sys->guard_open(NULL), 0);
    assert_int_equal(sys->guard_add(NULL, &guarded->range), 0);
}

static void unguard(struct guarded *guarded)
{
    assert_int_equal(sys->guard_remove(NULL, &guarded->range), 0);
    assert_int_equal(sys->guard_close(NULL), 0);
    assert_int_equal(sys->bell_wait(NULL, guarded->alarm.bell, 0), 1);
    close(guarded->alarm.bell);
    munmap(guarded->memory, 2 * page);
}

/* Where its size cannot be had, a page is not said to have been cut off. */
static void a_file_of_unknown_size(void **state)
{
    struct guarded guarded;
    struct tresor__guard_run run;
    (void)state;
    guard(&guarded);
    happen(&action, BUS_ADRERR, guarded.memory + page + 5);
    assert_int_equal(raised, 0);
    assert_int_equal(guarded.memory[page - 1], 7);
    assert_int_equal(guarded.memory[page], 0);
    assert_true(tresor__guard_next(&guarded.range, 0, &run));
    assert_int_equal(run.first, 1);
    assert_int_equal(run.count, 1);
    assert_false(run.is_truncated);
    unguard(&guarded);
}

/* It is marked all the same, and the fault is that of whoever was there before. */
static void a_page_that_cannot_be_mapped(void **state)
{
    struct guarded guarded;
    const struct sigaction theirs = taking();
    (void)state;
    action = theirs;
    guard(&guarded);
    has_no_memory = true;
    taken = 0;
    happen(&action, BUS_ADRERR, guarded.memory);
    has_no_memory = false;
    assert_int_equal(taken, 1);
    assert_int_equal(guarded.memory[0], 7);
    assert_true(tresor__guard_is_replaced(&guarded.range, 0, 1));
    unguard(&guarded);
}

/* What somebody sent says nothing of an address, whatever is in its place. */
static void what_was_sent_is_no_fault(void **state)
{
    struct guarded guarded;
    const struct sigaction theirs = taking();
    (void)state;
    action = theirs;
    guard(&guarded);
    taken = 0;
    happen(&action, SI_USER, guarded.memory);
    assert_int_equal(taken, 1);
    assert_int_equal(guarded.memory[0], 7);
    happen(&action, BUS_ADRERR, guarded.memory);
    assert_int_equal(taken, 1);
    assert_int_equal(guarded.memory[0], 0);
    unguard(&guarded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_refused_is_not_installed, begin),
        cmocka_unit_test_setup(what_cannot_be_taken_away_stays, begin),
        cmocka_unit_test_setup(who_comes_between_is_heard, begin),
        cmocka_unit_test_setup(each_handler_passes_on, begin),
        cmocka_unit_test_setup(what_nobody_takes_ends_the_process, begin),
        cmocka_unit_test_setup(a_file_of_unknown_size, begin),
        cmocka_unit_test_setup(a_page_that_cannot_be_mapped, begin),
        cmocka_unit_test_setup(what_was_sent_is_no_fault, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
