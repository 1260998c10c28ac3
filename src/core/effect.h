/* SPDX-License-Identifier: MIT */
/* What machines ask (effects) and are told (inputs), as plain data. */
#ifndef TRESOR_CORE_EFFECT_H
#define TRESOR_CORE_EFFECT_H

#include <stdbool.h>
#include <stdint.h>

struct tresor__nodes;
struct tresor__origin;

enum tresor__effect_kind {
#define EFFECT(name, text) TRESOR__EFFECT_##name,
#include "core/effects.def"
#undef EFFECT
    TRESOR__EFFECT_COUNT
};

enum tresor__machine_id {
#define MACHINE(NAME, name, text) TRESOR__MACHINE_##NAME,
#include "core/machines.def"
#undef MACHINE
    TRESOR__MACHINE_COUNT
};

/** Where the bytes of an effect are. Addresses are filled in by the composition root, so machines
 * hold none. */
enum tresor__space {
    TRESOR__SPACE_NONE = 0,
    TRESOR__SPACE_WINDOW = 1, /* the file's window, at the file's own offset */
    TRESOR__SPACE_HEADER = 2, /* the header's memory, at the file's own offset */
    TRESOR__SPACE_CALLER = 3, /* the caller's memory of a COPY request, at `place` */
    TRESOR__SPACE_STAGE = 4,  /* the stage of a STREAM request's chunk, at `place` */
    TRESOR__SPACE_HELD = 6,   /* the window of a compressed file, beside what may be guarded */
    TRESOR__SPACE_SCRATCH = 5, /* behind the window, for pages on their way into it, at `place` */
};

/** Flags of SEAL, MAP, UNMAP, REPLACE, RESERVE, POPULATE, READ and CLOSE. */
enum tresor__effect_flag {
    TRESOR__MAP_FILE = 1,         /* shared pages of the file, read-only */
    TRESOR__MAP_ANONYMOUS = 2,    /* private zero pages, writable */
    TRESOR__RESERVE_WRITABLE = 4, /* usable at once, not only a range of addresses */
    TRESOR__POPULATE_WRITE = 8,   /* make anonymous pages, rather than read a file's */
    TRESOR__READ_DIRECT = 16,     /* past the page cache: place, offset and length are aligned. CLOSE: the
                                     descriptor of such reads */
    TRESOR__READ_CACHED = 32,     /* only what the page cache holds; memory for the rest is made */
    TRESOR__READ_BOUNCE = 64,     /* with DIRECT: through memory of the actor's, not aligned */
    TRESOR__SEAL_UNUSED = 2048,    /* SEAL: not if it was used since its last use that is known */
    TRESOR__UNMAP_EVICT = 256,    /* UNMAP, REPLACE: the page cache shall forget the file's pages too, */
    TRESOR__EVICT_BEFORE = 512,   /* and what else the huge page has in which the place begins, */
    TRESOR__EVICT_BEHIND = 1024,  /* or ends */
    TRESOR__READ_ALONE = 8192,    /* READ: the system reads nothing ahead of it */
    TRESOR__CACHE_SPARING = 16384, /* READ: the page cache shall forget what came from there; MAP: no more than usual is
                                      read ahead */
    TRESOR__MAP_SMALL = 4096,     /* MAP: no huge pages */
    TRESOR__MAP_SPARE = 128,      /* UNMAP: keep the pages, out of reach; MAP: take kept ones up again */
};

/** Kinds of WORK; the composition root knows the function of each. */
enum tresor__work {
    TRESOR__WORK_PARSE = 0,
    TRESOR__WORK_INDEX = 1,
    TRESOR__WORK_FREE = 2,
    TRESOR__WORK_DECODE = 3,
};

/** One effect. The part up to `length` is what a trace shows; the rest is resolved when it is
 * submitted. */
struct tresor__effect {
    uint8_t kind;      /* enum tresor__effect_kind */
    uint8_t machine;   /* who asks: enum tresor__machine_id */
    uint8_t on_ok;     /* the asking machine's event for success */
    uint8_t on_failed; /* and for failure */
    uint8_t space;     /* enum tresor__space */
    uint16_t flags;    /* enum tresor__effect_flag, tresor__work or tresor_advice */
    uint16_t source;
    uint32_t slot;   /* instance of the machine */
    uint32_t file;   /* index in its source */
    uint64_t place;  /* offset in the space, bytes */
    uint64_t offset; /* offset in the file, bytes */
    uint64_t length; /* bytes */

    int descriptor;
    bool is_cancelled; /* by a backend: READ: was asked to end early; CANCEL: has found its read */
    void *address;                   /* of `place` */
    void *target;                    /* MOVE, REPLACE: of `offset` in the window; READ, ADVISE: the same where the file is held */
    const char *path;                /* OPEN */
    const struct tresor__origin *origin; /* of the file; NULL: its path, the whole of it */
    int64_t (*work)(void *argument); /* WORK */
    void *record;                    /* STAT, QUERY and WATCH write here, WORK's argument, RESERVE's and RELEASE's guard */
    const struct tresor__nodes *nodes; /* MAP, POPULATE: where pages are put; NULL: anywhere */
};

/** The one answer to an effect. */
struct tresor__completion {
    uint8_t kind;
    uint8_t machine;
    uint8_t event;
    uint16_t flags; /* the effect's */
    uint16_t source;
    uint32_t slot;
    uint32_t file;
    int32_t os_errno; /* 0 or why it failed */
    int64_t value;
};

