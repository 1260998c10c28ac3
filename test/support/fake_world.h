/* SPDX-License-Identifier: MIT */
/* A context over a fake system whose calls can be made to fail by rules, with one GGUF model of chosen tensors. */
#ifndef TEST_SUPPORT_FAKE_WORLD_H
#define TEST_SUPPORT_FAKE_WORLD_H

#include "support/failing_allocator.h"
#include "support/faulty_sys.h"
#include "support/session.h"

enum { FAKE_RULES = 4 };

/** Calls of a row that fail; an unused rule has no errno. */
struct fake_rule {
    enum faulty_row row;
    int32_t os_errno;
    bool has_kind; /* only this enum tresor__sys_map or advice */
    int kind;
    bool has_place; /* only calls on this byte: of the file for READ, of memory for all others */
    uint64_t place;
    uint64_t skip;  /* pass that many first */
    uint64_t times; /* then fail as many; 0: all */
    uint64_t seen;
};

struct fake_world {
    struct fake_sys fake;
    struct faulty_sys faulty;
    struct failing_allocator memory;
    struct model_set set;
    struct session session;
    struct tresor_context_options options; /* what is zero gets a small default */
    struct shuffled *shuffled; /* the backend; NULL: the sync one */
    struct fake_rule rules[FAKE_RULES];
    uint64_t data_offset; /* of the first tensor */
};

/** Tensor 0 and 1 share a page, 2 is several blocks long, 3 follows within a page and has a block for itself. */
enum { FAKE_TENSORS = 4 };
extern const struct model_tensor fake_world_tensors[FAKE_TENSORS];

/** Empty; set options, then start. */
void fake_world_init(struct fake_world *world);

/** Make the model and the context, and open the one in the other. */
void fake_world_start(struct fake_world *world, const struct model_tensor *tensors, uint32_t count);

/** Without opening, over a model that is in world->set. */
void fake_world_start_context(struct fake_world *world);

/** Both, with the defaults and fake_world_tensors. */
void fake_world_open(struct fake_world *world);

/** Close, destroy, and fail the test if anything is wrong or held. */
void fake_world_close(struct fake_world *world);

/** The same for a source that is closed, or was never opened. */
void fake_world_end(struct fake_world *world);

/** Where a tensor is, in the file and in memory. */
struct tresor_tensor_info fake_world_tensor(struct fake_world *world, uint32_t tensor);
uint64_t fake_world_place(struct fake_world *world, uint32_t tensor, uint64_t offset);

struct tresor_counters fake_world_counters(struct fake_world *world);

/** One verb on the whole source, or on one tensor, to its end; LOAD by the strategy. */
int32_t fake_world_all(struct fake_world *world, enum tresor_verb verb, uint32_t strategy);
int32_t fake_world_one(struct fake_world *world, enum tresor_verb verb, uint32_t tensor,
                       uint32_t strategy);

/** So many tensors can be acquired, and each holds its bytes. */
void fake_world_must_have(struct fake_world *world, uint32_t count);

/** Take all rules away, and forget what was counted. */
void fake_world_heal(struct fake_world *world);

#endif
