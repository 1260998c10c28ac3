/* SPDX-License-Identifier: MIT */
/* What the commands that load tensors are told: the file, the strategy, and which tensors. */
#ifndef TOOL_MODEL_OPTIONS_H
#define TOOL_MODEL_OPTIONS_H

#include "opened.h"
#include "options.h"

/* Their rows in a command's table. */
#define MODEL_OPTION_STRATEGY(key)                                                                 \
    {                                                                                              \
        (key), "strategy", "NAME", "mmap (default): pages of the file; read: a copy of it"         \
    }
#define MODEL_OPTION_BACKEND(key)                                                                  \
    {                                                                                              \
        (key), "backend", "NAME",                                                                  \
            "auto (default): uring, or pool where that is refused;\n"                              \
            "uring: direct reads by io_uring, the rest on threads;\n"                              \
            "pool: all on threads; sync: one system call at a time"                                \
    }
#define MODEL_OPTION_DIRECT(key)                                                                   \
    {                                                                                              \
        (key), "direct", "WHEN",                                                                   \
            "read past the page cache: auto (default), but for what it\n"                          \
            "holds; on; off. Only of --strategy read"                                              \
    }
#define MODEL_OPTION_NUMA(key)                                                                     \
    {                                                                                              \
        (key), "numa", "HOW",                                                                      \
            "bind:MASK, interleave:MASK or interleave, on all that there\n"                        \
            "are: the memory nodes to load to, bit i of MASK (0x3 or 3)\n"                         \
            "for node i; pages of files are only advised"                                          \
    }
#define MODEL_OPTION_TENSOR(key)                                                                   \
    {                                                                                              \
        (key), "tensor", "GLOB",                                                                   \
            "only tensors whose name matches, like 'blk.*';\n"                                     \
            "may be given several times"                                                           \
    }

/* The six rows of where a model is. */
#define MODEL_OPTIONS_PLACE                                                                        \
    {MODEL_KEY_DESCRIPTOR, "descriptor", "N",                                                      \
     "the model is what descriptor N is open on, instead of FILE"},                                \
        {MODEL_KEY_OFFSET, "offset", "SIZE",                                                       \
         "the model begins there in the file; where that is no multiple\n"                         \
         "of a page it can only be read"},                                                         \
        {MODEL_KEY_LENGTH, "length", "SIZE", "and is that long, not up to the file's end"},        \
        {MODEL_KEY_MAX_DECODED, "max-decoded", "SIZE",                                             \
         "the most that a compressed file may be decoded to (default 64G)"},                       \
        {MODEL_KEY_MAX_RATIO, "max-ratio", "N",                                                    \
         "and how many times its own size (default 1000)"},                                        \
    {                                                                                              \
        MODEL_KEY_BLOB, "blob", NULL, "any file: one tensor of bytes, named like the file"         \
    }

enum {
    MODEL_KEY_DESCRIPTOR = 1000,
    MODEL_KEY_OFFSET,
    MODEL_KEY_LENGTH,
    MODEL_KEY_MAX_DECODED,
    MODEL_KEY_MAX_RATIO,
    MODEL_KEY_BLOB,
};

struct model_options {
    struct model_place place;
    char descriptor_name[32];
    bool is_strategy_asked;
    uint32_t strategy; /* enum tresor_strategy */
    uint32_t backend;  /* enum tresor_backend */
    uint32_t direct;   /* enum tresor_direct */
    uint32_t numa;     /* enum tresor_numa */
    uint64_t numa_nodes;
    const char **patterns;
    size_t pattern_count; /* none: every tensor */
};

/** Tensors by index, each once, in the order of the directory. */
struct selection {
    uint32_t *tensors;
    uint32_t tensor_count;
};

/** Room for as many patterns as there are arguments. False, after a message, if there is no memory.
 */
bool model_options_begin(struct model_options *options, int argc);
void model_options_end(struct model_options *options);

/** The argument of --strategy; false after options_wrong. */
bool model_options_take_strategy(const struct option_reader *reader, struct model_options *options);

/** The argument of --backend; false after options_wrong. */
bool model_options_take_backend(const struct option_reader *reader, struct model_options *options);

/** The argument of --direct; false after options_wrong. */
bool model_options_take_direct(const struct option_reader *reader, struct model_options *options);

/** The argument of --numa; false after options_wrong. */
bool model_options_take_numa(const struct option_reader *reader, struct model_options *options);

/** The argument of --tensor. */
void model_options_take_pattern(const struct option_reader *reader, struct model_options *options);

/** An option of MODEL_OPTIONS_PLACE. False after options_wrong. */
bool model_options_take_place(const struct option_reader *reader, int key,
                              struct model_options *options);

/** The one operand, FILE, where the model is in no descriptor; false after options_wrong. */
bool model_options_take_path(const struct option_reader *reader, struct model_options *options);

/** After all options: the path, and what of the options fits together. False after options_wrong.
 */
bool model_options_finish(const struct option_reader *reader, struct model_options *options);

/** The strategy for a model that is open: to read where it cannot be mapped. False, after options_wrong, where it was to be mapped
 * all the same. */
bool model_options_strategy(const struct option_reader *reader, const struct model_options *options,
                            const struct opened *opened, uint32_t *strategy);

/**
 * The tensors that any of the patterns matches. TOOL_DONE; or TOOL_USAGE, after a message that
 * names the pattern, if one matches nothing; or TOOL_SOME_FAILED, after a message, if there is no
 * memory.
 */
int select_tensors(const struct option_reader *reader, const struct model_options *options,
                   const struct opened *opened, struct selection *selection);
void selection_free(struct selection *selection);

#endif
