/* SPDX-License-Identifier: MIT */
/* A file with a position, by a descriptor of its own or of the host's, or by the host's stream. */
#include "compat/llama.h"

#include <errno.h>
#include <string.h>

#include "core/allocator.h"

static struct tresor_allocator memory(void)
{
    return tresor__allocator_or_default(NULL);
}

/* --- open and close --- */

/* What fopen(3) takes, but for its extensions with a comma. */
static bool parse_mode(const char *mode, uint32_t *flags)
{
    switch (*mode++) {
    case 'r':
        *flags = TRESOR__SYS_OPEN_READ;
        break;
    case 'w':
        *flags = TRESOR__SYS_OPEN_WRITE | TRESOR__SYS_OPEN_CREATE | TRESOR__SYS_OPEN_TRUNCATE;
        break;
    case 'a':
        *flags = TRESOR__SYS_OPEN_WRITE | TRESOR__SYS_OPEN_CREATE | TRESOR__SYS_OPEN_APPEND;
        break;
    default:
        return false;
    }
    for (; *mode; mode++) {
        if (*mode == '+')
            *flags |= TRESOR__SYS_OPEN_READ | TRESOR__SYS_OPEN_WRITE;
        else if (*mode == 'x' && (*flags & TRESOR__SYS_OPEN_CREATE))
            *flags |= TRESOR__SYS_OPEN_EXCLUSIVE;
        else if (*mode != 'b' && *mode != 'e')
            return false;
    }
    return true;
}

/* An error of opening: there is no file yet. */
static int32_t refuse(struct tresor_error *error, int32_t code, int64_t os_errno)
{
    return tresor__llama_fail(error,
                              &(struct tresor_error){.code = code, .os_errno = (int32_t)os_errno});
}

static struct tresor_llama_file *make(const struct tresor__sys *sys)
{
    struct tresor_allocator allocator = memory();
    struct tresor_llama_file *file = tresor__allocate(&allocator, sizeof *file);
    if (file)
        *file = (struct tresor_llama_file){
            .sys = sys, .descriptor = -1, .direct = -1, .alignment_bytes = 1};
    return file;
}

static void discard(struct tresor_llama_file *file)
{
    struct tresor_allocator allocator = memory();
    tresor__llama_close_direct(file);
    if (file->is_owner)
        file->sys->close(file->sys->cookie, file->descriptor);
    tresor__free(&allocator, file, sizeof *file);
}

/* Of a device's bytes nobody knows how many there are, so it can only be written to. */
static int32_t judge(struct tresor_llama_file *file, struct tresor_error *error)
{
    struct tresor__sys_stat stat;
    int64_t result = file->sys->stat(file->sys->cookie, file->descriptor, &stat);
    if (result < 0)
        return refuse(error, tresor__llama_code(-result), -result);
    bool may_be_read = file->flags & TRESOR__SYS_OPEN_READ;
    if (stat.is_directory || (may_be_read && !stat.is_regular))
        return refuse(error, TRESOR_ERROR_NOT_REGULAR, stat.is_directory ? EISDIR : 0);
    file->size_bytes = stat.size_bytes;
    return TRESOR_OK;
}

/* With a descriptor in it. */
static int32_t finish(struct tresor_llama_file *made, bool direct, struct tresor_llama_file **file,
                      struct tresor_error *error)
{
    int32_t code = judge(made, error);
    if (code != TRESOR_OK) {
        discard(made);
        return code;
    }
    if (direct)
        tresor__llama_open_direct(made);
    *file = made;
    return TRESOR_OK;
}

int32_t tresor__llama_file_open(const struct tresor__sys *sys, const char *path, const char *mode,
                                bool direct, struct tresor_llama_file **file,
                                struct tresor_error *error)
{
    uint32_t flags;
    uint32_t interruptions = 0;
    if (!path || !mode || !file || !parse_mode(mode, &flags))
        return refuse(error, TRESOR_ERROR_INVALID, EINVAL);
    struct tresor_llama_file *made = make(sys);
    if (!made)
        return refuse(error, TRESOR_ERROR_NO_MEMORY, ENOMEM);
    int64_t descriptor;
    do
        descriptor = sys->open_by(sys->cookie, path, flags);
    while (tresor__llama_again(descriptor, &interruptions));
    if (descriptor < 0) {
        discard(made);
        return refuse(error, tresor__llama_code(-descriptor), -descriptor);
    }
    made->descriptor = (int)descriptor;
    made->is_owner = true;
    made->flags = flags;
    return finish(made, direct && flags == TRESOR__SYS_OPEN_READ, file, error);
}

int32_t tresor_llama_file_open(const char *path, const char *mode, bool direct,
                               struct tresor_llama_file **file, struct tresor_error *error)
{
    return tresor__llama_file_open(tresor__sys_posix(), path, mode, direct, file, error);
}

