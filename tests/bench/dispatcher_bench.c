/* Gives a dispatcher (or another program that does its work) task events and prints what it
 * measured as one JSON line.
 *
 *   dispatcher_bench --brokers LIST --input TOPIC --output TOPIC --pid PID
 *       (--rate N --seconds N [--warm-up N] | --burst N) [--patience N]
 *   dispatcher_bench --print N      N such events, one a line
 *
 * Latency is from the making of an event to its notification in the hands of a read_committed
 * consumer. CPU is that of all threads of the process: at a steady rate between the end of the
 * warm-up and the last notification; in a burst from the first event to 200 ms after the last
 * notification. All in one thread. */
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dispatcher_bench.h"
#include "load_server.h"

struct plan {
    const char *brokers, *input, *output;
    int pid;
    unsigned rate, seconds, warm_up_s, burst, patience_s;
};

struct bench {
    struct plan plan;
    rd_kafka_t *producer, *consumer;
    rd_kafka_topic_t *input;
    struct bench_arrivals arrivals;
    unsigned produced;
    unsigned refused; /* by the broker */
};

static void die(const char *what)
{
    fprintf(stderr, "dispatcher_bench: %s\n", what);
    exit(EXIT_FAILURE);
}

static rd_kafka_t *open_client(rd_kafka_type_t type, const char *const settings[][2], void *opaque,
                               void (*delivered)(rd_kafka_t *, const rd_kafka_message_t *, void *))
{
    char error[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; (*settings)[0]; settings++)
        if (rd_kafka_conf_set(conf, (*settings)[0], (*settings)[1], error, sizeof(error)))
            die(error);
    rd_kafka_conf_set_opaque(conf, opaque);
    if (delivered)
        rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof(error));
    if (!client)
        die(error);
    return client;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    if (message->err)
        ((struct bench *)opaque)->refused++;
}

static int count_partitions(rd_kafka_t *client, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    if (rd_kafka_metadata(client, 0, topic, &metadata, 10000))
        die("no metadata");
    int count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    if (count == 0)
        die("no such topic");
    return count;
}

static void open_producer(struct bench *bench)
{
    const char *const settings[][2] = {
        {"bootstrap.servers", bench->plan.brokers},
        {"linger.ms", bench->plan.burst ? "5" : "0"},
        {"queue.buffering.max.messages", "1000000"},
        {NULL, NULL},
    };
    bench->producer = open_client(RD_KAFKA_PRODUCER, settings, bench, on_delivery);
    (void)count_partitions(bench->producer, bench->plan.input);
    bench->input = rd_kafka_topic_new(bench->producer, bench->plan.input, NULL);
}

/* Reads the output from where it ends now. */
static void open_consumer(struct bench *bench)
{
    const char *const settings[][2] = {
        {"bootstrap.servers", bench->plan.brokers},
        {"group.id", "dispatcher-bench"},
        {"isolation.level", "read_committed"},
        {"enable.auto.commit", "false"},
        {NULL, NULL},
    };
    bench->consumer = open_client(RD_KAFKA_CONSUMER, settings, bench, NULL);
    rd_kafka_poll_set_consumer(bench->consumer);
    int count = count_partitions(bench->consumer, bench->plan.output);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++) {
        int64_t low, high;
        if (rd_kafka_query_watermark_offsets(bench->consumer, bench->plan.output, i, &low, &high,
                                             10000))
            die("no watermarks");
        rd_kafka_topic_partition_list_add(list, bench->plan.output, i)->offset = high;
    }
    if (rd_kafka_assign(bench->consumer, list))
        die("cannot assign");
    rd_kafka_topic_partition_list_destroy(list);
}

/* Takes what is there; waits for the first record at most that long. */
static void receive(struct bench *bench, int timeout_ms)
{
    for (;;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(bench->consumer, timeout_ms);
        if (!message)
            return;
        if (!message->err)
            bench_arrivals_take(&bench->arrivals, message->payload, message->len, bench_clock_ns());
        rd_kafka_message_destroy(message);
        timeout_ms = 0;
    }
}

static void produce_one(struct bench *bench)
{
    char key[32];
    char event[BENCH_EVENT_SIZE];
    size_t key_size = bench_event_key(bench->produced, key, sizeof(key));
    bench_event_write(bench->produced, bench->arrivals.run, event);
    while (rd_kafka_produce(bench->input, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, event,
                            sizeof(event), key, key_size, NULL)) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            die(rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(bench->producer, 10);
    }
    bench->produced++;
}

/* Produces what is due at the rate until `end` events are out. */
static void produce_steadily(struct bench *bench, unsigned end)
{
    int64_t began_ns = bench_clock_ns();
    unsigned first = bench->produced;
    while (bench->produced < end) {
        double due = (double)(bench_clock_ns() - began_ns) / 1e9 * bench->plan.rate;
        while (bench->produced < end && bench->produced - first < due)
            produce_one(bench);
        rd_kafka_poll(bench->producer, 0);
        receive(bench, 1);
    }
}

