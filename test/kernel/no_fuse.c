/* SPDX-License-Identifier: MIT */
/* In the place of a program that needs a FUSE file system, where the build has none. */
#include "support/test.h"

int main(void)
{
    return skip_program("built without libfuse3");
}
