/* SPDX-License-Identifier: MIT */
/* Where control groups are and what they say, from texts as the kernel writes them, and from others. */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "platform/cgroup.h"
#include "support/fake_sys.h"
#include "support/faulty_sys.h"
#include "tensor/pressure.h"

#define MOUNT_V1 "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 master:2 - cgroup cgroup rw,memory\n"
#define MOUNT_V2 "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
#define MOUNT_CPU "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"

static struct tresor__cgroups groups;

static void find(const char *self, const char *mounts)
{
    tresor__cgroups_read(&groups, self, strlen(self));
    tresor__cgroups_locate(&groups, mounts, strlen(mounts));
}

static void must_be(const struct tresor__cgroup *group, uint32_t version, const char *folder,
                    const char *root)
{
    assert_int_equal(group->version, version);
    if (version == TRESOR__CGROUP_NONE)
        return;
    assert_int_equal(group->folder_bytes, strlen(folder));
    assert_memory_equal(group->folder, folder, strlen(folder));
    assert_int_equal(group->root_bytes, strlen(root));
}

static void both_hierarchies_are_found(void **state)
{
    (void)state;
    find("9:name=systemd:/\n4:memory:/one/two\n1:cpu:/\n0::/three\n", MOUNT_CPU MOUNT_V1 MOUNT_V2);
    must_be(&groups.memory, TRESOR__CGROUP_V1, "/sys/fs/cgroup/memory/one/two",
            "/sys/fs/cgroup/memory");
    must_be(&groups.unified, TRESOR__CGROUP_V2, "/sys/fs/cgroup/unified/three",
            "/sys/fs/cgroup/unified");
    find("0::/\n", "1 2 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
    must_be(&groups.unified, TRESOR__CGROUP_V2, "/sys/fs/cgroup", "/sys/fs/cgroup");
    must_be(&groups.memory, TRESOR__CGROUP_NONE, "", "");
    find("3:cpu,memory:/a:b\n", "1 2 0:3 / /m rw - cgroup cgroup rw,cpu,memory\n");
    must_be(&groups.memory, TRESOR__CGROUP_V1, "/m/a:b", "/m");
}

/* As in a container without a view of its own, where a part of the hierarchy is mounted. */
static void what_is_mounted_in_part(void **state)
{
    (void)state;
    find("0::/pod/inner/deep\n", "1 2 0:3 /pod/inner /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
    must_be(&groups.unified, TRESOR__CGROUP_V2, "/sys/fs/cgroup/deep", "/sys/fs/cgroup");
    find("0::/pod\n", "1 2 0:3 /pod /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
    must_be(&groups.unified, TRESOR__CGROUP_V2, "/sys/fs/cgroup", "/sys/fs/cgroup");
    find("0::/podium\n", "1 2 0:3 /pod /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
    must_be(&groups.unified, TRESOR__CGROUP_NONE, "", "");
    find("0::/other\n", "1 2 0:3 /pod /x rw - cgroup2 cgroup rw\n"
                        "1 2 0:3 /other /y rw - cgroup2 cgroup rw\n"
                        "1 2 0:3 / /z rw - cgroup2 cgroup rw\n");
    must_be(&groups.unified, TRESOR__CGROUP_V2, "/y", "/y");
    find("0::/a b\n", "1 2 0:3 /a\\040b /with\\040space\\134 rw - cgroup2 cgroup rw\n");
    must_be(&groups.unified, TRESOR__CGROUP_V2, "/with space\\", "/with space\\");
}

static void what_is_not_there_is_not_found(void **state)
{
    static const char *const selves[] = {"",          "0::/a",         "0::\n",         "0::a\n",
                                         "0::/..\n",  "0::/../a\n",    "0::/a/../b\n",  "0:/a\n",
                                         "1::/a\n",   "0:memory\n",    "4:memoryx:/\n", "4:xmemory:/\n",
                                         "::/a\n",    "\n\n\n",        "4:cpu:/memory\n"};
    static const char *const mounts[] = {
        "",
        "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", /* its end is missing */
        "41 31 0:38 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n",
        "41 31 0:38 / /sys/fs/cgroup rw cgroup2 cgroup2 rw\n",
        "41 31 0:38 / \n",
        "- - - - - - - cgroup\n",
        "\n",
        "41 31 0:38 /  rw - cgroup2 cgroup2 rw\n",
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof selves / sizeof selves[0]; i++) {
        find(selves[i], MOUNT_V1 MOUNT_V2);
        must_be(&groups.memory, TRESOR__CGROUP_NONE, "", "");
        must_be(&groups.unified, TRESOR__CGROUP_NONE, "", "");
    }
    for (uint32_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
        find("4:memory:/a\n0::/a\n", mounts[i]);
        must_be(&groups.memory, TRESOR__CGROUP_NONE, "", "");
        must_be(&groups.unified, TRESOR__CGROUP_NONE, "", "");
    }
}

static void paths_that_are_too_long(void **state)
{
    static char self[3 * TRESOR__CGROUP_PATH_BYTES];
    static char mount[3 * TRESOR__CGROUP_PATH_BYTES];
    (void)state;
    for (int length = TRESOR__CGROUP_PATH_BYTES - 40; length < TRESOR__CGROUP_PATH_BYTES + 40;
         length++) {
        snprintf(self, sizeof self, "0::/%0*d\n", length, 0);
        find(self, MOUNT_V2);
        bool fits = strlen("/sys/fs/cgroup/unified/") + (size_t)length < TRESOR__CGROUP_PATH_BYTES;
        assert_int_equal(groups.unified.version, fits ? TRESOR__CGROUP_V2 : TRESOR__CGROUP_NONE);
        snprintf(mount, sizeof mount, "1 2 0:3 / /%0*d rw - cgroup2 cgroup rw\n", length, 0);
        find("0::/\n", mount);
        fits = length + 1 < TRESOR__CGROUP_PATH_BYTES;
        assert_int_equal(groups.unified.version, fits ? TRESOR__CGROUP_V2 : TRESOR__CGROUP_NONE);
    }
}

/* --- numbers --- */

static int64_t parse(const char *text, uint64_t *value)
{
    return tresor__cgroup_parse(text, strlen(text), value);
}

static void numbers_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } numbers[] = {
        {"0\n", 0},
        {"17", 17},
        {"4096\n", 4096},
        {"max\n", UINT64_MAX},
        {"max", UINT64_MAX},
        {"4611686018427387903\n", (UINT64_C(1) << 62) - 1},
        {"4611686018427387904\n", UINT64_MAX},
        {"9223372036854771712\n", UINT64_MAX}, /* none, in the older hierarchy */
        {"18446744073709551615\n", UINT64_MAX},
        {"007\n", 7},
    };
    static const char *const others[] = {"",      "\n",    "-1\n",   "+1\n",     " 1\n",  "1 \n",
                                         "1\n\n", "1 2\n", "0x10\n", "1.5\n",    "maxi\n", "Max\n",
                                         "m\n",   "1k\n",  "max 1\n", "18446744073709551616\n",
                                         "99999999999999999999999\n"};
    (void)state;
    for (uint32_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        uint64_t value = 1;
        assert_int_equal(parse(numbers[i].text, &value), 0);
        assert_true(value == numbers[i].value);
    }
    for (uint32_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        uint64_t value;
        if (parse(others[i], &value) != -EINVAL)
            fail_msg("'%s' is a number", others[i]);
    }
    uint64_t value;
    assert_int_equal(tresor__cgroup_parse("1\0", 2, &value), -EINVAL);
}

/* --- measures --- */

static struct fake_sys fake;

static void group_of(uint32_t version, const char *folder, const char *root)
{
    groups.memory = (struct tresor__cgroup){.version = version,
                                            .root_bytes = (uint32_t)strlen(root),
                                            .folder_bytes = (uint32_t)strlen(folder)};
    memcpy(groups.memory.folder, folder, strlen(folder));
    fake_sys_init(&fake);
}

static void tell(const char *path, const char *text)
{
    for (uint32_t i = 0; i < FAKE_TEXTS; i++) {
        if (fake.texts[i].path && strcmp(fake.texts[i].path, path) != 0)
            continue;
        fake.texts[i] = (struct fake_text){path, text};
        return;
    }
    fail();
}

static void must_measure(uint64_t usage_bytes, uint64_t limit_bytes, const char *folder)
{
    struct tresor__pressure_facts facts;
    uint32_t folder_bytes;
    assert_int_equal(tresor__cgroup_measure(&fake.sys, &groups.memory, &facts, &folder_bytes), 0);
    assert_true(facts.usage_bytes == usage_bytes);
    assert_true(facts.limit_bytes == limit_bytes);
    assert_int_equal(folder_bytes, strlen(folder));
}

static void must_fail(int32_t os_errno)
{
    struct tresor__pressure_facts facts;
    uint32_t folder_bytes;
    assert_int_equal(tresor__cgroup_measure(&fake.sys, &groups.memory, &facts, &folder_bytes),
                     -os_errno);
}

static void the_lowest_limit_of_the_older_one(void **state)
{
    (void)state;
    group_of(TRESOR__CGROUP_V1, "/m/a/b", "/m");
    must_fail(ENOENT);
    tell("/m/a/b/memory.usage_in_bytes", "500\n");
    tell("/m/a/b/memory.limit_in_bytes", "9223372036854771712\n");
    must_measure(500, UINT64_MAX, "/m/a/b");
    tell("/m/memory.usage_in_bytes", "9000\n");
    tell("/m/memory.limit_in_bytes", "9223372036854771712\n");
    must_measure(500, UINT64_MAX, "/m/a/b");
    tell("/m/a/memory.usage_in_bytes", "700\n");
    tell("/m/a/memory.limit_in_bytes", "2000\n");
    must_measure(700, 2000, "/m/a");
    tell("/m/a/b/memory.limit_in_bytes", "1000\n");
    must_measure(500, 1000, "/m/a/b");
    tell("/m/a/b/memory.limit_in_bytes", "2000\n"); /* of two as low, the fuller */
    must_measure(700, 2000, "/m/a");
    tell("/m/memory.limit_in_bytes", "1999\n");
    must_measure(9000, 1999, "/m");
}

static void the_lowest_limit_of_the_unified_one(void **state)
{
    (void)state;
    group_of(TRESOR__CGROUP_V2, "/u/a/b", "/u");
    tell("/u/a/b/memory.current", "500\n");
    tell("/u/a/b/memory.max", "max\n");
    tell("/u/a/b/memory.high", "max\n");
    tell("/u/a/memory.current", "700\n");
    tell("/u/a/memory.max", "3000\n");
    tell("/u/a/memory.high", "max\n");
    must_measure(700, 3000, "/u/a"); /* the root has no such files */
    tell("/u/a/memory.high", "2500\n");
    must_measure(700, 2500, "/u/a");
    tell("/u/a/b/memory.max", "2600\n");
    must_measure(700, 2500, "/u/a");
    tell("/u/a/b/memory.high", "10\n");
    must_measure(500, 10, "/u/a/b");
    tell("/u/a/b/memory.high", "0\n");
    must_measure(500, 0, "/u/a/b");
}

/* Not a number anywhere on the way, and nothing is known. */
static void what_is_no_number_is_an_error(void **state)
{
    static const char *const paths[] = {
        "/u/a/b/memory.current", "/u/a/b/memory.max", "/u/a/b/memory.high",
        "/u/a/memory.current",   "/u/a/memory.max",   "/u/a/memory.high",
    };
    static const char *const texts[] = {
        "", "x\n", "-5\n", "99999999999999999999999999\n",
        "1111111111111111111111111111111111111111111111111111111111111111111111111111111111\n"};
    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        for (uint32_t k = 0; k < 5; k++) {
            group_of(TRESOR__CGROUP_V2, "/u/a/b", "/u");
            for (uint32_t n = 0; n < 6; n++)
                tell(paths[n], "1000\n");
            must_measure(1000, 1000, "/u/a/b");
            tell(paths[i], texts[k]);
            must_fail(EINVAL);
        }
    }
}

/* Those above may be hidden; the group itself must answer. */
static void errors_above_are_passed_over(void **state)
{
    static struct faulty_sys faulty;
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_READ_TEXT, &count);
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        for (uint64_t nth = 1; nth <= 8; nth++) {
            struct tresor__pressure_facts facts;
            uint32_t folder_bytes;
            group_of(TRESOR__CGROUP_V2, "/u/a/b", "/u");
            tell("/u/a/b/memory.current", "500\n");
            tell("/u/a/b/memory.max", "max\n");
            tell("/u/a/b/memory.high", "max\n");
            tell("/u/a/memory.current", "700\n");
            tell("/u/a/memory.max", "3000\n");
            tell("/u/a/memory.high", "max\n");
            faulty_sys_init(&faulty, &fake.sys);
            faulty.plan =
                (struct faulty_plan){.row = FAULTY_READ_TEXT, .nth = nth, .os_errno = errors[i]};
            int64_t result =
                tresor__cgroup_measure(&faulty.sys, &groups.memory, &facts, &folder_bytes);
            bool is_own = nth <= 3;
            bool is_missing_limit = errors[i] == ENOENT && nth != 1;
            assert_int_equal(result, is_own && !is_missing_limit ? -errors[i] : 0);
            if (result == 0)
                assert_true(facts.limit_bytes == 3000 || facts.limit_bytes == UINT64_MAX);
        }
    }
}

