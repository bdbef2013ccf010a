#include "gateway_process.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "gateway_drain.h"
#include "gateway_metrics.h"
#include "gateway_peers.h"
#include "http_response.h"
#include "hub.h"
#include "identities.h"
#include "kafka_outlet.h"
#include "kafka_source.h"
#include "log.h"
#include "lws_server.h"
#include "mem.h"
#include "operations.h"
#include "socketio_adapter.h"
#include "sse_adapter.h"
#include "static_files.h"
#include "token.h"
#include "websocket_adapter.h"

enum {
    TOKENS_WAITING_LIMIT = 10000,
    RANDOM_KEY_BYTES = 32,
    SECOND_MS = 1000,
    STREAM_WRITE_BYTES = 64 * 1024,
    WORKERS_DETAIL_SIZE = 64,
};

struct gateway_process {
    const struct gateway_settings *settings;
    const struct shared_config *shared;
    const struct seat *seat; /* NULL: it is the only process */
    struct lws_loop *loop;
    int64_t stopped_ms; /* of what the loop counts as such, what sessions were told of */
    struct timer_wheel wheel;
    struct gateway_metrics *metrics;
    struct operations operations;
    struct token_verifier *tokens; /* NULL: development */
    struct identities *identities;
    struct kafka_source *kafka;
    struct kafka_outlet *outlet; /* NULL: clients send no events */
    struct client_events *events;
    struct hub *hub;
    struct http_cors cors;
    struct http_server *http;
    struct static_files *files;
    struct socketio_server *socketio;
    struct socketio_adapter *adapter;
    struct websocket_adapter *websocket; /* NULL: off */
    struct sse_adapter *sse;             /* NULL: off */
    struct wire_clients *streams[2];     /* of both, as far as they are on */
    size_t stream_count;
    struct gateway_peers *peers; /* NULL: there are no others */
    struct lws_server *sockets;
    struct lws_watch *watches[3];
    uint8_t random_key[RANDOM_KEY_BYTES]; /* if none is configured */
    const char **namespaces;
    const char **origins;
    int64_t date_ms; /* when the Date of answers changes */
    struct gateway_drain drain;
    char workers_detail[WORKERS_DETAIL_SIZE];
};

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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

/* --- The turn of the loop
 * --------------------------------------------------------------------------------- */

static void advance_wheel(void *context, int64_t now_ms)
{
    struct gateway_process *process = context;
    timer_wheel_advance(&process->wheel, now_ms);
}

static int64_t wheel_deadline(void *context)
{
    const struct gateway_process *process = context;
    return timer_wheel_deadline_ms(&process->wheel);
}

static void kafka_readable(void *context, int64_t now_ms)
{
    const struct gateway_process *process = context;
    kafka_source_service(process->kafka, now_ms, wall_ms());
}

static int64_t kafka_deadline(void *context)
{
    const struct gateway_process *process = context;
    return kafka_source_deadline_ms(process->kafka);
}

static void run_kafka(void *context, int64_t now_ms)
{
    if (now_ms >= kafka_deadline(context))
        kafka_readable(context, now_ms);
}

static void tokens_readable(void *context, int64_t now_ms)
{
    const struct gateway_process *process = context;
    token_verifier_service(process->tokens, now_ms, wall_ms());
}

static int64_t tokens_deadline(void *context)
{
    const struct gateway_process *process = context;
    return token_verifier_deadline_ms(process->tokens);
}

static void run_tokens(void *context, int64_t now_ms)
{
    if (now_ms >= tokens_deadline(context))
        tokens_readable(context, now_ms);
}

static void outlet_readable(void *context, int64_t now_ms)
{
    const struct gateway_process *process = context;
    (void)now_ms;
    kafka_outlet_service(process->outlet);
}

static void run_hub(void *context, int64_t now_ms)
{
    const struct gateway_process *process = context;
    socketio_adapter_set_time(process->adapter, now_ms, wall_ms());
    for (size_t i = 0; i < process->stream_count; i++)
        wire_clients_set_time(process->streams[i], now_ms, wall_ms());
    hub_run(process->hub, now_ms);
}

static int64_t hub_deadline(void *context)
{
    const struct gateway_process *process = context;
    return hub_deadline_ms(process->hub);
}

static void run_engineio(void *context, int64_t now_ms)
{
    struct gateway_process *process = context;
    struct engineio_server *engineio = socketio_engineio(process->socketio);
    int64_t span_ms = lws_loop_stopped_ms(process->loop) - process->stopped_ms;
    if (span_ms > 0) {
        process->stopped_ms += span_ms;
        engineio_server_woke(engineio, span_ms, now_ms);
    }
    engineio_server_turn(engineio, now_ms);
}

