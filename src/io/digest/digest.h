/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_IO_DIGEST_H
#define TRESOR_IO_DIGEST_H

#include "core/facts.h"
#include "core/fsm.h"
#include "io/ledger.h"

#define TRESOR__DEF "io/digest/digest.def"
#define TRESOR__S(name) DIGEST_##name
#define TRESOR__E(name) DIGEST_ON_##name
#include "core/fsm_enum.h"

struct tresor__file;

/** One of few that a context has. What it looks at is set before it starts. */
struct tresor__digest {
    uint8_t state;
    uint8_t looks; /* enum tresor__look: SUM, COMPARE with SUM, FINITE */
    bool is_cancelled;
    uint16_t source;
    uint32_t index; /* its own slot */
    uint32_t next;  /* in the list of idle ones */
    uint32_t piece;
    uint32_t file;
    const struct tresor__file *of;
    uint64_t offset; /* of the tensor in its file */
    uint64_t length;
    uint64_t done;   /* bytes that were seen, */
    uint64_t asked;  /* and that are looked at now */
    uint64_t wanted_high; /* COMPARE: the digest that was promised */
    uint64_t wanted_low;
    struct tresor__failure failure;
    struct tresor__digest_record record;
};

extern const struct tresor__machine tresor__digest_machine;

#endif
