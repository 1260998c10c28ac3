/* SPDX-License-Identifier: MIT */
#include "support/child.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef TEST_COVERAGE
void __gcov_dump(void);
#endif

enum {
    NOBODY = 65534,
    SECONDS_MAX = 60,
};

void *child_share(size_t size_bytes)
{
    void *shared =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        abort();
    return shared;
}

void child_unshare(void *shared, size_t size_bytes)
{
    munmap(shared, size_bytes);
}

bool child_run(void (*function)(void *shared), void *shared)
{
    int status = 0;
    pid_t child = fork();
    if (child < 0)
        return false;
    if (child == 0) {
        alarm(SECONDS_MAX);
        function(shared);
#ifdef TEST_COVERAGE
        __gcov_dump(); /* which the parent's endings would do */
#endif
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool child_give_up_rights(void)
{
    if (geteuid() != 0)
        return true;
    return setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
           setresuid(NOBODY, NOBODY, NOBODY) == 0;
}
