/* SPDX-License-Identifier: MIT */
/* Locks of the face of llama.cpp: they grow by pages, stop at the first refusal, and are gone with their object. */
#include "support/test.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "compat/llama.h"
#include "support/child.h"
#include "support/faulty_sys.h"
#include "support/sanitizer.h"

enum { PAGES = 16 };

static struct faulty_sys faulty;
static uint64_t page;
static char *memory;

static void begin(void)
{
    void *address;
    faulty_sys_init(&faulty, tresor__sys_posix());
    assert_int_equal(faulty.sys.map(faulty.sys.cookie, TRESOR__SYS_MAP_ANONYMOUS, NULL,
                                    PAGES * page, -1, 0, &address),
                     0);
    memory = address;
}

static void end(void)
{
    faulty.sys.unmap(faulty.sys.cookie, memory, PAGES * page);
    const char *wrong = faulty_sys_check(&faulty);
    assert_string_equal(wrong ? wrong : "", "");
}

static struct tresor_llama_lock *open_lock(void *address)
{
    struct tresor_llama_lock *lock = NULL;
    assert_error(tresor__llama_lock_open(&faulty.sys, &lock, NULL), TRESOR_OK);
    assert_error(tresor_llama_lock_init(lock, address, NULL), TRESOR_OK);
    return lock;
}

static uint64_t locked_in_books(void)
{
    return range_set_bytes(&faulty.locked);
}

static void locks_grow_by_pages(void **state)
{
    static const struct {
        uint64_t pages, bytes;
        uint64_t locked; /* pages */
    } steps[] = {{0, 0, 0}, {0, 1, 1}, {1, 0, 1}, {1, 1, 2}, {0, 5, 2}, {7, 0, 7}, {PAGES, 0, PAGES}};
    (void)state;
    begin();
    struct tresor_llama_lock *lock = open_lock(memory);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_error(tresor_llama_lock_grow_to(lock, steps[i].pages * page + steps[i].bytes, NULL),
                     TRESOR_OK);
        assert_int_equal(tresor_llama_lock_locked(lock), steps[i].locked * page);
        assert_int_equal(locked_in_books(), steps[i].locked * page);
    }
    assert_int_equal(faulty.counts[FAULTY_LOCK], 4); /* what is locked is not asked for again */
    assert_error(tresor_llama_lock_close(lock, NULL), TRESOR_OK);
    assert_int_equal(locked_in_books(), 0);
    end();
}

/* Memory that begins within a page: the pages that it touches, and no other. */
static void a_place_within_a_page(void **state)
{
    (void)state;
    begin();
    struct tresor_llama_lock *lock = open_lock(memory + 100);
    assert_error(tresor_llama_lock_grow_to(lock, page - 100, NULL), TRESOR_OK);
    assert_int_equal(locked_in_books(), page);
    assert_error(tresor_llama_lock_grow_to(lock, page - 99, NULL), TRESOR_OK);
    assert_int_equal(locked_in_books(), 2 * page);
    assert_error(tresor_llama_lock_close(lock, NULL), TRESOR_OK);
    end();
}

static void without_a_place_nothing_happens(void **state)
{
    struct tresor_error error;
    (void)state;
    begin();
    struct tresor_llama_lock *lock = open_lock(NULL);
    assert_error(tresor_llama_lock_grow_to(lock, 100, &error), TRESOR_OK);
    assert_int_equal(tresor_llama_lock_locked(lock), 0);
    assert_int_equal(faulty.counts[FAULTY_LOCK], 0);
    assert_error(tresor_llama_lock_init(lock, memory, &error), TRESOR_OK);
    assert_error(tresor_llama_lock_init(lock, memory + page, &error), TRESOR_ERROR_BUSY);
    assert_error(tresor_llama_lock_grow_to(lock, SIZE_MAX - 5, &error), TRESOR_ERROR_INVALID);
    assert_error(tresor_llama_lock_grow_to(lock, 100, &error), TRESOR_OK);
    assert_int_equal(tresor_llama_lock_locked(lock), page);
    assert_error(tresor_llama_lock_close(lock, NULL), TRESOR_OK);
    assert_error(tresor_llama_lock_close(NULL, NULL), TRESOR_OK);
    end();
}

