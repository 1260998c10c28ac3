/* SPDX-License-Identifier: MIT */
/* Metadata values out of their little-endian bytes. */
#ifndef TOOL_METADATA_H
#define TOOL_METADATA_H

#include <stdbool.h>
#include <stdint.h>

#include <tresor/tresor.h>

enum value_kind {
    VALUE_UNSIGNED,
    VALUE_SIGNED,
    VALUE_REAL,
    VALUE_BOOL,
    VALUE_TEXT,
};

/** A scalar, or one element of an array. */
struct value {
    enum value_kind kind;
    uint64_t number; /* of an UNSIGNED or BOOL; the bytes of a TEXT */
    int64_t integer; /* of a SIGNED */
    double real;
    const char *text; /* without an end */
};

/** Where a walk over the elements of an array stands. */
struct value_walk {
    uint32_t type;
    uint64_t left; /* elements */
    const uint8_t *at;
    uint64_t left_bytes;
};

/** Name of a type, like "u32". */
const char *metadata_type_name(uint32_t type);

/** The value of what is not an array. False if the bytes do not fit the type. */
bool value_of_scalar(const struct tresor_metadata_info *info, struct value *value);

/** Begin with the first element of an array. */
struct value_walk value_walk_begin(const struct tresor_metadata_info *info);

/** The next element; false at the end, or if the bytes do not fit the type. */
bool value_walk_next(struct value_walk *walk, struct value *value);

#endif
