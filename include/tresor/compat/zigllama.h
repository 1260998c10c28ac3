/* SPDX-License-Identifier: MIT */
/*
 * The face of zigllama's memory_mapping: maps of files and of fresh memory, typed views of them, a mapper of several files, GGUF
 * models whose tensors are found by name, and an adviser that asks the machine what memory it has. Functions that can fail
 * return TRESOR_OK or an error of <tresor/error.h>; `error` (which may be NULL) then has the details, and is otherwise left as
 * it was. Everything here blocks until it is done.
 *
 * Threads: one at a time for functions on a map; a mapper and its models belong to the thread that first loads a GGUF model
 * (THREAD on any other). Bytes may be read by any thread until their map is unmapped or their mapper destroyed.
 */
#ifndef TRESOR_COMPAT_ZIGLLAMA_H
#define TRESOR_COMPAT_ZIGLLAMA_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/allocator.h>
#include <tresor/error.h>
#include <tresor/source.h>
#include <tresor/strategy.h>
#include <tresor/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- maps --- */

/** A mapping of a file or of fresh memory. Opaque. */
struct tresor_zigllama_map;

/** What may be done with a map's bytes, as flags: READ alone, READ | WRITE or READ | EXECUTE. */
enum tresor_zigllama_protection {
    TRESOR_ZIGLLAMA_READ = 1,
    TRESOR_ZIGLLAMA_WRITE = 2,
    TRESOR_ZIGLLAMA_EXECUTE = 4,
};

/** How it is mapped, as flags. */
enum tresor_zigllama_flag {
    TRESOR_ZIGLLAMA_SHARED = 1,   /**< what is written goes to the file, and to children of the process */
    TRESOR_ZIGLLAMA_PRIVATE = 2,  /**< what is written stays the process's own; the default, and not with SHARED */
    TRESOR_ZIGLLAMA_POPULATE = 4, /**< all pages are brought in at once, as by tresor_zigllama_prefault */
    TRESOR_ZIGLLAMA_HUGE = 8,     /**< a wish for pages of 2 MiB; see enum tresor_zigllama_huge */
};

/** What became of the wish for huge pages. */
enum tresor_zigllama_huge {
    TRESOR_ZIGLLAMA_HUGE_NONE = 0,    /**< not wished, or refused: pages are small */
    TRESOR_ZIGLLAMA_HUGE_ADVISED = 1, /**< the kernel uses large pages where it can */
    TRESOR_ZIGLLAMA_HUGE_POOL = 2,    /**< fresh memory alone: out of the system's pool of them */
};

/**
 * Map a whole regular file, which is held open. With SHARED and WRITE it must be writable. `allocator` (NULL: malloc and free)
 * is copied and holds the record. On failure `*map` is NULL: INVALID (a combination that is not allowed: no READ, WRITE with
 * EXECUTE, SHARED with PRIVATE, an unknown flag), TRUNCATED (the file is empty, or became shorter while it was populated),
 * NOT_FOUND, PERMISSION, NOT_REGULAR, DESCRIPTORS, NO_MEMORY, MAP_REFUSED, UNSUPPORTED or IO.
 */
TRESOR_API int32_t tresor_zigllama_map_file(const char *path, uint32_t protection, uint32_t flags,
                                            const struct tresor_allocator *allocator,
                                            struct tresor_zigllama_map **map,
                                            struct tresor_error *error);

/** Map `size_bytes` of fresh memory, all zeros; none of it is INVALID. Otherwise as above. */
TRESOR_API int32_t tresor_zigllama_map_anonymous(uint64_t size_bytes, uint32_t protection,
                                                 uint32_t flags,
                                                 const struct tresor_allocator *allocator,
                                                 struct tresor_zigllama_map **map,
                                                 struct tresor_error *error);

/**
 * Unmap, with its locks, and set `*map` to NULL, so that another call does nothing. Where the system refuses (MAP_REFUSED) the
 * map stays whole and may be unmapped again. INVALID for a map of a mapper, which unmaps it itself.
 */
TRESOR_API int32_t tresor_zigllama_unmap(struct tresor_zigllama_map **map,
                                         struct tresor_error *error);

