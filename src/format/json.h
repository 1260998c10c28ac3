/* SPDX-License-Identifier: MIT */
/* JSON text as jansson reads it, with its errors as ours. Only in builds with safetensors. */
#ifndef TRESOR_FORMAT_JSON_H
#define TRESOR_FORMAT_JSON_H

#include <jansson.h>

#include "format/parse.h"

/** Where a JSON text lies in its file and what may follow its value. */
struct tresor__json_text {
    uint64_t offset;
    uint64_t length;
    const char *padding; /* the characters that may follow the value */
    size_t flags;        /* of jansson, beside those that are always set */
};

/**
 * The object that the text is, or NULL with the output set: NO_MEMORY, DUPLICATE for a key that
 * occurs twice, else MALFORMED. The caller frees it with json_decref.
 */
json_t *tresor__json_load(const struct tresor__parse_input *input,
                          const struct tresor__json_text *text,
                          struct tresor__parse_output *output);

/** Fail because of a key, with its offset in the file where it can be found. Always false. */
bool tresor__json_fail(const struct tresor__parse_input *input,
                       const struct tresor__json_text *text, struct tresor__parse_output *output,
                       int32_t code, const char *key);

#endif
