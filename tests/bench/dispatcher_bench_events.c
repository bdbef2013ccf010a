#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dispatcher_bench.h"

struct variant {
    const char *event, *type, *priority, *user, *model, *stage, *error;
    double confidence;
    int attempt;
};

#define VARIANT(name)                                                            \
    .event = (name), .type = "extraction", .priority = "normal", .user = "user", \
    .model = "base-small", .stage = "queued", .error = "", .confidence = 0.91, .attempt = 1

/* In the order of the rules. */
#pragma GCC diagnostic ignored "-Woverride-init"
static const struct variant matching[] = {
    {VARIANT("task.completed"), .confidence = 0.31},
    {VARIANT("task.failed")},
    {VARIANT("task.started"), .type = "summary"},
    {VARIANT("task.progress"), .priority = "urgent"},
    {VARIANT("task.progress"), .type = "analysis", .stage = "parsing"},
    {VARIANT("task.progress"), .attempt = 3},
    {VARIANT("task.completed"), .model = "base-large"},
    {VARIANT("task.created")},
    {VARIANT("task.assigned"), .user = "lead"},
    {VARIANT("task.cancelled"), .stage = "review"},
};
static const struct variant missing[] = {
    {VARIANT("task.completed")},
    {VARIANT("task.fail")},
    {VARIANT("task.started")},
    {VARIANT("task.progress")},
    {VARIANT("task.progress"), .type = "analysis"},
    {VARIANT("task.progress"), .attempt = 2},
    {VARIANT("task.completed"), .model = "large-base"},
    {VARIANT("task.created"), .error = ",\"error\":\"none\""},
    {VARIANT("task.assigned")},
    {VARIANT("task.cancelled")},
};

enum { VARIANTS = sizeof(matching) / sizeof(matching[0]) };

int64_t bench_clock_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return INT64_C(1000000000000000000) + time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static unsigned task_of(unsigned n)
{
    return n * 7919U % BENCH_TASKS;
}

size_t bench_event_key(unsigned n, char *key, size_t size)
{
    return (size_t)snprintf(key, size, "task-%06u", task_of(n));
}

void bench_event_write(unsigned n, int64_t run, char *event)
{
    char text[BENCH_EVENT_SIZE + 1];
    unsigned task = task_of(n);
    unsigned tenant = task % BENCH_TENANTS;
    const struct variant *variant = &(n % 2 == 0 ? matching : missing)[n / 2 % VARIANTS];
    int size = snprintf(
        text, sizeof(text),
        "{\"id\":\"%llx-%u\",\"event\":\"%s\",\"tenantId\":\"tenant-%02u\",\"userId\":\"%s-%03u\","
        "\"projectId\":\"prj-%02u\",\"taskId\":\"task-%06u\",\"type\":\"%s\",\"priority\":\"%"
        "s\","
        "\"data\":{\"run\":%lld,\"sent\":%lld,\"n\":%u,\"confidence\":%.2f,\"model\":\"%s\","
        "\"stage\":\"%s\",\"attempt\":%d%s,\"note\":\"",
        (unsigned long long)run, n, variant->event, tenant, variant->user, task % 100, task % 50,
        task, variant->type, variant->priority, (long long)run, (long long)bench_clock_ns(), n,
        variant->confidence, variant->model, variant->stage, variant->attempt, variant->error);
    assert(size > 0 && size + 3 <= BENCH_EVENT_SIZE);
    memcpy(event, text, (size_t)size);
    memset(event + size, 'x', (size_t)(BENCH_EVENT_SIZE - 3 - size));
    memcpy(event + BENCH_EVENT_SIZE - 3, "\"}}", 3);
}

void bench_arrivals_init(struct bench_arrivals *arrivals, unsigned events, unsigned measured_from)
{
    *arrivals = (struct bench_arrivals){
        .run = bench_clock_ns() / 1000000 % 1000000000, /* milliseconds: short */
        .events = events,
        .measured_from = measured_from,
        .seen = calloc(events, 1),
        .last_of_task = malloc(BENCH_TASKS * sizeof(int64_t)),
        .latencies_ms = calloc(events, sizeof(double)),
    };
    assert(arrivals->seen && arrivals->last_of_task && arrivals->latencies_ms);
    for (int i = 0; i < BENCH_TASKS; i++)
        arrivals->last_of_task[i] = -1;
}

void bench_arrivals_deinit(struct bench_arrivals *arrivals)
{
    free(arrivals->seen);
    free(arrivals->last_of_task);
    free(arrivals->latencies_ms);
}

static bool number_after(const char *value, size_t size, const char *name, int64_t *number)
{
    const char *found = memmem(value, size, name, strlen(name));
    if (!found)
        return false;
    int64_t read = 0;
    const char *digit = found + strlen(name);
    for (; digit < value + size && *digit >= '0' && *digit <= '9'; digit++)
        read = read * 10 + (*digit - '0');
    *number = read;
    return true;
}

void bench_arrivals_take(struct bench_arrivals *arrivals, const char *value, size_t size,
                         int64_t now_ns)
{
    int64_t run, sent, n;
    if (!number_after(value, size, "\"run\":", &run) || run != arrivals->run ||
        !number_after(value, size, "\"sent\":", &sent) ||
        !number_after(value, size, "\"n\":", &n) || n >= arrivals->events) {
        arrivals->foreign++;
        return;
    }
    int64_t *last = &arrivals->last_of_task[task_of((unsigned)n)];
    arrivals->wrong += n % 2 != 0;
    arrivals->doubled += arrivals->seen[n];
    arrivals->received += !arrivals->seen[n];
    arrivals->disordered += n < *last;
    *last = n;
    if (!arrivals->seen[n] && n >= arrivals->measured_from)
        arrivals->latencies_ms[arrivals->latency_count++] = (double)(now_ns - sent) / 1e6;
    arrivals->seen[n] = 1;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double bench_arrivals_latency(struct bench_arrivals *arrivals, double fraction)
{
    if (arrivals->latency_count == 0)
        return 0;
    qsort(arrivals->latencies_ms, arrivals->latency_count, sizeof(double), compare);
    return arrivals->latencies_ms[(size_t)(fraction * (double)(arrivals->latency_count - 1))];
}
