/* SPDX-License-Identifier: MIT */
/*
 * A file system of the test's own with one file, served by a process of its own, whose faults the test turns on and
 * off while it is in use. It ends with the test, whatever becomes of that. Offsets and sizes are bytes of the file.
 */
#ifndef TEST_KERNEL_FUSE_FS_H
#define TEST_KERNEL_FUSE_FS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "support/temporary.h"

/** Shared with the serving process. All zero, but for the size: a file without a fault. */
struct fuse_knobs {
    _Atomic uint64_t size_bytes; /* that the file is said to have, and has */
    _Atomic uint64_t fail_from;  /* reads of [fail_from, fail_to) fail, as often as fail_count says */
    _Atomic uint64_t fail_to;
    _Atomic uint32_t fail_count;
    _Atomic int32_t fail_errno;
    _Atomic uint64_t short_bytes; /* the most that one uncached or direct read answers, 0: all; of a cached one the
                                     system would take the rest for zeros */
    _Atomic bool is_uncached;     /* files opened from now on have no page cache, so no shared mapping either */
    _Atomic bool refuses_direct;  /* an open with O_DIRECT is EINVAL */
    _Atomic uint64_t hold_from;   /* reads of [hold_from, hold_to) wait until that is changed */
    _Atomic uint64_t hold_to;
    _Atomic uint32_t turn;        /* changes whenever who waits shall look again */
    _Atomic uint32_t held;        /* reads that wait now */
    _Atomic uint32_t failed;      /* reads that were made to fail */
    _Atomic uint32_t shortened;   /* reads that were answered with less */
};

struct fuse_fs {
    pid_t process; /* 0: none */
    struct fuse_knobs *knobs;
    char folder[TEMPORARY_PATH_BYTES];
};

#define FUSE_FS_EVER UINT32_MAX

/** Serve the bytes as a file of that name in a folder. False where the system does not let it be mounted. */
bool fuse_fs_start(struct fuse_fs *fs, const char *folder, const char *name, const void *bytes,
                   size_t size_bytes);

/** Let all reads go, unmount, and wait for the process. Nothing where none was started. */
void fuse_fs_stop(struct fuse_fs *fs);

/** Why none can be mounted here; NULL if one can. */
const char *fuse_fs_missing(void);

/** Reads of [from, to) fail `count` times, or for ever. */
void fuse_fs_fail(struct fuse_fs *fs, uint64_t from, uint64_t to, int32_t os_errno, uint32_t count);

/** No read fails or is held back any more. */
void fuse_fs_heal(struct fuse_fs *fs);

/** Reads of [from, to) are held back, then let go. One whose caller takes a signal meanwhile ends as EINTR. */
void fuse_fs_hold(struct fuse_fs *fs, uint64_t from, uint64_t to);
void fuse_fs_let_go(struct fuse_fs *fs);

/** Sleep until a read is held back. */
void fuse_fs_await_held(struct fuse_fs *fs);

#endif
