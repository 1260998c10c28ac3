/* SPDX-License-Identifier: MIT */
/*
 * The rows of the system-call table, asked of the real system with what it refuses, and of one that is older, or writes other
 * texts: calls are answered here in its place.
 */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "platform/sys.h"
#include "support/sanitizer.h"
#include "support/temporary.h"

enum { PATHS = 2, NOT_OPEN = 1 << 20 };

static const struct tresor__sys *sys;
static size_t page;
static char folder[TEMPORARY_PATH_BYTES];

/* --- the system's place --- */

/* Files of the system that are others here. */
static struct {
    const char *path; /* its end */
    char other[TEMPORARY_PATH_BYTES + 32];
} paths[PATHS];

static const char *release; /* of the kernel; NULL: what it is */
static int32_t uname_errno;
static long refused_call; /* number of a call that fails; 0: none */
static int32_t refused_errno;
static const struct statx *alignments; /* what statx tells; NULL: what it does */
static bool takes_hints; /* as before Linux 4.17, when no map could be asked for where nothing is */

int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_uname(struct utsname *system);
int __real_uname(struct utsname *system);
long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);
int __wrap_statx(int folder_descriptor, const char *path, int flags, unsigned mask, struct statx *found);
int __real_statx(int folder_descriptor, const char *path, int flags, unsigned mask, struct statx *found);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset);
void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int descriptor, off_t offset);

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

int __wrap_open64(const char *path, int flags, ...)
{
    for (uint32_t i = 0; i < PATHS; i++)
        if (paths[i].path && ends_with(path, paths[i].path))
            path = paths[i].other;
    return openat(AT_FDCWD, path, flags, 0);
}

int __wrap_open(const char *path, int flags, ...)
{
    return __wrap_open64(path, flags);
}

int __wrap_uname(struct utsname *system)
{
    if (uname_errno) {
        errno = uname_errno;
        return -1;
    }
    int result = __real_uname(system);
    if (release)
        snprintf(system->release, sizeof system->release, "%s", release);
    return result;
}

long __wrap_syscall(long number, ...)
{
    long values[6];
    va_list arguments;
    va_start(arguments, number);
    for (uint32_t i = 0; i < 6; i++)
        values[i] = va_arg(arguments, long);
    va_end(arguments);
    if (number == refused_call) {
        errno = refused_errno;
        return -1;
    }
    return __real_syscall(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

int __wrap_statx(int folder_descriptor, const char *path, int flags, unsigned mask, struct statx *found)
{
    if (!alignments)
        return __real_statx(folder_descriptor, path, flags, mask, found);
    *found = *alignments;
    return 0;
}

void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int descriptor, off_t offset)
{
    if (takes_hints && address)
        flags &= ~MAP_FIXED_NOREPLACE;
    return (void *)__real_syscall(SYS_mmap, address, length, protection, flags, descriptor, offset);
}

void *__wrap_mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset)
{
    return __wrap_mmap64(address, length, protection, flags, descriptor, offset);
}

/* --- the test's --- */