/* What a descriptor may be used for is for the system to say. */
int32_t tresor__llama_file_open_descriptor(const struct tresor__sys *sys, int descriptor,
                                           bool direct, struct tresor_llama_file **file,
                                           struct tresor_error *error)
{
    if (!file || descriptor < 0)
        return refuse(error, TRESOR_ERROR_INVALID, EBADF);
    struct tresor_llama_file *made = make(sys);
    if (!made)
        return refuse(error, TRESOR_ERROR_NO_MEMORY, ENOMEM);
    made->descriptor = descriptor;
    made->flags = TRESOR__SYS_OPEN_READ | TRESOR__SYS_OPEN_WRITE;
    return finish(made, direct, file, error);
}

int32_t tresor_llama_file_open_descriptor(int descriptor, bool direct,
                                          struct tresor_llama_file **file,
                                          struct tresor_error *error)
{
    return tresor__llama_file_open_descriptor(tresor__sys_posix(), descriptor, direct, file, error);
}

/* A folder that is open as a stream can seek, so the descriptor is asked too. */
int32_t tresor_llama_file_open_stream(FILE *stream, struct tresor_llama_file **file,
                                      struct tresor_error *error)
{
    if (!stream || !file)
        return refuse(error, TRESOR_ERROR_INVALID, EINVAL);
    struct tresor_llama_file *made = make(tresor__sys_posix());
    if (!made)
        return refuse(error, TRESOR_ERROR_NO_MEMORY, ENOMEM);
    made->stream = stream;
    made->descriptor = fileno(stream);
    made->flags = TRESOR__SYS_OPEN_WRITE;
    int32_t code = made->descriptor < 0 ? TRESOR_OK : judge(made, error);
    if (code == TRESOR_OK) {
        int64_t result = tresor__llama_stream_begin(made);
        if (result < 0)
            code = refuse(error, tresor__llama_code(-result), -result);
    }
    if (code != TRESOR_OK) {
        discard(made);
        return code;
    }
    made->flags |= TRESOR__SYS_OPEN_READ;
    *file = made;
    return TRESOR_OK;
}

/* A close that failed has still closed; of what was only read nothing is lost. */
int32_t tresor_llama_file_close(struct tresor_llama_file *file, struct tresor_error *error)
{
    int64_t result = 0;
    if (!file)
        return TRESOR_OK;
    if (file->is_owner)
        result = file->sys->close(file->sys->cookie, file->descriptor);
    bool was_written = file->is_owner && (file->flags & TRESOR__SYS_OPEN_WRITE);
    file->is_owner = false;
    discard(file);
    return result < 0 && was_written ? refuse(error, TRESOR_ERROR_IO, -result) : TRESOR_OK;
}

/* --- what it is --- */

uint64_t tresor_llama_file_size(const struct tresor_llama_file *file)
{
    return file->size_bytes;
}

int tresor_llama_file_id(const struct tresor_llama_file *file)
{
    return file->descriptor;
}

size_t tresor_llama_file_read_alignment(const struct tresor_llama_file *file)
{
    return file->alignment_bytes;
}

bool tresor_llama_file_has_direct(const struct tresor_llama_file *file)
{
    return file->direct >= 0;
}

bool tresor_llama_file_warning(const struct tresor_llama_file *file, struct tresor_error *warning)
{
    *warning = file->warning;
    return file->warning.code != TRESOR_OK;
}

/* --- its position --- */

static int32_t fail(struct tresor_error *error, int32_t code, int64_t result, uint64_t offset)
{
    return tresor__llama_fail(error, &(struct tresor_error){.code = code,
                                                            .os_errno = (int32_t)-result,
                                                            .offset = offset});
}

int32_t tresor_llama_file_tell(const struct tresor_llama_file *file, uint64_t *position_bytes,
                               struct tresor_error *error)
{
    *position_bytes = file->position;
    if (!file->stream)
        return TRESOR_OK;
    int64_t result = tresor__llama_stream_tell(file, position_bytes);
    return result < 0 ? fail(error, tresor__llama_code(-result), result, 0) : TRESOR_OK;
}

static int32_t move_to(struct tresor_llama_file *file, uint64_t position,
                       struct tresor_error *error)
{
    int64_t result = 0;
    if (file->stream)
        result = tresor__llama_stream_seek(file, position);
    else
        file->position = position;
    return result < 0 ? fail(error, tresor__llama_code(-result), result, position) : TRESOR_OK;
}

int32_t tresor_llama_file_seek(struct tresor_llama_file *file, int64_t offset, int whence,
                               struct tresor_error *error)
{
    uint64_t base = 0;
    int64_t place;
    int32_t code = TRESOR_OK;
    if (whence == SEEK_CUR)
        code = tresor_llama_file_tell(file, &base, error);
    else if (whence == SEEK_END)
        base = file->size_bytes;
    else if (whence != SEEK_SET)
        code = fail(error, TRESOR_ERROR_INVALID, -EINVAL, 0);
    if (code != TRESOR_OK)
        return code;
    if (__builtin_add_overflow((int64_t)base, offset, &place) || place < 0)
        return fail(error, TRESOR_ERROR_INVALID, -EINVAL, base);
    return move_to(file, (uint64_t)place, error);
}

