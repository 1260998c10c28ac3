/* SPDX-License-Identifier: MIT */
/*
 * The strategy machines of one file without the tensor machines and their controller: who drives them keeps its own books
 * of tensors, and is told of each what became of it. No system call, and no memory but what is given at the start.
 */
#ifndef TRESOR_STRATEGY_DRIVER_H
#define TRESOR_STRATEGY_DRIVER_H

#include <tresor/strategy.h>

#include "source/model.h"

enum tresor__driver_role {
    TRESOR__DRIVER_ABSENT = 0,
    TRESOR__DRIVER_LOADING = 1,
    TRESOR__DRIVER_RESIDENT = 2,
    TRESOR__DRIVER_LEAVING = 3,
};

/** What its driver has asked for a tensor. */
struct tresor__driver_tensor {
    uint8_t role;      /* enum tresor__driver_role */
    uint8_t lock_role; /* the same of its lock */
    bool is_named;     /* by the request that is looked at */
    bool release_failed; /* a part of it is still there, though nobody's */
    bool unlock_failed;
};

/** What became of a request for a tensor. */
struct tresor__driver_result {
    enum tresor__span_news news; /* FILLED or FILL_FAILED, and so on; 0: none */
    uint32_t tensor;
    struct tresor__failure failure;
};

struct tresor__driver_limits {
    uint32_t blocks_max;
    uint64_t block_bytes;
    uint64_t populate_bytes;
    uint64_t page_bytes;
    uint32_t direct_alignment_bytes; /* 0: no direct reads */
};

struct tresor__driver {
    struct tresor__io io;
    struct tresor__model model;
    struct tresor__model_file file;
    struct tresor__driver_tensor *tensors;
    struct tresor__effect *effects; /* that were asked and not taken */
    uint32_t effects_max;
    uint32_t effect_count;
    uint32_t in_flight; /* taken, and not answered */
    int32_t direct_errno; /* why direct reads were given up, to be told; 0: nothing is */
    bool awaits_block;
    bool is_known; /* the file's identity */
    struct tresor__failure unknown; /* why it is not */
};

/** Bytes of a block of memory that is enough for a driver of so many tensors; 0 where there are too many. */
size_t tresor__driver_bytes(uint32_t tensor_count, uint64_t file_bytes,
                            const struct tresor__driver_limits *limits);

/** Effects that may be asked and not answered at a time, at the most. */
uint32_t tresor__driver_effects(const struct tresor__driver_limits *limits);

/** Whose tensors it drives. */
struct tresor__driver_file {
    uint64_t file_bytes;
    void *window;
    int descriptor;
    int direct_descriptor;
    const struct tresor_driver_tensor *tensors;
    uint32_t tensor_count;
};

/** Make one in a block of memory that is zero. Asks for the file's identity first. TRESOR_OK, LIMIT or NO_MEMORY. */
int32_t tresor__driver_make(void *memory, size_t size_bytes,
                            const struct tresor__driver_limits *limits,
                            const struct tresor__driver_file *file, struct tresor__driver **driver);

/** Whether they all are tensors of it, and none is named twice. */
bool tresor__driver_marks(struct tresor__driver *driver, const uint32_t *tensors, uint32_t count);

/** Have a tensor loaded, which is absent, or released, which is being loaded or resident. Nothing is begun before
 * tresor__driver_run, so that neighbours which are asked for together are joined. */
void tresor__driver_load(struct tresor__driver *driver, uint32_t tensor,
                         enum tresor__backing backing);
void tresor__driver_release(struct tresor__driver *driver, uint32_t tensor);

/** Have a resident tensor locked that is not, or unlocked that is, or is being locked. */
void tresor__driver_lock(struct tresor__driver *driver, uint32_t tensor);
void tresor__driver_unlock(struct tresor__driver *driver, uint32_t tensor);

/** Begin what has been asked, until nothing but an answer can go on. */
void tresor__driver_run(struct tresor__driver *driver);

/** An effect that was taken has ended. */
void tresor__driver_deliver(struct tresor__driver *driver,
                            const struct tresor__completion *completion);

/** The oldest effects that were asked, their places made addresses; how many. */
uint32_t tresor__driver_take(struct tresor__driver *driver, struct tresor__effect *effects,
                             uint32_t limit);

/** The next result; its `news` is 0 where there is none. */
struct tresor__driver_result tresor__driver_next(struct tresor__driver *driver);

/** There are effects to be taken, or results. */
bool tresor__driver_has_more(const struct tresor__driver *driver);

#endif
