/* A client that asks a gateway for the past of rooms. Their lane outlives gateways; its record number
 * n was published at second n + 1. */
#ifndef TESTS_UNIT_DOMAIN_HISTORY_SEARCH_FIXTURE_H
#define TESTS_UNIT_DOMAIN_HISTORY_SEARCH_FIXTURE_H

#include <stdio.h>

#include "hand_source.h"
#include "hub_state.h"
#include "suite.h"

enum { OPEN_TIMEOUT_MS = 20000, QUEUE = 4, RECORDS_MOST = 8000 };
#define SECOND ((int64_t)1000)

struct history_record {
    struct buffer value;
    int64_t timestamp_ms;
};

struct history_world {
    struct hub *hub;
    struct hub_config config;
    struct layout *layout;
    struct policy *policy;
    struct hand_source source;
    struct history_record records[RECORDS_MOST];
    int64_t first, end; /* of the lane: the broker has these */
    bool closed;        /* the lane does not open */
    int64_t now_ms;
    struct session *session;             /* the client's newest */
    bool blocked;                        /* the client does not read */
    char cursor[2048], private_id[2048]; /* with which it comes back */
    /* What it was given since take_said(): "h5" is history, "[5 6 ]" items of a state and "![" their
     * first, "5" live, "+" and "-" joined and refused; of a state, "=" is how many there are, and "@"
     * from which second on. */
    struct buffer said;
};
extern struct history_world world;

/* The text is good until the client is given more. */
const char *take_said(void);

#define EXPECT(...)                                        \
    do {                                                   \
        char expected[16384];                              \
        snprintf(expected, sizeof(expected), __VA_ARGS__); \
        ck_assert_str_eq(take_said(), expected);           \
    } while (0)

/* An empty lane, and settings that a test may change before it starts a gateway. */
void world_begin(void);
/* And a gateway, and the client in it. */
void world_begin_connected(void);
/* With the gateway. */
void world_end(void);

void start_gateway(void);
/* The client's session is closed. */
void end_gateway(void);
/* With what it has to come back. */
void connect_client(void);

/* So many records; of so many bytes of data. */
void publish(const char *room, unsigned count);
void publish_sized(const char *room, unsigned count, size_t size);
/* One for each letter: about the item of that name, or, after a minus, that it is taken out. */
void publish_items(const char *room, const char *items);
void publish_one(const char *room, struct notification_item item, const char *data,
                 int64_t timestamp_ms);

/* The client asks, at the time at which the next record is published. */
void ask(const char *room, int64_t since_ms, uint32_t count);
void last(const char *room, uint32_t count);
void ask_state(const char *room);

/* The hub's, after which the lane is open. */
void turn(void);
/* So many records of the scan that runs. */
void read_back(unsigned records);
/* Turns until nothing is left to do. */
void rest(void);

/* As its transport does it: all that the session has, if it is not blocked, goes into `said`; or this
 * delivery. */
void take(struct session *of, void *connection);
void heard(const struct delivery *delivery);
extern const struct transport_ops history_transport;

#endif
