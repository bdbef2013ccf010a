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
 * --patience runs out. The first `stall` clients do not read from `before` seconds on until all is
 * produced. SIGUSR1: the latencies since the last time, as a line.
 *
 * --items N: the notifications are about N items of their room in turn, to each room alike. --state N:
 * the first N clients ask for what their rooms show. --together: nobody joins before all are
 * connected.
 *
 * With --standby it is a storm: load_storm.h. */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "load_client.h"
#include "load_producer.h"
#include "load_server.h"
#include "load_storm.h"

/* --- phases --- */

static void connect_all(struct load *load, const struct plan *plan, double *seconds, double *cpu)
{
    double start = now_s(), cpu_start = server_cpu_us(plan->pid);
    while (load_counts(load)->ready < plan->load.clients) {
        load_turn(load, 10);
        if (load_counts(load)->waiting == plan->load.clients) {
            start = now_s();
            load_join(load);
        }
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

static void report_latencies(struct load *load)
{
    printf("{\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"count\":%llu}\n",
           load_latency(load, 50, false) / 1000, load_latency(load, 99, false) / 1000,
           (unsigned long long)load_latency_count(load, false));
    fflush(stdout);
    load_reset_latencies(load);
}

static void produce_all(struct load *load, struct producer *producer, const struct plan *plan)
{
    double start = now_s();
    bool stalled = false;
    while (producer->produced < plan->messages) {
        unsigned due = plan->rate ? (unsigned)((now_s() - start) * plan->rate) : plan->messages;
        while (producer->produced < plan->messages && producer->produced < due)
            produce(producer);
        if (plan->stall && !stalled && now_s() - start >= plan->before_s) {
            stalled = true;
            load_stall(load, plan->stall, true);
            load_say("stalled");
        }
        load_turn(load, plan->rate ? 1 : 0);
        if (load_signal_take())
            report_latencies(load);
    }
    if (stalled) {
        load_say("reading");
        load_stall(load, plan->stall, false);
    }
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
           "\"join_p50_ms\":%.3f,\"join_p99_ms\":%.3f,\"refused\":%llu,\"states\":%llu,"
           "\"complete_states\":%llu,\"items_told\":%llu,\"items_given\":%llu,"
           "\"rss_after\":%.0f,\"rss_before\":%.0f,\"socket_bytes_before\":%.0f,\"socket_bytes_"
           "after\":%.0f,\"complete\":%s}\n",
           plan->load.clients, connect_s, connect_us, idle, (resident - empty) / plan->load.clients,
           (unsigned long long)counts->deliveries, seconds, spent / deliveries,
           (double)(counts->bytes_received - bytes) / deliveries,
           load_latency(load, 50, false) / 1000, load_latency(load, 99, false) / 1000,
           load_latency(load, 99, true) / 1000, (unsigned long long)counts->lost,
           (unsigned long long)counts->doubled, (unsigned long long)counts->wrong_room,
           (unsigned long long)counts->closed, (unsigned long long)counts->cursors,
           load_join_latency(load, 50) / 1000, load_join_latency(load, 99) / 1000,
           (unsigned long long)counts->refused, (unsigned long long)counts->states,
           (unsigned long long)counts->complete_states, (unsigned long long)counts->items_told,
           (unsigned long long)counts->items_given, server_resident_bytes(plan->pid), resident,
           sockets, kernel_socket_bytes(),
           counts->deliveries == expected_deliveries(&producer, plan) ? "true" : "false");
    load_free(load);
    producer_deinit(&producer);
    return EXIT_SUCCESS;
}

/* --- options --- */

static void set_address(struct sockaddr_in *address, const char *text)
{
    char host[64];
    int port;
    if (sscanf(text, "%63[^:]:%d", host, &port) != 2 ||
        inet_pton(AF_INET, host, &address->sin_addr) != 1)
        die("--server and --standby: HOST:PORT, HOST an IPv4 address");
    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t)port);
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
                                        {"standby", 1, NULL, 'Y'},
                                        {"before", 1, NULL, 'f'},
                                        {"backlog", 1, NULL, 'g'},
                                        {"state", 1, NULL, 'q'},
                                        {"together", 0, NULL, 'G'},
                                        {"items", 1, NULL, 'I'},
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
        set_address(&plan->load.address, value);
        break;
    case 'Y':
        set_address(&plan->standby, value);
        plan->load.keep = true;
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
    case 'G':
        plan->load.together = true;
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
                                     ['F'] = &plan->load.receive_first,
                                     ['f'] = &plan->before_s,
                                     ['g'] = &plan->backlog,
                                     ['q'] = &plan->load.state,
                                     ['I'] = &plan->items};
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
    load_signal_init();
    return plan.standby.sin_port ? load_storm(&plan) : run(&plan);
}
