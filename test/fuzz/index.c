/* SPDX-License-Identifier: MIT */
/* Any bytes as the index of a safetensors model, by itself and then with a file that has two tensors. */
#include "fuzz.h"

#include <string.h>

#include "support/bytes.h"
#include "support/parsing.h"

static bool is_promised(const struct tresor__directory *directory, uint32_t number)
{
    const struct tresor__shard_tensor *tensor = &directory->shard_tensors[number];
    const char *name = directory->strings + tensor->name_offset;
    return strcmp(name, "a") == 0 || strcmp(name, "b") == 0;
}

/* It is the index's model if that names one file with no other tensors. */
static void check_model(const struct tresor__directory *directory, int32_t code)
{
    bool is_model = directory->shard_count == 1;
    for (uint32_t i = 0; i < directory->shard_tensor_count; i++)
        is_model = is_model && is_promised(directory, i);
    FUZZ_CHECK(code == (is_model ? TRESOR_OK : TRESOR_ERROR_SHARD));
}

static void parse_model(const uint8_t *data, size_t size)
{
    static const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                                 "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]}}";
    struct tresor__directory directory;
    struct tresor__parse_output output;
    struct tresor_error error;
    struct bytes file = {0};
    directory_start(&directory, NULL);
    parse_whole(data, size, 0, &directory, &output);
    if (output.status == TRESOR__PARSE_DONE &&
        output.format == TRESOR__FORMAT_SAFETENSORS_INDEX) {
        safetensors_put_header(&file, header);
        bytes_put_zeros(&file, 1);
        const uint64_t file_size = file.size;
        parse_whole(file.data, file.size, 0, &directory, &output);
        FUZZ_CHECK(output.status == TRESOR__PARSE_DONE);
        check_model(&directory,
                    tresor__directory_finish(&directory, output.format, &file_size, 1, &error));
    }
    bytes_free(&file);
    tresor__directory_free(&directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || !strchr(" \t\r\n{", data[0]) || data[0] == '\0')
        return 0;
    fuzz_parse(data, size);
    parse_model(data, size);
    return 0;
}
