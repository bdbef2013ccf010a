/* The gateway as a whole: which parts there are, in which order they are made, and who is given
 * what of the settings. No part finds another by itself; this is the only file that knows them all.
 *
 * Parts are made from the ground up: loop, identities, Kafka, hub, HTTP, transports, and the port
 * of clients last, so that nobody comes in before all of it stands. They are freed from the outside
 * in: sessions before the hub that they are in, the hub before its sources, and the loop at the
 * end, since everybody has something in it.
 *
 * The invariant: gateway_process_close() takes what open_parts() has left, wherever it stopped: a
 * part that was not made is NULL. */
#include "gateway_process.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "client_log.h"
#include "clocks.h"
#include "gateway_process_private.h"
#include "log.h"
#include "mem.h"

enum {
    TOKENS_WAITING_BYTES = 64 * 1024 * 1024,
    STREAM_WRITE_BYTES = 64 * 1024,
    STATE_CHUNK_BYTES = 16 * 1024, /* of a state, in one event, and in one write */
    VIEW_IDLE_MS = 10 * 60 * 1000, /* what a lane shows is kept so long for the next who asks */
    DESCRIPTORS_LEAST = 2 * LWS_SERVER_RESERVE,
};

/* The process's only source of chance, given to all parts as a function, so that tests can give
 * another. getrandom() may return less for a large request, or if a signal comes in between. */
static void fill_random(void *context, uint8_t *out, size_t size)
{
    (void)context;
    while (size > 0) {
        ssize_t got = getrandom(out, size, 0);
        assert(got > 0); /* the kernel's generator is ready long before us */
        out += got;
        size -= (size_t)got;
    }
}

/* --- Making the parts ------------------------------------------------------------------------- */

/* Not more than the settings can fill: see limit_descriptors() in lws_loop.c. */
static uint64_t descriptors_wanted(const struct gateway_settings *settings)
{
    uint64_t wanted = gateway_settings_connections(settings) +
                      gateway_settings_peer_connections(settings) + LWS_SERVER_RESERVE;
    return wanted > DESCRIPTORS_LEAST ? wanted : DESCRIPTORS_LEAST;
}

/* How many connections the limit of descriptors allows, and whether that is enough to be of use. */
static enum status check_descriptors(const struct gateway_settings *settings, struct error *error)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return error_set(error, STATUS_IO, "the limit of open files: %s", strerror(errno));
    uint64_t files = limit.rlim_cur;
    if (files < DESCRIPTORS_LEAST)
        return error_set(error, STATUS_LIMIT,
                         "the limit of open files is %" PRIu64 ", of which %d are for Kafka, files "
                         "and other ports: at least %d are needed (ulimit -n, LimitNOFILE)",
                         files, LWS_SERVER_RESERVE, DESCRIPTORS_LEAST);
    uint64_t connections = files - LWS_SERVER_RESERVE;
    /* Only a warning: the default of limits.sessions is large, and a small machine is none the
     * worse. No warning where http.connections is what allows no more. */
    if (connections < gateway_settings_connections(settings) &&
        connections < (uint64_t)settings->sessions)
        log_warning("the limit of open files allows fewer connections than limits.sessions",
                    LOG_UNSIGNED("files", files), LOG_UNSIGNED("connections", connections),
                    LOG_INTEGER("sessions", settings->sessions));
    return STATUS_OK;
}

/* The loop sets the limit of descriptors before it is judged. Signals are taken before any thread
 * is started, which would otherwise get them. */
static enum status open_loop(struct gateway_process *process, struct error *error)
{
    struct lws_loop_config config = {.descriptors = descriptors_wanted(process->settings),
                                     .tls = process->settings->certificate_file != NULL};
    enum status status = lws_loop_new(&config, &process->loop, error);
    if (status != STATUS_OK)
        return status;
    status = check_descriptors(process->settings, error);
    if (status != STATUS_OK)
        return status;
    timer_wheel_init(&process->wheel, lws_loop_now_ms(process->loop));
    return gateway_turn_take_signals(process, error);
}

/* Two layers: identities judges a token, and the queue in front of it lets no more than so many be
 * judged in a turn, since a signature costs far more than a delivery. */
