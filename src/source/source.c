/* SPDX-License-Identifier: MIT */
#include "source/source.h"

#include <errno.h>
#include <string.h>

#include <tresor/event.h>
#include <tresor/strategy.h>

#include "io/extent.h"

static struct tresor__model_file *current(const struct tresor__source *source)
{
    return &source->model.files[source->model.file];
}

/* --- guards --- */

static bool is_cancelled(const void *context, const struct tresor__input *input)
{
    const struct tresor__source *source = context;
    (void)input;
    return source->cancelled;
}

static bool may_retry(const void *context, const struct tresor__input *input)
{
    const struct tresor__source *source = context;
    return tresor__may_retry(source->retries, input->os_errno);
}

/* munmap(2) refuses for want of map entries, which come and go, so any refusal is worth another
 * try. */
static bool may_release_again(const void *context, const struct tresor__input *input)
{
    const struct tresor__source *source = context;
    (void)input;
    return source->retries < TRESOR__RETRIES_MAX;
}

/* Empty, or less than the origin promises of it. */
static bool lacks_bytes(const void *context, const struct tresor__input *input)
{
    const struct tresor__model_file *file = current(context);
    (void)input;
    return file->seen.size_bytes == 0 || file->seen.size_bytes < file->origin.length_bytes;
}

static uint64_t read_left(const struct tresor__source *source)
{
    return source->header_want_bytes - current(source)->header_have_bytes;
}

static bool is_impossible(const void *context, const struct tresor__input *input)
{
    return input->value < 0 || (uint64_t)input->value > read_left(context);
}

static bool is_end_of_file(const void *context, const struct tresor__input *input)
{
    (void)context;
    return input->value == 0;
}

static bool is_short(const void *context, const struct tresor__input *input)
{
    return (uint64_t)input->value < read_left(context);
}

static bool needs_more(const void *context, const struct tresor__input *input)
{
    const struct tresor__source *source = context;
    (void)input;
    return source->model.parsed.status == TRESOR__PARSE_NEED;
}

static bool exceeds_header(const void *context, const struct tresor__input *input)
{
    const struct tresor__source *source = context;
    return needs_more(context, input) &&
           source->model.parsed.need_bytes > current(source)->header_bytes;
}

static bool has_failed(const void *context, const struct tresor__input *input)
{
    const struct tresor__source *source = context;
    (void)input;
    return source->model.parsed.status == TRESOR__PARSE_FAILED;
}

static bool has_changed(const void *context, const struct tresor__input *input)
{
    const struct tresor__model_file *file = current(context);
    (void)input;
    return memcmp(&file->identity, &file->seen, sizeof file->identity) != 0;
}

static bool is_other_first(const void *context, const struct tresor__input *input)
{
    const struct tresor__source *source = context;
    (void)input;
    return source->model.is_other_first;
}

/* Only the first header holds metadata that is read in place. */
static bool is_header_spent(const void *context, const struct tresor__input *input)
{
    const struct tresor__source *source = context;
    (void)input;
    return source->model.file > 0;
}

static bool has_more_files(const void *context, const struct tresor__input *input)
{
    const struct tresor__source *source = context;
    (void)input;
    return source->model.file + 1 < source->model.file_count;
}

/* What has no file is told to lack them only where they were asked for. */
static bool wants_direct(const void *context, const struct tresor__input *input)
{
    const struct tresor__source *source = context;
    uint8_t direct = source->model.io->direct;
    (void)input;
    return direct == TRESOR_DIRECT_ON ||
           (direct == TRESOR_DIRECT_AUTO && tresor__origin_has_file(&source->model.files[0].origin));
}

/* What is held has its window, and is not read any more. */
static bool has_more_windows(const void *context, const struct tresor__input *input)
{
    const struct tresor__source *source = context;
    const struct tresor__model *model = &source->model;
    (void)input;
    return tresor__model_next_plain(model, model->file + 1) < model->file_count;
}

static bool is_all_held(const void *context, const struct tresor__input *input)
{
    const struct tresor__source *source = context;
    (void)input;
    return tresor__model_next_plain(&source->model, 0) == source->model.file_count;
}

static bool is_compressed(const void *context, const struct tresor__input *input)
{
    const struct tresor__held *held = &current(context)->held;
    (void)input;
    return held->compression != TRESOR_COMPRESSION_NONE && !held->is_whole;
}

