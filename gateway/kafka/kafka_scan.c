/* Pieces of the past, read for clients that come back: a small pool of consumers, each with one
 * scan at a time, the oldest waiting scan first. A consumer is kept between scans, since its
 * connections and metadata are what is slow to get.
 *
 * The invariant: a lane has one scan at most (the domain joins those who are behind in it), which
 * gives its records in order, from `next`, and ends once, by config.ended or by a cancellation.
 *
 * record() and ended() may start, resume or cancel scans: so a scan that is over stays in memory
 * until the service call is over, and everybody looks at `over` after a call. */
#include "kafka_scan.h"

#include <assert.h>
#include <utlist.h>

#include "event_descriptor.h"
#include "log.h"
#include "mem.h"

enum {
    BATCH = 32, /* messages that a consumer gives in a turn */
    SHORT_CHECK_MS = 500,
};

struct scan_consumer;

struct kafka_scan {
    struct lane *lane;
    char *topic;
    int32_t partition;
    int64_t next; /* to be given */
    int64_t to;
    struct scan_consumer *consumer; /* NULL: waiting */
    bool paused;
    bool over; /* cancelled or ended: freed when the service call is over */
    int64_t progress_ms;
    int64_t short_since_ms; /* the log's end was met below `to`; 0: no */
    struct kafka_scan *prev, *following;
};

struct scan_consumer {
    struct kafka_client client;
    struct kafka_scan *scan; /* NULL: idle */
    rd_kafka_message_t *batch[BATCH];
    size_t batch_at, batch_count; /* what a pause left over */
    size_t taken_bytes;           /* since its queue was empty */
};

struct kafka_scan_pool {
    struct kafka_scan_pool_config config;
    struct scan_consumer *consumers;
    struct kafka_scan *scans; /* all, oldest first */
    struct kafka_scan *over;  /* to be freed */
    struct kafka_scan_stats stats;
    int64_t now_ms;
};

struct kafka_scan_pool *kafka_scan_pool_open(const struct kafka_scan_pool_config *config)
{
    assert(config->consumers > 0);
    struct kafka_scan_pool *pool = mem_new(struct kafka_scan_pool);
    pool->config = *config;
    pool->consumers = mem_alloc(config->consumers * sizeof(*pool->consumers));
    return pool;
}

static void scan_free(struct kafka_scan *scan)
{
    free(scan->topic);
    free(scan);
}

static void free_over(struct kafka_scan_pool *pool)
{
    struct kafka_scan *scan;
    struct kafka_scan *next;
    DL_FOREACH_SAFE2(pool->over, scan, next, following) {
        DL_DELETE2(pool->over, scan, prev, following);
        scan_free(scan);
    }
}

/* Messages hold their whole fetch response in memory: nothing is kept longer than it is needed. */
static void drop_batch(struct scan_consumer *consumer)
{
    while (consumer->batch_at < consumer->batch_count)
        rd_kafka_message_destroy(consumer->batch[consumer->batch_at++]);
    consumer->batch_at = consumer->batch_count = consumer->taken_bytes = 0;
}

void kafka_scan_pool_close(struct kafka_scan_pool *pool)
{
    if (!pool)
        return;
    for (unsigned i = 0; i < pool->config.consumers; i++) {
        drop_batch(&pool->consumers[i]);
        kafka_client_close(&pool->consumers[i].client);
    }
    struct kafka_scan *scan;
    struct kafka_scan *next;
    DL_FOREACH_SAFE2(pool->scans, scan, next, following) {
        scan_free(scan);
    }
    free_over(pool);
    free(pool->consumers);
    free(pool);
}

static struct kafka_scan *find_scan(const struct kafka_scan_pool *pool, const struct lane *lane)
{
    struct kafka_scan *scan;
    DL_FOREACH2(pool->scans, scan, following) {
        if (scan->lane == lane)
            return scan;
    }
    return NULL;
}

/* --- Consumers -------------------------------------------------------------------------------- */

static rd_kafka_topic_partition_list_t *partition_of(const struct kafka_scan *scan)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, scan->topic, scan->partition)->offset = scan->next;
    return list;
}

