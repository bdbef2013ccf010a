/* All series of the gateway, as two tables. Modules count in plain structs of their own and know no
 * metrics; at a scrape all of these are copied into one snapshot, from which each row takes its
 * word by offset.
 *
 * The invariant: every process registers the same rows in the same order, whatever is configured:
 * workers' numbers are summed by position (common/metrics.h). A part that is switched off has
 * zeros.
 *
 * Reasons and kinds are enums of ours, never what a client sent: the number of series is the number
 * of rows. */
#include "gateway_metrics.h"

#include <stddef.h>

#include "clocks.h"
#include "mem.h"
#include "process_metrics.h"

/* Everything that is counted, copied in one go. */
struct snapshot {
    struct hub_stats hub;
    struct kafka_source_stats kafka;
    struct kafka_scan_stats scans, states;
    struct http_server_stats http;
    struct engineio_stats engineio;
    struct socketio_stats socketio;
    struct wire_client_stats websocket, sse;
    struct lws_server_stats sockets;
    struct token_stats tokens;
    struct client_events_stats events;
    struct kafka_outlet_stats outlet;
    struct kafka_orders_stats orders;
    struct presence_stats presence;
    struct kafka_presence_stats kafka_presence;
    struct socketio_adapter_stats adapter;
    struct peer_client_stats peers;
    struct identity_queue_stats identities;
    struct address_quotas_stats addresses;
    uint64_t refusals[REFUSAL_COUNT];
    uint64_t loop_gaps;
    uint64_t kafka_up;
    uint64_t one; /* this process */
};

/* A series: where its value stands in the snapshot. Series of one name stand together. */
struct row {
    const char *name;
    const char *help;
    const char *label, *value; /* NULL: none */
    size_t offset;
};

/* A row is checked by the compiler: a field that is renamed or gone does not compile, and a label
 * or a help text stands where its number does. */
#define AT(field) offsetof(struct snapshot, field)
#define ROW(name, help, field)                                  \
    {                                                           \
        "smartstack_gateway_" name, help, NULL, NULL, AT(field) \
    }
#define BY(name, help, label, value, field)                       \
    {                                                             \
        "smartstack_gateway_" name, help, label, value, AT(field) \
    }

/* Counters only grow while a process lives. Help is per name, so that rows of one name share a HELP
 * macro and stand together, as the text format wants it. */
