/* SPDX-License-Identifier: MIT */
#include "human.h"

#include <inttypes.h>
#include <stdio.h>

struct human_size human_size(uint64_t size_bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct human_size human;
    if (size_bytes < 1024) {
        snprintf(human.text, sizeof human.text, "%" PRIu64 " byte%s", size_bytes,
                 size_bytes == 1 ? "" : "s");
        return human;
    }
    double value = (double)size_bytes / 1024;
    unsigned unit = 0;
    /* What would be printed as 1024.0 belongs to the next unit. */
    for (; value >= 1023.95 && unit < 5; unit++)
        value /= 1024;
    snprintf(human.text, sizeof human.text, "%.1f %s", value, units[unit]);
    return human;
}
