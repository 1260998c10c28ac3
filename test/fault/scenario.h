/* SPDX-License-Identifier: MIT */
/*
 * Everything that a host does with a model, once, over a table whose calls fail as planned: what fails may fail, but
 * each request ends, what is reported as loaded is there, and at the end nothing is held.
 */
#ifndef TEST_FAULT_SCENARIO_H
#define TEST_FAULT_SCENARIO_H

#include "support/failing_allocator.h"
#include "support/faulty_sys.h"
#include "support/host_origin.h"
#include "support/session.h"

struct scenario {
    /* in */
    const struct model_set *set;
    const struct tresor__sys *under;
    struct faulty_plan plan;
    int32_t (*judge)(void *judge_cookie, struct faulty_call *call); /* see faulty_sys.h */
    void *judge_cookie;
    enum faulty_reads reads;
    uint64_t seed;
    uint64_t fail_allocation; /* from 1 on; 0: none */
    bool allocations_stay_failed;
    uint64_t lose_free;
    uint64_t lose_event;
    struct host_origin *host; /* who has the model; NULL: it is opened by its path */
    uint32_t backend; /* enum tresor_backend; 0: sync */
    uint32_t direct;  /* enum tresor_direct; DEFAULT: off */
    bool default_allocator; /* malloc and free instead of an allocator of the test's */
    void (*arm)(bool on); /* called around every call of the library, where not NULL */

    /* out */
    uint64_t injected;
    uint64_t calls; /* to the system */
    uint64_t allocations;
    uint64_t steps;
    uint64_t events;
    uint32_t failed_requests;
    char violation[256]; /* "" if all is well */
};

void scenario_run(struct scenario *scenario);

/** Run, and fail the test with the plan and the violation if there is one. */
void scenario_must_hold(struct scenario *scenario);

/** Models of every kind as files in a folder, made once by a group's setup and removed by its teardown. */
const struct model_set *scenario_model(enum model_kind kind);
int scenario_setup(void **state);
int scenario_teardown(void **state);

/** Kinds that this build can open. */
uint32_t scenario_kinds(void);

#endif
