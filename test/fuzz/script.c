/* SPDX-License-Identifier: MIT */
/* Any bytes as the choices of a host, a machine and its disk: the simulator finds nothing wrong, and the same again. */
#include "fuzz.h"

#include <string.h>

#include "sim/script.h"

static struct sim_world world;

static void run(const uint8_t *data, size_t size, struct sim_result *result)
{
    sim_script_run(&world, data, size, result);
    if (result->violation[0]) {
        fprintf(stderr, "%s; again: sim --script with these bytes\n", result->violation);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_made;
    struct sim_result result;
    if (!is_made)
        sim_world_make(&world);
    is_made = true;
    run(data, size, &result);
    if (size % 16 == 0) { /* some, for a run takes long */
        struct sim_result again;
        run(data, size, &again);
        FUZZ_CHECK(memcmp(&result, &again, sizeof again) == 0);
    }
    return 0;
}
