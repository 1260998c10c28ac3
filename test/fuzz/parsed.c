/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <string.h>

#include "format/dtype.h"
#include "support/failing_allocator.h"
#include "support/parsing.h"

/* One parse of a file with an allocator that counts. */
struct parsed {
    struct failing_allocator counts;
    struct tresor__directory directory;
    struct tresor__parse_output output;
    struct tresor_error error; /* of all, also of what concerns tensors together */
};

static bool is_of_files(uint32_t format)
{
    return format == TRESOR__FORMAT_SAFETENSORS_INDEX || format == TRESOR__FORMAT_LAYOUT;
}

static void start(struct parsed *parsed, uint64_t fail_call)
{
    *parsed = (struct parsed){.counts = {.fail_call = fail_call}};
    const struct tresor_allocator hooks = failing_allocator_hooks(&parsed->counts);
    directory_start(&parsed->directory, &hooks);
}

static void finish(struct parsed *parsed, uint64_t file_size)
{
    const struct tresor__parse_output *output = &parsed->output;
    parsed->error = output->error;
    FUZZ_CHECK((output->status == TRESOR__PARSE_FAILED) == (output->error.code != TRESOR_OK));
    if (output->status == TRESOR__PARSE_DONE && !is_of_files(output->format))
        tresor__directory_finish(&parsed->directory, output->format, &file_size, 1, &parsed->error);
    FUZZ_CHECK(strcmp(tresor_error_name(parsed->error.code), "UNKNOWN") != 0);
}

static void end(struct parsed *parsed)
{
    tresor__directory_free(&parsed->directory);
    FUZZ_CHECK(parsed->counts.outstanding_bytes == 0);
}

/* --- what was accepted --- */

static bool is_text(const struct tresor__directory *directory, uint32_t offset, uint32_t length)
{
    return (uint64_t)offset + length < directory->string_bytes &&
           strlen(directory->strings + offset) == length;
}

static uint64_t row_elements(const struct tresor__directory *directory,
                             const struct tresor__entry *entry)
{
    if (!entry->rank)
        return 1;
    return entry->shape[directory->shape_order == TRESOR_SHAPE_INNERMOST_FIRST ? 0
                                                                               : entry->rank - 1];
}

static void check_type(const struct tresor__directory *directory, uint32_t number)
{
    const struct tresor__entry *entry = &directory->entries[number];
    const struct tresor__dtype *type = tresor__dtype_find(entry->dtype);
    uint64_t size_bytes = 0;
    FUZZ_CHECK(entry->rank <= TRESOR_RANK_MAX);
    FUZZ_CHECK(type != NULL);
    FUZZ_CHECK(tresor__dtype_size(type, entry->shape, entry->rank, row_elements(directory, entry),
                                  &size_bytes) == TRESOR_OK);
    FUZZ_CHECK(entry->size_bytes == size_bytes);
    FUZZ_CHECK(is_text(directory, entry->name_offset, entry->name_length));
    FUZZ_CHECK(tresor__directory_find(directory, directory->strings + entry->name_offset,
                                      entry->name_length) == number);
}

static void check_place(const struct tresor__entry *entry, uint64_t file_size)
{
    FUZZ_CHECK(entry->size_bytes == 0 || entry->offset_bytes <= file_size);
    FUZZ_CHECK(entry->size_bytes == 0 || entry->size_bytes <= file_size - entry->offset_bytes);
}

static void check_entry(const struct tresor__directory *directory, uint32_t number,
                        uint64_t file_size)
{
    const struct tresor__entry *entry = &directory->entries[number];
    check_type(directory, number);
    FUZZ_CHECK(entry->file == 0);
    FUZZ_CHECK(entry->offset_bytes >= directory->files[0].data_offset);
    check_place(entry, file_size);
}

static void check_metadata(const struct tresor__directory *directory, uint32_t number,
                           uint64_t file_size)
{
    const struct tresor__metadata *value = &directory->metadata[number];
    const uint64_t room = value->in_strings ? directory->string_bytes : file_size;
    FUZZ_CHECK(value->type <= TRESOR_METADATA_F64);
    FUZZ_CHECK(value->offset <= room && value->size_bytes <= room - value->offset);
    FUZZ_CHECK(is_text(directory, value->key_offset, value->key_length));
    FUZZ_CHECK(tresor__directory_find_metadata(directory, directory->strings + value->key_offset,
                                               value->key_length) == number);
}

