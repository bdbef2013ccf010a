/* The table of the gateway's settings: what there is, its default and its range. --help,
 * --settings-json and the refusals are made from it.
 *
 * The invariant: a default, and any value inside of its range, is good by itself. What goes wrong
 * only together with something else is in gateway_settings_check.c; who adds a setting whose values
 * can contradict another's adds a check there. */
#include "gateway_settings.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "hub.h"
#include "json.h"
#include "presence.h"
#include "token.h"
#include "websocket_frame.h"
#include "ws_message.h"

/* One row. The path in the file, the variable and the word in --help all come from `where`. */
#define SETTING(kind, where, field, text, ...)                                                  \
    {                                                                                           \
        .path = "gateway." where, .type = SETTING_##kind,                                       \
        .offset = offsetof(struct gateway_settings, field), .default_text = (text), __VA_ARGS__ \
    }
#define RANGE(low, high) .minimum = (low), .maximum = (high)

#define KIB ((int64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define MINUTES ((int64_t)60 * 1000)
#define HOURS (60 * MINUTES)

/* In the order of enum gateway_auth_mode: a choice is its index. */
static const char *const auth_modes[] = {"token", "development", NULL};

static const struct setting table[] = {
    SETTING(INTEGER, "workers", workers, "1", RANGE(1, GATEWAY_WORKERS_LIMIT),
            .help = "Processes that share the port, each with a loop of its own; one per core, as "
                    "--workers N. http.connections, http.accepts_per_second, limits.sessions and "
                    "drain.per_second are for all together."),
    /* --- HTTP */
    SETTING(STRING, "http.address", address, NULL,
            .help = "Address to listen on; if it is left out, all, IPv4 and IPv6, but 127.0.0.1 in "
                    "development mode (auth.mode)."),
    SETTING(INTEGER, "http.port", port, "8080", RANGE(0, 65535),
            .help = "Port for clients. /livez and /readyz answer there too, with a code and no "
                    "details, for load balancers. 0: any free one."),
    SETTING(BOOLEAN, "http.share_port", share_port, "false",
            .help = "Let several gateways of this machine listen on the port (SO_REUSEPORT)."),
    SETTING(STRING, "http.static_directory", static_directory, NULL,
            .help = "Files to serve under /, read once at the start: a page, for demonstrations."),
    SETTING(INTEGER, "http.connections", connections, "0", RANGE(0, 10000000),
            .help = "Connections at a time, if the limit of open files allows so many; 0: two for "
                    "each of limits.sessions, as long-polling takes them."),
    SETTING(INTEGER, "http.accepts_per_second", accepts_per_second, "0", RANGE(0, 1000000),
            .help = "Connections accepted in a second; the others wait. While thousands return at "
                    "once, live notifications come sooner. 0: as many as come."),
    SETTING(SIZE, "http.send_buffer", send_buffer, "32KiB", RANGE(0, 64 * MIB),
            .help = "The kernel's send buffer per connection. A large one hides slow clients; 0: "
                    "the kernel's choice."),
    SETTING(DURATION, "http.head_timeout", head_timeout_ms, "10s", RANGE(100, HOURS),
            .help = "Time for a request's head to arrive."),
    SETTING(DURATION, "http.body_timeout", body_timeout_ms, "30s", RANGE(100, HOURS),
            .help = "Time for a request's body to arrive."),
    SETTING(DURATION, "http.idle_timeout", idle_timeout_ms, "60s", RANGE(100, HOURS),
            .help = "How long a connection may stay between requests."),
    SETTING(LIST, "http.trusted_proxies", proxies, NULL, RANGE(0, TRUSTED_PROXIES_LIMIT),
            .help = "Networks (10.0.0.0/8) of load balancers that say in X-Forwarded-For or "
                    "Forwarded whom they have heard: their word counts for quotas.address. Of "
                    "others both fields are not looked at."),
    SETTING(STRING, "tls.certificate_file", certificate_file, NULL,
            .help = "PEM file of the certificate and its chain: TLS. Read again on SIGHUP."),
    SETTING(STRING, "tls.key_file", certificate_key_file, NULL,
            .help = "PEM file of the certificate's key."),
    SETTING(LIST, "cors.origins", cors_origins, NULL, RANGE(0, 100),
            .help = "Origins of pages on other hosts that may connect; * for any. Compared "
                    "exactly. If there are any, or in development mode, others are refused; "
                    "in development mode pages of this machine may connect, too."),
    SETTING(BOOLEAN, "cors.credentials", cors_credentials, "false",
            .help = "Let those pages send cookies."),

    /* --- Operations */
    SETTING(STRING, "operations.address", operations_address, "127.0.0.1",
            .help = "Address for /livez, /readyz and /metrics with all they know: this machine "
                    "alone by default; \"::\" is all addresses. Not for clients."),
    SETTING(INTEGER, "operations.port", operations_port, "8082", RANGE(0, 65535),
            .help = "Port for /livez, /readyz and /metrics; workers share it. 0: any free one."),

    /* --- Socket.IO */
    SETTING(STRING, "socketio.path", path, "/socket.io/", .help = "Path of Socket.IO."),
    SETTING(LIST, "socketio.namespaces", namespaces, "/", RANGE(1, 100),
            .help = "Namespaces that clients may connect to."),
    SETTING(DURATION, "socketio.ping_interval", ping_interval_ms, "25s", RANGE(50, HOURS),
            .help = "How often a client is pinged."),
    SETTING(DURATION, "socketio.ping_timeout", ping_timeout_ms, "20s", RANGE(50, HOURS),
            .help = "How long it may take to answer."),
    SETTING(DURATION, "socketio.connect_timeout", connect_timeout_ms, "45s", RANGE(100, HOURS),
            .help = "Time for a client to connect to a namespace."),
    SETTING(DURATION, "socketio.upgrade_timeout", upgrade_timeout_ms, "10s", RANGE(100, HOURS),
            .help = "Time for an upgrade from long-polling to WebSocket."),
    SETTING(SIZE, "socketio.max_payload", max_payload, "1MB", RANGE(KIB, WEBSOCKET_MESSAGE_MAX),
            .help = "Largest message or POST body of a client."),
    SETTING(SIZE, "socketio.queue", queue_bytes, "1MiB", RANGE(16 * KIB, GIB),
            .help = "Answers that wait for a client at most; beyond it the connection is closed. "
                    "Notifications are not in it."),
    SETTING(INTEGER, "socketio.json_depth", json_depth, "64", RANGE(4, JSON_DEPTH_MAX),
            .help = "Deepest nesting of JSON that a client may send."),
    SETTING(BOOLEAN, "socketio.polling", polling, "true", .help = "Allow long-polling."),
    SETTING(BOOLEAN, "socketio.websocket", websocket, "true", .help = "Allow WebSocket."),
    SETTING(BOOLEAN, "socketio.compress", compress, "true",
            .help = "Compress long answers to polls."),
    SETTING(STRING, "socketio.cookie", cookie, NULL,
            .help = "Name of a cookie with the session's id, for load balancers that stick by one; "
                    "none if left out. Gateways need none, see peers.secret."),

    /* --- Raw WebSocket */
    SETTING(BOOLEAN, "websocket.enabled", raw_websocket, "true",
            .help = "Serve raw WebSocket: smartstack.v1.json and smartstack.v1.protobuf."),
    SETTING(STRING, "websocket.path", raw_path, "/ws", .help = "Its path."),
    SETTING(SIZE, "websocket.max_message", raw_message, "64KiB", RANGE(KIB, WEBSOCKET_MESSAGE_MAX),
            .help = "Largest message of a client."),
    SETTING(SIZE, "websocket.queue", raw_queue, "256KiB", RANGE(4 * KIB, GIB),
            .help = "Answers that wait for a client at most; beyond it the connection is closed. "
                    "Notifications are not in it."),
    SETTING(INTEGER, "websocket.max_rooms", raw_rooms, "100", RANGE(1, WS_ROOMS_MAX),
            .help = "Rooms in one message."),
    SETTING(INTEGER, "websocket.pending_requests", raw_requests, "32", RANGE(1, 1000),
            .help = "Subscriptions of one connection that are not answered yet; more are refused."),
    SETTING(DURATION, "websocket.hello_timeout", raw_hello_timeout_ms, "45s", RANGE(100, HOURS),
            .help = "Time from the handshake to the end of `connect`."),
    SETTING(DURATION, "websocket.message_timeout", raw_message_timeout_ms, "30s", RANGE(100, HOURS),
            .help = "Time for a message to arrive whole."),
    SETTING(DURATION, "websocket.ping_interval", raw_ping_interval_ms, "25s", RANGE(50, HOURS),
            .help = "How often a client is pinged."),
    SETTING(DURATION, "websocket.ping_timeout", raw_ping_timeout_ms, "20s", RANGE(50, HOURS),
            .help = "How long it may take to give a sign of life."),
    SETTING(DURATION, "websocket.write_timeout", raw_write_timeout_ms, "2m", RANGE(100, HOURS),
            .help = "A client that takes nothing for so long is closed."),
    SETTING(BOOLEAN, "websocket.query_token", raw_query_token, "false",
            .help = "Take a token from the URL's `token` too. URLs stand in logs of proxies."),

    /* --- Server-sent events */
    SETTING(BOOLEAN, "sse.enabled", sse, "true", .help = "Serve server-sent events."),
    SETTING(STRING, "sse.path", sse_path, "/sse", .help = "Their path."),
    SETTING(STRING, "sse.cookie", sse_cookie, NULL,
            .help =
                "Name of the cookie in which a browser brings its token here; auth.cookie if left "
                "out."),
    SETTING(INTEGER, "sse.max_rooms", sse_rooms, "100", RANGE(1, 1000),
            .help = "Rooms in one request."),
    SETTING(DURATION, "sse.retry", sse_retry_ms, "2s", RANGE(100, HOURS),
            .help = "When a client comes again after the end of a stream; spread around this."),
    SETTING(DURATION, "sse.heartbeat", sse_heartbeat_ms, "15s", RANGE(50, HOURS),
            .help = "How often an idle stream gets a comment."),
    SETTING(DURATION, "sse.write_timeout", sse_write_timeout_ms, "2m", RANGE(100, HOURS),
            .help = "A client that takes nothing for so long is closed."),

    /* --- Who may do what */
    SETTING(CHOICE, "auth.mode", auth_mode, "token", .choices = auth_modes,
            .help =
                "development: no tokens, every client is believed; on this machine alone unless "
                "http.address says otherwise. Never in production."),
    SETTING(STRING, "auth.cookie", auth_cookie, NULL,
            .help =
                "Name of the cookie in which browsers bring their token, on all transports; none "
                "if left out. Needs cors.origins: browsers send cookies for pages of others too."),
    SETTING(CHOICE, "token.algorithm", token_algorithm, "HS256", .choices = token_algorithm_names,
            .help = "The only algorithm that is accepted."),
    SETTING(SECRET, "token.secret", token_secret, NULL,
            .help = "Secret for HS256, at least 32 bytes."),
    SETTING(STRING, "token.key_file", token_key_file, NULL,
            .help = "PEM file of the public key or certificate for the other algorithms."),
    SETTING(STRING, "token.jwks_file", token_jwks_file, NULL, .help = "File with a JWK set."),
    SETTING(STRING, "token.jwks_url", token_jwks_url, NULL,
            .help = "URL of a JWK set. Read again for a key that it lacks."),
    SETTING(STRING, "token.issuer", token_issuer, NULL,
            .help = "The `iss` that a token must have; any if it is left out."),
    SETTING(STRING, "token.audience", token_audience, NULL,
            .help = "The audience that `aud` must contain; any if it is left out."),
    SETTING(TREE, "token.sources", token_sources_node, NULL,
            .help =
                "Several issuers, algorithms or audiences side by side, instead of the settings "
                "above: a sequence of {issuer, audience, algorithm, secret, key_file, jwks_file, "
                "jwks_url, tenants}; see deploy/docs/tokens.md."),
    SETTING(BOOLEAN, "token.allow_endless", token_allow_endless, "false",
            .help = "Accept tokens without `exp`."),
    SETTING(DURATION, "token.leeway", token_leeway_ms, "10s", RANGE(0, HOURS),
            .help = "By how much clocks may differ."),
    SETTING(DURATION, "token.refresh", token_refresh_ms, "10m", RANGE(1000, 24 * HOURS),
            .help = "How often a JWK set is read again."),
    SETTING(DURATION, "token.refetch", token_refetch_ms, "10s", RANGE(1000, HOURS),
            .help = "For an unknown key it is not read sooner than this after the last time."),
    SETTING(DURATION, "token.expiry_grace", token_expiry_grace_ms, "30s", RANGE(0, HOURS),
            .help = "Time for a client to bring a fresh token when its own has expired."),
    SETTING(INTEGER, "token.refusals", token_refusals, "5", RANGE(1, 1000),
            .help = "So many tokens and connects of one connection may be refused within "
                    "token.refusals_window; then it is closed."),
    SETTING(DURATION, "token.refusals_window", token_refusals_ms, "60s", RANGE(1000, HOURS),
            .help = "How long refused tokens count against a connection."),
    SETTING(
        INTEGER, "token.checks_per_turn", token_checks, "32", RANGE(1, 10000),
        .help =
            "Tokens checked in a turn, before the clients that are connected are served again."),
    SETTING(TREE, "access", access_node, NULL,
            .help = "Rooms from claims: tenant_claim (tenant), user_claim (sub), connect (given; "
                    "user:{sub} and review:{reviewQueues}), join (allowed; none), and events that "
                    "clients may send (none). See deploy/docs/rights.md."),

    /* --- Limits */
    SETTING(INTEGER, "limits.sessions", sessions, "100000", RANGE(1, 10000000),
            .help = "Sessions at a time; beyond it connections are closed for another try."),
    SETTING(INTEGER, "limits.rooms_per_session", rooms_per_session, "100", RANGE(1, HUB_ROOMS_MOST),
            .help = "Rooms of one session. With recovery.enabled they are fewer if their names are "
                    "long: 10 KiB in all, about 560 whose key is a UUID, or 50 of the longest."),
    SETTING(INTEGER, "limits.lanes_per_session", lanes_per_session, "16", RANGE(1, HUB_LANES_MOST),
            .help = "Lanes in which these rooms may lie."),
    SETTING(INTEGER, "limits.pending_joins", pending_joins, "32", RANGE(1, HUB_JOINS_MOST),
            .help = "Subscriptions of one session that may wait for a lane to open."),
    SETTING(INTEGER, "limits.rooms_per_record", rooms_per_record, "1000",
            RANGE(1, HUB_ROOMS_OF_RECORD_MOST),
            .help = "A record that names more rooms is skipped."),
    SETTING(INTEGER, "limits.outbox", outbox_messages, "64", RANGE(1, HUB_QUEUE_MOST),
            .help = "Notifications queued for one session; beyond it the session falls behind and "
                    "catches up when it can."),
    SETTING(SIZE, "limits.outbox_bytes", outbox_bytes, "256KiB", RANGE(KIB, GIB),
            .help = "The same in bytes; a single notification may be larger."),
    SETTING(INTEGER, "limits.answers", answers, "1024", RANGE(HUB_ANSWERS_LEAST, HUB_ANSWERS_MOST),
            .help = "Answers to subscriptions and the like that wait for one session, which asks "
                    "and does not read; beyond it the connection is closed: too_many_answers."),
    SETTING(SIZE, "limits.answer_bytes", answer_bytes, "512KiB", RANGE(HUB_ANSWER_BYTES_LEAST, GIB),
            .help = "The same in bytes."),
    SETTING(SIZE, "limits.ring", ring_bytes, "8MiB", RANGE(4 * KIB, GIB),
            .help = "Recent records kept per lane, for sessions that are behind."),
    SETTING(DURATION, "limits.open_timeout", open_timeout_ms, "20s", RANGE(100, HOURS),
            .help = "How long a connection or subscription waits for its lanes."),
    SETTING(DURATION, "limits.behind_timeout", behind_timeout_ms, "5m", RANGE(1000, 24 * HOURS),
            .help = "A session that is behind and takes nothing for so long is closed."),
    SETTING(LIST, "conflate", conflate, NULL, RANGE(0, CONFLATION_RULES_LIMIT),
            .help = "Progress: task events, each as event or event/status, and custom events, of "
                    "which a client that is behind gets only the latest of a task. See "
                    "gateway/domain/conflation.h."),
    SETTING(DURATION, "limits.lane_linger", lane_linger_ms, "60s", RANGE(0, 24 * HOURS),
            .help = "How long a lane is read on after its last session left."),
    SETTING(INTEGER, "limits.records_per_turn", records_per_turn, "1000", RANGE(1, 100000),
            .help = "Records handed over before sockets get their turn."),

    /* --- Recovery */
    SETTING(BOOLEAN, "recovery.enabled", recovery, "true",
            .help = "Let clients continue where they were, on any gateway."),
    SETTING(SECRET, "recovery.keys", recovery_keys, NULL,
            .help = "Secrets that sign what clients present to continue, newest first, separated "
                    "by commas, at least 32 bytes each; the same in all gateways. If left out, "
                    "derived from token.secret."),
    SETTING(SIZE, "recovery.horizon", horizon_bytes, "64MiB", RANGE(4 * KIB, 1024 * GIB),
            .help = "A client that is further behind in a lane than this starts afresh."),
    SETTING(SIZE, "recovery.read_back", read_back_bytes, "64MiB", RANGE(0, 1024 * GIB),
            .help =
                "Records that were read back for one client are kept for half a minute for others: "
                "so many bytes in all lanes together, with all that is made of them for clients. "
                "Catching up holds no more than this beyond limits.ring and the sessions' queues."),
    SETTING(SIZE, "recovery.cursor_lag", cursor_lag_bytes, "1MiB", RANGE(4 * KIB, 1024 * GIB),
            .help = "A client whose cursor is further behind than this, or than half of "
                    "recovery.horizon, gets a new one."),
    SETTING(DURATION, "recovery.truncation_confirm", truncation_confirm_ms, "5s", RANGE(0, HOURS),
            .help = "How long a log must be shorter than a cursor before that is believed."),
    SETTING(INTEGER, "recovery.scans", scans, "4", RANGE(1, 64),
            .help = "Lanes that are read back at a time; each takes up to 1 MiB."),

    /* --- History: what a subscription may bring of a room's past */
    SETTING(INTEGER, "history.messages", history_messages, "500", RANGE(0, 100000),
            .help = "Notifications of one history; of more the oldest are left out, and the answer "
                    "says so. 0: there are none, and requests for them are refused."),
    SETTING(SIZE, "history.bytes", history_bytes, "16MiB", RANGE(4 * KIB, 1024 * GIB),
            .help = "How far back a lane is read for one, in bytes of all its records; older "
                    "notifications are left out."),
    SETTING(DURATION, "history.age", history_age_ms, "24h", RANGE(1000, 10000 * HOURS),
            .help = "Older notifications are left out."),
    SETTING(SIZE, "history.buffered", history_buffered, "64MiB", RANGE(64 * KIB, 1024 * GIB),
            .help = "Bytes that are read for all clients and not given yet; one history may have "
                    "an eighth of them. Beyond it the oldest of a history are left out."),
    SETTING(SIZE, "history.tenant_buffered", history_tenant_buffered, "32MiB",
            RANGE(8 * KIB, 1024 * GIB),
            .help = "The same of all clients of one tenant, so that those who do not read leave "
                    "the others' as they are."),
    SETTING(SIZE, "history.session_buffered", history_session_buffered, "8MiB",
            RANGE(8 * KIB, 1024 * GIB), .help = "The same of one session."),

    /* --- State: what a room shows; history.buffered holds for it too, and where it is read back
     * history.bytes and .age */
    SETTING(
        INTEGER, "state.items", state_items, "1000", RANGE(0, 100000),
        .help =
            "Items of a room's state; of more, those that have not changed for longest are left "
            "out, and the answer says so. 0: there is none, and requests for it are refused."),
    SETTING(SIZE, "state.bytes", state_bytes, "64MiB", RANGE(0, 1024 * GIB),
            .help = "What a process may hold of what rooms show, of all lanes whose state is asked "
                    "for. A lane that does not fit is read back instead, as far as history.bytes "
                    "and .age go, and so are all if it is 0."),

    /* --- Events of clients to the backend; which there are, gateway.access says */
    SETTING(STRING, "client_events.topic", events_topic, "clients.events",
            .help = "Where events of clients go; which events there are, gateway.access.events "
                    "says."),
    SETTING(STRING, "client_events.review_log", review_log, NULL,
            .help = "Where review.claim, review.release and review.decide go instead: the "
                    "dispatcher's dispatcher.review.log (deploy/docs/reviews.md). None if left "
                    "out: they are events like others."),
    SETTING(SIZE, "client_events.max_size", event_bytes, "64KiB", RANGE(16, 16 * MIB),
            .help = "Largest payload of one."),
    SETTING(INTEGER, "client_events.pending", events_pending, "32", RANGE(1, 10000),
            .help = "Events of one session that may wait for the broker."),
    SETTING(INTEGER, "client_events.rate", events_rate, "20", RANGE(1, 100000),
            .help = "Events per second of one session, in the long run."),
    SETTING(INTEGER, "client_events.burst", events_burst, "40", RANGE(1, 100000),
            .help = "Events of one session at once."),
    SETTING(INTEGER, "client_events.buffered", events_buffered, "10000", RANGE(1, 1000000),
            .help = "Events of all sessions that may wait for the broker."),
    SETTING(SIZE, "client_events.buffered_bytes", events_buffered_bytes, "64MiB",
            RANGE(64 * KIB, 1024 * GIB),
            .help = "The same in bytes, headers included; more than one event of max_size."),
    SETTING(DURATION, "client_events.timeout", events_timeout_ms, "10s", RANGE(1000, HOURS),
            .help = "How long one may wait; then its client is told to try again."),

    /* --- Other gateways */
    SETTING(
        SECRET, "peers.secret", peers_secret, NULL,
        .help =
            "Lets clients use several gateways without sticky sessions: gateways pass on requests "
            "that reach the wrong one. The same in all of them, at least 32 bytes; several, "
            "newest first, separated by commas. If left out, every gateway is alone."),
    SETTING(STRING, "peers.address", peers_address, NULL,
            .help =
                "Numeric address at which other gateways reach this one; if it is left out, the "
                "first of this machine that is inside peers.network."),
    SETTING(INTEGER, "peers.port", peers_port, "8081", RANGE(0, 65535),
            .help = "Port for other gateways; with workers the next ones too, one for each; 0: any "
                    "free one. Never open it to clients."),
    SETTING(LIST, "peers.network", peers_networks,
            "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fd00::/8", RANGE(1, PEER_NETWORKS_LIMIT),
            .help = "Networks of the gateways: no other address is ever connected to."),
    SETTING(DURATION, "peers.timeout", peers_timeout_ms, "5s", RANGE(10, HOURS),
            .help = "How long another gateway may take to answer; below socketio.ping_timeout."),
    SETTING(INTEGER, "peers.connections", peers_connections, "4096", RANGE(8, 1000000),
            .help =
                "Connections to one other gateway: one for each poll that is held there. As many "
                "requests may wait for one."),

    SETTING(SIZE, "peers.buffered", peers_buffered, "64MiB", RANGE(MIB, 1024 * GIB),
            .help = "Requests to other gateways that have not gone out; more have failed."),
    /* --- What all sessions of a user, a tenant or an address may ask for; of each process */
    SETTING(INTEGER, "quotas.user.sessions", quotas[QUOTA_USER][QUOTA_SESSIONS], "1000",
            RANGE(0, 1000000), .help = "Sessions of one user at a time; 0: any number."),
    SETTING(INTEGER, "quotas.user.connects", quotas[QUOTA_USER][QUOTA_CONNECTS], "50",
            RANGE(0, 1000000), .help = "Connects of one user in a second; 0: any number."),
    SETTING(INTEGER, "quotas.user.subscribes", quotas[QUOTA_USER][QUOTA_SUBSCRIBES], "200",
            RANGE(0, 1000000),
            .help = "Subscriptions, by all sessions of one user, in a second; 0: any number."),
    SETTING(INTEGER, "quotas.user.histories", quotas[QUOTA_USER][QUOTA_HISTORIES], "50",
            RANGE(0, 1000000),
            .help = "Subscriptions with history or state, likewise; 0: any number."),
    SETTING(INTEGER, "quotas.user.events", quotas[QUOTA_USER][QUOTA_EVENTS], "100",
            RANGE(0, 1000000), .help = "Events to the backend, likewise; 0: any number."),
    SETTING(INTEGER, "quotas.tenant.sessions", quotas[QUOTA_TENANT][QUOTA_SESSIONS], "0",
            RANGE(0, 1000000), .help = "Sessions of one tenant at a time; 0: any number."),
    SETTING(INTEGER, "quotas.tenant.connects", quotas[QUOTA_TENANT][QUOTA_CONNECTS], "0",
            RANGE(0, 1000000), .help = "Connects of one tenant in a second; 0: any number."),
    SETTING(INTEGER, "quotas.tenant.subscribes", quotas[QUOTA_TENANT][QUOTA_SUBSCRIBES], "0",
            RANGE(0, 1000000),
            .help = "Subscriptions, by all sessions of one tenant, in a second; 0: any number."),
    SETTING(INTEGER, "quotas.tenant.histories", quotas[QUOTA_TENANT][QUOTA_HISTORIES], "0",
            RANGE(0, 1000000),
            .help = "Subscriptions with history or state, likewise; 0: any number."),
    SETTING(INTEGER, "quotas.tenant.events", quotas[QUOTA_TENANT][QUOTA_EVENTS], "0",
            RANGE(0, 1000000), .help = "Events to the backend, likewise; 0: any number."),
    SETTING(INTEGER, "quotas.address.sessions", quotas[QUOTA_ADDRESS][QUOTA_SESSIONS], "0",
            RANGE(0, 1000000),
            .help = "Sessions of one address (IPv6: of one /64) at a time, counted before the "
                    "token is looked at; 0: any number. Many clients may share one; behind a load "
                    "balancer all do, without http.trusted_proxies."),
    SETTING(INTEGER, "quotas.address.connects", quotas[QUOTA_ADDRESS][QUOTA_CONNECTS], "0",
            RANGE(0, 1000000), .help = "Connects of one address in a second; 0: any number."),
    SETTING(DURATION, "quotas.burst", quota_burst_ms, "10s", RANGE(1000, HOURS),
            .help = "A user, tenant or address that has been quiet may ask for so much time's "
                    "worth at once."),
    SETTING(INTEGER, "quotas.remembered", quota_quiet, "10000", RANGE(1, 1000000),
            .help = "Users and tenants without sessions whose quotas are remembered, and as many "
                    "addresses."),

    /* --- Orders of the backend: deploy/docs/control.md */
    SETTING(STRING, "control.topic", control_topic, NULL,
            .help = "Compacted topic of one partition, with orders of the backend: end these "
                    "sessions, refuse those tokens, out of this room, into that one. Read whole "
                    "before anybody is let in; `--control` writes. None if left out."),
    SETTING(INTEGER, "control.orders", control_orders, "100000", RANGE(1, 10000000),
            .help = "Orders in force at a time. Beyond it the topic is read no further, and the "
                    "gateway is not ready, until the time of one is over."),
    SETTING(DURATION, "control.order_age", control_age_ms, "24h", RANGE(1000, 10000 * HOURS),
            .help = "An order is in force for so long at most, from when it was written: as long "
                    "as tokens live."),
    SETTING(BOOLEAN, "control.tell", control_tell, "true",
            .help = "Tell whom an order ends or refuses (disconnected, token_revoked); else the "
                    "code is not_allowed."),

    /* --- Who is in a room: deploy/docs/presence.md */
    SETTING(LIST, "presence.rooms", presence_rooms, NULL, RANGE(0, LAYOUT_KINDS_LIMIT),
            .help = "Kinds of rooms whose members may hear who else is there, as task, project. "
                    "None if left out."),
    SETTING(STRING, "presence.topic", presence_topic, "smartstack.presence",
            .help = "Compacted topic of one partition, in which gateways tell each other who is "
                    "there. Used if presence.rooms lists any."),
    SETTING(INTEGER, "presence.users", presence_users, "100", RANGE(1, PRESENCE_USERS_MOST),
            .help = "Users named for a room, by each gateway and in what a client is told; the "
                    "others are counted."),
    SETTING(INTEGER, "presence.entries", presence_entries, "1000000",
            RANGE(PRESENCE_USERS_MOST + 1, 100000000),
            .help = "Rooms, and users in them, of which other gateways tell, that are kept; what "
                    "goes beyond is counted, or not known, until there is space again."),
    SETTING(INTEGER, "presence.tenant_entries", presence_tenant_entries, "250000",
            RANGE(PRESENCE_USERS_MOST + 1, 100000000),
            .help = "Of these, about the rooms of one tenant, so that no tenant's crowd makes what "
                    "others see incomplete."),
    SETTING(DURATION, "presence.linger", presence_linger_ms, "2s", RANGE(0, MINUTES),
            .help = "Who has left is in the room for so long yet: a reload of the page, or a move "
                    "to another gateway, is no leaving."),

    SETTING(DURATION, "broker_check", probe_interval_ms, "5s", RANGE(500, HOURS),
            .help = "How often the broker is asked whether it is there."),
    SETTING(DURATION, "read_stall", stall_ms, "2s", RANGE(1000, HOURS),
            .help = "A lane whose log grows, and of which nothing comes for so long, is told to "
                    "its clients as stale, and read anew. They are told within one and a half "
                    "times as long, and a second."),
    SETTING(DURATION, "drain.grace", drain_grace_ms, "2s", RANGE(0, HOURS),
            .help =
                "How long clients stay after SIGTERM, while load balancers notice that the gateway "
                "is not ready any more."),
    SETTING(
        INTEGER, "drain.per_second", drain_per_second, "1000", RANGE(0, 1000000),
        .help =
            "Clients that are then sent away per second, to continue elsewhere; 0: all at once."),
    SETTING(
        DURATION, "shutdown_timeout", shutdown_timeout_ms, "25s", RANGE(0, HOURS),
        .help =
            "How long the gateway takes to end after SIGTERM; clients that are still there in the "
            "last fifth are sent away regardless of the pace. Less than its supervisor allows."),
};

