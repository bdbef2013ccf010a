/* Many lean Socket.IO clients over WebSocket in one thread: enough of the stock client to be served
 * as one, and a check of every delivery. Not a test of the protocol: that is tests/conformance. */
#ifndef TESTS_BENCH_LOAD_CLIENT_H
#define TESTS_BENCH_LOAD_CLIENT_H

#include "bytes.h"

#include <netinet/in.h>

enum { LOAD_ROOMS_LIMIT = 4 };

enum load_protocol {
    LOAD_SOCKETIO,
    LOAD_CENTRIFUGE, /* Centrifugo's, JSON; rooms are channels */
    LOAD_UPGRADE,    /* a WebSocket and nothing in it */
};

struct load_counts {
    uint64_t ready;   /* clients that are connected and in all their rooms */
    uint64_t waiting; /* clients that are connected, for load_join() */
    uint64_t deliveries, bytes_received;
    uint64_t lost, doubled, wrong_room; /* by sequence number, per client and room */
    uint64_t closed;                    /* connections that ended */
    uint64_t cursors;                   /* events that ended with a string */
    uint64_t pings;
    uint64_t recovered, fresh;        /* of those that came back, see load_return() */
    uint64_t refused;                 /* joins */
    uint64_t states, complete_states; /* that answers of joins told of */
    uint64_t items_told, items_given; /* by these answers; in the events before them */
};

struct load_options {
    struct sockaddr_in address;
    const char *path; /* e.g. /socket.io/?EIO=4&transport=websocket */
    unsigned clients;
    unsigned rooms; /* client i is in rooms (i * rooms_each + k) % rooms */
    unsigned rooms_each;
    const char *room_prefix; /* "task:bench-" */
    const char *auth;        /* JSON with %u for the client's number */
    bool keep;               /* what a client needs to come back, as the stock one does */
    const char *secret;      /* not NULL: `auth` is sent as the claims of an HS256 token */
    enum load_protocol protocol;
    bool tls;
    unsigned connecting;    /* most connections under way at once */
    unsigned state;         /* so many, the first ones, ask for what their rooms show */
    bool together;          /* nobody joins before load_join() */
    int receive_buffer;     /* SO_RCVBUF; 0: the system's */
    unsigned receive_first; /* of the first so many clients only; 0: of all */
};

struct load;

struct load *load_new(const struct load_options *options);
void load_free(struct load *load);
const struct load_counts *load_counts(const struct load *load);
/* Waits at most `timeout_ms` for something, and handles what came. */
void load_turn(struct load *load, int timeout_ms);
/* All who are connected and wait for it join their rooms, `together`. */
void load_join(struct load *load);
/* From now on who loses its connection comes back at this address, as the stock client does: after
 * 1 s, then 2 s, 4 s and 5 s, each by up to a half more or less, presenting what it has kept. */
void load_return(struct load *load, const struct sockaddr_in *address);
/* The lowest offset that a client has kept, of its first lane; -1: one has none. */
int64_t load_oldest_cursor(const struct load *load);
/* From now on the first `clients` of them do not read (or read again). */
void load_stall(struct load *load, unsigned clients, bool stalled);
/* Latencies of the deliveries since the last reset, in microseconds: the value below which
 * `percent` of them lie. */
double load_latency(const struct load *load, double percent, bool stalled);
uint64_t load_latency_count(const struct load *load, bool stalled);
void load_reset_latencies(struct load *load);
/* The same, from asking for a client's rooms to the last of their answers; of all. */
double load_join_latency(const struct load *load, double percent);

#endif
