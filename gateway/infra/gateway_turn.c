/* The order of a turn. Each part has a chore, a function and a deadline, and the order in which
 * they are added is the order in which what has arrived becomes what is written:
 *
 *     timers -> Kafka -> orders -> tokens -> identities -> presence -> hub -> Engine.IO -> streams ->
 *     process
 *
 * The invariant: who writes runs after all who may give it something to write. So a notification
 * that arrives in a turn leaves in it, and many that arrive together leave in one write for each
 * client. */
#include <malloc.h>
#include <signal.h>

#include "clocks.h"
#include "gateway_process_private.h"
#include "http_response.h"
#include "log.h"

enum { SECOND_MS = 1000, WORTH_TRIMMING = 4 << 20 };

/* --- What is called in each turn -------------------------------------------------------------- */

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

/* The wall clock is asked for here and given along: nothing below has one. */
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

/* Chores run in every turn; those that only wait for time look at the clock first. */
static void run_kafka(void *context, int64_t now_ms)
{
    if (now_ms >= kafka_deadline(context))
        kafka_readable(context, now_ms);
}

/* A set of keys has been read, or a token has named one that is missing. */
static void tokens_readable(void *context, int64_t now_ms)
{
    const struct gateway_process *process = context;
    token_sources_service(process->tokens, now_ms, wall_ms());
}

static int64_t tokens_deadline(void *context)
{
    const struct gateway_process *process = context;
    return token_sources_deadline_ms(process->tokens);
}

static void run_tokens(void *context, int64_t now_ms)
{
    if (now_ms >= tokens_deadline(context))
        tokens_readable(context, now_ms);
}

static void run_identities(void *context, int64_t now_ms)
{
    const struct gateway_process *process = context;
    (void)now_ms;
    identity_queue_turn(process->identity_queue);
}

static int64_t identities_deadline(void *context)
{
    const struct gateway_process *process = context;
    return identity_queue_deadline_ms(process->identity_queue);
}

static void orders_readable(void *context, int64_t now_ms)
{
    const struct gateway_process *process = context;
    kafka_orders_service(process->orders, now_ms, wall_ms());
}

static int64_t orders_deadline(void *context)
{
    const struct gateway_process *process = context;
    return kafka_orders_deadline_ms(process->orders);
}

static void run_orders(void *context, int64_t now_ms)
{
    if (now_ms >= orders_deadline(context))
        orders_readable(context, now_ms);
}

static void presence_readable(void *context, int64_t now_ms)
{
    const struct gateway_process *process = context;
    kafka_presence_service(process->presence, now_ms);
}

static int64_t presence_deadline(void *context)
{
    const struct gateway_process *process = context;
    return kafka_presence_deadline_ms(process->presence);
}

static void run_presence(void *context, int64_t now_ms)
{
    if (now_ms >= presence_deadline(context))
        presence_readable(context, now_ms);
}

static void outlet_readable(void *context, int64_t now_ms)
{
    const struct gateway_process *process = context;
    (void)now_ms;
    kafka_outlet_service(process->outlet);
}

/* What was read back for those who return is gone after half a minute: then it is the kernel's again,
 * too, rather than the allocator's. */
static void give_memory_back(struct gateway_process *process)
{
    uint64_t held = hub_stats(process->hub)->read_back_bytes;
    if (held > process->most_read_back)
        process->most_read_back = held;
    if (held > 0 || process->most_read_back < WORTH_TRIMMING)
        return;
    process->most_read_back = 0;
    malloc_trim(0);
}