static bool is_decoded(const void *context, const struct tresor__input *input)
{
    (void)input;
    return current(context)->held.status == TRESOR__DECODE_DONE;
}

static bool is_hungry(const void *context, const struct tresor__input *input)
{
    (void)input;
    return current(context)->held.status == TRESOR__DECODE_NEEDS_INPUT;
}

static bool has_pages_left(const void *context, const struct tresor__input *input)
{
    const struct tresor__held *held = &current(context)->held;
    (void)input;
    return held->made_bytes < held->mapped_bytes;
}

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

/* Pages for what comes next: no more than may come at all, and than there is room for. */
static uint64_t pages_bytes(const struct tresor__source *source)
{
    const struct tresor__held *held = &current(source)->held;
    const struct tresor__io *io = source->model.io;
    uint64_t room = tresor__io_room_to_hold(io) / io->page_bytes * io->page_bytes;
    uint64_t rest = round_up(held->limit_bytes, io->page_bytes) - held->mapped_bytes;
    uint64_t bytes = rest < TRESOR__HELD_PAGES_BYTES ? rest : TRESOR__HELD_PAGES_BYTES;
    return bytes < room ? bytes : room;
}

static bool lacks_room(const void *context, const struct tresor__input *input)
{
    (void)input;
    return pages_bytes(context) == 0;
}

static struct tresor__model_file *range_holder(const struct tresor__source *source)
{
    return tresor__model_range_holder(&source->model);
}

static struct tresor__model_file *descriptor_holder(const struct tresor__source *source)
{
    return tresor__model_descriptor_holder(&source->model);
}

static bool holds_range(const void *context, const struct tresor__input *input)
{
    (void)input;
    return range_holder(context) != NULL;
}

static bool holds_descriptor(const void *context, const struct tresor__input *input)
{
    (void)input;
    return descriptor_holder(context) != NULL;
}

static bool is_to_reopen(const void *context, const struct tresor__input *input)
{
    const struct tresor__source *source = context;
    (void)input;
    return source->model.is_other_first && !source->cancelled && source->error.code == TRESOR_OK;
}

/* --- effects --- */

/* Room of the context's is taken by what is decoded, and given back with its pages. */
static void hold_room(struct tresor__source *source, uint64_t bytes)
{
    source->model.io->room.held_bytes += bytes;
    source->model.io->room.charged_bytes += bytes;
}

static void free_room(struct tresor__source *source, uint64_t bytes)
{
    source->model.io->room.held_bytes -= bytes;
    source->model.io->room.charged_bytes -= bytes;
}

static struct tresor__effect *ask(struct tresor__source *source, struct tresor__outbox *out,
                                  uint8_t kind, uint8_t on_ok)
{
    return tresor__outbox_effect(out, (struct tresor__effect){
                                          .kind = kind,
                                          .machine = TRESOR__MACHINE_SOURCE,
                                          .on_ok = on_ok,
                                          .on_failed = (uint8_t)(on_ok + 1),
                                          .source = source->index,
                                          .slot = source->index,
                                          .file = source->model.file,
                                      });
}

static void ask_work(struct tresor__source *source, struct tresor__outbox *out, uint8_t work)
{
    ask(source, out, TRESOR__EFFECT_WORK, SOURCE_ON_WORK_OK)->flags = work;
}

static void ask_open(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    source->retries = 0;
    ask(source, out, TRESOR__EFFECT_OPEN, SOURCE_ON_OPEN_OK);
}

static void open_again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    source->retries++;
    ask(source, out, TRESOR__EFFECT_OPEN, SOURCE_ON_OPEN_OK);
}

static void ask_next_open(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    source->model.file++;
    source->model.parser = (struct tresor__parser){0};
    ask_open(context, input, out);
}

static void ask_first_open(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    source->model.is_other_first = false;
    source->model.file = 0;
    source->model.parser = (struct tresor__parser){0};
    ask_open(context, input, out);
}

static void ask_stat(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    ask(context, out, TRESOR__EFFECT_STAT, SOURCE_ON_STAT_OK);
}

static void keep_and_ask_stat(void *context, const struct tresor__input *input,
                              struct tresor__outbox *out)
{
    current(context)->descriptor = (int)input->value;
    ask_stat(context, input, out);
}

