/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a safetensors file: as they are or, where they begin with a brace, as a header up to the first end of a
 * line, which gets the length that belongs to it, and the data behind.
 */
#include "fuzz.h"

#include <string.h>

#include "support/bytes.h"

static void parse_text(const uint8_t *data, size_t size)
{
    struct bytes file = {0};
    const uint8_t *end = memchr(data, '\n', size);
    const size_t length = end ? (size_t)(end - data) : size;
    bytes_put_u64(&file, length);
    bytes_put(&file, data, length);
    if (end)
        bytes_put(&file, end + 1, size - length - 1);
    fuzz_parse(file.data, file.size);
    bytes_free(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == '{')
        parse_text(data, size);
    else if (size < 4 || memcmp(data, "GGUF", 4) != 0)
        fuzz_parse(data, size);
    return 0;
}
