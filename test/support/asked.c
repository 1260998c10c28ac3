/* SPDX-License-Identifier: MIT */
#include "support/asked.h"

#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/facts.h"
#include "support/random.h"

enum {
    EVENT_OK = 1,
    EVENT_FAILED = 2,
    MACHINE = 3,
    ALIGNMENT_BYTES = 4096,
};

static const char *path_of(const struct asked *asked)
{
    static char path[TEMPORARY_PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/file", asked->folder);
    return path;
}

bool asked_make(struct asked *asked)
{
    uint64_t seed = 5;
    memset(asked, 0, sizeof *asked);
    temporary_make(asked->folder);
    asked->bytes = aligned_alloc(ALIGNMENT_BYTES, ASKED_FILE_BYTES);
    assert_non_null(asked->bytes);
    for (size_t i = 0; i < ASKED_FILE_BYTES; i += sizeof(uint32_t)) {
        uint32_t word = random_below(&seed, UINT32_MAX);
        memcpy(asked->bytes + i, &word, sizeof word);
    }
    int file = open(path_of(asked), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, asked->bytes, ASKED_FILE_BYTES), ASKED_FILE_BYTES);
    assert_int_equal(fsync(file), 0);
    bool has_direct = fcntl(file, F_SETFL, O_DIRECT) == 0;
    close(file);
    return has_direct;
}

void asked_remove(struct asked *asked)
{
    free(asked->bytes);
    temporary_remove(asked->folder);
}

void asked_begin(struct asked *asked)
{
    const struct tresor__sys *sys = &asked->faulty.sys;
    void *place = NULL;
    faulty_sys_init(&asked->faulty, tresor__sys_posix());
    memset(&asked->memory, 0, sizeof asked->memory);
    memset(asked->answers, 0, sizeof asked->answers);
    asked->allocator = failing_allocator_hooks(&asked->memory);
    asked->backend = NULL;
    asked->outstanding = 0;
    asked->faulty.has_workers = true;
    asked->descriptor = (int)sys->open_file(sys->cookie, path_of(asked));
    assert_true(asked->descriptor >= 0);
    assert_int_equal(tresor__bell_open(&asked->bell, sys), TRESOR_OK);
    fcntl(asked->descriptor, F_SETFL, O_DIRECT); /* where that is refused reads are what they are */
    assert_int_equal(sys->map(sys->cookie, TRESOR__SYS_MAP_ANONYMOUS, NULL, ASKED_FILE_BYTES, -1, 0,
                              &place),
                     0);
    asked->place = place;
}

void asked_end(struct asked *asked)
{
    const struct tresor__sys *sys = &asked->faulty.sys;
    if (asked->backend)
        asked->backend->destroy(asked->backend);
    tresor__bell_close(&asked->bell);
    sys->close(sys->cookie, asked->descriptor);
    sys->unmap(sys->cookie, asked->place, ASKED_FILE_BYTES);
    const char *wrong = faulty_sys_check(&asked->faulty);
    if (wrong)
        fail_msg("%s", wrong);
    assert_int_equal(asked->memory.outstanding_bytes, 0);
}

static struct tresor__effect effect_on(const struct asked *asked, uint8_t kind, uint32_t block)
{
    static struct tresor__direct_facts facts = {.alignment_bytes = ALIGNMENT_BYTES};
    uint64_t offset = (uint64_t)block * ASKED_BLOCK_BYTES;
    return (struct tresor__effect){
        .kind = kind,
        .machine = MACHINE,
        .on_ok = EVENT_OK,
        .on_failed = EVENT_FAILED,
        .slot = block,
        .offset = offset,
        .length = ASKED_BLOCK_BYTES,
        .descriptor = asked->descriptor,
        .address = asked->place + offset,
        .record = &facts,
    };
}

void asked_read(struct asked *asked, uint32_t first, uint32_t count, uint8_t flags)
{
    struct tresor__effect effects[ASKED_MAX];
    for (uint32_t i = 0; i < count; i++) {
        effects[i] = effect_on(asked, TRESOR__EFFECT_READ, first + i);
        effects[i].flags = flags;
    }
    asked->outstanding += count;
    asked->backend->submit(asked->backend, effects, count);
}

void asked_cancel(struct asked *asked, uint32_t block)
{
    struct tresor__effect effect = effect_on(asked, TRESOR__EFFECT_CANCEL, block);
    asked->outstanding++;
    asked->backend->submit(asked->backend, &effect, 1);
}

static void note(struct asked *asked, const struct tresor__completion *completion)
{
    assert_true(asked->outstanding-- > 0);
    assert_true(completion->slot < ASKED_MAX);
    struct asked_answers *answers = &asked->answers[completion->slot];
    bool is_read = completion->kind == TRESOR__EFFECT_READ;
    assert_int_equal(completion->machine, MACHINE);
    assert_int_equal(completion->event, completion->os_errno ? EVENT_FAILED : EVENT_OK);
    *(is_read ? &answers->reads : &answers->cancels) += 1;
    *(is_read ? &answers->read : &answers->cancel) = *completion;
}

uint32_t asked_poll(struct asked *asked)
{
    struct tresor__completion completions[ASKED_MAX];
    asked->backend->starts_left = TRESOR__STARTS_MAX;
    uint32_t count = asked->backend->poll(asked->backend, completions, ASKED_MAX);
    for (uint32_t i = 0; i < count; i++)
        note(asked, &completions[i]);
    return count;
}

void asked_run(struct asked *asked)
{
    while (asked->outstanding > 0)
        if (asked_poll(asked) == 0)
            asked->backend->wait(asked->backend, -1);
}

uint32_t asked_count_whole(const struct asked *asked)
{
    uint32_t whole = 0;
    for (uint32_t i = 0; i < ASKED_MAX; i++) {
        const struct asked_answers *answers = &asked->answers[i];
        size_t at = (size_t)i * ASKED_BLOCK_BYTES;
        assert_true(answers->reads <= 1);
        if (answers->reads == 0 || answers->read.value != ASKED_BLOCK_BYTES)
            continue;
        assert_memory_equal(asked->place + at, asked->bytes + at, ASKED_BLOCK_BYTES);
        whole++;
    }
    return whole;
}
