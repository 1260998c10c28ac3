/* SPDX-License-Identifier: MIT */
/*
 * Backends of the host's own. One keeps effects on its desk and runs them when it is polled, or answers what cannot be; one
 * has a thread, reads files by itself, in pieces, and takes reads back.
 */
#include <tresor/tresor.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "context.h"
#include "support/fake_world.h"
#include "support/test.h"

enum {
    DESK_MAX = 512,
    PIECE_BYTES = 5000, /* of a read that the worker answers */
};

/* --- an actor that works when it is polled --- */

enum prank {
    PRANK_NONE,
    PRANK_TOO_MUCH,  /* a read of more bytes than were asked for */
    PRANK_NO_ERRNO,  /* there is no such errno */
    PRANK_LARGE_FD,  /* no descriptor is so large */
    PRANK_TWICE,     /* an answer comes again, and one to nothing */
};

struct desk {
    struct tresor_effect effects[DESK_MAX];
    uint32_t count;
    uint32_t seen[64]; /* of each kind */
    enum prank prank;
    uint32_t destroyed;
};

static struct desk desk;
static struct fake_world world;

static void desk_submit(void *cookie, const struct tresor_effect *effects, uint32_t count)
{
    struct desk *at = cookie;
    for (uint32_t i = 0; i < count; i++) {
        assert_true(at->count < DESK_MAX && effects[i].kind < 64);
        at->seen[effects[i].kind]++;
        at->effects[at->count++] = effects[i];
    }
}

static struct tresor_answer answer_to(const struct desk *at, const struct tresor_effect *effect)
{
    if (effect->kind == TRESOR_EFFECT_OPEN && at->prank == PRANK_LARGE_FD)
        return (struct tresor_answer){.number = effect->number, .value = (int64_t)INT_MAX + 1};
    struct tresor_answer answer = tresor_effect_run(effect);
    if (effect->kind == TRESOR_EFFECT_READ && at->prank == PRANK_TOO_MUCH)
        answer.value = (int64_t)effect->length_bytes + 1;
    if (effect->kind == TRESOR_EFFECT_READ && at->prank == PRANK_NO_ERRNO)
        answer.value = -100000;
    return answer;
}

/* The last that came goes first: the order is the actor's. */
static uint32_t desk_poll(void *cookie, struct tresor_answer *answers, uint32_t limit)
{
    struct desk *at = cookie;
    uint32_t count = 0;
    uint32_t most = at->prank == PRANK_TWICE ? limit / 3 : limit;
    while (count < most && at->count > 0) {
        struct tresor_effect effect = at->effects[--at->count];
        answers[count++] = answer_to(at, &effect);
    }
    uint32_t told = count;
    for (uint32_t i = 0; at->prank == PRANK_TWICE && i < told; i++) {
        answers[count++] = answers[i];
        answers[count++] = (struct tresor_answer){.number = UINT64_MAX - i, .value = 1};
    }
    return count;
}

static int32_t desk_pending(void *cookie)
{
    return ((struct desk *)cookie)->count > 0;
}

static void desk_destroy(void *cookie)
{
    ((struct desk *)cookie)->destroyed++;
}

static const struct tresor_actor desk_actor = {
    .size_bytes = sizeof desk_actor,
    .cookie = &desk,
    .name = "desk",
    .submit = desk_submit,
    .poll = desk_poll,
    .pending = desk_pending,
    .destroy = desk_destroy,
};

static void start(enum prank prank)
{
    desk = (struct desk){.prank = prank};
    fake_world_init(&world);
    world.options.backend = TRESOR_BACKEND_HOST;
    world.options.actor = &desk_actor;
}

