/* SPDX-License-Identifier: MIT */
/*
 * Breadth first through all states of a world that can be reached. From each state everything is tried that may happen
 * next: every effect in flight is answered in every way, and the host does everything that it could. From each state the
 * world must also be able to come to rest and to close.
 */
#ifndef TEST_EXPLORE_EXPLORER_H
#define TEST_EXPLORE_EXPLORER_H

#include "world.h"

struct explored {
    uint64_t states;
    uint64_t edges;
    uint64_t drained;     /* states on ways to rest */
    bool is_whole;        /* no state was left for want of time */
    char violation[160];  /* the first thing that was wrong; "": nothing */
};

/** Explore a world up to so many states, and print how it went. */
struct explored explorer_run(const struct world_spec *spec, uint64_t states_max);

/** Of the path that is being tried, for who dies on it: its choices' numbers, without stdio. */
void explorer_tell_path(void);

#endif
