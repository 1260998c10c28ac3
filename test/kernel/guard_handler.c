/* SPDX-License-Identifier: MIT */
/*
 * The process's handler of SIGBUS, without a context: which faults it contains, and what becomes of all others. What ends a
 * process does so in a program of its own: this one, run again with the name of what it shall do.
 */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/guard.h"
#include "platform/sys.h"
#include "support/sanitizer.h"
#include "support/spawn.h"
#include "support/temporary.h"

enum {
    PAGES = 64,
    THREADS = 4,
    ROUNDS = 200,
};

static const struct tresor__sys *sys;
static uint64_t page;

/* A file that was mapped and became empty: to touch it is a fault. */
struct lost {
    int descriptor;
    volatile uint8_t *memory;
    struct tresor__guard_alarm alarm;
    struct tresor__guard_range range;
    _Atomic uint64_t replaced[1];
    uint64_t heard[1];
};

static void lose(struct lost *lost)
{
    char folder[TEMPORARY_PATH_BYTES];
    char path[TEMPORARY_PATH_BYTES + 8];
    int bell[2];
    memset(lost, 0, sizeof *lost);
    temporary_make(folder);
    snprintf(path, sizeof path, "%s/lost", folder);
    lost->descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lost->descriptor < 0 || ftruncate(lost->descriptor, (off_t)(PAGES * page)) != 0)
        abort();
    lost->memory = mmap(NULL, PAGES * page, PROT_READ, MAP_SHARED, lost->descriptor, 0);
    if (lost->memory == MAP_FAILED || ftruncate(lost->descriptor, 0) != 0 || sys->bell_open(NULL, bell) != 0)
        abort();
    temporary_remove(folder);
    lost->alarm.bell = bell[1];
    lost->range = (struct tresor__guard_range){
        .start = (uintptr_t)lost->memory,
        .length_bytes = PAGES * page,
        .page_bytes = page,
        .file_bytes = PAGES * page,
        .descriptor = lost->descriptor,
        .alarm = &lost->alarm,
        .replaced = lost->replaced,
        .heard = lost->heard,
    };
}

static void unlose(struct lost *lost)
{
    munmap((void *)(uintptr_t)lost->memory, PAGES * page);
    close(lost->descriptor);
    close(lost->alarm.bell);
}

static void touch(const struct lost *lost, uint64_t number)
{
    assert_int_equal(lost->memory[number * page], 0);
}

static void must_be_told(struct lost *lost, uint32_t first, uint32_t count)
{
    struct tresor__guard_run run;
    assert_true(tresor__guard_is_hit(&lost->alarm));
    assert_true(tresor__guard_next(&lost->range, 0, &run));
    assert_int_equal(run.first, first);
    assert_int_equal(run.count, count);
    assert_true(run.is_truncated);
}

static struct sigaction now(void)
{
    struct sigaction action;
    assert_int_equal(sigaction(SIGBUS, NULL, &action), 0);
    return action;
}

static bool is_same(const struct sigaction *one, const struct sigaction *other)
{
    return one->sa_sigaction == other->sa_sigaction && one->sa_flags == other->sa_flags;
}

static void a_fault_of_ours(void **state)
{
    struct lost lost;
    struct tresor__guard_run run;
    (void)state;
    struct sigaction before = now();
    lose(&lost);
    assert_int_equal(sys->guard_open(NULL), 0);
    assert_int_equal(sys->guard_add(NULL, &lost.range), 0);
    errno = ENOTTY;
    touch(&lost, 3);
    touch(&lost, 4);
    touch(&lost, 3);
    assert_int_equal(errno, ENOTTY);
    must_be_told(&lost, 3, 2);
    assert_false(tresor__guard_next(&lost.range, 0, &run));
    assert_int_equal(sys->bell_wait(NULL, lost.alarm.bell, 0), 1);
    assert_true(tresor__guard_is_replaced(&lost.range, 4 * page + 5, 1));
    assert_false(tresor__guard_is_replaced(&lost.range, 5 * page, page));
    touch(&lost, PAGES - 1);
    must_be_told(&lost, PAGES - 1, 1);
    assert_int_equal(sys->guard_remove(NULL, &lost.range), 0);
    assert_int_equal(sys->guard_close(NULL), 0);
    struct sigaction after = now();
    assert_true(is_same(&before, &after));
    unlose(&lost);
}