static enum status open_identities(struct gateway_process *process, struct error *error)
{
    const struct gateway_settings *settings = process->settings;
    if (settings->auth_mode == GATEWAY_AUTH_DEVELOPMENT) {
        log_warning("DEVELOPMENT MODE: no tokens, every client is believed",
                    LOG_STRING("address", settings->address));
    } else {
        struct token_source_config configs[TOKEN_SOURCES_LIMIT];
        size_t count = gateway_settings_token_sources(settings, configs);
        enum status status = token_sources_open(configs, count, &process->tokens, error);
        if (status != STATUS_OK)
            return status;
    }
    struct identities_config config = {
        .sources = process->tokens, .policy = settings->policy, .wall_ms = wall_ms};
    process->identities = identities_new(&config);
    struct identity_queue_config queue = {.ops = &identities_ops,
                                          .identifier = process->identities,
                                          .per_turn = (unsigned)settings->token_checks,
                                          .waiting = GATEWAY_TOKENS_WAITING,
                                          .bytes = TOKENS_WAITING_BYTES};
    process->identity_queue = identity_queue_new(&queue);
    return STATUS_OK;
}

/* Waits for nothing: a gateway starts without its broker, says that it is not ready, and goes on
 * looking for it. */
static enum status open_kafka(struct gateway_process *process, struct error *error)
{
    const struct gateway_settings *settings = process->settings;
    struct kafka_source_config config = {
        .settings = process->shared->kafka,
        .layout = process->shared->layout,
        .client_id = "smartstack-gateway",
        .scans = (unsigned)settings->scans,
        .records_per_turn = (unsigned)settings->records_per_turn,
        .probe_interval_ms = settings->probe_interval_ms,
        .stall_ms = settings->stall_ms,
        .record_age = gateway_metrics_record_age(process->metrics),
    };
    fill_random(NULL, (uint8_t *)&config.hash_seed, sizeof(config.hash_seed));
    return kafka_source_open(&config, &process->kafka, error);
}

/* client_events exists in any case, so that an adapter can refuse an event with a reason. */
static enum status open_events(struct gateway_process *process, struct error *error)
{
    const struct gateway_settings *settings = process->settings;
    struct kafka_outlet_config outlet = {.settings = process->shared->kafka,
                                         .client_id = "smartstack-gateway",
                                         .topic = settings->events_topic,
                                         .review_log = settings->review_log,
                                         .messages = (unsigned)settings->events_buffered,
                                         .bytes = (uint64_t)settings->events_buffered_bytes,
                                         .timeout_ms = settings->events_timeout_ms};
    /* Without events of clients there is no producer, and no right to write is needed. */
    if (policy_has_events(settings->policy)) {
        enum status status = kafka_outlet_open(&outlet, &process->outlet, error);
        if (status != STATUS_OK)
            return status;
    }
    struct client_events_config config = {.outlet_ops = process->outlet ? &kafka_outlet_ops : NULL,
                                          .outlet = process->outlet,
                                          .payload_bytes = (size_t)settings->event_bytes,
                                          .has_review_log = settings->review_log != NULL,
                                          .pending = (unsigned)settings->events_pending,
                                          .rate = (unsigned)settings->events_rate,
                                          .burst = (unsigned)settings->events_burst,
                                          .random = fill_random};
    process->events = client_events_new(&config);
    return STATUS_OK;
}

/* A random key is better than none: clients that return to this gateway continue, and nothing is
 * ever signed with a key that others could guess. */
static void set_recovery_keys(struct gateway_process *process, struct hub_config *config)
{
    config->key_count = (unsigned)gateway_settings_recovery_keys(process->settings, config->keys);
    if (config->key_count > 0 || !config->recovery)
        return;
    fill_random(NULL, process->random_key, sizeof(process->random_key));
    config->keys[0] = bytes_of(process->random_key, sizeof(process->random_key));
    config->key_count = 1;
    log_warning("clients can continue on this gateway only, and until it ends: "
                "gateway.recovery.keys is not set");
}

