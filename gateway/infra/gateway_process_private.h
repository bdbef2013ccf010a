/* The parts of a gateway, for the files that make them, run them and look at them. */
#ifndef GATEWAY_INFRA_GATEWAY_PROCESS_PRIVATE_H
#define GATEWAY_INFRA_GATEWAY_PROCESS_PRIVATE_H

#include "gateway_drain.h"
#include "gateway_metrics.h"
#include "gateway_peers.h"
#include "gateway_process.h"
#include "hub.h"
#include "identities.h"
#include "identity_queue.h"
#include "kafka_orders.h"
#include "kafka_outlet.h"
#include "kafka_presence.h"
#include "kafka_source.h"
#include "lws_server.h"
#include "operations.h"
#include "socketio_adapter.h"
#include "sse_adapter.h"
#include "static_files.h"
#include "token_sources.h"
#include "websocket_adapter.h"

enum { RANDOM_KEY_BYTES = 32, WORKERS_DETAIL_SIZE = 64 };

struct gateway_process {
    const struct gateway_settings *settings;
    const struct shared_config *shared;
    const struct scoreboard_slot *slot; /* NULL: it is the only process */
    struct lws_loop *loop;
    int64_t stopped_ms;      /* of what the loop counts as such, what sessions were told of */
    uint64_t most_read_back; /* bytes, since memory was last given back */
    struct timer_wheel wheel;
    struct gateway_metrics *metrics;
    struct operations *operations;
    struct token_sources *tokens; /* NULL: development */
    struct identities *identities;
    struct identity_queue *identity_queue; /* in front of them */
    struct kafka_source *kafka;
    struct kafka_outlet *outlet; /* NULL: clients send no events */
    struct client_events *events;
    struct kafka_orders *orders;     /* NULL: none are taken */
    struct kafka_presence *presence; /* NULL: nobody is told who is where */
    struct hub *hub;
    struct refusals refusals;
    struct http_cors cors;
    struct http_origins admitted;
    struct address_quotas *addresses; /* NULL: they have no limits */
    struct http_server *http;
    struct static_files *files;
    struct socketio_server *socketio;
    struct socketio_adapter *adapter;
    struct websocket_adapter *websocket;           /* NULL: off */
    struct sse_adapter *sse;                       /* NULL: off */
    struct wire_clients *streams[GATEWAY_STREAMS]; /* as far as they are on */
    size_t stream_count;
    struct gateway_peers *peers; /* NULL: there are no others */
    struct lws_server *sockets;
    struct lws_watch *watches[5];
    uint8_t random_key[RANDOM_KEY_BYTES]; /* if none is configured */
    const char **namespaces;
    const char **origins;
    int64_t date_ms; /* when the Date of answers changes */
    struct gateway_drain drain;
    char workers_detail[WORKERS_DETAIL_SIZE];
};

/* --- gateway_turn.c ------------------------------------------------------------------------- */

/* SIGTERM and SIGINT send the clients away, SIGHUP reads the certificate again. Before any thread
 * is started: they must not be theirs. */
enum status gateway_turn_take_signals(struct gateway_process *process,
                                      struct error *error) MUST_CHECK;
/* What the loop calls: when descriptors are readable, in each turn, and between. */
enum status gateway_turn_attach(struct gateway_process *process, struct error *error) MUST_CHECK;
void gateway_turn_detach(struct gateway_process *process);

/* --- gateway_health.c ----------------------------------------------------------------------- */

/* For operations.h; `context` is the process. */
size_t gateway_health_ready(void *context, struct health_check *checks);
size_t gateway_health_live(void *context, struct health_check *checks);
/* So that the other workers know. */
void gateway_health_tell(const struct gateway_process *process);

#endif
