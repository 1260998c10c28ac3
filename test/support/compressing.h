/* SPDX-License-Identifier: MIT */
/* Compressed files for tests, of every kind that the build can decode, good ones and such as nobody's tool writes. */
#ifndef TEST_SUPPORT_COMPRESSING_H
#define TEST_SUPPORT_COMPRESSING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/decode.h"
#include "support/bytes.h"

/** Append one frame (a gzip member) with a checksum of its content. False where the build has not got the library. */
bool compress_frame(struct bytes *bytes, uint32_t compression, const void *data, size_t size);

/** Append a frame that zstd and LZ4 skip. */
void compress_skippable(struct bytes *bytes, uint32_t number, size_t size);

/** Append a zstd file of frames of `frame_bytes` each with the seek table at its end, or nothing and false. */
bool compress_seekable(struct bytes *bytes, const void *data, size_t size, size_t frame_bytes);

/** Append a zstd frame whose header asks for a window of 2 to that power, or nothing and false. */
bool compress_with_window(struct bytes *bytes, int window_log, const void *data, size_t size);

/** Half noise and half text, of a seed. */
void compress_sample(uint8_t *data, size_t size, uint64_t seed);

#endif
