/* SPDX-License-Identifier: MIT */
#include "format/decode.h"

#include <assert.h>
#include <stdalign.h>
#include <stddef.h>
#include <string.h>

#include <tresor/error.h>

#include "format/decode_codec.h"
#include "format/little_endian.h"

struct tresor__decoder {
    struct tresor_allocator allocator;
    const struct tresor__codec *codec;
    void *stream;
    uint64_t limit_bytes;
    uint64_t taken_bytes;
    uint64_t made_bytes;
    bool is_inside; /* a frame has begun and not ended */
    int32_t code;   /* why it has failed; nothing more is decoded then */
    uint64_t wanted;
    uint64_t got;
};

/* --- which --- */

enum {
    MAGIC_BYTES = 4,
    SKIPPABLE_HEADER_BYTES = 8,
};

static uint32_t sniff_frame(const uint8_t *bytes, uint64_t have_bytes)
{
    if (have_bytes >= 3 && bytes[0] == 0x1f && bytes[1] == 0x8b && bytes[2] == 8)
        return TRESOR_COMPRESSION_GZIP;
    if (have_bytes < MAGIC_BYTES)
        return TRESOR_COMPRESSION_NONE;
    switch (tresor__load_u32(bytes)) {
    case 0xFD2FB528:
        return TRESOR_COMPRESSION_ZSTD;
    case 0x184D2204:
        return TRESOR_COMPRESSION_LZ4;
    default:
        return TRESOR_COMPRESSION_NONE;
    }
}

/* zstd and LZ4 have these in common. */
static bool is_skippable(const uint8_t *bytes, uint64_t have_bytes)
{
    return have_bytes >= SKIPPABLE_HEADER_BYTES && (tresor__load_u32(bytes) & 0xFFFFFFF0) == 0x184D2A50;
}

uint32_t tresor__compression_sniff(const uint8_t *bytes, uint64_t have_bytes)
{
    uint64_t at = 0;
    while (at < have_bytes && is_skippable(bytes + at, have_bytes - at))
        at += SKIPPABLE_HEADER_BYTES + (uint64_t)tresor__load_u32(bytes + at + MAGIC_BYTES);
    if (at == 0)
        return sniff_frame(bytes, have_bytes);
    uint32_t found = at < have_bytes ? sniff_frame(bytes + at, have_bytes - at) : TRESOR_COMPRESSION_NONE;
    return found == TRESOR_COMPRESSION_LZ4 ? found : TRESOR_COMPRESSION_ZSTD;
}

static const struct tresor__codec *codec_of(uint32_t compression)
{
    switch (compression) {
#ifdef TRESOR__ZSTD
    case TRESOR_COMPRESSION_ZSTD:
        return &tresor__codec_zstd;
#endif
#ifdef TRESOR__ZLIB
    case TRESOR_COMPRESSION_GZIP:
        return &tresor__codec_gzip;
#endif
#ifdef TRESOR__LZ4
    case TRESOR_COMPRESSION_LZ4:
        return &tresor__codec_lz4;
#endif
    default:
        return NULL;
    }
}

bool tresor__compression_is_built(uint32_t compression)
{
    return codec_of(compression) != NULL;
}

uint64_t tresor__decoded_limit(uint64_t compressed_bytes, uint64_t decoded_max_bytes, uint64_t ratio_max)
{
    if (compressed_bytes > 0 && ratio_max > decoded_max_bytes / compressed_bytes)
        return decoded_max_bytes;
    return compressed_bytes * ratio_max;
}

/* --- memory --- */

/* As much as keeps what follows it aligned for anything. */
union block_head {
    uint64_t size_bytes;
    max_align_t alignment;
};

void *tresor__codec_allocate(void *opaque, uint64_t size_bytes)
{
    const struct tresor_allocator *allocator = opaque;
    /* Not zeroed: windows are large, and who never reaches their end need not have the pages. */
    union block_head *head = allocator->reallocate(allocator->cookie, NULL, 0, (size_t)size_bytes + sizeof *head);
    if (!head)
        return NULL;
    head->size_bytes = size_bytes + sizeof *head;
    return head + 1;
}

void tresor__codec_free(void *opaque, void *block)
{
    union block_head *head = block;
    if (head)
        tresor__free(opaque, head - 1, (size_t)head[-1].size_bytes);
}

int32_t tresor__decoder_open(struct tresor__decoder **decoder, const struct tresor_allocator *allocator,
                             uint32_t compression, uint64_t limit_bytes)
{
    const struct tresor__codec *codec = codec_of(compression);
    *decoder = NULL;
    if (!codec)
        return TRESOR_ERROR_UNSUPPORTED;
    struct tresor__decoder *made = tresor__allocate(allocator, sizeof *made);
    if (!made)
        return TRESOR_ERROR_NO_MEMORY;
    *made = (struct tresor__decoder){.allocator = *allocator, .codec = codec, .limit_bytes = limit_bytes};
    made->stream = codec->open(&made->allocator);
    if (!made->stream) {
        tresor__free(allocator, made, sizeof *made);
        return TRESOR_ERROR_NO_MEMORY;
    }
    *decoder = made;
    return TRESOR_OK;
}