static uint64_t header_limit(const struct tresor__model_file *file)
{
    uint64_t size = file->identity.size_bytes;
    return size < TRESOR__HEADER_MAX_BYTES ? size : TRESOR__HEADER_MAX_BYTES;
}

static void ask_header(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    struct tresor__model_file *file = current(source);
    (void)input;
    file->identity = file->seen;
    struct tresor__effect *effect = ask(source, out, TRESOR__EFFECT_RESERVE, SOURCE_ON_RESERVE_OK);
    effect->flags = TRESOR__RESERVE_WRITABLE;
    effect->length = header_limit(file);
}

/* A header is read to its end; what is decoded to the file's, and is nobody's to keep then. */
static uint16_t read_flags(const struct tresor__source *source)
{
    if (current(source)->held.compression == TRESOR_COMPRESSION_NONE)
        return TRESOR__READ_ALONE;
    return source->model.io->evicts_cache ? TRESOR__CACHE_SPARING : 0;
}

static void ask_read(struct tresor__source *source, struct tresor__outbox *out)
{
    struct tresor__effect *effect = ask(source, out, TRESOR__EFFECT_READ, SOURCE_ON_READ_OK);
    effect->space = TRESOR__SPACE_HEADER;
    effect->flags = read_flags(source);
    effect->place = current(source)->header_have_bytes;
    effect->offset = current(source)->held.input_offset + effect->place;
    effect->length = read_left(source);
}

static void keep_header_and_read(void *context, const struct tresor__input *input,
                                 struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    struct tresor__model_file *file = current(source);
    uint64_t size = file->identity.size_bytes;
    file->header = (uint8_t *)(uintptr_t)input->value;
    file->header_bytes = header_limit(file);
    file->header_have_bytes = 0;
    source->retries = 0;
    uint64_t first = tresor__model_first_bytes(&source->model);
    source->header_want_bytes = size < first ? size : first;
    ask_read(source, out);
}

static void read_rest(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    current(source)->header_have_bytes += (uint64_t)input->value;
    source->retries = 0;
    ask_read(source, out);
}

static void read_again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    source->retries++;
    ask_read(source, out);
}

static void ask_parse(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    current(source)->header_have_bytes += (uint64_t)input->value;
    ask_work(source, out, TRESOR__WORK_PARSE);
}

/* Doubles while small, then goes in steps, so that little is read in vain after a header's end. */
static void read_more(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    const struct tresor__model_file *file = current(source);
    uint64_t have = file->header_have_bytes;
    uint64_t step = have < TRESOR__HEADER_STEP_BYTES ? have : TRESOR__HEADER_STEP_BYTES;
    uint64_t want = have + step;
    (void)input;
    if (want < source->model.parsed.need_bytes)
        want = source->model.parsed.need_bytes;
    source->header_want_bytes = want < file->header_bytes ? want : file->header_bytes;
    source->retries = 0;
    ask_read(source, out);
}

static void release_header(struct tresor__source *source, struct tresor__outbox *out)
{
    struct tresor__effect *effect = ask(source, out, TRESOR__EFFECT_RELEASE, SOURCE_ON_RELEASE_OK);
    effect->space = TRESOR__SPACE_HEADER;
    effect->length = current(source)->header_bytes;
}

static void ask_trim(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    source->retries = 0;
    release_header(source, out);
}

static void trim_again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    source->retries++;
    release_header(source, out);
}

/* --- a compressed file --- */

/* Beside what may come out one alignment more, so that there always is something to cut. */
static void ask_hold(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    struct tresor__held *held = &current(source)->held;
    (void)input;
    held->reserved_bytes = round_up(held->limit_bytes, TRESOR__WINDOW_ALIGNMENT_BYTES) + TRESOR__WINDOW_ALIGNMENT_BYTES;
    ask(source, out, TRESOR__EFFECT_RESERVE, SOURCE_ON_RESERVE_OK)->length = held->reserved_bytes;
}

static void decode_more(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    ask_work(context, out, TRESOR__WORK_DECODE);
}

static void ask_map(struct tresor__source *source, struct tresor__outbox *out)
{
    struct tresor__effect *effect = ask(source, out, TRESOR__EFFECT_MAP, SOURCE_ON_MAP_OK);
    effect->flags = TRESOR__MAP_ANONYMOUS;
    effect->space = TRESOR__SPACE_WINDOW;
    effect->place = current(source)->held.mapped_bytes;
    effect->offset = effect->place;
    effect->length = source->map_bytes;
}