static volatile sig_atomic_t taken;
static volatile uintptr_t taken_address;
static volatile sig_atomic_t taken_blocked; /* whether SIGBUS, and SIGUSR2, which was asked for, were blocked; 4: SIGUSR1 */
static void *volatile mended; /* what they put zeros over */

/* Of somebody who knows what to do about it. */
static void take(int number, siginfo_t *information, void *context)
{
    sigset_t mask;
    (void)number;
    (void)context;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    taken_blocked = sigismember(&mask, SIGBUS) | sigismember(&mask, SIGUSR2) << 1 | sigismember(&mask, SIGUSR1) << 2;
    taken_address = (uintptr_t)information->si_addr;
    taken++;
    if (mmap(mended, PAGES * page, PROT_READ,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        abort();
}

static void take_plainly(int number)
{
    siginfo_t information = {.si_addr = NULL};
    take(number, &information, NULL);
}

static void a_fault_of_others(void **state)
{
    struct lost ours;
    struct sigaction before = {.sa_sigaction = take, .sa_flags = SA_SIGINFO};
    struct sigaction was;
    (void)state;
    sigemptyset(&before.sa_mask);
    sigaddset(&before.sa_mask, SIGUSR2);
    sigaction(SIGBUS, &before, &was);
    lose(&ours);
    assert_int_equal(sys->guard_open(NULL), 0);
    assert_int_equal(sys->guard_add(NULL, &ours.range), 0);
    for (uint32_t round = 0; round < 3; round++) {
        struct lost theirs;
        lose(&theirs);
        mended = (void *)(uintptr_t)theirs.memory;
        taken = 0;
        touch(&theirs, round);
        assert_int_equal(taken, 1);
        assert_int_equal(taken_address / page, (uintptr_t)theirs.memory / page + round);
        assert_int_equal(taken_blocked, 3);
        touch(&ours, round);
        assert_int_equal(taken, 1);
        unlose(&theirs);
    }
    must_be_told(&ours, 0, 3);
    assert_int_equal(sys->guard_remove(NULL, &ours.range), 0);
    /* What is not guarded any more is theirs too. */
    mended = (void *)(uintptr_t)ours.memory;
    touch(&ours, 9);
    assert_int_equal(taken, 2);
    assert_int_equal(sys->guard_close(NULL), 0);
    struct sigaction after = now();
    assert_true(after.sa_sigaction == take);
    sigaction(SIGBUS, &was, NULL);
    unlose(&ours);
}

/* It says an address that is ours, and is no fault. */
static void a_signal_that_is_sent(void **state)
{
    struct lost ours;
    struct lost theirs;
    struct sigaction before = {.sa_sigaction = take, .sa_flags = SA_SIGINFO};
    struct sigaction was;
    siginfo_t information;
    (void)state;
    sigaction(SIGBUS, &before, &was);
    lose(&ours);
    lose(&theirs);
    mended = (void *)(uintptr_t)theirs.memory;
    assert_int_equal(sys->guard_open(NULL), 0);
    assert_int_equal(sys->guard_add(NULL, &ours.range), 0);
    memset(&information, 0, sizeof information);
    information.si_signo = SIGBUS;
    information.si_code = SI_QUEUE;
    information.si_addr = (void *)(uintptr_t)ours.memory;
    taken = 0;
    assert_int_equal(syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &information), 0);
    assert_int_equal(taken, 1);
    assert_int_equal(taken_address, (uintptr_t)ours.memory);
    assert_false(tresor__guard_is_hit(&ours.alarm));
    assert_int_equal(sys->guard_remove(NULL, &ours.range), 0);
    assert_int_equal(sys->guard_close(NULL), 0);
    sigaction(SIGBUS, &was, NULL);
    unlose(&ours);
    unlose(&theirs);
}

/* One that wants no information, that wants its own signal too, and only once. */
static void handlers_of_all_kinds(void **state)
{
    struct sigaction before = {.sa_handler = take_plainly, .sa_flags = SA_NODEFER};
    struct sigaction was;
    struct lost theirs;
    (void)state;
    sigaction(SIGBUS, &before, &was);
    assert_int_equal(sys->guard_open(NULL), 0);
    lose(&theirs);
    mended = (void *)(uintptr_t)theirs.memory;
    taken = 0;
    touch(&theirs, 1);
    assert_int_equal(taken, 1);
    assert_int_equal(taken_blocked, 0);
    assert_int_equal(sys->guard_close(NULL), 0);
    unlose(&theirs);
    before.sa_flags = (int)SA_RESETHAND;
    sigaction(SIGBUS, &before, NULL);
    assert_int_equal(sys->guard_open(NULL), 0);
    lose(&theirs);
    mended = (void *)(uintptr_t)theirs.memory;
    touch(&theirs, 1);
    assert_int_equal(taken, 2);
    assert_int_equal(sys->guard_close(NULL), 0);
    struct sigaction after = now();
    assert_true(after.sa_handler == SIG_DFL);
    sigaction(SIGBUS, &was, NULL);
    unlose(&theirs);
}

static void (*under)(int number, siginfo_t *information, void *context);

/* Of somebody who came later, and passes on what is not theirs. */
static void pass_on(int number, siginfo_t *information, void *context)
{
    taken++;
    under(number, information, context);
}

/* Ours stays where others have built on it, serves while it does, and is taken up again when they have gone. */
static void a_handler_over_ours(void **state)
{
    struct sigaction before = now();
    struct sigaction ours;
    struct sigaction theirs = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO};
    struct lost lost;
    (void)state;
    lose(&lost);
    assert_int_equal(sys->guard_open(NULL), 0);
    assert_int_equal(sys->guard_add(NULL, &lost.range), 0);
    sigaction(SIGBUS, &theirs, &ours);
    under = ours.sa_sigaction;
    taken = 0;
    touch(&lost, 1);
    assert_int_equal(taken, 1);
    assert_int_equal(sys->guard_close(NULL), 0);
    struct sigaction after = now();
    assert_true(after.sa_sigaction == pass_on);
    /* The next user is served by another of ours over theirs, so that none of them calls itself. */
    assert_int_equal(sys->guard_open(NULL), 0);
    struct sigaction second = now();
    assert_true(second.sa_sigaction != pass_on && second.sa_sigaction != ours.sa_sigaction);
    touch(&lost, 2);
    assert_int_equal(taken, 1);
    assert_int_equal(sys->guard_close(NULL), 0);
    after = now();
    assert_true(after.sa_sigaction == pass_on);
    /* They leave as they came. */
    sigaction(SIGBUS, &ours, NULL);
    assert_int_equal(sys->guard_open(NULL), 0);
    touch(&lost, 3);
    assert_int_equal(taken, 1);
    assert_int_equal(sys->guard_remove(NULL, &lost.range), 0);
    assert_int_equal(sys->guard_close(NULL), 0);
    after = now();
    assert_true(is_same(&before, &after));
    unlose(&lost);
}

