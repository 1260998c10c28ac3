/* SPDX-License-Identifier: MIT */
#include "format/siphash.h"

#include "format/little_endian.h"

/* The four words of section 2.1 of the paper. */
struct siphash_state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate_left(uint64_t value, uint32_t bits)
{
    return value << bits | value >> (64 - bits);
}

/* Figure 2.1 of the paper, `count` times. */
static void siphash_rounds(struct siphash_state *state, uint32_t count)
{
    while (count--) {
        state->v0 += state->v1;
        state->v2 += state->v3;
        state->v1 = rotate_left(state->v1, 13) ^ state->v0;
        state->v3 = rotate_left(state->v3, 16) ^ state->v2;
        state->v0 = rotate_left(state->v0, 32) + state->v3;
        state->v2 += state->v1;
        state->v1 = rotate_left(state->v1, 17) ^ state->v2;
        state->v3 = rotate_left(state->v3, 21) ^ state->v0;
        state->v2 = rotate_left(state->v2, 32);
    }
}

static void siphash_word(struct siphash_state *state, uint64_t word, uint32_t rounds)
{
    state->v3 ^= word;
    siphash_rounds(state, rounds);
    state->v0 ^= word;
}

uint64_t tresor__siphash(struct tresor__siphash_rounds rounds, const uint64_t key[2],
                         const void *bytes, size_t length)
{
    struct siphash_state state = {
        .v0 = key[0] ^ UINT64_C(0x736f6d6570736575),
        .v1 = key[1] ^ UINT64_C(0x646f72616e646f6d),
        .v2 = key[0] ^ UINT64_C(0x6c7967656e657261),
        .v3 = key[1] ^ UINT64_C(0x7465646279746573),
    };
    const uint8_t *input = bytes;
    size_t left = length;
    for (; left >= 8; left -= 8, input += 8)
        siphash_word(&state, tresor__load_u64(input), rounds.per_word);
    uint64_t last = (uint64_t)length << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)input[i] << (8 * i);
    siphash_word(&state, last, rounds.per_word);
    state.v2 ^= 0xff;
    siphash_rounds(&state, rounds.at_end);
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}