/** Lock the map's pages in memory, and undo it; twice does nothing. A refusal is LOCK_LIMIT, with the bytes that are locked in
 * `offset`, what was asked for in `wanted` and the limit in `got`; the map is then as it was. */
TRESOR_API int32_t tresor_zigllama_lock(struct tresor_zigllama_map *map, struct tresor_error *error);
TRESOR_API int32_t tresor_zigllama_unlock(struct tresor_zigllama_map *map,
                                          struct tresor_error *error);

/** Bring all pages into memory. TRUNCATED where the file has become shorter (`wanted` and `got` are its sizes), rather than the
 * end of the process; IO, NO_MEMORY. */
TRESOR_API int32_t tresor_zigllama_prefault(struct tresor_zigllama_map *map,
                                            struct tresor_error *error);

/** Tell the kernel how the bytes will be used: enum tresor_advice. DONTNEED is INVALID where it would lose what was written:
 * for fresh memory, and for private maps that may be written. */
TRESOR_API int32_t tresor_zigllama_advise(struct tresor_zigllama_map *map, uint32_t advice,
                                          struct tresor_error *error);

/**
 * What was written to the file: begin, or with `is_waited` wait until it is there. There is nothing to do, and TRESOR_OK, for
 * fresh memory and maps that cannot be written. UNSUPPORTED for a private one that can: what is written to it never gets to the
 * file. IO where the disk failed.
 */
TRESOR_API int32_t tresor_zigllama_sync(struct tresor_zigllama_map *map, int32_t is_waited,
                                        struct tresor_error *error);

/**
 * The address of `count` elements (none is allowed) of `element_bytes` bytes each, from `offset_bytes` on. INVALID where they
 * are not all within the map (`wanted` is the end that was asked for, UINT64_MAX where no number holds it, `got` the map's
 * length), where the address is no multiple of `alignment_bytes`, a power of two, or where an element has no bytes. The second
 * is for maps with WRITE, PERMISSION for others.
 */
TRESOR_API int32_t tresor_zigllama_slice(const struct tresor_zigllama_map *map,
                                         uint64_t offset_bytes, uint64_t count,
                                         uint64_t element_bytes, uint64_t alignment_bytes,
                                         const void **data, struct tresor_error *error);
TRESOR_API int32_t tresor_zigllama_slice_writable(struct tresor_zigllama_map *map,
                                                  uint64_t offset_bytes, uint64_t count,
                                                  uint64_t element_bytes, uint64_t alignment_bytes,
                                                  void **data, struct tresor_error *error);

/** Elements in memory, with their shape. */
struct tresor_zigllama_view {
    size_t size_bytes; /**< in: sizeof of the caller's struct */
    const void *data;
    uint64_t shape[TRESOR_RANK_MAX]; /**< elements; of a model in its own order (shape_order) */
    uint64_t element_count;          /**< the product of the shape; 1 for rank 0 */
    uint64_t data_bytes;
    uint64_t offset_bytes; /**< of the first one in its file */
    uint32_t rank;
    uint32_t dtype;        /**< enum tresor_dtype of a model's tensor; TRESOR_NONE for a view of a map */
    uint32_t file;         /**< of a model's tensor: index of its file in the source; otherwise 0 */
    uint32_t shape_order;  /**< enum tresor_shape_order of a model's tensor; otherwise OUTERMOST_FIRST */
    int32_t advice_code;   /**< why the advice was refused, or TRESOR_OK */
    uint32_t reserved;     /**< 0 */
};

/** A tensor at `offset_bytes`: the shape is copied, its product and bytes are checked for overflow, then as
 * tresor_zigllama_slice. INVALID also for a rank over TRESOR_RANK_MAX. */
TRESOR_API int32_t tresor_zigllama_view(const struct tresor_zigllama_map *map,
                                        uint64_t offset_bytes, const uint64_t *shape, uint32_t rank,
                                        uint64_t element_bytes, uint64_t alignment_bytes,
                                        struct tresor_zigllama_view *view,
                                        struct tresor_error *error);

