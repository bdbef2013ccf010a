/* What Prometheus's client libraries tell of any process, under the same names, so that dashboards
 * made for them fit. Linux alone: /proc.
 *
 * Collected when somebody asks, on the thread that asks: at a scrape, or when a worker process
 * tells its numbers (gateway/workers/scoreboard.c). */
#include "process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

/* There is one process. */
static struct {
    struct metric_counter *cpu_microseconds;
    struct metric_counter *lines_suppressed;
    struct metric_gauge *resident_bytes;
    struct metric_gauge *open_descriptors;
} process;

static uint64_t microseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static int64_t resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    char text[128];
    if (fgets(text, sizeof(text), file)) {
        char *end;
        (void)strtol(text, &end, 10);
        pages = strtol(end, NULL, 10); /* the second number */
    }
    (void)fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* /proc has no count of them: they are listed, one by one. */
static int64_t open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return 0;
    int64_t count = -3; /* ".", ".." and the directory's own */
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void collect_process_metrics(void *context)
{
    (void)context;
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        metric_counter_mirror(process.cpu_microseconds,
                              microseconds(usage.ru_utime) + microseconds(usage.ru_stime));
    metric_counter_mirror(process.lines_suppressed, log_suppressed_total());
    metric_gauge_set(process.resident_bytes, resident_bytes());
    metric_gauge_set(process.open_descriptors, open_descriptors());
}

void process_metrics_register(struct metrics *metrics, const char *version)
{
    process.cpu_microseconds =
        metrics_counter_scaled(metrics, "process_cpu_seconds_total",
                               "User and system time spent, in seconds.", NULL, 1000000);
    process.resident_bytes = metrics_gauge(metrics, "process_resident_memory_bytes",
                                           "Resident memory, in bytes.", NULL, 1);
    process.open_descriptors =
        metrics_gauge(metrics, "process_open_fds", "Open file descriptors.", NULL, 1);
    /* Once and for all: neither the start nor the version changes. */
    metric_gauge_set(metrics_gauge(metrics, "process_start_time_seconds",
                                   "When the process started, in seconds since 1970.", NULL, 1),
                     (int64_t)time(NULL));
    process.lines_suppressed =
        metrics_counter(metrics, "log_lines_suppressed_total",
                        "Log lines left out by the limit of their call site.", NULL);
    metric_gauge_set(metrics_gauge(metrics, "build_info", "1, with the version as a label.",
                                   METRIC_LABELS("version", version), 1),
                     1);
    metrics_on_collect(metrics, collect_process_metrics, NULL);
}
