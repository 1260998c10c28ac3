/* SPDX-License-Identifier: MIT */
#include "models.h"

#include "support/random.h"

enum {
    TENSORS_MAX = 24,
    ALIGNMENT_BYTES = 32,
    BROKEN_BYTES = 300,
};

static const char *const folders[MODELS_GOOD] = {"/fake/0", "/fake/1",      "/fake/2",    "/fake/3",
                                                 "/fake/4", "/fake/shards", "/fake/index"};
static const char broken_path[] = "/fake/broken.gguf";
static const char missing_path[] = "/fake/missing.gguf";

/* From no byte to 256 KiB; the first layouts are of small tensors only, so that many share a page.
 */
static uint64_t choose_size(uint64_t *seed, uint32_t layout)
{
    uint32_t bits = 6 + 3 * layout;
    if (random_once_in(seed, 12))
        return 0;
    if (random_once_in(seed, 8))
        return 1;
    return 1 + random_below(seed, UINT32_C(1) << random_below(seed, bits + 1));
}

/* Mostly one after the other; now and then somewhere in what there is already. */
static void choose_tensors(uint64_t *seed, uint32_t layout, struct model_tensor *tensors,
                           uint32_t *slices, uint32_t count)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool overlaps = end > 0 && random_once_in(seed, 5);
        uint64_t at = overlaps
                          ? random_below(seed, (uint32_t)end) / ALIGNMENT_BYTES * ALIGNMENT_BYTES
                          : (end + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
        uint64_t size = choose_size(seed, layout);
        slices[i] = random_once_in(seed, 2) ? 2 + random_below(seed, 3) : 0;
        size -= slices[i] > 0 ? size % slices[i] : 0;
        tensors[i] = (struct model_tensor){.size_bytes = size, .offset_bytes = at};
        end = at + size > end ? at + size : end;
    }
}

static void make_other(struct models *models, uint32_t model)
{
    const struct model_set *set = &models->sets[model];
    struct bytes *other = &models->others[model];
    *other = (struct bytes){0};
    bytes_put(other, set->parts[0].bytes.data, set->parts[0].bytes.size);
    for (uint64_t at = model_set_data_offset(set); at < other->size; at++)
        other->data[at] ^= 0x55;
}

void models_make(struct models *models)
{
    uint64_t seed = 20;
    for (uint32_t i = 0; i < MODELS_GGUF; i++) {
        struct model_tensor tensors[TENSORS_MAX];
        uint32_t slices[TENSORS_MAX];
        uint32_t count = 1 + random_below(&seed, TENSORS_MAX);
        choose_tensors(&seed, i, tensors, slices, count);
        model_set_make_sliced(&models->sets[i], folders[i], tensors, slices, count);
        make_other(models, i);
    }
    model_set_make(&models->sets[MODELS_GGUF], MODEL_SHARDS, folders[MODELS_GGUF]);
    model_set_make(&models->sets[MODELS_GGUF + 1], MODEL_INDEX, folders[MODELS_GGUF + 1]);
    models->broken = (struct bytes){0};
    bytes_put(&models->broken, models->sets[0].parts[0].bytes.data, BROKEN_BYTES);
}

void models_free(struct models *models)
{
    for (uint32_t i = 0; i < MODELS_GOOD; i++)
        model_set_free(&models->sets[i]);
    for (uint32_t i = 0; i < MODELS_GGUF; i++)
        bytes_free(&models->others[i]);
    bytes_free(&models->broken);
}

void models_add_to(const struct models *models, struct fake_sys *fake)
{
    fake->file_count = 0;
    for (uint32_t i = 0; i < MODELS_GOOD; i++)
        model_set_add_to(&models->sets[i], fake);
    fake_sys_add(fake, broken_path, &models->broken);
}

const char *models_path(const struct models *models, uint32_t model)
{
    if (model < MODELS_GOOD)
        return model_set_path(&models->sets[model]);
    return model == MODELS_GOOD ? broken_path : missing_path;
}

const struct bytes *models_other(const struct models *models, uint32_t model,
                                 const struct bytes *now)
{
    return now == &models->others[model] ? &models->sets[model].parts[0].bytes
                                         : &models->others[model];
}