/* Their room is theirs from now on. */
static void ask_pages(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    source->retries = 0;
    source->map_bytes = pages_bytes(source);
    hold_room(source, source->map_bytes);
    ask_map(source, out);
}

static void map_again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    source->retries++;
    ask_map(source, out);
}

static void keep_pages(struct tresor__source *source, const struct tresor__input *input)
{
    struct tresor__held *held = &current(source)->held;
    held->mapped_bytes += source->map_bytes;
    if (input->value > 0)
        held->nodes_errno = (int32_t)input->value;
    source->map_bytes = 0;
}

static void keep_pages_and_decode(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    keep_pages(context, input);
    decode_more(context, input, out);
}

static void ask_fetch(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    struct tresor__model_file *file = current(source);
    struct tresor__held *held = &file->held;
    (void)input;
    held->input_offset += file->header_have_bytes;
    held->taken_bytes = 0;
    file->header_have_bytes = 0;
    uint64_t left = file->identity.size_bytes - held->input_offset;
    uint64_t room = file->header_bytes < TRESOR__HELD_INPUT_BYTES ? file->header_bytes : TRESOR__HELD_INPUT_BYTES;
    source->header_want_bytes = left < room ? left : room;
    source->retries = 0;
    ask_read(source, out);
}

static void keep_input_and_decode(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    current(context)->header_have_bytes += (uint64_t)input->value;
    decode_more(context, input, out);
}

/* Whole pages of what came out, and one where nothing did. */
static uint64_t kept_bytes(const struct tresor__source *source)
{
    const struct tresor__held *held = &current(source)->held;
    uint64_t page = source->model.io->page_bytes;
    return held->made_bytes > 0 ? round_up(held->made_bytes, page) : page;
}

static void cut(struct tresor__source *source, struct tresor__outbox *out)
{
    struct tresor__effect *effect = ask(source, out, TRESOR__EFFECT_RELEASE, SOURCE_ON_RELEASE_OK);
    effect->space = TRESOR__SPACE_HELD;
    effect->place = kept_bytes(source);
    effect->length = current(source)->held.reserved_bytes - effect->place;
}

static void ask_cut(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    source->retries = 0;
    cut(source, out);
}

static void cut_again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    source->retries++;
    cut(source, out);
}

static void parse_decoded(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    current(source)->held.is_whole = true;
    source->model.is_mappable = false;
    ask_work(source, out, TRESOR__WORK_PARSE);
}

/* What lies behind has gone, and its room with it. */
static void forget_rest(struct tresor__source *source)
{
    struct tresor__held *held = &current(source)->held;
    uint64_t kept = kept_bytes(source);
    held->reserved_bytes = kept;
    if (held->mapped_bytes <= kept)
        return;
    free_room(source, held->mapped_bytes - kept);
    held->mapped_bytes = kept;
}

static void cut_and_parse(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    forget_rest(context);
    parse_decoded(context, input, out);
}

static void ask_index(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    ask_work(context, out, TRESOR__WORK_INDEX);
}

static void forget_header(struct tresor__source *source)
{
    current(source)->header = NULL;
    current(source)->header_bytes = 0;
}

static void forget_header_and_open(void *context, const struct tresor__input *input,
                                   struct tresor__outbox *out)
{
    forget_header(context);
    ask_next_open(context, input, out);
}

static void forget_header_and_index(void *context, const struct tresor__input *input,
                                    struct tresor__outbox *out)
{
    forget_header(context);
    ask_index(context, input, out);
}

/* The range stays mapped for good. The system counts pages. */
static void leak(struct tresor__source *source, uint64_t length)
{
    uint64_t page = source->model.io->page_bytes;
    source->leaked_bytes += (length + page - 1) / page * page;
}

static void leak_header_and_open(void *context, const struct tresor__input *input,
                                 struct tresor__outbox *out)
{
    leak(context, current(context)->header_bytes);
    forget_header_and_open(context, input, out);
}

static void leak_header_and_index(void *context, const struct tresor__input *input,
                                  struct tresor__outbox *out)
{
    leak(context, current(context)->header_bytes);
    forget_header_and_index(context, input, out);
}

