/* The registry: families of series, in the order in which they were made.
 *
 * Threads: one makes series, at start. After that nothing is added but values of a counter set, and
 * everything else only changes numbers, by relaxed atomics: a scrape may see two numbers of
 * different moments, which Prometheus expects. So rendering takes no lock, and counting is one
 * instruction.
 *
 * The invariant: pointers to counters are for ever. Code keeps them, and never looks a name up
 * while it runs. */
#include "metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "mem.h"
#include "metrics_private.h"

enum family_type { FAMILY_COUNTER, FAMILY_GAUGE, FAMILY_HISTOGRAM };

struct metric_histogram {
    const uint64_t *bounds;
    size_t count; /* of bounds */
    uint64_t sum;
    uint64_t in_bucket[]; /* not cumulated; the last is above all bounds */
};

/* All three kinds in one: a few bytes more for each, and no second table of pointers. */
struct series {
    char *labels; /* rendered, without braces */
    struct metric_counter counter;
    struct metric_gauge gauge;
    struct metric_histogram *histogram;
    struct series *next;
};

struct set_value {
    char *text;
    char *labels; /* rendered */
    struct metric_counter counter;
    UT_hash_handle hh;
};

/* For a label whose values are known at run time only (names of rules, kinds of rooms): each of the
 * first `limit` has a counter of its own, and all others share one. Slots are an array and do not
 * move, so that the renderer can read those below `used` while another thread fills the next. */
struct metric_counter_set {
    char *label;
    size_t limit;
    size_t used;             /* published: what is below may be rendered beside */
    struct set_value *slots; /* limit + 1, the last for "other" */
    struct set_value *by_text;
};

struct family {
    char *name;
    char *help;
    enum family_type type;
    uint32_t divisor;
    bool least; /* of several processes; else their sum */
    struct series *series;
    struct metric_counter_set *set;
    UT_hash_handle hh;
};

struct collector {
    metrics_collect_fn *collect;
    void *context;
    struct collector *next;
};

struct metrics {
    struct family *families; /* in the order of registration */
    struct collector *collectors;
};

static const uint64_t latency_bounds[] = {
    100,    250,    500,    1000,    2500,    5000,    10000,    15000,    25000,   50000,
    100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000};
static const uint64_t bytes_bounds[] = {64,    256,    1024,    4096,   16384,
                                        65536, 262144, 1048576, 4194304};
static const uint64_t count_bounds[] = {1,   2,   5,    10,   20,   50,   100,
                                        200, 500, 1000, 2000, 5000, 10000};

#define BUCKETS(bounds, divisor)                              \
    {                                                         \
        bounds, sizeof(bounds) / sizeof((bounds)[0]), divisor \
    }
/* Latencies are counted in microseconds and shown in seconds. */
const struct metric_buckets metric_buckets_latency = BUCKETS(latency_bounds, 1000000);
const struct metric_buckets metric_buckets_bytes = BUCKETS(bytes_bounds, 1);
const struct metric_buckets metric_buckets_count = BUCKETS(count_bounds, 1);
#undef BUCKETS

struct metrics *metrics_new(void)
{
    return mem_new(struct metrics);
}

/* <= : the slot for all others is behind the last. */
static void set_free(struct metric_counter_set *set)
{
    if (!set)
        return;
    HASH_CLEAR(hh, set->by_text);
    for (size_t i = 0; i <= set->limit; i++) {
        free(set->slots[i].text);
        free(set->slots[i].labels);
    }
    free(set->slots);
    free(set->label);
    free(set);
}

static void family_free(struct family *family)
{
    struct series *series, *next;
    LL_FOREACH_SAFE(family->series, series, next) {
        free(series->labels);
        free(series->histogram);
        free(series);
    }
    set_free(family->set);
    free(family->name);
    free(family->help);
    free(family);
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    struct family *family = metrics->families, *next;
    HASH_CLEAR(hh, metrics->families);
    for (; family; family = next) {
        next = family->hh.next;
        family_free(family);
    }
    struct collector *collector, *following;
    LL_FOREACH_SAFE(metrics->collectors, collector, following) {
        free(collector);
    }
    free(metrics);
}

static bool is_power_of_ten(uint32_t value)
{
    while (value && value % 10 == 0)
        value /= 10;
    return value == 1;
}

/* A name is one family wherever it is asked for. What does not agree with the first asking is a bug
 * of ours, which a scrape would show only as an odd number. */
