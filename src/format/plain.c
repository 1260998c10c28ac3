/* SPDX-License-Identifier: MIT */
/* Files that have no header: any file as one tensor, and those that a layout tells of. */
#include "format/parse.h"

#include <string.h>

void tresor__blob_parse(const struct tresor__parse_input *input,
                        struct tresor__directory *directory, struct tresor__parse_output *output)
{
    const struct tresor__entry entry = {
        .size_bytes = input->file_size_bytes,
        .shape = {input->file_size_bytes},
        .file = input->file,
        .dtype = TRESOR_DTYPE_U8,
        .rank = 1,
    };
    if (!tresor__parse_begin(output, input, directory, TRESOR_SHAPE_OUTERMOST_FIRST))
        return;
    directory->alignment_bytes = 1;
    int32_t code = tresor__directory_add(directory, &entry, input->name, strlen(input->name));
    if (!code)
        code = tresor__directory_add_file(directory, 0, 0);
    if (code)
        tresor__parse_fail(output, input,
                           (struct tresor_error){.code = code, .tensor = TRESOR_NONE});
}

/* The layout has put the tensors of all files into the directory, in the order of these. */
void tresor__layout_file_parse(const struct tresor__parse_input *input,
                               struct tresor__directory *directory,
                               struct tresor__parse_output *output)
{
    if (!tresor__parse_begin(output, input, directory, directory->shape_order))
        return;
    const struct tresor__directory_file *last =
        input->file > 0 ? &directory->files[input->file - 1] : NULL;
    uint32_t first = last ? last->first_entry + last->entry_count : 0;
    uint32_t count = 0;
    while (first + count < directory->entry_count &&
           directory->entries[first + count].file == input->file)
        count++;
    int32_t code = tresor__directory_add_file(directory, 0, first);
    if (code)
        tresor__parse_fail(output, input,
                           (struct tresor_error){.code = code, .tensor = TRESOR_NONE});
    else
        directory->files[input->file].entry_count = count;
}