static const struct row counters[] = {
#define HELP "Connections: accepted, refused beyond the limit, closed."
    BY("connections_total", HELP, "event", "accepted", sockets.accepted),
    BY("connections_total", HELP, "event", "refused", sockets.refused),
    BY("connections_total", HELP, "event", "closed", sockets.closed),
#undef HELP
    ROW("accepts_held_back_total", "Times that connections had to wait by http.accepts_per_second.",
        sockets.held_back),
    ROW("bytes_read_total", "Bytes read from clients.", sockets.bytes_read),
    ROW("bytes_written_total", "Bytes written to clients.", sockets.bytes_written),
    ROW("socket_writes_total", "Writes to sockets.", sockets.writes),
    ROW("socket_partial_writes_total", "Writes that a socket took only in part.",
        sockets.partial_writes),
    ROW("http_requests_total", "HTTP requests, upgrades and polls included.", http.requests),
#define HELP "HTTP answers, by the first digit of their code."
    BY("http_answers_total", HELP, "code", "1xx", http.answers[1]),
    BY("http_answers_total", HELP, "code", "2xx", http.answers[2]),
    BY("http_answers_total", HELP, "code", "3xx", http.answers[3]),
    BY("http_answers_total", HELP, "code", "4xx", http.answers[4]),
    BY("http_answers_total", HELP, "code", "5xx", http.answers[5]),
#undef HELP
    ROW("http_timeouts_total", "Requests that did not arrive in time.", http.timeouts),
    ROW("http_malformed_total", "Requests that were none.", http.malformed),
    ROW("engineio_opened_total", "Engine.IO sessions opened.", engineio.opened),
    ROW("engineio_refused_total", "Engine.IO handshakes refused.", engineio.refused),
#define HELP "Upgrades from long-polling to WebSocket."
    BY("engineio_upgrades_total", HELP, "outcome", "done", engineio.upgrades),
    BY("engineio_upgrades_total", HELP, "outcome", "failed", engineio.upgrades_failed),
#undef HELP
#define HELP "Engine.IO sessions ended, by reason."
    BY("engineio_closed_total", HELP, "reason", "client", engineio.closed[ENGINEIO_CLOSE_CLIENT]),
    BY("engineio_closed_total", HELP, "reason", "transport",
       engineio.closed[ENGINEIO_CLOSE_TRANSPORT]),
    BY("engineio_closed_total", HELP, "reason", "ping_timeout",
       engineio.closed[ENGINEIO_CLOSE_PING_TIMEOUT]),
    BY("engineio_closed_total", HELP, "reason", "protocol",
       engineio.closed[ENGINEIO_CLOSE_PROTOCOL]),
    BY("engineio_closed_total", HELP, "reason", "overflow",
       engineio.closed[ENGINEIO_CLOSE_OVERFLOW]),
    BY("engineio_closed_total", HELP, "reason", "server", engineio.closed[ENGINEIO_CLOSE_SERVER]),
#undef HELP
#define HELP "Engine.IO messages."
    BY("engineio_messages_total", HELP, "direction", "in", engineio.messages_in),
    BY("engineio_messages_total", HELP, "direction", "out", engineio.messages_out),
#undef HELP
    ROW("socketio_connects_total", "CONNECT packets.", socketio.connects),
    ROW("socketio_connects_refused_total", "CONNECT packets refused.", socketio.connects_refused),
    ROW("socketio_events_total", "Events from clients.", socketio.events),
    ROW("socketio_violations_total",
        "Connections closed because the client sent something that it must not send.",
        socketio.violations),
#define HELP "Raw WebSockets and event streams opened."
    BY("stream_connections_opened_total", HELP, "transport", "websocket", websocket.opened),
    BY("stream_connections_opened_total", HELP, "transport", "sse", sse.opened),
#undef HELP
#define HELP "Those of them that got no session."
    BY("stream_connections_refused_total", HELP, "transport", "websocket", websocket.refused),
    BY("stream_connections_refused_total", HELP, "transport", "sse", sse.refused),
#undef HELP
#define HELP "Those of them that have ended."
    BY("stream_connections_closed_total", HELP, "transport", "websocket", websocket.closed),
    BY("stream_connections_closed_total", HELP, "transport", "sse", sse.closed),
#undef HELP
#define HELP "Writes to them, each of all that was ready."
    BY("stream_writes_total", HELP, "transport", "websocket", websocket.writes),
    BY("stream_writes_total", HELP, "transport", "sse", sse.writes),
#undef HELP
#define HELP "Notifications, answers to subscriptions and the like written to them."
    BY("stream_steps_total", HELP, "transport", "websocket", websocket.messages_out),
    BY("stream_steps_total", HELP, "transport", "sse", sse.messages_out),
#undef HELP
#define HELP "Tokens that expired while connected."
    BY("stream_tokens_expired_total", HELP, "transport", "websocket", websocket.expired),
    BY("stream_tokens_expired_total", HELP, "transport", "sse", sse.expired),
#undef HELP
    ROW("websocket_messages_total", "Messages of clients of raw WebSocket.", websocket.messages_in),
    ROW("websocket_violations_total",
        "Raw WebSockets closed because the client sent something that it must not send.",
        websocket.violations),
#define HELP "Asked for beyond a quota of a user, a tenant or an address."
    BY("quota_refusals_total", HELP, "quota", "user_sessions",
       hub.quota_refused[QUOTA_USER][QUOTA_SESSIONS]),
    BY("quota_refusals_total", HELP, "quota", "user_connects",
       hub.quota_refused[QUOTA_USER][QUOTA_CONNECTS]),
    BY("quota_refusals_total", HELP, "quota", "user_subscribes",
       hub.quota_refused[QUOTA_USER][QUOTA_SUBSCRIBES]),
    BY("quota_refusals_total", HELP, "quota", "user_histories",
       hub.quota_refused[QUOTA_USER][QUOTA_HISTORIES]),
    BY("quota_refusals_total", HELP, "quota", "user_events",
       hub.quota_refused[QUOTA_USER][QUOTA_EVENTS]),
    BY("quota_refusals_total", HELP, "quota", "tenant_sessions",
       hub.quota_refused[QUOTA_TENANT][QUOTA_SESSIONS]),
    BY("quota_refusals_total", HELP, "quota", "tenant_connects",
       hub.quota_refused[QUOTA_TENANT][QUOTA_CONNECTS]),
    BY("quota_refusals_total", HELP, "quota", "tenant_subscribes",
       hub.quota_refused[QUOTA_TENANT][QUOTA_SUBSCRIBES]),
    BY("quota_refusals_total", HELP, "quota", "tenant_histories",
       hub.quota_refused[QUOTA_TENANT][QUOTA_HISTORIES]),
    BY("quota_refusals_total", HELP, "quota", "tenant_events",
       hub.quota_refused[QUOTA_TENANT][QUOTA_EVENTS]),
    BY("quota_refusals_total", HELP, "quota", "address_sessions",
       addresses.refused[QUOTA_SESSIONS]),
    BY("quota_refusals_total", HELP, "quota", "address_connects",
       addresses.refused[QUOTA_CONNECTS]),
#undef HELP
#define HELP                                                                                  \
    "Orders of the backend that were read: each kind, lifted ones, and those whose time was " \
    "over already."
    BY("control_orders_read_total", HELP, "order", "disconnect", hub.orders[ORDER_DISCONNECT]),
    BY("control_orders_read_total", HELP, "order", "not_before", hub.orders[ORDER_NOT_BEFORE]),
    BY("control_orders_read_total", HELP, "order", "leave", hub.orders[ORDER_LEAVE]),
    BY("control_orders_read_total", HELP, "order", "join", hub.orders[ORDER_JOIN]),
    BY("control_orders_read_total", HELP, "order", "lifted", hub.orders_lifted),
    BY("control_orders_read_total", HELP, "order", "over", hub.orders_over),
#undef HELP
#define HELP                                                                                 \
    "Effects of orders: sessions ended, also for their token; connects and tokens refused; " \
    "rooms that sessions left and joined."
    BY("control_effects_total", HELP, "effect", "disconnected", hub.disconnected),
    BY("control_effects_total", HELP, "effect", "revoked", hub.revoked),
    BY("control_effects_total", HELP, "effect", "refused", hub.kept_out),
    BY("control_effects_total", HELP, "effect", "left", hub.rooms_closed),
    BY("control_effects_total", HELP, "effect", "joined", hub.rooms_opened),
#undef HELP
#define HELP "Records of control.topic that are no orders, passed over, by reason."
    BY("control_faulty_total", HELP, "reason", "key", orders.faulty[ORDER_FAULTY_KEY]),
    BY("control_faulty_total", HELP, "reason", "value", orders.faulty[ORDER_FAULTY_VALUE]),
    BY("control_faulty_total", HELP, "reason", "member", orders.faulty[ORDER_FAULTY_MEMBER]),
    BY("control_faulty_total", HELP, "reason", "order", orders.faulty[ORDER_FAULTY_ORDER]),
    BY("control_faulty_total", HELP, "reason", "tenant", orders.faulty[ORDER_FAULTY_TENANT]),
    BY("control_faulty_total", HELP, "reason", "subject", orders.faulty[ORDER_FAULTY_SUBJECT]),
    BY("control_faulty_total", HELP, "reason", "room", orders.faulty[ORDER_FAULTY_ROOM]),
    BY("control_faulty_total", HELP, "reason", "time", orders.faulty[ORDER_FAULTY_TIME]),
    BY("control_faulty_total", HELP, "reason", "reason", orders.faulty[ORDER_FAULTY_REASON]),
#undef HELP
    ROW("presence_records_read_total", "Records of presence.topic, of this gateway too.",
        presence.read),
    ROW("presence_records_written_total", "Records written to it.", presence.written),
    ROW("presence_records_swept_total",
        "Records of gateways that are long gone, removed by this one.", presence.swept),
#define HELP "Records of presence.topic that cannot be read, passed over, by reason."
    BY("presence_faulty_total", HELP, "reason", "key", presence.faulty[PRESENCE_FAULTY_KEY]),
    BY("presence_faulty_total", HELP, "reason", "value", presence.faulty[PRESENCE_FAULTY_VALUE]),
#undef HELP
#define HELP                                                                                    \
    "What other gateways told of their rooms and was not kept: more than presence.entries, of " \
    "one "                                                                                      \
    "tenant's rooms more than presence.tenant_entries, or of more gateways than there may be."
    BY("presence_dropped_total", HELP, "reason", "entries",
       presence.dropped[PRESENCE_DROP_ENTRIES]),
    BY("presence_dropped_total", HELP, "reason", "tenant", presence.dropped[PRESENCE_DROP_TENANT]),
    BY("presence_dropped_total", HELP, "reason", "workers",
       presence.dropped[PRESENCE_DROP_WORKERS]),
#undef HELP
#define HELP "Users who came into rooms and left them, of those known here."
    BY("presence_changes_total", HELP, "change", "joined", presence.joined),
    BY("presence_changes_total", HELP, "change", "left", presence.left),
#undef HELP
#define HELP "What sessions were told of presence: who is there, or who came and went."
    BY("presence_told_total", HELP, "news", "snapshot", presence.snapshots),
    BY("presence_told_total", HELP, "news", "changes", presence.changes),
#undef HELP
    ROW("presence_log_readings_total",
        "How often presence.topic was read from its beginning: at the start, if it was made anew, "
        "and when there is space again for what was left out.",
        kafka_presence.begun),
    ROW("presence_writes_failed_total",
        "Batches of records for presence.topic that the broker did not take whole.",
        kafka_presence.batches_failed),
    ROW("tokens_refreshed_total", "Fresh tokens that open sessions have brought.", hub.refreshed),
#define HELP "Rooms that sessions lost or were given with other claims."
    BY("rooms_changed_total", HELP, "change", "lost", hub.rooms_lost),
    BY("rooms_changed_total", HELP, "change", "given", hub.rooms_gained),
#undef HELP
#define HELP                                                                              \
    "Sessions: opened, refused, recovered, started afresh although the client wanted to " \
    "continue, continued from another gateway, closed."
    BY("sessions_total", HELP, "event", "opened", hub.sessions_opened),
    BY("sessions_total", HELP, "event", "refused", hub.sessions_refused),
    BY("sessions_total", HELP, "event", "recovered", hub.sessions_recovered),
    BY("sessions_total", HELP, "event", "not_recovered", hub.sessions_not_recovered),
    BY("sessions_total", HELP, "event", "continued", hub.sessions_continued),
    BY("sessions_total", HELP, "event", "closed", hub.sessions_closed),
#undef HELP
    ROW("records_total", "Records of lanes read live.", hub.records),
    ROW("records_skipped_total", "Records without a member here.", hub.records_skipped),
#define HELP "Records that were passed over, live, by a scan or of a state topic, by reason."
    BY("records_faulty_total", HELP, "reason", "key", hub.records_faulty[RECORD_BAD_KEY]),
    BY("records_faulty_total", HELP, "reason", "rooms", hub.records_faulty[RECORD_BAD_ROOMS]),
    BY("records_faulty_total", HELP, "reason", "value", hub.records_faulty[RECORD_BAD_VALUE]),
#undef HELP
    ROW("records_other_layout_total",
        "Records of a producer with another layout: its rooms may stand in lanes not read here.",
        hub.records_other_layout),
    ROW("deliveries_total", "Notifications given to clients.", hub.deliveries),
    ROW("deliveries_caught_up_total", "Those of them that came from scans of the past.",
        hub.deliveries_caught_up),
    ROW("joins_total", "Rooms joined on request.", hub.joins),
    ROW("joins_refused_total", "Joins refused.", hub.joins_refused),
    ROW("rooms_left_out_total",
        "Rooms of the configuration that a session could not be given at connect.",
        hub.rooms_left_out),
    ROW("leaves_total", "Rooms left on request.", hub.leaves),
    ROW("behind_total", "Times that a session fell behind.", hub.behind_entered),
    ROW("behind_closed_total", "Sessions closed for staying behind.", hub.behind_closed),
    BY("sessions_ended_total",
       "Sessions that were ended because of something their clients did, by reason.", "reason",
       "too_many_answers", hub.overflowed),
    ROW("loop_steps_total", "Sessions, joins and histories that were looked at for each other.",
        hub.steps),
    ROW("conflated_total", "Notifications that a slow client was spared for a later one.",
        hub.conflated),
    ROW("histories_total", "Subscriptions that asked for a room's past.", hub.histories),
    ROW("histories_incomplete_total", "Those of them that a limit or retention cut off.",
        hub.histories_incomplete),
    ROW("history_messages_total", "Notifications given as history.", hub.history_messages),
    ROW("states_total", "Subscriptions that asked for a room's state.", hub.states),
    ROW("states_incomplete_total", "Those of them that a limit or retention cut off.",
        hub.states_incomplete),
#define HELP                                                                                      \
    "Histories and states that were refused, since so much was not read yet: of the session, of " \
    "its tenant, or of all."
    BY("histories_refused_total", HELP, "reason", "session",
       hub.histories_refused[HISTORY_LIMIT_SESSION]),
    BY("histories_refused_total", HELP, "reason", "tenant",
       hub.histories_refused[HISTORY_LIMIT_TENANT]),
    BY("histories_refused_total", HELP, "reason", "all", hub.histories_refused[HISTORY_LIMIT_ALL]),
#undef HELP
#define HELP                                                                                      \
    "Histories and states of which the oldest were left out for their size: of one, or together " \
    "with what was not read yet, of the session, of its tenant, or of all."
    BY("histories_cut_total", HELP, "reason", "one", hub.histories_cut[HISTORY_LIMIT_ONE]),
    BY("histories_cut_total", HELP, "reason", "session", hub.histories_cut[HISTORY_LIMIT_SESSION]),
    BY("histories_cut_total", HELP, "reason", "tenant", hub.histories_cut[HISTORY_LIMIT_TENANT]),
    BY("histories_cut_total", HELP, "reason", "all", hub.histories_cut[HISTORY_LIMIT_ALL]),
#undef HELP
    ROW("state_items_total", "Items given as state.", hub.state_items),
    ROW("states_of_views_total", "States that were given of a view, and not read back.",
        hub.states_of_views),
    ROW("state_lists_total", "Lists made of what rooms show; all who ask meanwhile share one.",
        hub.state_lists),
    ROW("state_chunks_total", "Pieces of them that were framed.", hub.state_chunks),
    ROW("view_loads_total", "Views of lanes that began to be loaded.", hub.view_loads),
    ROW("views_failed_total", "Those that had to begin again.", hub.views_failed),
    ROW("views_too_large_total", "Views that did not fit into gateway.state.bytes.",
        hub.views_too_large),
    ROW("view_records_total", "Records read of state topics.", states.records),
    ROW("gaps_total", "Sessions that were told of a gap.", hub.gaps),
    ROW("scans_total", "Scans of the past wanted.", hub.scans),
    ROW("scan_records_total", "Records read by scans.", scans.records),
    ROW("scan_bytes_total", "Bytes of records read by scans.", scans.record_bytes),
    ROW("scans_failed_total", "Scans that ended early.", scans.failed),
    ROW("kafka_record_bytes_total", "Bytes of records read live.", kafka.record_bytes),
    ROW("kafka_errors_total", "Errors that librdkafka reported.", kafka.errors),
    ROW("kafka_lost_total", "Times that the broker was lost.", kafka.broker_lost),
    ROW("lanes_stalled_total",
        "Times that a lane's log grew and nothing of it came for gateway.read_stall.",
        kafka.stalled),
    ROW("kafka_renewed_total", "Consumers replaced because lanes stood still.", kafka.renewed),
    ROW("lanes_opened_total", "Lanes opened.", kafka.opened),
    ROW("lanes_retried_total", "Times that a lane could not be opened or verified.", kafka.retries),
    ROW("lanes_broken_total", "Lanes whose log was cut or made again.", kafka.broken),
#define HELP "Tokens checked."
    BY("tokens_total", HELP, "outcome", "valid", tokens.valid),
    BY("tokens_total", HELP, "outcome", "refused", tokens.refused),
#undef HELP
#define HELP "Times that a JWK set was read."
    BY("token_keys_read_total", HELP, "outcome", "done", tokens.reads),
    BY("token_keys_read_total", HELP, "outcome", "failed", tokens.read_failures),
#undef HELP
#define HELP                                                                                      \
    "Checks of clients' identity that had to wait for a later turn, and those that there was no " \
    "room for."
    BY("identities_total", HELP, "event", "deferred", identities.deferred),
    BY("identities_total", HELP, "event", "refused", identities.refused),
#undef HELP
#define HELP "Sessions whose token expired, and those that brought a fresh one."
    BY("token_expiry_total", HELP, "event", "expired", adapter.expired),
    BY("token_expiry_total", HELP, "event", "refreshed", adapter.refreshed),
#undef HELP
#define HELP "Events of clients to the backend: sent, and their outcome."
    BY("client_events_total", HELP, "event", "sent", events.sent),
    BY("client_events_total", HELP, "event", "acknowledged", events.acknowledged),
    BY("client_events_total", HELP, "event", "failed", events.failed),
#undef HELP
#define HELP "Events of clients that were refused, by reason."
    BY("client_events_refused_total", HELP, "reason", "unknown_event", events.refused_unknown),
    BY("client_events_refused_total", HELP, "reason", "not_allowed", events.refused_denied),
    BY("client_events_refused_total", HELP, "reason", "bad_request", events.refused_malformed),
    BY("client_events_refused_total", HELP, "reason", "too_large", events.refused_size),
    BY("client_events_refused_total", HELP, "reason", "rate_limited", events.refused_rate),
    BY("client_events_refused_total", HELP, "reason", "too_many_requests", events.refused_busy),
    BY("client_events_refused_total", HELP, "reason", "buffer_full", outlet.refused),
#undef HELP
#define HELP "Polls passed on to the gateway of their session, and those that it did not answer."
    BY("forwards_total", HELP, "outcome", "passed_on", engineio.forwards),
    BY("forwards_total", HELP, "outcome", "failed", engineio.forwards_failed),
#undef HELP
#define HELP                                                                                       \
    "Upgrades of other gateways' sessions, which go on here, and of sessions from here, which go " \
    "on "                                                                                          \
    "elsewhere."
    BY("takeovers_total", HELP, "outcome", "done", engineio.migrated_in),
    BY("takeovers_total", HELP, "outcome", "failed", engineio.migrations_failed),
    BY("takeovers_total", HELP, "outcome", "given", engineio.migrated_out),
#undef HELP
#define HELP "Requests of other gateways, and those that came without the shared secret."
    BY("peer_requests_total", HELP, "outcome", "asked", engineio.peer_requests),
    BY("peer_requests_total", HELP, "outcome", "refused", engineio.peer_refused),
#undef HELP
#define HELP \
    "Requests to other gateways: sent, not answered, beyond the limit, without an answer in time."
    BY("peer_client_total", HELP, "event", "sent", peers.requests),
    BY("peer_client_total", HELP, "event", "failed", peers.failed),
    BY("peer_client_total", HELP, "event", "refused", peers.refused),
    BY("peer_client_total", HELP, "event", "late", peers.timeouts),
    BY("peer_client_total", HELP, "event", "dialed", peers.dialed),
#undef HELP
#define HELP \
    "Requests, connections and rooms that were refused or ended, by the word that was given."
#define X(word, message) BY("refusals_total", HELP, "reason", #word, refusals[REFUSAL_##word]),
    REFUSAL_TABLE(X)
#undef X
        BY("refusals_total", HELP, "reason", "other", refusals[REFUSAL_OTHER]),
#undef HELP
    ROW("loop_gaps_total", "Times that the process could not run for a while.", loop_gaps),
    ROW("worker_starts_total", "Worker processes started.", one),
};

