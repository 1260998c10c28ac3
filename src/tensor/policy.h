/* SPDX-License-Identifier: MIT */
/*
 * Who goes first when room is needed, among pieces that no plan names. A policy is one pure question on two pieces' uses;
 * what it may look at is noted whatever policy is chosen, so that it can be changed at any time. The clock is logical: it
 * counts uses.
 */
#ifndef TRESOR_TENSOR_POLICY_H
#define TRESOR_TENSOR_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/** What is known of a piece's use. */
struct tresor__use {
    uint64_t stamp; /* the clock at its last use; 0: never used */
    uint64_t score; /* log2 of its uses, each halved in weight every so many ticks; 16 binary places */
    int32_t priority;
};

/** It was used `count` times, the last time at `stamp`, which is not before the last. */
void tresor__use_note(struct tresor__use *use, uint64_t stamp, uint32_t count);

/** Whether `one` goes before `other`. A strict weak order, and a use only ever moves a piece towards the end. */
typedef bool tresor__policy(const struct tresor__use *one, const struct tresor__use *other);

/** The policy of an enum tresor_policy, not DEFAULT. */
tresor__policy *tresor__policy_of(uint32_t policy);

#endif
