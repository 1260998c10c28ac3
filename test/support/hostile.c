/* SPDX-License-Identifier: MIT */
#include "support/hostile.h"

#include <string.h>

#include <tresor/error.h>
#include <tresor/tensor.h>

enum { DATA_BYTES = 256 };

static const uint64_t ones[5] = {1, 1, 1, 1, 1};

static void put_data(struct bytes *bytes)
{
    bytes_pad(bytes, 32);
    bytes_put_zeros(bytes, DATA_BYTES);
}

/* --- GGUF: strings, arrays and counts --- */

static void put_key_length(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, 0, 1);
    bytes_put_u64(bytes, UINT64_MAX);
    put_data(bytes);
}

static void put_string_length(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, 0, 1);
    gguf_put_key(bytes, "k", TRESOR_METADATA_STRING);
    bytes_put_u64(bytes, UINT64_MAX);
    put_data(bytes);
}

static void put_array(struct bytes *bytes, uint32_t type, uint64_t count)
{
    gguf_put_header(bytes, 3, 0, 1);
    gguf_put_key_array(bytes, "k", type, count);
    put_data(bytes);
}

static void put_array_wraps(struct bytes *bytes)
{
    put_array(bytes, TRESOR_METADATA_U64, UINT64_C(1) << 61);
}

static void put_strings_wrap(struct bytes *bytes)
{
    put_array(bytes, TRESOR_METADATA_STRING, UINT64_C(1) << 60);
}

static void put_array_huge(struct bytes *bytes)
{
    put_array(bytes, TRESOR_METADATA_U8, UINT64_MAX);
}

static void put_array_of_arrays(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, 0, 1);
    gguf_put_key_array(bytes, "k", TRESOR_METADATA_ARRAY, 1);
    for (uint32_t depth = 0; depth < 100000; depth++) {
        bytes_put_u32(bytes, TRESOR_METADATA_ARRAY);
        bytes_put_u64(bytes, 1);
    }
    put_data(bytes);
}

static void put_unfinished_strings(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, 0, 1);
    gguf_put_key_array(bytes, "k", TRESOR_METADATA_STRING, 3);
    gguf_put_string(bytes, "fine");
    bytes_put_u64(bytes, UINT64_MAX - 7);
    put_data(bytes);
}

static void put_tensor_count(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, (UINT64_C(1) << 61) + 1, 0);
    put_data(bytes);
}

static void put_metadata_count(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, 0, UINT64_MAX / 24 + 2);
    put_data(bytes);
}

/* A reader that keeps 368 bytes for each finds that this is enough for 16 of them. */
static void put_room_of_tensors(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, UINT64_MAX / 368 + 16, 0);
    put_data(bytes);
}

/* --- GGUF: tensors --- */

static void put_tensor(struct bytes *bytes, uint32_t rank, const uint64_t *shape, uint32_t dtype,
                       uint64_t offset)
{
    gguf_put_header(bytes, 3, 1, 0);
    gguf_put_tensor(bytes, "t", rank, shape, dtype, offset);
    put_data(bytes);
}

static void put_rank_unbacked(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, 1, 0);
    gguf_put_string(bytes, "t");
    bytes_put_u32(bytes, UINT32_MAX);
    put_data(bytes);
}

static void put_rank_5(struct bytes *bytes)
{
    put_tensor(bytes, 5, ones, TRESOR_DTYPE_F32, 0);
}

static void put_product_wraps(struct bytes *bytes)
{
    static const uint64_t shape[2] = {UINT64_C(1) << 32, UINT64_C(1) << 32};
    put_tensor(bytes, 2, shape, TRESOR_DTYPE_F32, 0);
}

static void put_bytes_wrap(struct bytes *bytes)
{
    static const uint64_t shape[2] = {UINT64_C(1) << 31, UINT64_C(1) << 31};
    put_tensor(bytes, 2, shape, TRESOR_DTYPE_F32, 0);
}