/* What is now. Sums over the workers, but for those that metrics_show_least() names below. */
static const struct row gauges[] = {
    ROW("connections", "Connections now.", sockets.connections),
    ROW("connections_limit",
        "Connections at a time, by http.connections and the limit of open files; beyond it clients "
        "are refused, and /readyz fails.",
        sockets.connections_most),
#define HELP "Engine.IO sessions now, by transport."
    BY("engineio_sessions", HELP, "transport", "polling", engineio.polling),
    BY("engineio_sessions", HELP, "transport", "websocket", engineio.websocket),
#undef HELP
    ROW("sockets", "Socket.IO sockets now.", socketio.sockets),
    ROW("control_orders", "Orders of the backend in force, of each worker.", hub.orders_now),
    ROW("presence_rooms", "Rooms of which is known who is there, of each worker.", presence.rooms),
    ROW("presence_users", "Users in them, each counted in each of his rooms.", presence.users),
    ROW("presence_workers", "Gateway processes that are heard of, this one too.", presence.workers),
    ROW("presence_entries", "Rooms and users of other gateways that are kept.", presence.entries),
    ROW("presence_unwritten", "Rooms of which something is to be written to presence.topic yet.",
        presence.unwritten),
#define HELP "Raw WebSockets and event streams now."
    BY("stream_connections", HELP, "transport", "websocket", websocket.connections),
    BY("stream_connections", HELP, "transport", "sse", sse.connections),
#undef HELP
    ROW("sessions", "Sessions now.", hub.sessions),
    ROW("sessions_behind", "Sessions that are behind now.", hub.sessions_behind),
    ROW("rooms", "Rooms with members here.", hub.rooms),
    ROW("lanes", "Lanes wanted.", hub.lanes),
    ROW("lanes_open", "Lanes being read.", hub.lanes_open),
    ROW("lanes_unavailable", "Lanes that cannot be read now.", kafka.unavailable),
    ROW("ring_bytes", "Bytes of recent records kept.", hub.ring_bytes),
    ROW("read_back_bytes", "Bytes of records read back kept for others.", hub.read_back_bytes),
    ROW("outbox_messages", "Notifications queued for sessions.", hub.queued_messages),
    ROW("histories_waiting", "Histories and states that are being collected.",
        hub.histories_waiting),
    ROW("history_bytes", "Bytes of notifications kept for histories and states.",
        hub.history_bytes),
    ROW("views", "Lanes of which it is known what all their rooms show.", hub.views),
    ROW("view_bytes", "Bytes that this takes; see gateway.state.bytes.", hub.view_bytes),
    ROW("view_loads_running", "State topics being read now.", states.running),
    ROW("scans_running", "Scans running now.", scans.running),
    ROW("scans_waiting", "Scans waiting now.", scans.waiting),
    ROW("tokens_waiting", "Tokens that wait for keys now.", tokens.waiting),
    ROW("client_events_waiting", "Events of clients that the broker has not confirmed yet.",
        outlet.messages),
    ROW("client_events_waiting_bytes", "Their bytes, headers included.", outlet.bytes),
    ROW("identities_waiting", "Clients whose token has still to be checked now.",
        identities.waiting),
    ROW("identities_waiting_bytes", "Bytes that they brought.", identities.bytes),
    ROW("peer_connections", "Connections to other gateways now.", peers.connections),
    ROW("peer_buffered_bytes", "Bytes of requests to other gateways that have not gone out.",
        peers.buffered),
    ROW("engineio_guests", "WebSockets whose session is at another gateway now.",
        engineio.remote_upgrades),
    ROW("kafka_up", "1 while the broker answers (all workers).", kafka_up),
    ROW("workers", "Worker processes now, of which all figures here are the sum.", one),
};

