/* SPDX-License-Identifier: MIT */
#ifndef TOOL_HUMAN_H
#define TOOL_HUMAN_H

#include <stdint.h>

struct human_size {
    char text[16];
};

/** A size as people read it: "512 bytes", "1.5 GiB". */
struct human_size human_size(uint64_t size_bytes);

#endif
