/* SPDX-License-Identifier: MIT */
#include "support/model.h"

#include "support/test.h"

static void add_tensors(struct tresor__directory *directory, const struct model_layout *layout,
                        uint32_t file)
{
    uint32_t first = directory->entry_count;
    for (uint32_t i = first; i < layout->tensor_count && layout->tensors[i].file == file; i++) {
        char name[16];
        int length = snprintf(name, sizeof name, "t%u", i);
        struct tresor__entry entry = {
            .offset_bytes = layout->tensors[i].offset_bytes,
            .size_bytes = layout->tensors[i].size_bytes,
            .file = file,
        };
        assert_error(tresor__directory_add(directory, &entry, name, (size_t)length), TRESOR_OK);
    }
    assert_error(tresor__directory_add_file(directory, 0, first), TRESOR_OK);
}

int32_t model_make(struct tresor__model *model, const struct tresor_allocator *allocator,
                   struct tresor__io *io, const struct model_layout *layout)
{
    static const uint64_t key[2] = {1, 2};
    static const struct tresor__origin origin;
    assert_error(tresor__model_init(model, allocator, io, layout->source, key, &origin, "m"), TRESOR_OK);
    model->files = tresor__reallocate(allocator, model->files, sizeof *model->files,
                                      layout->file_count * sizeof *model->files);
    assert_non_null(model->files);
    model->file_count = layout->file_count;
    model->file_total = layout->file_count;
    model->format = TRESOR__FORMAT_GGUF;
    for (uint32_t i = 0; i < layout->file_count; i++) {
        model->files[i].descriptor = -1;
        model->files[i].identity.size_bytes = layout->file_bytes[i];
        add_tensors(&model->directory, layout, i);
    }
    tresor__model_index(model);
    return model->parsed.status == TRESOR__PARSE_DONE ? TRESOR_OK : model->parsed.error.code;
}