enum {
    COUNTERS = sizeof(counters) / sizeof(counters[0]),
    GAUGES = sizeof(gauges) / sizeof(gauges[0]),
};

/* Threads: the loop alone writes and renders. Other processes see the copy on the scoreboard. */
struct gateway_metrics {
    struct metrics *registry;
    const struct scoreboard_slot *slot; /* NULL: alone, and then so is what follows */
    struct metrics *total;
    uint64_t *base; /* what earlier processes of this slot have counted */
    bool ready;
    struct gateway_metrics_sources sources;
    struct snapshot snapshot;
    struct metric_counter *counters[COUNTERS];
    struct metric_gauge *gauges[GAUGES];
    struct metric_histogram *record_age;
};

/* Parts may be missing: a gateway without WebSockets, or one that is being asked before all of it
 * is there. */
static void take_snapshot(struct gateway_metrics *metrics)
{
    const struct gateway_metrics_sources *from = &metrics->sources;
    struct snapshot *to = &metrics->snapshot;
    const char *detail;
    if (from->loop)
        to->loop_gaps = lws_loop_gaps(from->loop);
    if (from->hub)
        to->hub = *hub_stats(from->hub);
    if (from->kafka) {
        to->kafka = *kafka_source_stats(from->kafka);
        to->scans = *kafka_source_scan_stats(from->kafka);
        to->states = *kafka_source_state_stats(from->kafka);
        to->kafka_up = kafka_source_ready(from->kafka, &detail);
    }
    if (from->http)
        to->http = *http_server_stats(from->http);
    if (from->socketio) {
        to->engineio = *engineio_server_stats(socketio_engineio(from->socketio));
        to->socketio = *socketio_server_stats(from->socketio);
    }
    if (from->websocket)
        to->websocket = from->websocket->stats;
    if (from->sse)
        to->sse = from->sse->stats;
    if (from->sockets)
        to->sockets = *lws_server_stats(from->sockets);
    if (from->tokens)
        to->tokens = token_sources_stats(from->tokens);
    if (from->events)
        to->events = *client_events_stats(from->events);
    if (from->outlet)
        to->outlet = *kafka_outlet_stats(from->outlet);
    if (from->orders)
        to->orders = *kafka_orders_stats(from->orders);
    if (from->presence) {
        to->kafka_presence = kafka_presence_stats(from->presence);
        to->presence = *presence_stats(hub_presence(from->hub));
    }
    if (from->adapter)
        to->adapter = *socketio_adapter_stats(from->adapter);
    if (from->identities)
        to->identities = *identity_queue_stats(from->identities);
    if (from->refusals)
        memcpy(to->refusals, from->refusals->counts, sizeof(to->refusals));
    if (from->addresses)
        to->addresses = *address_quotas_stats(from->addresses);
    to->peers = gateway_peers_client_stats(from->peers);
}

