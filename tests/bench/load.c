/* Loads one gateway (or another server that speaks its few events) and prints what it measured as
 * one JSON line.
 *
 *   bench_load --server HOST:PORT --brokers LIST --pid PID --clients N --rooms N [--rooms-each K]
 * --rate N --messages N ...
 *
 *   bench_load --print-lane [--tenant T] [--room-prefix P]     topic and partition of the rooms
 *
 * Sequence: connect all, join, rest (idle CPU and memory), then produce `messages` notifications at
 * `rate` per second (0: all at once), each to one room in turn, until every delivery has come or
 * --patience runs out. */
#include <arpa/inet.h>
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "buffer.h"
#include "layout.h"
#include "load_client.h"
#include "load_server.h"
#include "notification.h"

struct plan {
    struct load_options load;
    const char *brokers, *topic, *tenant;
    bool print_lane;   /* and do nothing else */
    bool json_records; /* for servers that know nothing of protobuf */
    int pid;
    unsigned rate, messages, size;
    unsigned idle_s, patience_s;
    unsigned stall; /* clients that do not read while messages are produced */
};

struct producer {
    rd_kafka_t *handle;
    struct lane_name lane;
    uint64_t layout_revision;
    const struct plan *plan;
    uint32_t *sequences; /* by room */
    unsigned produced;
};

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_load: %s\n", what);
    exit(EXIT_FAILURE);
}

/* --- producing ---------------------------------------------------------------------------------
 */

static void locate(struct producer *producer)
{
    struct layout_source source = {0};
    struct layout *layout;
    auto_problems struct problems problems = {0};
    struct room_owner owner = {bytes_of_string(producer->plan->tenant), bytes_of("", 0)};
    struct room_name room;
    char name[64];
    snprintf(name, sizeof(name), "%s0", producer->plan->load.room_prefix);
    if (layout_new(&source, &layout, &problems) != STATUS_OK ||
        room_parse(bytes_of_string(name), &room, NULL) != STATUS_OK ||
        layout_lane(layout, &room, &owner, &producer->lane, NULL) != STATUS_OK)
        die("no lane for the rooms");
    producer->layout_revision = layout_revision(layout);
    layout_free(layout);
}

static void producer_init(struct producer *producer, const struct plan *plan)
{
    char error[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *linger = plan->rate ? "0" : "5";
    if (rd_kafka_conf_set(conf, "bootstrap.servers", plan->brokers, error, sizeof(error)) ||
        rd_kafka_conf_set(conf, "linger.ms", linger, error, sizeof(error)) ||
        rd_kafka_conf_set(conf, "queue.buffering.max.messages", "1000000", error, sizeof(error)))
        die(error);
    *producer = (struct producer){.plan = plan};
    producer->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
    if (!producer->handle)
        die(error);
    producer->sequences = calloc(plan->load.rooms, sizeof(uint32_t));
    locate(producer);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer->handle, producer->lane.topic, NULL);
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(producer->handle, 0, topic, &metadata, 10000))
        die("no metadata");
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
}

static void encode(struct producer *producer, struct bytes room, struct bytes data,
                   struct buffer *value)
{
    if (producer->plan->json_records) {
        buffer_append_format(
            value,
            "{\"room\":\"%.*s\",\"event\":\"task.status\",\"body\":{\"id\":\"bench-%u\",\"rooms\":["
            "\"%.*s\"],"
            "\"taskStatus\":{\"event\":\"task.progress\",\"status\":\"running\",\"data\":%.*s}}}",
            BYTES_PRINT(room), producer->produced, BYTES_PRINT(room), BYTES_PRINT(data));
        return;
    }
    char id[32];
    snprintf(id, sizeof(id), "bench-%u", producer->produced);
    struct notification notification = {
        .id = bytes_of_string(id),
        .rooms = &room,
        .room_count = 1,
        .type = NOTIFICATION_TASK_STATUS,
        .task_status = {.event = BYTES_LITERAL("task.progress"),
                        .status = BYTES_LITERAL("running"),
                        .data = data},
    };
    notification_encode(&notification, value);
}