static void an_actor_serves_every_verb(void **state)
{
    static const enum prank pranks[] = {PRANK_NONE, PRANK_TWICE};
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        start(pranks[i]);
        fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
        assert_string_equal(tresor_backend_name(world.session.context), "desk");
        for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
            assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, strategy), TRESOR_OK);
            fake_world_must_have(&world, FAKE_TENSORS);
            assert_error(fake_world_all(&world, TRESOR_VERB_LOCK, 0), TRESOR_OK);
            assert_error(fake_world_all(&world, TRESOR_VERB_UNLOCK, 0), TRESOR_OK);
            assert_error(fake_world_all(&world, TRESOR_VERB_SWAP,
                                        TRESOR_STRATEGY_MMAP + TRESOR_STRATEGY_READ - strategy),
                         TRESOR_OK);
            fake_world_must_have(&world, FAKE_TENSORS);
            assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
        }
        fake_world_close(&world);
        assert_int_equal(desk.destroyed, 1);
        assert_true(desk.seen[TRESOR_EFFECT_READ] > 0 && desk.seen[TRESOR_EFFECT_POPULATE] > 0);
        assert_true(desk.seen[TRESOR_EFFECT_LOCK] > 0 && desk.seen[TRESOR_EFFECT_REPLACE] > 0);
        assert_int_equal(desk.seen[TRESOR_EFFECT_OPEN], 1);
        assert_int_equal(desk.seen[TRESOR_EFFECT_OPEN], desk.seen[TRESOR_EFFECT_CLOSE]);
    }
}

/* What was opened under such an actor is lost, and the fault is told for what it is. */
static void answers_that_cannot_be_are_errors(void **state)
{
    static const enum prank pranks[] = {PRANK_TOO_MUCH, PRANK_NO_ERRNO};
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        start(PRANK_NONE);
        fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
        desk.prank = pranks[i];
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_ERROR_BACKEND);
        assert_true(world.session.item_count > 0);
        assert_error(world.session.items[0].error.code, TRESOR_ERROR_BACKEND);
        desk.prank = PRANK_NONE;
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
        fake_world_must_have(&world, FAKE_TENSORS);
        fake_world_close(&world);
    }
}

static void a_descriptor_that_cannot_be_opens_nothing(void **state)
{
    struct tresor_event end;
    struct tresor_request request;
    struct tresor_source source;
    (void)state;
    start(PRANK_NONE);
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    desk.prank = PRANK_LARGE_FD;
    assert_error(tresor_source_open(world.session.context, model_set_path(&world.set), 0, &source, &request),
                 TRESOR_OK);
    assert_error(tresor_finish(world.session.context, request, 1, &end), TRESOR_ERROR_BACKEND);
    assert_error(end.error.code, TRESOR_ERROR_BACKEND);
    desk.prank = PRANK_NONE;
    fake_world_close(&world);
}

static void an_error_is_told_with_its_cause(void **state)
{
    (void)state;
    start(PRANK_NONE);
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    world.rules[0] = (struct fake_rule){.row = FAULTY_READ, .os_errno = EIO};
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_ERROR_IO);
    assert_error(world.session.items[0].error.code, TRESOR_ERROR_IO);
    assert_int_equal(world.session.items[0].error.os_errno, EIO);
    fake_world_heal(&world);
    fake_world_close(&world);
}

static void actors_are_checked_when_they_are_given(void **state)
{
    struct tresor_actor actor = desk_actor;
    struct tresor_context_options options = {.size_bytes = sizeof options,
                                             .backend = TRESOR_BACKEND_HOST};
    struct tresor_context *context = NULL;
    (void)state;
    assert_error(tresor_context_create(&options, &context), TRESOR_ERROR_INVALID);
    options.actor = &actor;
    for (uint32_t i = 0; i < 4; i++) {
        actor = desk_actor;
        if (i == 0)
            actor.submit = NULL;
        else if (i == 1)
            actor.poll = NULL;
        else if (i == 2)
            actor.pending = NULL;
        else
            actor.size_bytes = 3;
        assert_error(tresor_context_create(&options, &context), TRESOR_ERROR_INVALID);
        assert_null(context);
    }
    actor = desk_actor;
    actor.name = NULL;
    actor.destroy = NULL;
    options.backend = TRESOR_BACKEND_SYNC;
    assert_error(tresor_context_create(&options, &context), TRESOR_OK);
    assert_error(tresor_set_backend(context, TRESOR_BACKEND_HOST), TRESOR_OK);
    assert_string_equal(tresor_backend_name(context), "host");
    assert_error(tresor_set_backend(context, TRESOR_BACKEND_POOL), TRESOR_OK);
    assert_error(tresor_set_backend(context, TRESOR_BACKEND_HOST + 1), TRESOR_ERROR_INVALID);
    assert_error(tresor_context_destroy(context), TRESOR_OK);
    options.actor = NULL;
    assert_error(tresor_context_create(&options, &context), TRESOR_OK);
    assert_error(tresor_set_backend(context, TRESOR_BACKEND_HOST), TRESOR_ERROR_INVALID);
    assert_error(tresor_context_destroy(context), TRESOR_OK);
}

