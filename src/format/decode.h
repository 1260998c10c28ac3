/* SPDX-License-Identifier: MIT */
/*
 * The one face of all decoders: compressed bytes in, decoded bytes out, a piece at a time. A decoder makes no system
 * call, keeps no pointer into what it is given, and takes its memory, which grows with the format's window and not with
 * the file, from one allocator. Frames and members that follow each other are one stream, and frames that are to be
 * skipped (the table of a seekable file, among others) are skipped; anything else behind a frame is damage.
 */
#ifndef TRESOR_FORMAT_DECODE_H
#define TRESOR_FORMAT_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include <tresor/source.h>

#include "core/allocator.h"

enum {
    TRESOR__DECODE_WINDOW_LOG_MAX = 27, /* zstd's, which with more has to be told; 128 MiB */
};

enum tresor__decode_status {
    TRESOR__DECODE_NEEDS_INPUT = 0, /* all input was taken */
    TRESOR__DECODE_NEEDS_ROOM = 1,  /* the output is full, and there may be more */
    TRESOR__DECODE_DONE = 2,        /* the last input ended where a frame ends */
    TRESOR__DECODE_FAILED = 3,      /* and fails from now on, in the same way */
};

/** One piece of work: what goes in, what comes out, and how far it went. */
struct tresor__decode_step {
    const uint8_t *input;
    uint64_t input_bytes;
    bool is_last; /* nothing follows this input */
    uint8_t *output;
    uint64_t output_bytes; /* room */

    uint64_t taken_bytes; /* of the input */
    uint64_t made_bytes;  /* of the output */
    uint32_t status;      /* enum tresor__decode_status */
    /*
     * With FAILED: `offset` is how many compressed bytes were good, to within a block of the format. TRUNCATED: a frame
     * is cut. CORRUPT: damage, a checksum that does not hold, or what is no frame. LIMIT: `wanted` is more than the limit
     * `got`: of decoded bytes, or of the format's window. UNSUPPORTED: a dictionary is asked for. NO_MEMORY.
     */
    int32_t code; /* enum tresor_error_code */
    uint64_t offset;
    uint64_t wanted;
    uint64_t got;
};

struct tresor__decoder;

/** Which enum tresor_compression a file has that begins with these bytes; leading skippable frames are looked through as far as they
 * reach, and are zstd's where nothing tells. */
uint32_t tresor__compression_sniff(const uint8_t *bytes, uint64_t have_bytes);

/** Whether this build can decode it. */
bool tresor__compression_is_built(uint32_t compression);

/**
 * How many bytes may come out of a file of `compressed_bytes`: at most `decoded_max_bytes`, and at most `ratio_max` bytes
 * for each of the file's. The ratio is the whole file's, for a model may well begin with zeros.
 */
uint64_t tresor__decoded_limit(uint64_t compressed_bytes, uint64_t decoded_max_bytes, uint64_t ratio_max);

/** A decoder that lets `limit_bytes` out. UNSUPPORTED where the build has none, or NO_MEMORY; these leave nothing. */
int32_t tresor__decoder_open(struct tresor__decoder **decoder, const struct tresor_allocator *allocator,
                             uint32_t compression, uint64_t limit_bytes);

/** Frees it; NULL is allowed. */
void tresor__decoder_close(struct tresor__decoder *decoder);

/** Decode until the input is taken, the room is full, or it is done or has failed. A step without input or without room is
 * allowed. */
void tresor__decoder_run(struct tresor__decoder *decoder, struct tresor__decode_step *step);

/** How many bytes went in and came out so far. */
uint64_t tresor__decoder_taken(const struct tresor__decoder *decoder);
uint64_t tresor__decoder_made(const struct tresor__decoder *decoder);

#endif
