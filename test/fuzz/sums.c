/* SPDX-License-Identifier: MIT */
/* Any bytes as a SUMS file: what is taken has its names within the file, each found again by itself. */
#include "fuzz.h"

#include <string.h>

#include "sums.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sums sums;
    struct sums_error error = {0};
    char *copy = malloc(size > 0 ? size : 1);
    FUZZ_CHECK(copy);
    memcpy(copy, data, size);
    if (!sums_parse(copy, size, &sums, &error))
        FUZZ_CHECK(error.text);
    for (size_t i = 0; !error.text && i < sums.count; i++) {
        const struct sum *sum = &sums.list[i];
        FUZZ_CHECK(sum->name >= copy && sum->name + sum->name_bytes <= copy + size);
        FUZZ_CHECK(sums_take(&sums, sum->name, sum->name_bytes) == sum);
    }
    FUZZ_CHECK(error.text || sums_first_unused(&sums) == 0);
    sums_free(&sums);
    return 0;
}