/** What is mapped, and how much of it is in memory now. */
struct tresor_zigllama_stats {
    size_t size_bytes; /**< in: sizeof of the caller's struct */
    uint64_t total_bytes;
    uint64_t page_bytes;     /**< of the system's small pages */
    uint64_t page_count;     /**< small pages that the bytes take */
    uint64_t resident_bytes; /**< whole pages in memory, as the kernel counts them; of a file those in the page cache */
    uint32_t is_resident_known; /**< 0 where the kernel does not tell this process, as of somebody else's file;
                                     resident_bytes is then what is known of the rest */
    uint32_t is_locked;         /**< 1: any is */
    uint32_t huge;              /**< enum tresor_zigllama_huge; of several the best */
    int32_t lock_code;          /**< why the last lock was refused, or TRESOR_OK */
};

TRESOR_API int32_t tresor_zigllama_get_stats(const struct tresor_zigllama_map *map,
                                             struct tresor_zigllama_stats *stats,
                                             struct tresor_error *error);

/** Some lines for people into `buffer` of `size_bytes`, always ended by NUL. Returns the length of all, like snprintf. */
TRESOR_API size_t tresor_zigllama_format_stats(const struct tresor_zigllama_stats *stats,
                                               char *buffer, size_t size_bytes);

/* --- a mapper of several files --- */

/** Files and models that are mapped together, and unmapped with it. Opaque. */
struct tresor_zigllama_mapper;

/** A GGUF model of a mapper: one file, or a set of them. Opaque. */
struct tresor_zigllama_model;

struct tresor_zigllama_mapper_options {
    size_t size_bytes;                 /**< sizeof of this struct */
    struct tresor_allocator allocator; /**< zero: malloc and free */
    uint32_t files_max;                /**< files, and models, that it can have; default 16, at most 4096 */
    uint32_t reserved;                 /**< 0 */
};

enum tresor_zigllama_load_flag {
    TRESOR_ZIGLLAMA_LOAD_LOCK = 1,     /**< lock it in memory; a refusal is told by lock_code and does not end the load */
    TRESOR_ZIGLLAMA_LOAD_PREFAULT = 2, /**< bring all of it in now */
};

/** NULL options are the defaults. TRESOR_OK, INVALID, NO_MEMORY, DESCRIPTORS or UNSUPPORTED; on failure `*mapper` is NULL. */
TRESOR_API int32_t
tresor_zigllama_mapper_create(const struct tresor_zigllama_mapper_options *options,
                              struct tresor_zigllama_mapper **mapper, struct tresor_error *error);

/** Unmap everything and set `*mapper` to NULL; another call does nothing. THREAD, which leaves all as it was. MAP_REFUSED where
 * the system refuses to unmap a file, with `*mapper` still there: it and the files before it stay, and this may be called again;
 * or to unmap what was left of a model, with `*mapper` NULL. */
TRESOR_API int32_t tresor_zigllama_mapper_destroy(struct tresor_zigllama_mapper **mapper,
                                                  struct tresor_error *error);

/** Map any file, private and read-only, to be read in order; `flags` is of enum tresor_zigllama_load_flag. `*map` is the
 * mapper's and stays where it is until that is destroyed. AGAIN where the mapper has files_max of them; otherwise as
 * tresor_zigllama_map_file. */
TRESOR_API int32_t tresor_zigllama_load_file(struct tresor_zigllama_mapper *mapper,
                                             const char *path, uint32_t flags,
                                             struct tresor_zigllama_map **map,
                                             struct tresor_error *error);

/**
 * Open a GGUF model: a file, or any of a set. With flags all tensors are brought in now, otherwise each when it is first asked
 * for. `*model` is the mapper's. AGAIN where it has files_max of them, FORMAT where it is none; else the errors of
 * tresor_source_open and tresor_load.
 */
TRESOR_API int32_t tresor_zigllama_load_gguf(struct tresor_zigllama_mapper *mapper,
                                             const char *path, uint32_t flags,
                                             struct tresor_zigllama_model **model,
                                             struct tresor_error *error);

/** The sums over all files and models. Of a model its files' lengths count, and their bytes in memory. */
TRESOR_API int32_t tresor_zigllama_get_usage(struct tresor_zigllama_mapper *mapper,
                                             struct tresor_zigllama_stats *stats,
                                             struct tresor_error *error);

