/* SPDX-License-Identifier: MIT */
#include "generate_files.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* The format's own reader refuses longer headers. */
#define HEADER_BYTES_MAX 100000000

static bool fail(struct output *output, const char *reason)
{
    fprintf(stderr, "tresor: cannot write '%s': %s\n", output->files[output->current].path, reason);
    output_fail(output);
    return false;
}

/* Each takes over `value`, and says whether it and the place for it could be had. */
static bool put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static bool append(json_t *array, json_t *value)
{
    return json_array_append_new(array, value) == 0;
}

/** Where a tensor lies and what it is, or NULL if there is no memory. */
static json_t *describe(const struct model_tensor *tensor, uint64_t offset_bytes)
{
    const char *type = element_traits(tensor->element)->safetensors_name;
    assert(type);
    json_t *entry = json_object();
    json_t *shape = json_array();
    json_t *offsets = json_array();
    bool made = tensor->rank < 3 || append(shape, json_integer((json_int_t)tensor->experts));
    made = made && (tensor->rank == 1 || append(shape, json_integer((json_int_t)tensor->rows)));
    made = made && append(shape, json_integer((json_int_t)tensor->columns));
    made = made && append(offsets, json_integer((json_int_t)offset_bytes));
    made = made && append(offsets, json_integer((json_int_t)(offset_bytes + tensor->size_bytes)));
    made = made && put(entry, "dtype", json_string(type));
    made = put(entry, "shape", shape) && made;
    made = put(entry, "data_offsets", offsets) && made;
    if (made)
        return entry;
    json_decref(entry);
    return NULL;
}

static json_t *describe_shard(const struct model *model, const struct shard *shard)
{
    json_t *header = json_object();
    json_t *metadata = json_object();
    bool made = put(metadata, "format", json_string("pt"));
    made = put(header, "__metadata__", metadata) && made;
    uint64_t offset_bytes = 0;
    for (uint32_t i = 0; i < shard->tensor_count && made; i++) {
        const struct model_tensor *tensor = &model->tensors[shard->first_tensor + i];
        made = put(header, tensor->name, describe(tensor, offset_bytes));
        offset_bytes += tensor->size_bytes;
    }
    if (made)
        return header;
    json_decref(header);
    return NULL;
}

/** The text of `json`, to be freed, and the end of `json`; NULL if there is no memory. */
static char *take_text(json_t *json, size_t flags)
{
    char *text = json ? json_dumps(json, flags) : NULL;
    json_decref(json);
    return text;
}

bool write_safetensors(struct output *output, const struct generate_options *options,
                       const struct model *model, const struct shard *shard)
{
    char *header = take_text(describe_shard(model, shard), JSON_COMPACT);
    if (!header)
        return fail(output, strerror(ENOMEM));
    const size_t length = strlen(header);
    const size_t padded_length = (length + 7) / 8 * 8;
    if (padded_length > HEADER_BYTES_MAX) {
        free(header);
        return fail(output, "the header would exceed 100 MB, the format's limit; use more shards");
    }
    output_u64(output, padded_length);
    output_write(output, header, length);
    output_write(output, "       ", padded_length - length);
    free(header);
    for (uint32_t i = 0; i < shard->tensor_count; i++)
        write_tensor_data(output, model, shard->first_tensor + i, options->seed);
    return !output->failed;
}

static bool map_shard(json_t *map, const struct model *model, const struct shard *shard,
                      const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *file_name = slash ? slash + 1 : path;
    bool made = true;
    for (uint32_t i = 0; i < shard->tensor_count && made; i++)
        made = put(map, model->tensors[shard->first_tensor + i].name, json_string(file_name));
    return made;
}

bool write_safetensors_index(struct output *output, const struct model *model,
                             const struct shard *shards, uint32_t shard_count)
{
    json_t *index = json_object();
    json_t *metadata = json_object();
    json_t *map = json_object();
    bool made = put(metadata, "total_size", json_integer((json_int_t)model->data_bytes));
    for (uint32_t i = 0; i < shard_count && made; i++)
        made = map_shard(map, model, &shards[i], output->files[i].path);
    made = put(index, "metadata", metadata) && made;
    made = put(index, "weight_map", map) && made;
    if (!made) {
        json_decref(index);
        return fail(output, strerror(ENOMEM));
    }
    char *text = take_text(index, JSON_INDENT(2));
    if (!text)
        return fail(output, strerror(ENOMEM));
    output_write(output, text, strlen(text));
    output_write(output, "\n", 1);
    free(text);
    return !output->failed;
}
