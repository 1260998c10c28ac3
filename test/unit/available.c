/* SPDX-License-Identifier: MIT */
/* What memory there is to be had, from texts as the kernel writes them, and what zigllama's face makes of it. */
#include "support/test.h"

#include <string.h>

#include "compat/zigllama.h"
#include "platform/available.h"
#include "platform/cgroup.h"
#include "support/fake_sys.h"
#include "support/faulty_sys.h"

enum { KIB = 1024 };

#define V1 "4:memory:/a/b\n"
#define V2 "0::/a/b\n"
#define MOUNTS                                                                                     \
    "35 31 0:32 / /m rw - cgroup cgroup rw,memory\n"                                               \
    "41 31 0:38 / /u rw - cgroup2 cgroup2 rw\n"
#define MACHINE "MemTotal:  9000 kB\nMemFree:  1 kB\nMemAvailable:     8000 kB\nBuffers: 7 kB\n"

static struct fake_sys fake;
static uint32_t text_count;

static void tell(const char *path, const char *text)
{
    for (uint32_t i = 0; i < text_count; i++)
        if (strcmp(fake.texts[i].path, path) == 0) {
            fake.texts[i].text = text;
            return;
        }
    assert_true(text_count < FAKE_TEXTS - 1);
    fake.texts[text_count++] = (struct fake_text){path, text};
}

static void begin(const char *machine, const char *groups)
{
    fake_sys_init(&fake);
    text_count = 0;
    if (machine)
        tell("/proc/meminfo", machine);
    tell("/proc/self/cgroup", groups);
    tell("/proc/self/mountinfo", MOUNTS);
}

static uint64_t available(void)
{
    static char text[TRESOR__CGROUP_TEXT_BYTES];
    uint64_t bytes = 0;
    return tresor__available_bytes(&fake.sys, text, &bytes) < 0 ? UINT64_MAX : bytes;
}

static void the_machine_alone(void **state)
{
    static const char *const wrong[] = {
        "",
        "MemTotal: 1 kB\n",
        "MemTotal: 1 kB\nMemAvailable: x kB\n",
        "MemTotal: 1 kB\nMemAvailable:  kB\n",
        "MemTotal: 1 kB\nMemAvailable: 5 MB\n",
        "MemTotal: 1 kB\nMemAvailable: 5 kB", /* cut */
        "MemTotal: 1 kB\nMemAvailable: 99999999999999999999999 kB\n",
        "MemTotal: 1 kB\nMemAvailable: 18014398509481984 kB\n", /* 2^64 bytes */
        "MemTotal: 1 kB\nMemAvailable: -5 kB\n",
    };
    (void)state;
    begin(MACHINE, "");
    assert_int_equal(available(), 8000 * KIB);
    begin("MemTotal: 1 kB\nMemAvailable: 0 kB\n", "");
    assert_int_equal(available(), 0);
    begin(NULL, "");
    assert_true(available() == UINT64_MAX);
    for (uint32_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        begin(wrong[i], "");
        assert_true(available() == UINT64_MAX);
    }
}

static void a_group_without_a_limit(void **state)
{
    (void)state;
    begin(MACHINE, V2);
    tell("/u/a/b/memory.current", "500\n");
    tell("/u/a/b/memory.max", "max\n");
    tell("/u/a/b/memory.high", "max\n");
    assert_int_equal(available(), 8000 * KIB);
}

static void the_first_limit_that_is_reached(void **state)
{
    (void)state;
    begin(MACHINE, V2);
    tell("/u/a/b/memory.current", "1000\n");
    tell("/u/a/b/memory.max", "5000\n");
    assert_int_equal(available(), 4000);
    tell("/u/a/memory.current", "1000\n");
    tell("/u/a/memory.max", "20000\n"); /* more is left above it */
    assert_int_equal(available(), 4000);
    /* Above it the limit is higher, and less is left. */
    tell("/u/a/memory.current", "9800\n");
    tell("/u/a/memory.max", "10000\n");
    assert_int_equal(available(), 200);
    tell("/u/a/memory.high", "9900\n");
    assert_int_equal(available(), 100);
    tell("/u/a/memory.current", "99999\n"); /* more than it may */
    assert_int_equal(available(), 0);
}

