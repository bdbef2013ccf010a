/* A session: its id, what is kept of its handshake, its heartbeat, its queue and its end, whatever
 * carries it (engineio_polling.c, engineio_websocket.c).
 *
 * It ends in two steps. CLOSING: nothing more comes in, what is queued still goes out. DEAD: out
 * of the table, what carried it is closed, and its application has been told; the memory goes at
 * the end of the turn. `told_closed` and `noted` see to it that the application and the counters
 * hear of it once, on whichever way it ends. */
#include <assert.h>
#include <stdio.h>

#include "base64.h"
#include "engineio_private.h"
#include "mem.h"

/* ---- Identity ---- */

/* 15 random bytes are 20 characters without padding; in the URL alphabet. */
static void new_key(struct engineio_server *server, char key[SID_KEY_SIZE])
{
    uint8_t random[SID_KEY_SIZE / 4 * 3];
    server->config.random(server->config.random_context, random, sizeof(random));
    buffer_clear(&server->scratch);
    base64_encode_url(bytes_of(random, sizeof(random)), &server->scratch);
    assert(buffer_size(&server->scratch) == SID_KEY_SIZE);
    memcpy(key, buffer_peek(&server->scratch).data, SID_KEY_SIZE);
}

/* The key alone is hashed: the prefix is the same for all sessions of this gateway. */
struct engineio_session *engineio_session_find(struct engineio_server *server, struct bytes sid)
{
    struct bytes prefix = bytes_of_string(server->config.sid_prefix);
    if (!bytes_start_with(sid, prefix) || sid.size != prefix.size + SID_KEY_SIZE)
        return NULL;
    struct engineio_session *session;
    HASH_FIND(hh, server->sessions, sid.data + prefix.size, SID_KEY_SIZE, session);
    return session;
}

void engineio_session_sid(const struct engineio_session *session, char sid[ENGINEIO_SID_SIZE])
{
    struct bytes prefix = bytes_of_string(session->server->config.sid_prefix);
    assert(prefix.size + SID_KEY_SIZE < ENGINEIO_SID_SIZE);
    memcpy(sid, prefix.data ? prefix.data : (const uint8_t *)"", prefix.size);
    memcpy(sid + prefix.size, session->key, SID_KEY_SIZE);
    sid[prefix.size + SID_KEY_SIZE] = '\0';
}

const char *engineio_session_cookie(const struct engineio_session *session,
                                    char cookie[SESSION_COOKIE_SIZE])
{
    if (!session->server->config.cookie)
        return NULL;
    char sid[ENGINEIO_SID_SIZE];
    engineio_session_sid(session, sid);
    snprintf(cookie, SESSION_COOKIE_SIZE, "%s=%s; Path=/; HttpOnly; SameSite=Lax",
             session->server->config.cookie, sid);
    return cookie;
}

/* The open packet. The upgrades it offers are those that the configuration allows. */
void engineio_session_append_open(struct engineio_session *session, bool websocket,
                                  struct buffer *out)
{
    const struct engineio_config *config = &session->server->config;
    char sid[ENGINEIO_SID_SIZE];
    engineio_session_sid(session, sid);
    struct engineio_handshake handshake = {
        .sid = bytes_of_string(sid),
        .websocket_upgrade = !websocket && !config->no_websocket,
        .ping_interval_ms = config->ping_interval_ms,
        .ping_timeout_ms = config->ping_timeout_ms,
        .max_payload_bytes = config->max_payload_bytes,
    };
    engineio_append_open(out, &handshake);
}

/* ---- The handshake request, as far as it is kept ---- */

/* Query and fields in one piece of memory: most applications look at them once, at the beginning,
 * and then let them go (engineio_session_forget). */
static void keep_request(struct engineio_session *session, const struct http_request *request)
{
    struct buffer copy = {0};
    assert(!session->handshake && request->query.size <= UINT32_MAX);
    buffer_append(&copy, request->query);
    session->query_size = (uint32_t)request->query.size;
    for (const char *const *name = session->server->config.handshake_fields; name && *name;
         name++) {
        struct bytes value;
        if (http_request_field(request, *name, &value))
            buffer_append_format(&copy, "%s: %.*s\r\n", *name, BYTES_PRINT(value));
    }
    const char *cookie = session->server->config.handshake_cookie;
    struct bytes value;
    if (cookie && http_request_cookie(request, cookie, &value))
        buffer_append_format(&copy, "cookie: %s=%.*s\r\n", cookie, BYTES_PRINT(value));
    session->fields_size = (uint32_t)(buffer_size(&copy) - session->query_size);
    if (buffer_size(&copy))
        session->handshake = mem_string(buffer_peek(&copy));
    buffer_deinit(&copy);
}

struct bytes engineio_session_query(const struct engineio_session *session)
{
    assert(session->handshake || session->query_size == 0);
    return bytes_of(session->handshake, session->query_size);
}

