/* SPDX-License-Identifier: MIT */
/* What a format brings to decode.c: its library's stream, one frame after the other. */
#ifndef TRESOR_FORMAT_DECODE_CODEC_H
#define TRESOR_FORMAT_DECODE_CODEC_H

#include "format/decode.h"

enum tresor__codec_status {
    TRESOR__CODEC_MORE = 0,   /* in the middle of a frame */
    TRESOR__CODEC_END = 1,    /* a frame has ended, all of it is out */
    TRESOR__CODEC_FAILED = 2, /* `code` says why */
};

/** One call of the library. */
struct tresor__codec_step {
    const uint8_t *input;
    uint64_t input_bytes;
    uint8_t *output;
    uint64_t output_bytes;
    uint64_t taken_bytes;
    uint64_t made_bytes;
    uint32_t status; /* enum tresor__codec_status */
    int32_t code; /* LIMIT: of the window */
};

struct tresor__codec {
    /** NULL where there is no memory. The allocator lives longer than the stream. */
    void *(*open)(const struct tresor_allocator *allocator);
    void (*close)(void *stream);
    void (*run)(void *stream, struct tresor__codec_step *step);
};

extern const struct tresor__codec tresor__codec_zstd;
extern const struct tresor__codec tresor__codec_gzip;
extern const struct tresor__codec tresor__codec_lz4;

/** Blocks that know their size, for libraries that free without one: `opaque` is a struct tresor_allocator. */
void *tresor__codec_allocate(void *opaque, uint64_t size_bytes);
void tresor__codec_free(void *opaque, void *block);

#endif
