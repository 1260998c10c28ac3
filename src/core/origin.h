/* SPDX-License-Identifier: MIT */
/* Where the bytes of one file of a source come from, as the effects on it carry it. */
#ifndef TRESOR_CORE_ORIGIN_H
#define TRESOR_CORE_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tresor/source.h>

/** All zero: the whole of the file that a path names. */
struct tresor__origin {
    uint8_t kind;          /* enum tresor_origin_kind */
    bool is_owned;         /* DESCRIPTOR: closed with the source */
    int descriptor;        /* DESCRIPTOR: the host's */
    uint64_t offset_bytes; /* of byte 0 in what is open; only of PATH and DESCRIPTOR */
    uint64_t length_bytes; /* how many there are; 0: PATH and DESCRIPTOR, all up to the end */
    const void *memory;    /* MEMORY */
    int64_t (*read_at)(void *cookie, void *into, uint64_t offset_bytes, size_t size_bytes);
    void (*release)(void *cookie);
    void *cookie;
};

/** In place of the descriptor of what needs none: not -1, which is not open, and none of the system's. */
#define TRESOR__NO_DESCRIPTOR INT32_MAX

/** There is a file behind it, which can be mapped, cached, read directly and advised on. */
static inline bool tresor__origin_has_file(const struct tresor__origin *origin)
{
    return origin->kind == TRESOR_ORIGIN_PATH || origin->kind == TRESOR_ORIGIN_DESCRIPTOR;
}

/** Its bytes can be mapped where they belong: pages of the window are then pages of the file. */
static inline bool tresor__origin_is_mappable(const struct tresor__origin *origin,
                                              uint64_t page_bytes)
{
    return tresor__origin_has_file(origin) && origin->offset_bytes % page_bytes == 0;
}

#endif