static int64_t engineio_deadline(void *context)
{
    const struct gateway_process *process = context;
    return engineio_server_deadline_ms(socketio_engineio(process->socketio));
}

static void run_streams(void *context, int64_t now_ms)
{
    const struct gateway_process *process = context;
    (void)now_ms;
    for (size_t i = 0; i < process->stream_count; i++)
        wire_clients_turn(process->streams[i]);
}

static int64_t streams_deadline(void *context)
{
    const struct gateway_process *process = context;
    int64_t deadline_ms = INT64_MAX;
    for (size_t i = 0; i < process->stream_count; i++)
        if (wire_clients_deadline_ms(process->streams[i]) < deadline_ms)
            deadline_ms = wire_clients_deadline_ms(process->streams[i]);
    return deadline_ms;
}

/* What is live is delivered also while thousands connect. */
static void run_between(void *context, int64_t now_ms)
{
    const struct gateway_process *process = context;
    kafka_source_service_live(process->kafka, now_ms, wall_ms());
    run_hub(context, now_ms);
    run_engineio(context, now_ms);
    run_streams(context, now_ms);
}

static size_t check_self(const struct gateway_process *process, struct health_check *checks)
{
    size_t count = 0;
    struct health_check *check = &checks[count++];
    *check = (struct health_check){.name = "kafka"};
    /* Away, it is so for all gateways: none of them unready, or polls would reach nobody. */
    check->healthy = kafka_source_ready(process->kafka, &check->detail) ||
                     kafka_source_was_reached(process->kafka);
    if (process->tokens) {
        check = &checks[count++];
        *check = (struct health_check){.name = "tokens"};
        check->healthy = token_verifier_ready(process->tokens, &check->detail);
    }
    check = &checks[count++];
    *check =
        (struct health_check){.name = "gateway",
                              .healthy = !gateway_drain_is_on(&process->drain),
                              .detail = gateway_drain_is_on(&process->drain) ? "ending" : NULL};
    return count;
}

static void tell_siblings(const struct gateway_process *process)
{
    struct health_check checks[OPERATIONS_CHECKS_LIMIT];
    bool ready = true;
    size_t count = check_self(process, checks);
    for (size_t i = 0; i < count; i++)
        ready = ready && checks[i].healthy;
    gateway_metrics_tell(process->metrics, ready);
}

/* The Date of answers, what siblings know, and the end of draining. */
static void run_process(void *context, int64_t now_ms)
{
    struct gateway_process *process = context;
    if (now_ms >= process->date_ms) {
        char date[HTTP_DATE_SIZE];
        http_date(wall_ms() / 1000, date);
        http_server_set_date(process->http, date);
        process->date_ms = now_ms + SECOND_MS;
        tell_siblings(process);
    }
    if (gateway_drain_run(&process->drain, now_ms))
        lws_loop_stop(process->loop);
}

static int64_t process_deadline(void *context)
{
    const struct gateway_process *process = context;
    int64_t drain_ms = gateway_drain_deadline_ms(&process->drain);
    return drain_ms < process->date_ms ? drain_ms : process->date_ms;
}

/* --- Signals
 * ---------------------------------------------------------------------------------------------- */

static void start_draining(struct gateway_process *process)
{
    const struct gateway_settings *settings = process->settings;
    if (gateway_drain_is_on(&process->drain)) {
        lws_loop_stop(process->loop); /* asked twice */
        return;
    }
    process->drain =
        (struct gateway_drain){.engineio = socketio_engineio(process->socketio),
                               .stream_count = process->stream_count,
                               .http = process->http,
                               .sockets = process->sockets,
                               .grace_ms = settings->drain_grace_ms,
                               .limit_ms = settings->shutdown_timeout_ms,
                               .pace = {.per_second = (unsigned)settings->drain_per_second}};
    for (size_t i = 0; i < process->stream_count; i++)
        process->drain.streams[i] = process->streams[i];
    log_info("ending", LOG_UNSIGNED("sessions", hub_stats(process->hub)->sessions));
    gateway_drain_begin(&process->drain, lws_loop_now_ms(process->loop));
}

static void reload_certificate(struct gateway_process *process)
{
    struct error error;
    if (!process->settings->certificate_file)
        return;
    if (lws_server_reload_certificate(process->sockets, &error) == STATUS_OK)
        log_info("certificate read again");
    else
        log_error("certificate not read, the old one stays", LOG_STRING("error", error.text));
}

