/* SPDX-License-Identifier: MIT */
/*
 * Whole worlds from a seed: a host that does anything, a machine with a disk, workers and a clock of its own, files that
 * change, sectors that fail, memory and maps that run out. Nothing in it is real but the library and the bytes.
 */
#ifndef TEST_SIM_WORLD_H
#define TEST_SIM_WORLD_H

#include "backend/sim.h"
#include "support/fake_sys.h"
#include "support/host/host.h"
#include "support/host/models.h"

enum sim_kind {
    SIM_GOOD,   /* all that is slow, short or out of order, and nothing that fails */
    SIM_WORN,   /* a disk that fails, files that change, limits that are met */
    SIM_BROKEN, /* and any system call may fail in any way */
    SIM_KINDS,
};

enum {
    SIM_MOVES = 240,
    SIM_MOVES_MAX = 1000,
    SIM_CHANGES = TRESOR__SIM_ALARMS,
};

/** What is decided before a run. Everything else comes from the seed, or from a script. */
struct sim_knobs {
    uint64_t seed;            /* not 0 */
    enum sim_kind kind;
    uint32_t moves;           /* of the host, at most SIM_MOVES_MAX */
    uint32_t workers;         /* at least 1 */
    uint32_t disk_depth;      /* at least 1 */
    uint32_t disk_ns_per_kib; /* 512: 2 GB/s */
    uint32_t slowness_percent; /* of the latencies, 100: a good disk */
    uint32_t stall_once_in;   /* effects, 0: none takes much longer than others */
    bool begins_in_order;
    uint64_t lose_answer;     /* planted: this completion is lost, from 1 on; 0: none */
    uint64_t flip_transfer;   /* planted: from this one on what is read has a wrong byte, from 1 on; 0: none has */
};

struct sim_result {
    char violation[256]; /* "": none */
    uint64_t digest;     /* of all steps and events and their times */
    uint64_t steps;
    uint64_t effects;
    uint64_t transfers; /* of file bytes to memory */
    uint64_t loads;     /* LOAD requests that ended */
    uint64_t loaded;    /* pieces that were in memory then */
    uint64_t passed_ns; /* of virtual time */
};

/** What happens to a file at a time. */
struct sim_change {
    enum {
        SIM_SHRINK,
        SIM_GROW_BACK,
        SIM_TOUCH,   /* the same bytes are written once more */
        SIM_REPLACE, /* by another one */
        SIM_CHANGE_KINDS,
    } kind;
    uint32_t file;
    uint64_t size_bytes;
};

/** One after the other, any number of runs. It is large: make it static. */
struct sim_world {
    struct models models;
    struct fake_sys fake;
    struct host host;
    struct tresor__sim sim;
    struct sim_change changes[SIM_CHANGES]; /* by the number of their alarm */
    uint32_t change_count;
    uint32_t stuck;
};

void sim_world_make(struct sim_world *world);
void sim_world_free(struct sim_world *world);

/** What a seed decides; its kind is the seed's rest of SIM_KINDS. */
struct sim_knobs sim_knobs_of(uint64_t seed);

/** Choices as bytes: those that the host takes from, and those that it made. All may be empty. */
struct sim_choices {
    const uint8_t *script; /* NULL: the seed decides */
    size_t script_bytes;
    struct bytes *record; /* NULL: not kept */
    FILE *trace;          /* gets every step as a line; NULL: nobody does */
};

/** One run. With the same knobs and choices the result is the same, to the last bit, whatever ran before. */
void sim_world_run(struct sim_world *world, const struct sim_knobs *knobs,
                   const struct sim_choices *choices, struct sim_result *result);

/** weather.c: what a host of a world lives through besides its own moves. */
const struct host_way *sim_ways(enum sim_kind kind, uint32_t *count);

/** A file changes: what the alarm of that number is for. */
void sim_change(struct sim_world *world, uint32_t number);

#endif
