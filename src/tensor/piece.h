/* SPDX-License-Identifier: MIT */
/* The two machines of one tensor and the requests that wait for it. */
#ifndef TRESOR_TENSOR_PIECE_H
#define TRESOR_TENSOR_PIECE_H

#include <stddef.h>

#include "core/fsm.h"
#include "io/ledger.h"

#define TRESOR__DEF "tensor/tensor.def"
#define TRESOR__S(name) TENSOR_##name
#define TRESOR__E(name) TENSOR_ON_##name
#include "core/fsm_enum.h"

#define TRESOR__DEF "tensor/lock.def"
#define TRESOR__S(name) LOCK_##name
#define TRESOR__E(name) LOCK_ON_##name
#include "core/fsm_enum.h"

struct tresor__tensor {
    uint8_t state;
    uint8_t backing; /* enum tresor__backing that its next load shall use */
    uint16_t source;
    uint8_t side;         /* enum tresor__backing that its swap goes to, or will when it has been loaded */
    uint8_t urgency;      /* enum tresor__urgency, the highest that its load was asked for with */
    int32_t failure_code; /* of the eviction under way */
};

/** The value of a LOAD or SWAP input: how the tensor shall be filled, and how soon. */
static inline int64_t tresor__load_value(enum tresor__backing backing,
                                         enum tresor__urgency urgency)
{
    return (int64_t)urgency << 8 | (int64_t)backing;
}

static inline uint8_t tresor__load_backing(int64_t value)
{
    return (uint8_t)(value & 0xff);
}

static inline uint8_t tresor__load_urgency(int64_t value)
{
    return (uint8_t)(value >> 8 & 0xff);
}

struct tresor__lock {
    uint8_t state;
    int32_t failure_code; /* of the unlocking under way */
};

/** What requests wait for. */
enum tresor__wait {
    TRESOR__WAIT_LOAD,
    TRESOR__WAIT_EVICT,
    TRESOR__WAIT_LOCK,
    TRESOR__WAIT_UNLOCK,
    TRESOR__WAIT_ADVISE,
    TRESOR__WAIT_STREAM,
    TRESOR__WAIT_SWAP_MMAP,
    TRESOR__WAIT_SWAP_READ,
    TRESOR__WAIT_COUNT
};

/** What waits for a swap to that backing; each direction has waits of its own, and its turn. */
static inline enum tresor__wait tresor__swap_wait(uint32_t backing)
{
    return backing == TRESOR__BACKING_ANONYMOUS ? TRESOR__WAIT_SWAP_READ : TRESOR__WAIT_SWAP_MMAP;
}

struct tresor__piece {
    struct tresor__tensor tensor;
    struct tresor__lock lock;
    uint32_t index; /* of the tensor in its source */
    uint32_t file;
    uint64_t offset_bytes;
    uint64_t size_bytes;
    uint32_t first_wait; /* list of waiting (request, tensor) pairs, TRESOR_NONE at its end */
    uint32_t last_wait;
    uint32_t waits[TRESOR__WAIT_COUNT]; /* how many of each kind */
};

extern const struct tresor__machine tresor__tensor_machine;
extern const struct tresor__machine tresor__lock_machine;

#endif
