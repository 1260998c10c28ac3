// SPDX-License-Identifier: MIT
// llama.cpp's three structs over the C face: what fails there throws here, or warns where the original did.
#include <tresor/compat/llama-mmap.h>

#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include <tresor/compat/llama.h>

// llama.cpp's own log. Weak, so that programs without it build, and hear no warnings.
enum ggml_log_level : int;
__attribute__((weak)) void llama_log_internal(enum ggml_log_level level, const char *format, ...);

static void warn(const std::string &what)
{
    const int level_warn = 3;
    if (llama_log_internal)
        llama_log_internal((enum ggml_log_level)level_warn, "warning: %s\n", what.c_str());
}

static std::string text_of(const tresor_error &error)
{
    return error.os_errno ? std::strerror(error.os_errno) : tresor_error_text(error.code);
}

[[noreturn]] static void fail(const std::string &what, const tresor_error &error)
{
    if (error.code == TRESOR_ERROR_TRUNCATED)
        throw std::runtime_error("unexpectedly reached end of file");
    throw std::runtime_error(what + ": " + text_of(error));
}

// --- llama_file ---

struct llama_file::impl {
    impl(const char *fname, const char *mode, bool use_direct_io)
    {
        tresor_error error;
        if (tresor_llama_file_open(fname, mode, use_direct_io, &file, &error) != TRESOR_OK)
            fail(std::string("failed to open ") + (fname ? fname : "(null)"), error);
        heed();
    }

    explicit impl(FILE *stream)
    {
        tresor_error error;
        if (tresor_llama_file_open_stream(stream, &file, &error) != TRESOR_OK)
            fail("seek error", error);
    }

    impl(const impl &) = delete;
    impl &operator=(const impl &) = delete;

    ~impl()
    {
        tresor_error error;
        if (tresor_llama_file_close(file, &error) != TRESOR_OK)
            warn("failed to close a file that was written: " + text_of(error));
    }

    // Each warning once.
    void heed()
    {
        tresor_error warning;
        if (has_warned || !tresor_llama_file_warning(file, &warning))
            return;
        has_warned = true;
        warn("no direct reads of a file, which is read through the page cache: " + text_of(warning));
    }

    void read(int32_t (*by)(tresor_llama_file *, void *, size_t, tresor_error *), void *address,
              size_t length)
    {
        tresor_error error;
        int32_t code = by(file, address, length, &error);
        heed();
        if (code != TRESOR_OK)
            fail("read error", error);
    }

    tresor_llama_file *file = nullptr;
    bool has_warned = false;
};

llama_file::llama_file(const char *fname, const char *mode, bool use_direct_io)
    : pimpl(std::make_unique<impl>(fname, mode, use_direct_io))
{
}

llama_file::llama_file(FILE *file) : pimpl(std::make_unique<impl>(file))
{
}

llama_file::~llama_file() = default;

size_t llama_file::tell() const
{
    tresor_error error;
    uint64_t position;
    if (tresor_llama_file_tell(pimpl->file, &position, &error) != TRESOR_OK)
        fail("ftell error", error);
    return (size_t)position;
}

size_t llama_file::size() const
{
    return (size_t)tresor_llama_file_size(pimpl->file);
}

int llama_file::file_id() const
{
    return tresor_llama_file_id(pimpl->file);
}

void llama_file::seek(size_t offset, int whence) const
{
    tresor_error error;
    if (tresor_llama_file_seek(pimpl->file, (int64_t)offset, whence, &error) != TRESOR_OK)
        fail("seek error", error);
}

void llama_file::read_raw(void *ptr, size_t len)
{
    pimpl->read(tresor_llama_file_read, ptr, len);
}

void llama_file::read_raw_unsafe(void *ptr, size_t len)
{
    pimpl->read(tresor_llama_file_read_unchecked, ptr, len);
}

void llama_file::read_aligned_chunk(void *dest, size_t size)
{
    pimpl->read(tresor_llama_file_read_aligned_chunk, dest, size);
}

uint32_t llama_file::read_u32()
{
    uint32_t value;
    read_raw(&value, sizeof value);
    return value;
}