/* A refusal is the last word, what was locked stays so, and a part that was locked nevertheless is taken back. */
static void a_refusal_is_the_last_word(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_LOCK, &count);
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        struct tresor_error error = {0};
        struct tresor_error again = {0};
        begin();
        struct tresor_llama_lock *lock = open_lock(memory);
        assert_error(tresor_llama_lock_grow_to(lock, 3 * page, &error), TRESOR_OK);
        range_set_add(&faulty.locked, (struct range){(uintptr_t)memory + 4 * page,
                                                     (uintptr_t)memory + 5 * page});
        faulty.plan = (struct faulty_plan){
            .row = FAULTY_LOCK, .nth = 2, .persistent = true, .os_errno = errors[i]};
        assert_error(tresor_llama_lock_grow_to(lock, 9 * page, &error), TRESOR_ERROR_LOCK_LIMIT);
        assert_int_equal(error.os_errno, errors[i]);
        assert_int_equal(error.wanted, 9 * page);
        assert_int_equal(locked_in_books(), 3 * page);
        uint64_t calls = faulty.counts[FAULTY_LOCK];
        faulty.plan = (struct faulty_plan){0};
        assert_error(tresor_llama_lock_grow_to(lock, 4 * page, &again), TRESOR_ERROR_LOCK_LIMIT);
        assert_memory_equal(&again, &error, sizeof error);
        assert_int_equal(faulty.counts[FAULTY_LOCK], calls);
        assert_int_equal(tresor_llama_lock_locked(lock), 3 * page);
        assert_error(tresor_llama_lock_close(lock, NULL), TRESOR_OK);
        end();
    }
}

static void an_interrupted_lock_is_asked_again(void **state)
{
    (void)state;
    begin();
    struct tresor_llama_lock *lock = open_lock(memory);
    faulty.plan = (struct faulty_plan){.row = FAULTY_LOCK, .nth = 1, .os_errno = EINTR};
    assert_error(tresor_llama_lock_grow_to(lock, page, NULL), TRESOR_OK);
    faulty.plan = (struct faulty_plan){.row = FAULTY_UNLOCK, .nth = 1, .os_errno = EINTR};
    assert_error(tresor_llama_lock_close(lock, NULL), TRESOR_OK);
    assert_int_equal(faulty.counts[FAULTY_UNLOCK], 2);
    end();
}

static void an_unlock_that_fails_is_told(void **state)
{
    struct tresor_error error;
    (void)state;
    begin();
    struct tresor_llama_lock *lock = open_lock(memory);
    assert_error(tresor_llama_lock_grow_to(lock, 5 * page, NULL), TRESOR_OK);
    faulty.plan = (struct faulty_plan){.row = FAULTY_UNLOCK, .nth = 1, .os_errno = EPERM};
    assert_error(tresor_llama_lock_close(lock, &error), TRESOR_ERROR_IO);
    assert_int_equal(error.got, 5 * page);
    assert_int_equal(error.os_errno, EPERM);
    end();
}

static void a_table_without_pages_is_refused(void **state)
{
    struct tresor_llama_lock *lock = NULL;
    struct tresor_error error;
    (void)state;
    begin();
    faulty.plan = (struct faulty_plan){.row = FAULTY_PAGE_BYTES, .nth = 1, .os_errno = EINVAL};
    assert_error(tresor__llama_lock_open(&faulty.sys, &lock, &error), TRESOR_ERROR_INVALID);
    assert_null(lock);
    end();
}

/* --- what the system really does --- */

