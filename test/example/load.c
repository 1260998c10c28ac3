/* Load a model and print the first byte of each tensor. Build: cc load.c $(pkg-config --cflags --libs tresor) */
#include <stdio.h>
#include <tresor/tresor.h>

int main(int argc, char **argv)
{
    struct tresor_context *context;
    struct tresor_source source;
    struct tresor_request request;
    struct tresor_event end = {0};
    struct tresor_item all;
    struct tresor_tensor_info tensor = {.size_bytes = sizeof tensor};
    char text[512];
    if (argc != 2 || tresor_context_create(NULL, &context) != TRESOR_OK)
        return 2;
    tresor_source_open(context, argv[1], 0, &source, &request);
    if (tresor_finish(context, request, 1, &end) == TRESOR_OK) {
        tresor_item_of_source(context, source, &all);
        tresor_load(context, &all, 1, NULL, &request);
        if (tresor_finish(context, request, 1, &end) == TRESOR_OK) {
            tresor_acquire(context, all, NULL); /* nothing of it leaves memory until the release */
            for (uint32_t i = 0; tresor_source_get_tensor(context, source, i, &tensor) == TRESOR_OK; i++)
                if (tensor.tensor_bytes > 0)
                    printf("%02x %s\n", *(const unsigned char *)tensor.address, tensor.name);
            tresor_release(context, all);
        }
        tresor_source_close(context, source, 0, &request);
        tresor_finish(context, request, 1, NULL);
    }
    if (end.error.code != TRESOR_OK && tresor_error_format(context, &end.error, text, sizeof text))
        fprintf(stderr, "%s\n", text);
    tresor_context_destroy(context);
    return end.error.code == TRESOR_OK ? 0 : 1;
}
