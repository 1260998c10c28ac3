/* SPDX-License-Identifier: MIT */
/* Whether the address sanitizer is on, which takes some system calls for itself; and what the thread sanitizer is not to see. */
#ifndef TEST_SUPPORT_SANITIZER_H
#define TEST_SUPPORT_SANITIZER_H

/* Of a function that reads where pages are replaced in one step, which the thread sanitizer takes for a write. */
#define READS_WHAT_IS_REMAPPED __attribute__((no_sanitize("thread"), noinline))

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER 1
#endif
#endif
#ifndef HAS_ADDRESS_SANITIZER
#define HAS_ADDRESS_SANITIZER 0
#endif

#endif
