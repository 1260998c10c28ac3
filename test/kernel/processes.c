/* SPDX-License-Identifier: MIT */
/* A process that is killed, stopped or forked while a read of its load hangs. */
#include "support/test.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse_fs.h"
#include "real.h"

static struct real real;
static struct fuse_fs fs;

enum { TENSORS = 3, HELD_BYTES = 4096, SECONDS_MAX = 50 };

static const struct model_tensor tensors[TENSORS] = {
    {300000, MODEL_NEXT, false}, {500000, MODEL_NEXT, false}, {400000, MODEL_NEXT, false}};

static const struct way {
    uint32_t strategy;
    uint32_t direct;
} ways[] = {
    {TRESOR_STRATEGY_MMAP, TRESOR_DIRECT_OFF},
    {TRESOR_STRATEGY_READ, TRESOR_DIRECT_OFF},
    {TRESOR_STRATEGY_READ, TRESOR_DIRECT_ON},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

/* A read in the middle of the model hangs. */
static void begin(const struct way *way)
{
    real_make_gguf(&real, tensors, TENSORS);
    real.direct = way->direct;
    real.is_bare = true;
    const struct bytes *bytes = &real.set.parts[0].bytes;
    const char *name = strrchr(model_set_path(&real.set), '/') + 1;
    assert_true(fuse_fs_start(&fs, real.folder, name, bytes->data, bytes->size));
    uint64_t middle = model_set_data_offset(&real.set) + 550000;
    fuse_fs_hold(&fs, middle, middle + HELD_BYTES);
}

static bool open_model(void)
{
    return real_start(&real) == TRESOR_OK &&
           session_open(&real.session, model_set_path(&real.set)) == TRESOR_OK;
}

static bool load_all(uint32_t strategy)
{
    return session_do(&real.session, TRESOR_VERB_LOAD, session_all(&real.session), strategy) ==
               TRESOR_OK &&
           session_verify(&real.session, &real.set) == TENSORS;
}

static void end(void)
{
    const char *wrong = real_end(&real);
    fuse_fs_stop(&fs);
    real_remove(&real);
    if (wrong)
        fail_msg("%s", wrong);
}

static int clean(void **state)
{
    (void)state;
    if (fs.process == 0)
        return 0;
    fuse_fs_heal(&fs);
    real_end(&real);
    fuse_fs_stop(&fs);
    real_remove(&real);
    return 0;
}

/* A process that loads all, in the middle of it; its end is 0 only if all went well. */
static pid_t loading_process(uint32_t strategy)
{
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        alarm(SECONDS_MAX);
        _exit(open_model() && load_all(strategy) && real_end(&real) == NULL ? 0 : 1);
    }
    fuse_fs_await_held(&fs);
    return process;
}

static void killed(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WAYS; i++) {
        int status = 0;
        begin(&ways[i]);
        pid_t process = loading_process(ways[i].strategy);
        assert_int_equal(kill(process, SIGKILL), 0);
        fuse_fs_let_go(&fs);
        assert_int_equal(waitpid(process, &status, 0), process);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_true(open_model());
        assert_true(load_all(ways[i].strategy));
        end();
    }
}

/* The read that hung may have been interrupted: it is made again. */
static void stopped(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WAYS; i++) {
        int status = 0;
        begin(&ways[i]);
        pid_t process = loading_process(ways[i].strategy);
        assert_int_equal(kill(process, SIGSTOP), 0);
        fuse_fs_let_go(&fs);
        assert_int_equal(waitpid(process, &status, WUNTRACED), process);
        assert_true(WIFSTOPPED(status));
        assert_int_equal(kill(process, SIGCONT), 0);
        assert_int_equal(waitpid(process, &status, 0), process);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        end();
    }
}

/* It has all that this process has, but for the threads, until the pipe is closed. */
static pid_t forked_process(int ends[2])
{
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(ends[0]);
    return process;
}

/* Where there are no workers a read hangs the caller, who cannot fork then: what was asked for has not begun. */
static void dispatch_until_held(void)
{
    if (session_options(NULL).backend == TRESOR_BACKEND_SYNC)
        return;
    while (atomic_load(&fs.knobs->held) == 0)
        tresor_wait(real.session.context, 1);
}

static void *let_go_when_held(void *nothing)
{
    fuse_fs_await_held(&fs);
    fuse_fs_let_go(&fs);
    return nothing;
}

/* The child stays until all is loaded, evicted and loaded again. */
static void load_beside_a_child(uint32_t strategy)
{
    int ends[2];
    int status = 0;
    pthread_t thread;
    struct tresor_request request;
    struct tresor_item all = session_all(&real.session);
    assert_error(session_submit(&real.session, TRESOR_VERB_LOAD, &all, 1, strategy, &request),
                 TRESOR_OK);
    dispatch_until_held();
    pid_t process = forked_process(ends);
    assert_int_equal(pthread_create(&thread, NULL, let_go_when_held, NULL), 0);
    assert_error(session_finish(&real.session, request, NULL), TRESOR_OK);
    pthread_join(thread, NULL);
    assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
    assert_error(session_do(&real.session, TRESOR_VERB_EVICT, all, 0), TRESOR_OK);
    assert_true(load_all(strategy));
    close(ends[1]);
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
}

static void forked(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WAYS; i++) {
        begin(&ways[i]);
        assert_true(open_model());
        load_beside_a_child(ways[i].strategy);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(killed, clean),
        cmocka_unit_test_teardown(stopped, clean),
        cmocka_unit_test_teardown(forked, clean),
    };
    const char *missing = fuse_fs_missing();
    if (missing)
        return skip_program(missing);
    alarm(SECONDS_MAX); /* a read that is not let go shall not hang the test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
