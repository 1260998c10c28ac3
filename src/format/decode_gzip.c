/* SPDX-License-Identifier: MIT */
#include <zlib.h>

#include <tresor/error.h>

#include "format/decode_codec.h"

enum {
    GZIP_ONLY = 16,
    STEP_BYTES = 1 << 30, /* the library counts in 32 bits */
};

struct gzip {
    const struct tresor_allocator *allocator;
    z_stream zlib;
    bool is_ended; /* a member is, and the next has to begin anew */
};

static void *allocate(void *opaque, uInt count, uInt size_bytes)
{
    return tresor__codec_allocate(opaque, (uint64_t)count * size_bytes);
}

static void *open_stream(const struct tresor_allocator *allocator)
{
    struct gzip *gzip = tresor__allocate(allocator, sizeof *gzip);
    if (!gzip)
        return NULL;
    gzip->allocator = allocator;
    gzip->zlib.zalloc = allocate;
    gzip->zlib.zfree = tresor__codec_free;
    gzip->zlib.opaque = (void *)(uintptr_t)allocator;
    if (inflateInit2(&gzip->zlib, GZIP_ONLY + MAX_WBITS) == Z_OK)
        return gzip;
    tresor__free(allocator, gzip, sizeof *gzip);
    return NULL;
}

static void close_stream(void *stream)
{
    struct gzip *gzip = stream;
    inflateEnd(&gzip->zlib);
    tresor__free(gzip->allocator, gzip, sizeof *gzip);
}

static uInt clamp(uint64_t bytes)
{
    return bytes < STEP_BYTES ? (uInt)bytes : (uInt)STEP_BYTES;
}

static void run_stream(void *stream, struct tresor__codec_step *step)
{
    struct gzip *gzip = stream;
    uInt in = clamp(step->input_bytes);
    uInt out = clamp(step->output_bytes);
    if (gzip->is_ended)
        inflateReset(&gzip->zlib);
    gzip->is_ended = false;
    /* It only reads them. */
    gzip->zlib.next_in = (Bytef *)(uintptr_t)step->input;
    gzip->zlib.avail_in = in;
    gzip->zlib.next_out = step->output;
    gzip->zlib.avail_out = out;
    int result = inflate(&gzip->zlib, Z_NO_FLUSH);
    step->taken_bytes = in - gzip->zlib.avail_in;
    step->made_bytes = out - gzip->zlib.avail_out;
    switch (result) {
    case Z_STREAM_END:
        gzip->is_ended = true;
        step->status = TRESOR__CODEC_END;
        return;
    case Z_OK:
    case Z_BUF_ERROR: /* neither input nor room was left for more */
        step->status = TRESOR__CODEC_MORE;
        return;
    default:
        step->status = TRESOR__CODEC_FAILED;
        step->code = result == Z_MEM_ERROR ? TRESOR_ERROR_NO_MEMORY : TRESOR_ERROR_CORRUPT;
    }
}

const struct tresor__codec tresor__codec_gzip = {open_stream, close_stream, run_stream};
