/* SPDX-License-Identifier: MIT */
/* A user of the installed library: the headers, the library and pkg-config's version must agree. */
#include <tresor/error.h>
#include <tresor/version.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    char headers[32];
    snprintf(headers, sizeof headers, "%d.%d.%d", TRESOR_VERSION_MAJOR, TRESOR_VERSION_MINOR,
             TRESOR_VERSION_PATCH);
    if (argc != 2 || strcmp(argv[1], headers) || strcmp(tresor_version(), headers)) {
        fprintf(stderr, "pkg-config says %s, the headers %s, the library %s\n",
                argc > 1 ? argv[1] : "", headers, tresor_version());
        return 1;
    }
    return strcmp(tresor_error_name(TRESOR_ERROR_TRUNCATED), "TRUNCATED") != 0;
}
