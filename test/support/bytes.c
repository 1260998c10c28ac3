/* SPDX-License-Identifier: MIT */
#include "support/bytes.h"

#include <stdlib.h>
#include <string.h>

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

static uint8_t *extend(struct bytes *bytes, size_t size)
{
    if (bytes->size + size > bytes->capacity) {
        bytes->capacity = 2 * bytes->capacity + size;
        bytes->data = realloc(bytes->data, bytes->capacity);
        if (!bytes->data)
            abort();
    }
    bytes->size += size;
    return bytes->data + bytes->size - size;
}

void bytes_put(struct bytes *bytes, const void *data, size_t size)
{
    if (size)
        memcpy(extend(bytes, size), data, size);
}

void bytes_put_zeros(struct bytes *bytes, size_t count)
{
    if (count)
        memset(extend(bytes, count), 0, count);
}

void bytes_put_u8(struct bytes *bytes, uint8_t value)
{
    bytes_put(bytes, &value, 1);
}

void bytes_put_u32(struct bytes *bytes, uint32_t value)
{
    for (uint32_t i = 0; i < 4; i++)
        bytes_put_u8(bytes, (uint8_t)(value >> (8 * i)));
}

void bytes_put_u64(struct bytes *bytes, uint64_t value)
{
    for (uint32_t i = 0; i < 8; i++)
        bytes_put_u8(bytes, (uint8_t)(value >> (8 * i)));
}

void bytes_put_text(struct bytes *bytes, const char *text)
{
    bytes_put(bytes, text, strlen(text));
}

void bytes_pad(struct bytes *bytes, size_t alignment)
{
    bytes_put_zeros(bytes, (alignment - bytes->size % alignment) % alignment);
}

void gguf_put_string(struct bytes *bytes, const char *text)
{
    bytes_put_u64(bytes, strlen(text));
    bytes_put_text(bytes, text);
}

void gguf_put_header(struct bytes *bytes, uint32_t version, uint64_t tensors, uint64_t metadata)
{
    bytes_put_text(bytes, "GGUF");
    bytes_put_u32(bytes, version);
    bytes_put_u64(bytes, tensors);
    bytes_put_u64(bytes, metadata);
}

void gguf_put_key(struct bytes *bytes, const char *key, uint32_t type)
{
    gguf_put_string(bytes, key);
    bytes_put_u32(bytes, type);
}

void gguf_put_key_u32(struct bytes *bytes, const char *key, uint32_t value)
{
    gguf_put_key(bytes, key, 4);
    bytes_put_u32(bytes, value);
}

void gguf_put_key_string(struct bytes *bytes, const char *key, const char *value)
{
    gguf_put_key(bytes, key, 8);
    gguf_put_string(bytes, value);
}

void gguf_put_key_array(struct bytes *bytes, const char *key, uint32_t element_type, uint64_t count)
{
    gguf_put_key(bytes, key, 9);
    bytes_put_u32(bytes, element_type);
    bytes_put_u64(bytes, count);
}

void gguf_put_tensor(struct bytes *bytes, const char *name, uint32_t rank, const uint64_t *shape,
                     uint32_t dtype, uint64_t offset)
{
    gguf_put_string(bytes, name);
    bytes_put_u32(bytes, rank);
    for (uint32_t i = 0; i < rank; i++)
        bytes_put_u64(bytes, shape[i]);
    bytes_put_u32(bytes, dtype);
    bytes_put_u64(bytes, offset);
}

static void put_every_type(struct bytes *bytes)
{
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    for (uint32_t type = 0; type < sizeof sizes; type++) {
        char key[] = "scalar.x", array_key[] = "array.x";
        key[7] = array_key[6] = (char)('a' + type);
        if (!sizes[type])
            continue;
        gguf_put_key(bytes, key, type);
        bytes_put_u8(bytes, 1);
        bytes_put_zeros(bytes, sizes[type] - 1u);
        gguf_put_key_array(bytes, array_key, type, 3);
        bytes_put_zeros(bytes, 3u * sizes[type]);
    }
}

size_t gguf_put_good_file(struct bytes *bytes)
{
    static const uint64_t shape[4] = {256, 2, 1, 3}, empty[2] = {0, 7}, one[1] = {1};
    gguf_put_header(bytes, 3, 5, 11 * 2 + 4);
    gguf_put_key_string(bytes, "general.architecture", "llama");
    gguf_put_key_u32(bytes, "general.alignment", 64);
    put_every_type(bytes);
    gguf_put_key_array(bytes, "tokens", 8, 4);
    gguf_put_string(bytes, "a");
    gguf_put_string(bytes, "");
    gguf_put_string(bytes, "ccc");
    gguf_put_string(bytes, "dddddddddddd");
    gguf_put_key_array(bytes, "nothing", 8, 0);
    gguf_put_tensor(bytes, "quantized", 4, shape, 12, 0);
    gguf_put_tensor(bytes, "scalar", 0, NULL, 0, 864);
    gguf_put_tensor(bytes, "empty", 2, empty, 0, 1000000);
    gguf_put_tensor(bytes, "byte", 1, one, 24, 871);
    gguf_put_tensor(bytes, "", 1, one, 28, 872);
    bytes_pad(bytes, 64);
    const size_t header = bytes->size;
    bytes_put_zeros(bytes, 880);
    return header;
}

void tmai_put_header(struct bytes *bytes, uint32_t version, uint32_t layers)
{
    const size_t start = bytes->size;
    bytes_put_text(bytes, "IAMT");
    bytes_put_u32(bytes, version);
    bytes_put_u32(bytes, layers);
    bytes_put_u32(bytes, 0);
    bytes_put_text(bytes, "model");
    bytes_put_zeros(bytes, start + 256 - bytes->size);
}

void tmai_put_layer(struct bytes *bytes, uint32_t offset, uint32_t size, uint32_t precision)
{
    bytes_put_u32(bytes, offset);
    bytes_put_u32(bytes, size);
    bytes_put_u32(bytes, precision);
    bytes_put_zeros(bytes, 5 * sizeof(uint32_t));
}

size_t tmai_put_good_file(struct bytes *bytes)
{
    const uint32_t data = 256 + 6 * 32;
    tmai_put_header(bytes, 1, 6);
    tmai_put_layer(bytes, data + 4096, 100, 16);
    tmai_put_layer(bytes, data, 7, 4);
    tmai_put_layer(bytes, data + 8, 1, 8);
    tmai_put_layer(bytes, data + 12, 16, 32);
    tmai_put_layer(bytes, data + 28, 3, 1);
    tmai_put_layer(bytes, data + 31, 5, 2);
    const size_t header = bytes->size;
    bytes_put_zeros(bytes, 4096 + 100 + 20);
    return header;
}

void safetensors_put_header(struct bytes *bytes, const char *json)
{
    bytes_put_u64(bytes, strlen(json));
    bytes_put_text(bytes, json);
}
