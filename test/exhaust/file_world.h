/* SPDX-License-Identifier: MIT */
/* A file with tensors, its ledger and its blocks, for the fixtures of the machines over one file.
 */
#ifndef TEST_EXHAUST_FILE_WORLD_H
#define TEST_EXHAUST_FILE_WORLD_H

#include "exhaust/exhaust.h"
#include "source/model.h"

enum {
    FILE_PAGE_BYTES = 2 * 1024 * 1024, /* so that every page may be moved */
    FILE_BLOCKS = 3,
    FILE_SOURCE = 3,
    FILE_INDEX = 1, /* of the file in its source */
    FILE_ARENA_BYTES = 24 * 1024,
};

/** The tensors of the file: the first two share a page and make three intervals, the others stand
 * apart. */
enum {
    TENSOR_LEFT = 1,
    TENSOR_RIGHT,
    TENSOR_HAND,
    TENSOR_SPENT,
    TENSOR_WANTED,
    TENSOR_RUNNING,
};

struct file_world {
    struct tresor__io io;
    struct tresor__block blocks[FILE_BLOCKS];
    struct tresor__model model;
    size_t arena_used;
    uint64_t arena[FILE_ARENA_BYTES / sizeof(uint64_t)]; /* what the model allocates */
};

extern struct file_world file_world;

#define FILE_WORLD                                                                                 \
    EXHAUST_WORLD(file_world), .check = file_world_check, .source = FILE_SOURCE,                   \
                               .slot = FILE_INDEX, .file = FILE_INDEX

/** The world anew: nothing is claimed. */
struct tresor__file *file_world_make(void);

/** Make a tensor resident, and lock it, as if the machines had done so. */
void file_world_load(uint32_t tensor, enum tresor__backing backing);
void file_world_lock(uint32_t tensor);

/** One step of a machine of the file, which must take a rule. */
void file_world_step(const struct tresor__machine *machine, void *context, uint32_t event);

/** The ledger's books balance and no block is both free and in use. */
void file_world_check(void);

/** The fixtures' knobs for an effect that failed, and what its input says. */
enum {
    FAILED_TRANSIENTLY = 1 << 20,
    FAILED_OFTEN = 1 << 21,  /* as often as it may be asked again */
    FAILED_AT_END = 1 << 22, /* of the file */
    NO_ROOM = 1 << 23,       /* for what is wanted */
};
struct tresor__input file_world_input(uint32_t event, uint32_t knobs);

#endif
