/* SPDX-License-Identifier: MIT */
/* A walk over a model as an engine takes it, pass after pass. */
#ifndef TOOL_WALK_H
#define TOOL_WALK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "degraded.h"
#include "failures.h"
#include "opened.h"
#include "progress.h"
#include "walk_options.h"
#include "walk_steps.h"

struct walk_pass {
    uint64_t duration_ns;
    uint64_t used; /* tensors */
    uint64_t used_bytes;
    uint64_t hits;   /* found in memory at once */
    uint64_t misses; /* that nobody was loading */
    uint64_t late;   /* that were being loaded */
    /* From the files: by reads, or, where tensors are mapped, by what storage delivered. */
    uint64_t read_bytes;
    bool read_is_known;
    uint64_t
        peak_bytes; /* of the process's resident memory, as the kernel counts it; 0: not told */
};

/** What became of --swap-at. */
struct walk_swap {
    bool is_done;         /* it was asked for, and the walk came to it */
    uint32_t at_percent;  /* of all passes */
    const char *strategy; /* that it went to */
    uint64_t duration_ns;
    uint64_t swapped_bytes; /* in pages */
    int32_t code;           /* of its end */
};

/** What became of it, for reports. All zero is none. */
struct walk_result {
    bool is_wanted;
    const char *policy;
    uint64_t budget_bytes; /* 0: none */
    uint64_t window_bytes; /* 0: nothing was loaded ahead */
    uint64_t used_bytes;   /* by all passes */
    struct walk_swap swap;
    uint64_t sum; /* of the words of all tensors, each once */
    struct walk_pass *passes;
    uint32_t pass_count; /* that were begun */
    bool is_whole;       /* all were walked to their end */
};

struct walk {
    const struct opened *opened;
    const struct walk_options *options;
    struct tresor_item item; /* what it walks over */
    uint32_t strategy;       /* of its loads */
    struct failures *failures;
    struct degraded *degraded;
    struct progress *progress;
    struct walk_steps steps;
    uint32_t passes;
    uint32_t first; /* the steps of the pass that are to be used next */
    uint32_t last;
    struct walk_pass *pass; /* that is under way */
    uint64_t used_bytes;    /* by the passes before */
    bool peak_is_sampled;   /* the kernel keeps none that could begin anew */
    bool has_failed;

    struct tresor_request plan;
    bool has_plan;
};

/**
 * Walk over the item. What was done is in `result` also where the walk ended early, by a failure or
 * a signal; to be ended by walk_result_free. False if the walk did not get to its end.
 */
bool walk_run(struct walk *walk, struct walk_result *result);
void walk_result_free(struct walk_result *result);

/** Use the steps, without a plan: what is absent is loaded when it is needed. */
void walk_on_demand(struct walk *walk);

/** The same with the plan, by a thread of its own beside this one, which dispatches. */
void walk_by_plan(struct walk *walk);

/** Declare the plan, which begins at that step; false after a failure was added. */
bool walk_begin_plan(struct walk *walk, uint32_t step, uint64_t *window_bytes);
void walk_end_plan(struct walk *walk);

/** Move all to the other strategy, from which on it is the walk's; no plan stands. */
void walk_swap(struct walk *walk, struct walk_swap *swap);

/** Read every byte of a step, which is at `data`, and count it. False if they are not what they
 * were when it was used first. One thread at a time. */
bool walk_use(struct walk *walk, struct walk_step *step, const void *data);

/** Add a failure of a tensor, or of none, and let the walk end. */
void walk_fail(struct walk *walk, int32_t code, uint32_t tensor);

/** Say that a tensor's bytes have changed, and let the walk end. */
void walk_fail_sum(struct walk *walk, const struct walk_step *step);

/** Say that a tensor's bytes were lost under it, as the context tells of it, and let the walk end. The context's thread. */
void walk_fail_poisoned(struct walk *walk, uint32_t tensor);

/** Draw the bar if it is time; `used_bytes` of this pass. */
void walk_draw(struct walk *walk, uint64_t used_bytes);

void walk_print_text(const struct walk_result *result);
/** The members that a report of a walk has besides those of every load; NULL if there is no memory.
 */
json_t *walk_json(const struct walk_result *result);

#endif