static void put_product_times_zero(struct bytes *bytes)
{
    static const uint64_t shape[3] = {UINT64_C(1) << 32, UINT64_C(1) << 32, 0};
    put_tensor(bytes, 3, shape, TRESOR_DTYPE_F32, 0);
}

static void put_negative_dimension(struct bytes *bytes)
{
    static const uint64_t shape[2] = {UINT64_MAX, UINT64_MAX};
    put_tensor(bytes, 2, shape, TRESOR_DTYPE_I8, 0);
}

static void put_negative_type(struct bytes *bytes)
{
    put_tensor(bytes, 1, ones, UINT32_MAX, 0);
}

/* Three tensors one behind the other; padded, their sizes come to 64. */
static void put_sizes_wrap(struct bytes *bytes)
{
    static const uint64_t large[1] = {(UINT64_C(1) << 63) - 32}, small[1] = {128};
    gguf_put_header(bytes, 3, 3, 0);
    gguf_put_tensor(bytes, "a", 1, small, TRESOR_DTYPE_I8, 0);
    gguf_put_tensor(bytes, "b", 1, large, TRESOR_DTYPE_I8, 128);
    gguf_put_tensor(bytes, "c", 1, large, TRESOR_DTYPE_I8, 128 + large[0]);
    put_data(bytes);
}

static void put_offset_wraps(struct bytes *bytes)
{
    put_tensor(bytes, 1, ones, TRESOR_DTYPE_F32, UINT64_MAX - 31);
}

static void put_offset_past_the_end(struct bytes *bytes)
{
    put_tensor(bytes, 1, ones, TRESOR_DTYPE_F32, DATA_BYTES);
}

static void put_same_tensors(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, 2, 0);
    gguf_put_tensor(bytes, "same", 1, ones, TRESOR_DTYPE_F32, 0);
    gguf_put_tensor(bytes, "same", 1, ones, TRESOR_DTYPE_F32, 32);
    put_data(bytes);
}

static void put_same_keys(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, 0, 2);
    gguf_put_key_u32(bytes, "general.alignment", 32);
    gguf_put_key_u32(bytes, "general.alignment", 64);
    put_data(bytes);
}

static void put_nul_in_name(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, 1, 0);
    bytes_put_u64(bytes, 3);
    bytes_put(bytes, "a\0b", 3);
    put_data(bytes);
}

static void put_alignment_0(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, 1, 1);
    gguf_put_key_u32(bytes, "general.alignment", 0);
    gguf_put_tensor(bytes, "t", 1, ones, TRESOR_DTYPE_F32, 0);
    put_data(bytes);
}

static void put_alignment_2_63(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, 1, 1);
    gguf_put_key(bytes, "general.alignment", TRESOR_METADATA_U64);
    bytes_put_u64(bytes, UINT64_C(1) << 63);
    gguf_put_tensor(bytes, "t", 1, ones, TRESOR_DTYPE_F32, 0);
    put_data(bytes);
}

static void put_alignment_2_31(struct bytes *bytes)
{
    gguf_put_header(bytes, 3, 1, 1);
    gguf_put_key_u32(bytes, "general.alignment", UINT32_C(1) << 31);
    gguf_put_tensor(bytes, "t", 1, ones, TRESOR_DTYPE_F32, 0);
    put_data(bytes);
}

/* --- TMAI --- */

static void put_layers(struct bytes *bytes, uint32_t claimed, const uint32_t (*layers)[3],
                       uint32_t count, size_t data_bytes)
{
    tmai_put_header(bytes, 1, claimed);
    for (uint32_t i = 0; i < count; i++)
        tmai_put_layer(bytes, layers[i][0], layers[i][1], layers[i][2]);
    bytes_put_zeros(bytes, data_bytes);
}

static void put_layers_unbacked(struct bytes *bytes)
{
    put_layers(bytes, UINT32_MAX, NULL, 0, 64);
}

/* As many as wrap to none where the size of the table has 32 bits. */
static void put_layers_wrap(struct bytes *bytes)
{
    put_layers(bytes, UINT32_C(1) << 27, NULL, 0, 64);
}

