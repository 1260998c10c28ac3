/* SPDX-License-Identifier: MIT */
/* What the kernel counts while a compressed model is opened: never the compressed and the decoded whole at once. */
#include "support/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "real.h"
#include "support/child.h"
#include "support/compressing.h"
#include "support/sanitizer.h"
#include "support/session.h"

enum {
    MODEL_BYTES = 24 << 20, /* of 1 MiB of noise and text over and over */
    BOMB_BYTES = 96 << 20,
    SLACK_BYTES = 8 << 20, /* a piece of input, the pages of a piece, and the window of the format, 2 MiB at its usual level */
};

static struct {
    char folder[TEMPORARY_PATH_BYTES];
    char path[TEMPORARY_PATH_BYTES + 8];
    uint64_t room_bytes; /* of addresses, besides what a context takes; 0: no limit */
} world;

/* What a child has found. */
struct found {
    int32_t code;
    uint64_t before_bytes;
    uint64_t peak_bytes;
    uint64_t open_bytes;
    uint64_t closed_bytes;
    bool is_right;
};

static uint64_t of_status(const char *key)
{
    char text[8192];
    int descriptor = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t size = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    if (size <= 0)
        return 0;
    text[size] = '\0';
    const char *found = strstr(text, key);
    return found ? strtoull(found + strlen(key), NULL, 10) * 1024 : 0;
}

static void reset_peak(void)
{
    int descriptor = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(descriptor, "5", 1), 1);
    close(descriptor);
}

/* The seed of the bytes that every tensor has. */
static bool is_sample(const uint8_t *bytes, uint64_t size)
{
    uint64_t seed = 1;
    uint8_t *part = malloc(1 << 20);
    bool same = part != NULL;
    compress_sample(part, 1 << 20, seed);
    for (uint64_t at = 0; same && at < size; at += 1 << 20)
        same = memcmp(bytes + at, part, 1 << 20) == 0;
    free(part);
    return same;
}

static struct session session;
static struct failing_allocator memory;

static void open_and_look(void *shared)
{
    struct found *found = shared;
    const struct tresor_context_options options = session_options(&memory);
    assert_error(session_create(&session, tresor__sys_posix(), &options), TRESOR_OK);
    if (world.room_bytes > 0) {
        rlim_t limit = of_status("\nVmSize:") + world.room_bytes;
        setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit});
    }
    found->before_bytes = of_status("\nVmRSS:");
    reset_peak();
    const struct tresor_source_origin origin = {.size_bytes = sizeof origin, .path = world.path};
    const struct tresor_source_options limits = {
        .size_bytes = sizeof limits, .max_decoded_bytes = 2 * (uint64_t)MODEL_BYTES, .max_ratio = 1000};
    struct tresor_request request = {0};
    int32_t code = tresor_source_open_with(session.context, &origin, &limits, &session.source, &request);
    assert_error(session_note(&session, code, request), TRESOR_OK);
    found->code = session_finish(&session, request, NULL);
    if (found->code == TRESOR_OK) {
        struct tresor_item item = session_tensor(&session, 0);
        const struct tresor_item items = item;
        const void *data = NULL;
        session_do(&session, TRESOR_VERB_LOAD, item, TRESOR_STRATEGY_DEFAULT);
        assert_error(tresor_acquire(session.context, items, &data), TRESOR_OK);
        found->peak_bytes = of_status("\nVmHWM:");
        found->open_bytes = of_status("\nVmRSS:");
        found->is_right = is_sample(data, MODEL_BYTES);
        tresor_release(session.context, items);
        session_close(&session);
    } else {
        found->peak_bytes = of_status("\nVmHWM:");
    }
    found->closed_bytes = of_status("\nVmRSS:");
    assert_null(session_destroy(&session));
}

/* One tensor of the sample, over and over. */
static void put_model(struct bytes *model)
{
    const uint64_t shape[] = {MODEL_BYTES / 4};
    uint8_t *part = malloc(1 << 20);
    assert_non_null(part);
    compress_sample(part, 1 << 20, 1);
    gguf_put_header(model, 3, 1, 0);
    gguf_put_tensor(model, "t", 1, shape, TRESOR_DTYPE_F32, 0);
    bytes_pad(model, 32);
    for (uint64_t i = 0; i < MODEL_BYTES; i += 1 << 20)
        bytes_put(model, part, 1 << 20);
    free(part);
}