/* --- an actor with a thread --- */

struct worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct tresor_context *context; /* NULL: not told yet */
    struct tresor_effect effects[DESK_MAX];
    uint32_t effect_count;
    struct tresor_answer answers[DESK_MAX];
    uint32_t answer_count;
    uint64_t read_bytes;
    uint32_t found; /* reads that were taken back */
    bool is_holding; /* nothing is begun */
    bool ends;
};

static struct worker worker;

/* Reads are this actor's own affair, and come in pieces. */
static struct tresor_answer carry_out(const struct tresor_effect *effect)
{
    if (effect->kind != TRESOR_EFFECT_READ || effect->flags & TRESOR_EFFECT_DIRECT)
        return tresor_effect_run(effect);
    size_t asked = effect->length_bytes < PIECE_BYTES ? (size_t)effect->length_bytes : PIECE_BYTES;
    ssize_t got = pread(effect->descriptor, effect->address, asked, (off_t)effect->offset_bytes);
    return (struct tresor_answer){.number = effect->number, .value = got < 0 ? -errno : got};
}

static void give(const struct tresor_answer *answer)
{
    assert_true(worker.answer_count < DESK_MAX);
    worker.answers[worker.answer_count++] = *answer;
}

static void *work(void *cookie)
{
    (void)cookie;
    pthread_mutex_lock(&worker.lock);
    for (;;) {
        while (!worker.ends && (worker.effect_count == 0 || worker.is_holding || !worker.context))
            pthread_cond_wait(&worker.changed, &worker.lock);
        if (worker.ends)
            break;
        struct tresor_effect effect = worker.effects[0];
        memmove(worker.effects, worker.effects + 1, --worker.effect_count * sizeof effect);
        pthread_mutex_unlock(&worker.lock);
        struct tresor_answer answer = carry_out(&effect);
        pthread_mutex_lock(&worker.lock);
        if (effect.kind == TRESOR_EFFECT_READ && answer.value > 0)
            worker.read_bytes += (uint64_t)answer.value;
        give(&answer);
        tresor_ring(worker.context);
    }
    pthread_mutex_unlock(&worker.lock);
    return NULL;
}

/* What has not begun is taken back at once. */
static void cancel(const struct tresor_effect *effect)
{
    struct tresor_answer answer = {.number = effect->number};
    for (uint32_t i = 0; i < worker.effect_count; i++) {
        if (worker.effects[i].number != effect->target)
            continue;
        struct tresor_answer ended = {.number = effect->target, .value = -ECANCELED};
        memmove(worker.effects + i, worker.effects + i + 1,
                (--worker.effect_count - i) * sizeof *worker.effects);
        give(&ended);
        answer.value = 1;
        worker.found++;
        break;
    }
    give(&answer);
}

static void worker_submit(void *cookie, const struct tresor_effect *effects, uint32_t count)
{
    (void)cookie;
    pthread_mutex_lock(&worker.lock);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(worker.effect_count < DESK_MAX);
        if (effects[i].kind == TRESOR_EFFECT_CANCEL)
            cancel(&effects[i]);
        else
            worker.effects[worker.effect_count++] = effects[i];
    }
    pthread_cond_signal(&worker.changed);
    pthread_mutex_unlock(&worker.lock);
}

static uint32_t worker_poll(void *cookie, struct tresor_answer *answers, uint32_t limit)
{
    (void)cookie;
    pthread_mutex_lock(&worker.lock);
    uint32_t count = worker.answer_count < limit ? worker.answer_count : limit;
    memcpy(answers, worker.answers, count * sizeof *answers);
    worker.answer_count -= count;
    memmove(worker.answers, worker.answers + count, worker.answer_count * sizeof *answers);
    pthread_mutex_unlock(&worker.lock);
    return count;
}

static int32_t worker_pending(void *cookie)
{
    (void)cookie;
    pthread_mutex_lock(&worker.lock);
    int32_t pending = worker.answer_count > 0;
    pthread_mutex_unlock(&worker.lock);
    return pending;
}