static void put_layer_on_header(struct bytes *bytes)
{
    put_layers(bytes, 1, (const uint32_t[][3]){{0, 64, 4}}, 1, 64);
}

static void put_layer_on_table(struct bytes *bytes)
{
    put_layers(bytes, 1, (const uint32_t[][3]){{287, 64, 4}}, 1, 64);
}

/* Offset and size come to 64 where their sum has 32 bits. */
static void put_layer_end_wraps(struct bytes *bytes)
{
    put_layers(bytes, 1, (const uint32_t[][3]){{UINT32_MAX - 31, 96, 4}}, 1, 64);
}

static void put_layer_past_the_end(struct bytes *bytes)
{
    put_layers(bytes, 1, (const uint32_t[][3]){{288, 65, 4}}, 1, 64);
}

static void put_layers_overlap(struct bytes *bytes)
{
    put_layers(bytes, 2, (const uint32_t[][3]){{320, 64, 4}, {383, 64, 4}}, 2, 127);
}

static void put_layer_twice(struct bytes *bytes)
{
    put_layers(bytes, 2, (const uint32_t[][3]){{320, 64, 4}, {320, 64, 4}}, 2, 64);
}

static void put_layer_hole(struct bytes *bytes)
{
    put_layers(bytes, 2, (const uint32_t[][3]){{320, 64, 4}, {384 + 4096, 64, 4}}, 2, 8192);
}

static void put_layer_trailer(struct bytes *bytes)
{
    put_layers(bytes, 1, (const uint32_t[][3]){{288, 64, 4}}, 1, 64 + 4096);
}

static void put_layer_empty(struct bytes *bytes)
{
    put_layers(bytes, 1, (const uint32_t[][3]){{288, 0, 4}}, 1, 64);
}

static void put_precision_0(struct bytes *bytes)
{
    put_layers(bytes, 1, (const uint32_t[][3]){{288, 64, 0}}, 1, 64);
}

static void put_precision_negative(struct bytes *bytes)
{
    put_layers(bytes, 1, (const uint32_t[][3]){{288, 64, UINT32_MAX}}, 1, 64);
}

static void put_layer_unaligned(struct bytes *bytes)
{
    put_layers(bytes, 1, (const uint32_t[][3]){{290, 64, 32}}, 1, 66);
}

static void put_endless_name(struct bytes *bytes)
{
    put_layers(bytes, 1, (const uint32_t[][3]){{288, 64, 4}}, 1, 64);
    memset(bytes->data + 16, 'a', 64);
}

static void put_other_order(struct bytes *bytes)
{
    put_layers(bytes, 1, (const uint32_t[][3]){{288, 64, 4}}, 1, 64);
    memcpy(bytes->data, "TMAI\0\0\0\1", 8);
}

static void put_offset_of_64_bits(struct bytes *bytes)
{
    put_layers(bytes, 1, (const uint32_t[][3]){{288, 64, 4}}, 1, 64);
    bytes->data[256 + 12] = 1;
}

#ifdef TRESOR__SAFETENSORS

/* --- safetensors --- */

#define TENSOR(shape, begin, end)                                                                  \
    "{\"dtype\":\"U8\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void put_text(struct bytes *bytes, const char *json, size_t data_bytes)
{
    safetensors_put_header(bytes, json);
    bytes_put_zeros(bytes, data_bytes);
}

static void put_length(struct bytes *bytes, uint64_t length)
{
    bytes_put_u64(bytes, length);
    bytes_put_text(bytes, "{\"a\":" TENSOR("[1]", 0, 1) "}");
    bytes_put_zeros(bytes, 1);
}

static void put_over_100_mb(struct bytes *bytes)
{
    put_length(bytes, 100000001);
}

static void put_100_mb(struct bytes *bytes)
{
    put_length(bytes, 100000000);
}

static void put_length_wraps(struct bytes *bytes)
{
    put_length(bytes, UINT64_MAX - 7);
}

