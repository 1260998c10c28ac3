/* SPDX-License-Identifier: MIT */
/* The two machines of one piece, a tensor or a slice of one, and the requests that wait for it. */
#ifndef TRESOR_TENSOR_PIECE_H
#define TRESOR_TENSOR_PIECE_H

#include <stddef.h>

#include "core/fsm.h"
#include "io/ledger.h"
#include "tensor/plan_uses.h"
#include "tensor/policy.h"

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
    bool is_asked;        /* `backing` is what a request asked for, not the default */
    bool asks_room;       /* its next load is to be admitted by the budget */
    bool is_poisoned;     /* some of its bytes were lost since it was loaded */
    uint8_t looked;       /* enum tresor__look, COMPARE and FINITE: what its bytes have passed since they came */
    uint8_t looking;      /* what the look under way may add to that; not what it sees beside a swap */
    int32_t failure_code; /* of the eviction under way */
};

/** The value of a LOAD or SWAP input: how the tensor shall be filled, whether a request asked for just that, how soon, and
 * whether room is to be asked for. */
static inline int64_t tresor__load_value(enum tresor__backing backing, bool is_asked,
                                         enum tresor__urgency urgency, bool asks_room)
{
    return (int64_t)is_asked << 17 | (int64_t)asks_room << 16 | (int64_t)urgency << 8 | (int64_t)backing;
}

static inline bool tresor__load_is_asked(int64_t value)
{
    return value >> 17 & 1;
}

static inline bool tresor__load_asks_room(int64_t value)
{
    return value >> 16 & 1;
}

static inline uint8_t tresor__load_backing(int64_t value)
{
    return (uint8_t)(value & 0xff);
}

static inline uint8_t tresor__load_urgency(int64_t value)
{
    return (uint8_t)(value >> 8 & 0xff);
}

/** Whether all its bytes are in memory, and may be acquired. */
static inline bool tresor__tensor_is_there(const struct tresor__tensor *tensor)
{
    return tensor->state == TENSOR_RESIDENT || tensor->state == TENSOR_HELD ||
           tensor->state == TENSOR_SWAPPING || tensor->state == TENSOR_STOPPING;
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
    TRESOR__WAIT_PATIENT, /* the same as EVICT, but for the end of the tensor's users too */
    TRESOR__WAIT_SWAP_MMAP,
    TRESOR__WAIT_SWAP_READ,
    TRESOR__WAIT_LOOK, /* at what is resident */
    TRESOR__WAIT_COUNT
};

/** What waits for a swap to that backing; each direction has waits of its own, and its turn. */
static inline enum tresor__wait tresor__swap_wait(uint32_t backing)
{
    return backing == TRESOR__BACKING_ANONYMOUS ? TRESOR__WAIT_SWAP_READ : TRESOR__WAIT_SWAP_MMAP;
}

/** A place in the list of those that await room; an identifier is a source and a piece of it. */
struct tresor__room_link {
    uint64_t next; /* TRESOR__NOBODY at the end */
    uint64_t previous;
    bool queued;
    uint8_t urgency;
};

#define TRESOR__NOBODY UINT64_MAX

/** Looks that a LOAD can want. */
enum {
    TRESOR__LOAD_COMPARES = 0,
    TRESOR__LOAD_SEARCHES = 1, /* for what is not finite */
    TRESOR__LOAD_LOOKS = 2,
};

struct tresor__piece {
    struct tresor__tensor tensor;
    struct tresor__lock lock;
    uint32_t index; /* in its source: a tensor's is the tensor's own */
    uint32_t file;
    uint64_t offset_bytes;
    uint64_t size_bytes;
    uint32_t first_wait; /* list of waiting (request, tensor) pairs, TRESOR_NONE at its end */
    uint32_t last_wait;
    uint32_t waits[TRESOR__WAIT_COUNT]; /* how many of each kind */
    uint32_t load_looks[TRESOR__LOAD_LOOKS]; /* how many of those that wait for its load want each */
    uint64_t digest_high; /* that was promised */
    uint64_t digest_low;
    uint64_t next_look;   /* in the list of those to be looked at */
    uint32_t look;        /* the digest that looks at it, or TRESOR_NONE */
    bool has_digest;
    bool is_look_due;     /* it is in that list */
    bool is_look_held;    /* a pin of the controller's own keeps it while it is looked at */
    uint32_t serial;     /* of the last LOAD that found it resident, or made it so */
    uint32_t rank;       /* its place in its source's ranking; TRESOR_NONE: in none */
    uint32_t plan_entry; /* its next place in the plan that names it; TRESOR_NONE: none any more */
    uint16_t uses_seen;  /* of its uses, the lowest bits of their number */
    uint32_t kept_round; /* the budget's round in which it was found in use */
    uint8_t plan;        /* that names it, from 1 on; 0: none */
    bool is_yielding;    /* the budget has asked for it, and awaits the answer */
    bool is_kept;        /* its plan would have it stay */
    bool is_prefetched;  /* it was loaded ahead of its use, and has not been used since */
    struct tresor__use use;
    struct tresor__plan_uses plan_uses;
    struct tresor__room_link room;
    uint32_t next_poisoned;  /* in its file's list of those that are to be told of */
    bool is_to_be_told;      /* it is in there */
    int32_t poison_code;     /* why bytes of it were lost */
    uint64_t poison_offset;  /* the first of them in the file */
    uint64_t poisoned_bytes; /* how many */
};

/** What those who wait for its load want to be seen, and was not yet: COMPARE and FINITE of enum tresor__look. */
static inline uint8_t tresor__piece_looks_left(const struct tresor__piece *piece)
{
    uint32_t wanted = (piece->load_looks[TRESOR__LOAD_COMPARES] > 0 ? TRESOR__LOOK_COMPARE : 0u) |
                      (piece->load_looks[TRESOR__LOAD_SEARCHES] > 0 ? TRESOR__LOOK_FINITE : 0u);
    return (uint8_t)(wanted & ~(uint32_t)piece->tensor.looked);
}

extern const struct tresor__machine tresor__tensor_machine;
extern const struct tresor__machine tresor__lock_machine;

#endif