void tresor__decoder_close(struct tresor__decoder *decoder)
{
    if (!decoder)
        return;
    struct tresor_allocator allocator = decoder->allocator;
    decoder->codec->close(decoder->stream);
    tresor__free(&allocator, decoder, sizeof *decoder);
}

uint64_t tresor__decoder_taken(const struct tresor__decoder *decoder)
{
    return decoder->taken_bytes;
}

uint64_t tresor__decoder_made(const struct tresor__decoder *decoder)
{
    return decoder->made_bytes;
}

/* --- decoding --- */

static uint32_t fail(struct tresor__decoder *decoder, int32_t code, uint64_t wanted, uint64_t got)
{
    decoder->code = code;
    decoder->wanted = wanted;
    decoder->got = got;
    return TRESOR__DECODE_FAILED;
}

/* What is left to decode into; none at the limit too. */
static uint64_t room_of(const struct tresor__decoder *decoder, const struct tresor__decode_step *step)
{
    uint64_t allowed = decoder->limit_bytes - decoder->made_bytes;
    uint64_t room = step->output_bytes - step->made_bytes;
    return room < allowed ? room : allowed;
}

/* One call of the library, which may end a frame. False where it has failed. */
static bool run_once(struct tresor__decoder *decoder, struct tresor__decode_step *step,
                     struct tresor__codec_step *call)
{
    decoder->codec->run(decoder->stream, call);
    assert(call->taken_bytes <= call->input_bytes && call->made_bytes <= call->output_bytes);
    step->taken_bytes += call->taken_bytes;
    decoder->taken_bytes += call->taken_bytes;
    if (call->status == TRESOR__CODEC_FAILED) {
        bool is_limit = call->code == TRESOR_ERROR_LIMIT;
        uint64_t limit = is_limit ? UINT64_C(1) << TRESOR__DECODE_WINDOW_LOG_MAX : 0;
        step->status = fail(decoder, call->code, is_limit ? limit + 1 : 0, limit);
        return false;
    }
    if (call->taken_bytes > 0)
        decoder->is_inside = true;
    if (call->status == TRESOR__CODEC_END)
        decoder->is_inside = false;
    return true;
}

/* A library that takes nothing of what it is given, and has room, never will. */
static uint32_t judge_standstill(struct tresor__decoder *decoder, const struct tresor__decode_step *step)
{
    if (step->taken_bytes < step->input_bytes)
        return fail(decoder, TRESOR_ERROR_CORRUPT, 0, 0);
    return step->is_last ? fail(decoder, TRESOR_ERROR_TRUNCATED, 0, 0) : TRESOR__DECODE_NEEDS_INPUT;
}

/*
 * One call and what it means; false where the step ends. At the limit there is room for one byte more, which nobody gets:
 * only by coming does it tell that there is more than may be.
 */
static bool go_on(struct tresor__decoder *decoder, struct tresor__decode_step *step)
{
    uint8_t beyond;
    bool is_at_limit = decoder->made_bytes == decoder->limit_bytes;
    uint64_t room = room_of(decoder, step);
    uint64_t left = step->input_bytes - step->taken_bytes;
    if (!decoder->is_inside && left == 0) {
        step->status = step->is_last ? TRESOR__DECODE_DONE : TRESOR__DECODE_NEEDS_INPUT;
        return false;
    }
    if (room == 0 && !is_at_limit) {
        step->status = TRESOR__DECODE_NEEDS_ROOM;
        return false;
    }
    struct tresor__codec_step call = {
        .input = left > 0 ? step->input + step->taken_bytes : &beyond,
        .input_bytes = left,
        .output = is_at_limit ? &beyond : step->output + step->made_bytes,
        .output_bytes = is_at_limit ? 1 : room,
    };
    if (!run_once(decoder, step, &call))
        return false;
    if (is_at_limit && call.made_bytes > 0) {
        step->status = fail(decoder, TRESOR_ERROR_LIMIT, decoder->limit_bytes + 1, decoder->limit_bytes);
        return false;
    }
    step->made_bytes += call.made_bytes;
    decoder->made_bytes += call.made_bytes;
    if (call.taken_bytes > 0 || call.made_bytes > 0 || call.status == TRESOR__CODEC_END)
        return true;
    step->status = judge_standstill(decoder, step);
    return false;
}

void tresor__decoder_run(struct tresor__decoder *decoder, struct tresor__decode_step *step)
{
    step->taken_bytes = 0;
    step->made_bytes = 0;
    step->status = TRESOR__DECODE_FAILED;
    while (decoder->code == TRESOR_OK && go_on(decoder, step))
        continue;
    step->code = decoder->code;
    step->offset = decoder->taken_bytes;
    step->wanted = decoder->wanted;
    step->got = decoder->got;
}
