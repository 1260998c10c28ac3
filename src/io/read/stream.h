/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_IO_READ_STREAM_H
#define TRESOR_IO_READ_STREAM_H

#include "core/fsm.h"
#include "core/link.h"
#include "io/ledger.h"

#define TRESOR__DEF "io/read/stream.def"
#define TRESOR__S(name) STREAM_##name
#define TRESOR__E(name) STREAM_ON_##name
#include "core/fsm_enum.h"

struct tresor__io;
struct tresor__file;

/** One a request; only STREAM requests use it. */
struct tresor__stream {
    uint8_t state;
    uint8_t urgency; /* enum tresor__urgency */
    bool is_cancelled;
    bool is_stopped; /* a chunk of the tensor in hand failed */
    uint16_t source;
    uint32_t index; /* its own: the request's slot */
    uint32_t blocks_running;
    uint32_t first_stage; /* its chunks that are not delivered, in order */
    uint32_t last_stage;
    uint32_t failed_pair; /* chunks of it are dropped */
    struct tresor__failure failure;
    struct tresor__io *io;
    struct tresor__link turn;
    struct tresor__link hungry;
    struct tresor__link stageless;

    /* The tensor, or slice of one, in hand. */
    uint32_t pair;
    uint32_t piece;
    uint32_t tensor;
    uint64_t before; /* bytes of the tensor before the slice */
    const struct tresor__file *of;
    uint64_t offset; /* in the file */
    uint64_t length;
    uint64_t started; /* bytes handed to blocks */
};

extern const struct tresor__machine tresor__stream_machine;

#endif
