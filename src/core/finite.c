/* SPDX-License-Identifier: MIT */
#include "core/finite.h"

#include <stdbool.h>
#include <string.h>

#include <tresor/tensor.h>

enum {
    STRETCH = 1024, /* elements that are looked at as one */
};

/* What is not finite has all bits of its exponent. */
enum kind {
    NOTHING,
    HALF,  /* f16 */
    BRAIN, /* bf16 */
    SINGLE,
    DOUBLE,
    E4M3, /* one NaN of either sign, no infinity */
    E5M2,
    E8M0,   /* one NaN */
    SPREAD, /* f16, four bits in each of four 16-bit words */
};

/* `count` numbers from `offset` on in each unit. Block layouts are those of ggml/src/ggml-common.h. */
struct row {
    uint16_t dtype;
    uint16_t size_bytes;
    uint16_t elements;
    uint8_t kind;
    uint8_t count;
    uint16_t offset;
};

static const struct row rows[] = {
    {TRESOR_DTYPE_F32, 4, 1, SINGLE, 1, 0},      {TRESOR_DTYPE_F16, 2, 1, HALF, 1, 0},
    {TRESOR_DTYPE_BF16, 2, 1, BRAIN, 1, 0},      {TRESOR_DTYPE_F64, 8, 1, DOUBLE, 1, 0},
    {TRESOR_DTYPE_C64, 8, 1, SINGLE, 2, 0},      {TRESOR_DTYPE_F8_E4M3, 1, 1, E4M3, 1, 0},
    {TRESOR_DTYPE_F8_E5M2, 1, 1, E5M2, 1, 0},    {TRESOR_DTYPE_F8_E8M0, 1, 1, E8M0, 1, 0},
    {TRESOR_DTYPE_Q4_0, 18, 32, HALF, 1, 0},     {TRESOR_DTYPE_Q4_1, 20, 32, HALF, 2, 0},
    {TRESOR_DTYPE_Q5_0, 22, 32, HALF, 1, 0},     {TRESOR_DTYPE_Q5_1, 24, 32, HALF, 2, 0},
    {TRESOR_DTYPE_Q8_0, 34, 32, HALF, 1, 0},     {TRESOR_DTYPE_Q8_1, 36, 32, HALF, 2, 0},
    {TRESOR_DTYPE_Q2_K, 84, 256, HALF, 2, 80},   {TRESOR_DTYPE_Q3_K, 110, 256, HALF, 1, 108},
    {TRESOR_DTYPE_Q4_K, 144, 256, HALF, 2, 0},   {TRESOR_DTYPE_Q5_K, 176, 256, HALF, 2, 0},
    {TRESOR_DTYPE_Q6_K, 210, 256, HALF, 1, 208}, {TRESOR_DTYPE_Q8_K, 292, 256, SINGLE, 1, 0},
    {TRESOR_DTYPE_IQ2_XXS, 66, 256, HALF, 1, 0}, {TRESOR_DTYPE_IQ2_XS, 74, 256, HALF, 1, 0},
    {TRESOR_DTYPE_IQ2_S, 82, 256, HALF, 1, 0},   {TRESOR_DTYPE_IQ3_XXS, 98, 256, HALF, 1, 0},
    {TRESOR_DTYPE_IQ3_S, 110, 256, HALF, 1, 0},  {TRESOR_DTYPE_IQ1_S, 50, 256, HALF, 1, 0},
    {TRESOR_DTYPE_IQ1_M, 56, 256, SPREAD, 1, 48}, {TRESOR_DTYPE_IQ4_NL, 18, 32, HALF, 1, 0},
    {TRESOR_DTYPE_IQ4_XS, 136, 256, HALF, 1, 0}, {TRESOR_DTYPE_TQ1_0, 54, 256, HALF, 1, 52},
    {TRESOR_DTYPE_TQ2_0, 66, 256, HALF, 1, 64},  {TRESOR_DTYPE_MXFP4, 17, 32, E8M0, 1, 0},
};

