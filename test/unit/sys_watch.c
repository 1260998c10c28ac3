/* SPDX-License-Identifier: MIT */
/* The rows that watch memory, on files and pipes that are not the kernel's, and what they say of them. */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/sys.h"
#include "support/temporary.h"

enum { NOT_OPEN = 1 << 20, PATH_BYTES = 2048 };

static const struct tresor__sys *sys;
static char folder[TEMPORARY_PATH_BYTES];

static int begin(void **state)
{
    (void)state;
    sys = tresor__sys_posix();
    temporary_make(folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    temporary_remove(folder);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    temporary_write(path_of(name), text, strlen(text));
}

static void must_hold(const char *name, const char *text, size_t length)
{
    char found[64];
    int64_t count = sys->read_text(sys->cookie, path_of(name), found, sizeof found);
    assert_int_equal(count, length);
    assert_memory_equal(found, text, length);
}

static int64_t open_watch(enum tresor__sys_watch_kind kind, const char *path, const char *trigger)
{
    return sys->watch_open(sys->cookie, kind, path, trigger);
}

static void close_all(const int *descriptors, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(close(descriptors[i]), 0);
}

/* With the zero at its end, as the kernel's notes on pressure stall information ask for. */
static void a_stall_s_trigger_is_written_to_its_file(void **state)
{
    (void)state;
    write_file("memory.pressure", "");
    int64_t descriptor = open_watch(TRESOR__SYS_WATCH_STALL, path_of("memory.pressure"), "some 1 2");
    assert_true(descriptor >= 0);
    must_hold("memory.pressure", "some 1 2", sizeof "some 1 2");
    assert_int_equal(close((int)descriptor), 0);
    assert_int_equal(open_watch(TRESOR__SYS_WATCH_STALL, path_of("not"), "some 1 2"), -ENOENT);
    assert_int_equal(open_watch(TRESOR__SYS_WATCH_STALL, "/dev/full", "some 1 2"), -ENOSPC);
}

static void counters_must_be_readable(void **state)
{
    (void)state;
    write_file("memory.events", "high 0\n");
    int64_t descriptor = open_watch(TRESOR__SYS_WATCH_EVENTS, path_of("memory.events"), NULL);
    assert_true(descriptor >= 0);
    assert_int_equal(close((int)descriptor), 0);
    assert_int_equal(open_watch(TRESOR__SYS_WATCH_EVENTS, path_of("not"), NULL), -ENOENT);
    assert_int_equal(open_watch(TRESOR__SYS_WATCH_EVENTS, folder, NULL), -EISDIR);
}

static void a_notice_is_asked_for_beside_its_file(void **state)
{
    char longest[PATH_BYTES];
    (void)state;
    write_file("memory.usage", "12\n");
    assert_int_equal(open_watch(TRESOR__SYS_WATCH_NOTIFY, path_of("not"), "95"), -ENOENT);
    assert_int_equal(open_watch(TRESOR__SYS_WATCH_NOTIFY, path_of("memory.usage"), "95"), -ENOENT);
    write_file("cgroup.event_control", "");
    int64_t event = open_watch(TRESOR__SYS_WATCH_NOTIFY, path_of("memory.usage"), "95");
    assert_true(event >= 0);
    char text[64];
    int64_t length = sys->read_text(sys->cookie, path_of("cgroup.event_control"), text, sizeof text - 1);
    assert_true(length > 0);
    text[length] = '\0';
    int told[3] = {-1, -1, -1};
    assert_int_equal(sscanf(text, "%d %d %d", &told[0], &told[1], &told[2]), 3);
    assert_int_equal(told[0], event);
    assert_int_equal(told[2], 95);
    /* The file was needed to say which one is meant, and is closed by now. */
    assert_int_equal(fcntl(told[1], F_GETFD), -1);
    assert_int_equal(close((int)event), 0);
    /* A path that leads to the file, and with the longer name would not fit. */
    size_t at = (size_t)snprintf(longest, sizeof longest, "%s", folder);
    while (at < 1090)
        at += (size_t)snprintf(longest + at, sizeof longest - at, "/.");
    snprintf(longest + at, sizeof longest - at, "/memory.usage");
    assert_int_equal(open_watch(TRESOR__SYS_WATCH_NOTIFY, longest, "95"), -ENAMETOOLONG);
    assert_int_equal(open_watch(TRESOR__SYS_WATCH_NOTIFY, "memory", "95"), -ENOENT);
}

static void a_bell_is_not_opened_here(void **state)
{
    (void)state;
    assert_int_equal(open_watch(TRESOR__SYS_WATCH_BELL, "/", NULL), -EINVAL);
}

static void what_rises_is_told_and_what_is_gone(void **state)
{
    const uint64_t one = 1;
    int ends[2];
    uint64_t times = 0;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0); /* whoever writes is told so at once */
    int silent = eventfd(0, EFD_NONBLOCK);
    int bell = eventfd(0, EFD_NONBLOCK);
    int notice = eventfd(0, EFD_NONBLOCK);
    assert_int_equal(write(bell, &one, sizeof one), sizeof one);
    assert_int_equal(write(notice, &one, sizeof one), sizeof one);
    struct tresor__sys_watch watches[] = {
        {.kind = TRESOR__SYS_WATCH_BELL, .descriptor = bell},
        {.kind = TRESOR__SYS_WATCH_NOTIFY, .descriptor = notice},
        {.kind = TRESOR__SYS_WATCH_NOTIFY, .descriptor = silent},
        {.kind = TRESOR__SYS_WATCH_STALL, .descriptor = ends[1]},
        {.kind = TRESOR__SYS_WATCH_EVENTS, .descriptor = ends[1]},
        {.kind = TRESOR__SYS_WATCH_EVENTS, .descriptor = NOT_OPEN},
        {.kind = TRESOR__SYS_WATCH_STALL, .descriptor = -1},
    };
    static const bool risen[] = {true, true, false, false, false, false, false};
    /* A file of counters is in error whenever it changes, so that alone says nothing of it. */
    static const bool gone[] = {false, false, false, true, false, true, false};
    assert_int_equal(sys->watch_wait(sys->cookie, watches, 7), 5);
    for (uint32_t i = 0; i < 7; i++) {
        assert_int_equal(watches[i].has_risen, risen[i]);
        assert_int_equal(watches[i].is_gone, gone[i]);
    }
    /* A notice is heard by being told; a bell is its owner's to silence. */
    assert_int_equal(read(notice, &times, sizeof times), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(read(bell, &times, sizeof times), sizeof times);
    const int left[] = {silent, bell, notice, ends[1]};
    close_all(left, 4);
}

/* A notice that can be heard and not be read tells nothing more. */
static void a_notice_that_cannot_be_read_is_gone(void **state)
{
    (void)state;
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY);
    assert_true(descriptor >= 0);
    struct tresor__sys_watch watch = {.kind = TRESOR__SYS_WATCH_NOTIFY, .descriptor = descriptor};
    assert_int_equal(sys->watch_wait(sys->cookie, &watch, 1), 1);
    assert_true(watch.has_risen);
    assert_true(watch.is_gone);
    close_all(&descriptor, 1);
}