static int begin(void **state)
{
    (void)state;
    sys = tresor__sys_posix();
    page = (size_t)sys->page_bytes(NULL);
    temporary_make(folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    temporary_remove(folder);
    return 0;
}

static int undo(void **state)
{
    (void)state;
    memset(paths, 0, sizeof paths);
    release = NULL;
    uname_errno = 0;
    refused_call = 0;
    alignments = NULL;
    takes_hints = false;
    return 0;
}

/* The file with that end has this text; NULL: is not there. */
static void play(uint32_t number, const char *path, const char *text)
{
    paths[number].path = path;
    snprintf(paths[number].other, sizeof paths[number].other, "%s/%u%s", folder, number, text ? "" : "-not");
    if (text)
        temporary_write(paths[number].other, text, strlen(text));
}

/* The file with that end is a folder, which opens and cannot be read. */
static void play_folder(uint32_t number, const char *path)
{
    paths[number].path = path;
    snprintf(paths[number].other, sizeof paths[number].other, "%s", folder);
}

static int open_file(const char *name, size_t size_bytes)
{
    char path[TEMPORARY_PATH_BYTES + 32];
    char *bytes = calloc(1, size_bytes);
    assert_non_null(bytes);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    temporary_write(path, bytes, size_bytes);
    free(bytes);
    int64_t descriptor = sys->open_file(sys->cookie, path);
    assert_true(descriptor >= 0);
    return (int)descriptor;
}

static uint8_t *reserve(size_t length)
{
    void *place = NULL;
    assert_int_equal(sys->map(sys->cookie, TRESOR__SYS_MAP_RESERVE, NULL, length, -1, 0, &place), 0);
    return place;
}

static void rows_say_why_a_descriptor_is_bad(void **state)
{
    struct tresor__sys_stat stat;
    uint32_t alignment = 0;
    uint64_t bytes = 0;
    char text[8];
    void *place = NULL;
    (void)state;
    assert_int_equal(sys->close(sys->cookie, NOT_OPEN), -EBADF);
    assert_int_equal(sys->stat(sys->cookie, NOT_OPEN, &stat), -EBADF);
    assert_int_equal(sys->direct_alignment(sys->cookie, NOT_OPEN, &alignment), -EBADF);
    assert_int_equal(sys->read(sys->cookie, NOT_OPEN, text, sizeof text, 0), -EBADF);
    assert_int_equal(sys->read_cached(sys->cookie, NOT_OPEN, text, sizeof text, 0), -EBADF);
    assert_int_equal(sys->map(sys->cookie, TRESOR__SYS_MAP_FILE, NULL, page, NOT_OPEN, 0, &place), -EBADF);
    assert_int_equal(sys->advise_file(sys->cookie, NOT_OPEN, 0, 0, TRESOR__SYS_FILE_WILLNEED), -EBADF);
    assert_int_equal(sys->bell_ring(sys->cookie, NOT_OPEN), -EBADF);
    assert_int_equal(sys->open_direct(sys->cookie, NOT_OPEN), -ENOENT);
    int64_t result = sys->cached_bytes(sys->cookie, NOT_OPEN, 0, page, &bytes);
    assert_true(result == -EBADF || result == -ENOSYS);
    assert_int_equal(bytes, 0);
}

static void rows_say_why_a_place_is_bad(void **state)
{
    uint8_t *place = reserve(4 * page);
    void *mapped = NULL;
    (void)state;
    assert_int_equal(sys->map(sys->cookie, TRESOR__SYS_MAP_RESERVE, NULL, SIZE_MAX / 2, -1, 0, &mapped), -ENOMEM);
    assert_null(mapped);
    assert_int_equal(sys->unmap(sys->cookie, place + 1, page), -EINVAL);
    assert_int_equal(sys->unmap(sys->cookie, place, 4 * page), 0);
    assert_int_equal(sys->protect(sys->cookie, place, page, true), -ENOMEM);
    assert_int_equal(sys->advise_memory(sys->cookie, place, page, TRESOR__SYS_MEMORY_WILLNEED), -ENOMEM);
    if (!HAS_ADDRESS_SANITIZER) { /* which locks nothing */
        assert_int_equal(sys->lock(sys->cookie, place, page), -ENOMEM);
        assert_int_equal(sys->unlock(sys->cookie, place, page), -ENOMEM);
    }
    assert_int_equal(sys->move_pages(sys->cookie, place, place + 2 * page, page), -EFAULT);
    assert_true(sys->place_memory(sys->cookie, place, page, TRESOR__SYS_BIND, 0) < 0);
}

static void a_random_number_has_a_most(void **state)
{
    static uint8_t bytes[1024];
    (void)state;
    assert_int_equal(sys->random(sys->cookie, bytes, sizeof bytes), -EIO);
    assert_int_equal(sys->random(sys->cookie, bytes, 16), 0);
}

/* Its hint is taken where the place is free, and what it mapped elsewhere is given back. */
static void an_old_system_takes_a_hole_for_a_hint(void **state)
{
    uint8_t *place = reserve(2 * page);
    void *mapped = NULL;
    (void)state;
    for (uint32_t old = 0; old < 2; old++) {
        takes_hints = old;
        assert_int_equal(sys->map(sys->cookie, TRESOR__SYS_MAP_ANONYMOUS_HOLE, place, page, -1, 0, &mapped),
                         -EEXIST);
        assert_null(mapped);
    }
    assert_int_equal(sys->unmap(sys->cookie, place, page), 0);
    for (uint32_t old = 0; old < 2; old++) {
        takes_hints = old;
        assert_int_equal(sys->map(sys->cookie, TRESOR__SYS_MAP_ANONYMOUS_HOLE, place, page, -1, 0, &mapped), 0);
        assert_ptr_equal(mapped, place);
        assert_int_equal(sys->unmap(sys->cookie, place, page), 0);
    }
    assert_int_equal(sys->unmap(sys->cookie, place + page, page), 0);
}

static void how_many_maps_there_may_be(void **state)
{
    static const struct {
        const char *text;
        int64_t maps;
    } rows[] = {{"65530\n", 65530}, {"1", 1}, {"0\n", -EIO}, {"many\n", -EIO},
                {"18446744073709551615\n", -EIO}, {NULL, -ENOENT}};
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        play(0, "/max_map_count", rows[i].text);
        assert_int_equal(sys->max_maps(sys->cookie), rows[i].maps);
    }
    play_folder(0, "/max_map_count");
    assert_int_equal(sys->max_maps(sys->cookie), -EISDIR);
}