static const struct row *row_of(uint32_t dtype)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].dtype == dtype)
            return &rows[i];
    return NULL;
}

struct tresor__unit tresor__finite_unit(uint32_t dtype)
{
    const struct row *row = row_of(dtype);
    return row ? (struct tresor__unit){row->size_bytes, row->elements} : (struct tresor__unit){0};
}

/* Files are little endian, and so is every machine that maps their tensors. */
static uint16_t take_16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint32_t take_32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint64_t take_64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

/* Whether any of a stretch is not finite: without a branch in it, so that a compiler makes vectors of it. */
static bool has_bad_16(const uint8_t *bytes, size_t count, uint16_t exponent)
{
    uint16_t bad = 0;
    for (size_t i = 0; i < count; i++)
        bad |= (uint16_t)-(uint16_t)((take_16(bytes + 2 * i) & exponent) == exponent);
    return bad != 0;
}

static bool has_bad_32(const uint8_t *bytes, size_t count)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++)
        bad |= (uint32_t)-(uint32_t)((take_32(bytes + 4 * i) & 0x7f800000u) == 0x7f800000u);
    return bad != 0;
}

static uint32_t gather(const uint8_t *bytes)
{
    return (uint32_t)take_16(bytes) >> 12 | (take_16(bytes + 2) >> 8 & 0x00f0u) |
           (take_16(bytes + 4) >> 4 & 0x0f00u) | (take_16(bytes + 6) & 0xf000u);
}

static bool is_bad(uint8_t kind, const uint8_t *bytes)
{
    static const uint64_t exponent = UINT64_C(0x7ff) << 52;
    switch (kind) {
    case HALF:
        return (take_16(bytes) & 0x7c00u) == 0x7c00u;
    case BRAIN:
        return (take_16(bytes) & 0x7f80u) == 0x7f80u;
    case SINGLE:
        return (take_32(bytes) & 0x7f800000u) == 0x7f800000u;
    case DOUBLE:
        return (take_64(bytes) & exponent) == exponent;
    case E4M3:
        return (*bytes & 0x7fu) == 0x7fu;
    case E5M2:
        return (*bytes & 0x7cu) == 0x7cu;
    case E8M0:
        return *bytes == 0xffu;
    case SPREAD:
        return (gather(bytes) & 0x7c00u) == 0x7c00u;
    default:
        return false;
    }
}

static uint32_t number_bytes(uint8_t kind)
{
    return kind == SINGLE ? 4 : 2; /* of those that come in twos */
}

static bool has_bad(const struct row *row, const uint8_t *unit)
{
    for (uint32_t i = 0; i < row->count; i++)
        if (is_bad(row->kind, unit + row->offset + i * number_bytes(row->kind)))
            return true;
    return false;
}

/* Stretches that are good as a whole are passed over. */
static size_t skip_good(const struct row *row, const uint8_t *bytes, size_t count)
{
    size_t done = 0;
    bool is_good = row->elements == 1 && row->count == 1 &&
                   (row->kind == SINGLE || row->kind == HALF || row->kind == BRAIN);
    while (is_good && done + STRETCH <= count) {
        const uint8_t *stretch = bytes + done * row->size_bytes;
        is_good = row->kind == SINGLE
                      ? !has_bad_32(stretch, STRETCH)
                      : !has_bad_16(stretch, STRETCH, row->kind == HALF ? 0x7c00 : 0x7f80);
        done += is_good ? STRETCH : 0;
    }
    return done;
}

size_t tresor__finite_find(uint32_t dtype, const void *memory, size_t count)
{
    const struct row *row = row_of(dtype);
    const uint8_t *bytes = memory;
    if (!row)
        return count;
    size_t found = skip_good(row, bytes, count);
    while (found < count && !has_bad(row, bytes + found * row->size_bytes))
        found++;
    return found;
}
