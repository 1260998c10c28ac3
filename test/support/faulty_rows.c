/* SPDX-License-Identifier: MIT */
/* Which errors each row may have: from the manual pages of the calls that sys_posix.c makes. */
#include "support/faulty_sys.h"

#include <errno.h>

static const int32_t open_errors[] = {EACCES, EAGAIN, EINTR,  EINVAL, EIO,     EISDIR,
                                      ELOOP,  EMFILE, ENFILE, ENODEV, ENOENT,  ENAMETOOLONG,
                                      ENOMEM, ENXIO,  EPERM,  ENOTDIR, EOVERFLOW};
static const int32_t close_errors[] = {EINTR, EIO, ENOSPC, EDQUOT};
static const int32_t stat_errors[] = {EIO, ENOMEM, EOVERFLOW, ESTALE};
static const int32_t read_errors[] = {EAGAIN, EINTR,  EINVAL,    EIO,   EISDIR, EFAULT,
                                      ENOMEM, ENXIO,  EOVERFLOW, ESTALE, ESPIPE};
static const int32_t open_direct_errors[] = {EINVAL, ENOENT, EACCES, EMFILE, EINTR, ENOMEM};
static const int32_t direct_alignment_errors[] = {ENOSYS, EINVAL, ENOMEM};
static const int32_t read_cached_errors[] = {EAGAIN, EOPNOTSUPP, EINTR, EIO, EINVAL, ENOSYS};
static const int32_t map_errors[] = {EACCES, EAGAIN, EINVAL, ENFILE, ENODEV,
                                     ENOMEM, EPERM,  EOVERFLOW, ETXTBSY};
static const int32_t unmap_errors[] = {ENOMEM, EINVAL};
static const int32_t move_pages_errors[] = {ENOMEM, EAGAIN, EFAULT, EINVAL, ENOSYS, EINTR};
static const int32_t max_maps_errors[] = {ENOSYS, EACCES, EMFILE, ENFILE, ENOENT, EIO};
static const int32_t protect_errors[] = {ENOMEM, EACCES};
static const int32_t advise_memory_errors[] = {EACCES, EAGAIN, EBUSY,  EFAULT, EHWPOISON, EINTR,
                                               EINVAL, EIO,    ENOMEM, ENOSYS, EPERM};
static const int32_t advise_file_errors[] = {EINVAL, ESPIPE, ENOSYS};
static const int32_t cached_bytes_errors[] = {EBADF, EINVAL, ENOSYS, EOPNOTSUPP, EPERM};
static const int32_t readahead_bytes_errors[] = {EACCES, EINTR,  EIO,    EMFILE,
                                                 ENFILE, ENOENT, ENOMEM, ENOSYS};
static const int32_t lock_errors[] = {ENOMEM, EAGAIN, EPERM, EINVAL, EINTR};
static const int32_t unlock_errors[] = {ENOMEM, EAGAIN, EPERM, EINVAL, EINTR};
static const int32_t lock_limit_errors[] = {EINVAL, EPERM};
static const int32_t locked_errors[] = {EACCES, EMFILE, ENFILE, ENOENT, ENOMEM, ENOSYS, EIO};
static const int32_t random_errors[] = {EIO, ENOSYS};
static const int32_t page_errors[] = {EINVAL};
static const int32_t bell_open_errors[] = {EMFILE, ENFILE, ENODEV, ENOMEM};
static const int32_t bell_errors[] = {EINTR, EAGAIN, EIO};
static const int32_t bell_wait_errors[] = {EINTR, ENOMEM, EINVAL};
static const int32_t word_wait_errors[] = {EAGAIN, EINTR, ETIMEDOUT, ENOSYS, EINVAL, EFAULT};
static const int32_t word_wake_errors[] = {ENOSYS, EINVAL, EFAULT};
static const int32_t ring_init_errors[] = {ENOSYS, EPERM, ENOMEM, EMFILE, ENFILE, EINVAL, EFAULT};
static const int32_t ring_submit_errors[] = {EAGAIN, EBUSY, EINTR, ENOMEM, EBADF, EINVAL, ENXIO};
static const int32_t ring_reap_errors[] = {EAGAIN, EBUSY, EINTR, ENOMEM, EBADF, EEXIST, ENXIO};
static const int32_t ring_result_errors[] = {EAGAIN, EINTR, EIO, ECANCELED, ENOMEM, EFAULT};
static const int32_t ring_close_errors[] = {EIO};

static const int32_t read_text_errors[] = {EACCES, EINTR, EIO, EMFILE, ENODEV, ENOENT, ENOMEM, EPERM};
static const int32_t watch_open_errors[] = {EACCES, EBUSY,  EINTR,  EINVAL, EMFILE,     ENFILE, ENODEV,
                                            ENOENT, ENOMEM, ENOSYS, EPERM,  EOPNOTSUPP, EIO};
static const int32_t watch_wait_errors[] = {EINTR, EINVAL, ENOMEM};
static const int32_t duplicate_errors[] = {EBADF, EMFILE, EINTR, ENOMEM};
static const int32_t guard_open_errors[] = {EBUSY, ENOSYS};
static const int32_t place_memory_errors[] = {EFAULT, EINVAL, EIO, ENOMEM, ENOSYS, EPERM};

