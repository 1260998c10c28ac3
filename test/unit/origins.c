/* SPDX-License-Identifier: MIT */
/* Sources that are no path: what can be done with each kind, what is refused, and what each is given back. */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tresor/choice.h>

#include "support/host_origin.h"

static struct {
    char folder[TEMPORARY_PATH_BYTES];
    struct model_set set;
    struct faulty_sys faulty;
    struct failing_allocator memory;
    struct session session;
    struct host_origin host;
} world;

/* With blocks that are larger than what the host gives at a time. */
static void start(enum host_origin_kind kind, uint32_t direct)
{
    struct tresor_context_options options = session_options(&world.memory);
    options.direct = direct;
    world.memory = (struct failing_allocator){0};
    faulty_sys_init(&world.faulty, tresor__sys_posix());
    world.faulty.has_workers = options.backend > TRESOR_BACKEND_SYNC;
    assert_error(session_create(&world.session, &world.faulty.sys, &options), TRESOR_OK);
    host_origin_init(&world.host, kind, &world.set);
}

static void open_source(enum host_origin_kind kind, uint32_t direct)
{
    start(kind, direct);
    assert_error(host_origin_open(&world.host, &world.session, &world.faulty), TRESOR_OK);
}

static void end(void)
{
    assert_null(session_destroy(&world.session));
    assert_null(faulty_sys_check(&world.faulty));
    assert_null(host_origin_end(&world.host));
    assert_int_equal(world.memory.outstanding_bytes, 0);
}

static void close_source(void)
{
    assert_error(session_close(&world.session), TRESOR_OK);
    end();
}

static struct tresor_file_info file(void)
{
    struct tresor_file_info info = {.size_bytes = sizeof info};
    assert_error(tresor_source_get_file(world.session.context, world.session.source, 0, &info),
                 TRESOR_OK);
    return info;
}

static int32_t load(uint32_t strategy)
{
    return session_do(&world.session, TRESOR_VERB_LOAD, session_all(&world.session), strategy);
}

static int32_t swap(uint32_t strategy)
{
    return session_do(&world.session, TRESOR_VERB_SWAP, session_all(&world.session), strategy);
}

static uint32_t tensor_count(void)
{
    struct tresor_source_info info = {.size_bytes = sizeof info};
    tresor_source_get_info(world.session.context, world.session.source, &info);
    return info.tensor_count;
}

static bool is_mappable(enum host_origin_kind kind)
{
    return kind == HOST_PATH || kind == HOST_DESCRIPTOR;
}

static bool is_file(enum host_origin_kind kind)
{
    return is_mappable(kind) || kind == HOST_ASKEW;
}

