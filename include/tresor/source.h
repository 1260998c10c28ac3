/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_SOURCE_H
#define TRESOR_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/context.h>
#include <tresor/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Open a model: a GGUF, safetensors or TMAI file, any shard of a GGUF set (NAME-00001-of-00003.gguf), or
 * a safetensors index (*.index.json). Which it is, its first bytes tell. `path` is copied. Its DONE event says that the directory can
 * be read and every tensor has its address; on failure the source's handle is stale by then.
 * Returns TRESOR_OK, INVALID, AGAIN (no slot), NO_MEMORY or THREAD.
 */
TRESOR_API int32_t tresor_source_open(struct tresor_context *context, const char *path,
                                      uint64_t cookie, struct tresor_source *source,
                                      struct tresor_request *request);

/**
 * Close a model. Its other requests are cancelled; it ends when reads in flight have ended and what
 * was acquired has been released. All addresses of its window are gone then. Where the system
 * refuses to unmap a range, the DONE event says MAP_REFUSED and the counter leaked_bytes how much
 * remains; the source is closed nevertheless. Returns TRESOR_OK, STALE, BUSY (not open yet, or
 * being closed), AGAIN or THREAD.
 */
TRESOR_API int32_t tresor_source_close(struct tresor_context *context, struct tresor_source source,
                                       uint64_t cookie, struct tresor_request *request);

/**
 * Look whether the files of a source are still what was opened: the same file, size and modification time. Nothing is read,
 * and nothing waits for the disk but the asking. The request's DONE event says TRESOR_OK, TRUNCATED (shorter) or CHANGED, of
 * the first such file, with what it was long in `wanted` and is in `got`; or IO with the system's reason. A file that was
 * replaced under its name is still there as it was, for the source holds it open. What is loaded stays as it is: pages that a
 * shorter file has not got any more end the process when they are touched, unless the context has a guard (guard.h). Returns
 * TRESOR_OK, INVALID, STALE, BUSY (not open yet, or being closed), AGAIN or THREAD.
 */
TRESOR_API int32_t tresor_source_check(struct tresor_context *context, struct tresor_source source,
                                       uint64_t cookie, struct tresor_request *request);

/** About an open source. Texts live as long as the source. */
struct tresor_source_info {
    size_t size_bytes;        /**< in: sizeof of the caller's struct */
    const char *format;       /**< "gguf", "safetensors" or "tmai" */
    uint32_t version;         /**< of the format; 0 for safetensors */
    uint32_t shape_order;     /**< enum tresor_shape_order */
    uint64_t alignment_bytes; /**< of tensor data, as the header gives it; 1 for safetensors and TMAI */
    uint32_t tensor_count;
    uint32_t metadata_count;
    uint32_t file_count;
    uint32_t overlap_count; /**< tensors that share bytes with an earlier one */
    uint64_t tensor_bytes;  /**< sum of all tensors' sizes */
};

/** One file of a source. */
struct tresor_file_info {
    size_t size_bytes; /**< in: sizeof of the caller's struct */
    const char *path;
    uint64_t file_bytes;
    const void *window;    /**< byte o of the file is at window + o, where it is resident */
    uint64_t window_bytes; /**< file_bytes rounded up to 2 MiB */
    uint32_t direct; /**< 1 where reads of it go past the page cache; 0 where the context has them off or they were
                          refused */
    int32_t direct_errno;            /**< why they were refused, or 0 */
    uint32_t direct_alignment_bytes; /**< of direct reads in memory and in the file; 0: none */
    uint32_t reserved; /**< 0 */
};

/** One tensor. */
struct tresor_tensor_info {
    size_t size_bytes; /**< in: sizeof of the caller's struct */
    const char *name;
    uint32_t name_bytes; /**< without the end; the name may hold NUL */
    uint32_t dtype;      /**< enum tresor_dtype */
    uint32_t rank;
    uint32_t file;
    uint64_t shape[TRESOR_RANK_MAX]; /**< elements, in the source's shape_order */
    uint64_t offset_bytes;           /**< absolute in its file */
    uint64_t tensor_bytes;
    const void
        *address; /**< stable while the source is open; readable while the tensor is acquired */
    uint32_t slice_count; /**< what tresor_split has made of it; 0: it is not split */
    uint32_t reserved;    /**< 0 */
};

/** One metadata value. Pointers live as long as the source. */
struct tresor_metadata_info {
    size_t size_bytes; /**< in: sizeof of the caller's struct */
    const char *key;
    uint32_t key_bytes;    /**< without the end */
    uint32_t type;         /**< enum tresor_metadata_type */
    uint32_t element_type; /**< of an ARRAY */
    uint64_t count;        /**< elements of an ARRAY, bytes of a STRING, otherwise 1 */
    const void *data; /**< little endian, perhaps unaligned; strings have no end; elements of an
                         array of strings are each 8 bytes of length and the bytes */
    uint64_t data_bytes;
};

/**
 * These fill `info` and return TRESOR_OK, INVALID (no such index, wrong size), STALE, BUSY (not
 * open yet) or THREAD.
 */
TRESOR_API int32_t tresor_source_get_info(struct tresor_context *context,
                                          struct tresor_source source,
                                          struct tresor_source_info *info);
TRESOR_API int32_t tresor_source_get_file(struct tresor_context *context,
                                          struct tresor_source source, uint32_t index,
                                          struct tresor_file_info *info);
TRESOR_API int32_t tresor_source_get_tensor(struct tresor_context *context,
                                            struct tresor_source source, uint32_t index,
                                            struct tresor_tensor_info *info);
TRESOR_API int32_t tresor_source_get_metadata(struct tresor_context *context,
                                              struct tresor_source source, uint32_t index,
                                              struct tresor_metadata_info *info);

/** Find a tensor or a metadata value by name, in constant time. `*index` is set on TRESOR_OK; else
 * as above or NOT_FOUND. */
TRESOR_API int32_t tresor_source_find_tensor(struct tresor_context *context,
                                             struct tresor_source source, const char *name,
                                             uint32_t *index);
TRESOR_API int32_t tresor_source_find_metadata(struct tresor_context *context,
                                               struct tresor_source source, const char *key,
                                               uint32_t *index);

#ifdef __cplusplus
}
#endif

#endif