static struct family *family_of(struct metrics *metrics, const char *name, const char *help,
                                enum family_type type, uint32_t divisor)
{
    struct family *family = NULL;
    HASH_FIND_STR(metrics->families, name, family);
    if (family) {
        assert(family->type == type && family->divisor == divisor);
        assert(strcmp(family->help, help) == 0);
        return family;
    }
    assert(metrics_text_name_valid(name) && is_power_of_ten(divisor));
    assert((type == FAMILY_COUNTER) ==
           (strlen(name) > 6 && !strcmp(name + strlen(name) - 6, "_total")));
    family = mem_new(struct family);
    family->name = mem_string(bytes_of_string(name));
    family->help = mem_string(bytes_of_string(help));
    family->type = type;
    family->divisor = divisor;
    HASH_ADD_KEYPTR(hh, metrics->families, family->name, strlen(name), family);
    return family;
}

/* The series with these labels, made if it is not there. At start alone, and families have a
 * handful of series: a list is enough. */
static struct series *series_of(struct family *family, const char *const *labels)
{
    auto_buffer struct buffer text = {0};
    for (; labels && *labels; labels += 2) {
        assert(labels[1]);
        if (buffer_size(&text))
            buffer_append_byte(&text, ',');
        metrics_text_label(labels[0], bytes_of_string(labels[1]), &text);
    }
    struct series *series;
    LL_FOREACH(family->series, series) {
        if (bytes_equal_string(buffer_peek(&text), series->labels))
            return series;
    }
    assert(!family->set);
    series = mem_new(struct series);
    series->labels = mem_string(buffer_peek(&text));
    LL_APPEND(family->series, series);
    return series;
}

struct metric_counter *metrics_counter_scaled(struct metrics *metrics, const char *name,
                                              const char *help, const char *const *labels,
                                              uint32_t divisor)
{
    return &series_of(family_of(metrics, name, help, FAMILY_COUNTER, divisor), labels)->counter;
}

struct metric_counter *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                                       const char *const *labels)
{
    return metrics_counter_scaled(metrics, name, help, labels, 1);
}

struct metric_gauge *metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                                   const char *const *labels, uint32_t divisor)
{
    return &series_of(family_of(metrics, name, help, FAMILY_GAUGE, divisor), labels)->gauge;
}

struct metric_histogram *metrics_histogram(struct metrics *metrics, const char *name,
                                           const char *help, const char *const *labels,
                                           const struct metric_buckets *buckets)
{
    assert(buckets->count >= 1 && buckets->count <= METRIC_BUCKETS_LIMIT);
    struct family *family = family_of(metrics, name, help, FAMILY_HISTOGRAM, buckets->divisor);
    struct series *series = series_of(family, labels);
    if (!series->histogram) {
        struct metric_histogram *histogram =
            mem_alloc(sizeof(*histogram) + (buckets->count + 1) * sizeof(histogram->in_bucket[0]));
        histogram->bounds = buckets->bounds;
        histogram->count = buckets->count;
        series->histogram = histogram;
    }
    assert(series->histogram->bounds == buckets->bounds);
    return series->histogram;
}

/* Any thread. Two additions, which a scrape may see only one of: `_sum` is then behind by a
 * value. */
