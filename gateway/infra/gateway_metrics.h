/* The gateway's series: everything that its modules count, mirrored when somebody asks. Nothing
 * counts here. */
#ifndef GATEWAY_INFRA_GATEWAY_METRICS_H
#define GATEWAY_INFRA_GATEWAY_METRICS_H

#include "client_events.h"
#include "gateway_peers.h"
#include "hub.h"
#include "identity_queue.h"
#include "kafka_orders.h"
#include "kafka_outlet.h"
#include "kafka_presence.h"
#include "kafka_source.h"
#include "lws_server.h"
#include "metrics.h"
#include "refusals.h"
#include "scoreboard.h"
#include "socketio_adapter.h"
#include "socketio_server.h"
#include "token_sources.h"
#include "wire_client.h"

struct gateway_metrics;

/* Borrowed until the metrics are freed; what is NULL counts nothing. */
struct gateway_metrics_sources {
    struct lws_loop *loop;
    const struct hub *hub;
    const struct kafka_source *kafka;
    const struct http_server *http;
    struct socketio_server *socketio;
    const struct wire_clients *websocket;
    const struct wire_clients *sse;
    const struct lws_server *sockets;
    const struct token_sources *tokens;
    const struct client_events *events;
    const struct kafka_outlet *outlet;
    const struct kafka_orders *orders;
    const struct kafka_presence *presence;
    const struct socketio_adapter *adapter;
    const struct gateway_peers *peers;
    const struct identity_queue *identities;
    const struct refusals *refusals;
    const struct address_quotas *addresses;
};

/* `slot`: of this worker, whose scoreboard are counted as well; NULL: there are none. Borrowed. */
struct gateway_metrics *gateway_metrics_new(const struct scoreboard_slot *slot);
void gateway_metrics_free(struct gateway_metrics *metrics);
/* What is shown: with scoreboard, the sum of all. */
struct metrics *gateway_metrics_registry(const struct gateway_metrics *metrics);
/* Lets scoreboard know; about once a second. Without scoreboard nothing happens. */
void gateway_metrics_tell(struct gateway_metrics *metrics, bool ready);

/* From now on rendering asks these. */
void gateway_metrics_attach(struct gateway_metrics *metrics,
                            const struct gateway_metrics_sources *sources);

/* How old records are when they arrive; for the lane source. */
struct metric_histogram *gateway_metrics_record_age(const struct gateway_metrics *metrics);

#endif
