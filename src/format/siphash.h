/* SPDX-License-Identifier: MIT */
/* SipHash-c-d, a keyed hash: https://www.aumasson.jp/siphash/siphash.pdf */
#ifndef TRESOR_FORMAT_SIPHASH_H
#define TRESOR_FORMAT_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/** Rounds per word and at the end: 1 and 3 for tables, 2 and 4 as in the paper. */
struct tresor__siphash_rounds {
    uint32_t per_word;
    uint32_t at_end;
};

uint64_t tresor__siphash(struct tresor__siphash_rounds rounds, const uint64_t key[2],
                         const void *bytes, size_t length);

#endif