static void produce(struct producer *producer)
{
    const struct plan *plan = producer->plan;
    unsigned number = producer->produced++ % plan->load.rooms;
    char name[64], data[64];
    auto_buffer struct buffer value = {0}, text = {0}, hashes = {0};
    int size = snprintf(name, sizeof(name), "%s%u", plan->load.room_prefix, number);
    struct bytes room = bytes_of(name, (size_t)size);
    snprintf(data, sizeof(data), "{\"b\":\"%u:%u:%.0f\",\"text\":\"", number,
             ++producer->sequences[number], now_s() * 1e6);
    buffer_append_string(&text, data);
    size_t frame = 140 + 2 * room.size; /* what the rest of the JSON takes, about */
    for (size_t i = buffer_size(&text) + frame; i < plan->size; i++)
        buffer_append_byte(&text, 'x');
    buffer_append_string(&text, "\"}");
    encode(producer, room, buffer_peek(&text), &value);
    notification_append_room_hash(&hashes, room_hash(lane_name_scope(&producer->lane), room));
    struct notification_envelope envelope = {.has_type = true,
                                             .type = NOTIFICATION_TASK_STATUS,
                                             .room_hashes = buffer_peek(&hashes),
                                             .layout = producer->layout_revision};
    struct notification_headers encoded;
    rd_kafka_headers_t *list = rd_kafka_headers_new(NOTIFICATION_HEADERS_MAX);
    notification_headers_encode(&envelope, &encoded);
    for (size_t i = 0; i < encoded.count; i++)
        rd_kafka_header_add(list, encoded.items[i].name, -1, encoded.items[i].value.data,
                            (ssize_t)encoded.items[i].value.size);
    struct bytes body = buffer_peek(&value);
    rd_kafka_resp_err_t error = rd_kafka_producev(
        producer->handle, RD_KAFKA_V_TOPIC(producer->lane.topic),
        RD_KAFKA_V_PARTITION(producer->lane.partition),
        RD_KAFKA_V_KEY(producer->lane.key, producer->lane.key_size),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)body.data, body.size),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(list), RD_KAFKA_V_END);
    if (error)
        die(rd_kafka_err2str(error));
    rd_kafka_poll(producer->handle, 0);
}

/* --- phases ------------------------------------------------------------------------------------
 */

static void connect_all(struct load *load, const struct plan *plan, double *seconds, double *cpu)
{
    double start = now_s(), cpu_start = server_cpu_us(plan->pid);
    while (load_counts(load)->ready < plan->load.clients) {
        load_turn(load, 10);
        if (now_s() - start > 120 || load_counts(load)->closed) {
            fprintf(stderr, "bench_load: %llu of %u ready, %llu closed\n",
                    (unsigned long long)load_counts(load)->ready, plan->load.clients,
                    (unsigned long long)load_counts(load)->closed);
            exit(EXIT_FAILURE);
        }
    }
    *seconds = now_s() - start;
    *cpu = (server_cpu_us(plan->pid) - cpu_start) / plan->load.clients;
}

static void rest(struct load *load, double seconds)
{
    for (double until = now_s() + seconds; now_s() < until;)
        load_turn(load, 10);
}

static uint64_t expected_deliveries(const struct producer *producer, const struct plan *plan)
{
    uint64_t expected = 0;
    for (unsigned i = 0; i < plan->load.clients; i++)
        for (unsigned k = 0; k < plan->load.rooms_each; k++)
            expected += producer->sequences[(i * plan->load.rooms_each + k) % plan->load.rooms];
    return expected;
}

