/* SPDX-License-Identifier: MIT */
/*
 * What an interval ledger should say, found the slow way: cells are runs of pages with the same
 * tensors, and everything that the ledger counts is looked up here whenever it is asked.
 */
#ifndef TEST_SUPPORT_CELLS_H
#define TEST_SUPPORT_CELLS_H

#include "io/ledger.h"
#include "support/model.h"

enum {
    CELLS_PAGE_BYTES = 2 * 1024 * 1024, /* so that every page may be moved */
    CELLS_TENSORS_MAX = 16,
    CELLS_MAX = 64,
};

struct cell {
    uint64_t start_bytes;
    uint64_t end_bytes;
    uint64_t missing_bytes;
    uint64_t arrived_bytes; /* since it was taken to be filled */
    uint32_t tensors;  /* a bit each */
    uint32_t releaser; /* TRESOR_NONE */
    uint32_t unlocker;
    uint8_t fill;
    uint8_t backing;
    uint8_t wanted;
    uint8_t urgency;
    uint8_t lock;
    bool failed;
    bool leaked;
    bool lock_leaked;
};

struct cell_tensor {
    uint8_t role;
    uint8_t lock_role;
    uint16_t news;
    uint32_t watchers;
    uint32_t filled; /* how often it was told so since its claim */
};

struct cells {
    struct cell cells[CELLS_MAX];
    uint32_t count;
    uint64_t file_bytes;
    struct cell_tensor tensors[CELLS_TENSORS_MAX];
    uint32_t tensor_count;
};

/** At most CELLS_TENSORS_MAX tensors in at most CELLS_MAX pages. */
void cells_make(struct cells *cells, const struct model_tensor *tensors, uint32_t count,
                uint64_t file_bytes);

/* Each is the ledger's function of that name; extents are ranges of bytes. They fail the test where
 * the ledger took something that was not there to take. */
void cells_claim(struct cells *cells, uint32_t tensor, uint8_t backing, uint8_t urgency);
void cells_hasten(struct cells *cells, uint32_t tensor, uint8_t urgency);
void cells_unclaim(struct cells *cells, uint32_t tensor, bool wait);
/* `room` is how many bytes of pages may be added to those that are there. */
void cells_take_fill(struct cells *cells, uint64_t start, uint64_t end, uint8_t backing,
                     uint64_t room);
/* The same for a part of what could be taken. */
void cells_take_part(struct cells *cells, uint64_t start, uint64_t end, uint8_t backing, uint64_t room);
/* A part of what could be released, which has all its bytes, and no locks. */
void cells_lend(struct cells *cells, uint64_t start, uint64_t end);
void cells_put_back(struct cells *cells, uint64_t start, uint64_t end);
void cells_abandon(struct cells *cells, uint64_t start, uint64_t end);
void cells_settle(struct cells *cells, uint64_t start, uint64_t end, bool failed);
void cells_unmapped(struct cells *cells, uint64_t start, uint64_t end);
void cells_take_release(struct cells *cells, uint64_t start, uint64_t end, uint8_t backing);
void cells_released(struct cells *cells, uint64_t start, uint64_t end, bool failed);
void cells_lock(struct cells *cells, uint32_t tensor);
void cells_unlock(struct cells *cells, uint32_t tensor, bool wait);
void cells_take_lock(struct cells *cells, uint64_t start, uint64_t end);
void cells_lock_undone(struct cells *cells, uint64_t start, uint64_t end);
void cells_lock_again(struct cells *cells, uint64_t start, uint64_t end);
void cells_locked(struct cells *cells, uint64_t start, uint64_t end, bool failed);
void cells_take_unlock(struct cells *cells, uint64_t start, uint64_t end);
void cells_unlocked(struct cells *cells, uint64_t start, uint64_t end, bool failed);

/** Bytes that are there in the cells of a tensor that is being loaded. */
uint64_t cells_arrived(const struct cells *cells, uint32_t tensor);

/** Whether some cell could be taken to be filled, released, locked or unlocked. */
bool cells_have(const struct cells *cells, uint8_t fill, uint8_t backing);
bool cells_have_lock(const struct cells *cells, uint8_t lock);

/** Fail the test unless the ledger says the same, in every count and of every tensor. */
void assert_same_cells(const struct cells *cells, const struct tresor__ledger *ledger);

#endif
