/* SPDX-License-Identifier: MIT */
/* The files that a JSON text names, which lie beside it. Only in builds with safetensors. */
#ifndef TRESOR_FORMAT_JSON_FILES_H
#define TRESOR_FORMAT_JSON_FILES_H

#include "format/json.h"
#include "format/name_index.h"

/** One parse of such a text. Files are numbered by first mention, then by rank, because the outcome is sorted by name. */
struct tresor__json_files {
    const struct tresor__parse_input *input;
    struct tresor__directory *directory;
    struct tresor__parse_output *output;
    struct tresor__json_text text;
    struct tresor__name_index files; /* numbered by first mention */
};

/** The parse fails because of a key. Always false. */
bool tresor__json_files_fail(struct tresor__json_files *parse, int32_t code, const char *key);

/** Whether a value is the name of a file beside the text: a name that could lead anywhere else is refused. */
bool tresor__json_is_plain_name(const json_t *value);

/** The number of the file of that name, a new one if it is new. TRESOR_OK, NO_MEMORY or LIMIT. */
int32_t tresor__json_files_number(struct tresor__json_files *parse, const char *name,
                                  uint32_t *number);

/**
 * Put all files into the directory's shard_names, in order. `*ranks` says the place of each number there, and is freed with
 * tresor__json_files_free_ranks. TRESOR_OK, NO_MEMORY or LIMIT, with no ranks.
 */
int32_t tresor__json_files_sort(struct tresor__json_files *parse, uint32_t **ranks);
void tresor__json_files_free_ranks(struct tresor__json_files *parse, uint32_t *ranks);

/** What a layout says (an object with "tresor_layout"), into the directory. False where the parse has failed. */
bool tresor__layout_read(struct tresor__json_files *parse, json_t *root);

#endif
