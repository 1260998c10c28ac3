/* SPDX-License-Identifier: MIT */
#include "failures.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/** The name of an errno; its number where the C library knows no names. */
static json_t *json_of_errno(int32_t number)
{
    if (number == 0)
        return json_null();
#ifdef TOOL_ERRNO_NAMES
    const char *name = strerrorname_np(number);
    if (name)
        return json_string(name);
#endif
    return json_sprintf("%" PRId32, number);
}

static json_t *json_of_tensor(const struct opened *opened, uint32_t tensor)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    if (tensor == TRESOR_NONE ||
        tresor_source_get_tensor(opened->context, opened->source, tensor, &info) != TRESOR_OK)
        return json_null();
    return text_json(info.name, info.name_bytes);
}

static void keep(struct failures *failures, const struct tresor_error *error)
{
    char *line = opened_error_line(failures->opened, error);
    const char *text = line ? line : tresor_error_text(error->code);
    json_array_append_new(failures->list, json_pack("{s:o, s:s, s:o, s:o}", "tensor",
                                                    json_of_tensor(failures->opened, error->tensor),
                                                    "error", tresor_error_name(error->code),
                                                    "os_error", json_of_errno(error->os_errno),
                                                    "text", text_json(text, strlen(text))));
    free(line);
}

void failures_add(struct failures *failures, const struct tresor_error *error)
{
    if (error->code == failures->ignored_code)
        return;
    if (failures->progress)
        progress_erase(failures->progress);
    if (failures->count++ < failures->lines_max)
        opened_print_error(failures->opened, error);
    if (failures->list)
        keep(failures, error);
}

void failures_end(const struct failures *failures)
{
    if (failures->count > failures->lines_max)
        fprintf(stderr, "tresor: and %" PRIu64 " more errors\n",
                failures->count - failures->lines_max);
}
