/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_TENSOR_H
#define TRESOR_TENSOR_H

#include <stdint.h>

#include <tresor/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The most dimensions that a tensor may have. */
#define TRESOR_RANK_MAX 8

/**
 * Element types. GGUF's are those of ggml.h (enum ggml_type), safetensors' those of its README; where both have
 * a type it is one value here. A type that this list lacks cannot be sized and is an UNSUPPORTED error.
 */
enum tresor_dtype {
    TRESOR_DTYPE_F32 = 0,
    TRESOR_DTYPE_F16 = 1,
    TRESOR_DTYPE_Q4_0 = 2,
    TRESOR_DTYPE_Q4_1 = 3,
    TRESOR_DTYPE_Q5_0 = 6,
    TRESOR_DTYPE_Q5_1 = 7,
    TRESOR_DTYPE_Q8_0 = 8,
    TRESOR_DTYPE_Q8_1 = 9,
    TRESOR_DTYPE_Q2_K = 10,
    TRESOR_DTYPE_Q3_K = 11,
    TRESOR_DTYPE_Q4_K = 12,
    TRESOR_DTYPE_Q5_K = 13,
    TRESOR_DTYPE_Q6_K = 14,
    TRESOR_DTYPE_Q8_K = 15,
    TRESOR_DTYPE_IQ2_XXS = 16,
    TRESOR_DTYPE_IQ2_XS = 17,
    TRESOR_DTYPE_IQ3_XXS = 18,
    TRESOR_DTYPE_IQ1_S = 19,
    TRESOR_DTYPE_IQ4_NL = 20,
    TRESOR_DTYPE_IQ3_S = 21,
    TRESOR_DTYPE_IQ2_S = 22,
    TRESOR_DTYPE_IQ4_XS = 23,
    TRESOR_DTYPE_I8 = 24,
    TRESOR_DTYPE_I16 = 25,
    TRESOR_DTYPE_I32 = 26,
    TRESOR_DTYPE_I64 = 27,
    TRESOR_DTYPE_F64 = 28,
    TRESOR_DTYPE_IQ1_M = 29,
    TRESOR_DTYPE_BF16 = 30,
    TRESOR_DTYPE_TQ1_0 = 34,
    TRESOR_DTYPE_TQ2_0 = 35,
    TRESOR_DTYPE_MXFP4 = 39,
    /* safetensors' own, from 1000 on so that ggml can grow */
    TRESOR_DTYPE_BOOL = 1000,
    TRESOR_DTYPE_U8 = 1001,
    TRESOR_DTYPE_U16 = 1002,
    TRESOR_DTYPE_U32 = 1003,
    TRESOR_DTYPE_U64 = 1004,
    TRESOR_DTYPE_F8_E4M3 = 1005,
    TRESOR_DTYPE_F8_E5M2 = 1006,
    TRESOR_DTYPE_F8_E8M0 = 1007,
    TRESOR_DTYPE_C64 = 1008,
};

/** Name of an element type as engines write it, like "f32", "q4_K" or "bf16"; "unknown" otherwise. Any thread. */
TRESOR_API const char *tresor_dtype_name(uint32_t dtype);

/** Which end of a shape varies fastest in memory. */
enum tresor_shape_order {
    TRESOR_SHAPE_INNERMOST_FIRST = 0, /**< GGUF, TMAI: shape[0] is contiguous */
    TRESOR_SHAPE_OUTERMOST_FIRST = 1, /**< safetensors: the last dimension is contiguous */
};

/** Type of a metadata value; the values are GGUF's gguf_metadata_value_type. */
enum tresor_metadata_type {
    TRESOR_METADATA_U8 = 0,
    TRESOR_METADATA_I8 = 1,
    TRESOR_METADATA_U16 = 2,
    TRESOR_METADATA_I16 = 3,
    TRESOR_METADATA_U32 = 4,
    TRESOR_METADATA_I32 = 5,
    TRESOR_METADATA_F32 = 6,
    TRESOR_METADATA_BOOL = 7,
    TRESOR_METADATA_STRING = 8,
    TRESOR_METADATA_ARRAY = 9,
    TRESOR_METADATA_U64 = 10,
    TRESOR_METADATA_I64 = 11,
    TRESOR_METADATA_F64 = 12,
};

#ifdef __cplusplus
}
#endif

#endif