static void run_hub(void *context, int64_t now_ms)
{
    struct gateway_process *process = context;
    /* Adapters have no clock: what they do in this turn they do at this time. */
    socketio_adapter_set_time(process->adapter, now_ms, wall_ms());
    for (size_t i = 0; i < process->stream_count; i++)
        wire_clients_set_time(process->streams[i], now_ms, wall_ms());
    hub_run(process->hub, now_ms);
    give_memory_back(process);
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
    /* Deadlines have moved by the time that we were stopped for, but clients have not: they have
     * missed pings of ours, and are sent one before they give up. */
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

/* What is live is delivered, and what is ordered is done, also while thousands connect. */
static void run_between(void *context, int64_t now_ms)
{
    const struct gateway_process *process = context;
    kafka_source_service_live(process->kafka, now_ms, wall_ms());
    if (process->orders)
        orders_readable(context, now_ms);
    run_hub(context, now_ms);
    run_engineio(context, now_ms);
    run_streams(context, now_ms);
}

/* The Date of answers, what other workers see, and the end of draining. The date is made once a
 * second, and not for each answer. */
static void run_process(void *context, int64_t now_ms)
{
    struct gateway_process *process = context;
    if (now_ms >= process->date_ms) {
        char date[HTTP_DATE_SIZE];
        http_date(wall_ms() / 1000, date);
        http_server_set_date(process->http, date);
        process->date_ms = now_ms + SECOND_MS;
        gateway_health_tell(process);
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

/* --- Signals ---------------------------------------------------------------------------------- */

/* What is sent away, and how fast, is taken from the settings only now: draining has no state
 * before it begins. */
static void start_draining(struct gateway_process *process)
{
    const struct gateway_settings *settings = process->settings;
    /* The second time is an order: an operator has lost patience. */
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

/* SIGHUP, as daemons have it: certificates are replaced every few weeks, and connections stay. */
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

static void take_signal(void *context, int signal)
{
    struct gateway_process *process = context;
    if (signal == SIGHUP) {
        reload_certificate(process);
        if (process->tokens)
            token_sources_reread(process->tokens);
    } else if (signal == SIGINT || !process->slot || !gateway_drain_is_on(&process->drain))
        /* A worker may be sent SIGTERM twice, by its supervisor and by whoever ends the group: that
         * is one wish. */
        start_draining(process);
}

/* As events of the loop: a handler of signals could call nothing of all this. */
enum status gateway_turn_take_signals(struct gateway_process *process, struct error *error)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0};
    return lws_loop_on_signal(process->loop, signals, take_signal, process, error);
}

/* --- Coming and going ------------------------------------------------------------------------- */

/* What arrives is told to the hub, the hub tells who has something to get, and that is written. */
static void add_chores(struct gateway_process *process)
{
    struct lws_loop *loop = process->loop;
    lws_loop_add_chore(loop, &(struct lws_chore){advance_wheel, wheel_deadline, process});
    lws_loop_add_chore(loop, &(struct lws_chore){run_kafka, kafka_deadline, process});
    if (process->orders)
        lws_loop_add_chore(loop, &(struct lws_chore){run_orders, orders_deadline, process});
    if (process->tokens)
        lws_loop_add_chore(loop, &(struct lws_chore){run_tokens, tokens_deadline, process});
    lws_loop_add_chore(loop, &(struct lws_chore){run_identities, identities_deadline, process});
    if (process->presence)
        lws_loop_add_chore(loop, &(struct lws_chore){run_presence, presence_deadline, process});
    lws_loop_add_chore(loop, &(struct lws_chore){run_hub, hub_deadline, process});
    lws_loop_add_chore(loop, &(struct lws_chore){run_engineio, engineio_deadline, process});
    lws_loop_add_chore(loop, &(struct lws_chore){run_streams, streams_deadline, process});
    lws_loop_add_chore(loop, &(struct lws_chore){run_process, process_deadline, process});
    lws_loop_set_between(loop, run_between, process);
}

/* What comes from other threads comes by a descriptor: librdkafka's and the workers'. */
static enum status add_watches(struct gateway_process *process, struct error *error)
{
    const struct {
        int descriptor;
        void (*readable)(void *context, int64_t now_ms);
    } wanted[] = {
        {kafka_source_descriptor(process->kafka), kafka_readable},
        {process->tokens ? token_sources_descriptor(process->tokens) : -1, tokens_readable},
        {process->orders ? kafka_orders_descriptor(process->orders) : -1, orders_readable},
        {process->presence ? kafka_presence_descriptor(process->presence) : -1, presence_readable},
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

enum status gateway_turn_attach(struct gateway_process *process, struct error *error)
{
    add_chores(process);
    return add_watches(process, error);
}

/* Before the parts are freed: watches and chores hold their addresses. */
void gateway_turn_detach(struct gateway_process *process)
{
    for (size_t i = 0; i < sizeof(process->watches) / sizeof(process->watches[0]); i++)
        lws_loop_unwatch(process->watches[i]);
    lws_loop_remove_chores(process->loop, process);
}