/* The whole way of each kind; to map is refused at the call, and leaves nothing. */
static void loads(void **state)
{
    (void)state;
    for (enum host_origin_kind kind = 0; kind < HOST_ORIGINS; kind++) {
        int32_t mapped = is_mappable(kind) ? TRESOR_OK : TRESOR_ERROR_UNSUPPORTED;
        open_source(kind, TRESOR_DIRECT_OFF);
        struct tresor_file_info info = file();
        assert_int_equal(info.is_mappable, is_mappable(kind));
        assert_int_equal(info.file_bytes, world.host.length_bytes);
        assert_int_equal(info.offset_bytes, is_file(kind) ? world.host.offset_bytes : 0);
        assert_string_equal(info.path,
                            kind == HOST_PATH ? world.host.path : world.host.part->path);
        assert_error(load(TRESOR_STRATEGY_MMAP), mapped);
        assert_int_equal(session_verify(&world.session, &world.set),
                         is_mappable(kind) ? tensor_count() : 0);
        assert_error(load(TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
        assert_error(swap(TRESOR_STRATEGY_READ), TRESOR_OK);
        assert_error(swap(TRESOR_STRATEGY_MMAP), mapped);
        assert_error(swap(TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
        assert_int_equal(session_verify(&world.session, &world.set), tensor_count());
        assert_error(session_do(&world.session, TRESOR_VERB_ADVISE, session_all(&world.session),
                                TRESOR_ADVICE_WILLNEED),
                     is_file(kind) ? TRESOR_OK : TRESOR_ERROR_UNSUPPORTED);
        assert_error(session_do(&world.session, TRESOR_VERB_EVICT, session_all(&world.session), 0),
                     TRESOR_OK);
        assert_int_equal(session_verify(&world.session, &world.set), 0);
        assert_error(load(TRESOR_STRATEGY_READ), TRESOR_OK);
        assert_int_equal(session_verify(&world.session, &world.set), tensor_count());
        close_source();
    }
}

/* Whatever a source is, and by whatever strategy its tensors came, it has the same digests. */
static void digests_are_of_the_model(void **state)
{
    const struct tresor_request_options options = {.size_bytes = sizeof options,
                                                   .flags = TRESOR_REQUEST_ITEMS};
    uint64_t high = 0;
    uint64_t low = 0;
    (void)state;
    if (!tresor_can_digest())
        skip();
    for (enum host_origin_kind kind = 0; kind < HOST_ORIGINS; kind++) {
        open_source(kind, TRESOR_DIRECT_OFF);
        for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
            struct tresor_item item = session_tensor(&world.session, tensor_count() - 1);
            struct tresor_request request;
            if (strategy == TRESOR_STRATEGY_MMAP && !is_mappable(kind))
                continue;
            assert_error(session_do(&world.session, TRESOR_VERB_LOAD, item, strategy), TRESOR_OK);
            int32_t code = tresor_digest(world.session.context, &item, 1, &options, &request);
            assert_error(session_note(&world.session, code, request), TRESOR_OK);
            assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
            const struct tresor_event *told = session_item(&world.session, tensor_count() - 1);
            assert_true(told->digest_high != 0 || told->digest_low != 0);
            high = high == 0 ? told->digest_high : high;
            low = low == 0 ? told->digest_low : low;
            assert_int_equal(told->digest_high, high);
            assert_int_equal(told->digest_low, low);
            assert_error(session_do(&world.session, TRESOR_VERB_EVICT, item, 0), TRESOR_OK);
        }
        close_source();
    }
}

static void choices_say_why(void **state)
{
    (void)state;
    for (enum host_origin_kind kind = 0; kind < HOST_ORIGINS; kind++) {
        struct tresor_choice choice;
        open_source(kind, TRESOR_DIRECT_OFF);
        assert_error(load(TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
        tresor_get_choice(world.session.context, session_tensor(&world.session, 1), &choice);
        assert_int_equal(choice.strategy,
                         is_mappable(kind) ? TRESOR_STRATEGY_MMAP : TRESOR_STRATEGY_READ);
        assert_int_equal(choice.strategy_reason,
                         is_mappable(kind) ? TRESOR_REASON_DEFAULT : TRESOR_REASON_SOURCE);
        assert_int_equal(choice.direct_reason, is_mappable(kind) ? TRESOR_REASON_STRATEGY
                                               : is_file(kind)   ? TRESOR_REASON_DEFAULT
                                                                 : TRESOR_REASON_SOURCE);
        close_source();
    }
}

/* A plan maps no more than a load does. */
static void plans(void **state)
{
    (void)state;
    for (enum host_origin_kind kind = 0; kind < HOST_ORIGINS; kind++) {
        struct tresor_request plan = {0};
        struct tresor_plan_options options = {.size_bytes = sizeof options,
                                              .strategy = TRESOR_STRATEGY_MMAP};
        open_source(kind, TRESOR_DIRECT_OFF);
        struct tresor_item item = session_all(&world.session);
        int32_t code = session_note(
            &world.session, tresor_plan(world.session.context, &item, 1, &options, &plan), plan);
        assert_error(code, is_mappable(kind) ? TRESOR_OK : TRESOR_ERROR_UNSUPPORTED);
        if (code != TRESOR_OK)
            assert_error(session_note(&world.session,
                                      tresor_plan(world.session.context, &item, 1, NULL, &plan),
                                      plan),
                         TRESOR_OK);
        session_settle(&world.session);
        assert_int_equal(session_verify(&world.session, &world.set), tensor_count());
        tresor_cancel(world.session.context, plan);
        session_finish(&world.session, plan, NULL);
        close_source();
    }
}

/* Where direct reads were asked for, what cannot have them is told; by default what is no file has none to miss. */
static void direct_reads(void **state)
{
    (void)state;
    for (enum host_origin_kind kind = 0; kind < HOST_ORIGINS; kind++) {
        open_source(kind, TRESOR_DIRECT_ON);
        struct tresor_file_info info = file();
        bool told = world.session.degraded_count > 0;
        assert_true(is_mappable(kind) || (told && !info.direct));
        assert_int_equal(info.direct_errno, is_mappable(kind) ? info.direct_errno
                                            : is_file(kind)   ? EINVAL
                                                              : EOPNOTSUPP);
        assert_error(load(TRESOR_STRATEGY_READ), TRESOR_OK);
        assert_int_equal(session_verify(&world.session, &world.set), tensor_count());
        close_source();
        if (is_file(kind))
            continue;
        open_source(kind, TRESOR_DIRECT_AUTO);
        assert_int_equal(world.session.degraded_count, 0);
        close_source();
    }
}

/* The host keeps what it lent, with its offset, and may close it as soon as the open has ended. */
static void a_lent_descriptor(void **state)
{
    (void)state;
    start(HOST_DESCRIPTOR, TRESOR_DIRECT_OFF);
    assert_int_equal(lseek(world.host.descriptor, 77, SEEK_SET), 77);
    int flags = fcntl(world.host.descriptor, F_GETFL);
    assert_error(host_origin_open(&world.host, &world.session, &world.faulty), TRESOR_OK);
    assert_int_equal(lseek(world.host.descriptor, 0, SEEK_CUR), 77);
    assert_int_equal(fcntl(world.host.descriptor, F_GETFL), flags);
    assert_int_equal(world.faulty.counts[FAULTY_DUPLICATE], 1);
    assert_int_equal(close(world.host.descriptor), 0);
    world.host.descriptor = -1;
    assert_error(load(TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_int_equal(session_verify(&world.session, &world.set), tensor_count());
    close_source();
}

static void changes(void **state)
{
    (void)state;
    for (enum host_origin_kind kind = 0; kind < HOST_ORIGINS; kind++) {
        struct tresor_request request = {0};
        struct tresor_event done;
        open_source(kind, TRESOR_DIRECT_OFF);
        if (is_file(kind)) /* into the model, not only what is behind it */
            assert_int_equal(truncate(world.host.path, (off_t)(world.host.offset_bytes +
                                                               world.host.length_bytes - 1)),
                             0);
        assert_error(session_note(&world.session,
                                  tresor_source_check(world.session.context, world.session.source,
                                                      0, &request),
                                  request),
                     TRESOR_OK);
        session_finish(&world.session, request, &done);
        assert_error(done.error.code, is_file(kind) ? TRESOR_ERROR_TRUNCATED : TRESOR_OK);
        if (is_file(kind))
            assert_int_equal(done.error.got, world.host.length_bytes - 1);
        if (is_mappable(kind))
            assert_error(load(TRESOR_STRATEGY_MMAP), TRESOR_ERROR_TRUNCATED);
        close_source();
    }
}

/* --- a backend of the host's own --- */

enum { QUEUE_MAX = 1024 };

static struct {
    struct tresor_effect effects[QUEUE_MAX];
    uint32_t count;
    uint64_t own_reads;
} queue;

static void take(void *cookie, const struct tresor_effect *effects, uint32_t count)
{
    (void)cookie;
    for (uint32_t i = 0; i < count; i++)
        queue.effects[queue.count++ % QUEUE_MAX] = effects[i];
    assert_true(queue.count <= QUEUE_MAX);
}

/* It reads by itself what is a file, and opens by itself what has a path. */
static struct tresor_answer carry_out(const struct tresor_effect *effect)
{
    struct tresor_answer answer = {.number = effect->number};
    bool opens = effect->kind == TRESOR_EFFECT_OPEN && effect->path;
    if (!opens && (effect->kind != TRESOR_EFFECT_READ || effect->descriptor < 0))
        return tresor_effect_run(effect);
    int64_t value = opens ? open(effect->path, O_RDONLY | O_CLOEXEC)
                          : pread(effect->descriptor, effect->address, effect->length_bytes,
                                  (off_t)effect->offset_bytes);
    answer.value = value < 0 ? -errno : value;
    queue.own_reads += !opens;
    return answer;
}

static uint32_t answer_some(void *cookie, struct tresor_answer *answers, uint32_t limit)
{
    uint32_t count = 0;
    (void)cookie;
    while (count < limit && queue.count > 0) {
        answers[count++] = carry_out(&queue.effects[0]);
        memmove(queue.effects, queue.effects + 1, --queue.count * sizeof *queue.effects);
    }
    return count;
}

static int32_t has_some(void *cookie)
{
    (void)cookie;
    return queue.count > 0;
}

/* Offsets that it is given are those of the file that is open, and what is no file has no descriptor. */
static void on_a_hosts_backend(void **state)
{
    const struct tresor_actor actor = {.size_bytes = sizeof actor,
                                       .name = "own",
                                       .submit = take,
                                       .poll = answer_some,
                                       .pending = has_some};
    (void)state;
    for (enum host_origin_kind kind = 0; kind < HOST_ORIGINS; kind++) {
        struct tresor_context_options options = session_options(&world.memory);
        queue.own_reads = 0;
        world.memory = (struct failing_allocator){0};
        options.backend = TRESOR_BACKEND_HOST;
        options.actor = &actor;
        options.direct = TRESOR_DIRECT_OFF;
        assert_error(session_create(&world.session, tresor__sys_posix(), &options), TRESOR_OK);
        host_origin_init(&world.host, kind, &world.set);
        assert_error(host_origin_open(&world.host, &world.session, NULL), TRESOR_OK);
        assert_error(load(TRESOR_STRATEGY_READ), TRESOR_OK);
        assert_int_equal(session_verify(&world.session, &world.set), tensor_count());
        if (is_mappable(kind))
            assert_error(swap(TRESOR_STRATEGY_MMAP), TRESOR_OK);
        assert_int_equal(session_verify(&world.session, &world.set), tensor_count());
        assert_int_equal(queue.own_reads > 0, is_file(kind));
        assert_error(session_close(&world.session), TRESOR_OK);
        assert_null(session_destroy(&world.session));
        assert_null(host_origin_end(&world.host));
        assert_int_equal(world.memory.outstanding_bytes, 0);
    }
}

/* --- what is refused --- */

static int32_t try(const struct tresor_source_origin *origin, struct tresor_event *done)
{
    struct tresor_request request = {0};
    int32_t code = session_note(&world.session,
                                tresor_source_open_with(world.session.context, origin, NULL,
                                                        &world.session.source, &request),
                                request);
    return code == TRESOR_OK ? session_finish(&world.session, request, done) : code;
}

static int64_t read_nothing(void *cookie, void *into, uint64_t offset_bytes, size_t size_bytes)
{
    (void)into;
    (void)offset_bytes;
    (void)size_bytes;
    return *(const int64_t *)cookie;
}

static void release_nothing(void *cookie)
{
    (void)cookie;
}

/* What a kind has no use of is no default, but a mistake. */
static void contradictions(void **state)
{
    const struct tresor_source_origin origins[] = {
        {.kind = TRESOR_ORIGIN_PATH},
        {.kind = TRESOR_ORIGIN_PATH, .path = "x", .memory = "x"},
        {.kind = TRESOR_ORIGIN_PATH, .path = "x", .flags = TRESOR_ORIGIN_OWNED},
        {.kind = TRESOR_ORIGIN_PATH, .path = "x", .descriptor = 1},
        {.kind = TRESOR_ORIGIN_PATH, .path = "x", .release = release_nothing},
        {.kind = TRESOR_ORIGIN_PATH, .path = "x", .offset_bytes = UINT64_MAX},
        {.kind = TRESOR_ORIGIN_PATH, .path = "x", .offset_bytes = INT64_MAX, .length_bytes = 1},
        {.kind = TRESOR_ORIGIN_DESCRIPTOR, .descriptor = -1},
        {.kind = TRESOR_ORIGIN_DESCRIPTOR, .flags = 2},
        {.kind = TRESOR_ORIGIN_DESCRIPTOR, .memory = "x"},
        {.kind = TRESOR_ORIGIN_DESCRIPTOR, .read_at = read_nothing},
        {.kind = TRESOR_ORIGIN_DESCRIPTOR, .release = release_nothing},
        {.kind = TRESOR_ORIGIN_DESCRIPTOR, .reserved = 1},
        {.kind = TRESOR_ORIGIN_MEMORY, .length_bytes = 1},
        {.kind = TRESOR_ORIGIN_MEMORY, .memory = "x", .offset_bytes = 1},
        {.kind = TRESOR_ORIGIN_MEMORY, .memory = "x", .flags = TRESOR_ORIGIN_OWNED},
        {.kind = TRESOR_ORIGIN_MEMORY, .memory = "x", .read_at = read_nothing},
        {.kind = TRESOR_ORIGIN_MEMORY, .memory = "x", .length_bytes = UINT64_MAX},
        {.kind = TRESOR_ORIGIN_CALLBACK, .length_bytes = 1},
        {.kind = TRESOR_ORIGIN_CALLBACK, .read_at = read_nothing, .offset_bytes = 1},
        {.kind = TRESOR_ORIGIN_CALLBACK, .read_at = read_nothing, .memory = "x"},
        {.kind = TRESOR_ORIGIN_CALLBACK + 1, .path = "x"},
    };
    struct tresor_request request;
    (void)state;
    start(HOST_CALLBACK, TRESOR_DIRECT_OFF);
    struct tresor_context *context = world.session.context;
    for (uint32_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
        struct tresor_source_origin origin = origins[i];
        assert_error(try(&origin, NULL), TRESOR_ERROR_INVALID); /* no size */
        origin.size_bytes = sizeof origin;
        assert_error(try(&origin, NULL), TRESOR_ERROR_INVALID);
    }
    const struct tresor_source_origin whole = {.size_bytes = sizeof whole, .path = "x"};
    const struct tresor_source_options options = {0};
    struct tresor_source *source = &world.session.source;
    assert_error(try(NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_source_open_with(context, &whole, NULL, NULL, &request), TRESOR_ERROR_INVALID);
    assert_error(tresor_source_open_with(context, &whole, NULL, source, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_source_open_with(context, &whole, &options, source, &request),
                 TRESOR_ERROR_INVALID);
    end();
}

static struct tresor_source_origin of_descriptor(int descriptor, uint32_t flags)
{
    faulty_sys_show(&world.faulty, descriptor, flags & TRESOR_ORIGIN_OWNED);
    return (struct tresor_source_origin){.size_bytes = sizeof(struct tresor_source_origin),
                                         .kind = TRESOR_ORIGIN_DESCRIPTOR,
                                         .flags = flags,
                                         .descriptor = descriptor};
}

/* One that was handed over is closed, also where it is of no use; one that was lent stays. */
static void odd_descriptors(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags <= TRESOR_ORIGIN_OWNED; flags++) {
        int pipes[2];
        int sockets[2];
        start(HOST_CALLBACK, TRESOR_DIRECT_OFF);
        assert_int_equal(pipe(pipes), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
        const struct {
            int descriptor;
            int32_t code;
        } odd[] = {
            {pipes[0], TRESOR_ERROR_NOT_REGULAR},
            {sockets[0], TRESOR_ERROR_NOT_REGULAR},
            {open(world.folder, O_RDONLY | O_DIRECTORY), TRESOR_ERROR_NOT_REGULAR},
            {open("/dev/null", O_RDONLY), TRESOR_ERROR_NOT_REGULAR},
            {open(model_set_path(&world.set), O_WRONLY), TRESOR_ERROR_PERMISSION},
        };
        for (uint32_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
            struct tresor_source_origin origin = of_descriptor(odd[i].descriptor, flags);
            struct tresor_event done;
            char line[256];
            assert_true(odd[i].descriptor >= 0);
            assert_error(try(&origin, &done), odd[i].code);
            char name[32];
            snprintf(name, sizeof name, "descriptor %d: ", odd[i].descriptor);
            tresor_error_format(world.session.context, &done.error, line, sizeof line);
            assert_non_null(strstr(line, name));
            assert_int_equal(fcntl(odd[i].descriptor, F_GETFD) >= 0, flags == 0);
            if (flags == 0)
                assert_int_equal(close(odd[i].descriptor), 0);
        }
        close(pipes[1]);
        close(sockets[1]);
        end();
    }
}

static void not_open_at_all(void **state)
{
    (void)state;
    start(HOST_CALLBACK, TRESOR_DIRECT_OFF);
    struct tresor_source_origin origin = of_descriptor(1 << 20, 0);
    assert_error(try(&origin, NULL), TRESOR_ERROR_INVALID);
    end();
}

/* Beyond the end of the file, or more than there is of it. */
static void ranges_that_are_not_there(void **state)
{
    (void)state;
    start(HOST_DESCRIPTOR, TRESOR_DIRECT_OFF);
    struct tresor_event done;
    struct tresor_source_origin origin = host_origin_of(&world.host);
    faulty_sys_show(&world.faulty, world.host.descriptor, false);
    origin.length_bytes += 10001;
    assert_error(try(&origin, &done), TRESOR_ERROR_TRUNCATED);
    assert_int_equal(done.error.wanted, origin.length_bytes);
    assert_int_equal(done.error.got, origin.length_bytes - 1);
    origin.offset_bytes = INT64_MAX;
    origin.length_bytes = 0;
    assert_error(try(&origin, &done), TRESOR_ERROR_TRUNCATED);
    origin.offset_bytes = 0; /* what lies before the model is none */
    assert_error(try(&origin, &done), TRESOR_ERROR_FORMAT);
    origin = host_origin_of(&world.host);
    origin.length_bytes = 100;
    assert_error(try(&origin, &done), TRESOR_ERROR_TRUNCATED);
    end();
}

static void nothing_at_all(void **state)
{
    const struct tresor_source_origin origins[] = {
        {sizeof origins[0], .kind = TRESOR_ORIGIN_MEMORY, .memory = ""},
        {sizeof origins[0], .kind = TRESOR_ORIGIN_CALLBACK, .read_at = read_nothing},
    };
    (void)state;
    start(HOST_CALLBACK, TRESOR_DIRECT_OFF);
    assert_error(try(&origins[0], NULL), TRESOR_ERROR_TRUNCATED);
    assert_error(try(&origins[1], NULL), TRESOR_ERROR_TRUNCATED);
    end();
}

/* A function that gives nothing, an errno, or more than was asked for. */
static void functions_that_lie(void **state)
{
    static const struct {
        int64_t answer;
        int32_t code;
    } lies[] = {
        {0, TRESOR_ERROR_TRUNCATED},
        {-EIO, TRESOR_ERROR_IO},
        {-EACCES, TRESOR_ERROR_PERMISSION},
        {1 << 20, TRESOR_ERROR_BACKEND},
        {INT64_MIN, TRESOR_ERROR_IO},
    };
    (void)state;
    start(HOST_CALLBACK, TRESOR_DIRECT_OFF);
    for (uint32_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        int64_t answer = lies[i].answer;
        const struct tresor_source_origin origin = {.size_bytes = sizeof origin,
                                                    .kind = TRESOR_ORIGIN_CALLBACK,
                                                    .length_bytes = 1000,
                                                    .read_at = read_nothing,
                                                    .cookie = &answer};
        assert_error(try(&origin, NULL), lies[i].code);
    }
    end();
}

/* Other files of a set lie beside a path. */
static void shards(void **state)
{
    struct model_set set;
    (void)state;
    model_set_make(&set, MODEL_SHARDS, world.folder);
    model_set_write(&set);
    for (enum host_origin_kind kind = 0; kind < HOST_ORIGINS; kind++) {
        start(kind, TRESOR_DIRECT_OFF);
        assert_null(host_origin_end(&world.host));
        host_origin_init(&world.host, kind, &set);
        assert_error(host_origin_open(&world.host, &world.session, &world.faulty),
                     TRESOR_ERROR_UNSUPPORTED);
        end();
    }
    model_set_free(&set);
}

/* At every step: each opened thing is given back once. */
static void cancelled(void **state)
{
    (void)state;
    for (enum host_origin_kind kind = 0; kind < HOST_ORIGINS; kind++) {
        int32_t code = TRESOR_ERROR_CANCELLED;
        for (uint32_t steps = 0; code == TRESOR_ERROR_CANCELLED; steps++) {
            struct tresor_request request = {0};
            start(kind, TRESOR_DIRECT_OFF);
            const struct tresor_source_origin origin = host_origin_of(&world.host);
            if (world.host.descriptor >= 0)
                faulty_sys_show(&world.faulty, world.host.descriptor, kind == HOST_ASKEW);
            world.host.is_open = true;
            world.session.part = world.host.part;
            assert_error(session_note(&world.session,
                                      tresor_source_open_with(world.session.context, &origin, NULL,
                                                              &world.session.source, &request),
                                      request),
                         TRESOR_OK);
            if (kind == HOST_ASKEW)
                world.host.descriptor = -1;
            for (uint32_t i = 0; i < steps; i++)
                session_pump(&world.session);
            tresor_cancel(world.session.context, request);
            code = session_finish(&world.session, request, NULL);
            assert_true(code == TRESOR_OK || code == TRESOR_ERROR_CANCELLED);
            if (code == TRESOR_OK)
                close_source();
            else
                end();
        }
    }
}

/* A context that ends gives back what its sources were opened from. */
static void destroyed(void **state)
{
    (void)state;
    for (enum host_origin_kind kind = 0; kind < HOST_ORIGINS; kind++) {
        open_source(kind, TRESOR_DIRECT_OFF);
        assert_error(load(TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
        end();
    }
}

static int setup(void **state)
{
    (void)state;
    temporary_make(world.folder);
    model_set_make(&world.set, MODEL_GGUF, world.folder);
    model_set_write(&world.set);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    model_set_free(&world.set);
    temporary_remove(world.folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads),
        cmocka_unit_test(digests_are_of_the_model),
        cmocka_unit_test(choices_say_why),
        cmocka_unit_test(plans),
        cmocka_unit_test(direct_reads),
        cmocka_unit_test(a_lent_descriptor),
        cmocka_unit_test(changes),
        cmocka_unit_test(on_a_hosts_backend),
        cmocka_unit_test(contradictions),
        cmocka_unit_test(odd_descriptors),
        cmocka_unit_test(not_open_at_all),
        cmocka_unit_test(ranges_that_are_not_there),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(functions_that_lie),
        cmocka_unit_test(shards),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(destroyed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
