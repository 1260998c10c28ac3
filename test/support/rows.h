/* SPDX-License-Identifier: MIT */
/* Every row of every machine's table, and how often each was taken. */
#ifndef TEST_SUPPORT_ROWS_H
#define TEST_SUPPORT_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include <tresor/observe.h>

/** Count the row of a transition; true where it was never taken before. */
bool rows_take(const struct tresor_transition *transition);

/** Decoding moves megabytes a step, which closed worlds have no memory for; who counts its rows does so apart. */
enum rows_part {
    ROWS_OF_DECODING,
    ROWS_OF_ALL_ELSE,
};

/** Print those of a part that were never taken; how many there are, and of how many. */
uint32_t rows_print_missing(enum rows_part part, uint32_t *total);

#endif
