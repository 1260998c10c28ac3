/* SPDX-License-Identifier: MIT */
/* Only the static part of the library's header has its own allocator; the shared library exports it all the same. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include <tresor/error.h>

#include "format/decode_codec.h"

struct zstd {
    const struct tresor_allocator *allocator;
    ZSTD_DCtx *context;
    size_t next_bytes; /* of input, with which the library works in place and an error is told where it is */
};

static void *allocate(void *opaque, size_t size_bytes)
{
    return tresor__codec_allocate(opaque, size_bytes);
}

static void release(void *opaque, void *block)
{
    tresor__codec_free(opaque, block);
}

static void close_stream(void *stream)
{
    struct zstd *zstd = stream;
    ZSTD_freeDCtx(zstd->context);
    tresor__free(zstd->allocator, zstd, sizeof *zstd);
}

static void *open_stream(const struct tresor_allocator *allocator)
{
    struct zstd *zstd = tresor__allocate(allocator, sizeof *zstd);
    if (!zstd)
        return NULL;
    ZSTD_customMem memory = {allocate, release, (void *)(uintptr_t)allocator};
    *zstd = (struct zstd){.allocator = allocator, .context = ZSTD_createDCtx_advanced(memory)};
    if (zstd->context && !ZSTD_isError(ZSTD_DCtx_setParameter(zstd->context, ZSTD_d_windowLogMax,
                                                              TRESOR__DECODE_WINDOW_LOG_MAX))) {
        zstd->next_bytes = ZSTD_FRAMEHEADERSIZE_MIN(ZSTD_f_zstd1);
        return zstd;
    }
    close_stream(zstd);
    return NULL;
}

static int32_t code_of(size_t result)
{
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_memory_allocation:
        return TRESOR_ERROR_NO_MEMORY;
    case ZSTD_error_frameParameter_windowTooLarge:
        return TRESOR_ERROR_LIMIT;
    case ZSTD_error_dictionary_wrong:
        return TRESOR_ERROR_UNSUPPORTED;
    default:
        return TRESOR_ERROR_CORRUPT;
    }
}

static void run_stream(void *stream, struct tresor__codec_step *step)
{
    struct zstd *zstd = stream;
    size_t size = step->input_bytes < zstd->next_bytes ? (size_t)step->input_bytes : zstd->next_bytes;
    ZSTD_inBuffer in = {step->input, size, 0};
    ZSTD_outBuffer out = {step->output, (size_t)step->output_bytes, 0};
    size_t result = ZSTD_decompressStream(zstd->context, &out, &in);
    step->taken_bytes = in.pos;
    step->made_bytes = out.pos;
    if (ZSTD_isError(result)) {
        step->status = TRESOR__CODEC_FAILED;
        step->code = code_of(result);
        step->taken_bytes = 0;
        return;
    }
    step->status = result == 0 ? TRESOR__CODEC_END : TRESOR__CODEC_MORE;
    zstd->next_bytes = result == 0 ? ZSTD_FRAMEHEADERSIZE_MIN(ZSTD_f_zstd1) : result;
}

const struct tresor__codec tresor__codec_zstd = {open_stream, close_stream, run_stream};