void metric_histogram_observe(struct metric_histogram *histogram, uint64_t value)
{
    size_t low = 0, high = histogram->count; /* the first bound that is not below the value */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (histogram->bounds[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    __atomic_fetch_add(&histogram->in_bucket[low], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&histogram->sum, value, __ATOMIC_RELAXED);
}

static void fill_slot(struct metric_counter_set *set, struct set_value *slot, struct bytes value)
{
    auto_buffer struct buffer labels = {0};
    metrics_text_label(set->label, value, &labels);
    slot->text = mem_string(value);
    slot->labels = mem_string(buffer_peek(&labels));
}

struct metric_counter_set *metrics_counter_set(struct metrics *metrics, const char *name,
                                               const char *help, const char *label, size_t limit)
{
    struct family *family = family_of(metrics, name, help, FAMILY_COUNTER, 1);
    assert(!family->set && !family->series && limit >= 1);
    struct metric_counter_set *set = mem_new(struct metric_counter_set);
    set->label = mem_string(bytes_of_string(label));
    set->limit = limit;
    set->slots = mem_alloc((limit + 1) * sizeof(*set->slots));
    fill_slot(set, &set->slots[limit], BYTES_LITERAL("other"));
    family->set = set;
    return set;
}

/* One thread at a time, unlike all else: it is the one that adds. What comes first gets a slot, for
 * ever; what comes when all are taken is counted among the others. */
struct metric_counter *metric_counter_set_get(struct metric_counter_set *set, struct bytes value)
{
    struct set_value *slot = NULL;
    HASH_FIND(hh, set->by_text, value.data, value.size, slot);
    if (slot)
        return &slot->counter;
    if (set->used == set->limit || bytes_equal_string(value, "other"))
        return &set->slots[set->limit].counter;
    slot = &set->slots[set->used];
    fill_slot(set, slot, value);
    HASH_ADD_KEYPTR(hh, set->by_text, slot->text, value.size, slot);
    /* The slot is whole before it is counted: pairs with the load in render_set(). */
    __atomic_store_n(&set->used, set->used + 1, __ATOMIC_RELEASE);
    return &slot->counter;
}

void metrics_on_collect(struct metrics *metrics, metrics_collect_fn *collect, void *context)
{
    struct collector *collector = mem_new(struct collector);
    collector->collect = collect;
    collector->context = context;
    LL_APPEND(metrics->collectors, collector);
}

static void render_counter(const struct family *family, const char *labels,
                           const struct metric_counter *counter, struct buffer *out)
{
    uint64_t value = __atomic_load_n(&counter->value, __ATOMIC_RELAXED);
    metrics_text_series(family->name, "", labels, out);
    metrics_text_number((int64_t)(value & INT64_MAX), family->divisor, out);
    buffer_append_byte(out, '\n');
}

/* Buckets hold their own part and are summed up here: observing touches one of them, and not all
 * above the value. `_count` is this very sum, so that it agrees with the last bucket while others
 * go on counting. */
static void render_histogram(const struct family *family, const struct series *series,
                             struct buffer *out)
{
    const struct metric_histogram *histogram = series->histogram;
    uint64_t total = 0;
    auto_buffer struct buffer labels = {0};
    for (size_t i = 0; i <= histogram->count; i++) {
        total += __atomic_load_n(&histogram->in_bucket[i], __ATOMIC_RELAXED);
        buffer_clear(&labels);
        buffer_append_format(&labels, "%s%sle=\"", series->labels, *series->labels ? "," : "");
        if (i == histogram->count)
            buffer_append_string(&labels, "+Inf");
        else
            metrics_text_number((int64_t)histogram->bounds[i], family->divisor, &labels);
        buffer_append_string(&labels, "\"");
        buffer_append_byte(&labels, '\0');
        metrics_text_series(family->name, "_bucket", (const char *)buffer_peek(&labels).data, out);
        buffer_append_format(out, "%" PRIu64 "\n", total);
    }
    metrics_text_series(family->name, "_sum", series->labels, out);
    uint64_t sum = __atomic_load_n(&histogram->sum, __ATOMIC_RELAXED);
    metrics_text_number((int64_t)(sum & INT64_MAX), family->divisor, out);
    buffer_append_byte(out, '\n');
    metrics_text_series(family->name, "_count", series->labels, out);
    buffer_append_format(out, "%" PRIu64 "\n", total);
}

static void render_series(const struct family *family, const struct series *series,
                          struct buffer *out)
{
    switch (family->type) {
    case FAMILY_COUNTER:
        render_counter(family, series->labels, &series->counter, out);
        return;
    case FAMILY_GAUGE:
        metrics_text_series(family->name, "", series->labels, out);
        metrics_text_number(__atomic_load_n(&series->gauge.value, __ATOMIC_RELAXED),
                            family->divisor, out);
        buffer_append_byte(out, '\n');
        return;
    case FAMILY_HISTOGRAM:
        render_histogram(family, series, out);
        return;
    }
}

static void render_set(const struct family *family, struct buffer *out)
{
    const struct metric_counter_set *set = family->set;
    size_t used = __atomic_load_n(&set->used, __ATOMIC_ACQUIRE);
    for (size_t i = 0; i < used; i++)
        render_counter(family, set->slots[i].labels, &set->slots[i].counter, out);
    render_counter(family, set->slots[set->limit].labels, &set->slots[set->limit].counter, out);
}

/* Collectors come first: they copy what is counted elsewhere, by the kernel for instance. */
void metrics_render(struct metrics *metrics, struct buffer *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const struct collector *collector;
    LL_FOREACH(metrics->collectors, collector) {
        collector->collect(collector->context);
    }
    for (const struct family *family = metrics->families; family; family = family->hh.next) {
        metrics_text_head(family->name, family->help, types[family->type], out);
        for (const struct series *series = family->series; series; series = series->next)
            render_series(family, series, out);
        if (family->set)
            render_set(family, out);
    }
}

/* --- Processes that count alike */

/* Worker processes of one gateway register the same series in the same order, and each copies its
 * numbers into shared memory as a plain array. The supervisor has a registry of the same shape and
 * sums the arrays into it. So nothing is named twice, and no text is parsed: only the order
 * counts. */
typedef void visit_fn(void *context, const struct family *family, uint64_t *value);

/* As plain words, whatever they mean: a gauge's sign survives the way there and back. */
static void visit_series(const struct family *family, struct series *series, visit_fn *visit,
                         void *context)
{
    struct metric_histogram *histogram = series->histogram;
    switch (family->type) {
    case FAMILY_COUNTER:
        visit(context, family, &series->counter.value);
        return;
    case FAMILY_GAUGE:
        visit(context, family, (uint64_t *)&series->gauge.value);
        return;
    case FAMILY_HISTOGRAM:
        visit(context, family, &histogram->sum);
        for (size_t i = 0; i <= histogram->count; i++)
            visit(context, family, &histogram->in_bucket[i]);
        return;
    }
}

/* Every number of the registry, always in the same order. */
static void visit_values(const struct metrics *metrics, visit_fn *visit, void *context)
{
    for (const struct family *family = metrics->families; family; family = family->hh.next) {
        /* A set has values of its own in each process, in an order that differs: it has no place in
         * the array. */
        assert(!family->set);
        for (struct series *series = family->series; series; series = series->next)
            visit_series(family, series, visit, context);
    }
}

/* For gauges whose sum means nothing: the gateway reaches its broker if each of its processes
 * does. */
void metrics_show_least(struct metrics *metrics, const char *name)
{
    struct family *family = NULL;
    HASH_FIND_STR(metrics->families, name, family);
    assert(family && family->type == FAMILY_GAUGE);
    family->least = true;
}

static void count_value(void *context, const struct family *family, uint64_t *value)
{
    (void)family, (void)value;
    ++*(size_t *)context;
}

size_t metrics_count(const struct metrics *metrics)
{
    size_t count = 0;
    visit_values(metrics, count_value, &count);
    return count;
}

struct copy {
    const uint64_t *base; /* NULL: none */
    uint64_t *values;
    size_t at;
};

/* What a dead process had counted is the base of its successor's: counters must not go back. */
static void copy_value(void *context, const struct family *family, uint64_t *value)
{
    struct copy *copy = context;
    uint64_t copied = __atomic_load_n(value, __ATOMIC_RELAXED);
    if (copy->base && family->type != FAMILY_GAUGE)
        copied += copy->base[copy->at];
    __atomic_store_n(&copy->values[copy->at++], copied, __ATOMIC_RELAXED);
}

void metrics_copy(struct metrics *metrics, const uint64_t *base, uint64_t *values)
{
    struct copy copy = {.base = base, .values = values};
    const struct collector *collector;
    LL_FOREACH(metrics->collectors, collector) {
        collector->collect(collector->context);
    }
    visit_values(metrics, copy_value, &copy);
}

struct sum {
    const struct metrics_part *parts;
    size_t count;
    size_t at;
};

static void sum_value(void *context, const struct family *family, uint64_t *value)
{
    struct sum *sum = context;
    uint64_t result = 0;
    bool any = false;
    for (size_t i = 0; i < sum->count; i++) {
        const struct metrics_part *part = &sum->parts[i];
        /* A dead process has no sessions, whatever its last word was; what it has counted stays
         * counted. */
        if (family->type == FAMILY_GAUGE && !part->alive)
            continue;
        uint64_t one = __atomic_load_n(&part->values[sum->at], __ATOMIC_RELAXED);
        if (!family->least)
            result += one;
        else if (!any || (int64_t)one < (int64_t)result)
            result = one;
        any = true;
    }
    sum->at++;
    __atomic_store_n(value, result, __ATOMIC_RELAXED);
}

void metrics_sum(struct metrics *total, const struct metrics_part *parts, size_t count)
{
    struct sum sum = {.parts = parts, .count = count};
    visit_values(total, sum_value, &sum);
}