static void idle_cache_makes_room(void **state)
{
    (void)state;
    begin(MACHINE, V2);
    tell("/u/a/b/memory.current", "4000\n");
    tell("/u/a/b/memory.max", "5000\n");
    tell("/u/a/b/memory.stat", "anon 100\nactive_file 700\ninactive_file 2500\nslab 3\n");
    assert_int_equal(available(), 3500);
    tell("/u/a/b/memory.stat", "inactive_file 999999\n"); /* not more than is used */
    assert_int_equal(available(), 5000);
    tell("/u/a/b/memory.stat", "inactive_file much\n");
    assert_int_equal(available(), 1000);
    tell("/u/a/b/memory.stat", "xinactive_file 500\ninactive_file_x 500\n");
    assert_int_equal(available(), 1000);
}

static void both_hierarchies(void **state)
{
    (void)state;
    begin(MACHINE, V1 V2);
    tell("/m/a/b/memory.usage_in_bytes", "3000\n");
    tell("/m/a/b/memory.limit_in_bytes", "7000\n");
    tell("/m/a/b/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
    assert_int_equal(available(), 4500);
    tell("/u/a/b/memory.current", "10\n");
    tell("/u/a/b/memory.max", "30\n");
    assert_int_equal(available(), 20);
    tell("/u/a/b/memory.max", "9223372036854771712\n");
    assert_int_equal(available(), 4500);
    tell("/m/a/b/memory.limit_in_bytes", "no number\n"); /* then it is not known to limit */
    assert_int_equal(available(), 8000 * KIB);
}

static void a_group_where_the_machine_says_nothing(void **state)
{
    (void)state;
    begin(NULL, V2);
    tell("/u/a/b/memory.current", "10\n");
    tell("/u/a/b/memory.max", "30\n");
    assert_int_equal(available(), 20);
}

/* --- how to map --- */

static struct tresor_zigllama_strategy choose(uint64_t file_bytes)
{
    struct tresor_zigllama_strategy strategy = {.size_bytes = sizeof strategy};
    assert_error(tresor__zigllama_choose(&fake.sys, file_bytes, &strategy, NULL), TRESOR_OK);
    assert_int_equal(strategy.use_mmap, 1);
    assert_int_equal(strategy.load_flags,
                     (strategy.lock_memory ? TRESOR_ZIGLLAMA_LOAD_LOCK : 0) |
                         (strategy.prefault ? TRESOR_ZIGLLAMA_LOAD_PREFAULT : 0));
    return strategy;
}

static void by_what_is_available(void **state)
{
    const uint64_t all = 8000 * KIB;
    const struct {
        uint64_t file_bytes;
        uint64_t lock_limit;
        uint32_t locks;
        uint32_t prefaults;
        uint32_t advice;
    } cases[] = {
        {0, UINT64_MAX, 1, 1, TRESOR_ADVICE_WILLNEED},
        {all / 2, UINT64_MAX, 1, 1, TRESOR_ADVICE_WILLNEED},
        {all / 2 + 1, UINT64_MAX, 0, 1, TRESOR_ADVICE_WILLNEED},
        {all, UINT64_MAX, 0, 1, TRESOR_ADVICE_WILLNEED},
        {all + 1, UINT64_MAX, 0, 0, TRESOR_ADVICE_RANDOM},
        {UINT64_MAX, UINT64_MAX, 0, 0, TRESOR_ADVICE_RANDOM},
        {4096, 4096, 1, 1, TRESOR_ADVICE_WILLNEED},
        {4097, 4096, 0, 1, TRESOR_ADVICE_WILLNEED}, /* it would be refused */
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(MACHINE, "");
        fake.lock_limit_bytes = cases[i].lock_limit;
        struct tresor_zigllama_strategy strategy = choose(cases[i].file_bytes);
        assert_int_equal(strategy.available_bytes, all);
        assert_int_equal(strategy.lock_memory, cases[i].locks);
        assert_int_equal(strategy.prefault, cases[i].prefaults);
        assert_int_equal(strategy.advice, cases[i].advice);
    }
    begin(MACHINE, "");
    fake.lock_limit_bytes = 10000;
    range_set_add(&fake.locked, (struct range){0x10000, 0x11000});
    assert_int_equal(choose(10000 - 4096).lock_memory, 1);
    assert_int_equal(choose(10000 - 4095).lock_memory, 0);
}

static void nothing_is_assumed(void **state)
{
    struct tresor_zigllama_strategy strategy = {.size_bytes = sizeof strategy};
    struct tresor_error error = {0};
    uint64_t bytes = 77;
    (void)state;
    begin(NULL, "");
    assert_error(tresor__zigllama_available(&fake.sys, &bytes, &error), TRESOR_ERROR_UNSUPPORTED);
    assert_true(error.os_errno > 0);
    assert_int_equal(bytes, 77);
    assert_error(tresor__zigllama_choose(&fake.sys, 1, &strategy, &error), TRESOR_ERROR_UNSUPPORTED);
    begin(MACHINE, "");
    assert_error(tresor__zigllama_choose(&fake.sys, 1, NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor__zigllama_available(&fake.sys, NULL, NULL), TRESOR_ERROR_INVALID);
    strategy.size_bytes = 2;
    assert_error(tresor__zigllama_choose(&fake.sys, 1, &strategy, NULL), TRESOR_ERROR_INVALID);
}

/* Whatever cannot be read, what is told is no more than what is there, and the lock is not advised where its limit is
 * not known. */
static void every_call_fails(void **state)
{
    static const enum faulty_row rows[] = {FAULTY_READ_TEXT, FAULTY_LOCK_LIMIT, FAULTY_LOCKED};
    static struct faulty_sys faulty;
    (void)state;
    for (uint32_t row = 0; row < 3; row++) {
        uint64_t nth = 0;
        do {
            struct tresor_zigllama_strategy strategy = {.size_bytes = sizeof strategy};
            struct tresor_error error = {0};
            begin(MACHINE, V2);
            tell("/u/a/b/memory.current", "10\n");
            tell("/u/a/b/memory.max", "8000000\n");
            fake.lock_limit_bytes = UINT64_MAX - 1;
            faulty_sys_init(&faulty, &fake.sys);
            nth++;
            faulty.plan = (struct faulty_plan){.row = rows[row], .nth = nth, .choice = (uint32_t)nth};
            int32_t code = tresor__zigllama_choose(&faulty.sys, 5, &strategy, &error);
            assert_error(code, TRESOR_OK);
            assert_true(strategy.available_bytes <= 8000 * KIB);
            if (row > 0 && faulty.injected > 0)
                assert_int_equal(strategy.lock_memory, 0);
        } while (faulty.injected > 0);
        assert_true(nth > 1);
    }
}

static void this_machine(void **state)
{
    uint64_t bytes = 0;
    struct tresor_zigllama_strategy strategy = {.size_bytes = sizeof strategy};
    (void)state;
    assert_error(tresor_zigllama_available_bytes(&bytes, NULL), TRESOR_OK);
    assert_true(bytes > 0 && bytes < UINT64_C(1) << 50);
    print_message("# %llu MiB are available\n", (unsigned long long)bytes >> 20);
    assert_error(tresor_zigllama_choose(UINT64_C(1) << 60, &strategy, NULL), TRESOR_OK);
    assert_int_equal(strategy.load_flags, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_alone),
        cmocka_unit_test(a_group_without_a_limit),
        cmocka_unit_test(the_first_limit_that_is_reached),
        cmocka_unit_test(idle_cache_makes_room),
        cmocka_unit_test(both_hierarchies),
        cmocka_unit_test(a_group_where_the_machine_says_nothing),
        cmocka_unit_test(by_what_is_available),
        cmocka_unit_test(nothing_is_assumed),
        cmocka_unit_test(every_call_fails),
        cmocka_unit_test(this_machine),
    };
    return cmocka_run_group_tests_name("available", tests, NULL, NULL);
}
