/* SPDX-License-Identifier: MIT */
#ifndef TEST_EXPLORE_WORLDS_H
#define TEST_EXPLORE_WORLDS_H

#include "world.h"

/** All worlds. */
extern const struct world_spec worlds[];
extern const uint32_t world_count;

#endif