static const int32_t open_by_errors[] = {EACCES, EDQUOT, EEXIST, EINTR,  EINVAL, EISDIR, ELOOP,  EMFILE, ENAMETOOLONG,
                                         ENFILE, ENOENT, ENOMEM, ENOSPC, ENOTDIR, ENXIO, EOVERFLOW, EPERM, EROFS,
                                         ETXTBSY};
static const int32_t write_errors[] = {EAGAIN, EBADF,  EDQUOT, EFAULT, EFBIG, EINTR,
                                       EINVAL, EIO,    ENOSPC, EPERM,  ESPIPE};
static const int32_t map_view_errors[] = {EACCES, EAGAIN, EINVAL, ENFILE, ENODEV, ENOMEM, EPERM};
static const int32_t sync_memory_errors[] = {EBUSY, EINVAL, EIO, ENOMEM};
static const int32_t resident_bytes_errors[] = {EAGAIN, EFAULT, EINVAL, ENOMEM, ENOSYS, EPERM};

struct row {
    const char *name;
    const int32_t *errors;
    uint32_t count;
};

#define ROW(name, errors) {name, errors, sizeof(errors) / sizeof(errors)[0]}

static const struct row rows[FAULTY_ROWS] = {
    [FAULTY_OPEN_FILE] = ROW("open_file", open_errors),
    [FAULTY_OPEN_DIRECT] = ROW("open_direct", open_direct_errors),
    [FAULTY_CLOSE] = ROW("close", close_errors),
    [FAULTY_STAT] = ROW("stat", stat_errors),
    [FAULTY_READ] = ROW("read", read_errors),
    [FAULTY_DIRECT_ALIGNMENT] = ROW("direct_alignment", direct_alignment_errors),
    [FAULTY_READ_CACHED] = ROW("read_cached", read_cached_errors),
    [FAULTY_MAP] = ROW("map", map_errors),
    [FAULTY_UNMAP] = ROW("unmap", unmap_errors),
    [FAULTY_MOVE_PAGES] = ROW("move_pages", move_pages_errors),
    [FAULTY_MAX_MAPS] = ROW("max_maps", max_maps_errors),
    [FAULTY_PROTECT] = ROW("protect", protect_errors),
    [FAULTY_ADVISE_MEMORY] = ROW("advise_memory", advise_memory_errors),
    [FAULTY_ADVISE_FILE] = ROW("advise_file", advise_file_errors),
    [FAULTY_CACHED_BYTES] = ROW("cached_bytes", cached_bytes_errors),
    [FAULTY_READAHEAD_BYTES] = ROW("readahead_bytes", readahead_bytes_errors),
    [FAULTY_LOCK] = ROW("lock", lock_errors),
    [FAULTY_UNLOCK] = ROW("unlock", unlock_errors),
    [FAULTY_LOCK_LIMIT] = ROW("lock_limit", lock_limit_errors),
    [FAULTY_LOCKED] = ROW("locked", locked_errors),
    [FAULTY_RANDOM] = ROW("random", random_errors),
    [FAULTY_PAGE_BYTES] = ROW("page_bytes", page_errors),
    [FAULTY_BELL_OPEN] = ROW("bell_open", bell_open_errors),
    [FAULTY_BELL_RING] = ROW("bell_ring", bell_errors),
    [FAULTY_BELL_CLEAR] = ROW("bell_clear", bell_errors),
    [FAULTY_BELL_WAIT] = ROW("bell_wait", bell_wait_errors),
    [FAULTY_WORD_WAIT] = ROW("word_wait", word_wait_errors),
    [FAULTY_WORD_WAKE] = ROW("word_wake", word_wake_errors),
    [FAULTY_RING_INIT] = ROW("ring_init", ring_init_errors),
    [FAULTY_RING_SUBMIT] = ROW("ring_submit", ring_submit_errors),
    [FAULTY_RING_REAP] = ROW("ring_reap", ring_reap_errors),
    [FAULTY_RING_RESULT] = ROW("ring_result", ring_result_errors),
    [FAULTY_RING_CLOSE] = ROW("ring_close", ring_close_errors),
    [FAULTY_READ_TEXT] = ROW("read_text", read_text_errors),
    [FAULTY_WATCH_OPEN] = ROW("watch_open", watch_open_errors),
    [FAULTY_WATCH_WAIT] = ROW("watch_wait", watch_wait_errors),
    [FAULTY_GUARD_OPEN] = ROW("guard_open", guard_open_errors),
    [FAULTY_DUPLICATE] = ROW("duplicate", duplicate_errors),
    [FAULTY_PLACE_MEMORY] = ROW("place_memory", place_memory_errors),
    [FAULTY_OPEN_BY] = ROW("open_by", open_by_errors),
    [FAULTY_WRITE] = ROW("write", write_errors),
    [FAULTY_MAP_VIEW] = ROW("map_view", map_view_errors),
    [FAULTY_SYNC_MEMORY] = ROW("sync_memory", sync_memory_errors),
    [FAULTY_RESIDENT_BYTES] = ROW("resident_bytes", resident_bytes_errors),
};

const int32_t *faulty_row_errors(enum faulty_row row, uint32_t *count)
{
    *count = rows[row].count;
    return rows[row].errors;
}

const char *faulty_row_name(enum faulty_row row)
{
    return row < FAULTY_ROWS ? rows[row].name : "any";
}
