/* SPDX-License-Identifier: MIT */
/*
 * Written member by member: a tree of all tensors would need a hundred times the memory of their
 * directory.
 */
#include "inspect.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "metadata.h"
#include "text.h"

#define ELEMENTS_MAX 16

/** Print and free a value. NULL, as jansson answers without memory, is an error. */
static int32_t print_value(json_t *value)
{
    if (!value)
        return TRESOR_ERROR_NO_MEMORY;
    /* An error of the stream sticks to it, and main tells. */
    json_dumpf(value, stdout, JSON_ENCODE_ANY);
    json_decref(value);
    return TRESOR_OK;
}

/** JSON numbers are read back as signed ones. */
static json_t *json_of_u64(uint64_t value)
{
    if (value > INT64_MAX)
        return json_sprintf("%" PRIu64, value);
    return json_integer((json_int_t)value);
}

static json_t *json_of_real(double value)
{
    if (isnan(value))
        return json_string("NaN");
    if (isinf(value))
        return json_string(value < 0 ? "-Infinity" : "Infinity");
    return json_real(value);
}

static json_t *json_of_value(const struct value *value)
{
    switch (value->kind) {
    case VALUE_UNSIGNED:
        return json_of_u64(value->number);
    case VALUE_SIGNED:
        return json_integer(value->integer);
    case VALUE_REAL:
        return json_of_real(value->real);
    case VALUE_BOOL:
        return json_boolean(value->number != 0);
    case VALUE_TEXT:
    default:
        return text_json(value->text, value->number);
    }
}

static json_t *json_of_array(const struct tresor_metadata_info *info)
{
    if (info->count > ELEMENTS_MAX)
        return json_pack("{s:s, s:o}", "type", metadata_type_name(info->element_type), "count",
                         json_of_u64(info->count));
    json_t *array = json_array();
    struct value_walk walk = value_walk_begin(info);
    struct value value;
    while (value_walk_next(&walk, &value))
        json_array_append_new(array, json_of_value(&value));
    return array;
}

static json_t *json_of_metadata(const struct tresor_metadata_info *info)
{
    struct value value;
    if (info->type == TRESOR_METADATA_ARRAY)
        return json_of_array(info);
    return value_of_scalar(info, &value) ? json_of_value(&value) : json_null();
}

/** Print element `index` of a list, on a line of its own. */
typedef int32_t element_printer(const struct opened *opened, uint32_t index);

static int32_t print_list(const struct opened *opened, const char *begin, uint32_t count,
                          element_printer *print, const char *end)
{
    int32_t code = TRESOR_OK;
    fputs(begin, stdout);
    for (uint32_t i = 0; i < count && code == TRESOR_OK; i++) {
        fputs(i > 0 ? ",\n  " : "\n  ", stdout);
        code = print(opened, i);
    }
    fputs(end, stdout);
    return code;
}

static int32_t print_file(const struct opened *opened, uint32_t index)
{
    struct tresor_file_info info = {.size_bytes = sizeof info};
    const int32_t code = tresor_source_get_file(opened->context, opened->source, index, &info);
    if (code != TRESOR_OK)
        return code;
    return print_value(json_pack("{s:o, s:o, s:s, s:o}", "path", text_json(info.path, strlen(info.path)),
                                 "size", json_of_u64(info.file_bytes), "compression",
                                 tresor_compression_name(info.compression), "stored",
                                 json_of_u64(info.stored_bytes)));
}

static int32_t print_metadata(const struct opened *opened, uint32_t index)
{
    struct tresor_metadata_info info = {.size_bytes = sizeof info};
    int32_t code = tresor_source_get_metadata(opened->context, opened->source, index, &info);
    if (code == TRESOR_OK)
        code = print_value(text_json_key(info.key, info.key_bytes));
    fputs(": ", stdout);
    return code == TRESOR_OK ? print_value(json_of_metadata(&info)) : code;
}

static int32_t print_tensor(const struct opened *opened, uint32_t index)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    const int32_t code = tresor_source_get_tensor(opened->context, opened->source, index, &info);
    if (code != TRESOR_OK)
        return code;
    json_t *shape = json_array();
    for (uint32_t i = 0; i < info.rank; i++)
        json_array_append_new(shape, json_of_u64(info.shape[i]));
    return print_value(json_pack(
        "{s:o, s:s, s:o, s:I, s:o, s:o}", "name", text_json(info.name, info.name_bytes), "dtype",
        tresor_dtype_name(info.dtype), "shape", shape, "file", (json_int_t)info.file, "offset",
        json_of_u64(info.offset_bytes), "size", json_of_u64(info.tensor_bytes)));
}

int32_t inspect_print_json(const struct opened *opened)
{
    const struct tresor_source_info *info = &opened->info;
    printf("{\"format\": \"%s\", \"version\": %" PRIu32 ", \"alignment\": %" PRIu64, info->format,
           info->version, info->alignment_bytes);
    int32_t code = print_list(opened, ",\n\"files\": [", info->file_count, print_file, "]");
    if (code == TRESOR_OK)
        code = print_list(opened, ",\n\"metadata\": {", info->metadata_count, print_metadata, "}");
    if (code == TRESOR_OK)
        code = print_list(opened, ",\n\"tensors\": [", info->tensor_count, print_tensor, "]");
    printf(",\n\"shape_order\": \"%s\", \"overlaps\": %" PRIu32 "}\n",
           info->shape_order == TRESOR_SHAPE_INNERMOST_FIRST ? "innermost_first"
                                                             : "outermost_first",
           info->overlap_count);
    return code;
}
