/* SPDX-License-Identifier: MIT */
/* Any bytes as a GGUF file. */
#include "fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0)
        fuzz_parse(data, size);
    return 0;
}
