/* Counters, gauges and histograms, and their Prometheus text (exposition format 0.0.4). Not a
 * server: edge/health_http.h and the gateway serve it.
 *
 * Series are registered at start, by one thread; names and labels are checked by assert. Updates
 * never allocate and may come from any thread; rendering may run beside them. A registry owns its
 * series, which live as long as it. */
#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include "buffer.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics;
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* Labels, fixed at registration: METRIC_LABELS("transport", "websocket", "reason", "slow"). No
 * labels: NULL. The strings are copied. Series of one name have one help and one type and stand
 * together in the output. */
#define METRIC_LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

struct metric_counter {
    uint64_t value;
};
struct metric_gauge {
    int64_t value;
};
struct metric_histogram;

struct metric_counter *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                                       const char *const *labels);

/* The same, shown divided by `divisor`, a power of ten: 1000000 for seconds that are counted in
 * microseconds. */
struct metric_counter *metrics_counter_scaled(struct metrics *metrics, const char *name,
                                              const char *help, const char *const *labels,
                                              uint32_t divisor);

/* `divisor` as above. Names of counters end with _total, and no others do. */
struct metric_gauge *metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                                   const char *const *labels, uint32_t divisor);

struct metric_buckets {
    const uint64_t *bounds; /* upper, inclusive, ascending, in the unit that is observed */
    size_t count;           /* at most METRIC_BUCKETS_LIMIT */
    uint32_t divisor;       /* bounds and sum are shown divided by it */
};
enum { METRIC_BUCKETS_LIMIT = 40 };

/* Observed in microseconds, shown in seconds: 100 us to 60 s. */
extern const struct metric_buckets metric_buckets_latency;
/* Bytes: 64 to 4 Mi, by fours. */
extern const struct metric_buckets metric_buckets_bytes;
/* Counts: 1 to 10,000. */
extern const struct metric_buckets metric_buckets_count;

struct metric_histogram *metrics_histogram(struct metrics *metrics, const char *name,
                                           const char *help, const char *const *labels,
                                           const struct metric_buckets *buckets);

static inline void metric_counter_add(struct metric_counter *counter, uint64_t count)
{
    __atomic_fetch_add(&counter->value, count, __ATOMIC_RELAXED);
}

/* For a collector that mirrors a count which is kept elsewhere. */
static inline void metric_counter_mirror(struct metric_counter *counter, uint64_t value)
{
    __atomic_store_n(&counter->value, value, __ATOMIC_RELAXED);
}

static inline void metric_gauge_set(struct metric_gauge *gauge, int64_t value)
{
    __atomic_store_n(&gauge->value, value, __ATOMIC_RELAXED);
}

static inline void metric_gauge_add(struct metric_gauge *gauge, int64_t delta)
{
    __atomic_fetch_add(&gauge->value, delta, __ATOMIC_RELAXED);
}

void metric_histogram_observe(struct metric_histogram *histogram, uint64_t value);

/* Counters by one label whose values come at run time from a bounded set (rule names, room kinds):
 * the first `limit` values get a series each, all later ones share the value "other". The memory is
 * taken at registration. One thread at a time may call metric_counter_set_get; keep its result. */
struct metric_counter_set;
struct metric_counter_set *metrics_counter_set(struct metrics *metrics, const char *name,
                                               const char *help, const char *label, size_t limit);
struct metric_counter *metric_counter_set_get(struct metric_counter_set *set, struct bytes value);

/* Called before each rendering, by the thread that renders: for gauges that are cheaper to ask than
 * to keep. */
typedef void metrics_collect_fn(void *context);
void metrics_on_collect(struct metrics *metrics, metrics_collect_fn *collect, void *context);

void metrics_render(struct metrics *metrics, struct buffer *out);

/* --- Processes that count alike: the same registrations in the same order, shown as one. A
 * registry with counter sets cannot. */

/* The gauge of this name, in all its series: of several processes the least counts, not the sum. */
void metrics_show_least(struct metrics *metrics, const char *name);

/* How many numbers metrics_copy() writes. */
size_t metrics_count(const struct metrics *metrics);

/* Collects, and copies what was counted to where other processes may read it. `base`: what such a
 * copy held when an earlier process ended, from which counters and histograms go on; NULL: none. */
void metrics_copy(struct metrics *metrics, const uint64_t *base, uint64_t *values);

struct metrics_part {
    const uint64_t *values; /* of metrics_copy(), which may run beside */
    bool alive;             /* else what it had counted counts, and its gauges do not */
};

/* Sets every series of `total` to the sum of the parts, or to the least. */
void metrics_sum(struct metrics *total, const struct metrics_part *parts, size_t count);

#endif
