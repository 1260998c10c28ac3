/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_IO_READ_COPY_H
#define TRESOR_IO_READ_COPY_H

#include "core/fsm.h"
#include "core/link.h"
#include "io/ledger.h"

#define TRESOR__DEF "io/read/copy.def"
#define TRESOR__S(name) COPY_##name
#define TRESOR__E(name) COPY_ON_##name
#include "core/fsm_enum.h"

struct tresor__io;
struct tresor__file;

/** One a request; only COPY requests use it. */
struct tresor__copy {
    uint8_t state;
    uint8_t urgency; /* enum tresor__urgency */
    uint16_t source;
    uint32_t index; /* its own: the request's slot */
    uint32_t file;
    uint32_t tensor; /* for the request's error */
    uint32_t blocks_running;
    uint64_t offset; /* in the file */
    uint64_t length;
    uint64_t started; /* bytes handed to blocks */
    uint32_t misplaced_bytes; /* of the caller's memory, from the page it begins in */
    struct tresor__failure failure;
    struct tresor__io *io;
    const struct tresor__file *of; /* the file */
    struct tresor__link turn;
    struct tresor__link hungry;
};

extern const struct tresor__machine tresor__copy_machine;

#endif
