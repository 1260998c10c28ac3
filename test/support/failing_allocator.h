/* SPDX-License-Identifier: MIT */
/* An allocator that counts what is out, checks the sizes it is told, and fails the Nth call, once or from then on. */
#ifndef TEST_SUPPORT_FAILING_ALLOCATOR_H
#define TEST_SUPPORT_FAILING_ALLOCATOR_H

#include <stdbool.h>
#include <stdint.h>

#include <tresor/allocator.h>

struct failing_allocator {
    uint64_t calls;
    uint64_t fail_call; /* from 1 on; 0 never */
    bool is_persistent; /* every call from `fail_call` on fails */
    uint64_t lose_free; /* this free is not carried out, from 1 on; 0: none */
    uint64_t frees;
    bool failed;
    int64_t outstanding_bytes;
    uint64_t peak_bytes;
};

struct tresor_allocator failing_allocator_hooks(struct failing_allocator *counts);

#endif
