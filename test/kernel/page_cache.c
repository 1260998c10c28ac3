/* SPDX-License-Identifier: MIT */
/* What the system says of its page cache and of a device's readahead, where it says it. */
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/sys.h"
#include "support/temporary.h"

enum { FILE_BYTES = 4 * 1024 * 1024 };

static char folder[TEMPORARY_PATH_BYTES];
static char path[TEMPORARY_PATH_BYTES + 16];

static int setup(void **state)
{
    void *bytes = calloc(1, FILE_BYTES);
    (void)state;
    temporary_make(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    temporary_write(path, bytes, FILE_BYTES);
    free(bytes);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temporary_remove(folder);
    return 0;
}

static bool is_one_of(int64_t result, const int32_t *errors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (result == -errors[i])
            return true;
    return false;
}

static void cached_bytes_are_counted(void **state)
{
    static const int32_t unknown[] = {ENOSYS, EPERM, EOPNOTSUPP};
    const struct tresor__sys *sys = tresor__sys_posix();
    uint64_t bytes = 0;
    (void)state;
    int descriptor = (int)sys->open_file(sys->cookie, path);
    assert_true(descriptor >= 0);
    int64_t result = sys->cached_bytes(sys->cookie, descriptor, 0, FILE_BYTES, &bytes);
    if (result < 0) {
        assert_true(is_one_of(result, unknown, 3));
        print_message("# what is cached is not told here: %d\n", (int)-result);
    } else {
        assert_int_equal(bytes, FILE_BYTES);
        fsync(descriptor);
        sys->advise_file(sys->cookie, descriptor, 0, 0, TRESOR__SYS_FILE_DONTNEED);
        assert_int_equal(sys->cached_bytes(sys->cookie, descriptor, 0, FILE_BYTES, &bytes), 0);
        assert_true(bytes <= FILE_BYTES); /* a file system in memory evicts nothing */
        assert_int_equal(sys->cached_bytes(sys->cookie, descriptor, 2 * FILE_BYTES, 4096, &bytes),
                         0);
        assert_int_equal(bytes, 0);
    }
    assert_true(sys->cached_bytes(sys->cookie, -1, 0, 4096, &bytes) < 0);
    sys->close(sys->cookie, descriptor);
}

static void readahead_is_the_devices(void **state)
{
    static const int32_t unknown[] = {ENOENT, ENOSYS, EACCES};
    const struct tresor__sys *sys = tresor__sys_posix();
    struct tresor__sys_stat stat;
    uint64_t bytes = UINT64_MAX;
    (void)state;
    int descriptor = (int)sys->open_file(sys->cookie, path);
    assert_int_equal(sys->stat(sys->cookie, descriptor, &stat), 0);
    int64_t result = sys->readahead_bytes(sys->cookie, stat.device, &bytes);
    if (result == 0)
        assert_int_equal(bytes % 1024, 0);
    else
        assert_true(is_one_of(result, unknown, 3));
    /* Of a device that is not there nothing is known. */
    assert_true(is_one_of(sys->readahead_bytes(sys->cookie, 0xfedcb, &bytes), unknown, 3));
    sys->close(sys->cookie, descriptor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cached_bytes_are_counted),
        cmocka_unit_test(readahead_is_the_devices),
    };
    return cmocka_run_group_tests_name("page_cache", tests, setup, teardown);
}
