/* SPDX-License-Identifier: MIT */
/*
 * A small closed world: one model, a host that may ask for anything in its alphabet at any time, and a system in which
 * every effect succeeds, fails or comes late. What it remembers of pages, descriptors and the host is all in the arena.
 * Addresses are numbers only: no byte of a tensor exists, but the world knows of each eighth of a page whether what is
 * there is the file's.
 */
#ifndef TEST_EXPLORE_WORLD_H
#define TEST_EXPLORE_WORLD_H

#include "backend/backend.h"
#include "context.h"

enum {
    WORLD_PARTS = 4,
    WORLD_PAGES = 12, /* of a file */
    WORLD_EFFECTS = 24,
    WORLD_TENSORS = 6,
    WORLD_PIECES = 320,
    WORLD_REQUESTS = 4, /* live at a time */
    WORLD_CHUNKS = 4,
    WORLD_OPS = 24,
    WORLD_OUTCOMES = 12, /* of one effect */
    WORLD_DIGEST = 4711, /* either half, of every tensor */
};

/** What a host may do: one letter of its alphabet. */
enum op_kind {
    OP_END = 0, /* of the alphabet */
    OP_LOAD,
    OP_EVICT,
    OP_LOCK,
    OP_UNLOCK,
    OP_SWAP,
    OP_ADVISE,
    OP_COPY,
    OP_STREAM,
    OP_BUDGET,
    OP_PLAN,
    OP_SEEK,  /* of the plan that stands */
    OP_OPEN,
    OP_CLOSE,
    OP_SPLIT, /* every tensor into two slices */
    OP_WATCH,
    OP_UNWATCH,
    OP_CHECK,
    OP_UNGUARD,
    OP_PROMISE, /* a digest of every tensor */
    OP_DIGEST,
};

struct op {
    uint8_t kind;
    uint8_t pieces;   /* one bit each; 0: the source as a whole; LAST_PIECE */
    uint8_t strategy; /* enum tresor_strategy */
    uint8_t flags;    /* enum tresor_request_flag, or tresor_plan_flag */
    uint8_t urgency;  /* enum tresor_urgency */
    bool is_twice;    /* each item is named twice */
    uint8_t argument; /* BUDGET: half pages; COPY: enum copy_kind; SEEK: step; LOAD: 1 tells its progress */
};

enum { LAST_PIECE = 0x80 };

enum copy_kind {
    COPY_ALIGNED = 0, /* to memory that lies as the file does */
    COPY_ASTRAY = 1,  /* to memory that does not */
    COPY_NOTHING = 2, /* no bytes */
};

/** What may go wrong, or otherwise, beside that an effect is answered late. */
enum fault {
    FAULT_HARD = 1 << 0,        /* anything fails, for good */
    FAULT_INTERRUPTED = 1 << 1, /* EINTR */
    FAULT_SHORT = 1 << 2,       /* a read brings less */
    FAULT_END = 1 << 3,         /* a read finds the end of the file */
    FAULT_REFUSED = 1 << 4,     /* EINVAL: a direct read, a move, a replacing */
    FAULT_UNREACHABLE = 1 << 5, /* EFAULT: memory that is not there */
    FAULT_LIE = 1 << 6,         /* a read brings more than was asked for */
    FAULT_CACHE = 1 << 7,       /* the page cache has nothing of it, or a part; a map is read slowly */
    FAULT_CHANGED = 1 << 8,     /* the file is another one */
    FAULT_EMPTY = 1 << 9,       /* it is empty */
    FAULT_TORN = 1 << 10,       /* a replacing fails half-way */
    FAULT_MEMORY = 1 << 11,     /* ENOMEM, where that is a reason of its own */
    FAULT_WRONG = 1 << 12,      /* a digest is another one than was promised, or a number is not finite */
};

enum outcome {
    OUTCOME_OK = 0,
    OUTCOME_HARD,
    OUTCOME_INTERRUPTED,
    OUTCOME_SHORT,
    OUTCOME_NOTHING,
    OUTCOME_REFUSED,
    OUTCOME_UNREACHABLE,
    OUTCOME_LIE,
    OUTCOME_SLOW,
    OUTCOME_COLD,
    OUTCOME_CHANGED,
    OUTCOME_EMPTY,
    OUTCOME_TORN,
    OUTCOME_MEMORY,
    OUTCOME_CANCELLED,
    OUTCOME_WRONG,
    OUTCOME_NOT_FINITE,
    OUTCOME_COUNT
};

