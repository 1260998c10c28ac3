/* SPDX-License-Identifier: MIT */
#include "format/parse.h"

bool tresor__parse_need(struct tresor__parse_output *output,
                        const struct tresor__parse_input *input, uint64_t end_bytes)
{
    output->status = TRESOR__PARSE_NEED;
    output->need_bytes = end_bytes < input->file_size_bytes ? end_bytes : input->file_size_bytes;
    return false;
}

bool tresor__parse_fail(struct tresor__parse_output *output,
                        const struct tresor__parse_input *input, struct tresor_error error)
{
    output->status = TRESOR__PARSE_FAILED;
    output->error = error;
    output->error.file = input->file;
    return false;
}

bool tresor__parse_begin(struct tresor__parse_output *output,
                         const struct tresor__parse_input *input,
                         struct tresor__directory *directory, uint32_t shape_order)
{
    int32_t code = TRESOR_OK;
    if (input->file != directory->file_count)
        code = TRESOR_ERROR_INVALID;
    else if (!input->file)
        directory->shape_order = shape_order;
    else if (directory->shape_order != shape_order)
        code = TRESOR_ERROR_SHARD;
    if (!code)
        return true;
    return tresor__parse_fail(output, input,
                              (struct tresor_error){.code = code,
                                                    .tensor = TRESOR_NONE,
                                                    .wanted = directory->file_count,
                                                    .got = input->file});
}
