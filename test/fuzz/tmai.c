/* SPDX-License-Identifier: MIT */
/* Any bytes as a TMAI file. */
#include "fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 4 && (memcmp(data, "IAMT", 4) == 0 || memcmp(data, "TMAI", 4) == 0))
        fuzz_parse(data, size);
    return 0;
}