/* The casts are safe in all of these: the table of settings has the ranges. */
static struct quotas_config quotas_of(const struct gateway_settings *settings)
{
    struct quotas_config config = {.burst_s = (uint32_t)(settings->quota_burst_ms / 1000),
                                   .quiet_most = (size_t)settings->quota_quiet};
    for (unsigned scope = 0; scope < QUOTA_SCOPES; scope++)
        for (unsigned kind = 0; kind < QUOTA_KINDS; kind++)
            config.limits[scope][kind] = (uint32_t)settings->quotas[scope][kind];
    return config;
}

static struct orders_limits orders_of(const struct gateway_settings *settings)
{
    return (struct orders_limits){.most = settings->control_topic ? (size_t)settings->control_orders
                                                                  : 0,
                                  .age_ms = settings->control_age_ms,
                                  .tell = settings->control_tell};
}

/* The kinds are borrowed: settings outlive the hub. */
static struct presence_limits presence_limits_of(const struct gateway_settings *settings)
{
    struct presence_limits limits = {.kinds = (const char *const *)settings->presence_rooms.items,
                                     .kind_count = settings->presence_rooms.count,
                                     .users = (uint32_t)settings->presence_users,
                                     .entries = (uint64_t)settings->presence_entries,
                                     .tenant_entries = (uint64_t)settings->presence_tenant_entries,
                                     .linger_ms = settings->presence_linger_ms};
    fill_random(NULL, limits.worker, sizeof(limits.worker));
    return limits;
}

/* A lane that is read back in the first step of a history says all there is; see history_search.c. */
static struct state_limits state_limits_of(const struct gateway_process *process)
{
    const struct gateway_settings *settings = process->settings;
    bool kept = process->shared->state_retention_ms > 0;
    return (struct state_limits){.items = (uint32_t)settings->state_items,
                                 .chunk_bytes = STATE_CHUNK_BYTES,
                                 .bytes = kept ? (uint64_t)settings->state_bytes : 0,
                                 .retention_ms = process->shared->state_retention_ms,
                                 .idle_ms = VIEW_IDLE_MS,
                                 .lane_bytes = (uint64_t)settings->history_bytes / 16};
}

/* Settings become the hub's configuration here and nowhere else: the domain does not know that
 * there are settings. */
static void open_hub(struct gateway_process *process)
{
    const struct gateway_settings *settings = process->settings;
    const struct quotas_config quotas = quotas_of(settings);
    struct hub_config config = {
        .layout = process->shared->layout,
        .policy = settings->policy,
        .conflation = settings->conflation,
        .ring_bytes = (size_t)settings->ring_bytes,
        .queue_messages = (unsigned)settings->outbox_messages,
        .queue_bytes = (size_t)settings->outbox_bytes,
        .answers = (unsigned)settings->answers,
        .answer_bytes = (size_t)settings->answer_bytes,
        .rooms_per_session = (unsigned)settings->rooms_per_session,
        .rooms_per_record = (unsigned)settings->rooms_per_record,
        .lanes_per_session = (unsigned)settings->lanes_per_session,
        .sessions = (unsigned)settings->sessions,
        .pending_joins = (unsigned)settings->pending_joins,
        .lane_linger_ms = settings->lane_linger_ms,
        .open_timeout_ms = settings->open_timeout_ms,
        .behind_timeout_ms = settings->behind_timeout_ms,
        .truncation_confirm_ms = settings->truncation_confirm_ms,
        .cursor_lag_bytes = (uint64_t)settings->cursor_lag_bytes,
        .catch_up_bytes = (uint64_t)settings->horizon_bytes,
        .scans = (unsigned)settings->scans,
        .read_back_bytes = (size_t)settings->read_back_bytes,
        .history = {.messages = (uint32_t)settings->history_messages,
                    .bytes = (uint64_t)settings->history_bytes,
                    .age_ms = settings->history_age_ms,
                    .buffered = (uint64_t)settings->history_buffered,
                    .tenant_buffered = (uint64_t)settings->history_tenant_buffered,
                    .session_buffered = (uint64_t)settings->history_session_buffered},
        .state = state_limits_of(process),
        .orders = orders_of(settings),
        .presence = presence_limits_of(settings),
        .access = {.told = client_log_access},
        .quotas = &quotas,
        .recovery = settings->recovery,
    };
    set_recovery_keys(process, &config);
    fill_random(NULL, (uint8_t *)&config.hash_seed, sizeof(config.hash_seed));
    process->hub = hub_new(&config, &kafka_source_ops, process->kafka);
    /* Each needs the other: the source is made first and told of the hub here, before anything can
     * arrive. */
    kafka_source_attach(process->kafka, process->hub);
}

