/* SPDX-License-Identifier: MIT */
/*
 * What llama.cpp's llama_file, llama_mmap and llama_mlock do, as C functions; compat/llama-mmap.h is the same in C++. Each
 * object belongs to one thread at a time, needs no context, and is memory of the library's own until it is closed.
 *
 * Functions that can fail return TRESOR_OK or an error, and write the details to `error` unless that is NULL: of a file
 * `offset` is where it happened, `wanted` and `got` are bytes. What was refused without harm, such as advice or direct reads,
 * is not a failure: the object keeps the last of it as its warning.
 */
#ifndef TRESOR_COMPAT_LLAMA_H
#define TRESOR_COMPAT_LLAMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <tresor/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tresor_llama_file;
struct tresor_llama_map;
struct tresor_llama_lock;

/** Bytes [first, last) of a file. */
struct tresor_llama_range {
    uint64_t first;
    uint64_t last;
};

/**
 * Open a file by name and by a mode of fopen(3): r, w or a, then any of + b e x. With `direct` a file that is only read is read
 * past the page cache; where that is refused it is read through it, and the warning says why. What is only written may be a
 * device; else it must be a regular file. Returns TRESOR_OK, INVALID (a mode that is none), NOT_FOUND, PERMISSION,
 * NOT_REGULAR, DESCRIPTORS, NO_MEMORY or IO.
 */
TRESOR_API int32_t tresor_llama_file_open(const char *path, const char *mode, bool direct,
                                          struct tresor_llama_file **file,
                                          struct tresor_error *error);

/**
 * The host's own stream, which stays the host's, must stay open meanwhile, and is put at its start. Its position is the
 * file's, before and after each call. What is written is flushed at once. Returns what tresor_llama_file_open returns; NOT_REGULAR
 * where it cannot seek.
 */
TRESOR_API int32_t tresor_llama_file_open_stream(FILE *stream, struct tresor_llama_file **file,
                                                 struct tresor_error *error);

/**
 * The host's own descriptor of a regular file, which stays the host's and must stay open meanwhile. The file's position begins
 * at 0 and is not the descriptor's. `direct` and what it returns are as in tresor_llama_file_open.
 */
TRESOR_API int32_t tresor_llama_file_open_descriptor(int descriptor, bool direct,
                                                     struct tresor_llama_file **file,
                                                     struct tresor_error *error);

/** Close and free it, also where closing fails; IO then says that what was written may be lost. NULL is nothing. */
TRESOR_API int32_t tresor_llama_file_close(struct tresor_llama_file *file,
                                           struct tresor_error *error);

/** Bytes: what it was when it was opened, and more where more was written through it. */
TRESOR_API uint64_t tresor_llama_file_size(const struct tresor_llama_file *file);

/** Where the next read or write begins, in bytes. Fails only where a host's stream does. */
TRESOR_API int32_t tresor_llama_file_tell(const struct tresor_llama_file *file,
                                          uint64_t *position_bytes, struct tresor_error *error);

/**
 * Move to `offset` bytes from the start, the position or the size (SEEK_SET, SEEK_CUR, SEEK_END). It may be past the end: a
 * read fails there, a write leaves a hole. INVALID: before the start, too far, or no such `whence`; nothing has moved.
 */
TRESOR_API int32_t tresor_llama_file_seek(struct tresor_llama_file *file, int64_t offset,
                                          int whence, struct tresor_error *error);

/** The descriptor that is not for direct reads, which stays the file's; -1 where a stream has none. */
TRESOR_API int tresor_llama_file_id(const struct tresor_llama_file *file);

/**
 * Read exactly `length` bytes at the position and move it by as much. Any address and position will do. Direct reads go in place
 * where address and position lie alike within the alignment, else through 1 MiB that the file keeps, whatever the length.
 * TRUNCATED: the file ends before, `got` bytes on; IO, PERMISSION (not opened for reading). On failure the position has not
 * moved, and what the memory holds is undefined.
 */
TRESOR_API int32_t tresor_llama_file_read(struct tresor_llama_file *file, void *address,
                                          size_t length, struct tresor_error *error);

/**
 * The same for whole units of the alignment: the file may end within the last one, though not before it begins. What lies behind its
 * end is zeros then, and the position is the end.
 */
TRESOR_API int32_t tresor_llama_file_read_unchecked(struct tresor_llama_file *file, void *address,
                                                    size_t length, struct tresor_error *error);

/** What tresor_llama_file_read does, under the name of the call that reads directly to where no alignment is known. */
TRESOR_API int32_t tresor_llama_file_read_aligned_chunk(struct tresor_llama_file *file,
                                                        void *address, size_t length,
                                                        struct tresor_error *error);

/** A number in the machine's own byte order. */
TRESOR_API int32_t tresor_llama_file_read_u32(struct tresor_llama_file *file, uint32_t *value,
                                              struct tresor_error *error);

/**
 * Write all of it at the position, with mode a at the end, and move the position behind it. Nothing is kept back: what the system
 * refuses is said here and not at the end. On failure the position is behind the `got` bytes that were written. PERMISSION (not
 * opened for writing) or IO.
 */
