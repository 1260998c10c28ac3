// SPDX-License-Identifier: MIT
//
// llama.cpp's llama-mmap.h (release b11118) on tresor: the same names, types and behaviour, so that llama.cpp builds with it in
// place of its own header and source. Link with tresor-compat-llama. What differs is in docs/parity.md; compat/llama.h says
// what each function does. What fails there throws std::runtime_error here, but for locks and unmapping, which only warn, by
// llama_log_internal() where the program has one. C++17. One object belongs to one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

struct llama_file;
struct llama_mmap;
struct llama_mlock;

using llama_files = std::vector<std::unique_ptr<llama_file>>;
using llama_mmaps = std::vector<std::unique_ptr<llama_mmap>>;
using llama_mlocks = std::vector<std::unique_ptr<llama_mlock>>;

struct llama_file {
    // Throws where the file cannot be opened; direct reads that are refused only warn.
    llama_file(const char *fname, const char *mode, bool use_direct_io = false);
    // The stream stays the caller's and is put at its start.
    llama_file(FILE *file);
    ~llama_file();

    size_t tell() const;
    size_t size() const;

    int file_id() const;

    // `offset` is taken as signed, so it can go back too.
    void seek(size_t offset, int whence) const;

    // Exactly so many bytes, or an exception and the position as before.
    void read_raw(void *ptr, size_t len);
    // The same of whole units of the alignment; zeros behind the end of the file in the last of them.
    void read_raw_unsafe(void *ptr, size_t len);
    void read_aligned_chunk(void *dest, size_t size);
    uint32_t read_u32();

    void write_raw(const void *ptr, size_t len) const;
    void write_u32(uint32_t val) const;

    size_t read_alignment() const;
    bool has_direct_io() const;

private:
    friend struct llama_mmap;
    struct impl;
    std::unique_ptr<impl> pimpl;
};

struct llama_mmap {
    // [first, last) bytes of a file
    using ranges = std::vector<std::pair<size_t, size_t>>;

    llama_mmap(const llama_mmap &) = delete;
    // Throws where the file cannot be mapped or has become shorter. Pages of `lazy_ranges` come when they are touched.
    llama_mmap(struct llama_file *file, size_t prefetch = (size_t)-1, bool numa = false,
               const ranges &lazy_ranges = {});
    ~llama_mmap();

    size_t size() const;
    void *addr() const;

    void unmap_fragment(size_t first, size_t last);

    static const bool SUPPORTED;

private:
    struct impl;
    std::unique_ptr<impl> pimpl;
};

struct llama_mlock {
    llama_mlock();
    // Unlocks what it has locked.
    ~llama_mlock();

    // Throws where it has a place already.
    void init(void *ptr);
    // Warns once where the system refuses, and locks no more then. Nothing where there is no place.
    void grow_to(size_t target_size);

    static const bool SUPPORTED;

private:
    struct impl;
    std::unique_ptr<impl> pimpl;
};

size_t llama_path_max();