/* safetensors: from the header to the end of the file each byte has one tensor. */
static void check_cover(const struct tresor__directory *directory, uint64_t file_size)
{
    uint64_t end = directory->files[0].data_offset;
    for (uint32_t i = 0; i < directory->entry_count; i++) {
        FUZZ_CHECK(directory->entries[i].offset_bytes == end);
        end += directory->entries[i].size_bytes;
    }
    FUZZ_CHECK(end == file_size);
}

/* TMAI: no byte has two layers, and between them is no more than padding. In any order: of each the nearest end before it. */
static void check_layers(const struct tresor__directory *directory)
{
    for (uint32_t i = 0; i < directory->entry_count; i++) {
        const struct tresor__entry *entry = &directory->entries[i];
        uint64_t end = directory->files[0].data_offset;
        FUZZ_CHECK(entry->size_bytes > 0);
        for (uint32_t k = 0; k < directory->entry_count; k++) {
            const struct tresor__entry *other = &directory->entries[k];
            const uint64_t other_end = other->offset_bytes + other->size_bytes;
            FUZZ_CHECK(k == i || other_end <= entry->offset_bytes ||
                       other->offset_bytes >= entry->offset_bytes + entry->size_bytes);
            if (k != i && other_end <= entry->offset_bytes && other_end > end)
                end = other_end;
        }
        FUZZ_CHECK(entry->offset_bytes - end < 4096);
    }
}

void fuzz_check_directory(const struct tresor__directory *directory, uint64_t file_size)
{
    FUZZ_CHECK(directory->file_count == 1);
    FUZZ_CHECK(directory->files[0].first_entry == 0);
    FUZZ_CHECK(directory->files[0].entry_count == directory->entry_count);
    FUZZ_CHECK(directory->overlap_count == 0 || directory->overlap_count < directory->entry_count);
    FUZZ_CHECK(directory->alignment_bytes > 0);
    FUZZ_CHECK((directory->alignment_bytes & (directory->alignment_bytes - 1)) == 0);
    for (uint32_t i = 0; i < directory->entry_count; i++)
        check_entry(directory, i, file_size);
    for (uint32_t i = 0; i < directory->metadata_count; i++)
        check_metadata(directory, i, file_size);
    if (directory->shape_order == TRESOR_SHAPE_OUTERMOST_FIRST)
        check_cover(directory, file_size);
}