/* Each of ours was built on and left. */
static void too_many_over_ours(void **state)
{
    struct sigaction before = now();
    struct sigaction layers[8];
    struct sigaction theirs = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO};
    uint32_t count = 0;
    (void)state;
    int64_t result = 0;
    while (count < 8 && (result = sys->guard_open(NULL)) == 0) {
        sigaction(SIGBUS, &theirs, &layers[count++]);
        sys->guard_close(NULL);
    }
    assert_int_equal(result, -EBUSY);
    assert_int_equal(count, 4);
    while (count-- > 0) {
        sigaction(SIGBUS, &layers[count], NULL);
        assert_int_equal(sys->guard_open(NULL), 0);
        assert_int_equal(sys->guard_close(NULL), 0);
    }
    struct sigaction after = now();
    assert_true(is_same(&before, &after));
}

static _Atomic uint32_t ended;

/* Faults in a range of its own, which is guarded anew each time. */
static void *fault_and_change(void *argument)
{
    const uint64_t *rounds = argument;
    for (uint64_t i = 0; i < *rounds; i++) {
        struct lost lost;
        lose(&lost);
        sys->guard_open(NULL);
        sys->guard_add(NULL, &lost.range);
        uint32_t sum = 0;
        for (uint64_t number = 0; number < PAGES; number++)
            sum += lost.memory[number * page];
        sys->guard_remove(NULL, &lost.range);
        sys->guard_close(NULL);
        struct tresor__guard_run run = {0};
        if (sum != 0 || !tresor__guard_next(&lost.range, 0, &run) || run.count != PAGES)
            abort();
        unlose(&lost);
    }
    atomic_fetch_add(&ended, 1);
    return NULL;
}

