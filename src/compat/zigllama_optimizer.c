/* SPDX-License-Identifier: MIT */
#include "compat/zigllama.h"

#include "compat/failure.h"
#include "core/allocator.h"
#include "core/options.h"
#include "platform/available.h"
#include "platform/cgroup.h"

int32_t tresor__zigllama_available(const struct tresor__sys *sys, uint64_t *bytes,
                                   struct tresor_error *error)
{
    struct tresor_allocator allocator = tresor__allocator_or_default(NULL);
    if (!bytes)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    char *text = tresor__allocate(&allocator, TRESOR__CGROUP_TEXT_BYTES);
    if (!text)
        return tresor__fail(error, TRESOR_ERROR_NO_MEMORY, 0, TRESOR__CGROUP_TEXT_BYTES, 0);
    int64_t result = tresor__available_bytes(sys, text, bytes);
    tresor__free(&allocator, text, TRESOR__CGROUP_TEXT_BYTES);
    return result < 0 ? tresor__fail(error, TRESOR_ERROR_UNSUPPORTED, (int32_t)-result, 0, 0)
                      : TRESOR_OK;
}

int32_t tresor_zigllama_available_bytes(uint64_t *bytes, struct tresor_error *error)
{
    return tresor__zigllama_available(tresor__sys_posix(), bytes, error);
}

/* What the limit leaves; what is not told is not there. */
static uint64_t lockable_bytes(const struct tresor__sys *sys)
{
    uint64_t limit = 0;
    uint64_t locked = 0;
    if (sys->lock_limit(sys->cookie, &limit) < 0)
        return 0;
    if (limit == UINT64_MAX)
        return limit;
    if (sys->locked(sys->cookie, &locked) < 0)
        return 0;
    return limit > locked ? limit - locked : 0;
}

int32_t tresor__zigllama_choose(const struct tresor__sys *sys, uint64_t file_bytes,
                                struct tresor_zigllama_strategy *strategy,
                                struct tresor_error *error)
{
    struct tresor_zigllama_strategy full = {.use_mmap = 1};
    int32_t code = tresor__zigllama_available(sys, &full.available_bytes, error);
    if (code != TRESOR_OK)
        return code;
    full.prefault = file_bytes <= full.available_bytes;
    full.lock_memory =
        file_bytes <= full.available_bytes / 2 && file_bytes <= lockable_bytes(sys);
    full.advice = full.prefault ? TRESOR_ADVICE_WILLNEED : TRESOR_ADVICE_RANDOM;
    full.load_flags = (full.lock_memory ? TRESOR_ZIGLLAMA_LOAD_LOCK : 0) |
                      (full.prefault ? TRESOR_ZIGLLAMA_LOAD_PREFAULT : 0);
    return tresor__zigllama_answer(tresor__info_copy(strategy, &full, sizeof full), error);
}

int32_t tresor_zigllama_choose(uint64_t file_bytes, struct tresor_zigllama_strategy *strategy,
                               struct tresor_error *error)
{
    return tresor__zigllama_choose(tresor__sys_posix(), file_bytes, strategy, error);
}
