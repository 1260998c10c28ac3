/* SPDX-License-Identifier: MIT */
/*
 * Whole models made in memory: a GGUF file, a GGUF shard set, safetensors files with their index. Every byte of tensor
 * data depends on its file and place, so that bytes at a wrong place show.
 */
#ifndef TEST_SUPPORT_MODEL_SET_H
#define TEST_SUPPORT_MODEL_SET_H

#include "support/bytes.h"
#include "support/fake_sys.h"
#include "support/temporary.h"

enum {
    MODEL_PARTS = 4,
    MODEL_NAME_BYTES = 64,
    MODEL_PATH_BYTES = TEMPORARY_PATH_BYTES + MODEL_NAME_BYTES,
};

struct model_part {
    char path[MODEL_PATH_BYTES];
    struct bytes bytes;
};

struct model_set {
    struct model_part parts[MODEL_PARTS];
    uint32_t part_count;
    uint32_t opened; /* the part whose path is given to tresor_source_open */
};

enum model_kind {
    MODEL_GGUF,       /* one file */
    MODEL_SHARDS,     /* three GGUF files, opened by the second */
    MODEL_INDEX,      /* two safetensors files and their index */
    MODEL_KINDS,
};

/** A tensor of a GGUF file of one part. */
struct model_tensor {
    uint64_t size_bytes;
    uint64_t offset_bytes; /* from the start of the data; MODEL_NEXT: after the one before, aligned to 32 */
    bool is_scalar;        /* rank 0: 4 bytes */
};

#define MODEL_NEXT UINT64_MAX

/** A small model with tensors from none and one byte to some pages, of the kind, in the folder; some have three
 * dimensions, and can be split. */
void model_set_make(struct model_set *set, enum model_kind kind, const char *folder);

/** One GGUF file with exactly these tensors, named "0", "1" and so on. */
void model_set_make_gguf(struct model_set *set, const char *folder,
                         const struct model_tensor *tensors, uint32_t count);

/** The same with tensors of three dimensions, the outermost of which is `slices[i]` long and divides the size; 0: of
 * one. */
void model_set_make_sliced(struct model_set *set, const char *folder,
                           const struct model_tensor *tensors, const uint32_t *slices,
                           uint32_t count);

/** As many GGUF files with as many of the tensors each, opened by the second. */
void model_set_make_shards(struct model_set *set, const char *folder,
                           const struct model_tensor *tensors, uint32_t count, uint32_t shards);

/** Where the data of a GGUF part made by model_set_make_gguf begins. */
uint64_t model_set_data_offset(const struct model_set *set);

void model_set_free(struct model_set *set);

const char *model_kind_name(enum model_kind kind);

/** The path to open. */
const char *model_set_path(const struct model_set *set);

/** The part with that path; NULL if there is none. */
const struct model_part *model_set_part(const struct model_set *set, const char *path);

/** Write all parts as files. */
void model_set_write(const struct model_set *set);

/** Put all parts into a fake system. */
void model_set_add_to(const struct model_set *set, struct fake_sys *fake);

#endif
