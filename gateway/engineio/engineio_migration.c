/* A session's way to another gateway, when its upgrade has reached that one. This is where it is
 * given and taken: the other gateway asks whether the session may be probed, and takes it once the
 * client has sent "5". What a session consists of, both ways, stands here and nowhere else.
 *
 *      /peer/probe     as a probe of our own: from now on polls are not held for long.
 *                      Answered by what names the probe
 *      /peer/abandon   the probe has come to nothing
 *      /peer/take      answered by the session, which is then gone from here; it waits for
 *                      what is under way
 *
 * At no time do two gateways have the session: it leaves this one in the answer that gives it
 * away. If the answer is lost the session is lost, and its client comes back with its cursor. */
#include <assert.h>
#include <stdio.h>

#include "engineio_private.h"
#include "http_response.h"
#include "mem.h"
#include "narrow.h"
#include "pack.h"

enum { FORMAT_VERSION = 1, PING_LIMIT_MS = 1 << 30 };

/* ---- Probes of others ---- */

/* The client stays with polling, as after an upgrade of our own that failed. */
static void forget_probe(struct engineio_session *session)
{
    struct polling *polling = session->polling;
    assert(polling && polling->remote_probe[0]);
    polling->remote_probe[0] = '\0';
    polling->probed = false;
    engineio_session_mark_dirty(session);
    timer_wheel_cancel(session->server->wheel, &polling->upgrade_timer);
    session->server->stats.upgrades_failed++;
}

/* The other gateway has its own deadline, but it may be gone. */
static void probe_late(struct timer *timer, int64_t now_ms)
{
    struct polling *polling =
        (struct polling *)((char *)timer - offsetof(struct polling, upgrade_timer));
    (void)now_ms;
    assert(polling->session->polling == polling);
    forget_probe(polling->session);
}

static void answer_bytes(struct http_exchange *exchange, struct bytes body)
{
    http_exchange_answer(exchange, &(struct http_answer){.code = 200,
                                                         .content_type = "application/octet-stream",
                                                         .body = body});
}

/* A random name, so that an abandon or a take that was meant for an earlier probe of this session
 * cannot end or take a later one. */