static void on_signal(void *context, int signal)
{
    struct gateway_process *process = context;
    if (signal == SIGHUP)
        reload_certificate(process);
    else if (signal == SIGINT || !process->seat || !gateway_drain_is_on(&process->drain))
        start_draining(process);
}

/* A worker that is being started again is missed by nobody: the others take its connections. One
 * that hangs keeps them waiting. */
static size_t check_workers(struct gateway_process *process, bool ready, struct health_check *check)
{
    if (!process->seat)
        return 0;
    struct siblings_state state = siblings_look(process->seat->siblings, monotonic_ms());
    char *detail = process->workers_detail;
    *check = (struct health_check){.name = "workers", .healthy = true, .detail = detail};
    snprintf(detail, WORKERS_DETAIL_SIZE, "%u of %u", state.up,
             siblings_count(process->seat->siblings));
    if (state.first_lazy >= 0) {
        check->healthy = false;
        snprintf(detail, WORKERS_DETAIL_SIZE, "worker %d does not answer", state.first_lazy);
    } else if (ready && state.first_unready >= 0) {
        check->healthy = false;
        snprintf(detail, WORKERS_DETAIL_SIZE, "worker %d is not ready", state.first_unready);
    }
    return 1;
}

static size_t check_ready(void *context, struct health_check *checks)
{
    struct gateway_process *process = context;
    tell_siblings(process);
    size_t count = check_self(process, checks);
    return count + check_workers(process, true, &checks[count]);
}

static size_t check_live(void *context, struct health_check *checks)
{
    return check_workers(context, false, checks);
}

/* --- Making the parts
 * ------------------------------------------------------------------------------------- */

static enum status open_loop(struct gateway_process *process, struct error *error)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0};
    struct lws_loop_config config = {.tls = process->settings->certificate_file != NULL};
    enum status status = lws_loop_new(&config, &process->loop, error);
    if (status != STATUS_OK)
        return status;
    timer_wheel_init(&process->wheel, lws_loop_now_ms(process->loop));
    /* Before any thread is started: they must not be theirs. */
    return lws_loop_on_signal(process->loop, signals, on_signal, process, error);
}

static enum status open_identities(struct gateway_process *process, struct error *error)
{
    const struct gateway_settings *settings = process->settings;
    if (settings->auth_mode == GATEWAY_AUTH_DEVELOPMENT) {
        log_warning("DEVELOPMENT MODE: no tokens, whoever connects is who it says it is");
    } else {
        struct token_config config = {.algorithm = (enum token_algorithm)settings->token_algorithm,
                                      .secret = settings->token_secret,
                                      .key_file = settings->token_key_file,
                                      .jwks_file = settings->token_jwks_file,
                                      .jwks_url = settings->token_jwks_url,
                                      .issuer = settings->token_issuer,
                                      .audience = settings->token_audience,
                                      .allow_endless = settings->token_allow_endless,
                                      .leeway_ms = settings->token_leeway_ms,
                                      .refresh_ms = settings->token_refresh_ms,
                                      .refetch_ms = settings->token_refetch_ms,
                                      .waiting = TOKENS_WAITING_LIMIT};
        enum status status = token_verifier_open(&config, &process->tokens, error);
        if (status != STATUS_OK)
            return status;
    }
    struct identities_config config = {
        .verifier = process->tokens, .policy = settings->policy, .wall_ms = wall_ms};
    process->identities = identities_new(&config);
    return STATUS_OK;
}

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
        .record_age = gateway_metrics_record_age(process->metrics),
    };
    return kafka_source_open(&config, &process->kafka, error);
}

static enum status open_events(struct gateway_process *process, struct error *error)
{
    const struct gateway_settings *settings = process->settings;
    struct kafka_outlet_config outlet = {.settings = process->shared->kafka,
                                         .client_id = "smartstack-gateway",
                                         .topic = settings->events_topic,
                                         .messages = (unsigned)settings->events_buffered,
                                         .timeout_ms = settings->events_timeout_ms};
    if (policy_has_events(settings->policy)) {
        enum status status = kafka_outlet_open(&outlet, &process->outlet, error);
        if (status != STATUS_OK)
            return status;
    }
    struct client_events_config config = {.outlet_ops = process->outlet ? &kafka_outlet_ops : NULL,
                                          .outlet = process->outlet,
                                          .payload_bytes = (size_t)settings->event_bytes,
                                          .pending = (unsigned)settings->events_pending,
                                          .rate = (unsigned)settings->events_rate,
                                          .burst = (unsigned)settings->events_burst,
                                          .random = fill_random};
    process->events = client_events_new(&config);
    return STATUS_OK;
}

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