static bool consumer_assign(struct scan_consumer *consumer, const struct kafka_scan *scan)
{
    rd_kafka_topic_partition_list_t *list = partition_of(scan);
    rd_kafka_resp_err_t code = rd_kafka_assign(consumer->client.handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_error("scan cannot start", LOG_STRING("topic", scan->topic),
                  LOG_STRING("error", rd_kafka_err2str(code)));
    return code == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* A queue that was full stops librdkafka before 2.2 for up to a second, however soon it is emptied:
 * its thread looks again when something happens. This happens. */
static void consumer_wake(const struct kafka_scan_pool *pool, struct scan_consumer *consumer)
{
    size_t queue = pool->config.purpose == KAFKA_PURPOSE_LOAD ? KAFKA_LOAD_QUEUE_BYTES
                                                              : KAFKA_SCAN_QUEUE_BYTES;
    bool may_sleep = consumer->taken_bytes >= queue && !kafka_has_queue_backoff();
    consumer->taken_bytes = 0;
    if (!may_sleep)
        return;
    rd_kafka_topic_partition_list_t *list = partition_of(consumer->scan);
    rd_kafka_error_destroy(rd_kafka_seek_partitions(consumer->client.handle, list, 0));
    rd_kafka_topic_partition_list_destroy(list);
}

/* Records that are still in the queue are of an older assignment, which librdkafka recognises. */
static void consumer_release(struct scan_consumer *consumer)
{
    drop_batch(consumer);
    rd_kafka_assign(consumer->client.handle, NULL);
    consumer->scan = NULL;
}

static bool consumer_open(struct kafka_scan_pool *pool, struct scan_consumer *consumer)
{
    if (consumer->client.handle)
        return true;
    struct kafka_client_options options = {.settings = pool->config.settings,
                                           .client_id = pool->config.client_id,
                                           .purpose = pool->config.purpose,
                                           .mock = pool->config.mock,
                                           .wake_descriptor = pool->config.wake_descriptor};
    struct error error;
    if (kafka_client_open(&options, &consumer->client, &error) == STATUS_OK)
        return true;
    log_error("consumer for catch-up failed", LOG_STRING("error", error.text));
    return false;
}

static void scan_end(struct kafka_scan_pool *pool, struct kafka_scan *scan)
{
    assert(!scan->over);
    if (scan->consumer)
        consumer_release(scan->consumer);
    scan->consumer = NULL;
    scan->over = true;
    DL_DELETE2(pool->scans, scan, prev, following);
    DL_APPEND2(pool->over, scan, prev, following);
}

static void scan_end_with(struct kafka_scan_pool *pool, struct kafka_scan *scan, enum status status)
{
    struct lane *lane = scan->lane;
    if (status != STATUS_OK)
        pool->stats.failed++;
    scan_end(pool, scan);
    /* Last: the hub may start the lane's next scan in there. */
    pool->config.ended(pool->config.context, lane, status);
}

static void consumer_start_scan(struct kafka_scan_pool *pool, struct kafka_scan *scan,
                                struct scan_consumer *consumer)
{
    if (!consumer_open(pool, consumer) || !consumer_assign(consumer, scan)) {
        scan_end_with(pool, scan, STATUS_UNAVAILABLE);
        return;
    }
    scan->consumer = consumer;
    scan->progress_ms = pool->now_ms;
    consumer->scan = scan;
    pool->stats.started++;
    /* The queue may still hold records of an older assignment; then it will not tell. */
    event_descriptor_signal(pool->config.wake_descriptor);
}

static struct kafka_scan *first_waiting(const struct kafka_scan_pool *pool)
{
    struct kafka_scan *scan;
    DL_FOREACH2(pool->scans, scan, following) {
        if (!scan->consumer)
            return scan;
    }
    return NULL;
}

static void start_waiting_scans(struct kafka_scan_pool *pool)
{
    for (unsigned i = 0; i < pool->config.consumers; i++) {
        if (pool->consumers[i].scan)
            continue;
        struct kafka_scan *scan = first_waiting(pool);
        if (!scan)
            return;
        consumer_start_scan(pool, scan, &pool->consumers[i]);
    }
}

/* --- What the hub asks ------------------------------------------------------------------------ */

void kafka_scan_start(struct kafka_scan_pool *pool, struct lane *lane, const char *topic,
                      int32_t partition, int64_t from, int64_t to)
{
    assert(!find_scan(pool, lane));
    struct kafka_scan *scan = mem_new(struct kafka_scan);
    *scan = (struct kafka_scan){.lane = lane,
                                .topic = mem_string(bytes_of_string(topic)),
                                .partition = partition,
                                .next = from,
                                .to = to};
    DL_APPEND2(pool->scans, scan, prev, following);
    event_descriptor_signal(pool->config.wake_descriptor);
}

void kafka_scan_resume(struct kafka_scan_pool *pool, struct lane *lane)
{
    struct kafka_scan *scan = find_scan(pool, lane);
    if (!scan || !scan->paused)
        return;
    scan->paused = false;
    scan->progress_ms = pool->now_ms;
    /* The queue is not empty, so it will not tell. */
    event_descriptor_signal(pool->config.wake_descriptor);
}

void kafka_scan_cancel(struct kafka_scan_pool *pool, struct lane *lane)
{
    struct kafka_scan *scan = find_scan(pool, lane);
    if (!scan)
        return;
    scan_end(pool, scan);
    event_descriptor_signal(pool->config.wake_descriptor);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void scan_take_record(struct kafka_scan_pool *pool, struct kafka_scan *scan,
                             const rd_kafka_message_t *message)
{
    /* Given already. A scan only goes on, whatever librdkafka gives again after a seek. */
    if (message->offset < scan->next)
        return;
    /* Compacted or aborted records: no offset up to `to` has to exist. */
    if (message->offset >= scan->to) {
        scan_end_with(pool, scan, STATUS_OK);
        return;
    }
    struct lane_record record;
    kafka_record_view(message, &record);
    scan->next = message->offset + 1;
    scan->progress_ms = pool->now_ms;
    scan->short_since_ms = 0;
    pool->stats.records++;
    pool->stats.record_bytes += record.value.size;
    /* False: some client's queue is full, and the scan waits for it. The consumer is not given to
     * another meanwhile: its queue has the next records already. */
    bool go_on = pool->config.record(pool->config.context, scan->lane, &record);
    if (scan->over)
        return;
    if (scan->next >= scan->to)
        scan_end_with(pool, scan, STATUS_OK);
    else
        scan->paused = !go_on;
}

static void scan_take_end(struct kafka_scan_pool *pool, struct kafka_scan *scan, int64_t end)
{
    if (end >= scan->to)
        scan_end_with(pool, scan, STATUS_OK);
    else if (scan->short_since_ms == 0)
        scan->short_since_ms = pool->now_ms;
}

static void scan_take_message(struct kafka_scan_pool *pool, struct kafka_scan *scan,
                              const rd_kafka_message_t *message)
{
    /* Errors of the client, and what librdkafka still had of an earlier assignment. */
    if (!message->rkt || message->partition != scan->partition ||
        strcmp(rd_kafka_topic_name(message->rkt), scan->topic) != 0)
        return;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        scan_take_record(pool, scan, message);
    else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        scan_take_end(pool, scan, message->offset);
    else if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
             message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        /* Retention was quicker than the scan. */
        scan_end_with(pool, scan, STATUS_EXPIRED);
    else if (message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
             message->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
             message->err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        scan_end_with(pool, scan, STATUS_NOT_FOUND);
    /* Anything else librdkafka tries again; a scan that gets nothing ends by its time limit. */
}

/* False: the consumer has nothing more for its scan now. */
static bool serve_batch(struct kafka_scan_pool *pool, struct scan_consumer *consumer)
{
    struct kafka_scan *scan = consumer->scan;
    if (consumer->batch_at == consumer->batch_count) {
        ssize_t count =
            rd_kafka_consume_batch_queue(consumer->client.queue, 0, consumer->batch, BATCH);
        consumer->batch_at = 0;
        consumer->batch_count = count > 0 ? (size_t)count : 0;
    }
    if (consumer->batch_count == 0) {
        consumer_wake(pool, consumer);
        return false;
    }
    while (!scan->over && !scan->paused && consumer->batch_at < consumer->batch_count) {
        rd_kafka_message_t *message = consumer->batch[consumer->batch_at++];
        consumer->taken_bytes += message->len;
        scan_take_message(pool, scan, message);
        rd_kafka_message_destroy(message);
    }
    return !scan->over && !scan->paused;
}

/* A paused scan waits for a client, and that is not the broker's fault. */
static void consumer_expire(struct kafka_scan_pool *pool, struct scan_consumer *consumer)
{
    struct kafka_scan *scan = consumer->scan;
    if (!scan || scan->paused)
        return;
    if (scan->short_since_ms != 0 && pool->now_ms - scan->short_since_ms >= pool->config.short_ms)
        scan_end_with(pool, scan, STATUS_NOT_FOUND);
    else if (pool->now_ms - scan->progress_ms >= pool->config.stall_ms)
        scan_end_with(pool, scan, STATUS_UNAVAILABLE);
}

bool kafka_scan_service(struct kafka_scan_pool *pool, int64_t now_ms)
{
    pool->now_ms = now_ms;
    start_waiting_scans(pool);
    bool more = false;
    for (unsigned i = 0; i < pool->config.consumers; i++) {
        struct scan_consumer *consumer = &pool->consumers[i];
        bool has_more = consumer->scan && !consumer->scan->paused && serve_batch(pool, consumer);
        more = more || has_more;
        consumer_expire(pool, consumer);
    }
    free_over(pool);
    start_waiting_scans(pool);
    pool->stats.running = pool->stats.waiting = 0;
    struct kafka_scan *scan;
    DL_FOREACH2(pool->scans, scan, following) {
        *(scan->consumer ? &pool->stats.running : &pool->stats.waiting) += 1;
    }
    return more;
}

int64_t kafka_scan_deadline_ms(const struct kafka_scan_pool *pool)
{
    /* Only the rare ways to end need time: looked at twice a second while something is read. */
    return pool->scans ? pool->now_ms + SHORT_CHECK_MS : INT64_MAX;
}

const struct kafka_scan_stats *kafka_scan_stats(const struct kafka_scan_pool *pool)
{
    return &pool->stats;
}