static void ask_window(struct tresor__source *source, struct tresor__outbox *out)
{
    struct tresor__effect *effect = ask(source, out, TRESOR__EFFECT_RESERVE, SOURCE_ON_RESERVE_OK);
    effect->length = tresor__model_reserved_bytes(current(source));
}

static void ask_first_window(void *context, const struct tresor__input *input,
                             struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    source->model.file = tresor__model_next_plain(&source->model, 0);
    ask_window(source, out);
}

static void keep_window(struct tresor__source *source, const struct tresor__input *input)
{
    current(source)->window = (uint8_t *)(uintptr_t)input->value;
}

static void keep_and_ask_window(void *context, const struct tresor__input *input,
                                struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    keep_window(source, input);
    source->model.file = tresor__model_next_plain(&source->model, source->model.file + 1);
    ask_window(source, out);
}

static void keep_window_and_decode(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    keep_window(context, input);
    decode_more(context, input, out);
}

/* --- direct reads --- */

static void ask_direct(struct tresor__source *source, struct tresor__outbox *out)
{
    ask(source, out, TRESOR__EFFECT_OPEN_DIRECT, SOURCE_ON_OPEN_DIRECT_OK);
}

static void keep_window_and_ask_direct(void *context, const struct tresor__input *input,
                                       struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    keep_window(source, input);
    source->model.file = tresor__model_next_plain(&source->model, 0);
    source->retries = 0;
    ask_direct(source, out);
}

static void ask_next_direct(struct tresor__source *source, struct tresor__outbox *out)
{
    source->model.file = tresor__model_next_plain(&source->model, source->model.file + 1);
    source->retries = 0;
    ask_direct(source, out);
}

static void direct_again(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    source->retries++;
    ask_direct(source, out);
}

static void refuse_direct(struct tresor__source *source, int32_t os_errno,
                          struct tresor__outbox *out)
{
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_DEGRADED,
                                                         .event = TRESOR_DEGRADED_DIRECT,
                                                         .code = os_errno,
                                                         .slot = source->model.file});
}

/* Blocks begin at multiples of a page from where the file does, so a coarser alignment than either's is as good as none. */
static void keep_direct(struct tresor__source *source, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__model_file *file = current(source);
    uint32_t alignment = file->io.direct.facts.alignment_bytes;
    file->direct_descriptor = (int)input->value;
    file->io.direct.is_open = alignment > 0 && source->model.io->page_bytes % alignment == 0 &&
                              file->origin.offset_bytes % alignment == 0;
    if (!file->io.direct.is_open)
        refuse_direct(source, EINVAL, out);
}

static void keep_direct_and_ask_next(void *context, const struct tresor__input *input,
                                     struct tresor__outbox *out)
{
    keep_direct(context, input, out);
    ask_next_direct(context, out);
}

static void refuse_direct_and_ask_next(void *context, const struct tresor__input *input,
                                       struct tresor__outbox *out)
{
    refuse_direct(context, input->os_errno, out);
    ask_next_direct(context, out);
}

/* --- ends --- */

static void settle(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    const struct tresor__source *source = context;
    (void)input;
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_SETTLE_SOURCE,
                                                         .code = source->error.code,
                                                         .slot = source->index});
}

/* Its ledger is there by now, and with it who tells. The first such file stands for all. */
static void tell_nodes(const struct tresor__source *source, struct tresor__outbox *out)
{
    for (uint32_t i = 0; i < source->model.file_count; i++) {
        int32_t os_errno = source->model.files[i].held.nodes_errno;
        if (os_errno == 0)
            continue;
        tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_DEGRADED,
                                                             .event = TRESOR_DEGRADED_NUMA,
                                                             .code = os_errno,
                                                             .slot = i});
        return;
    }
}

static void settle_open(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    tell_nodes(context, out);
    settle(context, input, out);
}

static void keep_window_and_settle(void *context, const struct tresor__input *input,
                                   struct tresor__outbox *out)
{
    keep_window(context, input);
    settle_open(context, input, out);
}

static void keep_direct_and_settle(void *context, const struct tresor__input *input,
                                   struct tresor__outbox *out)
{
    keep_direct(context, input, out);
    settle_open(context, input, out);
}