/* After the hub, which orders are for. They are read while the gateway runs: until it knows them
 * all it is not ready (gateway_health.c). */
static enum status open_orders(struct gateway_process *process, struct error *error)
{
    const struct gateway_settings *settings = process->settings;
    struct kafka_orders_config config = {.settings = process->shared->kafka,
                                         .client_id = "smartstack-gateway",
                                         .topic = settings->control_topic,
                                         .hub = process->hub,
                                         .probe_interval_ms = settings->probe_interval_ms,
                                         .stall_ms = settings->stall_ms};
    return config.topic ? kafka_orders_open(&config, &process->orders, error) : STATUS_OK;
}

/* Nobody waits for it: until others are heard of, what is told is not complete, and says so. */
static enum status open_presence(struct gateway_process *process, struct error *error)
{
    const struct gateway_settings *settings = process->settings;
    struct kafka_presence_config config = {.settings = process->shared->kafka,
                                           .client_id = "smartstack-gateway",
                                           .topic = settings->presence_topic,
                                           .presence = hub_presence(process->hub),
                                           .probe_interval_ms = settings->probe_interval_ms,
                                           .stall_ms = settings->stall_ms};
    return config.presence ? kafka_presence_open(&config, &process->presence, error) : STATUS_OK;
}

/* With a NULL at the end, as those want it who take lists. */
static const char **strings_of(const struct config_list *list)
{
    const char **strings = mem_alloc((list->count + 1) * sizeof(*strings));
    for (size_t i = 0; i < list->count; i++)
        strings[i] = list->items[i];
    return strings;
}

static enum status open_operations(struct gateway_process *process, struct error *error)
{
    const struct gateway_settings *settings = process->settings;
    const struct operations_config config = {
        .address = settings->operations_address,
        .port = (uint16_t)settings->operations_port,
        .share_port = process->slot != NULL,
        .metrics = gateway_metrics_registry(process->metrics),
        .ready = gateway_health_ready,
        .live = gateway_health_live,
        .context = process,
    };
    enum status status =
        operations_open(&config, process->loop, &process->wheel, &process->operations, error);
    if (status == STATUS_OK)
        log_info("operations", LOG_UNSIGNED("port", operations_port(process->operations)),
                 LOG_STRING("address", settings->operations_address));
    return status;
}

/* Quotas per address are kept in front of HTTP, before anybody has said who he is. */
static void open_addresses(struct gateway_process *process)
{
    const struct gateway_settings *settings = process->settings;
    const int64_t *limits = settings->quotas[QUOTA_ADDRESS];
    struct quotas_config config = quotas_of(settings);
    struct trusted_proxies trusted = {.count = settings->proxies.count};
    /* Nobody counts addresses then, and nobody looks at X-Forwarded-For. */
    if (limits[QUOTA_SESSIONS] == 0 && limits[QUOTA_CONNECTS] == 0)
        return;
    for (size_t i = 0; i < trusted.count; i++) {
        bool parsed = peer_network_parse(settings->proxies.items[i], &trusted.networks[i]);
        assert(parsed); /* the settings were checked */
        (void)parsed;
    }
    fill_random(NULL, (uint8_t *)&config.seed, sizeof(config.seed));
    process->addresses = address_quotas_new(&config, &trusted);
}

/* One HTTP server for every transport. Limits of heads are constants: whoever raised them would
 * only raise what a stranger may make us keep. */
