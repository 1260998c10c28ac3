/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "exit_codes.h"
#include "generate_files.h"
#include "generate_model.h"
#include "interrupt.h"
#include "options.h"
#include "output.h"

#define SIZE_BYTES_DEFAULT ((uint64_t)256 << 20)
#define SIZE_BYTES_MAX ((uint64_t)64 << 40)
#define TENSORS_MAX 10000000
#define SHARDS_MAX 65535 /* split.count has 16 bits */
#define ALIGNMENT_BYTES_DEFAULT 32
#define ALIGNMENT_BYTES_MAX (1 << 20)
#define TMAI_ALIGNMENT_BYTES_MAX 4096 /* more would leave holes that are no padding */
#define VOCABULARY_DEFAULT 259 /* one token per byte, and unknown, begin and end */
#define VOCABULARY_LEAST 3
#define VOCABULARY_MAX (1 << 24)
#define EXPERTS_LEAST 2
#define EXPERTS_MAX 4096

enum {
    KEY_FORMAT,
    KEY_SIZE,
    KEY_TENSORS,
    KEY_SHARDS,
    KEY_SEED,
    KEY_ALIGNMENT,
    KEY_VOCABULARY,
    KEY_EXPERTS,
};

static const struct option_row rows[] = {
    {KEY_FORMAT, "format", "FORMAT", "gguf, safetensors or tmai; else told by the end of OUT"},
    {KEY_SIZE, "size", "SIZE", "about how many bytes of tensors (default 256M); a TMAI file\n"
     "ends before 4G"},
    {KEY_TENSORS, "tensors", "N", "exactly how many tensors (default: 9 per layer and 3)"},
    {KEY_SHARDS, "shards", "N",
     "how many files; with more than one OUT is their base name,\n"
     "and they are called like NAME-00001-of-00003.gguf"},
    {KEY_SEED, "seed", "SEED", "the same seed makes the same bytes (default 0)"},
    {KEY_ALIGNMENT, "alignment", "SIZE",
     "of tensors in GGUF files: a power of two from 8 to 1M (default 32);\n"
     "of layers in TMAI files: at most 4K"},
    {KEY_VOCABULARY, "vocabulary", "N", "tokens in the metadata of GGUF files (default 259)"},
    {KEY_EXPERTS, "experts", "N",
     "a mixture of so many experts: the feed-forward tensors have three\n"
     "dimensions, of which the outermost is N (2 to 4096)"},
};

static const struct command_usage usage = {
    .command = "generate",
    .operands = "OUT",
    .about = "Write pseudo-random tensors with the names and proportions of a llama model, or, as TMAI has\n"
             "them, layers of bytes.\n"
             "Files get their names only when all are complete. Sizes may end in K, M, G or T.",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
};

static const char *suffix_of(enum generate_format format)
{
    return format == GENERATE_GGUF ? ".gguf" : ".safetensors"; /* TMAI files have no shards */
}

static enum generate_format format_of_name(const char *name)
{
    if (strcmp(name, "gguf") == 0)
        return GENERATE_GGUF;
    if (strcmp(name, "tmai") == 0)
        return GENERATE_TMAI;
    return strcmp(name, "safetensors") == 0 ? GENERATE_SAFETENSORS : GENERATE_NO_FORMAT;
}

static bool take_format(const struct option_reader *reader, struct generate_options *options)
{
    options->format = format_of_name(reader->value);
    if (options->format != GENERATE_NO_FORMAT)
        return true;
    options_wrong(reader, "--format: '%s' is not gguf, safetensors or tmai", reader->value);
    return false;
}

static bool take_alignment(const struct option_reader *reader, struct generate_options *options)
{
    uint64_t bytes;
    if (!options_size(reader, 8, ALIGNMENT_BYTES_MAX, &bytes))
        return false;
    if (bytes & (bytes - 1)) {
        options_wrong(reader, "--alignment: %s is not a power of two", reader->value);
        return false;
    }
    options->alignment_bytes = (uint32_t)bytes;
    return true;
}

static bool take_option(const struct option_reader *reader, int key,
                        struct generate_options *options)
{
    switch (key) {
    case KEY_FORMAT:
        return take_format(reader, options);
    case KEY_SIZE:
        return options_size(reader, 1, SIZE_BYTES_MAX, &options->size_bytes);
    case KEY_TENSORS:
        return options_u32(reader, 1, TENSORS_MAX, &options->tensor_count);
    case KEY_SHARDS:
        return options_u32(reader, 1, SHARDS_MAX, &options->shard_count);
    case KEY_SEED:
        return options_u64(reader, 0, UINT64_MAX, &options->seed);
    case KEY_ALIGNMENT:
        return take_alignment(reader, options);
    case KEY_VOCABULARY:
        return options_u32(reader, VOCABULARY_LEAST, VOCABULARY_MAX, &options->vocabulary);
    case KEY_EXPERTS:
        return options_u32(reader, EXPERTS_LEAST, EXPERTS_MAX, &options->expert_count);
    default:
        return false;
    }
}

/** What the end of the path says about a format that was not told. */
static enum generate_format format_of_path(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? format_of_name(dot + 1) : GENERATE_NO_FORMAT;
}

/** Whether the format has what the options ask for. */
static bool fits_format(const struct option_reader *reader, const struct generate_options *options)
{
    const char *fault = NULL;
    if (options->format == GENERATE_SAFETENSORS && options->alignment_bytes)
        fault = "--alignment is for GGUF and TMAI files only";
    else if (options->format != GENERATE_GGUF && options->vocabulary)
        fault = "--vocabulary is for GGUF files only";
    else if (options->format == GENERATE_TMAI && options->alignment_bytes > TMAI_ALIGNMENT_BYTES_MAX)
        fault = "--alignment: layers of TMAI files are aligned to 4K at most";
    else if (options->format == GENERATE_TMAI && (options->shard_count > 1 || options->expert_count))
        fault = "--shards and --experts: TMAI files have neither";
    if (fault)
        options_wrong(reader, "%s", fault);
    return !fault;
}