static uint64_t locked_by_process(void)
{
    const struct tresor__sys *sys = tresor__sys_posix();
    uint64_t bytes = 0;
    assert_int_equal(sys->locked(sys->cookie, &bytes), 0);
    return bytes;
}

/* The question locks nothing itself. */
static void locks_are_supported(void **state)
{
    (void)state;
    uint64_t before = locked_by_process();
    assert_true(tresor_llama_lock_supported());
    assert_int_equal(locked_by_process(), before);
}

/* The system stops unlocking where memory has gone; here what is behind it is unlocked too. */
static void memory_with_holes_is_unlocked(void **state)
{
    struct tresor_llama_lock *lock = NULL;
    (void)state;
    if (HAS_ADDRESS_SANITIZER) /* makes mlock do nothing */
        return;
    begin();
    uint64_t before = locked_by_process();
    assert_error(tresor_llama_lock_open(&lock, NULL), TRESOR_OK);
    assert_error(tresor_llama_lock_init(lock, memory, NULL), TRESOR_OK);
    assert_error(tresor_llama_lock_grow_to(lock, PAGES * page, NULL), TRESOR_OK);
    assert_int_equal(locked_by_process(), before + PAGES * page);
    faulty.sys.unmap(faulty.sys.cookie, memory, page);
    faulty.sys.unmap(faulty.sys.cookie, memory + 5 * page, 2 * page);
    faulty.sys.unmap(faulty.sys.cookie, memory + 10 * page, page);
    assert_error(tresor_llama_lock_close(lock, NULL), TRESOR_OK);
    assert_int_equal(locked_by_process(), before);
    faulty_sys_clean(&faulty);
}

struct outcome {
    bool ran;
    int32_t first;
    int32_t second;
    struct tresor_error error;
    uint64_t locked;
};

static void grow_over_the_limit(void *shared)
{
    struct outcome *outcome = shared;
    const struct rlimit limit = {4 * page, 4 * page};
    struct tresor_llama_lock *lock = NULL;
    if (!child_give_up_rights() || setrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
        tresor_llama_lock_open(&lock, NULL) != TRESOR_OK)
        return;
    tresor_llama_lock_init(lock, memory, NULL);
    outcome->first = tresor_llama_lock_grow_to(lock, 3 * page, NULL);
    outcome->second = tresor_llama_lock_grow_to(lock, 9 * page, &outcome->error);
    outcome->locked = tresor_llama_lock_locked(lock);
    tresor_llama_lock_close(lock, NULL);
    outcome->ran = true;
}

static void the_limit_is_told(void **state)
{
    (void)state;
    if (HAS_ADDRESS_SANITIZER)
        return;
    begin();
    struct outcome *outcome = child_share(sizeof *outcome);
    assert_true(child_run(grow_over_the_limit, outcome));
    assert_true(outcome->ran);
    assert_error(outcome->first, TRESOR_OK);
    assert_error(outcome->second, TRESOR_ERROR_LOCK_LIMIT);
    assert_int_equal(outcome->error.os_errno, ENOMEM);
    assert_int_equal(outcome->error.wanted, 9 * page);
    assert_int_equal(outcome->error.got, 4 * page);
    assert_int_equal(outcome->error.offset, 3 * page);
    assert_int_equal(outcome->locked, 3 * page);
    child_unshare(outcome, sizeof *outcome);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_grow_by_pages),
        cmocka_unit_test(a_place_within_a_page),
        cmocka_unit_test(without_a_place_nothing_happens),
        cmocka_unit_test(a_refusal_is_the_last_word),
        cmocka_unit_test(an_interrupted_lock_is_asked_again),
        cmocka_unit_test(an_unlock_that_fails_is_told),
        cmocka_unit_test(a_table_without_pages_is_refused),
        cmocka_unit_test(locks_are_supported),
        cmocka_unit_test(memory_with_holes_is_unlocked),
        cmocka_unit_test(the_limit_is_told),
    };
    page = (uint64_t)sysconf(_SC_PAGESIZE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