/* Urgent bytes rise as a changed file of counters does, and cannot be looked at as one. */
static void counters_that_cannot_be_read_are_gone(void **state)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof place;
    (void)state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&place, sizeof place), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&place, &size), 0);
    assert_int_equal(connect(sender, (struct sockaddr *)&place, size), 0);
    int receiver = accept(listener, NULL, NULL);
    assert_true(receiver >= 0);
    assert_int_equal(send(sender, "!", 1, MSG_OOB), 1);
    struct tresor__sys_watch watch = {.kind = TRESOR__SYS_WATCH_EVENTS, .descriptor = receiver};
    assert_int_equal(sys->watch_wait(sys->cookie, &watch, 1), 1);
    assert_true(watch.has_risen);
    assert_true(watch.is_gone);
    /* To one of stalls it is just a rise. */
    watch = (struct tresor__sys_watch){.kind = TRESOR__SYS_WATCH_STALL, .descriptor = receiver};
    assert_int_equal(sys->watch_wait(sys->cookie, &watch, 1), 1);
    assert_true(watch.has_risen);
    assert_false(watch.is_gone);
    const int descriptors[] = {listener, sender, receiver};
    close_all(descriptors, 3);
}

/* A sleep on more descriptors than the process may have is refused. */
static void a_sleep_that_is_refused(void **state)
{
    struct rlimit before;
    struct rlimit one;
    struct tresor__sys_watch watches[2] = {{.kind = TRESOR__SYS_WATCH_BELL, .descriptor = -1},
                                           {.kind = TRESOR__SYS_WATCH_BELL, .descriptor = -1}};
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    one = before;
    one.rlim_cur = 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &one), 0);
    int64_t result = sys->watch_wait(sys->cookie, watches, 2);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(result, -EINVAL);
}

static void there_are_not_so_many(void **state)
{
    static struct tresor__sys_watch watches[17];
    (void)state;
    assert_int_equal(sys->watch_wait(sys->cookie, watches, 17), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stall_s_trigger_is_written_to_its_file),
        cmocka_unit_test(counters_must_be_readable),
        cmocka_unit_test(a_notice_is_asked_for_beside_its_file),
        cmocka_unit_test(a_bell_is_not_opened_here),
        cmocka_unit_test(what_rises_is_told_and_what_is_gone),
        cmocka_unit_test(a_notice_that_cannot_be_read_is_gone),
        cmocka_unit_test(counters_that_cannot_be_read_are_gone),
        cmocka_unit_test(a_sleep_that_is_refused),
        cmocka_unit_test(there_are_not_so_many),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
