/* SPDX-License-Identifier: MIT */
/*
 * A compressed file of a model: its bytes are decoded into its window when it is opened and stay there until it is closed.
 * The compressed bytes come through the header's memory, a piece at a time; pages are put into the window as they are needed.
 */
#ifndef TRESOR_SOURCE_HELD_H
#define TRESOR_SOURCE_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "format/decode.h"

enum {
    TRESOR__HELD_INPUT_BYTES = 1024 * 1024,    /* of compressed bytes, read at a time */
    TRESOR__HELD_PAGES_BYTES = 8 * 1024 * 1024, /* of pages, put into the window at a time */
    TRESOR__HELD_STEP_BYTES = 4 * 1024 * 1024,  /* of decoded bytes, made at a time, at the most */
};

struct tresor__held {
    uint32_t compression; /* enum tresor_compression; NONE: the file is read as it is */
    bool is_whole;        /* all is decoded */
    struct tresor__decoder *decoder;
    uint64_t limit_bytes;    /* that may come out */
    uint64_t reserved_bytes; /* of the window: as many as may come out, then as many pages as did */
    uint64_t mapped_bytes;   /* of it, from its start, that have pages */
    uint64_t made_bytes;     /* of these, that are decoded */
    uint64_t input_offset;   /* in the file, of what the header's memory begins with */
    uint64_t taken_bytes;    /* of what is in the header's memory */
    int32_t nodes_errno;     /* why its pages were not put on the memory nodes that were asked for, or 0 */
    uint32_t status;         /* enum tresor__decode_status of the last step */
};

#endif