static void begin_probe(struct engineio_session *session, struct http_exchange *exchange,
                        int64_t now_ms)
{
    struct engineio_server *server = session->server;
    struct polling *polling = session->polling;
    uint8_t random[(REMOTE_PROBE_SIZE - 1) / 2];
    assert(!polling_is_probed(polling) && session->state == SESSION_OPEN);
    server->config.random(server->config.random_context, random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(&polling->remote_probe[2 * i], 3, "%02x", random[i]);
    polling->probed = true;
    polling->release = polling->get != NULL;
    polling->upgrade_timer.fire = probe_late;
    timer_wheel_set(server->wheel, &polling->upgrade_timer,
                    now_ms + server->config.upgrade_timeout_ms);
    answer_bytes(exchange, bytes_of_string(polling->remote_probe));
    engineio_session_mark_dirty(session);
}

static bool names_probe(const struct http_request *request, const struct polling *polling)
{
    auto_buffer struct buffer scratch = {0};
    struct bytes value;
    assert(!polling->remote_probe[0] || polling->probed);
    return polling->remote_probe[0] &&
           http_query_parameter(request->query, "probe", &scratch, &value) == STATUS_OK &&
           bytes_equal_string(value, polling->remote_probe);
}

/* ---- What others ask ---- */

/* NULL: it was answered. */
static struct engineio_session *asked_session(struct engineio_server *server,
                                              struct http_exchange *exchange,
                                              const struct http_request *request, int64_t now_ms)
{
    if (!engineio_is_peer(server, exchange, request))
        return NULL;
    struct request_parameters parameters = engineio_read_parameters(server, request, now_ms);
    struct engineio_session *session = parameters.session;
    buffer_deinit(&parameters.sid);
    if (session && session->polling && session->state == SESSION_OPEN &&
        server->config.ops->migrate_out)
        return session;
    engineio_answer_error(exchange,
                          session ? ENGINEIO_ERROR_BAD_REQUEST : ENGINEIO_ERROR_UNKNOWN_SID, NULL);
    return NULL;
}

static void peer_probe(void *route, struct http_exchange *exchange,
                       const struct http_request *request, int64_t now_ms)
{
    struct engineio_session *session = asked_session(route, exchange, request, now_ms);
    if (!session)
        return;
    /* A second WebSocket beside a running upgrade is refused, as at home. */
    if (polling_is_probed(session->polling))
        engineio_answer_error(exchange, ENGINEIO_ERROR_BAD_REQUEST, NULL);
    else
        begin_probe(session, exchange, now_ms);
}

static void peer_abandon(void *route, struct http_exchange *exchange,
                         const struct http_request *request, int64_t now_ms)
{
    struct engineio_session *session = asked_session(route, exchange, request, now_ms);
    if (!session)
        return;
    if (names_probe(request, session->polling) && !session->polling->take)
        forget_probe(session);
    answer_bytes(exchange, bytes_of(NULL, 0));
}

/* Not answered at once: what the client has asked for may still be under way to the backend, and
 * its answer comes to this gateway. The turn looks each time whether the session can go. */
static void peer_take(void *route, struct http_exchange *exchange,
                      const struct http_request *request, int64_t now_ms)
{
    struct engineio_session *session = asked_session(route, exchange, request, now_ms);
    if (!session)
        return;
    struct polling *polling = session->polling;
    if (!names_probe(request, polling) || polling->take) {
        engineio_answer_error(exchange, ENGINEIO_ERROR_BAD_REQUEST, NULL);
        return;
    }
    polling->take = exchange;
    http_exchange_set_context(exchange, &polling->owner);
    timer_wheel_cancel(session->server->wheel, &polling->upgrade_timer);
    engineio_session_mark_dirty(session);
}

void migration_add_routes(struct engineio_server *server)
{
    const struct {
        const char *path;
        void (*request)(void *route, struct http_exchange *exchange,
                        const struct http_request *request, int64_t now_ms);
    } routes[] = {
        {"/peer/probe", peer_probe}, {"/peer/abandon", peer_abandon}, {"/peer/take", peer_take}};
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        http_server_add_route(server->peers.http,
                              &(struct http_route){.path = routes[i].path,
                                                   .request = routes[i].request,
                                                   .aborted = engineio_handle_aborted,
                                                   .route = server});
}

/* ---- Giving ---- */

void engineio_migrate_out(struct engineio_session *session, int64_t now_ms)
{
    struct engineio_server *server = session->server;
    struct polling *polling = session->polling;
    auto_buffer struct buffer own = {0};
    auto_buffer struct buffer queue = {0};
    auto_buffer struct buffer state = {0};
    struct engineio_writer writer = {.server = server,
                                     .out = &own,
                                     .limit = 1,
                                     .packets_most = UINT32_MAX,
                                     .queue = &session->queue};
    enum status status = STATUS_CLOSED;
    assert(polling->take);
    if (session->state == SESSION_OPEN)
        status = server->config.ops->migrate_out(session->connection, &writer, &own, now_ms);
    /* Something is under way still: the next turn tries again. */
    if (status == STATUS_INCOMPLETE)
        return;
    if (status != STATUS_OK || session->state != SESSION_OPEN) {
        engineio_session_close_for(session, WEBSOCKET_CLOSE_TRY_AGAIN, "cannot_continue");
        engineio_session_end(session, ENGINEIO_CLOSE_SERVER, now_ms);
        return;
    }
    /* What is queued travels along: it was said to the client, and a socket's state counts from
     * behind it. */
    queue_pack(&session->queue, &queue);
    pack_number(&state, FORMAT_VERSION);
    pack_number(&state, (uint64_t)engineio_session_ping_in_ms(session, now_ms));
    pack_bytes(&state, engineio_session_query(session));
    pack_bytes(&state, engineio_session_fields(session));
    pack_bytes(&state, buffer_peek(&queue));
    pack_bytes(&state, buffer_peek(&own));
    struct http_exchange *take = polling->take, *get = polling->get;
    assert(take && session->state == SESSION_OPEN);
    polling->take = polling->get = NULL;
    if (get) /* the client has stopped polling; this is another's */
        engineio_answer_error(get, ENGINEIO_ERROR_BAD_REQUEST, NULL);
    answer_bytes(take, buffer_peek(&state));
    server->stats.migrated_out++;
    engineio_session_vanish(session, now_ms);
}

/* ---- Taking ---- */

struct moved {
    uint64_t ping_in_ms;
    struct bytes query, fields, queue, own;
};

/* Another gateway's answer, perhaps of another version: nothing in it is believed, and all of it
 * has to be used up. */
static bool read_moved(struct bytes state, struct moved *moved)
{
    uint64_t version;
    return unpack_number(&state, &version) && version == FORMAT_VERSION &&
           unpack_limited(&state, PING_LIMIT_MS, &moved->ping_in_ms) &&
           unpack_bytes(&state, &moved->query) && unpack_bytes(&state, &moved->fields) &&
           unpack_bytes(&state, &moved->queue) && unpack_bytes(&state, &moved->own) &&
           state.size == 0 && moved->query.size <= UINT16_MAX && moved->fields.size <= UINT16_MAX;
}

static void keep_handshake(struct engineio_session *session, const struct moved *moved)
{
    auto_buffer struct buffer copy = {0};
    assert(!session->handshake);
    assert(moved->query.size <= UINT16_MAX && moved->fields.size <= UINT16_MAX);
    buffer_append(&copy, moved->query);
    buffer_append(&copy, moved->fields);
    if (buffer_size(&copy))
        session->handshake = mem_string(buffer_peek(&copy));
    session->query_size = (uint32_t)moved->query.size;
    session->fields_size = (uint32_t)moved->fields.size;
}

/* Nothing here can go on from its state. */
static void refuse_moved(struct engineio_session *session, int64_t now_ms)
{
    assert(!session->connection && session->link);
    engineio_session_close_for(session, WEBSOCKET_CLOSE_TRY_AGAIN, "cannot_continue");
    engineio_session_end(session, ENGINEIO_CLOSE_SERVER, now_ms);
}

/* Only sessions that are not here already: the id comes from a client, and two sessions of one id
 * would be each other's. */
bool engineio_migrate_in(struct engineio_server *server, struct bytes sid, struct bytes state,
                         struct taken_wire taken, int64_t now_ms)
{
    struct moved moved;
    struct buffer queue = {0};
    struct engineio_session *session;
    assert(sid.size >= SID_KEY_SIZE);
    const char *key = (const char *)sid.data + sid.size - SID_KEY_SIZE;
    HASH_FIND(hh, server->sessions, key, SID_KEY_SIZE, session);
    if (session || !read_moved(state, &moved) || !queue_unpack(moved.queue, &queue)) {
        buffer_deinit(&queue);
        return false;
    }
    session = engineio_session_new(server, key);
    session->queue = queue;
    session->queue_brought = narrow_32(buffer_size(&queue)); /* a peer's answer is bounded */
    session->place = *taken.place;
    /* Its application says when it may be listened to: its lanes may have to be opened first. */
    session->deaf = true;
    session->link = link_of_wire(session, taken.wire, taken.reader, taken.base64);
    server->stats.websocket++;
    server->stats.upgrades++;
    server->stats.migrated_in++;
    keep_handshake(session, &moved);
    engineio_session_plan_ping_in(session, (int64_t)moved.ping_in_ms, now_ms);
    session->connection =
        server->config.ops->migrate_in(server->config.application, session, moved.own, now_ms);
    if (session->connection)
        engineio_session_mark_dirty(session);
    else
        refuse_moved(session, now_ms);
    return true;
}
