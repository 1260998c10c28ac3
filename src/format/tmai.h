/* SPDX-License-Identifier: MIT */
/*
 * The layout of a TMAI file, the container of Hyperion's mapped models, which was TinyAI's before: utils/mmap_loader.c of
 * https://github.com/TheLakeMan/Hyperion. All numbers have 32 bits, little endian.
 */
#ifndef TRESOR_FORMAT_TMAI_H
#define TRESOR_FORMAT_TMAI_H

enum {
    TRESOR__TMAI_VERSION = 1,
    TRESOR__TMAI_HEADER_BYTES = 256,
    TRESOR__TMAI_LAYER_BYTES = 32, /* one layer's descriptor; they follow the header */
    TRESOR__TMAI_PADDING_MAX = 4095, /* bytes of no layer in one place: what aligning layers to pages leaves */

    /* in the header */
    TRESOR__TMAI_AT_VERSION = 4,
    TRESOR__TMAI_AT_LAYERS = 8,
    TRESOR__TMAI_AT_NAME = 16,
    TRESOR__TMAI_NAME_BYTES = 64, /* with its end */

    /* in a descriptor */
    TRESOR__TMAI_AT_OFFSET = 0,
    TRESOR__TMAI_AT_SIZE = 4,
    TRESOR__TMAI_AT_PRECISION = 8,
    TRESOR__TMAI_AT_UNUSED = 12, /* zeros from here on */
};

#endif
