/* SPDX-License-Identifier: MIT */
/* The work on a compressed file: to find that it is one, and to decode it, a bounded piece at a time. */
#include "source/model.h"

bool tresor__model_find_compression(struct tresor__model *model)
{
    struct tresor__model_file *file = &model->files[model->file];
    if (file->held.is_whole || model->parser.format != TRESOR__FORMAT_UNKNOWN)
        return false;
    uint32_t found = tresor__compression_sniff(file->header, file->header_have_bytes);
    if (found == TRESOR_COMPRESSION_NONE)
        return false;
    model->parsed = (struct tresor__parse_output){.status = TRESOR__PARSE_DONE};
    model->parsed.error =
        (struct tresor_error){.code = TRESOR_OK, .file = model->file, .tensor = TRESOR_NONE};
    if (!tresor__compression_is_built(found))
        model->parsed.error.code = TRESOR_ERROR_FORMAT;
    else if (model->io->is_recorded)
        model->parsed.error.code = TRESOR_ERROR_UNSUPPORTED;
    if (model->parsed.error.code != TRESOR_OK) {
        model->parsed.status = TRESOR__PARSE_FAILED;
        return true;
    }
    file->held = (struct tresor__held){
        .compression = found,
        .limit_bytes = tresor__decoded_limit(file->identity.size_bytes, model->max_decoded_bytes,
                                             model->max_ratio),
    };
    return true;
}

static void end(struct tresor__held *held)
{
    tresor__decoder_close(held->decoder);
    held->decoder = NULL;
}

static void fail(struct tresor__model *model, int32_t code, const struct tresor__decode_step *step)
{
    model->parsed.status = TRESOR__PARSE_FAILED;
    model->parsed.error = (struct tresor_error){.code = code,
                                                .file = model->file,
                                                .tensor = TRESOR_NONE,
                                                .offset = step->offset,
                                                .wanted = step->wanted,
                                                .got = step->got};
}

static struct tresor__decode_step step_of(const struct tresor__model_file *file)
{
    const struct tresor__held *held = &file->held;
    uint64_t room = held->mapped_bytes - held->made_bytes;
    return (struct tresor__decode_step){
        .input = file->header + held->taken_bytes,
        .input_bytes = file->header_have_bytes - held->taken_bytes,
        .is_last = held->input_offset + file->header_have_bytes == file->identity.size_bytes,
        .output = file->window + held->made_bytes,
        .output_bytes = room < TRESOR__HELD_STEP_BYTES ? room : TRESOR__HELD_STEP_BYTES,
    };
}

int64_t tresor__model_decode(struct tresor__model *model)
{
    struct tresor__model_file *file = &model->files[model->file];
    struct tresor__held *held = &file->held;
    struct tresor__decode_step step = step_of(file);
    model->parsed.status = TRESOR__PARSE_DONE;
    if (!held->decoder)
        step.code = tresor__decoder_open(&held->decoder, &model->allocator, held->compression, held->limit_bytes);
    if (step.code == TRESOR_OK)
        tresor__decoder_run(held->decoder, &step);
    if (step.code != TRESOR_OK) {
        end(held);
        fail(model, step.code, &step);
        return 0;
    }
    held->taken_bytes += step.taken_bytes;
    held->made_bytes += step.made_bytes;
    held->status = step.status;
    if (step.status == TRESOR__DECODE_DONE)
        end(held);
    return 0;
}
