/* SPDX-License-Identifier: MIT */
/* Load every tensor of a model and print one byte of each: the program of README.md. */
#include <stdio.h>
#include <tresor/tresor.h>

int main(int argc, char **argv)
{
    struct tresor_context *context;
    struct tresor_source source;
    struct tresor_request request;
    struct tresor_event event = {0};
    struct tresor_item all, one;
    struct tresor_tensor_info tensor = {.size_bytes = sizeof tensor};
    char text[512];

    if (argc != 2 || tresor_context_create(NULL, &context) != TRESOR_OK)
        return 2;
    int32_t code = tresor_source_open(context, argv[1], 0, &source, &request);
    if (code == TRESOR_OK)
        code = tresor_finish(context, request, 1, &event);
    if (code == TRESOR_OK) {
        tresor_item_of_source(context, source, &all);
        tresor_load(context, &all, 1, NULL, &request);
        code = tresor_finish(context, request, 1, &event);
        for (uint32_t i = 0; code == TRESOR_OK && i < event.total; i++) {
            tresor_source_get_tensor(context, source, i, &tensor);
            tresor_item_of_tensor(context, source, i, &one);
            if (tensor.tensor_bytes > 0 && tresor_acquire(context, one, NULL) == TRESOR_OK) {
                printf("%02x %s\n", *(const unsigned char *)tensor.address, tensor.name);
                tresor_release(context, one);
            }
        }
        tresor_source_close(context, source, 0, &request);
        tresor_finish(context, request, 1, NULL);
    }
    if (code != TRESOR_OK && tresor_error_format(context, &event.error, text, sizeof text))
        fprintf(stderr, "%s\n", text);
    tresor_context_destroy(context);
    return code == TRESOR_OK ? 0 : 1;
}
