/* SPDX-License-Identifier: MIT */
/* Only the static part of the library's header has its own allocator; the shared library exports it all the same. */
#define LZ4F_STATIC_LINKING_ONLY
#include <lz4frame.h>

#include <tresor/error.h>

#include "format/decode_codec.h"

struct lz4 {
    const struct tresor_allocator *allocator;
    LZ4F_dctx *context;
    size_t next_bytes; /* of input, with which an error is told where it is */
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
    struct lz4 *lz4 = stream;
    LZ4F_freeDecompressionContext(lz4->context);
    tresor__free(lz4->allocator, lz4, sizeof *lz4);
}

static void *open_stream(const struct tresor_allocator *allocator)
{
    struct lz4 *lz4 = tresor__allocate(allocator, sizeof *lz4);
    if (!lz4)
        return NULL;
    LZ4F_CustomMem memory = {.customAlloc = allocate, .customFree = release, .opaqueState = (void *)(uintptr_t)allocator};
    *lz4 = (struct lz4){.allocator = allocator,
                        .context = LZ4F_createDecompressionContext_advanced(memory, LZ4F_VERSION),
                        .next_bytes = LZ4F_HEADER_SIZE_MIN};
    if (lz4->context)
        return lz4;
    tresor__free(allocator, lz4, sizeof *lz4);
    return NULL;
}

static void run_stream(void *stream, struct tresor__codec_step *step)
{
    struct lz4 *lz4 = stream;
    size_t in = step->input_bytes < lz4->next_bytes ? (size_t)step->input_bytes : lz4->next_bytes;
    size_t out = (size_t)step->output_bytes;
    size_t result = LZ4F_decompress(lz4->context, step->output, &out, step->input, &in, NULL);
    if (LZ4F_isError(result)) {
        step->status = TRESOR__CODEC_FAILED;
        step->code = LZ4F_getErrorCode(result) == LZ4F_ERROR_allocation_failed ? TRESOR_ERROR_NO_MEMORY
                                                                               : TRESOR_ERROR_CORRUPT;
        return;
    }
    step->taken_bytes = in;
    step->made_bytes = out;
    step->status = result == 0 ? TRESOR__CODEC_END : TRESOR__CODEC_MORE;
    lz4->next_bytes = result == 0 ? LZ4F_HEADER_SIZE_MIN : result;
}

const struct tresor__codec tresor__codec_lz4 = {open_stream, close_stream, run_stream};
