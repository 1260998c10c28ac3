/* SPDX-License-Identifier: MIT */
/* A part of a test in a process of its own, where it may give up rights and lower limits. */
#ifndef TEST_SUPPORT_CHILD_H
#define TEST_SUPPORT_CHILD_H

#include <stdbool.h>
#include <stddef.h>

/** Zeroed memory that a child writes and its parent reads; aborts where there is none. */
void *child_share(size_t size_bytes);
void child_unshare(void *shared, size_t size_bytes);

/** Run it in a child, which ends without the parent's own endings. False if the child died, or ran for a minute. */
bool child_run(void (*function)(void *shared), void *shared);

/** In a child: be nobody, without any capability. True if that was done or already so. */
bool child_give_up_rights(void);

#endif