struct bytes engineio_session_fields(const struct engineio_session *session)
{
    assert(session->handshake || session->fields_size == 0);
    return session->fields_size
               ? bytes_of(session->handshake + session->query_size, session->fields_size)
               : bytes_of(NULL, 0);
}

void engineio_session_forget(struct engineio_session *session)
{
    free(session->handshake);
    session->handshake = NULL;
    session->query_size = 0;
    session->fields_size = 0;
}

/* ---- Heartbeat ---- */

/* The server pings. Each deadline is counted from the planned time of the one before it, so that what
 * a turn takes does not add up. */

/* One timer for three purposes, by state: the next ping, the pong's deadline, the last words of a
 * closing session. */
static void heartbeat_due(struct timer *timer, int64_t now_ms)
{
    struct engineio_session *session =
        (struct engineio_session *)((char *)timer - offsetof(struct engineio_session, timer));
    const struct engineio_config *config = &session->server->config;
    assert(session->state != SESSION_DEAD);
    if (session->state == SESSION_CLOSING) {
        engineio_session_end(session, ENGINEIO_CLOSE_SERVER, now_ms);
        return;
    }
    if (session->heartbeat == HEARTBEAT_WAIT_PONG) {
        engineio_session_end(session, ENGINEIO_CLOSE_PING_TIMEOUT, now_ms);
        return;
    }
    session->heartbeat = HEARTBEAT_WAIT_PONG;
    session->refreshed = false;
    session->ping_due = true;
    engineio_session_mark_dirty(session);
    timer_wheel_set(session->server->wheel, timer, timer->deadline_ms + config->ping_timeout_ms);
}

/* A pong, or the beginning: an interval of quiet, then the next ping. */
static void plan_ping(struct engineio_session *session, int64_t now_ms)
{
    assert(session->state == SESSION_OPEN);
    session->heartbeat = HEARTBEAT_WAIT_PING;
    session->ping_due = false;
    timer_wheel_set(session->server->wheel, &session->timer,
                    now_ms + session->server->config.ping_interval_ms);
}

/* While a pong is outstanding, the first other packet moves its deadline, once. */
static void refresh_pong(struct engineio_session *session, int64_t now_ms)
{
    assert(session->state == SESSION_OPEN);
    if (session->heartbeat != HEARTBEAT_WAIT_PONG || session->refreshed)
        return;
    session->refreshed = true;
    timer_wheel_set(session->server->wheel, &session->timer,
                    now_ms + session->server->config.ping_timeout_ms);
}

/* ---- Life ---- */

struct engineio_session *engineio_session_new(struct engineio_server *server, const char *key)
{
    struct engineio_session *session = mem_new(struct engineio_session);
    session->server = server;
    session->timer.fire = heartbeat_due;
    memcpy(session->key, key, SID_KEY_SIZE);
    HASH_ADD(hh, server->sessions, key[0], SID_KEY_SIZE, session);
    return session;
}

/* A ping that is out already counts as due: the gateway that takes the session pings anew. */
int64_t engineio_session_ping_in_ms(const struct engineio_session *session, int64_t now_ms)
{
    int64_t in_ms = session->timer.deadline_ms - now_ms;
    return session->heartbeat == HEARTBEAT_WAIT_PONG || in_ms < 0 ? 0 : in_ms;
}

/* As if the last ping had been so long ago that the next one is due then. */
void engineio_session_plan_ping_in(struct engineio_session *session, int64_t in_ms, int64_t now_ms)
{
    int64_t most_ms = session->server->config.ping_interval_ms;
    assert(in_ms >= 0);
    plan_ping(session, now_ms - most_ms + (in_ms < most_ms ? in_ms : most_ms));
}

struct engineio_session *engineio_session_open(struct engineio_server *server,
                                               const struct http_request *request, int64_t now_ms)
{
    char key[SID_KEY_SIZE];
    new_key(server, key);
    struct engineio_session *session = engineio_session_new(server, key);
    keep_request(session, request);
    server->stats.opened++;
    plan_ping(session, now_ms);
    return session;
}

/* In the order in which they were marked, so that nobody waits longer than a turn. Twice is
 * once. */
void engineio_session_mark_dirty(struct engineio_session *session)
{
    if (session->dirty || session->state == SESSION_DEAD)
        return;
    session->dirty = true;
    session->next_dirty = NULL;
    *session->server->dirty_tail = session;
    session->server->dirty_tail = &session->next_dirty;
}

/* A mark only: the application is asked at the end of the turn, when the client can take
 * something. */
void engineio_session_wake(struct engineio_session *session)
{
    session->awake = true;
    engineio_session_mark_dirty(session);
}

bool engineio_session_is_websocket(const struct engineio_session *session)
{
    return session->link != NULL;
}

