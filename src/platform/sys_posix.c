/* SPDX-License-Identifier: MIT */
#include "platform/sys_guard.h"
#include "platform/sys_ring.h"
#include "platform/sys_view.h"
#include "platform/sys_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#endif

#ifdef __linux__
/* Newer than Debian 12's C library headers on some systems; values from linux/mman.h. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
/* Its number on every architecture but one that nobody loads models on. */
#if !defined(SYS_cachestat) && !defined(__alpha__)
#define SYS_cachestat 451
#endif
#endif

#if defined(__linux__) && !defined(MREMAP_DONTUNMAP)
#define MREMAP_DONTUNMAP 4
#endif

#ifndef MADV_COLD
#define MADV_COLD 20
#endif

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0
#endif

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

static int64_t or_errno(int64_t result)
{
    return result < 0 ? -errno : result;
}

/* O_NONBLOCK keeps a FIFO or device from holding the call; on a regular file it does nothing. */
static int64_t posix_open_file(void *cookie, const char *path)
{
    (void)cookie;
    return or_errno(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

static int64_t posix_duplicate(void *cookie, int descriptor)
{
    (void)cookie;
    return or_errno(fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
}

/* As posix_open_file, which also says why O_NONBLOCK. */
static int64_t posix_open_by(void *cookie, const char *path, uint32_t flags)
{
    static const struct {
        uint32_t flag;
        int how;
    } more[] = {
        {TRESOR__SYS_OPEN_CREATE, O_CREAT},
        {TRESOR__SYS_OPEN_TRUNCATE, O_TRUNC},
        {TRESOR__SYS_OPEN_APPEND, O_APPEND},
        {TRESOR__SYS_OPEN_EXCLUSIVE, O_EXCL},
    };
    bool reads = flags & TRESOR__SYS_OPEN_READ;
    bool writes = flags & TRESOR__SYS_OPEN_WRITE;
    int how = reads && writes ? O_RDWR : writes ? O_WRONLY : O_RDONLY;
    (void)cookie;
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        if (flags & more[i].flag)
            how |= more[i].how;
    return or_errno(open(path, how | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0666));
}

/* Through /proc it is the very file that is open, whatever its path means by now. */
static int64_t posix_open_direct(void *cookie, int descriptor)
{
    (void)cookie;
#ifdef __linux__
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return or_errno(open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOCTTY));
#else
    (void)descriptor;
    return -ENOSYS;
#endif
}

static int64_t posix_close(void *cookie, int descriptor)
{
    (void)cookie;
    return or_errno(close(descriptor));
}

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int64_t posix_stat(void *cookie, int descriptor, struct tresor__sys_stat *stat)
{
    struct stat found;
    (void)cookie;
    if (fstat(descriptor, &found) != 0)
        return -errno;
    *stat = (struct tresor__sys_stat){
        .device = (uint64_t)found.st_dev,
        .inode = (uint64_t)found.st_ino,
        .size_bytes = (uint64_t)found.st_size,
#ifdef __APPLE__
        .modified_ns = nanoseconds(found.st_mtimespec),
        .changed_ns = nanoseconds(found.st_ctimespec),
#else
        .modified_ns = nanoseconds(found.st_mtim),
        .changed_ns = nanoseconds(found.st_ctim),
#endif
        .is_regular = S_ISREG(found.st_mode),
        .is_directory = S_ISDIR(found.st_mode),
    };
    return 0;
}

/* statx(2) tells since Linux 6.1; zero alignment means that this file has no direct I/O. */
static int64_t posix_direct_alignment(void *cookie, int descriptor, uint32_t *alignment_bytes)
{
    (void)cookie;
#if defined(__linux__) && defined(STATX_DIOALIGN)
    struct statx found;
    if (statx(descriptor, "", AT_EMPTY_PATH, STATX_DIOALIGN, &found) != 0)
        return -errno;
    if (!(found.stx_mask & STATX_DIOALIGN))
        return -ENOSYS;
    uint32_t memory = found.stx_dio_mem_align;
    uint32_t offset = found.stx_dio_offset_align;
    *alignment_bytes = memory > offset ? memory : offset;
    return memory && offset ? 0 : -EINVAL;
#else
    (void)descriptor;
    (void)alignment_bytes;
    return -ENOSYS;
#endif
}

static int64_t posix_read(void *cookie, int descriptor, void *address, size_t length,
                          uint64_t offset)
{
    (void)cookie;
    return or_errno(pread(descriptor, address, length, (off_t)offset));
}

static int64_t posix_write(void *cookie, int descriptor, const void *address, size_t length,
                           uint64_t offset)
{
    (void)cookie;
    return or_errno(pwrite(descriptor, address, length, (off_t)offset));
}

static int64_t posix_read_cached(void *cookie, int descriptor, void *address, size_t length,
                                 uint64_t offset)
{
    (void)cookie;
#ifdef RWF_NOWAIT
    struct iovec place = {.iov_base = address, .iov_len = length};
    return or_errno(preadv2(descriptor, &place, 1, (off_t)offset, RWF_NOWAIT));
#else
    (void)descriptor;
    (void)address;
    (void)length;
    (void)offset;
    return -ENOSYS;
#endif
}

static int64_t posix_map(void *cookie, enum tresor__sys_map kind, void *address, size_t length,
                         int descriptor, uint64_t offset, void **mapped)
{
    bool is_of_file = kind == TRESOR__SYS_MAP_FILE || kind == TRESOR__SYS_MAP_FILE_HOLE;
    bool is_hole = kind == TRESOR__SYS_MAP_FILE_HOLE || kind == TRESOR__SYS_MAP_ANONYMOUS_HOLE;
    int protection = kind == TRESOR__SYS_MAP_RESERVE ? PROT_NONE
                     : is_of_file                    ? PROT_READ
                                                     : PROT_READ | PROT_WRITE;
    int flags = is_of_file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    (void)cookie;
    if (address)
        flags |= is_hole ? MAP_FIXED_NOREPLACE : MAP_FIXED;
    if (!is_of_file) {
        descriptor = -1;
        offset = 0;
    }
    void *place = mmap(address, length, protection, flags, descriptor, (off_t)offset);
    if (place == MAP_FAILED)
        return -errno;
    if (address && place != address) { /* a system that takes the place for a hint (before Linux 4.17) */
        munmap(place, length);
        return -EEXIST;
    }
    *mapped = place;
    return 0;
}

/* Kept mapped, what the pages have left is nobody else's meanwhile; of a file's pages Linux does that since 5.13. */
static int64_t posix_move_pages(void *cookie, void *from, void *to, size_t length)
{
    (void)cookie;
#ifdef __linux__
    void *place = mremap(from, length, length,
                         MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
    return place == MAP_FAILED ? -errno : 0;
#else
    (void)from;
    (void)to;
    (void)length;
    return -ENOSYS;
#endif
}

/* See proc_sys_vm(5). */
static int64_t posix_read_text(void *cookie, const char *path, char *text, size_t size_bytes)
{
    size_t length = 0;
    ssize_t count = 1;
    int reason = 0;
    (void)cookie;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return -errno;
    while (count > 0 && length < size_bytes) {
        count = read(descriptor, text + length, size_bytes - length);
        reason = errno;
        length += count > 0 ? (size_t)count : 0;
    }
    close(descriptor);
    return count < 0 ? -reason : (int64_t)length;
}

#ifdef __linux__
/* The number that is all of a file's text. */
static int64_t read_number(const char *path, uint64_t *number)
{
    char text[32];
    unsigned long long value = 0;
    int64_t length = posix_read_text(NULL, path, text, sizeof text - 1);
    if (length < 0)
        return length;
    text[length] = '\0';
    if (sscanf(text, "%llu", &value) != 1)
        return -EIO;
    *number = value;
    return 0;
}
#endif

static int64_t posix_max_maps(void *cookie)
{
    (void)cookie;
#ifdef __linux__
    uint64_t maps = 0;
    int64_t result = read_number("/proc/sys/vm/max_map_count", &maps);
    if (result < 0)
        return result;
    return maps > 0 && maps <= INT64_MAX ? (int64_t)maps : -EIO;
#else
    return -ENOSYS;
#endif
}

static int64_t posix_unmap(void *cookie, void *address, size_t length)
{
    (void)cookie;
    return or_errno(munmap(address, length));
}

#ifdef __linux__
/* The kernel takes MADV_HUGEPAGE for a file's mapping since long, but reads by it only since 5.18. */
static bool has_huge_reads(void)
{
    struct utsname system;
    unsigned int major_version = 0;
    unsigned int minor_version = 0;
    if (uname(&system) != 0 ||
        sscanf(system.release, "%u.%u", &major_version, &minor_version) != 2)
        return false;
    return major_version > 5 || (major_version == 5 && minor_version >= 18);
}
#endif

static int64_t posix_protect(void *cookie, void *address, size_t length, bool reachable)
{
    (void)cookie;
    return or_errno(mprotect(address, length, reachable ? PROT_READ | PROT_WRITE : PROT_NONE));
}

static int64_t posix_advise_memory(void *cookie, void *address, size_t length,
                                   enum tresor__sys_memory_advice advice)
{
    (void)cookie;
#ifdef __linux__
    static const int advices[] = {
        [TRESOR__SYS_POPULATE_READ] = MADV_POPULATE_READ,
        [TRESOR__SYS_POPULATE_WRITE] = MADV_POPULATE_WRITE,
        [TRESOR__SYS_HUGE_PAGES] = MADV_HUGEPAGE,
        [TRESOR__SYS_SPLIT_PAGES] = MADV_COLD,
        [TRESOR__SYS_HUGE_READS] = MADV_HUGEPAGE,
        [TRESOR__SYS_MEMORY_NORMAL] = MADV_NORMAL,
        [TRESOR__SYS_MEMORY_SEQUENTIAL] = MADV_SEQUENTIAL,
        [TRESOR__SYS_MEMORY_RANDOM] = MADV_RANDOM,
        [TRESOR__SYS_MEMORY_WILLNEED] = MADV_WILLNEED,
        [TRESOR__SYS_MEMORY_DONTNEED] = MADV_DONTNEED,
    };
    if (advice == TRESOR__SYS_HUGE_READS && !has_huge_reads())
        return -ENOSYS;
    return or_errno(madvise(address, length, advices[advice]));
#else
    (void)address;
    (void)length;
    (void)advice;
    return -EINVAL;
#endif
}

static int64_t posix_advise_file(void *cookie, int descriptor, uint64_t offset, uint64_t length,
                                 enum tresor__sys_file_advice advice)
{
    (void)cookie;
#ifdef POSIX_FADV_NORMAL
    static const int advices[] = {
        [TRESOR__SYS_FILE_NORMAL] = POSIX_FADV_NORMAL,
        [TRESOR__SYS_FILE_SEQUENTIAL] = POSIX_FADV_SEQUENTIAL,
        [TRESOR__SYS_FILE_RANDOM] = POSIX_FADV_RANDOM,
        [TRESOR__SYS_FILE_WILLNEED] = POSIX_FADV_WILLNEED,
        [TRESOR__SYS_FILE_DONTNEED] = POSIX_FADV_DONTNEED,
    };
    return -posix_fadvise(descriptor, (off_t)offset, (off_t)length, advices[advice]);
#else
    (void)descriptor;
    (void)offset;
    (void)length;
    (void)advice;
    return -ENOSYS;
#endif
}

static int64_t posix_cached_bytes(void *cookie, int descriptor, uint64_t offset, uint64_t length,
                                  uint64_t *bytes)
{
    (void)cookie;
#ifdef SYS_cachestat
    /* As in linux/mman.h of Linux 6.5, which older headers lack. */
    struct {
        uint64_t offset;
        uint64_t length;
    } range = {offset, length};
    struct {
        uint64_t cached;
        uint64_t others[4];
    } pages = {0};
    if (syscall(SYS_cachestat, descriptor, &range, &pages, 0) != 0)
        return -errno;
    *bytes = pages.cached * (uint64_t)sysconf(_SC_PAGESIZE);
    return 0;
#else
    (void)descriptor;
    (void)offset;
    (void)length;
    (void)bytes;
    return -ENOSYS;
#endif
}

/* A partition's is its disk's, a folder above it; a file system without a disk has only the first. */
static int64_t posix_readahead_bytes(void *cookie, uint64_t device, uint64_t *bytes)
{
    (void)cookie;
#ifdef __linux__
    char path[80];
    uint64_t kibibytes = 0;
    snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", major((dev_t)device),
             minor((dev_t)device));
    int64_t result = read_number(path, &kibibytes);
    if (result == -ENOENT) {
        snprintf(path, sizeof path, "/sys/dev/block/%u:%u/../queue/read_ahead_kb",
                 major((dev_t)device), minor((dev_t)device));
        result = read_number(path, &kibibytes);
    }
    if (result < 0)
        return result;
    *bytes = kibibytes * 1024;
    return 0;
#else
    (void)device;
    (void)bytes;
    return -ENOSYS;
#endif
}

static int64_t posix_lock(void *cookie, const void *address, size_t length)
{
    (void)cookie;
    return or_errno(mlock(address, length));
}

static int64_t posix_unlock(void *cookie, const void *address, size_t length)
{
    (void)cookie;
    return or_errno(munlock(address, length));
}

static int64_t posix_lock_limit(void *cookie, uint64_t *limit_bytes)
{
    struct rlimit limit;
    (void)cookie;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return -errno;
    *limit_bytes = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : (uint64_t)limit.rlim_cur;
    return 0;
}

/* "VmLck:    12 kB" of proc(5) is the only place where Linux tells it. */
static int64_t posix_locked(void *cookie, uint64_t *locked_bytes)
{
    char text[4096];
    int descriptor = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    (void)cookie;
    if (descriptor < 0)
        return -errno;
    ssize_t length = read(descriptor, text, sizeof text - 1);
    int reason = errno;
    close(descriptor);
    if (length < 0)
        return -reason;
    text[length] = '\0';
    const char *line = strstr(text, "VmLck:");
    unsigned long long kibibytes = 0;
    if (!line || sscanf(line, "VmLck: %llu", &kibibytes) != 1)
        return -ENOSYS;
    *locked_bytes = kibibytes * 1024;
    return 0;
}

static int64_t posix_random(void *cookie, void *bytes, size_t length)
{
    (void)cookie;
    return or_errno(getentropy(bytes, length));
}

static int64_t posix_page_bytes(void *cookie)
{
    (void)cookie;
    return or_errno(sysconf(_SC_PAGESIZE));
}

static int64_t posix_now_ms(void *cookie)
{
    struct timespec now;
    (void)cookie;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return nanoseconds(now) / 1000000;
}

static int64_t posix_bell_open(void *cookie, int descriptors[2])
{
    (void)cookie;
#ifdef __linux__
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell < 0)
        return -errno;
    descriptors[0] = bell;
    descriptors[1] = bell;
    return 0;
#else
    if (pipe(descriptors) != 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        fcntl(descriptors[i], F_SETFD, FD_CLOEXEC);
        fcntl(descriptors[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
#endif
}

static int64_t posix_bell_ring(void *cookie, int descriptor)
{
    const uint64_t one = 1;
    (void)cookie;
    return or_errno(write(descriptor, &one, sizeof one));
}

static int64_t posix_bell_clear(void *cookie, int descriptor)
{
    uint64_t rings[16];
    (void)cookie;
    while (read(descriptor, rings, sizeof rings) == (ssize_t)sizeof rings)
        continue;
    return 0;
}

static int64_t posix_bell_wait(void *cookie, int descriptor, int32_t timeout_ms)
{
    struct pollfd poll_one = {.fd = descriptor, .events = POLLIN};
    (void)cookie;
    return or_errno(poll(&poll_one, 1, timeout_ms));
}

/* Where the system has no such sleep, and where a filter refuses it. */
static int64_t nap(const _Atomic uint32_t *word, uint32_t value, int32_t timeout_ms)
{
    const struct timespec one = {.tv_nsec = timeout_ms == 0 ? 0 : 1000000};
    if (atomic_load(word) != value)
        return -EAGAIN;
    return or_errno(nanosleep(&one, NULL));
}

static int64_t posix_word_wait(void *cookie, const _Atomic uint32_t *word, uint32_t value,
                               int32_t timeout_ms)
{
    (void)cookie;
#if defined(__linux__) && defined(SYS_futex)
    const struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                                     .tv_nsec = timeout_ms % 1000 * INT32_C(1000000)};
    if (syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout_ms < 0 ? NULL : &timeout,
                NULL, 0) == 0)
        return 0;
    if (errno != ENOSYS && errno != EPERM)
        return -errno;
#endif
    return nap(word, value, timeout_ms);
}

static int64_t posix_word_wake(void *cookie, const _Atomic uint32_t *word)
{
    (void)cookie;
#if defined(__linux__) && defined(SYS_futex)
    return or_errno(syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0));
#else
    (void)word;
    return 0;
#endif
}

static int64_t posix_place_memory(void *cookie, void *address, size_t length,
                                  enum tresor__sys_placement placement, uint64_t nodes)
{
    (void)cookie;
#if defined(__linux__) && defined(SYS_mbind)
    enum { NODES = 64, WORD_BITS = 8 * sizeof(unsigned long) };
    unsigned long words[NODES / WORD_BITS] = {0};
    for (uint32_t i = 0; i < NODES; i++)
        if (nodes >> i & 1)
            words[i / WORD_BITS] |= 1ul << i % WORD_BITS;
    int policy = placement == TRESOR__SYS_BIND ? MPOL_BIND : MPOL_INTERLEAVE;
    /* It takes one bit fewer than it is told of. */
    return or_errno(syscall(SYS_mbind, address, length, policy, words, (unsigned long)NODES + 1, 0));
#else
    (void)address;
    (void)length;
    (void)placement;
    (void)nodes;
    return -ENOSYS;
#endif
}

const struct tresor__sys *tresor__sys_posix(void)
{
    static const struct tresor__sys table = {
        .open_file = posix_open_file,
        .duplicate = posix_duplicate,
        .open_direct = posix_open_direct,
        .close = posix_close,
        .stat = posix_stat,
        .direct_alignment = posix_direct_alignment,
        .read = posix_read,
        .read_cached = posix_read_cached,
        .map = posix_map,
        .unmap = posix_unmap,
        .move_pages = posix_move_pages,
        .max_maps = posix_max_maps,
        .protect = posix_protect,
        .advise_memory = posix_advise_memory,
        .advise_file = posix_advise_file,
        .cached_bytes = posix_cached_bytes,
        .readahead_bytes = posix_readahead_bytes,
        .lock = posix_lock,
        .unlock = posix_unlock,
        .lock_limit = posix_lock_limit,
        .locked = posix_locked,
        .random = posix_random,
        .page_bytes = posix_page_bytes,
        .now_ms = posix_now_ms,
        .bell_open = posix_bell_open,
        .bell_ring = posix_bell_ring,
        .bell_clear = posix_bell_clear,
        .bell_wait = posix_bell_wait,
        .word_wait = posix_word_wait,
        .word_wake = posix_word_wake,
        .ring_init = tresor__sys_ring_init,
        .ring_submit = tresor__sys_ring_submit,
        .ring_reap = tresor__sys_ring_reap,
        .ring_close = tresor__sys_ring_close,
        .read_text = posix_read_text,
        .place_memory = posix_place_memory,
        .watch_open = tresor__sys_watch_open,
        .watch_wait = tresor__sys_watch_wait,
        .guard_open = tresor__sys_guard_open,
        .guard_close = tresor__sys_guard_close,
        .guard_add = tresor__sys_guard_add,
        .guard_remove = tresor__sys_guard_remove,
        .open_by = posix_open_by,
        .write = posix_write,
        .map_view = tresor__sys_map_view,
        .sync_memory = tresor__sys_sync_memory,
        .resident_bytes = tresor__sys_resident_bytes,
    };
    return &table;
}
