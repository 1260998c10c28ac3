/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_ERROR_H
#define TRESOR_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Every error that the library returns or reports. Zero is success, errors are negative. The texts
 * and advice are those of tresor_error_text() and tresor_error_advice().
 */
enum tresor_error_code {
    TRESOR_OK = 0,
    TRESOR_ERROR_AGAIN = -1,
    TRESOR_ERROR_INVALID = -2,
    TRESOR_ERROR_STALE = -3,
    TRESOR_ERROR_THREAD = -4,
    TRESOR_ERROR_BUSY = -5,
    TRESOR_ERROR_NO_MEMORY = -6,
    TRESOR_ERROR_NOT_FOUND = -7,
    TRESOR_ERROR_PERMISSION = -8,
    TRESOR_ERROR_NOT_REGULAR = -9,
    TRESOR_ERROR_IO = -10,
    TRESOR_ERROR_TRUNCATED = -11,
    TRESOR_ERROR_CHANGED = -12,
    TRESOR_ERROR_FORMAT = -13,
    TRESOR_ERROR_MALFORMED = -14,
    TRESOR_ERROR_VERSION = -15,
    TRESOR_ERROR_LIMIT = -16,
    TRESOR_ERROR_DUPLICATE = -17,
    TRESOR_ERROR_SHARD = -18,
    TRESOR_ERROR_UNSUPPORTED = -19,
    TRESOR_ERROR_NOT_RESIDENT = -20,
    TRESOR_ERROR_LOCK_LIMIT = -21,
    TRESOR_ERROR_CANCELLED = -22,
    TRESOR_ERROR_BACKEND = -23,
    TRESOR_ERROR_DESCRIPTORS = -24,
    TRESOR_ERROR_MAP_REFUSED = -25,
    TRESOR_ERROR_TOO_BIG = -26,
    TRESOR_ERROR_POISONED = -27,
    TRESOR_ERROR_CORRUPT = -28,
};

/** The value of tresor_error.file and tresor_error.tensor where there is none. */
#define TRESOR_NONE UINT32_MAX

/**
 * What went wrong, as plain data. `offset` is in bytes from the start of the file; `wanted` and
 * `got` are in the unit of the code: bytes, except for LOCK_LIMIT, where they are the bytes that
 * would be locked and the limit, with `offset` the bytes already locked.
 */
struct tresor_error {
    int32_t code;     /**< enum tresor_error_code */
    int32_t os_errno; /**< errno of the system call that failed, or 0 */
    uint64_t source;  /**< value of the source's handle, or 0 */
    uint32_t file;    /**< index of the file in the source, or TRESOR_NONE */
    uint32_t tensor;  /**< index of the tensor in the source, or TRESOR_NONE */
    uint64_t offset;
    uint64_t wanted;
    uint64_t got;
};

/** Short constant name, like "TRUNCATED"; "OK" for 0, "UNKNOWN" otherwise. Any thread. */
TRESOR_API const char *tresor_error_name(int32_t code);

/** One constant line of text on what happened. Any thread. */
TRESOR_API const char *tresor_error_text(int32_t code);

/** One constant line of advice on what to do. Any thread. */
TRESOR_API const char *tresor_error_advice(int32_t code);

#ifdef __cplusplus
}
#endif

#endif
