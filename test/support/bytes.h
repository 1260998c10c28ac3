/* SPDX-License-Identifier: MIT */
/* A growing block of bytes, and GGUF headers written into it piece by piece, right or wrong. */
#ifndef TEST_SUPPORT_BYTES_H
#define TEST_SUPPORT_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

void bytes_free(struct bytes *bytes);
void bytes_put(struct bytes *bytes, const void *data, size_t size);
void bytes_put_u8(struct bytes *bytes, uint8_t value);
void bytes_put_u32(struct bytes *bytes, uint32_t value);
void bytes_put_u64(struct bytes *bytes, uint64_t value);
void bytes_put_text(struct bytes *bytes, const char *text);
void bytes_pad(struct bytes *bytes, size_t alignment);
void bytes_put_zeros(struct bytes *bytes, size_t count);

/** Length and bytes. */
void gguf_put_string(struct bytes *bytes, const char *text);
void gguf_put_header(struct bytes *bytes, uint32_t version, uint64_t tensors, uint64_t metadata);
/** Key and type; the value follows. */
void gguf_put_key(struct bytes *bytes, const char *key, uint32_t type);
void gguf_put_key_u32(struct bytes *bytes, const char *key, uint32_t value);
void gguf_put_key_string(struct bytes *bytes, const char *key, const char *value);
void gguf_put_key_array(struct bytes *bytes, const char *key, uint32_t element_type,
                        uint64_t count);
void gguf_put_tensor(struct bytes *bytes, const char *name, uint32_t rank, const uint64_t *shape,
                     uint32_t dtype, uint64_t offset);

/** A good file with every type of value, arrays, ranks 0 to 4, empty tensors and a quantized one.
 * Returns its header's size. */
size_t gguf_put_good_file(struct bytes *bytes);

/** A TMAI header of that many layers, named "model"; the descriptors and the data follow. */
void tmai_put_header(struct bytes *bytes, uint32_t version, uint32_t layers);
void tmai_put_layer(struct bytes *bytes, uint32_t offset, uint32_t size, uint32_t precision);

/** A good file with layers of every precision, in another order than they lie, with padding. Returns its header's size. */
size_t tmai_put_good_file(struct bytes *bytes);

/** The 8 bytes of the length, then the text. */
void safetensors_put_header(struct bytes *bytes, const char *json);

#endif