/* All is freed before the child is made, for it begins with what its parent has. False where the build has not got it. */
static bool write_packed(uint32_t compression)
{
    struct bytes model = {0};
    struct bytes file = {0};
    put_model(&model);
    bool made = compress_frame(&file, compression, model.data, model.size);
    bytes_free(&model);
    if (made)
        temporary_write(world.path, file.data, file.size);
    bytes_free(&file);
    return made;
}

static const uint32_t kinds[] = {TRESOR_COMPRESSION_ZSTD, TRESOR_COMPRESSION_GZIP, TRESOR_COMPRESSION_LZ4};

static void the_peak_is_what_is_decoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct found *found = child_share(sizeof *found);
        if (write_packed(kinds[i])) {
            assert_true(child_run(open_and_look, found));
            assert_error(found->code, TRESOR_OK);
            assert_true(found->is_right);
            print_message("# %s: %u MiB decoded, peak %u KiB more, then %u KiB, %u KiB when closed\n",
                          tresor_compression_name(kinds[i]), MODEL_BYTES >> 20,
                          (unsigned)((found->peak_bytes - found->before_bytes - MODEL_BYTES) / 1024),
                          (unsigned)((found->open_bytes - found->before_bytes - MODEL_BYTES) / 1024),
                          (unsigned)((found->closed_bytes - found->before_bytes) / 1024));
            assert_true(found->open_bytes - found->before_bytes >= MODEL_BYTES);
            assert_true(found->peak_bytes - found->before_bytes <= MODEL_BYTES + SLACK_BYTES);
            assert_true(found->open_bytes - found->before_bytes <= MODEL_BYTES + SLACK_BYTES);
            assert_true(found->closed_bytes - found->before_bytes <= SLACK_BYTES);
        }
        child_unshare(found, sizeof *found);
    }
}

/* What it would be decoded to is twice what it may be. */
static void a_bomb_is_stopped(void **state)
{
    uint8_t *zeros = calloc(1, BOMB_BYTES);
    (void)state;
    assert_non_null(zeros);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct found *found = child_share(sizeof *found);
        struct bytes file = {0};
        if (compress_frame(&file, kinds[i], zeros, BOMB_BYTES)) {
            temporary_write(world.path, file.data, file.size);
            bytes_free(&file);
            assert_true(child_run(open_and_look, found));
            assert_error(found->code, TRESOR_ERROR_LIMIT);
            assert_true(found->peak_bytes - found->before_bytes <= 2 * (uint64_t)MODEL_BYTES + SLACK_BYTES);
            assert_true(found->closed_bytes - found->before_bytes <= SLACK_BYTES);
        }
        child_unshare(found, sizeof *found);
    }
    free(zeros);
}

/* Addresses for what it may be decoded to must be there, and no more than that. */
static void addresses_may_be_short(void **state)
{
    (void)state;
    for (uint32_t enough = 0; enough < 2; enough++) {
        struct found *found = child_share(sizeof *found);
        if (write_packed(TRESOR_COMPRESSION_GZIP)) {
            /* Threads that first ask for memory reserve many addresses for it. */
            world.room_bytes = (enough ? 40 : 1) * (uint64_t)MODEL_BYTES;
            assert_true(child_run(open_and_look, found));
            assert_error(found->code, enough ? TRESOR_OK : TRESOR_ERROR_NO_MEMORY);
        }
        world.room_bytes = 0;
        child_unshare(found, sizeof *found);
    }
}

static int setup(void **state)
{
    (void)state;
    temporary_make(world.folder);
    snprintf(world.path, sizeof world.path, "%s/packed", world.folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temporary_remove(world.folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_peak_is_what_is_decoded),
        cmocka_unit_test(a_bomb_is_stopped),
        cmocka_unit_test(addresses_may_be_short),
    };
    if (HAS_ADDRESS_SANITIZER)
        return skip_program("the address sanitizer keeps what is freed");
    return cmocka_run_group_tests_name("kernel_compressed", tests, setup, teardown);
}