static void put_doubles(struct bytes *bytes)
{
    put_text(bytes, "{\"a\":" TENSOR("[1]", 0, 1) ",\"a\":" TENSOR("[1]", 1, 2) "}", 2);
}

static void put_doubles_in_metadata(struct bytes *bytes)
{
    put_text(bytes, "{\"__metadata__\":{\"format\":\"pt\",\"format\":\"tf\"}}", 0);
}

static void put_hole_before(struct bytes *bytes)
{
    put_text(bytes, "{\"a\":" TENSOR("[1]", 1, 2) "}", 2);
}

static void put_hole_between(struct bytes *bytes)
{
    put_text(bytes, "{\"a\":" TENSOR("[1]", 0, 1) ",\"b\":" TENSOR("[1]", 2, 3) "}", 3);
}

static void put_hole_behind(struct bytes *bytes)
{
    put_text(bytes, "{\"a\":" TENSOR("[1]", 0, 1) "}", 2);
}

static void put_overlap(struct bytes *bytes)
{
    put_text(bytes, "{\"a\":" TENSOR("[2]", 0, 2) ",\"b\":" TENSOR("[2]", 1, 3) "}", 3);
}

static void put_end_before_begin(struct bytes *bytes)
{
    put_text(bytes, "{\"a\":" TENSOR("[1]", 1, 0) "}", 1);
}

static void put_shape_wraps(struct bytes *bytes)
{
    put_text(bytes, "{\"a\":" TENSOR("[4294967296,4294967296]", 0, 0) "}", 0);
}

static void put_text_behind(struct bytes *bytes)
{
    put_text(bytes, "{}<script>", 0);
}

static void put_nesting(struct bytes *bytes)
{
    enum { DEPTH = 100000 };
    bytes_put_u64(bytes, 5 + DEPTH);
    bytes_put_text(bytes, "{\"a\":");
    bytes_put_zeros(bytes, DEPTH);
    memset(bytes->data + bytes->size - DEPTH, '[', DEPTH);
}

static void put_bad_utf8(struct bytes *bytes)
{
    put_text(bytes, "{\"\xff\":" TENSOR("[1]", 0, 1) "}", 1);
}

static void put_way_out(struct bytes *bytes)
{
    bytes_put_text(bytes, "{\"weight_map\":{\"a\":\"../../etc/passwd\"}}");
}

/* --- layouts --- */

static void put_layout(struct bytes *bytes, const char *shape, const char *file, const char *place)
{
    bytes_put_text(bytes, "{\"tresor_layout\":1,\"tensors\":[{\"name\":\"a\",\"dtype\":\"u8\",\"shape\":");
    bytes_put_text(bytes, shape);
    bytes_put_text(bytes, ",\"file\":\"");
    bytes_put_text(bytes, file);
    bytes_put_text(bytes, "\",");
    bytes_put_text(bytes, place);
    bytes_put_text(bytes, "}]}");
}

static void put_layout_way_out(struct bytes *bytes)
{
    put_layout(bytes, "[1]", "../../etc/passwd", "\"offset\":0,\"size\":1");
}

static void put_layout_end_wraps(struct bytes *bytes)
{
    put_layout(bytes, "[2]", "a", "\"offset\":9223372036854775806,\"size\":2");
}

static void put_layout_shape_wraps(struct bytes *bytes)
{
    put_layout(bytes, "[4294967296,4294967296]", "a", "\"offset\":0,\"size\":0");
}

static void put_layout_other_size(struct bytes *bytes)
{
    put_layout(bytes, "[1]", "a", "\"offset\":0,\"size\":1000000");
}

#endif

