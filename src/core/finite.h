/* SPDX-License-Identifier: MIT */
/* NaN and infinity in the bytes of a tensor, of every element type that can hold one. */
#ifndef TRESOR_CORE_FINITE_H
#define TRESOR_CORE_FINITE_H

#include <stddef.h>
#include <stdint.h>

/** What an element type consists of, as far as it can hold what is not finite. */
struct tresor__unit {
    uint32_t size_bytes; /* of one element, or of one block of them; 0: it cannot */
    uint32_t elements;
};

/** Of an enum tresor_dtype. Whole numbers hold nothing that is not finite; of block types the scales are looked at. */
struct tresor__unit tresor__finite_unit(uint32_t dtype);

/** The first unit of `count` at `bytes`, perhaps not aligned, that holds a NaN or an infinity; `count` where none does. */
size_t tresor__finite_find(uint32_t dtype, const void *bytes, size_t count);

#endif