/* --- what is in a model --- */

/** About the model, as of tresor_source_get_info. */
TRESOR_API int32_t tresor_zigllama_model_info(struct tresor_zigllama_model *model,
                                              struct tresor_source_info *info,
                                              struct tresor_error *error);

/**
 * The bytes of the tensor of that name, in memory and there to stay until the mapper is destroyed, with its type and shape out
 * of the header. `advice` (enum tresor_advice, NORMAL: none, not DONTNEED) is told to the kernel for its pages; a refusal is in
 * `advice_code`. NOT_FOUND, INVALID, THREAD, or what its load failed with.
 */
TRESOR_API int32_t tresor_zigllama_model_tensor(struct tresor_zigllama_model *model,
                                                const char *name, uint32_t advice,
                                                struct tresor_zigllama_view *view,
                                                struct tresor_error *error);

/**
 * The metadata value of that key, which must be of the kind: an unsigned number (or one of a signed type that is not negative),
 * a signed one (or one of an unsigned type that fits), a real one (f32 or f64), a truth (1 or 0), or a string, which is no more
 * than `length_bytes` long and has no end of its own. NOT_FOUND, INVALID (another kind, or a number that does not fit) or
 * THREAD. Of a set of files the first one's count. Strings and arrays live as long as the mapper.
 */
TRESOR_API int32_t tresor_zigllama_get_unsigned(struct tresor_zigllama_model *model,
                                                const char *key, uint64_t *value,
                                                struct tresor_error *error);
TRESOR_API int32_t tresor_zigllama_get_signed(struct tresor_zigllama_model *model, const char *key,
                                              int64_t *value, struct tresor_error *error);
TRESOR_API int32_t tresor_zigllama_get_real(struct tresor_zigllama_model *model, const char *key,
                                            double *value, struct tresor_error *error);
TRESOR_API int32_t tresor_zigllama_get_bool(struct tresor_zigllama_model *model, const char *key,
                                            int32_t *value, struct tresor_error *error);
TRESOR_API int32_t tresor_zigllama_get_string(struct tresor_zigllama_model *model, const char *key,
                                              const char **text, uint64_t *length_bytes,
                                              struct tresor_error *error);

/** An array of elements of `element_type` (enum tresor_metadata_type): `*data` little endian, perhaps unaligned; strings are
 * each 8 bytes of length and the bytes. */
TRESOR_API int32_t tresor_zigllama_get_array(struct tresor_zigllama_model *model, const char *key,
                                             uint32_t element_type, const void **data,
                                             uint64_t *count, struct tresor_error *error);

/* --- how to map --- */

/** How a file of some size is best mapped on this machine now. */
struct tresor_zigllama_strategy {
    size_t size_bytes;        /**< in: sizeof of the caller's struct */
    uint64_t available_bytes; /**< of memory, as tresor_zigllama_available_bytes told */
    uint32_t use_mmap;        /**< always 1: pages of the file can be given back without being written anywhere */
    uint32_t lock_memory;     /**< it takes at most half of what is available, and the process's limit allows it */
    uint32_t prefault;        /**< it fits into what is available */
    uint32_t advice;          /**< enum tresor_advice: WILLNEED where it fits, else RANDOM */
    uint32_t load_flags;      /**< enum tresor_zigllama_load_flag for the same */
    uint32_t reserved;        /**< 0 */
};

/** Memory that this process can have now: what the kernel says the machine has (MemAvailable), and no more than the process's
 * control groups leave it, of whose usage the idle page cache does not count. UNSUPPORTED where nothing tells, NO_MEMORY. Any
 * thread. */
TRESOR_API int32_t tresor_zigllama_available_bytes(uint64_t *bytes, struct tresor_error *error);

/** Choose for a file of `file_bytes`. The errors are those above. Any thread. */
TRESOR_API int32_t tresor_zigllama_choose(uint64_t file_bytes,
                                          struct tresor_zigllama_strategy *strategy,
                                          struct tresor_error *error);

#ifdef __cplusplus
}
#endif

#endif