static void produce_all(struct load *load, struct producer *producer, const struct plan *plan)
{
    double start = now_s();
    load_stall(load, plan->stall, true);
    while (producer->produced < plan->messages) {
        unsigned due = plan->rate ? (unsigned)((now_s() - start) * plan->rate) : plan->messages;
        while (producer->produced < plan->messages && producer->produced < due)
            produce(producer);
        load_turn(load, plan->rate ? 1 : 0);
    }
    load_stall(load, plan->stall, false);
    uint64_t expected = expected_deliveries(producer, plan);
    for (double until = now_s() + plan->patience_s;
         now_s() < until && load_counts(load)->deliveries < expected;)
        load_turn(load, 10);
    if (load_counts(load)->deliveries < expected)
        fprintf(stderr, "bench_load: %llu of %llu deliveries\n",
                (unsigned long long)load_counts(load)->deliveries, (unsigned long long)expected);
}

static int run(const struct plan *plan)
{
    struct producer producer;
    double connect_s, connect_us, empty = server_resident_bytes(plan->pid);
    producer_init(&producer, plan);
    struct load *load = load_new(&plan->load);
    const struct load_counts *counts = load_counts(load);
    connect_all(load, plan, &connect_s, &connect_us);
    rest(load, 1);
    double cpu = server_cpu_us(plan->pid), start = now_s();
    rest(load, plan->idle_s);
    double idle = plan->idle_s ? (server_cpu_us(plan->pid) - cpu) / (now_s() - start) / 1e4 : 0;
    double resident = server_resident_bytes(plan->pid), sockets = kernel_socket_bytes();
    load_reset_latencies(load);
    cpu = server_cpu_us(plan->pid);
    start = now_s();
    uint64_t bytes = counts->bytes_received;
    produce_all(load, &producer, plan);
    double spent = server_cpu_us(plan->pid) - cpu, seconds = now_s() - start;
    double deliveries = counts->deliveries ? (double)counts->deliveries : 1;
    printf("{\"clients\":%u,\"connect_seconds\":%.2f,\"connect_cpu_us\":%.1f,\"idle_cpu_percent\":%"
           ".2f,\"rss_per_client\":%.0f,"
           "\"deliveries\":%llu,\"seconds\":%.2f,\"cpu_us_per_delivery\":%.3f,\"bytes_per_"
           "delivery\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
           "\"stalled_p99_ms\":%.3f,\"lost\":%llu,\"doubled\":%llu,\"wrong_room\":%llu,\"closed\":%"
           "llu,\"cursors\":%llu,"
           "\"rss_after\":%.0f,\"rss_before\":%.0f,\"socket_bytes_before\":%.0f,\"socket_bytes_"
           "after\":%.0f,\"complete\":%s}\n",
           plan->load.clients, connect_s, connect_us, idle, (resident - empty) / plan->load.clients,
           (unsigned long long)counts->deliveries, seconds, spent / deliveries,
           (double)(counts->bytes_received - bytes) / deliveries,
           load_latency(load, 50, false) / 1000, load_latency(load, 99, false) / 1000,
           load_latency(load, 99, true) / 1000, (unsigned long long)counts->lost,
           (unsigned long long)counts->doubled, (unsigned long long)counts->wrong_room,
           (unsigned long long)counts->closed, (unsigned long long)counts->cursors,
           server_resident_bytes(plan->pid), resident, sockets, kernel_socket_bytes(),
           counts->deliveries == expected_deliveries(&producer, plan) ? "true" : "false");
    load_free(load);
    free(producer.sequences);
    rd_kafka_flush(producer.handle, 5000);
    rd_kafka_destroy(producer.handle);
    return EXIT_SUCCESS;
}

/* --- options -----------------------------------------------------------------------------------
 */

static void set_server(struct plan *plan, const char *text)
{
    char host[64];
    int port;
    if (sscanf(text, "%63[^:]:%d", host, &port) != 2 ||
        inet_pton(AF_INET, host, &plan->load.address.sin_addr) != 1)
        die("--server HOST:PORT, HOST an IPv4 address");
    plan->load.address.sin_family = AF_INET;
    plan->load.address.sin_port = htons((uint16_t)port);
}