/** What a world is like. */
struct world_spec {
    const char *name;
    uint32_t states;     /* to be explored, where nothing else is said */
    uint64_t page_bytes; /* of the system; a multiple of 64 KiB */
    uint32_t quarters[WORLD_TENSORS]; /* size of each tensor in quarter pages, up to 0 */
    uint32_t crowd;          /* so many tensors of some bytes more, in no page of their own */
    uint32_t shards;         /* 0: one file */
    bool has_big_header;     /* more than is read at first */
    bool has_huge_header;    /* one that promises more than the file has */
    bool is_broken;          /* the header is no header */
    bool has_guard;          /* a file page of what is acquired may turn out not to be readable */
    bool is_cut;             /* the file ends before its tensors do */
    bool begins_closed;      /* with no source open */
    uint32_t faults;         /* enum fault */
    const struct op *ops;    /* the alphabet */
    const struct op *before; /* done, with all answered well, before anything else; NULL: nothing */
    uint32_t live_max;       /* requests of the host's at a time */
    uint32_t pins_max;       /* acquires of the host's at a time */
    uint8_t no_cancel;       /* the host cancels nothing */
    bool takes_late;         /* taking an event is something that the host does, or does not */
    bool turns_singly;       /* a turn is something that happens, or does not yet */
    uint32_t budget_halves;  /* half pages; 0: none */
    uint32_t spare_pages;
    uint32_t blocks;         /* 0: 2 */
    uint32_t block_units;    /* of 64 KiB; 0: a page */
    uint32_t populate_units; /* of 64 KiB; 0: a page */
    uint32_t pairs;          /* 0: 8 */
    uint32_t stages;         /* 0: 2 */
    uint32_t direct;         /* enum tresor_direct; 0: off */
    uint32_t threads;        /* of a pool, which reads ahead; 0: none reads ahead */
};

struct world_page {
    uint8_t backing; /* enum tresor__backing; NONE: out of reach */
    uint8_t bytes;   /* the eighths that hold what the file has */
    bool has_memory;
    bool is_locked;
    bool is_replaced; /* by zeros, for it could not be read */
};

struct world_file {
    uint8_t windows; /* one, and those that were never given back */
    struct world_page pages[WORLD_PAGES];
    struct world_page scratch[WORLD_PAGES];
};

struct world_request {
    uint64_t handle; /* 0: none */
    uint8_t verb;
    bool is_cancelled;
};

struct host {
    struct tresor_source source;
    bool is_open;
    struct world_request requests[WORLD_REQUESTS];
    uint32_t live;
    uint8_t pins[WORLD_PIECES];
    uint64_t chunks[WORLD_CHUNKS];
    uint32_t chunk_count;
};

/** What may be in use, see test/random. */
struct world_room {
    uint64_t budget_bytes;
    uint64_t most_bytes;
    uint64_t leaked_bytes;
};

struct world {
    struct tresor__backend backend;
    const struct world_spec *spec;
    struct tresor_context *context;
    struct tresor_context_options options;
    struct host host;
    struct world_file files[WORLD_PARTS];
    uint8_t opened[WORLD_PARTS]; /* descriptors */
    uint8_t opened_direct[WORLD_PARTS];
    uint8_t headers; /* that are mapped */
    uint64_t staged_bytes[WORLD_CHUNKS]; /* up to where each stage has been read into */
    struct tresor__effect in_flight[WORLD_EFFECTS];
    uint32_t in_flight_count;
    struct tresor__completion staged; /* to be polled next */
    bool is_staged;
    struct world_room room;
    int64_t closed_bytes; /* allocated with no source ever open */
    char violation[160];
};

/** The one world, in the arena. */
extern struct world *world;

/** A row was taken that never was before; to be cleared by who looks. */
extern bool world_took_new;

/** Make it anew. Everything that is to be done before is done. */
void world_begin(const struct world_spec *spec);
void world_end(void);

/** The first thing that is wrong is kept. */
void world_violate(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- effects.c --- */

/** What may become of an effect in flight, the first of which is that it succeeds; how many. */
uint32_t world_outcomes(const struct tresor__effect *effect, uint8_t outcomes[WORLD_OUTCOMES]);

/** Let that become of it; the next dispatch delivers it. */
void world_answer(uint32_t index, enum outcome outcome);

/** A page of a file of the first part cannot be read by who has acquired what is in it. */
bool world_may_fault(uint32_t page);
void world_fault(uint32_t page);

/** Effects of the watch are taken from the controller. */
void world_take_watch_effects(void);

const char *world_outcome_name(uint32_t outcome);

/* --- model.c --- */

/** Files of the world's model. */
void model_make_files(const struct world_spec *spec);
void model_free_files(void);
const char *model_opened_path(void);
uint32_t model_part_count(void);
/** The part with that path. */
uint32_t model_part_of(const char *path);
const uint8_t *model_bytes(uint32_t part);
/** What its size is said to be. */
uint64_t model_size(uint32_t part);

/* --- host.c --- */

/** Do what a letter of an alphabet says. False where the host was refused. */
bool host_do(const struct op *op);
/** Cancel, acquire, release, give a chunk back; the arguments are places in the host's own lists. */
void host_cancel(uint32_t request);
void host_acquire(uint32_t piece);
void host_release(uint32_t piece);
void host_return_chunk(uint32_t chunk);
/** Take the next event. False where there is none. */
bool host_take_event(void);
uint32_t host_pins(void);
uint32_t host_pieces(void);
/** Dispatch until nothing is left to do, and take all events where the host always does. */
void host_settle(bool takes_all);

/* --- checks.c --- */

/** What must be so in every state. */
void check_state(void);
/** What must be so between any two steps. */
void check_room(void);
/** Nothing is under way and nothing waits, but for what the host has asked for and not been told the end of. */
bool check_is_at_rest(void);
/** At rest, with nothing asked for, nothing acquired and no chunk out: nothing may be held. */
void check_idle(void);
/** All bytes of a piece are where they are promised to be. */
bool check_has_bytes(uint32_t piece);

/* --- identity.c --- */

/** What tells one state from another. */
uint64_t identity_of_state(void);

#endif