static enum status open_http(struct gateway_process *process, struct error *error)
{
    const struct gateway_settings *settings = process->settings;
    struct http_server_config config = {
        .limits = {.request_line_bytes = 8192,
                   .head_bytes = 16384,
                   .field_count = 100,
                   .body_bytes = 65536},
        .head_timeout_ms = settings->head_timeout_ms,
        .body_timeout_ms = settings->body_timeout_ms,
        .idle_timeout_ms = settings->idle_timeout_ms,
        .pipeline_bytes = 65536,
        .refusals = &process->refusals,
        .addresses = process->addresses,
    };
    process->http = http_server_new(&config, &process->wheel);
    operations_add_public_routes(process->operations, process->http);
    if (!settings->static_directory)
        return STATUS_OK;
    enum status status = static_files_open(settings->static_directory, &process->files, error);
    if (status == STATUS_OK)
        static_files_add_route(process->files, process->http);
    return status;
}

/* Pages of this machine may connect then, so that a developer need not configure origins; others
 * only if they are listed: without tokens an origin is all that keeps strangers' pages out. */
static bool is_development(const struct gateway_settings *settings)
{
    return settings->auth_mode == GATEWAY_AUTH_DEVELOPMENT;
}

/* Whose pages may connect; NULL: tokens decide, wherever they come from. */
static const struct http_origins *origins_of(const struct gateway_process *process)
{
    const struct gateway_settings *settings = process->settings;
    return settings->cors_origins.count || is_development(settings) ? &process->admitted : NULL;
}

/* Three layers, each above the one before: Engine.IO (transports), Socket.IO (packets, namespaces),
 * and the adapter, which makes sessions of the hub out of them. */
static void open_socketio(struct gateway_process *process)
{
    /* What the handshake's request keeps of its head for later: all else is gone after it. */
    static const char *const fields[] = {"authorization", NULL};
    const struct gateway_settings *settings = process->settings;
    process->namespaces = strings_of(&settings->namespaces);
    process->origins = strings_of(&settings->cors_origins);
    process->cors =
        (struct http_cors){.origins = process->origins, .credentials = settings->cors_credentials};
    /* Kept in the process, since routes borrow them for as long as they exist. */
    process->admitted =
        (struct http_origins){.listed = process->origins, .loopback = is_development(settings)};
    struct socketio_adapter_config adapter = {.hub = process->hub,
                                              .identity_ops = &identity_queue_ops,
                                              .identifier = process->identity_queue,
                                              .events = process->events,
                                              .wheel = &process->wheel,
                                              .random = fill_random,
                                              .expiry_grace_ms = settings->token_expiry_grace_ms,
                                              .cookie = settings->auth_cookie,
                                              .refusals = &process->refusals};
    process->adapter = socketio_adapter_new(&adapter);
    struct socketio_config config = {
        .engineio = {.path = settings->path,
                     .ping_interval_ms = (uint32_t)settings->ping_interval_ms,
                     .ping_timeout_ms = (uint32_t)settings->ping_timeout_ms,
                     .max_payload_bytes = (uint64_t)settings->max_payload,
                     .poll_packets = 16,
                     .queue_bytes = (size_t)settings->queue_bytes,
                     .upgrade_timeout_ms = settings->upgrade_timeout_ms,
                     .sessions = (unsigned)settings->sessions,
                     .no_polling = !settings->polling,
                     .no_websocket = !settings->websocket,
                     .compress = settings->compress,
                     .cookie = settings->cookie,
                     .cors = settings->cors_origins.count ? &process->cors : NULL,
                     .origins = origins_of(process),
                     .handshake_fields = fields,
                     .handshake_cookie = settings->auth_cookie,
                     .random = fill_random},
        .namespaces = process->namespaces,
        .limits = {.json_depth = (uint32_t)settings->json_depth,
                   .namespace_bytes = 256,
                   .packet_bytes =
                       (uint64_t)(settings->max_payload * (SOCKETIO_MAX_ATTACHMENTS + 1))},
        .connect_timeout_ms = settings->connect_timeout_ms,
        .refusals = (unsigned)settings->token_refusals,
        .refusals_ms = settings->token_refusals_ms,
        .ops = &socketio_adapter_ops,
        .application = process->adapter,
    };
    process->socketio = socketio_server_new(&config, process->http, &process->wheel);
}