static void the_root_itself(void **state)
{
    (void)state;
    group_of(TRESOR__CGROUP_V1, "/m", "/m");
    tell("/m/memory.usage_in_bytes", "500\n");
    tell("/m/memory.limit_in_bytes", "1000\n");
    must_measure(500, 1000, "/m");
}

/* --- the target --- */

static void the_target_leaves_a_tenth(void **state)
{
    (void)state;
    assert_true(tresor__pressure_target(500, 1000, 1000) == 400);
    assert_true(tresor__pressure_target(500, 900, 1000) == 500);
    assert_true(tresor__pressure_target(500, 800, 1000) == 600);
    assert_true(tresor__pressure_target(50, 1000, 1000) == 0);
    assert_true(tresor__pressure_target(100, 1000, 1000) == 0);
    assert_true(tresor__pressure_target(101, 1000, 1000) == 1);
    assert_true(tresor__pressure_target(0, 0, 1000) == 900);
    assert_true(tresor__pressure_target(7, 5000, UINT64_MAX) == 7);
    assert_true(tresor__pressure_target(7, 5000, 0) == 0);
    assert_true(tresor__pressure_target(UINT64_MAX, 0, 1000) == UINT64_MAX);
    assert_true(tresor__pressure_target(UINT64_MAX, UINT64_MAX, 0) == 0);
    assert_true(tresor__pressure_target(10, 19, 19) == 8); /* 17 of 19 is the most that is not above */
    /* For any numbers: what is left is what is wanted. */
    for (uint64_t limit = 0; limit < 40; limit++)
        for (uint64_t usage = 0; usage < 60; usage++)
            for (uint64_t charged = 0; charged <= usage; charged++) {
                uint64_t wanted = limit * 9 / 10;
                uint64_t target = tresor__pressure_target(charged, usage, limit);
                uint64_t others = usage - charged;
                assert_true(target + others == wanted || (target == 0 && others > wanted));
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_hierarchies_are_found),
        cmocka_unit_test(what_is_mounted_in_part),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(paths_that_are_too_long),
        cmocka_unit_test(numbers_are_read),
        cmocka_unit_test(the_lowest_limit_of_the_older_one),
        cmocka_unit_test(the_lowest_limit_of_the_unified_one),
        cmocka_unit_test(what_is_no_number_is_an_error),
        cmocka_unit_test(errors_above_are_passed_over),
        cmocka_unit_test(the_root_itself),
        cmocka_unit_test(the_target_leaves_a_tenth),
    };
    return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