static void refuse_direct_and_settle(void *context, const struct tresor__input *input,
                                     struct tresor__outbox *out)
{
    refuse_direct(context, input->os_errno, out);
    settle_open(context, input, out);
}

static void again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    tresor__outbox_again(out);
}

static void remember_cancel(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    (void)out;
    source->cancelled = true;
}

/* Keeps what happened first and asks for the turn that begins tearing down. */
static void fail(struct tresor__source *source, struct tresor__outbox *out, int32_t code,
                 int32_t os_errno)
{
    source->error = (struct tresor_error){
        .code = code, .os_errno = os_errno, .file = source->model.file, .tensor = TRESOR_NONE};
    tresor__outbox_again(out);
}

static void fail_cancelled(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    (void)input;
    fail(context, out, TRESOR_ERROR_CANCELLED, 0);
}

static void keep_and_fail_cancelled(void *context, const struct tresor__input *input,
                                    struct tresor__outbox *out)
{
    current(context)->descriptor = (int)input->value;
    fail_cancelled(context, input, out);
}

static void keep_window_and_fail_cancelled(void *context, const struct tresor__input *input,
                                           struct tresor__outbox *out)
{
    keep_window(context, input);
    fail_cancelled(context, input, out);
}

static void keep_pages_and_fail_cancelled(void *context, const struct tresor__input *input,
                                          struct tresor__outbox *out)
{
    keep_pages(context, input);
    fail_cancelled(context, input, out);
}

static void cut_and_fail_cancelled(void *context, const struct tresor__input *input,
                                   struct tresor__outbox *out)
{
    forget_rest(context);
    fail_cancelled(context, input, out);
}

static void keep_direct_and_fail_cancelled(void *context, const struct tresor__input *input,
                                           struct tresor__outbox *out)
{
    current(context)->direct_descriptor = (int)input->value;
    fail_cancelled(context, input, out);
}

static void fail_open(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    const struct tresor__source *source = context;
    int32_t code = tresor__model_open_code(&source->model, input->os_errno);
    /* The actor's EINVAL is no word of the system's. */
    fail(context, out, code, input->os_errno == EINVAL ? 0 : input->os_errno);
}

static void fail_stat(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    fail(context, out, tresor__failure_of(TRESOR_ERROR_IO, input->os_errno, 0, 0, 0).code,
         input->os_errno);
}

static void fail_short(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    fail(source, out, TRESOR_ERROR_TRUNCATED, 0);
    source->error.wanted = current(source)->origin.length_bytes;
    source->error.got = current(source)->seen.size_bytes;
}

static void fail_memory(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    fail(context, out, TRESOR_ERROR_NO_MEMORY, input->os_errno);
}

static void fail_at_header(struct tresor__source *source, struct tresor__outbox *out, int32_t code,
                           int32_t os_errno)
{
    fail(source, out, code, os_errno);
    source->error.offset = current(source)->held.input_offset + current(source)->header_have_bytes;
    source->error.wanted = read_left(source);
}

static void fail_backend(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    (void)input;
    fail_at_header(context, out, TRESOR_ERROR_BACKEND, 0);
}

static void fail_truncated(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    (void)input;
    fail_at_header(context, out, TRESOR_ERROR_TRUNCATED, 0);
}

static void fail_read(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    int32_t code = tresor__failure_of(TRESOR_ERROR_IO, input->os_errno, 0, 0, 0).code;
    fail_at_header(context, out, code, input->os_errno);
}

static void fail_parse(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    fail(source, out, source->model.parsed.error.code, 0);
    source->error = source->model.parsed.error;
}

static void fail_header_limit(void *context, const struct tresor__input *input,
                              struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    fail(source, out, TRESOR_ERROR_LIMIT, 0);
    source->error.wanted = source->model.parsed.need_bytes;
    source->error.got = current(source)->header_bytes;
}

/* Nothing goes for it: it is opened by who has made room for it. */
static void fail_too_big(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    fail(source, out, TRESOR_ERROR_TOO_BIG, 0);
    source->error.wanted = current(source)->held.mapped_bytes + source->model.io->page_bytes;
    source->error.got = current(source)->held.mapped_bytes;
}

