/* SPDX-License-Identifier: MIT */
#include "format/gguf.h"

#include <string.h>

#include "format/little_endian.h"

bool tresor__gguf_fail(struct tresor__gguf_reader *reader, int32_t code, uint64_t offset,
                       uint64_t wanted, uint64_t got)
{
    return tresor__parse_fail(reader->output, reader->input,
                              (struct tresor_error){.code = code,
                                                    .tensor = reader->tensor,
                                                    .offset = offset,
                                                    .wanted = wanted,
                                                    .got = got});
}

bool tresor__gguf_backed(struct tresor__gguf_reader *reader, uint64_t count, uint64_t item_bytes)
{
    const uint64_t left = reader->input->file_size_bytes - reader->position;
    if (count <= left / item_bytes)
        return true;
    const uint64_t wanted = count > UINT64_MAX / item_bytes ? UINT64_MAX : count * item_bytes;
    return tresor__gguf_fail(reader, TRESOR_ERROR_TRUNCATED, reader->position, wanted, left);
}

bool tresor__gguf_take(struct tresor__gguf_reader *reader, uint64_t size, const uint8_t **bytes)
{
    if (size > reader->input->file_size_bytes - reader->position)
        return tresor__gguf_backed(reader, size, 1); /* it is not, and that says so */
    if (reader->position + size > reader->input->have_bytes)
        return tresor__parse_need(reader->output, reader->input, reader->position + size);
    *bytes = reader->input->bytes + reader->position;
    reader->position += size;
    return true;
}

bool tresor__gguf_take_u32(struct tresor__gguf_reader *reader, uint32_t *value)
{
    const uint8_t *bytes = NULL;
    if (!tresor__gguf_take(reader, 4, &bytes))
        return false;
    *value = tresor__load_u32(bytes);
    return true;
}

bool tresor__gguf_take_u64(struct tresor__gguf_reader *reader, uint64_t *value)
{
    const uint8_t *bytes = NULL;
    if (!tresor__gguf_take(reader, 8, &bytes))
        return false;
    *value = tresor__load_u64(bytes);
    return true;
}

bool tresor__gguf_take_name(struct tresor__gguf_reader *reader, const char **name, size_t *length)
{
    const uint64_t start = reader->position;
    uint64_t size = 0;
    const uint8_t *bytes = NULL;
    if (!tresor__gguf_take_u64(reader, &size))
        return false;
    if (size > TRESOR__NAME_BYTES_MAX)
        return tresor__gguf_fail(reader, TRESOR_ERROR_LIMIT, start, size, TRESOR__NAME_BYTES_MAX);
    if (!tresor__gguf_take(reader, size, &bytes))
        return false;
    /* Our copies end with a NUL: with another inside, two names could look the same. */
    if (memchr(bytes, 0, (size_t)size))
        return tresor__gguf_fail(reader, TRESOR_ERROR_MALFORMED, start, 0, 0);
    *name = (const char *)bytes;
    *length = (size_t)size;
    return true;
}