/** What a machine is told: a request, a completion or another machine's signal. */
struct tresor__input {
    uint32_t event;
    int32_t os_errno;
    int64_t value;
};

/** What one machine tells another, or its controller. The receiver knows its meaning by `kind`. */
struct tresor__message {
    uint8_t kind;    /* enum tresor__message_kind */
    uint8_t event;   /* of the receiving machine */
    uint8_t urgency; /* CLAIM, HASTEN: enum tresor__urgency */
    int32_t code;    /* enum tresor_error_code */
    uint32_t slot;
};

enum tresor__message_kind {
    TRESOR__MESSAGE_AGAIN, /* to oneself: there may be more to do */
    TRESOR__MESSAGE_LOOK,  /* to one's file: tell the ledger's news, give turns where there is work */
    TRESOR__MESSAGE_BLOCK_START, /* read, copy, stream -> block `slot` */
    TRESOR__MESSAGE_BLOCK_END,   /* block -> its job */
    TRESOR__MESSAGE_CANCEL_BLOCKS, /* copy, stream -> its blocks */
    TRESOR__MESSAGE_AWAIT_BLOCK, /* read, copy, stream: a turn when a block is free */
    TRESOR__MESSAGE_AWAIT_ROOM,  /* mapping, read, swap: a turn when what is wanted finds room */
    TRESOR__MESSAGE_AWAIT_STAGE, /* stream: a turn when a stage is free */
    TRESOR__MESSAGE_CHUNK,       /* stream -> event queue: stage `slot` */
    TRESOR__MESSAGE_NEXT,        /* stream -> its request: another tensor may come */
    TRESOR__MESSAGE_SETTLE_PAIR, /* stream: tensor of pair `slot` is delivered, or failed */
    TRESOR__MESSAGE_CLAIM,       /* tensor -> ledger: fill it, with backing `event` */
    TRESOR__MESSAGE_HASTEN,      /* tensor -> ledger: it is wanted sooner */
    TRESOR__MESSAGE_ASK_ROOM,      /* tensor -> budget: may it be claimed, as soon as its urgency says? */
    TRESOR__MESSAGE_WITHDRAW_ROOM, /* tensor -> budget: nobody waits any more */
    TRESOR__MESSAGE_KEPT,          /* tensor -> budget: it could not be sealed */
    TRESOR__MESSAGE_UNCLAIM,     /* tensor -> ledger: release it, and say when it is */
    TRESOR__MESSAGE_WITHDRAW,    /* tensor -> ledger: release it, nobody waits */
    TRESOR__MESSAGE_SWAP,        /* tensor -> ledger: move it to backing `event` */
    TRESOR__MESSAGE_STOP_SWAP,   /* tensor -> ledger: move it no further, and say when that is so */
    TRESOR__MESSAGE_OPEN_PINS,   /* tensor: it may be acquired */
    TRESOR__MESSAGE_POISONED,    /* tensor: bytes of it were lost, which is to be told */
    TRESOR__MESSAGE_HOLD,        /* tensor: it has users, whose end is awaited */
    TRESOR__MESSAGE_TELL_LOCK,   /* tensor -> its lock */
    TRESOR__MESSAGE_SETTLE_LOAD, /* tensor -> the requests that wait for it */
    TRESOR__MESSAGE_SETTLE_EVICT,
    TRESOR__MESSAGE_SETTLE_ADVISE,
    TRESOR__MESSAGE_SETTLE_SWAP, /* those to the backings of the bits in `event` */
    TRESOR__MESSAGE_LOCK_CLAIM, /* lock -> ledger */
    TRESOR__MESSAGE_LOCK_UNCLAIM,
    TRESOR__MESSAGE_LOCK_WITHDRAW,
    TRESOR__MESSAGE_SETTLE_LOCK, /* lock -> the requests that wait for it */
    TRESOR__MESSAGE_SETTLE_UNLOCK,
    TRESOR__MESSAGE_SETTLE_SOURCE,    /* source -> the request that opens or closes it */
    TRESOR__MESSAGE_SETTLE_REQUEST,   /* copy, check -> its request */
    TRESOR__MESSAGE_START,            /* request -> source, copy or check */
    TRESOR__MESSAGE_VISIT,            /* request -> its next tensors */
    TRESOR__MESSAGE_RETRY,            /* request -> tensors that have users */
    TRESOR__MESSAGE_WITHDRAW_REQUEST, /* request -> what it waits for */
    TRESOR__MESSAGE_END,              /* request -> event queue */
    TRESOR__MESSAGE_PRESSURE, /* watch -> controller: `event` (enum tresor_pressure_kind) has risen */
    TRESOR__MESSAGE_BLIND,    /* watch -> controller: it watches no more, for the errno `code` */
    TRESOR__MESSAGE_FAULT,    /* guard -> controller: `code` pages from `slot` on of its file were replaced by zeros;
                                 `event`: the file ends before them */
    TRESOR__MESSAGE_DEGRADED, /* file `slot` does without `event` (enum tresor_degradation), for the
                                 errno `code` */
};

enum {
    TRESOR__OUTBOX_EFFECTS = 4,
    TRESOR__OUTBOX_MESSAGES = 4,
};

/** What one step gives out; a machine that needs more sends itself AGAIN. */
struct tresor__outbox {
    uint32_t effect_count;
    uint32_t message_count;
    struct tresor__effect effects[TRESOR__OUTBOX_EFFECTS];
    struct tresor__message messages[TRESOR__OUTBOX_MESSAGES];
};

/** The effect's name, like "READ". */
const char *tresor__effect_name(uint32_t kind);

#endif