static const struct hostile_file files[] = {
    {"CVE-2024-21802", "a rank of 2^32-1", put_rank_unbacked, TRESOR_ERROR_MALFORMED},
    {"n_dims overflow", "a rank of 5 where there is room for 4", put_rank_5,
     TRESOR_ERROR_MALFORMED},
    {"CVE-2024-21825", "an array whose size wraps to 0", put_array_wraps, TRESOR_ERROR_TRUNCATED},
    {"CVE-2024-21825", "an array of strings whose room wraps to 0", put_strings_wrap,
     TRESOR_ERROR_TRUNCATED},
    {"CVE-2024-21836", "2^61+1 tensors", put_tensor_count, TRESOR_ERROR_TRUNCATED},
    {"CVE-2024-23496", "a key of 2^64-1 bytes", put_key_length, TRESOR_ERROR_LIMIT},
    {"CVE-2024-23496", "a string of 2^64-1 bytes", put_string_length, TRESOR_ERROR_TRUNCATED},
    {"CVE-2024-23605", "as many metadata values as wrap their room", put_metadata_count,
     TRESOR_ERROR_TRUNCATED},
    {"CVE-2024-32878", "an array of strings that ends within its second", put_unfinished_strings,
     TRESOR_ERROR_TRUNCATED},
    {"GHSA-vgg9-87g3-85w8", "tensors whose padded sizes wrap in sum", put_sizes_wrap,
     TRESOR_ERROR_MALFORMED},
    {"GHSA-3p75-pq92-q28f", "as many tensors as wrap the room of their context",
     put_room_of_tensors, TRESOR_ERROR_TRUNCATED},
    {"CVE-2026-33298", "a shape whose elements fit and whose bytes wrap", put_bytes_wrap,
     TRESOR_ERROR_MALFORMED},
    {"ne product wrap", "a shape of 2^32 by 2^32", put_product_wraps, TRESOR_ERROR_MALFORMED},
    {"ne product wrap", "the same by 0", put_product_times_zero, TRESOR_ERROR_MALFORMED},
    {"negative dimension", "a shape of -1 by -1", put_negative_dimension, TRESOR_ERROR_MALFORMED},
    {"negative type", "a tensor of type -1", put_negative_type, TRESOR_ERROR_UNSUPPORTED},
    {"alignment 0", "an alignment of 0", put_alignment_0, TRESOR_ERROR_MALFORMED},
    {"alignment 2^63", "an alignment of 2^63", put_alignment_2_63, TRESOR_ERROR_MALFORMED},
    {"alignment 2^31", "an alignment of 2^31", put_alignment_2_31, TRESOR_ERROR_MALFORMED},
    {"huge array", "an array of 2^64-1 bytes", put_array_huge, TRESOR_ERROR_TRUNCATED},
    {"nested arrays", "arrays of arrays, 100000 deep", put_array_of_arrays,
     TRESOR_ERROR_UNSUPPORTED},
    {"offset wrap", "a tensor at 2^64-32", put_offset_wraps, TRESOR_ERROR_MALFORMED},
    {"offset past the end", "a tensor where the file ends", put_offset_past_the_end,
     TRESOR_ERROR_TRUNCATED},
    {"duplicate keys", "two tensors of one name", put_same_tensors, TRESOR_ERROR_DUPLICATE},
    {"duplicate keys", "two alignments", put_same_keys, TRESOR_ERROR_DUPLICATE},
    {"NUL in a name", "a name that ends before it ends", put_nul_in_name, TRESOR_ERROR_MALFORMED},
    {"layers unbacked", "2^32-1 layers", put_layers_unbacked, TRESOR_ERROR_TRUNCATED},
    {"layers unbacked", "2^27 layers, whose table wraps", put_layers_wrap, TRESOR_ERROR_TRUNCATED},
    {"header as weights", "a layer at the file's start", put_layer_on_header,
     TRESOR_ERROR_MALFORMED},
    {"header as weights", "a layer at the table's last byte", put_layer_on_table,
     TRESOR_ERROR_MALFORMED},
    {"layer end wrap", "a layer that ends at 2^32+64", put_layer_end_wraps, TRESOR_ERROR_TRUNCATED},
    {"layer past the end", "a layer with a byte too many", put_layer_past_the_end,
     TRESOR_ERROR_TRUNCATED},
    {"layers overlap", "a byte of two layers", put_layers_overlap, TRESOR_ERROR_MALFORMED},
    {"layers overlap", "the same layer twice", put_layer_twice, TRESOR_ERROR_MALFORMED},
    {"layers with a hole", "a page of no layer", put_layer_hole, TRESOR_ERROR_MALFORMED},
    {"layers with a hole", "a page behind the last layer", put_layer_trailer,
     TRESOR_ERROR_MALFORMED},
    {"layer of no bytes", "a layer of no bytes", put_layer_empty, TRESOR_ERROR_MALFORMED},
    {"precision", "elements of 0 bits", put_precision_0, TRESOR_ERROR_UNSUPPORTED},
    {"precision", "elements of -1 bits", put_precision_negative, TRESOR_ERROR_UNSUPPORTED},
    {"layer unaligned", "elements of 4 bytes at 290", put_layer_unaligned, TRESOR_ERROR_MALFORMED},
    {"endless name", "a model's name without an end", put_endless_name, TRESOR_ERROR_MALFORMED},
    {"other byte order", "a file of the other byte order", put_other_order, TRESOR_ERROR_VERSION},
    {"unused words", "an offset of 64 bits", put_offset_of_64_bits, TRESOR_ERROR_MALFORMED},
#ifdef TRESOR__SAFETENSORS
    {"100 MB header", "a header of 100000001 bytes", put_over_100_mb, TRESOR_ERROR_LIMIT},
    {"100 MB header", "a header of 100000000 bytes in a file of 70", put_100_mb,
     TRESOR_ERROR_TRUNCATED},
    {"header length wrap", "a header of 2^64-8 bytes", put_length_wraps, TRESOR_ERROR_LIMIT},
    {"duplicate keys", "two tensors of one name", put_doubles, TRESOR_ERROR_DUPLICATE},
    {"duplicate keys", "two metadata values of one key", put_doubles_in_metadata,
     TRESOR_ERROR_DUPLICATE},
    {"holes", "bytes before the first tensor", put_hole_before, TRESOR_ERROR_MALFORMED},
    {"holes", "bytes between tensors", put_hole_between, TRESOR_ERROR_MALFORMED},
    {"holes", "bytes behind the last tensor", put_hole_behind, TRESOR_ERROR_MALFORMED},
    {"overlaps", "a byte of two tensors", put_overlap, TRESOR_ERROR_MALFORMED},
    {"offsets reversed", "a tensor that ends before it begins", put_end_before_begin,
     TRESOR_ERROR_MALFORMED},
    {"shape product wrap", "a shape of 2^32 by 2^32", put_shape_wraps, TRESOR_ERROR_MALFORMED},
    {"polyglot header", "text behind the header's object", put_text_behind,
     TRESOR_ERROR_MALFORMED},
    {"deep nesting", "arrays of arrays, 100000 deep", put_nesting, TRESOR_ERROR_MALFORMED},
    {"bad UTF-8", "a name that is no text", put_bad_utf8, TRESOR_ERROR_MALFORMED},
    {"path traversal", "an index whose shard is ../../etc/passwd", put_way_out,
     TRESOR_ERROR_SHARD},
    {"path traversal", "a layout whose file is ../../etc/passwd", put_layout_way_out,
     TRESOR_ERROR_SHARD},
    {"offset wrap", "a layout's tensor at 2^63-2 of 2 bytes", put_layout_end_wraps,
     TRESOR_ERROR_MALFORMED},
    {"shape product wrap", "a layout's shape of 2^32 by 2^32", put_layout_shape_wraps,
     TRESOR_ERROR_MALFORMED},
    {"size mismatch", "a layout's tensor of one byte that is said to have 1000000",
     put_layout_other_size, TRESOR_ERROR_MALFORMED},
#endif
};

const struct hostile_file *hostile_files(size_t *count)
{
    *count = sizeof files / sizeof files[0];
    return files;
}
