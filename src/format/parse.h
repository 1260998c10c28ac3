/* SPDX-License-Identifier: MIT */
/* What the parsers share: how they say NEED and FAILED, and each one's entry. */
#ifndef TRESOR_FORMAT_PARSE_H
#define TRESOR_FORMAT_PARSE_H

#include <stdbool.h>

#include "format/format.h"

/** More of the file is wanted: `end_bytes` from its start. False, so that a reader can return it.
 */
bool tresor__parse_need(struct tresor__parse_output *output,
                        const struct tresor__parse_input *input, uint64_t end_bytes);

/** The parse has failed. `error` gives code, tensor, offset, wanted and got. False, as above. */
bool tresor__parse_fail(struct tresor__parse_output *output,
                        const struct tresor__parse_input *input, struct tresor_error error);

/**
 * To be called once by a parser that knows its first file: a file of another format does not belong
 * to the set. False if so.
 */
bool tresor__parse_begin(struct tresor__parse_output *output,
                         const struct tresor__parse_input *input,
                         struct tresor__directory *directory, uint32_t shape_order);

void tresor__gguf_parse(struct tresor__gguf_state *state, const struct tresor__parse_input *input,
                        struct tresor__directory *directory, struct tresor__parse_output *output);
void tresor__safetensors_parse(const struct tresor__parse_input *input,
                               struct tresor__directory *directory,
                               struct tresor__parse_output *output);
void tresor__safetensors_index_parse(const struct tresor__parse_input *input,
                                     struct tresor__directory *directory,
                                     struct tresor__parse_output *output);
void tresor__blob_parse(const struct tresor__parse_input *input,
                        struct tresor__directory *directory, struct tresor__parse_output *output);
void tresor__layout_file_parse(const struct tresor__parse_input *input,
                               struct tresor__directory *directory,
                               struct tresor__parse_output *output);
void tresor__tmai_parse(const struct tresor__parse_input *input,
                        struct tresor__directory *directory, struct tresor__parse_output *output);

#endif