static void fail_pages(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    int32_t code = tresor__failure_of(TRESOR_ERROR_NO_MEMORY, input->os_errno, 0, 0, 0).code;
    fail(source, out, code, input->os_errno);
    source->error.wanted = source->map_bytes;
    free_room(source, source->map_bytes);
    source->map_bytes = 0;
}

static void fail_changed(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    fail(source, out, TRESOR_ERROR_CHANGED, 0);
    source->error.wanted = current(source)->identity.size_bytes;
    source->error.got = current(source)->seen.size_bytes;
}

/* --- tearing down --- */

static uint64_t range_bytes(const struct tresor__model_file *file)
{
    return file->window ? tresor__model_reserved_bytes(file) : file->header_bytes;
}

static void release_range(struct tresor__source *source, struct tresor__outbox *out)
{
    const struct tresor__model_file *file = range_holder(source);
    struct tresor__effect *effect = ask(source, out, TRESOR__EFFECT_RELEASE, SOURCE_ON_RELEASE_OK);
    effect->file = (uint32_t)(file - source->model.files);
    effect->space = file->window ? TRESOR__SPACE_WINDOW : TRESOR__SPACE_HEADER;
    effect->length = range_bytes(file);
}

static void ask_release(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    source->retries = 0;
    release_range(source, out);
}

static void release_again(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    source->retries++;
    release_range(source, out);
}

static void forget_range(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__model_file *file = range_holder(context);
    if (file->window) {
        file->window = NULL;
        free_room(context, file->held.mapped_bytes);
        file->held.mapped_bytes = 0;
    } else {
        file->header = NULL;
    }
    again(context, input, out);
}

/* A close reports it; an open that goes on, or has failed for a better reason, does not. */
static void leak_range(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    const struct tresor__model_file *file = range_holder(source);
    leak(source, range_bytes(file));
    if (source->error.code == TRESOR_OK && !source->model.is_other_first)
        source->error = (struct tresor_error){.code = TRESOR_ERROR_MAP_REFUSED,
                                              .os_errno = input->os_errno,
                                              .file = (uint32_t)(file - source->model.files),
                                              .tensor = TRESOR_NONE,
                                              .wanted = range_bytes(file)};
    forget_range(context, input, out);
}

static void ask_close(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    const struct tresor__model_file *file = descriptor_holder(source);
    struct tresor__effect *effect = ask(source, out, TRESOR__EFFECT_CLOSE, SOURCE_ON_CLOSE_OK);
    (void)input;
    effect->file = (uint32_t)(file - source->model.files);
    effect->flags = file->direct_descriptor >= 0 ? TRESOR__READ_DIRECT : 0;
}

static void forget_descriptor(void *context, const struct tresor__input *input,
                              struct tresor__outbox *out)
{
    struct tresor__model_file *file = descriptor_holder(context);
    if (file->direct_descriptor >= 0)
        file->direct_descriptor = -1;
    else
        file->descriptor = -1;
    again(context, input, out);
}

static void ask_free(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__source *source = context;
    (void)input;
    if (source->cancelled && source->error.code == TRESOR_OK)
        source->error.code = TRESOR_ERROR_CANCELLED;
    ask_work(source, out, TRESOR__WORK_FREE);
}

static void check(const void *context)
{
    const struct tresor__source *source = context;
    assert(source->retries <= TRESOR__RETRIES_MAX);
    /* While work on the model is asked for, a worker may be changing it. */
    if (source->state == SOURCE_FREE || source->state == SOURCE_PARSING ||
        source->state == SOURCE_DECODING || source->state == SOURCE_INDEXING || source->state == SOURCE_FREEING)
        return;
    assert(source->model.file < source->model.file_total);
    if (source->state == SOURCE_READY)
        for (uint32_t i = 0; i < source->model.file_count; i++)
            assert(source->model.files[i].window && source->model.files[i].descriptor >= 0);
    if (source->state == SOURCE_READING || source->state == SOURCE_FETCHING)
        assert(current(source)->header && read_left(source) > 0);
    if (source->state == SOURCE_ROOMING)
        assert(current(source)->window && source->map_bytes > 0);
}

#define TRESOR__DEF "source/source.def"
#define TRESOR__S(name) SOURCE_##name
#define TRESOR__E(name) SOURCE_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__source_machine =
    TRESOR__MACHINE_TABLE("source", TRESOR__MACHINE_SOURCE, struct tresor__source, check);