/* The first reason counts: what comes behind it is a consequence. */
static void begin_closing(struct engineio_session *session, enum engineio_close reason)
{
    assert(reason < ENGINEIO_CLOSE_COUNT);
    if (session->state != SESSION_OPEN)
        return;
    session->state = SESSION_CLOSING;
    session->close_reason = (uint8_t)reason;
    engineio_session_mark_dirty(session);
}

void engineio_session_close(struct engineio_session *session)
{
    begin_closing(session, ENGINEIO_CLOSE_SERVER);
}

void engineio_session_overflow(struct engineio_session *session)
{
    begin_closing(session, ENGINEIO_CLOSE_OVERFLOW);
}

/* The first word counts, too. */
static void keep_word(struct engineio_session *session, unsigned code, const char *word)
{
    assert(code <= UINT16_MAX);
    if (session->word)
        return;
    session->word = word;
    session->close_code = (uint16_t)code;
}

/* `noted`: whoever found the word has counted it, so that a refusal is not counted twice. */
void engineio_session_close_for(struct engineio_session *session, unsigned code, const char *word)
{
    assert(word && websocket_close_code_is_valid(code));
    if (session->state == SESSION_OPEN)
        keep_word(session, code, word);
    session->noted = true; /* by whoever found the word */
    begin_closing(session, ENGINEIO_CLOSE_SERVER);
}

void engineio_session_fail(struct engineio_session *session, unsigned code, const char *word,
                           int64_t now_ms)
{
    assert(word && websocket_close_code_is_valid(code));
    if (session->state == SESSION_OPEN)
        keep_word(session, code, word);
    engineio_session_end(session, ENGINEIO_CLOSE_PROTOCOL, now_ms);
}

/* The caller that ends it says why; these go without saying. */
static void complete_word(struct engineio_session *session)
{
    assert(session->close_reason < ENGINEIO_CLOSE_COUNT);
    switch ((enum engineio_close)session->close_reason) {
    case ENGINEIO_CLOSE_PING_TIMEOUT:
        keep_word(session, WEBSOCKET_CLOSE_TRY_AGAIN, "ping_timeout");
        break;
    case ENGINEIO_CLOSE_OVERFLOW:
        keep_word(session, WEBSOCKET_CLOSE_POLICY, "too_many_answers");
        break;
    case ENGINEIO_CLOSE_PROTOCOL:
        keep_word(session, WEBSOCKET_CLOSE_POLICY, "bad_packet");
        break;
    case ENGINEIO_CLOSE_CLIENT:
    case ENGINEIO_CLOSE_TRANSPORT:
    case ENGINEIO_CLOSE_SERVER:
    case ENGINEIO_CLOSE_COUNT:
        break;
    }
}

/* Once, and as long as its wire is there. */
static void note_end(struct engineio_session *session)
{
    const struct wire *wire = session->link ? session->link->wire : NULL;
    if (session->noted)
        return;
    session->noted = true;
    complete_word(session);
    if (session->word)
        refusals_note(
            http_server_refusals(session->server->http),
            &(struct refusal_note){
                .transport = "engineio", .word = session->word, .ends = true, .wire = wire});
}

/* Without a word of its own a session that ends while the gateway drains is sent elsewhere. */
static void close_link(struct engineio_session *session)
{
    const char *word = session->word;
    unsigned code = session->close_code;
    assert(session->link && session->noted);
    if (!word && session->server->draining) {
        word = "restart";
        code = WEBSOCKET_CLOSE_GOING_AWAY;
    }
    link_close(session->link, word ? code : WEBSOCKET_CLOSE_NO_CODE, word);
    session->link = NULL;
}

/* The application may still say why (`last_word`), beyond the limit and once: one message more is
 * bounded, too. */
static void overflow_queue(struct engineio_session *session)
{
    const struct engineio_application_ops *ops = session->server->config.ops;
    assert(session->state == SESSION_OPEN && !session->last_word);
    session->last_word = true;
    if (ops->overflowed && session->connection)
        ops->overflowed(session->connection);
    engineio_session_overflow(session);
}

/* What came with the session from another gateway was owed to the client, and is no reason to end it:
 * a state may be more than the limit. */
static bool queue_holds(const struct engineio_session *session, size_t size)
{
    return size <= session->server->config.queue_bytes + session->queue_brought;
}

/* Copied: the parts are the caller's scratch. A message is queued whole or not at all. */
void engineio_session_send(struct engineio_session *session, bool binary, const struct bytes *parts,
                           size_t count)
{
    if (session->state != SESSION_OPEN)
        return;
    size_t size = buffer_size(&session->queue);
    for (size_t i = 0; i < count; i++)
        size += parts[i].size;
    if (!queue_holds(session, size) && !session->last_word) {
        overflow_queue(session);
        return;
    }
    queue_append(&session->queue, binary ? QUEUE_BINARY : QUEUE_TEXT, parts, count);
    engineio_session_mark_dirty(session);
}