static void open_hub(struct gateway_process *process)
{
    const struct gateway_settings *settings = process->settings;
    struct hub_config config = {
        .layout = process->shared->layout,
        .policy = settings->policy,
        .conflation = settings->conflation,
        .ring_bytes = (size_t)settings->ring_bytes,
        .outbox_messages = (unsigned)settings->outbox_messages,
        .rooms_per_session = (unsigned)settings->rooms_per_session,
        .rooms_per_record = (unsigned)settings->rooms_per_record,
        .lanes_per_session = (unsigned)settings->lanes_per_session,
        .room_name_bytes = ROOM_NAME_LIMIT,
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
                    .buffered = (uint64_t)settings->history_buffered},
        .recovery = settings->recovery,
    };
    set_recovery_keys(process, &config);
    process->hub = hub_new(&config, &kafka_source_ops, process->kafka);
    kafka_source_attach(process->kafka, process->hub);
}

static const char **strings_of(const struct config_list *list)
{
    const char **strings = mem_alloc((list->count + 1) * sizeof(*strings));
    for (size_t i = 0; i < list->count; i++)
        strings[i] = list->items[i];
    return strings;
}

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
    };
    process->http = http_server_new(&config, &process->wheel);
    process->operations = (struct operations){
        .metrics = gateway_metrics_registry(process->metrics),
        .ready = check_ready,
        .live = check_live,
        .context = process,
    };
    operations_add_routes(&process->operations, process->http);
    if (!settings->static_directory)
        return STATUS_OK;
    enum status status = static_files_open(settings->static_directory, &process->files, error);
    if (status == STATUS_OK)
        static_files_add_route(process->files, process->http);
    return status;
}

static void open_socketio(struct gateway_process *process)
{
    static const char *const fields[] = {"authorization", NULL};
    const struct gateway_settings *settings = process->settings;
    process->namespaces = strings_of(&settings->namespaces);
    process->origins = strings_of(&settings->cors_origins);
    process->cors =
        (struct http_cors){.origins = process->origins, .credentials = settings->cors_credentials};
    struct socketio_adapter_config adapter = {.hub = process->hub,
                                              .identity_ops = &identities_ops,
                                              .identifier = process->identities,
                                              .events = process->events,
                                              .wheel = &process->wheel,
                                              .random = fill_random,
                                              .expiry_grace_ms = settings->token_expiry_grace_ms};
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
                     .handshake_fields = fields,
                     .random = fill_random},
        .namespaces = process->namespaces,
        .limits = {.json_depth = (uint32_t)settings->json_depth,
                   .namespace_bytes = 256,
                   .packet_bytes =
                       (uint64_t)(settings->max_payload * (SOCKETIO_MAX_ATTACHMENTS + 1))},
        .connect_timeout_ms = settings->connect_timeout_ms,
        .ops = &socketio_adapter_ops,
        .application = process->adapter,
    };
    process->socketio = socketio_server_new(&config, process->http, &process->wheel);
}

static struct wire_clients_config stream_config(struct gateway_process *process)
{
    return (struct wire_clients_config){.hub = process->hub,
                                        .identity_ops = &identities_ops,
                                        .identifier = process->identities,
                                        .wheel = &process->wheel,
                                        .random = fill_random,
                                        .write_bytes = STREAM_WRITE_BYTES,
                                        .expiry_grace_ms =
                                            process->settings->token_expiry_grace_ms};
}

static void open_websocket(struct gateway_process *process)
{
    const struct gateway_settings *settings = process->settings;
    if (!settings->raw_websocket)
        return;
    struct websocket_adapter_config config = {
        .clients = stream_config(process),
        .events = process->events,
        .path = settings->raw_path,
        .message_bytes = (uint64_t)settings->raw_message,
        .queue_bytes = (size_t)settings->raw_queue,
        .requests = (unsigned)settings->raw_requests,
        .rooms = (uint32_t)settings->raw_rooms,
        .json_depth = (uint32_t)settings->json_depth,
        .query_token = settings->raw_query_token,
        .hello_timeout_ms = settings->raw_hello_timeout_ms,
        .message_timeout_ms = settings->raw_message_timeout_ms,
        .ping_interval_ms = settings->raw_ping_interval_ms,
        .ping_timeout_ms = settings->raw_ping_timeout_ms,
        .write_timeout_ms = settings->raw_write_timeout_ms,
    };
    process->websocket = websocket_adapter_new(&config, process->http);
    process->streams[process->stream_count++] = websocket_adapter_clients(process->websocket);
}

