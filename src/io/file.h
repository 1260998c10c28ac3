/* SPDX-License-Identifier: MIT */
/* What the strategy machines of one file share, and what they share with all files of a context. */
#ifndef TRESOR_IO_FILE_H
#define TRESOR_IO_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "core/facts.h"
#include "core/link.h"
#include "io/ledger.h"
#include "io/mlock/mlock.h"
#include "io/mmap/mapping.h"
#include "io/read/block.h"
#include "io/read/read.h"
#include "io/read/stage.h"
#include "io/swap/swap.h"

/** Limits and the blocks in flight, one a context. */
struct tresor__io {
    struct tresor__block *blocks;
    uint32_t block_count;
    uint32_t free_block; /* list through next_free, TRESOR_NONE at its end */
    uint32_t free_count; /* its length */
    uint32_t awaited;    /* enum tresor__urgency of the most urgent that await a block, 0 where
                            nobody does */
    struct tresor__stage *stages;
    uint32_t free_stage; /* list through next, TRESOR_NONE at its end */
    uint64_t stage_bytes; /* the most that one chunk holds */
    uint64_t page_bytes;
    uint64_t block_bytes;    /* the most that one read asks for */
    uint64_t populate_bytes; /* the most that one populate asks for */
    uint32_t ahead_max;      /* readaheads of a file under way, besides the populate; 0 where nothing runs beside it */
    uint64_t lock_bytes;     /* the most that one lock asks for */
    uint64_t spare_bytes_max; /* of evicted tensors' private pages that are kept */
    bool is_guarded;          /* faults in windows are contained */
    bool is_recorded;         /* a trace is written or repeated, which cannot tell what a decoder makes */
    bool evicts_cache;        /* the page cache shall forget what is unmapped */
    struct tresor__room room;
    bool awaits_stage_room; /* a stream's next stage has no memory yet, and finds no room for it */
    uint32_t swaps_awaiting_room;    /* whose next chunk finds no room */
    uint64_t awaited_scratch_bytes;  /* the most that one of them needs */
    uint32_t mark;          /* the last that was put on intervals */
    uint8_t direct;          /* enum tresor_direct, not DEFAULT */
};

/** Direct reads of a file. */
struct tresor__direct {
    struct tresor__direct_facts facts;
    bool is_open; /* there is a descriptor for them, and no read was refused */
    int32_t os_errno; /* why they were refused, or 0 */
};

/** With less than this at a time the system reads a file slower than its disk can, and that is told. */
#define TRESOR__READ_BYTES_MIN (UINT64_C(2) << 20)

/** What a file shall do when it next gets a turn. */
enum tresor__file_turn {
    TRESOR__TURN_MAPPING = 1,
    TRESOR__TURN_READ = 2,
    TRESOR__TURN_MLOCK = 4,
    TRESOR__TURN_NEWS = 8,
    TRESOR__TURN_CANCEL = 16, /* reads that nobody wants any more */
    TRESOR__TURN_SWAP = 32,
};

/** What a file does without, to be told once each. */
struct tresor__degraded {
    uint32_t told;    /* bits of enum tresor_degradation */
    uint32_t untold;
    int32_t os_errno; /* of the last */
    uint32_t next;    /* in the list of events */
    bool queued;
};

/** Pieces of a file some of whose pages were replaced by zeros, which is to be told. */
struct tresor__poisoned {
    uint32_t first; /* of a list through their next_poisoned, TRESOR_NONE: of none */
    uint32_t last;
    uint32_t next; /* in the list of events, if there are any */
};

/** The machines of one file over one ledger. The machines find the file by their place in it. */
struct tresor__file {
    struct tresor__mapping mapping;
    struct tresor__read read;
    struct tresor__mlock mlock;
    struct tresor__swap swap;
    struct tresor__ledger ledger;
    struct tresor__io *io;
    struct tresor__lock_facts lock_facts; /* of the last QUERY */
    struct tresor__direct direct;
    struct tresor__degraded degraded;
    struct tresor__poisoned poisoned;
    uint16_t source;
    uint32_t index;             /* in its source */
    uint32_t turns;             /* enum tresor__file_turn */
    struct tresor__link turn;   /* in the controller's list of turns */
    struct tresor__link hungry; /* in its list of those that await a free block */
    struct tresor__link roomless; /* in its list of those that await room */
    struct tresor__link swapless; /* in its list of those that await room for a chunk that moves */
};

void tresor__file_init(struct tresor__file *file, struct tresor__io *io, uint16_t source,
                       uint32_t index);

/** True while a machine of the file has work in flight or to do. */
bool tresor__file_busy(const struct tresor__file *file);

#define TRESOR__FILE_OF(machine, member)                                                           \
    ((struct tresor__file *)(void *)((char *)(uintptr_t)(machine)-offsetof(struct tresor__file,    \
                                                                           member)))

/** All blocks are free. */
void tresor__io_free_blocks(struct tresor__io *io);

/** Whether a block is free for work of that urgency: nobody more urgent awaits one, and lookahead
 * leaves a quarter of all, but not an only one, to others. */
bool tresor__io_has_block(const struct tresor__io *io, enum tresor__urgency urgency);

/** How a block that lies aligned in memory and in the file is read. */
struct tresor__block_route tresor__file_route(const struct tresor__file *file);

/** How urgent it is that the file's reads get a block: as its ledger says, and a swap's are as urgent as a plain load's. */
enum tresor__urgency tresor__file_urgency(const struct tresor__file *file);

/** A free block, or TRESOR_NONE. */
uint32_t tresor__io_take_block(struct tresor__io *io);
void tresor__io_give_block(struct tresor__io *io, uint32_t block);
/** How many bytes a file may be decoded to beside what is there and what was admitted. Pure. */
uint64_t tresor__io_room_to_hold(const struct tresor__io *io);
/** Whether a stage is free, and its memory there or finding room. Pure. */
bool tresor__io_has_stage(const struct tresor__io *io);
/** Take the free stage that there is. */
uint32_t tresor__io_take_stage(struct tresor__io *io);
void tresor__io_give_stage(struct tresor__io *io, uint32_t stage);

/** Spare pages go where none may be kept any more, for a budget has come since they were taken up. */
void tresor__file_drop_spares(struct tresor__file *file);

/** Its scratch is about to be given back with its window: only its charge stays in the room, as many bytes. */
uint64_t tresor__file_leave_scratch(struct tresor__file *file);

/** Bytes of memory that a stage takes: its chunk, and what a direct read adds at either end. */
static inline uint64_t tresor__io_stage_room(const struct tresor__io *io)
{
    return io->stage_bytes + 2 * io->page_bytes;
}

/** The failure of an effect, by what the kernel said. */
struct tresor__failure tresor__failure_of(int32_t default_code, int32_t os_errno, uint64_t offset,
                                          uint64_t wanted, uint64_t got);

/** Ask for `effect` on [start, start + length) of the file's window, for the file's own machine. */
void tresor__file_ask(const struct tresor__file *file, struct tresor__outbox *out,
                      struct tresor__effect effect, uint64_t start, uint64_t length);

/** The failure of mapping or unmapping an extent. */
struct tresor__failure tresor__file_map_failure(const struct tresor__file *file,
                                                struct tresor__extent extent, int32_t os_errno);

#endif