/* The only place that goes by offsets: what a row names is an integer of 64 bits, by the table
 * above. */
static uint64_t row_value(const struct snapshot *snapshot, const struct row *row)
{
    uint64_t value;
    /* Every field that a row names is a uint64_t: rows would otherwise need a type each. */
    memcpy(&value, (const char *)snapshot + row->offset, sizeof(value));
    return value;
}

/* On the loop, at a scrape of a gateway that is alone; in one of several workers about once a
 * second, for the scoreboard. */
static void collect_own(void *context)
{
    struct gateway_metrics *metrics = context;
    take_snapshot(metrics);
    metrics->snapshot.one = 1;
    for (size_t i = 0; i < COUNTERS; i++)
        metric_counter_mirror(metrics->counters[i], row_value(&metrics->snapshot, &counters[i]));
    for (size_t i = 0; i < GAUGES; i++)
        metric_gauge_set(metrics->gauges[i], (int64_t)row_value(&metrics->snapshot, &gauges[i]));
}

/* Makes a registry and its series, which are those of `metrics` from now on. */
static struct metrics *register_all(struct gateway_metrics *metrics)
{
    struct metrics *registry = metrics_new();
    for (size_t i = 0; i < COUNTERS; i++) {
        const struct row *row = &counters[i];
        const char *const labels[] = {row->label, row->value, NULL};
        metrics->counters[i] =
            metrics_counter(registry, row->name, row->help, row->label ? labels : NULL);
    }
    for (size_t i = 0; i < GAUGES; i++) {
        const struct row *row = &gauges[i];
        const char *const labels[] = {row->label, row->value, NULL};
        metrics->gauges[i] =
            metrics_gauge(registry, row->name, row->help, row->label ? labels : NULL, 1);
    }
    metrics->record_age = metrics_histogram(
        registry, "smartstack_gateway_record_age_seconds",
        "Age of records when they arrive live, by the broker's or the producer's clock.", NULL,
        &metric_buckets_latency);
    process_metrics_register(registry, SMARTSTACK_VERSION);
    metrics_show_least(registry, "smartstack_gateway_kafka_up");
    metrics_show_least(registry, "process_start_time_seconds");
    metrics_show_least(registry, "build_info");
    return registry;
}

