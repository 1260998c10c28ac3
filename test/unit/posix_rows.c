/* SPDX-License-Identifier: MIT */
/* Rows of the system's own table: what they open they close, and what they leave open no program inherits. */
#include "support/test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/sys.h"
#include "support/temporary.h"

static const struct tresor__sys *sys;

/* The lowest descriptor that is free. */
static int next_descriptor(void)
{
    int descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(descriptor >= 0);
    close(descriptor);
    return descriptor;
}

static void questions_leave_nothing_open(void **state)
{
    char text[64];
    uint64_t number = 0;
    struct tresor__sys_stat stat;
    (void)state;
    int free_one = next_descriptor();
    assert_int_equal(sys->stat(sys->cookie, STDIN_FILENO, &stat), 0);
    sys->locked(sys->cookie, &number);
    sys->lock_limit(sys->cookie, &number);
    sys->max_maps(sys->cookie);
    sys->readahead_bytes(sys->cookie, stat.device, &number);
    sys->read_text(sys->cookie, "/proc/self/cgroup", text, sizeof text);
    assert_int_equal(next_descriptor(), free_one);
}

static void no_program_inherits_a_file(void **state)
{
    char folder[TEMPORARY_PATH_BYTES];
    char path[TEMPORARY_PATH_BYTES + 8];
    int bell[2];
    (void)state;
    temporary_make(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    temporary_write(path, "text", 4);
    int64_t file = sys->open_file(sys->cookie, path);
    assert_true(file >= 0);
    assert_true(fcntl((int)file, F_GETFD) & FD_CLOEXEC);
    int64_t direct = sys->open_direct(sys->cookie, (int)file); /* not every file system has it */
    assert_true(direct < 0 || fcntl((int)direct, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(sys->bell_open(sys->cookie, bell), 0);
    assert_true(fcntl(bell[0], F_GETFD) & fcntl(bell[1], F_GETFD) & FD_CLOEXEC);
    if (direct >= 0)
        sys->close(sys->cookie, (int)direct);
    if (bell[1] != bell[0])
        sys->close(sys->cookie, bell[1]);
    sys->close(sys->cookie, bell[0]);
    sys->close(sys->cookie, (int)file);
    temporary_remove(folder);
}

/* One page more is one page more. */
static void locked_bytes_are_bytes(void **state)
{
    uint64_t before = 0;
    uint64_t after = 0;
    (void)state;
    size_t page = (size_t)sys->page_bytes(sys->cookie);
    void *place = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(place != MAP_FAILED);
    if (sys->locked(sys->cookie, &before) == 0 && sys->lock(sys->cookie, place, page) == 0) {
        assert_int_equal(sys->locked(sys->cookie, &after), 0);
        if (after != 0) /* a sanitizer takes locks away */
            assert_int_equal(after - before, page);
        assert_int_equal(sys->unlock(sys->cookie, place, page), 0);
    }
    munmap(place, page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_leave_nothing_open),
        cmocka_unit_test(no_program_inherits_a_file),
        cmocka_unit_test(locked_bytes_are_bytes),
    };
    sys = tresor__sys_posix();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
