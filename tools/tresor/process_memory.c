/* SPDX-License-Identifier: MIT */
#include "process_memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All of /proc/self/status or /proc/self/io. */
#define TEXT_BYTES 4096

bool process_reset_peak(void)
{
    const int descriptor = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    const bool is_reset = write(descriptor, "5", 1) == 1;
    close(descriptor);
    return is_reset;
}

/** The number after a key, like "VmHWM:"; false where there is none. */
static bool read_number(const char *path, const char *key, uint64_t *number)
{
    char text[TEXT_BYTES];
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    const ssize_t length = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    if (length <= 0)
        return false;
    text[length] = '\0';
    const char *found = strstr(text, key);
    if (!found)
        return false;
    *number = strtoull(found + strlen(key), NULL, 10);
    return true;
}

static uint64_t read_kibibytes(const char *key)
{
    uint64_t number = 0;
    return read_number("/proc/self/status", key, &number) ? number * 1024 : 0;
}

uint64_t process_peak_bytes(void)
{
    return read_kibibytes("\nVmHWM:");
}

uint64_t process_resident_bytes(void)
{
    return read_kibibytes("\nVmRSS:");
}

bool process_disk_bytes(uint64_t *disk_bytes)
{
    return read_number("/proc/self/io", "\nread_bytes:", disk_bytes);
}