/* Writes this process's place in the shared memory, for whichever worker is scraped. */
static void tell_other_workers(const struct gateway_metrics *metrics)
{
    scoreboard_tell(metrics->slot, monotonic_ms(), metrics->ready, metrics->registry,
                    metrics->base);
}

/* Our own first, so that a scrape shows this worker as it is now; the others are as of their last
 * second. */
static void collect_total(void *context)
{
    const struct gateway_metrics *metrics = context;
    tell_other_workers(metrics);
    scoreboard_sum(metrics->slot->scoreboard, metrics->total);
}

/* Before any part is made, since parts are given their histograms. */
struct gateway_metrics *gateway_metrics_new(const struct scoreboard_slot *slot)
{
    struct gateway_metrics *metrics = mem_new(struct gateway_metrics);
    /* Two registries of the same shape: one for the sum of all workers, which is what a scrape
     * sees, and one for this process, which goes onto the scoreboard. A gateway that is alone has
     * the second only, and shows that one. */
    if (slot) { /* before its own: what both of them know is the one that was registered last */
        metrics->total = register_all(metrics);
        metrics_on_collect(metrics->total, collect_total, metrics);
        metrics->slot = slot;
        metrics->base = scoreboard_base(slot, metrics_count(metrics->total));
    }
    metrics->registry = register_all(metrics);
    metrics_on_collect(metrics->registry, collect_own, metrics);
    return metrics;
}

void gateway_metrics_free(struct gateway_metrics *metrics)
{
    if (!metrics)
        return;
    if (metrics->slot)
        metrics_free(metrics->total);
    metrics_free(metrics->registry);
    free(metrics->base);
    free(metrics);
}

/* The port of operations is shared: whoever takes the scrape answers for all. */
struct metrics *gateway_metrics_registry(const struct gateway_metrics *metrics)
{
    return metrics->slot ? metrics->total : metrics->registry;
}

void gateway_metrics_tell(struct gateway_metrics *metrics, bool ready)
{
    metrics->ready = ready;
    if (metrics->slot)
        tell_other_workers(metrics);
}

/* The sources are borrowed: they are freed after the last scrape, when the loop no longer runs. */
void gateway_metrics_attach(struct gateway_metrics *metrics,
                            const struct gateway_metrics_sources *sources)
{
    metrics->sources = *sources;
}

struct metric_histogram *gateway_metrics_record_age(const struct gateway_metrics *metrics)
{
    return metrics->record_age;
}
