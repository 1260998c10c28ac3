/* SPDX-License-Identifier: MIT */
#include "support/compressing.h"

#include <stdlib.h>
#include <string.h>

#ifdef TRESOR__ZSTD
#include <zstd.h>
#endif
#ifdef TRESOR__ZLIB
#include <zlib.h>
#endif
#ifdef TRESOR__LZ4
#include <lz4frame.h>
#endif

#include "support/random.h"
#include "support/test.h"

#ifdef TRESOR__ZSTD
static void put_zstd(struct bytes *bytes, int window_log, const void *data, size_t size)
{
    size_t capacity = ZSTD_compressBound(size);
    void *frame = malloc(capacity);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    assert_true(frame && context);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    if (window_log > 0) {
        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
        ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    }
    /* As a stream of unknown length, for else the window is no larger than the content. */
    ZSTD_outBuffer out = {frame, capacity, 0};
    ZSTD_inBuffer in = {data, size, 0};
    if (window_log > 0)
        assert_int_equal(ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush), 0);
    assert_int_equal(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0);
    bytes_put(bytes, frame, out.pos);
    ZSTD_freeCCtx(context);
    free(frame);
}
#endif

#ifdef TRESOR__ZLIB
static void put_gzip(struct bytes *bytes, const void *data, size_t size)
{
    z_stream zlib = {0};
    assert_int_equal(deflateInit2(&zlib, Z_BEST_SPEED, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t capacity = deflateBound(&zlib, (uLong)size) + 64;
    uint8_t *member = malloc(capacity);
    assert_non_null(member);
    zlib.next_in = (Bytef *)(uintptr_t)data;
    zlib.avail_in = (uInt)size;
    zlib.next_out = member;
    zlib.avail_out = (uInt)capacity;
    assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
    bytes_put(bytes, member, capacity - zlib.avail_out);
    deflateEnd(&zlib);
    free(member);
}
#endif

#ifdef TRESOR__LZ4
static void put_lz4(struct bytes *bytes, const void *data, size_t size)
{
    LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    size_t capacity = LZ4F_compressFrameBound(size, &preferences);
    void *frame = malloc(capacity);
    assert_non_null(frame);
    size_t made = LZ4F_compressFrame(frame, capacity, data, size, &preferences);
    assert_false(LZ4F_isError(made));
    bytes_put(bytes, frame, made);
    free(frame);
}
#endif

bool compress_frame(struct bytes *bytes, uint32_t compression, const void *data, size_t size)
{
    (void)bytes;
    (void)data;
    (void)size;
    switch (compression) {
#ifdef TRESOR__ZSTD
    case TRESOR_COMPRESSION_ZSTD:
        put_zstd(bytes, 0, data, size);
        return true;
#endif
#ifdef TRESOR__ZLIB
    case TRESOR_COMPRESSION_GZIP:
        put_gzip(bytes, data, size);
        return true;
#endif
#ifdef TRESOR__LZ4
    case TRESOR_COMPRESSION_LZ4:
        put_lz4(bytes, data, size);
        return true;
#endif
    default:
        return false;
    }
}

void compress_skippable(struct bytes *bytes, uint32_t number, size_t size)
{
    bytes_put_u32(bytes, 0x184D2A50 + number);
    bytes_put_u32(bytes, (uint32_t)size);
    bytes_put_zeros(bytes, size);
}

/* The table as zstd's contrib/seekable_format describes it: sizes of each frame, their count, no checksums, magic. */
bool compress_seekable(struct bytes *bytes, const void *data, size_t size, size_t frame_bytes)
{
    struct bytes table = {0};
    uint32_t count = 0;
    for (size_t at = 0; at < size; at += frame_bytes, count++) {
        size_t part = size - at < frame_bytes ? size - at : frame_bytes;
        size_t before = bytes->size;
        if (!compress_frame(bytes, TRESOR_COMPRESSION_ZSTD, (const uint8_t *)data + at, part))
            return false;
        bytes_put_u32(&table, (uint32_t)(bytes->size - before));
        bytes_put_u32(&table, (uint32_t)part);
    }
    bytes_put_u32(&table, count);
    bytes_put_u8(&table, 0);
    bytes_put_u32(&table, 0x8F92EAB1);
    bytes_put_u32(bytes, 0x184D2A5E);
    bytes_put_u32(bytes, (uint32_t)table.size);
    bytes_put(bytes, table.data, table.size);
    bytes_free(&table);
    return true;
}

bool compress_with_window(struct bytes *bytes, int window_log, const void *data, size_t size)
{
#ifdef TRESOR__ZSTD
    put_zstd(bytes, window_log, data, size);
    return true;
#else
    (void)bytes;
    (void)window_log;
    (void)data;
    (void)size;
    return false;
#endif
}

void compress_sample(uint8_t *data, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++)
        data[i] = i / 256 % 2 ? (uint8_t)random_next(&seed) : (uint8_t)("tensor residency"[i % 16]);
}
