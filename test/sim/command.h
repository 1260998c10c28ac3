/* SPDX-License-Identifier: MIT */
/* The simulator as a command: one seed again, many seeds, or a script out of a file. */
#ifndef TEST_SIM_COMMAND_H
#define TEST_SIM_COMMAND_H

#include "world.h"

/** Carry out the arguments; the exit code: 0, 1 where something is wrong, 2 where nobody understands them. */
int sim_command(struct sim_world *world, int count, char **arguments);

#endif
