/* SPDX-License-Identifier: MIT */
/* Memory for one chunk of a stream: read into, then held by the host, then free again. */
#ifndef TRESOR_IO_READ_STAGE_H
#define TRESOR_IO_READ_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "io/ledger.h"

enum tresor__stage_state {
    TRESOR__STAGE_FREE = 0,    /* in the list of free stages */
    TRESOR__STAGE_READING = 1, /* a block reads into it */
    TRESOR__STAGE_FULL = 2,    /* its bytes are there, others before it are not yet delivered */
    TRESOR__STAGE_FAILED = 3,  /* its bytes are not there */
    TRESOR__STAGE_QUEUED = 4,  /* its event waits to be taken */
    TRESOR__STAGE_OUT = 5,     /* the host has it */
};

/** One a context for every chunk that may be under way. */
struct tresor__stage {
    uint8_t state;
    bool is_charged; /* it was used once, so its memory is there */
    bool is_last; /* of its tensor's chunks, as many as there will be */
    uint32_t next; /* in the list of free stages, of its stream's chunks or of events */
    uint32_t pair; /* of its request and tensor */
    uint32_t stream;
    uint32_t piece;
    uint32_t tensor;
    uint16_t source;
    uint64_t request; /* handles and cookie for its event */
    uint64_t item;
    uint64_t cookie;
    uint64_t place;        /* of its first byte in the stage */
    uint64_t offset_bytes; /* of its first byte in the tensor */
    uint64_t length;
    struct tresor__failure failure;
};

#endif
