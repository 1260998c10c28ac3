/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"

enum {
    DEPTH_MAX = 32,
    SWEEP_BYTES = 512 * 1024 * 1024,
    FINALISTS = 4,
    FINAL_RUNS = 5,
    DIRECT_ALIGNMENT = 4096,
};

struct job {
    struct io_uring ring;
    const struct pages *pages;
    size_t block_bytes;
    size_t next;
    size_t file_bytes;
    unsigned in_flight;
    int descriptor;
};

static void ask_next(struct job *job)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&job->ring);
    size_t left = job->file_bytes - job->next;
    size_t length = left < job->block_bytes ? left : job->block_bytes;
    /* The last read may ask for more than there is, for its length must be aligned. */
    size_t asked = (length + DIRECT_ALIGNMENT - 1) / DIRECT_ALIGNMENT * DIRECT_ALIGNMENT;
    io_uring_prep_read(entry, job->descriptor, job->pages->bytes + job->next, (unsigned)asked,
                       job->next);
    io_uring_sqe_set_data64(entry, length);
    job->next += length;
    job->in_flight++;
}

static void take_results(struct job *job)
{
    struct io_uring_cqe *result;
    unsigned head;
    unsigned count = 0;
    io_uring_for_each_cqe(&job->ring, head, result)
    {
        if (result->res != (int)io_uring_cqe_get_data64(result))
            give_up("a raw read gave %d", result->res);
        count++;
    }
    io_uring_cq_advance(&job->ring, count);
    job->in_flight -= count;
}

static void run(struct job *job, unsigned depth)
{
    while (job->next < job->file_bytes || job->in_flight > 0) {
        while (job->in_flight < depth && job->next < job->file_bytes)
            ask_next(job);
        if (io_uring_submit_and_wait(&job->ring, 1) < 0)
            give_up("the raw ring refused");
        take_results(job);
    }
}

double ring_read(const char *path, const struct pages *pages, struct ring_shape shape)
{
    struct job job = {.pages = pages, .block_bytes = shape.block_bytes};
    struct stat status;
    job.descriptor = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (job.descriptor < 0 || fstat(job.descriptor, &status) != 0)
        give_up("%s: no direct reads: %s", path, strerror(errno));
    job.file_bytes = (size_t)status.st_size;
    if (job.file_bytes > pages->size_bytes)
        job.file_bytes = pages->size_bytes;
    if (io_uring_queue_init(DEPTH_MAX, &job.ring, 0) != 0)
        give_up("no io_uring here");
    double start = now_seconds();
    run(&job, shape.depth);
    double seconds = now_seconds() - start;
    io_uring_queue_exit(&job.ring);
    close(job.descriptor);
    return seconds;
}

struct candidate {
    struct ring_shape shape;
    double seconds;
};

static double median_of_runs(const char *path, const struct pages *pages, struct ring_shape shape)
{
    double seconds[FINAL_RUNS];
    for (int i = 0; i < FINAL_RUNS; i++)
        seconds[i] = ring_read(path, pages, shape);
    return median(seconds, FINAL_RUNS);
}

static void keep_sorted(struct candidate *best, struct candidate found)
{
    for (int i = 0; i < FINALISTS; i++) {
        if (found.seconds < best[i].seconds) {
            struct candidate worse = best[i];
            best[i] = found;
            found = worse;
        }
    }
}

struct ring_shape ring_find_best(const char *path, const struct pages *pages)
{
    struct pages part = *pages;
    struct candidate best[FINALISTS];
    struct candidate winner = {.seconds = 1e9};
    if (part.size_bytes > SWEEP_BYTES)
        part.size_bytes = SWEEP_BYTES;
    for (int i = 0; i < FINALISTS; i++)
        best[i] = winner;
    for (size_t block_bytes = 256 * 1024; block_bytes <= 4096 * 1024; block_bytes *= 2)
        for (unsigned depth = 1; depth <= DEPTH_MAX; depth *= 2) {
            struct ring_shape shape = {block_bytes, depth};
            keep_sorted(best, (struct candidate){shape, ring_read(path, &part, shape)});
        }
    for (int i = 0; i < FINALISTS; i++) {
        best[i].seconds = median_of_runs(path, &part, best[i].shape);
        if (best[i].seconds < winner.seconds)
            winner = best[i];
    }
    printf("best raw ring: blocks of %zu KiB, %u in flight, %.2f GiB/s\n",
           winner.shape.block_bytes / 1024, winner.shape.depth,
           (double)part.size_bytes / winner.seconds / (1 << 30));
    return winner.shape;
}