/* No name of a file leads out of the index's folder. */
static void check_names(const struct tresor__directory *directory)
{
    FUZZ_CHECK(directory->shard_count > 0);
    for (uint32_t i = 0; i < directory->shard_count; i++) {
        const char *name = directory->shard_names[i];
        FUZZ_CHECK(name[0] != '\0' && !strpbrk(name, "/\\"));
        FUZZ_CHECK(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
        FUZZ_CHECK(i == 0 || strcmp(directory->shard_names[i - 1], name) < 0);
    }
}

void fuzz_check_shards(const struct tresor__directory *directory)
{
    check_names(directory);
    FUZZ_CHECK(directory->shard_tensor_count > 0);
    for (uint32_t i = 0; i < directory->shard_tensor_count; i++) {
        const struct tresor__shard_tensor *tensor = &directory->shard_tensors[i];
        FUZZ_CHECK(tensor->shard < directory->shard_count);
        FUZZ_CHECK(is_text(directory, tensor->name_offset, tensor->name_length));
    }
}

/* The tensors of each file stand together, in the files' order. */
void fuzz_check_layout(const struct tresor__directory *directory, const uint64_t *file_sizes)
{
    uint32_t file = 0;
    check_names(directory);
    FUZZ_CHECK(directory->entry_count > 0 && directory->shard_tensor_count == 0);
    for (uint32_t i = 0; i < directory->entry_count; i++) {
        const struct tresor__entry *entry = &directory->entries[i];
        FUZZ_CHECK(entry->file == file || (i > 0 && entry->file == file + 1));
        file = entry->file;
        check_type(directory, i);
        FUZZ_CHECK(entry->offset_bytes <= INT64_MAX - entry->size_bytes);
        if (file_sizes)
            check_place(entry, file_sizes[file]);
    }
    FUZZ_CHECK(file + 1 == directory->shard_count);
}

/* --- the ways to parse --- */

static void check_accepted(const struct parsed *parsed, uint64_t file_size)
{
    FUZZ_CHECK(parsed->output.header_bytes <= file_size);
    if (parsed->output.format == TRESOR__FORMAT_SAFETENSORS_INDEX)
        fuzz_check_shards(&parsed->directory);
    else if (parsed->output.format == TRESOR__FORMAT_LAYOUT)
        fuzz_check_layout(&parsed->directory, NULL);
    else
        fuzz_check_directory(&parsed->directory, file_size);
    if (parsed->output.format == TRESOR__FORMAT_TMAI)
        check_layers(&parsed->directory);
}

/* A window that grows by `step`, or to what was asked for, ends in the same way. */
static void check_growing(const struct parsed *whole, const uint8_t *data, size_t size, size_t step)
{
    struct parsed grown;
    /* The bytes are only read. */
    const struct bytes bytes = {.data = (uint8_t *)(uintptr_t)data, .size = size};
    start(&grown, 0);
    parse_growing(&bytes, 0, step, 0, &grown.directory, &grown.output);
    FUZZ_CHECK(grown.output.status == whole->output.status);
    FUZZ_CHECK(memcmp(&grown.output.error, &whole->output.error, sizeof grown.output.error) == 0);
    FUZZ_CHECK(grown.output.header_bytes == whole->output.header_bytes);
    finish(&grown, size);
    FUZZ_CHECK(grown.error.code == whole->error.code);
    if (grown.output.status == TRESOR__PARSE_DONE)
        assert_same_directory(&whole->directory, &grown.directory);
    end(&grown);
}

/* The same bytes once more, as a second shard: its metadata is only looked through. */
static void check_second_file(struct parsed *first, const uint8_t *data, size_t size)
{
    struct tresor__parse_output output;
    const uint32_t metadata_count = first->directory.metadata_count;
    const uint32_t entry_count = first->directory.entry_count;
    parse_whole(data, size, 1, &first->directory, &output);
    FUZZ_CHECK(first->directory.metadata_count == metadata_count);
    if (first->output.format == TRESOR__FORMAT_TMAI) { /* which has no shards */
        FUZZ_CHECK(output.error.code == TRESOR_ERROR_SHARD);
        return;
    }
    FUZZ_CHECK(entry_count == 0 || output.error.code == TRESOR_ERROR_DUPLICATE);
    FUZZ_CHECK(entry_count > 0 || output.status == TRESOR__PARSE_DONE);
}

static void check_failed_allocation(const struct parsed *whole, const uint8_t *data, size_t size,
                                    uint64_t fail_call)
{
    struct parsed failed;
    start(&failed, fail_call);
    parse_whole(data, size, 0, &failed.directory, &failed.output);
    finish(&failed, size);
    FUZZ_CHECK(failed.counts.failed);
    FUZZ_CHECK(failed.error.code == TRESOR_ERROR_NO_MEMORY);
    FUZZ_CHECK(whole->error.code != TRESOR_ERROR_NO_MEMORY);
    end(&failed);
}

void fuzz_parse(const uint8_t *data, size_t size)
{
    struct parsed whole;
    start(&whole, 0);
    parse_whole(data, size, 0, &whole.directory, &whole.output);
    finish(&whole, size);
    if (!whole.error.code)
        check_accepted(&whole, size);
    check_growing(&whole, data, size, 0);
    check_growing(&whole, data, size, 1 + size / 12);
    const uint64_t calls = whole.counts.calls;
    if (calls) /* which one fails depends on the bytes, so that all do some time */
        check_failed_allocation(&whole, data, size, 1 + (size + data[size / 2]) % calls);
    if (!whole.error.code && !is_of_files(whole.output.format))
        check_second_file(&whole, data, size);
    end(&whole);
}
