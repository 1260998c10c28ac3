/* SPDX-License-Identifier: MIT */
#include "inspect.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "human.h"
#include "metadata.h"
#include "text.h"

#define ELEMENTS_MAX 6
#define KEY_COLUMNS_MAX 60
#define NAME_COLUMNS_MAX 80
#define TEXT_COLUMNS_MAX 60
#define ELEMENT_COLUMNS_MAX 24
#define SHAPE_TEXT_BYTES (TRESOR_RANK_MAX * 22 + 3)

static void print_line(const char *title, const char *text)
{
    printf("%-10s %s\n", title, text);
}

static int32_t print_files(const struct opened *opened)
{
    for (uint32_t i = 0; i < opened->info.file_count; i++) {
        struct tresor_file_info file = {.size_bytes = sizeof file};
        const int32_t code = tresor_source_get_file(opened->context, opened->source, i, &file);
        if (code != TRESOR_OK)
            return code;
        printf("%-10s ", i == 0 ? "files" : "");
        text_print(stdout, file.path, strlen(file.path), SIZE_MAX);
        printf(" (%s", human_size(file.file_bytes).text);
        if (file.compression != TRESOR_COMPRESSION_NONE)
            printf(", %s of %s", tresor_compression_name(file.compression), human_size(file.stored_bytes).text);
        puts(")");
    }
    return TRESOR_OK;
}

static int32_t print_summary(const struct opened *opened)
{
    const struct tresor_source_info *info = &opened->info;
    printf("%-10s %s", "format", info->format);
    if (info->version > 0)
        printf(", version %" PRIu32, info->version);
    printf(", tensors aligned to %s\n", human_size(info->alignment_bytes).text);
    const int32_t code = print_files(opened);
    printf("%-10s %" PRIu32 ", %" PRIu64 " bytes", "tensors", info->tensor_count,
           info->tensor_bytes);
    if (info->tensor_bytes >= 1024)
        printf(" (%s)", human_size(info->tensor_bytes).text);
    putchar('\n');
    if (info->overlap_count > 0)
        printf("%-10s %" PRIu32 " tensors share bytes with an earlier one\n", "overlaps",
               info->overlap_count);
    print_line("shapes", info->shape_order == TRESOR_SHAPE_INNERMOST_FIRST
                             ? "the first dimension is contiguous"
                             : "the last dimension is contiguous");
    return code;
}

static void print_value(const struct value *value, size_t columns_max)
{
    switch (value->kind) {
    case VALUE_UNSIGNED:
        printf("%" PRIu64, value->number);
        return;
    case VALUE_SIGNED:
        printf("%" PRId64, value->integer);
        return;
    case VALUE_REAL:
        printf("%g", value->real);
        return;
    case VALUE_BOOL:
        fputs(value->number ? "true" : "false", stdout);
        return;
    case VALUE_TEXT:
    default:
        putchar('"');
        text_print(stdout, value->text, value->number, columns_max);
        putchar('"');
    }
}

static void print_array(const struct tresor_metadata_info *info)
{
    struct value_walk walk = value_walk_begin(info);
    struct value value;
    printf("%" PRIu64 " x %s: [", info->count, metadata_type_name(info->element_type));
    for (uint64_t i = 0; i < ELEMENTS_MAX && value_walk_next(&walk, &value); i++) {
        fputs(i > 0 ? ", " : "", stdout);
        print_value(&value, ELEMENT_COLUMNS_MAX);
    }
    fputs(info->count > ELEMENTS_MAX ? ", ...]" : "]", stdout);
}