static void produce_at_once(struct bench *bench)
{
    enum { EVENTS_PER_LOOK = 500 };
    while (bench->produced < bench->plan.burst) {
        produce_one(bench);
        if (bench->produced % EVENTS_PER_LOOK)
            continue;
        rd_kafka_poll(bench->producer, 0);
        receive(bench, 0);
    }
}

/* Waits for the notifications of all events that were produced. False: not all came. */
static bool wait_for_all(struct bench *bench)
{
    int64_t end_ns = bench_clock_ns() + bench->plan.patience_s * INT64_C(1000000000);
    while (bench->arrivals.received < (bench->produced + 1) / 2 && bench_clock_ns() < end_ns) {
        rd_kafka_poll(bench->producer, 0);
        receive(bench, 10);
    }
    return bench->arrivals.received >= (bench->produced + 1) / 2;
}

static void measure(struct bench *bench)
{
    const struct plan *plan = &bench->plan;
    unsigned warm = plan->burst ? 0 : plan->rate * plan->warm_up_s;
    unsigned events = plan->burst ? plan->burst : warm + plan->rate * plan->seconds;
    bench_arrivals_init(&bench->arrivals, events, warm);
    open_producer(bench);
    open_consumer(bench);
    for (int i = 0; i < 50; i++) /* until it waits for records */
        receive(bench, 10);
    if (warm)
        produce_steadily(bench, warm);
    double cpu_us = server_cpu_us(plan->pid);
    int64_t began_ns = bench_clock_ns();
    if (plan->burst)
        produce_at_once(bench);
    else
        produce_steadily(bench, events);
    bool complete = wait_for_all(bench);
    double took_s = (double)(bench_clock_ns() - began_ns) / 1e9;
    if (plan->burst)
        receive(bench, 200);
    cpu_us = server_cpu_us(plan->pid) - cpu_us;
    for (int i = 0; i < 20; i++) /* for what should not come */
        receive(bench, 20);
    struct bench_arrivals *arrivals = &bench->arrivals;
    printf("{\"events\":%u,\"seconds\":%.2f,\"cpu_us_per_event\":%.2f,\"events_per_second\":%.0f,"
           "\"p50_ms\":%.1f,\"p99_ms\":%.1f,\"resident_mb\":%.0f,\"lost\":%u,\"doubled\":%u,"
           "\"wrong\":%u,\"disordered\":%u,\"complete\":%s}\n",
           events - warm, took_s, cpu_us / (events - warm), (events - warm) / took_s,
           bench_arrivals_latency(arrivals, 0.5), bench_arrivals_latency(arrivals, 0.99),
           server_resident_bytes(plan->pid) / 1e6,
           bench_arrivals_expected(arrivals) - (arrivals->received - arrivals->wrong),
           arrivals->doubled, arrivals->wrong, arrivals->disordered,
           complete && !bench->refused && !arrivals->foreign ? "true" : "false");
}

static struct plan read_plan(int argc, char **argv)
{
    static const struct option options[] = {
        {"brokers", required_argument, NULL, 'b'},  {"input", required_argument, NULL, 'i'},
        {"output", required_argument, NULL, 'o'},   {"pid", required_argument, NULL, 'p'},
        {"rate", required_argument, NULL, 'r'},     {"seconds", required_argument, NULL, 's'},
        {"warm-up", required_argument, NULL, 'w'},  {"burst", required_argument, NULL, 'n'},
        {"patience", required_argument, NULL, 't'}, {NULL, 0, NULL, 0},
    };
    struct plan plan = {.patience_s = 60};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        unsigned number = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;
        switch (option) {
        case 'b':
            plan.brokers = optarg;
            break;
        case 'i':
            plan.input = optarg;
            break;
        case 'o':
            plan.output = optarg;
            break;
        case 'p':
            plan.pid = (int)number;
            break;
        case 'r':
            plan.rate = number;
            break;
        case 's':
            plan.seconds = number;
            break;
        case 'w':
            plan.warm_up_s = number;
            break;
        case 'n':
            plan.burst = number;
            break;
        case 't':
            plan.patience_s = number;
            break;
        default:
            exit(2);
        }
    }
    if (!plan.brokers || !plan.input || !plan.output || !plan.pid ||
        !(plan.burst || (plan.rate && plan.seconds)))
        die("usage: see the head of dispatcher_bench.c");
    return plan;
}

static int print_events(unsigned count)
{
    char event[BENCH_EVENT_SIZE];
    for (unsigned n = 0; n < count; n++) {
        bench_event_write(n, 1, event);
        printf("%.*s\n", BENCH_EVENT_SIZE, event);
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--print") == 0)
        return print_events((unsigned)strtoul(argv[2], NULL, 10));
    struct bench bench = {.plan = read_plan(argc, argv)};
    measure(&bench);
    rd_kafka_topic_destroy(bench.input);
    rd_kafka_destroy(bench.producer);
    rd_kafka_consumer_close(bench.consumer);
    rd_kafka_destroy(bench.consumer);
    bench_arrivals_deinit(&bench.arrivals);
    return EXIT_SUCCESS;
}
