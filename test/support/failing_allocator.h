/* SPDX-License-Identifier: MIT */
/* An allocator that counts what is out, checks the sizes it is told, and fails the Nth call. */
#ifndef TEST_SUPPORT_FAILING_ALLOCATOR_H
#define TEST_SUPPORT_FAILING_ALLOCATOR_H

#include <stdbool.h>
#include <stdint.h>

#include <tresor/allocator.h>

struct failing_allocator {
    uint64_t calls;
    uint64_t fail_call; /* from 1 on; 0 never */
    bool failed;
    int64_t outstanding_bytes;
    uint64_t peak_bytes;
};

struct tresor_allocator failing_allocator_hooks(struct failing_allocator *counts);

#endif