void llama_file::write_raw(const void *ptr, size_t len) const
{
    tresor_error error;
    if (tresor_llama_file_write(pimpl->file, ptr, len, &error) != TRESOR_OK)
        fail("write error", error);
}

void llama_file::write_u32(uint32_t val) const
{
    write_raw(&val, sizeof val);
}

size_t llama_file::read_alignment() const
{
    return tresor_llama_file_read_alignment(pimpl->file);
}

bool llama_file::has_direct_io() const
{
    return tresor_llama_file_has_direct(pimpl->file);
}

// --- llama_mmap ---

struct llama_mmap::impl {
    impl(const tresor_llama_file *file, size_t prefetch, bool numa, const ranges &lazy_ranges)
    {
        std::vector<tresor_llama_range> lazy;
        tresor_error error;
        for (const auto &range : lazy_ranges)
            lazy.push_back({range.first, range.second});
        if (tresor_llama_map_open(file, prefetch, numa, lazy.data(), lazy.size(), &map, &error) !=
            TRESOR_OK)
            fail("mmap failed", error);
        if (tresor_llama_map_warning(map, &error))
            warn("advice on a mapping was refused: " + text_of(error));
    }

    impl(const impl &) = delete;
    impl &operator=(const impl &) = delete;

    ~impl()
    {
        tresor_error error;
        if (tresor_llama_map_close(map, &error) != TRESOR_OK)
            warn("munmap failed: " + text_of(error));
    }

    tresor_llama_map *map = nullptr;
};

llama_mmap::llama_mmap(struct llama_file *file, size_t prefetch, bool numa,
                       const ranges &lazy_ranges)
    : pimpl(std::make_unique<impl>(file ? file->pimpl->file : nullptr, prefetch, numa, lazy_ranges))
{
}

llama_mmap::~llama_mmap() = default;

size_t llama_mmap::size() const
{
    return (size_t)tresor_llama_map_size(pimpl->map);
}

void *llama_mmap::addr() const
{
    return tresor_llama_map_address(pimpl->map);
}

void llama_mmap::unmap_fragment(size_t first, size_t last)
{
    const tresor_llama_range range = {first, last};
    tresor_error error;
    if (tresor_llama_map_unmap(pimpl->map, &range, 1, &error) != TRESOR_OK)
        warn("munmap failed: " + text_of(error));
}

const bool llama_mmap::SUPPORTED = tresor_llama_map_supported();

// --- llama_mlock ---

struct llama_mlock::impl {
    impl()
    {
        if (tresor_llama_lock_open(&lock, nullptr) != TRESOR_OK)
            throw std::bad_alloc();
    }

    impl(const impl &) = delete;
    impl &operator=(const impl &) = delete;

    ~impl()
    {
        tresor_error error;
        if (tresor_llama_lock_close(lock, &error) != TRESOR_OK)
            warn("failed to munlock buffer: " + text_of(error));
    }

    tresor_llama_lock *lock = nullptr;
    bool has_warned = false;
};

llama_mlock::llama_mlock() : pimpl(std::make_unique<impl>())
{
}

llama_mlock::~llama_mlock() = default;

void llama_mlock::init(void *ptr)
{
    tresor_error error;
    if (tresor_llama_lock_init(pimpl->lock, ptr, &error) != TRESOR_OK)
        fail("a lock has a place already", error);
}

void llama_mlock::grow_to(size_t target_size)
{
    tresor_error error;
    if (tresor_llama_lock_grow_to(pimpl->lock, target_size, &error) == TRESOR_OK ||
        pimpl->has_warned)
        return;
    pimpl->has_warned = true;
    warn("failed to mlock " + std::to_string(error.wanted) + " bytes (limit " +
         std::to_string(error.got) + ", locked " + std::to_string(error.offset) +
         "): " + text_of(error) + "; " + tresor_error_advice(error.code));
}

const bool llama_mlock::SUPPORTED = tresor_llama_lock_supported();

size_t llama_path_max()
{
    return tresor_llama_path_max();
}
