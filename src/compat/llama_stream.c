/* SPDX-License-Identifier: MIT */
/* A host's stream: it keeps its own position, and what it has read ahead or not yet written is its own. */
#include "compat/llama.h"

#include <errno.h>

/* A stream that fails need not say why. */
static int64_t reason(void)
{
    return errno ? -errno : -EIO;
}

int64_t tresor__llama_stream_tell(const struct tresor_llama_file *file, uint64_t *position)
{
    errno = 0;
    int64_t place = ftello(file->stream);
    if (place < 0)
        return reason();
    *position = (uint64_t)place;
    return 0;
}

int64_t tresor__llama_stream_seek(struct tresor_llama_file *file, uint64_t position)
{
    errno = 0;
    return fseeko(file->stream, (off_t)position, SEEK_SET) == 0 ? 0 : reason();
}

int64_t tresor__llama_stream_begin(struct tresor_llama_file *file)
{
    errno = 0;
    if (fseeko(file->stream, 0, SEEK_END) != 0)
        return reason();
    int64_t result = tresor__llama_stream_tell(file, &file->size_bytes);
    return result < 0 ? result : tresor__llama_stream_seek(file, 0);
}

int64_t tresor__llama_stream_read(struct tresor_llama_file *file, void *address, size_t length,
                                  size_t *got)
{
    errno = 0;
    *got = fread(address, 1, length, file->stream);
    int64_t result = *got < length && ferror(file->stream) ? reason() : 0;
    if (*got < length)
        clearerr(file->stream);
    return result;
}

/* A seek stands between a read and a write of one stream, as C wants it. */
int64_t tresor__llama_stream_write(struct tresor_llama_file *file, const void *address,
                                   size_t length, size_t *got)
{
    errno = 0;
    *got = 0;
    if (fseeko(file->stream, 0, SEEK_CUR) != 0)
        return reason();
    *got = fwrite(address, 1, length, file->stream);
    if (*got == length && fflush(file->stream) == 0)
        return 0;
    int64_t result = reason();
    clearerr(file->stream);
    return result;
}
