/* SPDX-License-Identifier: MIT */
/* Any bytes as a compressed file: decoded at once and in pieces, which must come to the same, within the limit. */
#include "fuzz.h"

#include <string.h>

#include "format/decode.h"
#include "support/failing_allocator.h"

enum {
    LIMIT_BYTES = 256 * 1024,
};

struct outcome {
    uint8_t *data;
    uint64_t size;
    uint32_t status;
    int32_t code;
};

static void check_step(const struct tresor__decode_step *step)
{
    FUZZ_CHECK(step->taken_bytes <= step->input_bytes);
    FUZZ_CHECK(step->made_bytes <= step->output_bytes);
    FUZZ_CHECK((step->status == TRESOR__DECODE_FAILED) == (step->code != TRESOR_OK));
    FUZZ_CHECK(step->status != TRESOR__DECODE_NEEDS_ROOM || step->made_bytes == step->output_bytes);
    FUZZ_CHECK(step->status != TRESOR__DECODE_NEEDS_INPUT || step->taken_bytes == step->input_bytes);
    FUZZ_CHECK(step->status != TRESOR__DECODE_DONE || step->taken_bytes == step->input_bytes);
}

/* Pieces of `part` bytes in and `room` out; memory that `fail_call` refuses. */
static struct outcome decode(const uint8_t *data, size_t size, size_t part, size_t room, uint64_t fail_call)
{
    struct failing_allocator counts = {.fail_call = fail_call};
    const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
    struct outcome outcome = {.data = malloc(LIMIT_BYTES), .status = TRESOR__DECODE_NEEDS_INPUT};
    struct tresor__decoder *decoder = NULL;
    FUZZ_CHECK(outcome.data);
    outcome.code = tresor__decoder_open(&decoder, &hooks, tresor__compression_sniff(data, size), LIMIT_BYTES);
    if (outcome.code)
        outcome.status = TRESOR__DECODE_FAILED;
    for (size_t at = 0; outcome.status <= TRESOR__DECODE_NEEDS_ROOM;) {
        size_t left = size - at;
        size_t rest = LIMIT_BYTES - (size_t)outcome.size;
        struct tresor__decode_step step = {.input = data + at,
                                           .input_bytes = left < part ? left : part,
                                           .is_last = left <= part,
                                           .output = outcome.data + outcome.size,
                                           .output_bytes = rest < room ? rest : room};
        tresor__decoder_run(decoder, &step);
        check_step(&step);
        at += (size_t)step.taken_bytes;
        outcome.size += step.made_bytes;
        outcome.status = step.status;
        outcome.code = step.code;
    }
    tresor__decoder_close(decoder);
    FUZZ_CHECK(counts.outstanding_bytes == 0);
    FUZZ_CHECK(!counts.failed || outcome.code == TRESOR_ERROR_NO_MEMORY);
    return outcome;
}

static void check_same(const struct outcome *whole, struct outcome other)
{
    uint64_t common = whole->size < other.size ? whole->size : other.size;
    FUZZ_CHECK((whole->status == TRESOR__DECODE_DONE) == (other.status == TRESOR__DECODE_DONE));
    FUZZ_CHECK(whole->status != TRESOR__DECODE_DONE || whole->size == other.size);
    FUZZ_CHECK(memcmp(whole->data, other.data, (size_t)common) == 0);
    free(other.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || !tresor__compression_is_built(tresor__compression_sniff(data, size)))
        return 0;
    struct outcome whole = decode(data, size, size, LIMIT_BYTES, 0);
    check_same(&whole, decode(data, size, 1, 3000, 0));
    check_same(&whole, decode(data, size, 1 + size / 7, 1 + size % 500, 0));
    free(decode(data, size, size, LIMIT_BYTES, 1 + data[size - 1] % 4).data);
    free(whole.data);
    return 0;
}