static void add_stream(struct gateway_process *process, struct wire_clients *clients)
{
    assert(process->stream_count < GATEWAY_STREAMS);
    process->streams[process->stream_count++] = clients;
}

/* What raw WebSockets and event streams have in common. */
static struct wire_clients_config stream_config(struct gateway_process *process)
{
    return (struct wire_clients_config){.hub = process->hub,
                                        .identity_ops = &identity_queue_ops,
                                        .identifier = process->identity_queue,
                                        .wheel = &process->wheel,
                                        .random = fill_random,
                                        .write_bytes = STREAM_WRITE_BYTES,
                                        .expiry_grace_ms =
                                            process->settings->token_expiry_grace_ms};
}

/* A transport that is off is not there: no route, no session of its kind, zeros in the metrics. */
static void open_websocket(struct gateway_process *process)
{
    const struct gateway_settings *settings = process->settings;
    if (!settings->raw_websocket)
        return;
    struct websocket_adapter_config config = {
        .clients = stream_config(process),
        .events = process->events,
        .path = settings->raw_path,
        .origins = origins_of(process),
        .message_bytes = (uint64_t)settings->raw_message,
        .queue_bytes = (size_t)settings->raw_queue,
        .requests = (unsigned)settings->raw_requests,
        .rooms = (uint32_t)settings->raw_rooms,
        .json_depth = (uint32_t)settings->json_depth,
        .query_token = settings->raw_query_token,
        .cookie = settings->auth_cookie,
        .refusals = (unsigned)settings->token_refusals,
        .refusals_ms = settings->token_refusals_ms,
        .hello_timeout_ms = settings->raw_hello_timeout_ms,
        .message_timeout_ms = settings->raw_message_timeout_ms,
        .ping_interval_ms = settings->raw_ping_interval_ms,
        .ping_timeout_ms = settings->raw_ping_timeout_ms,
        .write_timeout_ms = settings->raw_write_timeout_ms,
    };
    process->websocket = websocket_adapter_new(&config, process->http);
    add_stream(process, websocket_adapter_clients(process->websocket));
}

static void open_sse(struct gateway_process *process)
{
    const struct gateway_settings *settings = process->settings;
    if (!settings->sse)
        return;
    struct sse_adapter_config config = {
        .clients = stream_config(process),
        .path = settings->sse_path,
        .origins = origins_of(process),
        .cors = settings->cors_origins.count ? &process->cors : NULL,
        .cookie = settings->sse_cookie ? settings->sse_cookie : settings->auth_cookie,
        .rooms = (unsigned)settings->sse_rooms,
        .retry_ms = (uint32_t)settings->sse_retry_ms,
        .open_timeout_ms = settings->connect_timeout_ms,
        .heartbeat_ms = settings->sse_heartbeat_ms,
        .write_timeout_ms = settings->sse_write_timeout_ms,
    };
    process->sse = sse_adapter_new(&config, process->http);
    add_stream(process, sse_adapter_clients(process->sse));
}

/* Last: from here on there are clients. */
static enum status open_sockets(struct gateway_process *process, struct error *error)
{
    const struct gateway_settings *settings = process->settings;
    struct lws_server_config config = {.address = settings->address,
                                       .port = (uint16_t)settings->port,
                                       .share_port = settings->share_port,
                                       .connections = gateway_settings_connections(settings),
                                       .accepts_per_second = (unsigned)settings->accepts_per_second,
                                       .send_buffer_bytes = (int)settings->send_buffer,
                                       .certificate_file = settings->certificate_file,
                                       .key_file = settings->certificate_key_file,
                                       .acceptor = http_server_acceptor(process->http)};
    enum status status = lws_server_open(process->loop, &config, &process->sockets, error);
    if (status != STATUS_OK)
        return status;
    log_info("listening", LOG_UNSIGNED("port", lws_server_port(process->sockets)),
             LOG_STRING("address", settings->address ? settings->address : "all"),
             LOG_BOOLEAN("tls", settings->certificate_file != NULL),
             LOG_UNSIGNED("connections", lws_server_stats(process->sockets)->connections_most),
             LOG_STRING("loop", lws_loop_backend(process->loop)));
    return STATUS_OK;
}