/* --- to read --- */

static int64_t read_some(struct tresor_llama_file *file, void *address, size_t length,
                         uint64_t position, size_t *got)
{
    *got = 0;
    if (length > (uint64_t)INT64_MAX - position)
        length = (size_t)((uint64_t)INT64_MAX - position);
    return file->stream ? tresor__llama_stream_read(file, address, length, got)
                        : tresor__llama_read_at(file, address, length, position, got);
}

static int32_t read_whole(struct tresor_llama_file *file, void *address, size_t length,
                          bool may_end_within, struct tresor_error *error)
{
    uint64_t position;
    size_t got;
    if (length == 0)
        return TRESOR_OK;
    int32_t code = tresor_llama_file_tell(file, &position, error);
    if (code != TRESOR_OK)
        return code;
    if (!(file->flags & TRESOR__SYS_OPEN_READ))
        return fail(error, TRESOR_ERROR_PERMISSION, -EBADF, position);
    int64_t result = read_some(file, address, length, position, &got);
    bool is_padded = may_end_within && result == 0 && got > 0 && got < length &&
                     position + got >= file->size_bytes && length - got < file->alignment_bytes;
    if (result == 0 && (got == length || is_padded)) {
        memset((char *)address + got, 0, length - got);
        return file->stream ? TRESOR_OK : move_to(file, position + got, error);
    }
    move_to(file, position, NULL);
    return tresor__llama_fail(
        error, &(struct tresor_error){
                   .code = result < 0 ? tresor__llama_code(-result) : TRESOR_ERROR_TRUNCATED,
                   .os_errno = (int32_t)-result,
                   .offset = position,
                   .wanted = length,
                   .got = got});
}

int32_t tresor_llama_file_read(struct tresor_llama_file *file, void *address, size_t length,
                               struct tresor_error *error)
{
    return read_whole(file, address, length, false, error);
}

int32_t tresor_llama_file_read_unchecked(struct tresor_llama_file *file, void *address,
                                         size_t length, struct tresor_error *error)
{
    return read_whole(file, address, length, true, error);
}

int32_t tresor_llama_file_read_aligned_chunk(struct tresor_llama_file *file, void *address,
                                             size_t length, struct tresor_error *error)
{
    return read_whole(file, address, length, false, error);
}

int32_t tresor_llama_file_read_u32(struct tresor_llama_file *file, uint32_t *value,
                                   struct tresor_error *error)
{
    return read_whole(file, value, sizeof *value, false, error);
}

/* --- to write --- */

static int64_t write_at(const struct tresor_llama_file *file, const void *address, size_t length,
                        uint64_t offset, size_t *got)
{
    uint32_t interruptions = 0;
    *got = 0;
    while (*got < length) {
        int64_t count =
            file->sys->write(file->sys->cookie, file->descriptor, (const char *)address + *got,
                             length - *got, offset + *got);
        if (tresor__llama_again(count, &interruptions))
            continue;
        if (count <= 0)
            return count < 0 ? count : -EIO;
        interruptions = 0;
        *got += (size_t)count;
    }
    return 0;
}

/* What is appended goes behind what others have appended meanwhile. */
static int64_t find_place(struct tresor_llama_file *file)
{
    struct tresor__sys_stat stat;
    if (!(file->flags & TRESOR__SYS_OPEN_APPEND))
        return 0;
    int64_t result = file->sys->stat(file->sys->cookie, file->descriptor, &stat);
    if (result == 0)
        file->position = stat.size_bytes;
    return result;
}

static int64_t write_some(struct tresor_llama_file *file, const void *address, size_t length,
                          size_t *got)
{
    *got = 0;
    if (file->stream)
        return tresor__llama_stream_write(file, address, length, got);
    int64_t result = find_place(file);
    if (result < 0)
        return result;
    result = write_at(file, address, length, file->position, got);
    file->position += *got;
    return result;
}

int32_t tresor_llama_file_write(struct tresor_llama_file *file, const void *address, size_t length,
                                struct tresor_error *error)
{
    uint64_t position = 0;
    size_t got;
    if (length == 0)
        return TRESOR_OK;
    if (!(file->flags & TRESOR__SYS_OPEN_WRITE))
        return fail(error, TRESOR_ERROR_PERMISSION, -EBADF, file->position);
    int64_t result = write_some(file, address, length, &got);
    if (tresor_llama_file_tell(file, &position, NULL) == TRESOR_OK && got > 0 &&
        position > file->size_bytes)
        file->size_bytes = position;
    if (result == 0)
        return TRESOR_OK;
    return tresor__llama_fail(error, &(struct tresor_error){.code = tresor__llama_code(-result),
                                                            .os_errno = (int32_t)-result,
                                                            .offset = position,
                                                            .wanted = length,
                                                            .got = got});
}

int32_t tresor_llama_file_write_u32(struct tresor_llama_file *file, uint32_t value,
                                    struct tresor_error *error)
{
    return tresor_llama_file_write(file, &value, sizeof value, error);
}