static int32_t print_metadata(const struct opened *opened)
{
    struct tresor_metadata_info info = {.size_bytes = sizeof info};
    struct value value;
    size_t columns = 0;
    int32_t code = TRESOR_OK;
    printf("\nmetadata (%" PRIu32 ")\n", opened->info.metadata_count);
    for (uint32_t i = 0; i < opened->info.metadata_count && code == TRESOR_OK; i++) {
        code = tresor_source_get_metadata(opened->context, opened->source, i, &info);
        const size_t own = text_print(NULL, info.key, info.key_bytes, KEY_COLUMNS_MAX);
        columns = own > columns ? own : columns;
    }
    for (uint32_t i = 0; i < opened->info.metadata_count && code == TRESOR_OK; i++) {
        code = tresor_source_get_metadata(opened->context, opened->source, i, &info);
        fputs("  ", stdout);
        text_print_padded(stdout, info.key, info.key_bytes, columns);
        fputs("  ", stdout);
        if (info.type == TRESOR_METADATA_ARRAY)
            print_array(&info);
        else if (value_of_scalar(&info, &value))
            print_value(&value, TEXT_COLUMNS_MAX);
        putchar('\n');
    }
    return code;
}

/** The columns that the widest cells of the tensor table need. */
struct widths {
    size_t name;
    int dtype;
    int shape;
};

static int write_shape(const struct tresor_tensor_info *info, char *text)
{
    int length = snprintf(text, SHAPE_TEXT_BYTES, "[");
    for (uint32_t i = 0; i < info->rank && i < TRESOR_RANK_MAX; i++)
        length += snprintf(text + length, (size_t)(SHAPE_TEXT_BYTES - length), "%s%" PRIu64,
                           i > 0 ? ", " : "", info->shape[i]);
    return length + snprintf(text + length, (size_t)(SHAPE_TEXT_BYTES - length), "]");
}

static void widen(struct widths *widths, const struct tresor_tensor_info *info)
{
    char shape[SHAPE_TEXT_BYTES];
    const size_t name = text_print(NULL, info->name, info->name_bytes, NAME_COLUMNS_MAX);
    const int dtype = (int)strlen(tresor_dtype_name(info->dtype));
    const int shape_columns = write_shape(info, shape);
    widths->name = name > widths->name ? name : widths->name;
    widths->dtype = dtype > widths->dtype ? dtype : widths->dtype;
    widths->shape = shape_columns > widths->shape ? shape_columns : widths->shape;
}

static void print_tensor(const struct widths *widths, const struct tresor_tensor_info *info)
{
    char shape[SHAPE_TEXT_BYTES];
    write_shape(info, shape);
    fputs("  ", stdout);
    text_print_padded(stdout, info->name, info->name_bytes, widths->name);
    printf("  %-*s  %-*s  %4" PRIu32 "  %14" PRIu64 "  %14" PRIu64 "\n", widths->dtype,
           tresor_dtype_name(info->dtype), widths->shape, shape, info->file, info->offset_bytes,
           info->tensor_bytes);
}

static int32_t print_tensors(const struct opened *opened)
{
    struct widths widths = {.name = 4, .dtype = 5, .shape = 5};
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    int32_t code = TRESOR_OK;
    printf("\ntensors (%" PRIu32 ")\n", opened->info.tensor_count);
    for (uint32_t i = 0; i < opened->info.tensor_count && code == TRESOR_OK; i++) {
        code = tresor_source_get_tensor(opened->context, opened->source, i, &info);
        widen(&widths, &info);
    }
    printf("  %-*s  %-*s  %-*s  %4s  %14s  %14s\n", (int)widths.name, "name", widths.dtype, "dtype",
           widths.shape, "shape", "file", "offset", "size");
    for (uint32_t i = 0; i < opened->info.tensor_count && code == TRESOR_OK; i++) {
        code = tresor_source_get_tensor(opened->context, opened->source, i, &info);
        print_tensor(&widths, &info);
    }
    return code;
}

int32_t inspect_print_text(const struct opened *opened)
{
    int32_t code = print_summary(opened);
    if (code == TRESOR_OK)
        code = print_metadata(opened);
    if (code == TRESOR_OK)
        code = print_tensors(opened);
    return code;
}