/* A partition has no such file, but its disk has. */
static void what_a_device_reads_ahead(void **state)
{
    static const struct {
        const char *bdi;
        const char *disk;
        int64_t result;
        uint64_t bytes;
    } rows[] = {{"128\n", "64\n", 0, 131072}, {NULL, "64\n", 0, 65536}, {NULL, NULL, -ENOENT, 7},
                {"?\n", "64\n", -EIO, 7},     {NULL, "\n", -EIO, 7},    {"0\n", NULL, 0, 0}};
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t bytes = 7;
        play(0, "bdi/8:3/read_ahead_kb", rows[i].bdi);
        play(1, "block/8:3/../queue/read_ahead_kb", rows[i].disk);
        assert_int_equal(sys->readahead_bytes(sys->cookie, 8 << 8 | 3, &bytes), rows[i].result);
        assert_int_equal(bytes, rows[i].bytes);
    }
}

static void what_the_process_has_locked(void **state)
{
    static const struct {
        const char *text;
        int64_t result;
        uint64_t bytes;
    } rows[] = {{"Name:\tx\nVmLck:\t      12 kB\nVmPin:\t 3 kB\n", 0, 12288},
                {"Name:\tx\nVmPin:\t 3 kB\n", -ENOSYS, 7},
                {"VmLck:\tnone\n", -ENOSYS, 7},
                {NULL, -ENOENT, 7}};
    uint64_t bytes = 7;
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bytes = 7;
        play(0, "/status", rows[i].text);
        assert_int_equal(sys->locked(sys->cookie, &bytes), rows[i].result);
        assert_int_equal(bytes, rows[i].bytes);
    }
    play_folder(0, "/status");
    assert_int_equal(sys->locked(sys->cookie, &bytes), -EISDIR);
}

static void the_limit_of_locks_is_the_process_s(void **state)
{
    struct rlimit before;
    struct rlimit limit;
    uint64_t bytes = 0;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
    limit = before;
    limit.rlim_cur = 64 * 1024;
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    assert_int_equal(sys->lock_limit(sys->cookie, &bytes), 0);
    assert_int_equal(bytes, 64 * 1024);
    limit = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0) { /* needs rights where the limit is lower */
        assert_int_equal(sys->lock_limit(sys->cookie, &bytes), 0);
        assert_true(bytes == UINT64_MAX);
    }
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

static void descriptors_run_out(void **state)
{
    struct rlimit before;
    struct rlimit none;
    int descriptors[2] = {-1, -1};
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int64_t bell = sys->bell_open(sys->cookie, descriptors);
    int64_t file = sys->open_file(sys->cookie, "/");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(bell, -EMFILE);
    assert_int_equal(file, -EMFILE);
    assert_int_equal(descriptors[0], -1);
}

/* Only from 5.18 on does a kernel read a file's pages by huge ones, though it takes the advice long before. */
static void huge_reads_are_of_newer_kernels(void **state)
{
    static const struct {
        const char *release;
        bool has_them;
    } rows[] = {{"4.19.0-x", false}, {"5.17.9", false}, {"5.18.0", true},
                {"6.1.0-13-amd64", true}, {"Linux", false}, {"6", false}};
    uint8_t *place = reserve(page);
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        release = rows[i].release;
        int64_t result = sys->advise_memory(sys->cookie, place, page, TRESOR__SYS_HUGE_READS);
        if (rows[i].has_them)
            assert_true(result == 0 || result == -EINVAL); /* a kernel without huge pages */
        else
            assert_int_equal(result, -ENOSYS);
    }
    uname_errno = EFAULT;
    assert_int_equal(sys->advise_memory(sys->cookie, place, page, TRESOR__SYS_HUGE_READS), -ENOSYS);
    assert_int_equal(sys->unmap(sys->cookie, place, page), 0);
}