static void threads(void **state)
{
    static uint64_t rounds = ROUNDS;
    struct sigaction before = now();
    pthread_t made[THREADS];
    (void)state;
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&made[i], NULL, fault_and_change, &rounds), 0);
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(made[i], NULL), 0);
    assert_int_equal(ended, THREADS);
    struct sigaction after = now();
    assert_true(is_same(&before, &after));
}

/* All of them touch the same pages at once. */
READS_WHAT_IS_REMAPPED static void *touch_all(void *argument)
{
    const struct lost *lost = argument;
    uint64_t sum = 0;
    for (uint64_t number = 0; number < PAGES; number++)
        sum += lost->memory[number * page];
    return (void *)(uintptr_t)sum;
}

static void threads_on_one_page(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 50; round++) {
        struct lost lost;
        pthread_t made[THREADS];
        lose(&lost);
        sys->guard_open(NULL);
        sys->guard_add(NULL, &lost.range);
        for (uint32_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&made[i], NULL, touch_all, &lost), 0);
        for (uint32_t i = 0; i < THREADS; i++)
            pthread_join(made[i], NULL);
        must_be_told(&lost, 0, PAGES);
        sys->guard_remove(NULL, &lost.range);
        sys->guard_close(NULL);
        unlose(&lost);
    }
}

/* --- what ends a process --- */

static void without_core(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0});
}

/* The guard stands over what was before, so that a sanitizer's own handler is not asked. */
static void guard_over(void (*handler)(int))
{
    without_core();
    struct sigaction before = {.sa_handler = handler};
    sigaction(SIGBUS, &before, NULL);
    if (sys->guard_open(NULL) != 0)
        abort();
}

static void fault_elsewhere(void (*handler)(int))
{
    struct lost lost;
    lose(&lost);
    guard_over(handler);
    printf("%d", lost.memory[0]);
}

static int act(const char *what)
{
    if (strcmp(what, "fault-default") == 0)
        fault_elsewhere(SIG_DFL);
    else if (strcmp(what, "fault-ignored") == 0)
        fault_elsewhere(SIG_IGN);
    else if (strcmp(what, "sent-default") == 0)
        guard_over(SIG_DFL);
    else if (strcmp(what, "sent-ignored") == 0)
        guard_over(SIG_IGN);
    raise(SIGBUS);
    return 7;
}

static void end_as_without_us(void **state)
{
    static const struct {
        const char *what;
        int signal_number;
        int exit_code;
    } rows[] = {{"fault-default", SIGBUS, -1},
                {"fault-ignored", SIGBUS, -1},
                {"sent-default", SIGBUS, -1},
                {"sent-ignored", 0, 7}};
    static struct spawn_result result;
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *const arguments[] = {"/proc/self/exe", rows[i].what, NULL};
        assert_true(spawn_run(&result, arguments));
        assert_int_equal(result.signal_number, rows[i].signal_number);
        assert_int_equal(result.exit_code, rows[i].exit_code);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_of_ours),       cmocka_unit_test(a_fault_of_others),
        cmocka_unit_test(a_signal_that_is_sent),
        cmocka_unit_test(handlers_of_all_kinds), cmocka_unit_test(a_handler_over_ours),
        cmocka_unit_test(too_many_over_ours),    cmocka_unit_test(threads),
        cmocka_unit_test(threads_on_one_page),   cmocka_unit_test(end_as_without_us),
    };
    sys = tresor__sys_posix();
    page = (uint64_t)sys->page_bytes(NULL);
    return argc > 1 ? act(argv[1]) : cmocka_run_group_tests(tests, NULL, NULL);
}