static void open_sse(struct gateway_process *process)
{
    const struct gateway_settings *settings = process->settings;
    if (!settings->sse)
        return;
    struct sse_adapter_config config = {
        .clients = stream_config(process),
        .path = settings->sse_path,
        .cors = settings->cors_origins.count ? &process->cors : NULL,
        .cookie = settings->sse_cookie,
        .rooms = (unsigned)settings->sse_rooms,
        .retry_ms = (uint32_t)settings->sse_retry_ms,
        .open_timeout_ms = settings->connect_timeout_ms,
        .heartbeat_ms = settings->sse_heartbeat_ms,
        .write_timeout_ms = settings->sse_write_timeout_ms,
    };
    process->sse = sse_adapter_new(&config, process->http);
    process->streams[process->stream_count++] = sse_adapter_clients(process->sse);
}

/* What arrives is told to the hub, the hub tells who has something to get, and that is written. */
static void add_chores(struct gateway_process *process)
{
    struct lws_loop *loop = process->loop;
    lws_loop_add_chore(loop, &(struct lws_chore){advance_wheel, wheel_deadline, process});
    lws_loop_add_chore(loop, &(struct lws_chore){run_kafka, kafka_deadline, process});
    if (process->tokens)
        lws_loop_add_chore(loop, &(struct lws_chore){run_tokens, tokens_deadline, process});
    lws_loop_add_chore(loop, &(struct lws_chore){run_hub, hub_deadline, process});
    lws_loop_add_chore(loop, &(struct lws_chore){run_engineio, engineio_deadline, process});
    lws_loop_add_chore(loop, &(struct lws_chore){run_streams, streams_deadline, process});
    lws_loop_add_chore(loop, &(struct lws_chore){run_process, process_deadline, process});
    lws_loop_set_between(loop, run_between, process);
}

static enum status add_watches(struct gateway_process *process, struct error *error)
{
    const struct {
        int descriptor;
        void (*readable)(void *context, int64_t now_ms);
    } wanted[] = {
        {kafka_source_descriptor(process->kafka), kafka_readable},
        {process->tokens ? token_verifier_descriptor(process->tokens) : -1, tokens_readable},
        {process->outlet ? kafka_outlet_descriptor(process->outlet) : -1, outlet_readable},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (wanted[i].descriptor < 0)
            continue;
        process->watches[i] =
            lws_loop_watch(process->loop, wanted[i].descriptor, wanted[i].readable, process);
        if (!process->watches[i])
            return error_set(error, STATUS_LIMIT, "no descriptor is left: raise the limit");
    }
    return STATUS_OK;
}

static enum status open_sockets(struct gateway_process *process, struct error *error)
{
    const struct gateway_settings *settings = process->settings;
    struct lws_server_config config = {.address = settings->address,
                                       .port = (uint16_t)settings->port,
                                       .share_port = settings->share_port,
                                       .connections = (unsigned)settings->connections,
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
             LOG_STRING("loop", lws_loop_backend(process->loop)));
    return STATUS_OK;
}

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
    status = open_http(process, error);
    if (status != STATUS_OK)
        return status;
    open_socketio(process);
    open_websocket(process);
    open_sse(process);
    add_chores(process);
    status = add_watches(process, error);
    if (status == STATUS_OK)
        status = gateway_peers_open(process->settings, process->loop, &process->wheel,
                                    socketio_engineio(process->socketio), &process->peers, error);
    return status == STATUS_OK ? open_sockets(process, error) : status;
}

/* --- Life
 * -------------------------------------------------------------------------------------------------
 */

enum status gateway_process_open(const struct gateway_settings *settings,
                                 const struct shared_config *shared, const struct seat *seat,
                                 struct gateway_process **process, struct error *error)
{
    struct gateway_process *made = mem_new(struct gateway_process);
    made->settings = settings;
    made->shared = shared;
    made->seat = seat;
    made->metrics = gateway_metrics_new(seat);
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
                                              .adapter = made->adapter,
                                              .peers = made->peers};
    gateway_metrics_attach(made->metrics, &sources);
    *process = made;
    return STATUS_OK;
}

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
    gateway_peers_close(process->peers);
    lws_server_close(process->sockets);
    if (process->loop) {
        for (size_t i = 0; i < sizeof(process->watches) / sizeof(process->watches[0]); i++)
            lws_loop_unwatch(process->watches[i]);
        lws_loop_remove_chores(process->loop, process);
    }
    if (process->hub)
        hub_free(process->hub);
    client_events_free(process->events);
    kafka_outlet_close(process->outlet);
    kafka_source_close(process->kafka);
    identities_free(process->identities);
    token_verifier_close(process->tokens);
    static_files_close(process->files);
    gateway_metrics_free(process->metrics);
    lws_loop_free(process->loop);
    free(process->namespaces);
    free(process->origins);
    free(process);
}
