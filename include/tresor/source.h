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
 * Open a model: a GGUF, safetensors or TMAI file, any shard of a GGUF set (NAME-00001-of-00003.gguf), a
 * safetensors index (*.index.json), or a layout (docs/layouts.md). Which it is, its first bytes tell. `path` is copied. Its
 * DONE event says that the directory can
 * be read and every tensor has its address; on failure the source's handle is stale by then.
 * Returns TRESOR_OK, INVALID, AGAIN (no slot), NO_MEMORY or THREAD.
 */
TRESOR_API int32_t tresor_source_open(struct tresor_context *context, const char *path,
                                      uint64_t cookie, struct tresor_source *source,
                                      struct tresor_request *request);

/** Where the bytes of a source are. */
enum tresor_origin_kind {
    TRESOR_ORIGIN_PATH = 0,       /**< a file, by its path */
    TRESOR_ORIGIN_DESCRIPTOR = 1, /**< a file that the host has open */
    TRESOR_ORIGIN_MEMORY = 2,     /**< the host's memory */
    TRESOR_ORIGIN_CALLBACK = 3,   /**< what a function of the host's reads */
};

/** How a file is compressed. */
enum tresor_compression {
    TRESOR_COMPRESSION_NONE = 0,
    TRESOR_COMPRESSION_ZSTD = 1,
    TRESOR_COMPRESSION_GZIP = 2,
    TRESOR_COMPRESSION_LZ4 = 3, /**< frames */
};

/** "none", "zstd", "gzip" or "lz4"; "unknown" for anything else. Any thread. */
TRESOR_API const char *tresor_compression_name(uint32_t compression);

/** Bits of tresor_source_origin.flags. */
enum tresor_origin_flag {
    TRESOR_ORIGIN_OWNED = 1, /**< DESCRIPTOR: it is handed over, and closed with the source */
};

/**
 * Where the bytes of a source are. What a kind has no use of must be zero. What is handed over (`release`, OWNED) is the
 * library's once the open was accepted, and is given back once, whatever becomes of the open, before its source's end is told.
 */
struct tresor_source_origin {
    size_t size_bytes; /**< sizeof of this struct */
    uint32_t kind;     /**< enum tresor_origin_kind */
    uint32_t flags;    /**< enum tresor_origin_flag */
    /**
     * PATH: of the file. Otherwise what errors and tresor_source_get_file call it; NULL: "descriptor 7", "memory" or
     * "callback". It is copied.
     */
    const char *path;
    int32_t descriptor; /**< DESCRIPTOR: open for reading, of a regular file. Unless it is OWNED it is duplicated at once
                           when the open runs and may be closed when that has ended; its offset and flags are not touched */
    uint32_t reserved;  /**< 0 */
    /**
     * PATH and DESCRIPTOR: where the model begins in the file. One that is no multiple of a page cannot be mapped, so that
     * its tensors lie in memory aligned as in their format; one that is no multiple of the disk's unit is not read directly.
     */
    uint64_t offset_bytes;
    uint64_t length_bytes; /**< of the model; PATH and DESCRIPTOR: 0 is all up to the file's end */
    const void *memory;    /**< MEMORY: must stay as it is until the source is closed; tensors are copied from there */
    /**
     * CALLBACK: put at most `size_bytes` bytes of the model, from `offset_bytes` on, at `into`; how many, 0 where it ends, or a
     * negative errno. Fewer than asked for is no error: the rest is asked for. It is called on workers, several at a time,
     * or, with the sync backend, inside tresor_dispatch, and must not call the library.
     */
    int64_t (*read_at)(void *cookie, void *into, uint64_t offset_bytes, size_t size_bytes);
    /** MEMORY and CALLBACK: called once, where read_at is, when nothing is read any more. NULL: nothing is to be done. */
    void (*release)(void *cookie);
    void *cookie; /**< of read_at and release */
};

/** What a source has. */
enum tresor_content {
    TRESOR_CONTENT_MODEL = 0, /**< a format that the library reads: its first bytes say which */
    TRESOR_CONTENT_BLOB = 1,  /**< any bytes: one tensor of them all, u8, named like the file without its folder */
};

