/* SPDX-License-Identifier: MIT */
/* The effect CANCEL on sync and pool: a read that waits ends as cancelled, one that runs goes on. */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>

#include "support/asked.h"

static struct asked asked;

/* --- a disk that holds its readers --- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_held;
    uint32_t readers;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int64_t read_when_let(void *cookie, int descriptor, void *address, size_t length,
                             uint64_t offset)
{
    (void)cookie;
    pthread_mutex_lock(&disk.lock);
    disk.readers++;
    pthread_cond_broadcast(&disk.changed);
    while (disk.is_held)
        pthread_cond_wait(&disk.changed, &disk.lock);
    pthread_mutex_unlock(&disk.lock);
    return tresor__sys_posix()->read(NULL, descriptor, address, length, offset);
}

static void hold(bool is_held)
{
    pthread_mutex_lock(&disk.lock);
    disk.is_held = is_held;
    pthread_cond_broadcast(&disk.changed);
    pthread_mutex_unlock(&disk.lock);
}

static void wait_for_readers(uint32_t count)
{
    pthread_mutex_lock(&disk.lock);
    while (disk.readers < count)
        pthread_cond_wait(&disk.changed, &disk.lock);
    pthread_mutex_unlock(&disk.lock);
}

/* --- both --- */

static void must_be_taken_back(uint32_t block)
{
    const struct asked_answers *answers = &asked.answers[block];
    assert_int_equal(answers->reads, 1);
    assert_int_equal(answers->read.os_errno, ECANCELED);
    assert_int_equal(answers->cancels, 1);
    assert_int_equal(answers->cancel.value, 1);
}

static void must_have_found_nothing(uint32_t block)
{
    assert_int_equal(asked.answers[block].cancels, 1);
    assert_int_equal(asked.answers[block].cancel.os_errno, 0);
    assert_int_equal(asked.answers[block].cancel.value, 0);
}

static void sync_takes_back_what_waits(void **state)
{
    (void)state;
    asked_begin(&asked);
    assert_error(tresor__sync_create(&asked.faulty.sys, &asked.allocator, &asked.bell, ASKED_MAX, &asked.backend),
                 TRESOR_OK);
    asked_read(&asked, 0, 4, 0);
    asked_cancel(&asked, 2);
    asked_cancel(&asked, 0);
    asked_cancel(&asked, 9);
    assert_int_equal(asked.answers[2].reads, 0);
    asked_run(&asked);
    must_be_taken_back(0);
    must_be_taken_back(2);
    must_have_found_nothing(9);
    asked_cancel(&asked, 1); /* which has ended */
    asked_run(&asked);
    must_have_found_nothing(1);
    assert_int_equal(asked_count_whole(&asked), 2);
    assert_int_equal(asked.faulty.counts[FAULTY_READ], 2);
    asked_end(&asked);
}

/* One worker, which is held: what waits is answered without it. */
static void pool_takes_back_what_waits(void **state)
{
    (void)state;
    disk.readers = 0;
    hold(true);
    asked_begin(&asked);
    struct tresor__sys table = asked.faulty.sys;
    table.read = read_when_let;
    assert_error(tresor__pool_create(&table, &asked.allocator, &asked.bell, ASKED_MAX, 1, &asked.backend),
                 TRESOR_OK);
    asked_read(&asked, 0, 4, 0);
    wait_for_readers(1);
    asked_cancel(&asked, 2);
    asked_cancel(&asked, 0);
    asked_cancel(&asked, 9);
    assert_int_equal(asked.answers[2].reads, 0);
    assert_int_equal(asked_poll(&asked), 4);
    must_be_taken_back(2);
    must_have_found_nothing(0);
    must_have_found_nothing(9);
    hold(false);
    asked_run(&asked);
    assert_int_equal(asked_count_whole(&asked), 3);
    assert_int_equal(disk.readers, 3);
    asked_end(&asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sync_takes_back_what_waits),
        cmocka_unit_test(pool_takes_back_what_waits),
    };
    asked_make(&asked);
    int failed = cmocka_run_group_tests_name("read_cancel", tests, NULL, NULL);
    asked_remove(&asked);
    return failed;
}
