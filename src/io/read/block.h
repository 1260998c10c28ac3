/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_IO_READ_BLOCK_H
#define TRESOR_IO_READ_BLOCK_H

#include "core/fsm.h"
#include "io/ledger.h"

#define TRESOR__DEF "io/read/block.def"
#define TRESOR__S(name) BLOCK_##name
#define TRESOR__E(name) BLOCK_ON_##name
#include "core/fsm_enum.h"

enum tresor__way {
    TRESOR__WAY_BUFFERED = 0, /* through the page cache */
    TRESOR__WAY_DIRECT = 1,   /* past it, in place */
    TRESOR__WAY_BOUNCE = 2,   /* past it, through memory of the actor's */
};

/** How a block is read. */
struct tresor__block_route {
    uint8_t way;              /* enum tresor__way */
    bool probes;              /* what the page cache holds is copied first */
    bool forgets;             /* the page cache shall not keep what is read through it */
    bool populates;           /* its memory is made before a read is submitted to it */
    uint32_t alignment_bytes; /* of direct reads, in memory and in the file */
};

/** One a context for every read that may be in flight; a job takes it, and gives it back when it
 * has ended. */
struct tresor__block {
    uint8_t state;
    bool is_cancelled;
    uint8_t space; /* enum tresor__space: WINDOW for the read job, CALLER for a copy, STAGE for a stream */
    uint16_t source;
    uint32_t index; /* its own */
    uint32_t job;   /* slot of the job: the file's index, the copy's or the stream's */
    uint32_t file;
    uint32_t interval; /* the first that it is in, for the ledger */
    uint32_t stage;    /* that it reads into, of a stream */
    uint32_t retries;  /* since the last byte arrived */
    uint32_t next_free;
    uint64_t place;  /* in its space */
    uint64_t offset; /* in the file */
    uint64_t length;
    uint64_t done;
    struct tresor__block_route route;
    struct tresor__failure failure;
};

extern const struct tresor__machine tresor__block_machine;

#endif