static void direct_reads_have_the_larger_alignment(void **state)
{
    static const struct {
        uint32_t mask;
        uint32_t memory;
        uint32_t offset;
        int64_t result;
        uint32_t alignment;
    } rows[] = {{STATX_DIOALIGN, 512, 4096, 0, 4096}, {STATX_DIOALIGN, 4096, 512, 0, 4096},
                {STATX_DIOALIGN, 0, 0, -EINVAL, 0},   {STATX_DIOALIGN, 4, 0, -EINVAL, 0},
                {0, 512, 512, -ENOSYS, 0}};
    int descriptor = open_file("aligned", 10);
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t alignment = 0;
        struct statx told = {.stx_mask = rows[i].mask,
                             .stx_dio_mem_align = rows[i].memory,
                             .stx_dio_offset_align = rows[i].offset};
        alignments = &told;
        assert_int_equal(sys->direct_alignment(sys->cookie, descriptor, &alignment), rows[i].result);
        if (rows[i].result == 0)
            assert_int_equal(alignment, rows[i].alignment);
    }
    assert_int_equal(sys->close(sys->cookie, descriptor), 0);
}

static void a_system_without_a_call(void **state)
{
    static const struct {
        long call;
        int32_t os_errno;
    } rows[] = {{451, ENOSYS}, {451, EPERM}, {SYS_mbind, ENOSYS}, {SYS_mbind, EPERM}};
    int descriptor = open_file("cached", 10);
    uint8_t *place = reserve(page);
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t bytes = 0;
        refused_call = rows[i].call;
        refused_errno = rows[i].os_errno;
        int64_t result = rows[i].call == SYS_mbind
                             ? sys->place_memory(sys->cookie, place, page, TRESOR__SYS_INTERLEAVE, 1)
                             : sys->cached_bytes(sys->cookie, descriptor, 0, page, &bytes);
        assert_int_equal(result, -rows[i].os_errno);
    }
    assert_int_equal(sys->unmap(sys->cookie, place, page), 0);
    assert_int_equal(sys->close(sys->cookie, descriptor), 0);
}

/* Where a sleep on a word is refused, a nap takes its place: whoever wakes up looks again. */
static void who_sleeps_on_a_word_looks_again(void **state)
{
    static const int32_t refusals[] = {0, ENOSYS, EPERM};
    const _Atomic uint32_t word = 5;
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        refused_call = refusals[i] ? SYS_futex : 0;
        refused_errno = refusals[i];
        assert_int_equal(sys->word_wait(sys->cookie, &word, 4, -1), -EAGAIN);
        int64_t result = sys->word_wait(sys->cookie, &word, 5, 1);
        assert_int_equal(result, refusals[i] ? 0 : -ETIMEDOUT);
        assert_true(sys->word_wait(sys->cookie, &word, 5, 0) == result);
    }
    refused_call = 0;
    assert_int_equal(sys->word_wake(sys->cookie, &word), 0);
    refused_call = SYS_futex;
    assert_int_equal(sys->word_wake(sys->cookie, &word), -EPERM);
}

static void a_text_fills_its_room_and_no_more(void **state)
{
    char path[TEMPORARY_PATH_BYTES + 32];
    char text[12];
    (void)state;
    snprintf(path, sizeof path, "%s/text", folder);
    temporary_write(path, "0123456789abcdef", 16);
    memset(text, '!', sizeof text);
    assert_int_equal(sys->read_text(sys->cookie, path, text, 10), 10);
    assert_memory_equal(text, "0123456789!!", 12);
    temporary_write(path, "abc", 3);
    assert_int_equal(sys->read_text(sys->cookie, path, text, 10), 3);
    assert_memory_equal(text, "abc", 3);
    assert_int_equal(sys->read_text(sys->cookie, folder, text, 10), -EISDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(rows_say_why_a_descriptor_is_bad, undo),
        cmocka_unit_test_teardown(rows_say_why_a_place_is_bad, undo),
        cmocka_unit_test_teardown(a_random_number_has_a_most, undo),
        cmocka_unit_test_teardown(an_old_system_takes_a_hole_for_a_hint, undo),
        cmocka_unit_test_teardown(how_many_maps_there_may_be, undo),
        cmocka_unit_test_teardown(what_a_device_reads_ahead, undo),
        cmocka_unit_test_teardown(what_the_process_has_locked, undo),
        cmocka_unit_test_teardown(the_limit_of_locks_is_the_process_s, undo),
        cmocka_unit_test_teardown(descriptors_run_out, undo),
        cmocka_unit_test_teardown(huge_reads_are_of_newer_kernels, undo),
        cmocka_unit_test_teardown(direct_reads_have_the_larger_alignment, undo),
        cmocka_unit_test_teardown(a_system_without_a_call, undo),
        cmocka_unit_test_teardown(who_sleeps_on_a_word_looks_again, undo),
        cmocka_unit_test_teardown(a_text_fills_its_room_and_no_more, undo),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