TRESOR_API int32_t tresor_llama_file_write(struct tresor_llama_file *file, const void *address,
                                           size_t length, struct tresor_error *error);

/** A number in the machine's own byte order. */
TRESOR_API int32_t tresor_llama_file_write_u32(struct tresor_llama_file *file, uint32_t value,
                                               struct tresor_error *error);

/** What whole units are multiples of, a power of two: of direct reads as the file was opened, else 1. */
TRESOR_API size_t tresor_llama_file_read_alignment(const struct tresor_llama_file *file);

/** Whether reads go past the page cache. It ends at a read that the system refuses to make so. */
TRESOR_API bool tresor_llama_file_has_direct(const struct tresor_llama_file *file);

/** Whether there is a warning, which is written to `warning`. */
TRESOR_API bool tresor_llama_file_warning(const struct tresor_llama_file *file,
                                          struct tresor_error *warning);

/**
 * Map a whole file, shared and read-only; the file may be closed then. The first `prefetch_bytes` are brought in before it
 * returns (SIZE_MAX: all), but for the `lazy_count` ranges in `lazy`, in any order, whose pages come when they are touched, one by
 * one. With `numa` nothing is brought in, so that each thread's first touch places its page. INVALID (an empty file, or one that
 * is none), MAP_REFUSED, NO_MEMORY; TRUNCATED: it has become shorter than it was when it was opened.
 */
TRESOR_API int32_t tresor_llama_map_open(const struct tresor_llama_file *file,
                                         size_t prefetch_bytes, bool numa,
                                         const struct tresor_llama_range *lazy, size_t lazy_count,
                                         struct tresor_llama_map **map, struct tresor_error *error);

/** Unmap what is left and free it. MAP_REFUSED: the system kept `got` bytes mapped. NULL is nothing. */
TRESOR_API int32_t tresor_llama_map_close(struct tresor_llama_map *map, struct tresor_error *error);

/** The file's first byte; byte o is at + o while it is mapped. */
TRESOR_API void *tresor_llama_map_address(const struct tresor_llama_map *map);

/** Bytes of the file, whatever is still mapped. */
TRESOR_API uint64_t tresor_llama_map_size(const struct tresor_llama_map *map);

/**
 * Unmap the whole pages in each of the ranges, in any order; the page in which the file ends goes with its last byte. What was
 * unmapped before, or lies behind the end, is nobody's here and not touched. Where the system refuses one the others are done
 * nevertheless, and that one stays mapped and known: MAP_REFUSED with its start and `wanted` bytes. NO_MEMORY.
 */
TRESOR_API int32_t tresor_llama_map_unmap(struct tresor_llama_map *map,
                                          const struct tresor_llama_range *ranges, size_t count,
                                          struct tresor_error *error);

/** What is still mapped, in order, page by page: how many ranges there are, of which the first `capacity` are written. */
TRESOR_API size_t tresor_llama_map_fragments(const struct tresor_llama_map *map,
                                             struct tresor_llama_range *ranges, size_t capacity);

/** Whether there is a warning, which is written to `warning`. */
TRESOR_API bool tresor_llama_map_warning(const struct tresor_llama_map *map,
                                         struct tresor_error *warning);

/** Whether the system can map files. Any thread. */
TRESOR_API bool tresor_llama_map_supported(void);

/** A lock of nothing yet. NO_MEMORY. */
TRESOR_API int32_t tresor_llama_lock_open(struct tresor_llama_lock **lock,
                                          struct tresor_error *error);

/** Unlock all that is locked and free it. IO: the system kept `got` bytes locked. NULL is nothing. */
TRESOR_API int32_t tresor_llama_lock_close(struct tresor_llama_lock *lock,
                                           struct tresor_error *error);

/** Where the memory begins; NULL is nowhere. BUSY: it has a place already. */
TRESOR_API int32_t tresor_llama_lock_init(struct tresor_llama_lock *lock, void *address,
                                          struct tresor_error *error);

/**
 * Lock the pages of the first `size_bytes`; nothing where they are locked, and where there is no place. LOCK_LIMIT: the system
 * refused (`wanted` bytes in all, `got` the limit, `offset` what the process has locked); what was locked stays so, and from then on
 * the answer is the same and the system is not asked again. INVALID: beyond the end of memory.
 *
 * The system counts no locks: a page that two locks share is unlocked with the first of them.
 */
TRESOR_API int32_t tresor_llama_lock_grow_to(struct tresor_llama_lock *lock, size_t size_bytes,
                                             struct tresor_error *error);

/** Bytes of the pages that are locked. */
TRESOR_API uint64_t tresor_llama_lock_locked(const struct tresor_llama_lock *lock);

/** Whether the system can lock memory. Any thread. */
TRESOR_API bool tresor_llama_lock_supported(void);

/** How many bytes the longest path has, its end included. Any thread. */
TRESOR_API size_t tresor_llama_path_max(void);

#ifdef __cplusplus
}
#endif

#endif
