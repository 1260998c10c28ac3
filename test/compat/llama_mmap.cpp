// SPDX-License-Identifier: MIT
// A program of llama.cpp's kind: it uses every function of the three structs, and a table fixes what they do at their edges.
#include <tresor/compat/llama-mmap.h>

#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <type_traits>
#include <unistd.h>
#include <string>

#include "support/sanitizer.h"

// --- the names and types that llama.cpp compiles against ---

template <typename Member, typename Wanted> constexpr bool is = std::is_same_v<Member, Wanted>;

static_assert(is<llama_files, std::vector<std::unique_ptr<llama_file>>>);
static_assert(is<llama_mmaps, std::vector<std::unique_ptr<llama_mmap>>>);
static_assert(is<llama_mlocks, std::vector<std::unique_ptr<llama_mlock>>>);
static_assert(is<llama_mmap::ranges, std::vector<std::pair<size_t, size_t>>>);
static_assert(is<decltype(&llama_file::tell), size_t (llama_file::*)() const>);
static_assert(is<decltype(&llama_file::size), size_t (llama_file::*)() const>);
static_assert(is<decltype(&llama_file::file_id), int (llama_file::*)() const>);
static_assert(is<decltype(&llama_file::seek), void (llama_file::*)(size_t, int) const>);
static_assert(is<decltype(&llama_file::read_raw), void (llama_file::*)(void *, size_t)>);
static_assert(is<decltype(&llama_file::read_raw_unsafe), void (llama_file::*)(void *, size_t)>);
static_assert(is<decltype(&llama_file::read_aligned_chunk), void (llama_file::*)(void *, size_t)>);
static_assert(is<decltype(&llama_file::read_u32), uint32_t (llama_file::*)()>);
static_assert(is<decltype(&llama_file::write_raw), void (llama_file::*)(const void *, size_t) const>);
static_assert(is<decltype(&llama_file::write_u32), void (llama_file::*)(uint32_t) const>);
static_assert(is<decltype(&llama_file::read_alignment), size_t (llama_file::*)() const>);
static_assert(is<decltype(&llama_file::has_direct_io), bool (llama_file::*)() const>);
static_assert(is<decltype(&llama_mmap::size), size_t (llama_mmap::*)() const>);
static_assert(is<decltype(&llama_mmap::addr), void *(llama_mmap::*)() const>);
static_assert(is<decltype(&llama_mmap::unmap_fragment), void (llama_mmap::*)(size_t, size_t)>);
static_assert(is<decltype(&llama_mmap::SUPPORTED), const bool *>);
static_assert(is<decltype(&llama_mlock::init), void (llama_mlock::*)(void *)>);
static_assert(is<decltype(&llama_mlock::grow_to), void (llama_mlock::*)(size_t)>);
static_assert(is<decltype(&llama_mlock::SUPPORTED), const bool *>);
static_assert(is<decltype(&llama_path_max), size_t (*)()>);
static_assert(std::is_constructible_v<llama_file, const char *, const char *>);
static_assert(std::is_constructible_v<llama_file, const char *, const char *, bool>);
static_assert(std::is_convertible_v<FILE *, llama_file>);
static_assert(std::is_constructible_v<llama_mmap, llama_file *>);
static_assert(std::is_constructible_v<llama_mmap, llama_file *, size_t, bool>);
static_assert(std::is_constructible_v<llama_mmap, llama_file *, size_t, bool, llama_mmap::ranges>);
static_assert(!std::is_copy_constructible_v<llama_mmap>);
static_assert(!std::is_copy_constructible_v<llama_file>);

// --- the log of the program, as llama.cpp has it ---

enum ggml_log_level : int;
void llama_log_internal(enum ggml_log_level level, const char *format, ...);

static std::vector<std::string> warnings;

__attribute__((visibility("default"))) void llama_log_internal(enum ggml_log_level, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    warnings.push_back(text);
}

// --- one folder with a small file ---

static const size_t small_bytes = 5000;
static const size_t page = (size_t)sysconf(_SC_PAGESIZE);
static const size_t pages = 8;
static std::string folder;

static char byte_at(size_t place)
{
    return (char)(place * 7 + place / 251 + 1);
}

static std::string path_of(const char *name)
{
    return folder + "/" + name;
}

static void make(const char *name, size_t size)
{
    std::string bytes(size, 0);
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(i);
    std::ofstream(path_of(name), std::ios::binary) << bytes;
}

static bool is_as_made(const void *address, size_t place, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((const char *)address)[i] != byte_at(place + i))
            return false;
    return true;
}

static llama_file open_small(const char *mode = "rb")
{
    return llama_file(path_of("small").c_str(), mode);
}