/* No more rings come from it, so the context may go. */
static void worker_destroy(void *cookie)
{
    (void)cookie;
    pthread_mutex_lock(&worker.lock);
    worker.ends = true;
    pthread_cond_signal(&worker.changed);
    pthread_mutex_unlock(&worker.lock);
    pthread_join(worker.thread, NULL);
}

static const struct tresor_actor worker_actor = {
    .size_bytes = sizeof worker_actor,
    .name = "worker",
    .submit = worker_submit,
    .poll = worker_poll,
    .pending = worker_pending,
    .destroy = worker_destroy,
};

static struct {
    char folder[TEMPORARY_PATH_BYTES];
    struct model_set set;
    struct failing_allocator memory;
    struct session session;
} real;

static void start_worker(void)
{
    const struct model_tensor tensors[] = {{90000, MODEL_NEXT, false}, {300000, MODEL_NEXT, false}};
    worker = (struct worker){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    temporary_make(real.folder);
    model_set_make_gguf(&real.set, real.folder, tensors, 2);
    model_set_write(&real.set);
    memset(&real.memory, 0, sizeof real.memory);
    struct tresor_context_options options = session_options(&real.memory);
    options.backend = TRESOR_BACKEND_HOST;
    options.direct = TRESOR_DIRECT_OFF;
    options.actor = &worker_actor;
    assert_int_equal(pthread_create(&worker.thread, NULL, work, NULL), 0);
    assert_error(session_create(&real.session, tresor__sys_posix(), &options), TRESOR_OK);
    pthread_mutex_lock(&worker.lock);
    worker.context = real.session.context;
    pthread_mutex_unlock(&worker.lock);
    assert_error(session_open(&real.session, model_set_path(&real.set)), TRESOR_OK);
    real.session.set = &real.set;
}

static void end_worker(void)
{
    assert_error(session_close(&real.session), TRESOR_OK);
    session_settle(&real.session);
    assert_null(session_destroy(&real.session));
    assert_int_equal(real.memory.outstanding_bytes, 0);
    model_set_free(&real.set);
    temporary_remove(real.folder);
}

static void hold(bool is_holding)
{
    pthread_mutex_lock(&worker.lock);
    worker.is_holding = is_holding;
    pthread_cond_signal(&worker.changed);
    pthread_mutex_unlock(&worker.lock);
}

static void an_actor_reads_by_itself(void **state)
{
    struct tresor_request request;
    struct tresor_event end;
    (void)state;
    start_worker();
    struct tresor_item all = session_all(&real.session);
    struct tresor_request_options options = {.size_bytes = sizeof options,
                                             .strategy = TRESOR_STRATEGY_READ};
    assert_error(tresor_load(real.session.context, &all, 1, &options, &request), TRESOR_OK);
    assert_error(tresor_finish(real.session.context, request, 1, &end), TRESOR_OK);
    assert_int_equal(session_verify(&real.session, &real.set), 2);
    assert_true(worker.read_bytes >= 390000);
    end_worker();
}

static void an_actor_takes_reads_back(void **state)
{
    struct tresor_request request;
    (void)state;
    start_worker();
    static char bytes[300000];
    struct tresor_item item = session_tensor(&real.session, 1);
    hold(true);
    assert_error(tresor_copy(real.session.context, item, 0, sizeof bytes, bytes, NULL, &request), TRESOR_OK);
    tresor_dispatch(real.session.context);
    assert_error(tresor_cancel(real.session.context, request), TRESOR_OK);
    tresor_dispatch(real.session.context);
    hold(false);
    assert_error(tresor_finish(real.session.context, request, 1, NULL), TRESOR_ERROR_CANCELLED);
    assert_true(worker.found > 0);
    end_worker();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_actor_serves_every_verb),
        cmocka_unit_test(answers_that_cannot_be_are_errors),
        cmocka_unit_test(a_descriptor_that_cannot_be_opens_nothing),
        cmocka_unit_test(an_error_is_told_with_its_cause),
        cmocka_unit_test(actors_are_checked_when_they_are_given),
        cmocka_unit_test(an_actor_reads_by_itself),
        cmocka_unit_test(an_actor_takes_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
