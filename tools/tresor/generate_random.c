/* SPDX-License-Identifier: MIT */
#include "generate_random.h"

/* Steps of Weyl's sequence: 2^64 by the golden ratio, odd. */
#define GOLDEN UINT64_C(0x9E3779B97F4A7C15)

/* splitmix64 (Steele, Lea and Flood): outputs are a mixed counter, so nearby seeds share nothing.
 */
static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
    return value ^ (value >> 31);
}

static uint64_t rotate_left(uint64_t value, unsigned count)
{
    return (value << count) | (value >> (64 - count));
}

/* xoshiro256++ (Blackman and Vigna). */
static inline uint64_t next(uint64_t state[4])
{
    const uint64_t result = rotate_left(state[0] + state[3], 23) + state[0];
    const uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

void random_begin(struct random_stream *stream, uint64_t seed, uint64_t tensor_index,
                  enum element element)
{
    uint64_t counter = mix(mix(seed + GOLDEN) + tensor_index);
    for (int i = 0; i < 4; i++)
        stream->state[i] = mix(counter += GOLDEN);
    stream->element = element;
}

/* Byte by byte, which compilers turn into one store: files are the same on every machine. */
static inline void store(uint8_t *bytes, uint64_t word)
{
    bytes[0] = (uint8_t)word;
    bytes[1] = (uint8_t)(word >> 8);
    bytes[2] = (uint8_t)(word >> 16);
    bytes[3] = (uint8_t)(word >> 24);
    bytes[4] = (uint8_t)(word >> 32);
    bytes[5] = (uint8_t)(word >> 40);
    bytes[6] = (uint8_t)(word >> 48);
    bytes[7] = (uint8_t)(word >> 56);
}

/* The bits of a word that stay random, and those that are set. */
struct bits {
    uint64_t keep;
    uint64_t set;
};

/**
 * Exponents are limited, so that every value is finite and of a size that weights have: f32 and
 * bf16 from 2^-7, f16 from 2^-3, all below 2.
 */
static struct bits bits_of(enum element element)
{
    switch (element) {
    case ELEMENT_F32:
        return (struct bits){UINT64_C(0x83FFFFFF83FFFFFF), UINT64_C(0x3C0000003C000000)};
    case ELEMENT_BF16:
        return (struct bits){UINT64_C(0x83FF83FF83FF83FF), UINT64_C(0x3C003C003C003C00)};
    case ELEMENT_F16:
        return (struct bits){UINT64_C(0x8FFF8FFF8FFF8FFF), UINT64_C(0x3000300030003000)};
    case ELEMENT_Q4_0:
    case ELEMENT_Q8_0:
    case ELEMENT_BYTES:
        break;
    }
    return (struct bits){UINT64_MAX, 0};
}

/** A block begins with its scale, an f16: make it positive and from 2^-6 to below 2^-5. */
static void limit_scales(uint8_t *bytes, size_t size_bytes, size_t block_bytes)
{
    for (size_t i = 0; i + 1 < size_bytes; i += block_bytes)
        bytes[i + 1] = (uint8_t)((bytes[i + 1] & 0x03) | 0x24);
}

void random_fill(struct random_stream *stream, uint8_t *bytes, size_t size_bytes)
{
    const struct element_traits *traits = element_traits(stream->element);
    const struct bits bits = bits_of(stream->element);
    /* A copy that the stores cannot alias stays in registers. */
    uint64_t state[4] = {stream->state[0], stream->state[1], stream->state[2], stream->state[3]};
    size_t done = 0;
    for (; done + 8 <= size_bytes; done += 8)
        store(bytes + done, (next(state) & bits.keep) | bits.set);
    if (done < size_bytes) {
        uint8_t last[8];
        store(last, (next(state) & bits.keep) | bits.set);
        for (size_t i = 0; done < size_bytes; i++, done++)
            bytes[done] = last[i];
    }
    for (int i = 0; i < 4; i++)
        stream->state[i] = state[i];
    if (traits->block_elements > 1)
        limit_scales(bytes, size_bytes, traits->block_bytes);
}
