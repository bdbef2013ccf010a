/* The events of the scenario `dispatcher` and what is known of their notifications. No Kafka here.
 *
 * Event number n matches one of the ten rules of dispatcher-rules.jsonl if n is even, and misses it
 * by one field if n is odd. It carries n and the time at which it was made, and both stand byte for
 * byte in the notification, whoever makes it. */
#ifndef TESTS_BENCH_DISPATCHER_BENCH_H
#define TESTS_BENCH_DISPATCHER_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_EVENT_SIZE = 330, BENCH_TASKS = 1000, BENCH_TENANTS = 20 };

/* Nanoseconds, always of 19 digits. */
int64_t bench_clock_ns(void);

/* The record key: the event's task. */
size_t bench_event_key(unsigned n, char *key, size_t size);

/* Writes BENCH_EVENT_SIZE bytes. `run` makes the ids of one run differ from those of others. */
void bench_event_write(unsigned n, int64_t run, char *event);

/* Which notifications came, and when. */
struct bench_arrivals {
    int64_t run;
    unsigned events;
    unsigned measured_from; /* latency is that of events from here on */
    uint8_t *seen;          /* by event */
    int64_t *last_of_task;  /* by task: the highest event so far, or -1 */
    double *latencies_ms;
    size_t latency_count;
    unsigned received; /* different events of this run */
    unsigned doubled, wrong, disordered, foreign;
};

void bench_arrivals_init(struct bench_arrivals *arrivals, unsigned events, unsigned measured_from);
void bench_arrivals_deinit(struct bench_arrivals *arrivals);

/* Takes a notification's value. */
void bench_arrivals_take(struct bench_arrivals *arrivals, const char *value, size_t size,
                         int64_t now_ns);

static inline unsigned bench_arrivals_expected(const struct bench_arrivals *arrivals)
{
    return (arrivals->events + 1) / 2;
}

/* `fraction` 0.5: the median. Sorts. */
double bench_arrivals_latency(struct bench_arrivals *arrivals, double fraction);

#endif
