/* SPDX-License-Identifier: MIT */
/* Every row of every machine's table, and how often each was taken. */
#ifndef TEST_EXPLORE_ROWS_H
#define TEST_EXPLORE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include <tresor/observe.h>

/** Count the row of a transition; true where it was never taken before. */
bool rows_take(const struct tresor_transition *transition);

/** Print those that were never taken; how many there are, and of how many. */
uint32_t rows_print_missing(uint32_t *total);

#endif
