/* Two gateways, their lanes and a clock, for clients on wires made of arrays (hostile_wires.h):
 * hub, Socket.IO, raw WebSocket and SSE, client events, and peers that pass requests on and take
 * sessions over. Limits are small, so that they are reached soon. The same calls give the same run.
 *
 * What must hold whatever a client does is asserted after each step: hostile_world_check(). */
#ifndef TESTS_FUZZ_HOSTILE_WORLD_H
#define TESTS_FUZZ_HOSTILE_WORLD_H

#include "client_events.h"
#include "hostile_wires.h"
#include "identity.h"
#include "peer_client.h"
#include "socketio_adapter.h"
#include "sse_adapter.h"
#include "websocket_adapter.h"

enum {
    HOSTILE_GATEWAYS = 2,
    HOSTILE_LANES = 8,
    HOSTILE_RECORDS = 400, /* of all lanes, in one run */
    HOSTILE_WAITERS = 8,   /* events on their way to the broker, of a gateway */
    HOSTILE_ASKED = 4,     /* tokens that are being looked at, of a gateway */
    HOSTILE_POST_BYTES = 30000,
};

/* Wires that are in use at a time: nothing below bounds connections (sockets/lws_server does). */
enum { HOSTILE_WIRES = 12 };

struct hostile_log {
    char topic[64];
    int32_t partition;
    bool closed; /* nobody can open it now */
    struct hostile_record {
        struct buffer value;
        int64_t timestamp_ms;
    } records[HOSTILE_RECORDS];
    int64_t end;
};

/* One gateway's reading of one lane. */
struct hostile_reading {
    struct lane *lane; /* NULL: not wanted */
    struct hostile_log *log;
    bool asked; /* to be opened */
    bool ends_wanted;
    bool scanning;
    int64_t position;
    int64_t from, to; /* of the scan */
};

struct hostile_gateway {
    bool alive;
    bool stale; /* has lost the broker */
    unsigned index;
    struct hub *hub;
    struct http_server *http, *peer_http;
    struct client_events *events;
    struct socketio_adapter *adapter;
    struct socketio_server *socketio;
    struct websocket_adapter *websocket;
    struct sse_adapter *sse;
    struct peer_identity identity;
    struct peer_client *peers;
    struct hostile_reading readings[HOSTILE_LANES];
    struct outlet_waiter *waiters[HOSTILE_WAITERS];
    struct identity_waiter *asked[HOSTILE_ASKED];
};

struct hostile_world {
    struct timer_wheel wheel;
    int64_t now_ms;
    uint8_t random;
    uint8_t boots;
    struct layout *layout;
    struct policy *policy;
    struct hostile_log logs[HOSTILE_LANES];
    unsigned log_count;
    unsigned records;
    unsigned witnessed; /* records for the witnesses' room */
    struct hostile_gateway gateways[HOSTILE_GATEWAYS];
    size_t memory; /* in use at the beginning; 0: nobody counts */
};

extern struct hostile_world world;

/* The room that the witnesses are in; a record for it says its number, {"n":1} and so on. */
#define HOSTILE_WITNESS_ROOM "task:w"

void hostile_world_start(void);
/* Every wire must have been let go. The sanitizer sees what was forgotten. */
void hostile_world_stop(void);
/* kill -9, and a new one at its address. */
void hostile_world_kill(unsigned gateway);
void hostile_world_boot(unsigned gateway);

/* Runs both gateways until nothing moves. */
void hostile_world_run(void);
/* What the limits promise, on both gateways. */
void hostile_world_check(void);

/* A notification for a room of acme, and for the witnesses' too if `witnessed`. Nothing when there
 * were HOSTILE_RECORDS. */
void hostile_world_publish(const char *room, bool witnessed, size_t data_bytes);
/* The broker is away from this gateway, or back. */
void hostile_world_set_stale(unsigned gateway, bool stale);
/* The broker answers the oldest event of this gateway; whoever is "late" is found out to be known,
 * or not. Nothing if nobody waits. */
void hostile_world_answer_event(unsigned gateway, bool good);
void hostile_world_decide(unsigned gateway, bool known);

#endif
