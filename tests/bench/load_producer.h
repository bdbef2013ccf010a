/* What a load is to be, and who produces it: notifications straight to their lane, to one room
 * after the other, numbered in each. */
#ifndef TESTS_BENCH_LOAD_PRODUCER_H
#define TESTS_BENCH_LOAD_PRODUCER_H

#include <librdkafka/rdkafka.h>
#include <netinet/in.h>

#include "layout.h"
#include "load_client.h"

struct plan {
    struct load_options load;
    const char *brokers, *topic, *tenant;
    bool print_lane;   /* and do nothing else */
    bool json_records; /* for servers that know nothing of protobuf */
    int pid;
    unsigned rate, messages, size;
    unsigned items; /* that notifications are about, of each room; 0: about none */
    unsigned idle_s, patience_s;
    unsigned stall; /* clients that do not read while messages are produced */
    /* a storm: see load_storm.h */
    struct sockaddr_in standby; /* port 0: none */
    unsigned before_s;
    unsigned backlog;
};

struct producer {
    rd_kafka_t *handle;
    struct lane_name lane;
    uint64_t layout_revision;
    const struct plan *plan;
    uint32_t *sequences; /* by room */
    unsigned produced;
};

/* Monotonic. */
double now_s(void);
void die(const char *what) __attribute__((noreturn));

/* Finds the lane of the rooms. */
void locate(struct producer *producer);
void producer_init(struct producer *producer, const struct plan *plan);
void producer_deinit(struct producer *producer);
void produce(struct producer *producer);
/* Deliveries of all that was produced so far. */
uint64_t expected_deliveries(const struct producer *producer, const struct plan *plan);

#endif
