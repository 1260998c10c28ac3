/* SPDX-License-Identifier: MIT */
/* Files that are shorter than their header says, become so, or change while they are opened. */
#include "support/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "real.h"

static struct real real;

enum { TENSORS = 4 };

static const struct model_tensor tensors[TENSORS] = {
    {5000, MODEL_NEXT, false},
    {200000, MODEL_NEXT, false},
    {100, MODEL_NEXT, false},
    {90000, MODEL_NEXT, false},
};

static void cut(uint64_t size_bytes)
{
    assert_int_equal(truncate(real.set.parts[0].path, (off_t)size_bytes), 0);
}

static void cut_before_the_open(void **state)
{
    (void)state;
    real_make_gguf(&real, tensors, TENSORS);
    const struct bytes *bytes = &real.set.parts[0].bytes;
    uint64_t header = model_set_data_offset(&real.set);
    const uint64_t sizes[] = {bytes->size - 1, bytes->size - 90000, bytes->size / 2,
                              header + 1,      header,              header - 40,
                              header / 2,      24,                  23,
                              8,               4,                   1,
                              0};
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct tresor_error error;
        cut(sizes[i]);
        assert_error(real_open_once(&real, model_set_path(&real.set), &error),
                     TRESOR_ERROR_TRUNCATED);
        assert_true(error.got < error.wanted || sizes[i] == 0);
    }
    real_remove(&real);
}

/*
 * What is whole loads, what is not says so, and nobody gets a SIGBUS. A file that was written again is another one, even
 * if it is whole.
 */
static void cut_after_the_open(uint32_t strategy, uint64_t size_bytes, uint32_t good)
{
    real_make_gguf(&real, tensors, TENSORS);
    assert_error(real_start(&real), TRESOR_OK);
    assert_error(session_open(&real.session, model_set_path(&real.set)), TRESOR_OK);
    struct tresor_item all = session_all(&real.session);
    cut(size_bytes);
    assert_error(session_do(&real.session, TRESOR_VERB_LOAD, all, strategy),
                 TRESOR_ERROR_TRUNCATED);
    assert_int_equal(session_verify(&real.session, &real.set), good);
    for (uint32_t i = good; i < TENSORS; i++)
        assert_error(session_item(&real.session, i)->error.code, TRESOR_ERROR_TRUNCATED);
    model_set_write(&real.set);
    assert_error(session_do(&real.session, TRESOR_VERB_LOAD, all, strategy), TRESOR_ERROR_CHANGED);
    assert_int_equal(session_verify(&real.session, &real.set), good);
    real_remove(&real);
}

static void cut_before_the_load(void **state)
{
    (void)state;
    real_make_gguf(&real, tensors, TENSORS);
    uint64_t size = real.set.parts[0].bytes.size;
    real_remove(&real);
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        cut_after_the_open(strategy, size - 1, 3);
        cut_after_the_open(strategy, size - 20000, 3);
        cut_after_the_open(strategy, size - 200000, 1);
        cut_after_the_open(strategy, 0, 0);
    }
}

struct change {
    uint64_t at; /* the stat before which it happens */
    void (*make)(void);
};

static int32_t change_before(void *cookie, struct faulty_call *call)
{
    struct change *change = cookie;
    if (call->row == FAULTY_STAT && call->number == change->at)
        change->make();
    return 0;
}

static void append(void)
{
    int descriptor = open(model_set_path(&real.set), O_WRONLY | O_APPEND);
    assert_int_equal(write(descriptor, "x", 1), 1);
    close(descriptor);
}

static void touch(void)
{
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, model_set_path(&real.set), times, 0), 0);
}

static void shorten(void)
{
    cut(real.set.parts[0].bytes.size - 1);
}

static void changed_during_the_open(void **state)
{
    static void (*const makers[])(void) = {append, touch, shorten};
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        struct tresor_error error;
        /* The first stat finds a regular file, the second its identity, the third the same or not. */
        struct change change = {.at = 3, .make = makers[i]};
        real_make_gguf(&real, tensors, TENSORS);
        real.faulty.judge = change_before;
        real.faulty.judge_cookie = &change;
        assert_error(real_open_once(&real, model_set_path(&real.set), &error),
                     TRESOR_ERROR_CHANGED);
        assert_int_equal(error.wanted, real.set.parts[0].bytes.size);
        real.faulty.judge = NULL;
        real_remove(&real);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_before_the_open),
        cmocka_unit_test(cut_before_the_load),
        cmocka_unit_test(changed_during_the_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