struct config_group gateway_settings_group(struct gateway_settings *settings)
{
    return (struct config_group){
        .settings = table, .count = sizeof(table) / sizeof(table[0]), .target = settings};
}

/* More could not open a session: 0 stands for what all of them may take. */
unsigned gateway_settings_connections(const struct gateway_settings *settings)
{
    assert(settings->connections >= 0 && settings->sessions > 0);
    return (unsigned)(settings->connections ? settings->connections : 2 * settings->sessions);
}

/* As many as this gateway dials may come from others. */
unsigned gateway_settings_peer_connections(const struct gateway_settings *settings)
{
    return settings->peers_secret ? 2 * (unsigned)settings->peers_connections : 0;
}

/* Without a list there is one source, made from what stands flat in gateway.token; times and limits
 * are the same for all. Everything is borrowed from the settings. */
size_t gateway_settings_token_sources(const struct gateway_settings *settings,
                                      struct token_source_config configs[TOKEN_SOURCES_LIMIT])
{
    const struct token_source_settings *sources = &settings->token_sources;
    assert(sources->count <= TOKEN_SOURCES_LIMIT);
    configs[0] = (struct token_source_config){
        .token = {.algorithm = (enum token_algorithm)settings->token_algorithm,
                  .secret = settings->token_secret,
                  .key_file = settings->token_key_file,
                  .jwks_file = settings->token_jwks_file,
                  .jwks_url = settings->token_jwks_url,
                  .issuer = settings->token_issuer,
                  .audience = settings->token_audience}};
    for (size_t i = 0; i < sources->count; i++)
        token_source_settings_get(sources, i, &configs[i]);
    size_t count = sources->count ? sources->count : 1;
    for (size_t i = 0; i < count; i++) {
        struct token_config *config = &configs[i].token;
        config->allow_endless = settings->token_allow_endless;
        config->leeway_ms = settings->token_leeway_ms;
        config->refresh_ms = settings->token_refresh_ms;
        config->refetch_ms = settings->token_refetch_ms;
        config->waiting = GATEWAY_TOKENS_WAITING;
        config->checks_per_turn = (unsigned)settings->token_checks;
    }
    return count;
}

