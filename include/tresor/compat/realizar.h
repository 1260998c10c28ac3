/* SPDX-License-Identifier: MIT */
/*
 * The face of realizar's ModelData: the bytes of a model, mapped or in memory of their own, behind one set of functions.
 * What is said of a mapping does nothing, and succeeds, where there is none. Functions that can fail return TRESOR_OK or an
 * error of <tresor/error.h>; `error` (which may be NULL) then has the details, and is otherwise left as it was.
 *
 * Threads: one at a time for functions that take `struct tresor_realizar_data *`; the bytes may be read by any, also while
 * their pages are dropped or evicted.
 */
#ifndef TRESOR_COMPAT_REALIZAR_H
#define TRESOR_COMPAT_REALIZAR_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/allocator.h>
#include <tresor/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The bytes of one model. Opaque. */
struct tresor_realizar_data;

/**
 * Map a regular file, shared and read-only; an empty one is an empty model. The file is held open. Pages that the file loses
 * afterwards end the process when they are touched (see <tresor/guard.h> for sources that do without). `allocator` (NULL:
 * malloc and free) is copied and holds the record, not the bytes. On failure `*data` is NULL: INVALID, NOT_FOUND, PERMISSION,
 * NOT_REGULAR, DESCRIPTORS, NO_MEMORY, MAP_REFUSED, UNSUPPORTED or IO.
 */
TRESOR_API int32_t tresor_realizar_open_mmap(const char *path,
                                             const struct tresor_allocator *allocator,
                                             struct tresor_realizar_data **data,
                                             struct tresor_error *error);

/** Read a regular file into memory of its own; the file is closed then. Also TRUNCATED and CHANGED, where the file did so
 * meanwhile. */
TRESOR_API int32_t tresor_realizar_open_read(const char *path,
                                             const struct tresor_allocator *allocator,
                                             struct tresor_realizar_data **data,
                                             struct tresor_error *error);

/** Copy `length_bytes` bytes, which may be none, into memory of its own. */
TRESOR_API int32_t tresor_realizar_from_bytes(const void *bytes, size_t length_bytes,
                                              const struct tresor_allocator *allocator,
                                              struct tresor_realizar_data **data,
                                              struct tresor_error *error);

/** Take bytes over without a copy: `release` (NULL: they outlive the data) is called once with them, when the data is freed.
 * On failure they stay the caller's. */
TRESOR_API int32_t tresor_realizar_from_vec(void *bytes, size_t length_bytes,
                                            void (*release)(void *cookie, void *bytes,
                                                            size_t length_bytes),
                                            void *cookie, const struct tresor_allocator *allocator,
                                            struct tresor_realizar_data **data,
                                            struct tresor_error *error);

/**
 * Free it and set `*data` to NULL, so that another call does nothing. Where the system refuses to unmap (MAP_REFUSED) it stays
 * whole and may be freed again.
 */
TRESOR_API int32_t tresor_realizar_free(struct tresor_realizar_data **data,
                                        struct tresor_error *error);

/** The bytes, valid until it is freed, and how many (`length_bytes` may be NULL). Never NULL, also where there are none; NULL
 * data has none. */
TRESOR_API const void *tresor_realizar_as_slice(const struct tresor_realizar_data *data,
                                                size_t *length_bytes);
TRESOR_API size_t tresor_realizar_len(const struct tresor_realizar_data *data);

/** 1 or 0. */
TRESOR_API int32_t tresor_realizar_is_empty(const struct tresor_realizar_data *data);
TRESOR_API int32_t tresor_realizar_is_mmap(const struct tresor_realizar_data *data);

/** The path that it was opened by; "" where there was none. Valid until it is freed. */
TRESOR_API const char *tresor_realizar_path(const struct tresor_realizar_data *data);

/**
 * Drop the mapping's pages from this process, whose resident memory they no longer are. They stay in the page cache, and what
 * touches them next finds them there.
 */
TRESOR_API int32_t tresor_realizar_drop_pages(struct tresor_realizar_data *data,
                                              struct tresor_error *error);

/**
 * Drop the pages and take them out of the page cache, then ask the kernel what it has kept. TRESOR_OK only where that is
 * nothing; BUSY where pages stay, because somebody else has them mapped or locked, they wait to be written to the disk, or the
 * file system is in memory; UNSUPPORTED where the kernel does not tell this process (the file is somebody else's).
 * `*left_bytes` (may be NULL) is what stays, in whole pages; UINT64_MAX where that is not known.
 */
TRESOR_API int32_t tresor_realizar_evict(struct tresor_realizar_data *data, uint64_t *left_bytes,
                                         struct tresor_error *error);

/** The bytes will be read in their order. */
TRESOR_API int32_t tresor_realizar_advise_sequential(struct tresor_realizar_data *data,
                                                     struct tresor_error *error);

#ifdef __cplusplus
}
#endif

#endif