/* The application's last call, on whichever way the session ends; from here on it has no
 * connection. */
void engineio_session_tell_closed(struct engineio_session *session, int64_t now_ms)
{
    assert(session->state != SESSION_OPEN);
    if (session->told_closed)
        return;
    session->told_closed = true;
    note_end(session);
    session->server->stats.closed[session->close_reason]++;
    if (session->connection)
        session->server->config.ops->closed(session->connection,
                                            (enum engineio_close)session->close_reason, now_ms);
    session->connection = NULL;
}

/* Every end comes through here. The order matters: out of the table first, so that nobody finds it
 * from inside the calls that follow; then what carries it; the application last. */
void engineio_session_end(struct engineio_session *session, enum engineio_close reason,
                          int64_t now_ms)
{
    struct engineio_server *server = session->server;
    if (session->state == SESSION_DEAD)
        return;
    if (session->state == SESSION_OPEN)
        session->close_reason = (uint8_t)reason;
    session->state = SESSION_DEAD;
    timer_wheel_cancel(server->wheel, &session->timer);
    HASH_DELETE(hh, server->sessions, session);
    address_place_leave(&session->place);
    note_end(session);
    if (session->link) {
        server->stats.websocket--;
        close_link(session);
    }
    if (session->polling) {
        server->stats.polling--;
        polling_detach(session, reason == ENGINEIO_CLOSE_CLIENT ? ENGINEIO_NOOP : ENGINEIO_CLOSE);
    }
    assert(!session->link && !session->polling);
    engineio_session_tell_closed(session, now_ms);
    /* A session that is still on the dirty list is freed when its turn comes there. */
    if (!session->dirty) {
        session->next_dirty = server->dead;
        server->dead = session;
    }
}

/* The session has moved, and lives: nobody is to hear of an end. */
void engineio_session_vanish(struct engineio_session *session, int64_t now_ms)
{
    session->connection = NULL;
    session->told_closed = true;
    engineio_session_end(session, ENGINEIO_CLOSE_TRANSPORT, now_ms);
}

/* What was held is read at the end of the turn, not here: this is called from inside the
 * application. */
void engineio_session_listen(struct engineio_session *session)
{
    session->deaf = false;
    engineio_session_mark_dirty(session);
}

void engineio_session_finish(struct engineio_session *session, int64_t now_ms)
{
    assert(session->state == SESSION_CLOSING);
    engineio_session_end(session, ENGINEIO_CLOSE_SERVER, now_ms);
}

bool engineio_session_is_left(const struct engineio_session *session)
{
    return session->state == SESSION_CLOSING && session->close_reason == ENGINEIO_CLOSE_CLIENT;
}

/* A client sends its close packet on one connection while it polls on another. Which of the two is
 * read first is chance, so the session stays a moment for the poll. */
static void client_closes(struct engineio_session *session, int64_t now_ms)
{
    assert(session->state == SESSION_OPEN);
    if (!session->polling || session->polling->get || polling_is_probed(session->polling)) {
        engineio_session_end(session, ENGINEIO_CLOSE_CLIENT, now_ms);
        return;
    }
    buffer_deinit(&session->queue);
    session->ping_due = false;
    begin_closing(session, ENGINEIO_CLOSE_CLIENT);
}

/* ---- Packets ---- */

/* Anything but a pong is a sign of life as well, but does not move the next ping: a client that
 * only sends could else never be pinged. */
bool engineio_session_take(struct engineio_session *session, const struct engineio_packet *packet,
                           int64_t now_ms)
{
    struct engineio_server *server = session->server;
    if (session->state != SESSION_OPEN)
        return false;
    if (packet->type != ENGINEIO_PONG)
        refresh_pong(session, now_ms);
    switch (packet->type) {
    case ENGINEIO_MESSAGE:
        /* Of a session on its way to another gateway the answers are all put there. */
        if (!queue_holds(session, buffer_size(&session->queue))) {
            overflow_queue(session);
            break;
        }
        server->stats.messages_in++;
        server->stats.bytes_in += packet->data.size;
        server->config.ops->message(session->connection, packet->data, packet->binary, now_ms);
        break;
    case ENGINEIO_PONG:
        plan_ping(session, now_ms);
        break;
    case ENGINEIO_PING: /* in this revision only the server pings */
        engineio_session_fail(session, WEBSOCKET_CLOSE_POLICY, "bad_packet", now_ms);
        break;
    case ENGINEIO_CLOSE:
        client_closes(session, now_ms);
        break;
    case ENGINEIO_OPEN:
    case ENGINEIO_UPGRADE:
    case ENGINEIO_NOOP:
        break;
    }
    return session->state == SESSION_OPEN;
}
