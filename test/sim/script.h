/* SPDX-License-Identifier: MIT */
/*
 * Scripts: any bytes are a run. The first SIM_SCRIPT_HEADER_BYTES are the knobs; after them stands each choice of the
 * host in its order, in as few bytes as hold it, the first of a move being which it is. What is missing is taken from the
 * seed among the knobs, so every beginning of a script is one too. What a fuzzer changes in the middle changes one choice.
 */
#ifndef TEST_SIM_SCRIPT_H
#define TEST_SIM_SCRIPT_H

#include "world.h"

enum { SIM_SCRIPT_HEADER_BYTES = 20 };

/** Run any bytes; `bytes` may be NULL where `length` is 0. */
void sim_script_run(struct sim_world *world, const uint8_t *bytes, size_t length,
                    struct sim_result *result);

/** Run knobs, and write the script that does the same to the end of `script`. */
void sim_script_record(struct sim_world *world, const struct sim_knobs *knobs, struct bytes *script,
                       struct sim_result *result);

#endif
