/* SPDX-License-Identifier: MIT */
#include "metadata.h"

#include <string.h>

static const struct {
    const char *name;
    uint8_t size_bytes; /* 0 where it varies */
    uint8_t kind;
} types[] = {
    [TRESOR_METADATA_U8] = {"u8", 1, VALUE_UNSIGNED},
    [TRESOR_METADATA_I8] = {"i8", 1, VALUE_SIGNED},
    [TRESOR_METADATA_U16] = {"u16", 2, VALUE_UNSIGNED},
    [TRESOR_METADATA_I16] = {"i16", 2, VALUE_SIGNED},
    [TRESOR_METADATA_U32] = {"u32", 4, VALUE_UNSIGNED},
    [TRESOR_METADATA_I32] = {"i32", 4, VALUE_SIGNED},
    [TRESOR_METADATA_F32] = {"f32", 4, VALUE_REAL},
    [TRESOR_METADATA_BOOL] = {"bool", 1, VALUE_BOOL},
    [TRESOR_METADATA_STRING] = {"string", 0, VALUE_TEXT},
    [TRESOR_METADATA_ARRAY] = {"array", 0, VALUE_TEXT},
    [TRESOR_METADATA_U64] = {"u64", 8, VALUE_UNSIGNED},
    [TRESOR_METADATA_I64] = {"i64", 8, VALUE_SIGNED},
    [TRESOR_METADATA_F64] = {"f64", 8, VALUE_REAL},
};

const char *metadata_type_name(uint32_t type)
{
    return type < sizeof types / sizeof types[0] ? types[type].name : "unknown";
}

static uint64_t bits_at(const uint8_t *bytes, uint32_t size_bytes)
{
    uint64_t bits = 0;
    for (uint32_t i = size_bytes; i-- > 0;)
        bits = bits << 8 | bytes[i];
    return bits;
}

/** Of two's complement, whatever its length. */
static int64_t sign_extended(uint64_t bits, uint32_t size_bytes)
{
    const uint64_t sign = (uint64_t)1 << (8 * size_bytes - 1);
    const uint64_t extended = (bits ^ sign) - sign;
    int64_t value;
    memcpy(&value, &extended, sizeof value);
    return value;
}

static double real_of_bits(uint64_t bits, uint32_t size_bytes)
{
    double wide;
    float narrow;
    const uint32_t low_bits = (uint32_t)bits;
    memcpy(&wide, &bits, sizeof wide);
    memcpy(&narrow, &low_bits, sizeof narrow);
    return size_bytes == sizeof narrow ? (double)narrow : wide;
}

/** A value of a type that has one size. Returns that size; 0 if it has not, or not so many bytes
 * are left. */
static uint64_t take_fixed(uint32_t type, const uint8_t *bytes, uint64_t left_bytes,
                           struct value *value)
{
    if (type >= sizeof types / sizeof types[0] || types[type].size_bytes == 0 ||
        types[type].size_bytes > left_bytes)
        return 0;
    const uint32_t size_bytes = types[type].size_bytes;
    const uint64_t bits = bits_at(bytes, size_bytes);
    *value = (struct value){
        .kind = types[type].kind,
        .number = bits,
        .integer = sign_extended(bits, size_bytes),
        .real = real_of_bits(bits, size_bytes),
    };
    return size_bytes;
}

static struct value value_of_text(const uint8_t *bytes, uint64_t size_bytes)
{
    return (struct value){.kind = VALUE_TEXT, .number = size_bytes, .text = (const char *)bytes};
}

bool value_of_scalar(const struct tresor_metadata_info *info, struct value *value)
{
    if (info->type != TRESOR_METADATA_STRING)
        return take_fixed(info->type, info->data, info->data_bytes, value) > 0;
    *value = value_of_text(info->data, info->data_bytes);
    return true;
}

struct value_walk value_walk_begin(const struct tresor_metadata_info *info)
{
    return (struct value_walk){
        .type = info->element_type,
        .left = info->count,
        .at = info->data,
        .left_bytes = info->data_bytes,
    };
}

bool value_walk_next(struct value_walk *walk, struct value *value)
{
    if (walk->left == 0)
        return false;
    uint64_t taken_bytes = 0;
    if (walk->type != TRESOR_METADATA_STRING) {
        taken_bytes = take_fixed(walk->type, walk->at, walk->left_bytes, value);
    } else if (walk->left_bytes >= 8) {
        const uint64_t text_bytes = bits_at(walk->at, 8);
        if (text_bytes > walk->left_bytes - 8)
            return false;
        *value = value_of_text(walk->at + 8, text_bytes);
        taken_bytes = 8 + text_bytes;
    }
    walk->at += taken_bytes;
    walk->left_bytes -= taken_bytes;
    walk->left--;
    return taken_bytes > 0;
}