/** How a source is opened. */
struct tresor_source_options {
    size_t size_bytes; /**< sizeof of this struct */
    uint64_t cookie;   /**< given back in the request's events */
    uint32_t content;  /**< enum tresor_content */
    /**
     * A compressed file: how many times its own size it may be decoded to; 0: 1000, so that what is sent to fill the memory has
     * to be a thousandth of it, where weights come to less than 2, and even zeros by gzip to 1032. UINT32_MAX: any.
     */
    uint32_t max_ratio;
    /** And to how many bytes; 0: 64 GiB. As many addresses are reserved until it is decoded. */
    uint64_t max_decoded_bytes;
};

/**
 * Open a model from anywhere; `options` NULL: all zero. It is parsed and loaded as from a path, with these differences. Only
 * what is a file can be mapped, advised on and read directly: of the others, and of a file in which the model begins askew,
 * the default strategy is to read, to ask for TRESOR_STRATEGY_MMAP is UNSUPPORTED, and so is to advise on what is no
 * file. Models of several files are opened by the path of one, from its beginning: else their DONE event says UNSUPPORTED.
 * What is longer than its file is TRUNCATED; a pipe, a folder or a device is NOT_REGULAR; a descriptor that is not
 * open is INVALID, and one that is not open for reading PERMISSION. tresor_source_check finds no change in what is no file.
 *
 * A file compressed with zstd (seekable too), gzip or as LZ4 frames, told by its first bytes and not by its name, is decoded when
 * it is opened, a few MiB at a time, on workers, or, with the sync backend, inside tresor_dispatch. Its decoded bytes are private
 * memory in its window until it is closed and are all that is kept, so that its tensors are loaded at once and evicting them
 * gives nothing back; they count in a budget for as long, and what finds no room in what is left of it is TOO_BIG: nothing is
 * evicted for it. It cannot be mapped, advised on, or be one of several files. Damage is CORRUPT, with `offset` in the
 * compressed file; one that is cut TRUNCATED; more than the options allow, or a zstd window above 128 MiB, LIMIT; a compression
 * that the build has not got FORMAT; and a zstd dictionary UNSUPPORTED. What opens a path has all this too, with the defaults.
 * Returns TRESOR_OK, INVALID, AGAIN (no slot), NO_MEMORY or THREAD; then nothing was taken over.
 */
TRESOR_API int32_t tresor_source_open_with(struct tresor_context *context,
                                           const struct tresor_source_origin *origin,
                                           const struct tresor_source_options *options,
                                           struct tresor_source *source,
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
    const char *format;       /**< "gguf", "safetensors", "tmai", "layout" or "blob" */
    uint32_t version;         /**< of the format; 0 for safetensors and blobs */
    uint32_t shape_order;     /**< enum tresor_shape_order */
    uint64_t alignment_bytes; /**< of tensor data, as the header gives it; 1 where it gives none */
    uint32_t tensor_count;
    uint32_t metadata_count;
    uint32_t file_count;
    uint32_t overlap_count; /**< tensors that share bytes with an earlier one */
    uint64_t tensor_bytes;  /**< sum of all tensors' sizes */
};

/** One file of a source. */
struct tresor_file_info {
    size_t size_bytes; /**< in: sizeof of the caller's struct */
    const char *path; /**< or what its origin is called */
    uint64_t file_bytes;
    const void *window;    /**< byte o of the file is at window + o, where it is resident */
    uint64_t window_bytes; /**< file_bytes rounded up to 2 MiB */
    uint32_t direct; /**< 1 where reads of it go past the page cache; 0 where the context has them off or they were
                          refused */
    int32_t direct_errno;            /**< why they were refused, or 0 */
    uint32_t direct_alignment_bytes; /**< of direct reads in memory and in the file; 0: none */
    uint32_t origin;                 /**< enum tresor_origin_kind */
    uint64_t offset_bytes;           /**< of its byte 0 in what was opened */
    uint32_t is_mappable;            /**< 0: there is nothing to map, or it lies askew to its pages or is compressed */
    uint32_t compression;            /**< enum tresor_compression; all else but its path and origin is of what it was decoded to */
    uint64_t stored_bytes;           /**< how long it is where it lies: file_bytes, or as many as it is compressed to */
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