/* Secrets separated by commas, the newest first: it signs, and all of them are accepted, so that a
 * secret is changed without a moment in which gateways refuse each other. */
static size_t split_secrets(const char *text, struct bytes *secrets, size_t limit)
{
    size_t count = 0;
    while (text && count < limit) {
        size_t size = strcspn(text, ",");
        secrets[count++] = bytes_of(text, size);
        text = text[size] ? text + size + 1 : NULL;
    }
    return count;
}

size_t gateway_settings_peer_secrets(const struct gateway_settings *settings,
                                     struct bytes secrets[PEER_SECRETS_LIMIT])
{
    return split_secrets(settings->peers_secret, secrets, PEER_SECRETS_LIMIT);
}

size_t gateway_settings_recovery_keys(const struct gateway_settings *settings,
                                      struct bytes keys[HUB_KEYS_MOST])
{
    /* A secret that all gateways share already: clients can then continue on any of them without
     * one more thing to configure. cursor_keys_init() derives a key of its own from it. */
    if (!settings->recovery_keys && settings->token_secret) {
        keys[0] = bytes_of_string(settings->token_secret);
        return 1;
    }
    return split_secrets(settings->recovery_keys, keys, HUB_KEYS_MOST);
}

/* Only what was made from the settings; texts and lists are the configuration's. */
void gateway_settings_deinit(struct gateway_settings *settings)
{
    token_source_settings_deinit(&settings->token_sources);
    policy_free(settings->policy);
    conflation_free(settings->conflation);
    settings->conflation = NULL;
    settings->policy = NULL;
}
