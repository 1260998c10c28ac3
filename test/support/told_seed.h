/* SPDX-License-Identifier: MIT */
/* The seed of a run is told however the run ends: by a failed check, an assertion, a sanitizer, or a timeout. */
#ifndef TEST_SUPPORT_TOLD_SEED_H
#define TEST_SUPPORT_TOLD_SEED_H

#include <stdint.h>

/** What is printed before the seed, for as long as the program lives: words that repeat the run. Takes SIGABRT and SIGTERM. */
void told_seed_watch(const char *words);

/** A run begins, and has ended well; a seed is not 0. */
void told_seed_begin(uint64_t seed);
void told_seed_end(void);

/** For cmocka, after each test: tell the seed of a run that did not end well. */
int told_seed_teardown(void **state);

#endif