/* The order is the dependencies': whatever is given to a part has been made above it. */
static enum status open_parts(struct gateway_process *process, struct error *error)
{
    enum status status = open_loop(process, error);
    if (status == STATUS_OK)
        status = open_identities(process, error);
    if (status == STATUS_OK)
        status = open_kafka(process, error);
    if (status == STATUS_OK)
        status = open_events(process, error);
    if (status != STATUS_OK)
        return status;
    open_hub(process);
    status = open_orders(process, error);
    if (status == STATUS_OK)
        status = open_presence(process, error);
    if (status == STATUS_OK)
        status = open_operations(process, error);
    if (status != STATUS_OK)
        return status;
    open_addresses(process);
    status = open_http(process, error);
    if (status != STATUS_OK)
        return status;
    open_socketio(process);
    open_websocket(process);
    open_sse(process);
    status = gateway_turn_attach(process, error);
    if (status == STATUS_OK)
        status = gateway_peers_open(process->settings, process->loop, &process->wheel,
                                    socketio_engineio(process->socketio), &process->peers, error);
    return status == STATUS_OK ? open_sockets(process, error) : status;
}

/* --- Life ------------------------------------------------------------------------------------- */

enum status gateway_process_open(const struct gateway_settings *settings,
                                 const struct shared_config *shared,
                                 const struct scoreboard_slot *slot,
                                 struct gateway_process **process, struct error *error)
{
    struct gateway_process *made = mem_new(struct gateway_process);
    made->settings = settings;
    made->shared = shared;
    made->slot = slot;
    /* Before the parts are made, all of which count their refusals in here. */
    made->refusals.told = client_log_refusal;
    made->metrics = gateway_metrics_new(slot);
    enum status status = open_parts(made, error);
    if (status != STATUS_OK) {
        gateway_process_close(made);
        return status;
    }
    struct gateway_metrics_sources sources = {.loop = made->loop,
                                              .hub = made->hub,
                                              .kafka = made->kafka,
                                              .http = made->http,
                                              .socketio = made->socketio,
                                              .websocket =
                                                  websocket_adapter_clients(made->websocket),
                                              .sse = sse_adapter_clients(made->sse),
                                              .sockets = made->sockets,
                                              .tokens = made->tokens,
                                              .events = made->events,
                                              .outlet = made->outlet,
                                              .orders = made->orders,
                                              .presence = made->presence,
                                              .adapter = made->adapter,
                                              .peers = made->peers,
                                              .identities = made->identity_queue,
                                              .refusals = &made->refusals,
                                              .addresses = made->addresses};
    gateway_metrics_attach(made->metrics, &sources);
    *process = made;
    return STATUS_OK;
}

/* Returns when the loop is stopped: clients have been sent away, or an operator would not wait. */
void gateway_process_run(struct gateway_process *process)
{
    lws_loop_run(process->loop);
}

void gateway_process_close(struct gateway_process *process)
{
    if (!process)
        return;
    socketio_server_free(process->socketio);
    socketio_adapter_free(process->adapter);
    websocket_adapter_free(process->websocket);
    sse_adapter_free(process->sse);
    http_server_free(process->http);
    address_quotas_free(process->addresses);
    operations_close(process->operations);
    gateway_peers_close(process->peers);
    lws_server_close(process->sockets);
    /* Watches and chores call into parts that are freed below. */
    if (process->loop)
        gateway_turn_detach(process);
    kafka_presence_close(process->presence); /* it holds what is the hub's */
    if (process->hub)
        hub_free(process->hub);
    kafka_orders_close(process->orders);
    client_events_free(process->events);
    kafka_outlet_close(process->outlet);
    kafka_source_close(process->kafka);
    identity_queue_free(process->identity_queue);
    identities_free(process->identities);
    token_sources_close(process->tokens);
    static_files_close(process->files);
    gateway_metrics_free(process->metrics);
    lws_loop_free(process->loop);
    free(process->namespaces);
    free(process->origins);
    free(process);
}