static const struct option options[] = {{"server", 1, NULL, 's'},
                                        {"brokers", 1, NULL, 'b'},
                                        {"pid", 1, NULL, 'p'},
                                        {"clients", 1, NULL, 'c'},
                                        {"rooms", 1, NULL, 'r'},
                                        {"rooms-each", 1, NULL, 'k'},
                                        {"rate", 1, NULL, 'R'},
                                        {"messages", 1, NULL, 'm'},
                                        {"size", 1, NULL, 'z'},
                                        {"idle", 1, NULL, 'i'},
                                        {"patience", 1, NULL, 'P'},
                                        {"path", 1, NULL, 'a'},
                                        {"auth", 1, NULL, 'A'},
                                        {"stall", 1, NULL, 'S'},
                                        {"json-records", 0, NULL, 'j'},
                                        {"room-prefix", 1, NULL, 'x'},
                                        {"tenant", 1, NULL, 't'},
                                        {"receive-buffer", 1, NULL, 'B'},
                                        {"connecting", 1, NULL, 'C'},
                                        {"print-lane", 0, NULL, 'l'},
                                        {"secret", 1, NULL, 'K'},
                                        {"protocol", 1, NULL, 'T'},
                                        {"tls", 0, NULL, 'E'},
                                        {"receive-first", 1, NULL, 'F'},
                                        {0}};

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

static enum load_protocol protocol_named(const char *name)
{
    if (strcmp(name, "centrifuge") == 0)
        return LOAD_CENTRIFUGE;
    if (strcmp(name, "upgrade") == 0)
        return LOAD_UPGRADE;
    if (strcmp(name, "socketio") != 0)
        die("--protocol socketio, centrifuge or upgrade");
    return LOAD_SOCKETIO;
}

static void set_option(struct plan *plan, int option, const char *value)
{
    switch (option) {
    case 's':
        set_server(plan, value);
        break;
    case 'b':
        plan->brokers = value;
        break;
    case 'a':
        plan->load.path = value;
        break;
    case 'A':
        plan->load.auth = value;
        break;
    case 'x':
        plan->load.room_prefix = value;
        break;
    case 't':
        plan->tenant = value;
        break;
    case 'K':
        plan->load.secret = value;
        break;
    case 'T':
        plan->load.protocol = protocol_named(value);
        break;
    case 'E':
        plan->load.tls = true;
        break;
    case 'j':
        plan->json_records = true;
        break;
    case 'p':
        plan->pid = (int)number(value);
        break;
    case 'B':
        plan->load.receive_buffer = (int)number(value);
        break;
    case 'l':
        plan->print_lane = true;
        break;
    case '?':
        exit(EXIT_FAILURE);
    default: {
        unsigned *const targets[] = {['c'] = &plan->load.clients,
                                     ['r'] = &plan->load.rooms,
                                     ['k'] = &plan->load.rooms_each,
                                     ['R'] = &plan->rate,
                                     ['m'] = &plan->messages,
                                     ['z'] = &plan->size,
                                     ['i'] = &plan->idle_s,
                                     ['P'] = &plan->patience_s,
                                     ['S'] = &plan->stall,
                                     ['C'] = &plan->load.connecting,
                                     ['F'] = &plan->load.receive_first};
        *targets[option] = number(value);
    }
    }
}

int main(int count, char **arguments)
{
    struct plan plan = {.load = {.path = "/socket.io/?EIO=4&transport=websocket",
                                 .clients = 100,
                                 .rooms = 1,
                                 .rooms_each = 1,
                                 .room_prefix = "task:bench-",
                                 .auth = "{\"tenant\":\"bench\",\"sub\":\"user-%u\"}",
                                 .connecting = 100},
                        .tenant = "bench",
                        .messages = 100,
                        .rate = 50,
                        .size = 256,
                        .patience_s = 30};
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1)
        set_option(&plan, option, optarg);
    if (plan.print_lane) {
        struct producer producer = {.plan = &plan};
        locate(&producer);
        printf("%s %d\n", producer.lane.topic, (int)producer.lane.partition);
        return EXIT_SUCCESS;
    }
    if (!plan.brokers || !plan.pid || !plan.load.address.sin_port)
        die("--server, --brokers and --pid are needed");
    return run(&plan);
}