/** Check what concerns several options, and fill in what was not said. */
static bool complete(const struct option_reader *reader, struct generate_options *options)
{
    if (reader->operand_count != 1 || !*reader->operands[0]) {
        options_wrong(reader, reader->operand_count > 1 ? "more than one OUT was given"
                                                        : "OUT, the file to write, is missing");
        return false;
    }
    options->path = reader->operands[0];
    if (options->format == GENERATE_NO_FORMAT)
        options->format = format_of_path(options->path);
    if (options->format == GENERATE_NO_FORMAT) {
        options_wrong(reader, "'%s' tells no format; give --format", options->path);
        return false;
    }
    if (!fits_format(reader, options))
        return false;
    if (!options->alignment_bytes)
        options->alignment_bytes = ALIGNMENT_BYTES_DEFAULT;
    if (!options->vocabulary)
        options->vocabulary = VOCABULARY_DEFAULT;
    return true;
}

/** The names of all files, known before the first is begun, so that none is written in vain. */
static bool add_files(struct output *output, const struct generate_options *options)
{
    if (options->shard_count == 1)
        return output_add(output, options->path);
    const char *suffix = suffix_of(options->format);
    for (uint32_t i = 0; i < options->shard_count; i++) {
        char *path = shard_path(options->path, suffix, i, options->shard_count);
        const bool added = path && output_add(output, path);
        free(path);
        if (!added)
            return false;
    }
    if (options->format != GENERATE_SAFETENSORS)
        return true;
    char *path = shard_index_path(options->path, suffix);
    const bool added = path && output_add(output, path);
    free(path);
    return added;
}

static bool write_files(struct output *output, const struct generate_options *options,
                        const struct model *model, const struct shard *shards)
{
    for (uint32_t i = 0; i < options->shard_count; i++) {
        if (!output_open(output, i))
            return false;
        if (options->format == GENERATE_TMAI)
            write_tmai(output, options, model);
        else if (options->format == GENERATE_GGUF)
            write_gguf(output, options, model, &shards[i]);
        else
            write_safetensors(output, options, model, &shards[i]);
        if (!output_close(output))
            return false;
    }
    if (output->file_count > options->shard_count) {
        if (!output_open(output, options->shard_count))
            return false;
        write_safetensors_index(output, model, shards, options->shard_count);
        if (!output_close(output))
            return false;
    }
    return output_commit(output);
}

static void report(const struct output *output, const struct generate_options *options,
                   const struct shard *shards)
{
    for (uint32_t i = 0; i < output->file_count; i++) {
        const struct output_file *file = &output->files[i];
        if (i < options->shard_count)
            printf("%s: %" PRIu64 " bytes, %" PRIu32 " tensor%s\n", file->path, file->size_bytes,
                   shards[i].tensor_count, shards[i].tensor_count == 1 ? "" : "s");
        else
            printf("%s: %" PRIu64 " bytes, index\n", file->path, file->size_bytes);
    }
}

static int generate(const struct generate_options *options, const struct model *model,
                    struct shard *shards)
{
    struct output output;
    bool done = false;
    shards_cut(shards, options->shard_count, model);
    if (!output_begin(&output, options->shard_count + 1))
        fputs("tresor: out of memory\n", stderr);
    else
        done = add_files(&output, options) && write_files(&output, options, model, shards);
    if (done)
        report(&output, options, shards);
    output_end(&output);
    return done ? TOOL_DONE : TOOL_BAD_FILE;
}

static bool make_tensors(struct model *model, const struct generate_options *options)
{
    if (options->format == GENERATE_TMAI)
        return layers_make(model, options->size_bytes, options->tensor_count);
    return model_make(model, options->format, options->size_bytes, options->tensor_count,
                      options->expert_count);
}

/** Make the model that the options ask for, and write it. */
static int generate_model(const struct option_reader *reader,
                          const struct generate_options *options)
{
    struct model model;
    int code = TOOL_BAD_FILE;
    struct shard *shards = calloc(options->shard_count, sizeof *shards);
    if (!shards || !make_tensors(&model, options)) {
        fputs("tresor: out of memory\n", stderr);
        free(shards);
        return code;
    }
    if (options->format == GENERATE_TMAI && tmai_bytes(&model, options->alignment_bytes) > UINT32_MAX)
        code = options_wrong(reader, "--size: a TMAI file ends before 4G");
    else if (options->shard_count > model.tensor_count)
        code = options_wrong(reader, "--shards: %" PRIu32 " are more than the %" PRIu32 " tensors",
                             options->shard_count, model.tensor_count);
    else
        code = generate(options, &model, shards);
    model_free(&model);
    free(shards);
    return code;
}

int command_generate(int argc, char **argv)
{
    struct option_reader reader;
    struct generate_options options = {.size_bytes = SIZE_BYTES_DEFAULT, .shard_count = 1};
    options_begin(&reader, &usage, argc, argv);
    int key;
    while ((key = options_next(&reader)) >= 0) {
        if (!take_option(&reader, key, &options))
            return TOOL_USAGE;
    }
    if (key == OPTIONS_STOP)
        return reader.exit_code;
    if (!complete(&reader, &options))
        return TOOL_USAGE;

    /* A file-size limit shall be an error of the write, not the end of the process. */
    signal(SIGXFSZ, SIG_IGN);
    interrupt_catch();
    const int code = generate_model(&reader, &options);
    interrupt_finish();
    return code;
}