static std::string text(size_t number)
{
    return std::to_string(number);
}

static void read_to(size_t place, size_t size)
{
    std::vector<char> memory(size + 1);
    llama_file file = open_small();
    file.seek(place, SEEK_SET);
    file.read_raw(memory.data(), size);
}

// A map of whole pages less a hundred bytes, after `cuts`; says which pages are still as made.
static std::string pages_after(const llama_mmap::ranges &cuts, const llama_mmap::ranges &left)
{
    llama_file file(path_of("pages").c_str(), "rb");
    llama_mmap map(&file, 0);
    for (const auto &cut : cuts)
        map.unmap_fragment(cut.first, cut.second);
    for (const auto &range : left)
        if (!is_as_made((const char *)map.addr() + range.first, range.first, range.second - range.first))
            return "wrong bytes";
    return text(warnings.size());
}

// What another has put into a hole is not the map's, whatever is unmapped and at its end.
static std::string a_hole_of_anothers()
{
    void *hole;
    {
        llama_file file(path_of("pages").c_str(), "rb");
        llama_mmap map(&file, 0);
        map.unmap_fragment(2 * page, 4 * page);
        hole = mmap((char *)map.addr() + 2 * page, 2 * page, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        memset(hole, 7, 2 * page);
        map.unmap_fragment(2 * page, 4 * page);
        map.unmap_fragment(page, 5 * page);
    }
    std::vector<unsigned char> present(2);
    bool is_there = mincore(hole, 2 * page, present.data()) == 0;
    bool is_whole = is_there && ((char *)hole)[2 * page - 1] == 7;
    if (is_there)
        munmap(hole, 2 * page);
    return is_whole ? "left alone" : "unmapped";
}

// --- the table ---

static const size_t end = pages * page - 100;

struct edge {
    const char *name;
    std::function<std::string()> act; // what it returns, or the exception's text, with the folder as @
    std::string wanted;
};

static const char *const too_short = "unexpectedly reached end of file";

static const std::vector<edge> edges = {
    {"open a file that is not there", [] { return text(llama_file(path_of("none").c_str(), "rb").size()); },
     "failed to open @/none: No such file or directory"},
    {"open a folder", [] { return text(llama_file(folder.c_str(), "rb").size()); },
     "failed to open @: Is a directory"},
    {"open by a mode that is none", [] { return text(open_small("q").size()); },
     "failed to open @/small: Invalid argument"},
    {"open nothing", [] { return text(llama_file((const char *)nullptr, "rb").size()); },
     "failed to open (null): Invalid argument"},
    {"open no stream", [] { return text(llama_file((FILE *)nullptr).size()); },
     "seek error: Invalid argument"},
    {"open a closed pipe",
     [] {
         FILE *pipe = popen("true", "r");
         std::string outcome;
         try {
             llama_file file(pipe);
         } catch (const std::exception &what) {
             outcome = what.what();
         }
         pclose(pipe);
         return outcome;
     },
     "seek error: Illegal seek"},
    {"open an empty file",
     [] {
         llama_file file(path_of("empty").c_str(), "rb");
         return text(file.size()) + " " + text(file.tell());
     },
     "0 0"},
    {"read from an empty file", [] { return text(llama_file(path_of("empty").c_str(), "rb").read_u32()); },
     too_short},
    {"read from an empty file directly",
     [] { return text(llama_file(path_of("empty").c_str(), "rb", true).read_u32()); }, too_short},
    {"map an empty file",
     [] {
         llama_file file(path_of("empty").c_str(), "rb");
         return text(llama_mmap(&file).size());
     },
     "mmap failed: Invalid argument"},
    {"map no file", [] { return text(llama_mmap(nullptr).size()); }, "mmap failed: Invalid argument"},
    {"map a file that has become shorter",
     [] {
         make("shorter", 3 * page);
         llama_file file(path_of("shorter").c_str(), "rb");
         if (truncate(path_of("shorter").c_str(), 10) != 0)
             return std::string("no truncate");
         return text(llama_mmap(&file).size());
     },
     too_short},
    {"read to the end", [] { read_to(0, small_bytes); return std::string("read"); }, "read"},
    {"read past the end", [] { read_to(1, small_bytes); return std::string("read"); }, too_short},
    {"read at the end", [] { read_to(small_bytes, 1); return std::string("read"); }, too_short},
    {"read nothing behind the end", [] { read_to(small_bytes + 9, 0); return std::string("read"); }, "read"},
    {"read behind the end", [] { read_to(small_bytes + 9, 1); return std::string("read"); }, too_short},
    {"read past the end unchecked",
     [] {
         char memory[8];
         llama_file file = open_small();
         file.seek(small_bytes - 4, SEEK_SET);
         file.read_raw_unsafe(memory, 8);
         return text(file.tell());
     },
     too_short},
    {"stay where a read failed",
     [] {
         llama_file file = open_small();
         file.seek(small_bytes - 3, SEEK_SET);
         try {
             file.read_u32();
         } catch (const std::exception &) {
         }
         return text(file.tell());
     },
     text(small_bytes - 3)},
    {"seek past the end",
     [] {
         llama_file file = open_small();
         file.seek(5, SEEK_END);
         return text(file.tell());
     },
     text(small_bytes + 5)},
    {"seek back from the end",
     [] {
         llama_file file = open_small();
         file.seek((size_t)-5, SEEK_END);
         return text(file.tell());
     },
     text(small_bytes - 5)},
    {"seek before the start",
     [] {
         llama_file file = open_small();
         file.seek((size_t)-1, SEEK_SET);
         return text(file.tell());
     },
     "seek error: Invalid argument"},
    {"write to a file that is only read",
     [] {
         open_small().write_u32(1);
         return std::string("written");
     },
     "write error: Bad file descriptor"},
    {"write to a file that is read directly",
     [] {
         llama_file(path_of("small").c_str(), "rb", true).write_u32(1);
         return std::string("written");
     },
     "write error: Bad file descriptor"},
    {"read from a file that is only written",
     [] { return text(llama_file(path_of("new").c_str(), "wb").read_u32()); },
     "read error: Bad file descriptor"},
    {"write to a full disk",
     [] {
         llama_file("/dev/full", "wb").write_u32(1);
         return std::string("written");
     },
     "write error: No space left on device"},
    {"write nothing to a file that is only read",
     [] {
         open_small().write_raw("", 0);
         return std::string("nothing");
     },
     "nothing"},
    {"unmap twice", [] { return pages_after({{page, 3 * page}, {page, 3 * page}}, {{0, page}, {3 * page, end}}); }, "0"},
    {"unmap a hole within", [] { return pages_after({{2 * page, 3 * page}}, {{0, 2 * page}, {3 * page, end}}); }, "0"},
    {"unmap over holes",
     [] { return pages_after({{2 * page, 3 * page}, {5 * page, 6 * page}, {page, 7 * page}}, {{0, page}, {7 * page, end}}); },
     "0"},
    {"unmap parts of a page", [] { return pages_after({{1, page}, {page + 1, 2 * page - 1}}, {{0, end}}); }, "0"},
    {"unmap where another has mapped meanwhile", a_hole_of_anothers, "left alone"},
    {"unmap nothing", [] { return pages_after({{3, 3}, {9 * page, 2}, {0, 0}}, {{0, end}}); }, "0"},
    {"unmap behind the end", [] { return pages_after({{pages * page, 90 * page}, {(size_t)-2, (size_t)-1}}, {{0, end}}); }, "0"},
    {"unmap all", [] { return pages_after({{0, end}}, {}); }, "0"},
    {"lock nowhere",
     [] {
         llama_mlock lock;
         lock.grow_to(100);
         lock.init(nullptr);
         lock.grow_to(100);
         return text(warnings.size());
     },
     "0"},
    {"give a lock two places",
     [] {
         llama_mlock lock;
         lock.init(&folder);
         lock.init(&warnings);
         return std::string("taken");
     },
     "a lock has a place already: the object is in use"},
};

// --- all of it in use ---

static std::string use_files()
{
    llama_files files;
    char memory[512];
    files.emplace_back(new llama_file(path_of("session").c_str(), "wb"));
    files[0]->write_u32(0x46554747);
    files[0]->write_raw("state", 5);
    if (files[0]->tell() != 9 || files[0]->size() != 9)
        return "a written file has the wrong size";
    files.clear();
    files.push_back(std::make_unique<llama_file>(path_of("session").c_str(), "rb"));
    if (files[0]->read_u32() != 0x46554747 || files[0]->file_id() < 0 || files[0]->has_direct_io())
        return "a session is not read";
    files[0]->read_raw(memory, 5);
    return memcmp(memory, "state", 5) == 0 ? "" : "wrong bytes";
}

// As llama.cpp uploads: whole units to memory of that alignment.
static std::string use_direct_reads()
{
    llama_file file(path_of("pages").c_str(), "rb", true);
    const size_t alignment = file.read_alignment();
    if (file.has_direct_io() != (alignment > 1))
        return "direct reads and no alignment, or the other way";
    const size_t whole = (end + alignment - 1) / alignment * alignment;
    void *memory = nullptr;
    if (posix_memalign(&memory, page, whole + page) != 0)
        return "no memory";
    std::unique_ptr<void, void (*)(void *)> owner(memory, free);
    file.read_raw_unsafe(memory, whole);
    if (!is_as_made(memory, 0, end) || file.tell() != end)
        return "an unchecked read";
    file.seek(1234, SEEK_SET);
    file.read_aligned_chunk((char *)memory + 3, 2000);
    if (!is_as_made((char *)memory + 3, 1234, 2000) || file.tell() != 3234)
        return "an aligned chunk";
    file.read_raw((char *)memory + 5, 100);
    return is_as_made((char *)memory + 5, 3234, 100) && file.tell() == 3334 ? "" : "a read after it";
}

static std::string use_a_stream()
{
    FILE *stream = fopen(path_of("small").c_str(), "rb");
    fgetc(stream);
    std::string wrong;
    {
        llama_file file(stream);
        char memory[10];
        file.seek(10, SEEK_SET);
        file.read_raw(memory, 10);
        if (file.size() != small_bytes || !is_as_made(memory, 10, 10) || ftell(stream) != 20)
            wrong = "a stream and its file differ";
    }
    if (fgetc(stream) != (unsigned char)byte_at(20))
        wrong = "the stream is closed";
    fclose(stream);
    return wrong;
}

static std::string use_maps()
{
    llama_mmaps maps;
    llama_mlocks locks;
    llama_file file(path_of("pages").c_str(), "rb");
    maps.emplace_back(new llama_mmap(&file));
    maps.emplace_back(new llama_mmap(&file, 1, true));
    maps.push_back(std::make_unique<llama_mmap>(&file, (size_t)-1, false,
                                                llama_mmap::ranges{{3 * page, 5 * page}, {page + 1, 2 * page}}));
    for (const auto &map : maps) {
        if (map->size() != end || !is_as_made(map->addr(), 0, end))
            return "a map";
        locks.emplace_back(new llama_mlock);
        locks.back()->init(map->addr());
        locks.back()->grow_to(page + 1);
        locks.back()->grow_to(page);
        map->unmap_fragment(5 * page, 6 * page);
    }
    if (!llama_mmap::SUPPORTED || !llama_mlock::SUPPORTED || llama_path_max() < 4096)
        return "nothing is supported";
    return "";
}

// Without rights and with a limit of one page: one warning, no exception.
static bool is_told_once()
{
    const struct rlimit limit = {page, page};
    bool is_nobody = geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0);
    if (!is_nobody || setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return false;
    std::vector<char> memory(20 * page);
    llama_mlock lock;
    lock.init(memory.data());
    lock.grow_to(10 * page);
    lock.grow_to(12 * page);
    return warnings.size() == 1 && warnings[0].find("ulimit -l") != std::string::npos;
}

static std::string grow_over_the_limit()
{
    if (HAS_ADDRESS_SANITIZER)
        return ""; // makes mlock do nothing
    pid_t child = fork();
    if (child == 0)
        _exit(is_told_once() ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    return status == 0 ? "" : "the limit was not told of once: " + std::to_string(status);
}

static std::string outcome_of(const edge &edge)
{
    std::string outcome;
    warnings.clear();
    try {
        outcome = edge.act();
    } catch (const std::exception &what) {
        outcome = what.what();
    }
    size_t place = outcome.find(folder);
    return place == std::string::npos ? outcome : outcome.replace(place, folder.size(), "@");
}

static int cases, failures;

static void tell(const char *name, const std::string &wrong)
{
    failures += !wrong.empty();
    printf("%s %d - %s\n", wrong.empty() ? "ok" : "not ok", ++cases, name);
    if (!wrong.empty())
        printf("# %s\n", wrong.c_str());
}

int main()
{
    char place[] = "/tmp/tresor-llama-XXXXXX";
    if (!mkdtemp(place))
        return 1;
    folder = place;
    make("empty", 0);
    make("small", small_bytes);
    make("pages", end);
    for (const edge &edge : edges) {
        const std::string outcome = outcome_of(edge);
        tell(edge.name, outcome == edge.wanted ? "" : "\"" + outcome + "\", not \"" + edge.wanted + "\"");
    }
    const edge uses[] = {{"files", use_files, ""},   {"direct reads", use_direct_reads, ""},
                         {"a stream", use_a_stream, ""}, {"maps and locks", use_maps, ""},
                         {"grow over the limit", grow_over_the_limit, ""}};
    for (const edge &use : uses)
        tell(use.name, outcome_of(use));
    for (const char *name : {"empty", "small", "pages", "session", "shorter", "new"})
        unlink(path_of(name).c_str());
    if (rmdir(folder.c_str()) != 0)
        tell("the folder is empty at the end", "it is not");
    printf("1..%d\n", cases);
    return failures > 0;
}
