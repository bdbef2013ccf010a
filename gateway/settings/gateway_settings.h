/* What is configured under `gateway:`: the table for config.h, and what follows from it. Not what
 * both programs read (shared_config.h). */
#ifndef GATEWAY_SETTINGS_GATEWAY_SETTINGS_H
#define GATEWAY_SETTINGS_GATEWAY_SETTINGS_H

#include "client_address.h"
#include "config.h"
#include "conflation.h"
#include "hub.h"
#include "peer_sid.h"
#include "policy.h"
#include "problems.h"
#include "quotas.h"
#include "shared_config.h"
#include "token_source_settings.h"

enum gateway_auth_mode { GATEWAY_AUTH_TOKEN, GATEWAY_AUTH_DEVELOPMENT };

enum { GATEWAY_WORKERS_LIMIT = 64, GATEWAY_TOKENS_WAITING = 10000 };

struct gateway_settings {
    int64_t workers;

    /* gateway.http */
    char *address;
    int64_t port;
    char *static_directory;
    bool share_port;
    int64_t connections, accepts_per_second;
    int64_t send_buffer;
    int64_t head_timeout_ms, body_timeout_ms, idle_timeout_ms;
    char *certificate_file;
    char *certificate_key_file;
    struct config_list proxies;
    struct config_list cors_origins;
    bool cors_credentials;

    /* gateway.operations */
    char *operations_address;
    int64_t operations_port;

    /* gateway.socketio */
    char *path;
    struct config_list namespaces;
    int64_t ping_interval_ms, ping_timeout_ms, connect_timeout_ms, upgrade_timeout_ms;
    int64_t max_payload;
    int64_t queue_bytes;
    int64_t json_depth;
    bool polling, websocket, compress;
    char *cookie;

    /* gateway.websocket */
    bool raw_websocket;
    char *raw_path;
    int64_t raw_message, raw_queue, raw_rooms, raw_requests;
    int64_t raw_hello_timeout_ms, raw_message_timeout_ms;
    int64_t raw_ping_interval_ms, raw_ping_timeout_ms, raw_write_timeout_ms;
    bool raw_query_token;

    /* gateway.sse */
    bool sse;
    char *sse_path;
    char *sse_cookie;
    int64_t sse_rooms;
    int64_t sse_retry_ms, sse_heartbeat_ms, sse_write_timeout_ms;

    /* gateway.auth, gateway.token, gateway.access */
    int auth_mode; /* enum gateway_auth_mode */
    char *auth_cookie;
    int token_algorithm; /* enum token_algorithm */
    char *token_secret;
    char *token_key_file;
    char *token_jwks_file;
    char *token_jwks_url;
    char *token_issuer;
    char *token_audience;
    const struct document_node *token_sources_node;
    struct token_source_settings token_sources;
    bool token_allow_endless;
    int64_t token_refusals, token_refusals_ms, token_checks;
    int64_t token_leeway_ms, token_refresh_ms, token_refetch_ms, token_expiry_grace_ms;
    const struct document_node *access_node;

    /* gateway.limits */
    int64_t sessions, rooms_per_session, lanes_per_session, pending_joins, rooms_per_record;
    int64_t outbox_messages, outbox_bytes, answers, answer_bytes;
    int64_t ring_bytes;
    int64_t open_timeout_ms, behind_timeout_ms, lane_linger_ms;
    int64_t records_per_turn;

    struct config_list conflate;

    /* gateway.recovery */
    bool recovery;
    char *recovery_keys;
    int64_t horizon_bytes, read_back_bytes, cursor_lag_bytes, truncation_confirm_ms;
    int64_t scans;

    /* gateway.history */
    int64_t history_messages, history_bytes, history_age_ms, history_buffered;
    int64_t history_tenant_buffered, history_session_buffered;
    /* gateway.state */
    int64_t state_items;
    int64_t state_bytes;

    /* gateway.client_events */
    char *events_topic;
    char *review_log; /* NULL: there is none */
    int64_t event_bytes, events_pending, events_rate, events_burst, events_buffered;
    int64_t events_buffered_bytes;
    int64_t events_timeout_ms;

    /* gateway.peers */
    char *peers_secret;
    char *peers_address;
    int64_t peers_port;
    struct config_list peers_networks;
    int64_t peers_timeout_ms;
    int64_t peers_connections, peers_buffered;

    /* gateway.drain */
    int64_t drain_grace_ms, drain_per_second;

    /* gateway.control */
    char *control_topic; /* NULL: there are no orders */
    int64_t control_orders, control_age_ms;
    bool control_tell;

    /* gateway.presence */
    char *presence_topic;
    struct config_list presence_rooms; /* kinds; none: there is none */
    int64_t presence_users, presence_entries, presence_tenant_entries, presence_linger_ms;

    int64_t probe_interval_ms;
    int64_t stall_ms;
    int64_t shutdown_timeout_ms;

    /* gateway.quotas */
    int64_t quotas[QUOTA_SCOPES][QUOTA_KINDS];
    int64_t quota_burst_ms, quota_quiet;

    struct policy *policy; /* these two are made by gateway_settings_finish() */
    struct conflation *conflation;
};

struct config_group gateway_settings_group(struct gateway_settings *settings);

/* Makes the policy and finds contradictions and what cannot be had, adding problems, and what is
 * allowed but unwise, adding warnings; after shared_config_finish(). */
void gateway_settings_finish(struct gateway_settings *settings, const struct shared_config *shared,
                             struct problems *problems, struct problems *warnings);
void gateway_settings_deinit(struct gateway_settings *settings);

/* Connections of clients that may be there at a time, if descriptors allow it; at least 1. */
unsigned gateway_settings_connections(const struct gateway_settings *settings);
/* Connections to and from other gateways; 0: there are none. */
unsigned gateway_settings_peer_connections(const struct gateway_settings *settings);

/* How tokens are checked, of each source; borrows. The number of them, at least 1. */
size_t gateway_settings_token_sources(const struct gateway_settings *settings,
                                      struct token_source_config configs[TOKEN_SOURCES_LIMIT]);

/* The keys for cursors and private ids, newest first, borrowed: those that are configured; else the
 * token's secret, of which the hub derives its own; else none. */
size_t gateway_settings_recovery_keys(const struct gateway_settings *settings,
                                      struct bytes keys[HUB_KEYS_MOST]);

/* The secrets of peers, newest first, borrowed; none: each gateway is alone. */
size_t gateway_settings_peer_secrets(const struct gateway_settings *settings,
                                     struct bytes secrets[PEER_SECRETS_LIMIT]);

#endif
