/* A session over WebSocket, and the way there: a probe beside a polling session, which the upgrade
 * makes the session's link.
 *
 * A link and its session point to each other. The end of one of them takes the pointers back
 * before anything else is called. A closed link stays in memory until the end of the turn
 * (`dead_links`), since its reader may be in the middle of a message when it is closed. */
#include <assert.h>

#include "engineio_private.h"
#include "http_response.h"
#include "mem.h"

/* ---- The end of a link ---- */

/* The wire is closed, or was closed by the peer; nobody writes any more. */
static void link_gone(struct link *link)
{
    link->wire = NULL;
    link->next_dead = link->server->dead_links;
    link->server->dead_links = link;
}

/* NO_CODE: a close frame without a code, which is what the JavaScript server sends. */
void link_close(struct link *link, unsigned code, const char *word)
{
    struct wire *wire = link->wire;
    assert(!word || code != WEBSOCKET_CLOSE_NO_CODE);
    if (!wire)
        return;
    if (wire->writable) {
        struct buffer frame = {0};
        websocket_append_close(&frame, code, word ? word : "");
        wire_write(wire, buffer_peek(&frame));
        buffer_deinit(&frame);
    }
    wire_close(wire, WIRE_FLUSH);
    link_gone(link);
}

/* A peer that just went away is no refusal: then there is no word. */
static void link_note(const struct link *link, const char *word)
{
    if (word)
        refusals_note(http_server_refusals(link->server->http),
                      &(struct refusal_note){
                          .transport = "engineio", .word = word, .ends = true, .wire = link->wire});
}

/* A probe that came to nothing: only the WebSocket goes, polling lives on. */
static void abandon_probe(struct link *link, unsigned code, const char *word)
{
    struct engineio_session *session = link->session;
    assert(link->probing);
    link_note(link, word);
    link_close(link, code, word);
    if (!session)
        return;
    link->session = NULL;
    link->server->stats.upgrades_failed++;
    session->polling->probe = NULL;
    session->polling->probed = false;
    engineio_session_mark_dirty(session); /* what was held back meanwhile may be polled */
    timer_wheel_cancel(link->server->wheel, &session->polling->upgrade_timer);
}

static void upgrade_late(struct timer *timer, int64_t now_ms)
{
    (void)now_ms;
    struct polling *polling =
        (struct polling *)((char *)timer - offsetof(struct polling, upgrade_timer));
    assert(polling->probe);
    abandon_probe(polling->probe, WEBSOCKET_CLOSE_POLICY, "upgrade_timeout");
}

/* ---- Upgrade ---- */

/* "3probe" tells the client that the WebSocket works. From now on it waits for its poll to come
 * back, so that is released. */
static void greet_probe(struct link *link)
{
    struct polling *polling = link->session->polling;
    assert(link->probing && !link->greeted);
    link->greeted = true;
    polling->probed = true;
    polling->release = polling->get != NULL;
    if (link->wire->writable) {
        struct buffer frame = {0};
        websocket_append_frame(&frame, WEBSOCKET_TEXT, BYTES_LITERAL("3probe"));
        wire_write(link->wire, buffer_peek(&frame));
        buffer_deinit(&frame);
    }
    engineio_session_mark_dirty(link->session); /* releases the held poll */
}

/* "5": the client polls and posts no more. What is queued goes out by the link, once and in
 * order. */
static void complete_upgrade(struct link *link)
{
    struct engineio_session *session = link->session;
    struct engineio_server *server = link->server;
    assert(session->polling && session->polling->probe == link && !session->link);
    session->polling->probe = NULL;
    polling_detach(session, ENGINEIO_UPGRADE);
    session->link = link;
    link->probing = false;
    server->stats.polling--;
    server->stats.websocket++;
    server->stats.upgrades++;
    engineio_session_mark_dirty(session); /* what was not polled goes out here, once and in order */
}

/* A probe says two things, in this order, while the session goes on by polling. */
static void take_probe(struct link *link, const struct websocket_item *item)
{
    bool text = item->opcode == WEBSOCKET_TEXT;
    assert(link->probing && link->session);
    if (text && !link->greeted && bytes_equal(item->payload, BYTES_LITERAL("2probe")))
        greet_probe(link);
    else if (text && link->greeted && link->session->state == SESSION_OPEN &&
             bytes_equal(item->payload, BYTES_LITERAL("5")))
        complete_upgrade(link);
    else
        abandon_probe(link, WEBSOCKET_CLOSE_POLICY, "bad_upgrade");
}

/* ---- Frames ---- */

/* Text messages are packets, binary ones are a message's bytes without a packet around them. */
static void link_take_message(struct link *link, const struct websocket_item *item, int64_t now_ms)
{
    assert(item->opcode == WEBSOCKET_TEXT || item->opcode == WEBSOCKET_BINARY);
    if (link->probing) {
        take_probe(link, item);
        return;
    }
    struct engineio_session *session = link->session;
    struct engineio_packet packet = engineio_binary(item->payload);
    if (item->opcode == WEBSOCKET_TEXT &&
        engineio_decode(item->payload, &link->server->decoded, &packet) != STATUS_OK)
        engineio_session_fail(session, WEBSOCKET_CLOSE_POLICY, "bad_packet", now_ms);
    else
        (void)engineio_session_take(session, &packet, now_ms);
}

/* Answered within the queue's limit: a client that pings and does not read gets no more pongs. */
static void take_pong_request(struct link *link, struct bytes payload)
{
    struct engineio_session *session = link->session;
    assert(payload.size <= WEBSOCKET_CONTROL_MAX);
    if (link->probing || session->state != SESSION_OPEN ||
        buffer_size(&session->queue) + payload.size > link->server->config.queue_bytes)
        return;
    queue_append(&session->queue, QUEUE_WEBSOCKET_PONG, &payload, 1);
    engineio_session_mark_dirty(session);
}

/* The connection is over, by its peer: the close frame is answered by another. */
static void link_left(struct link *link, unsigned code, int64_t now_ms)
{
    if (link->probing) {
        abandon_probe(link, code, NULL);
        return;
    }
    link_close(link, code, NULL);
    engineio_session_end(link->session, ENGINEIO_CLOSE_TRANSPORT, now_ms);
}

/* Or by what it sent. */
static void link_fail(struct link *link, unsigned code, const char *word, int64_t now_ms)
{
    if (link->probing) {
        abandon_probe(link, code, word);
        return;
    }
    engineio_session_fail(link->session, code, word, now_ms);
}

static void link_take_item(struct link *link, const struct websocket_item *item, int64_t now_ms)
{
    switch (item->opcode) {
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY:
        link_take_message(link, item, now_ms);
        break;
    case WEBSOCKET_PING:
        take_pong_request(link, item->payload);
        break;
    case WEBSOCKET_CLOSE:
        link_left(link, item->close_code, now_ms);
        break;
    case WEBSOCKET_PONG:
    case WEBSOCKET_CONTINUATION:
        break;
    }
}

/* A deaf session's client is held back by nothing but this limit. */
static void link_hold(struct link *link, struct bytes bytes, int64_t now_ms)
{
    assert(link->session->deaf);
    if (buffer_size(&link->held) + bytes.size > link->server->poll_bytes + HELD_SLACK)
        link_fail(link, WEBSOCKET_CLOSE_TOO_BIG, "too_large", now_ms);
    else
        buffer_append(&link->held, bytes);
}

/* The link may be closed by any item (`wire` is NULL then), but it is not freed before the end of
 * the turn. */
static void link_bytes(void *receiver, struct bytes bytes, int64_t now_ms)
{
    struct link *link = receiver;
    if (!link->probing && link->session->deaf) {
        link_hold(link, bytes, now_ms);
        return;
    }
    while (link->wire) {
        struct websocket_item item;
        enum status status = websocket_reader_next(&link->reader, &bytes, &item);
        if (status == STATUS_INCOMPLETE)
            return;
        unsigned code = websocket_reader_close_code(&link->reader);
        if (status == STATUS_OK)
            link_take_item(link, &item, now_ms);
        else
            link_fail(link, code, refusal_of_frame(code), now_ms);
    }
}

/* In the order in which it came, as if it came now. */
void link_hear_held(struct link *link, int64_t now_ms)
{
    auto_buffer struct buffer held = link->held;
    assert(!link->session->deaf);
    link->held = (struct buffer){0};
    link_bytes(link, buffer_peek(&held), now_ms);
}

/* A mark only: the session is asked at the end of the turn. */
static void link_writable(void *receiver, int64_t now_ms)
{
    (void)now_ms;
    struct link *link = receiver;
    if (!link->probing)
        engineio_session_mark_dirty(link->session);
}

static void link_closed(void *receiver, int64_t now_ms)
{
    struct link *link = receiver;
    link_gone(link);
    link_left(link, WEBSOCKET_CLOSE_NO_CODE, now_ms);
}

static const struct wire_receiver_ops receiver_ops = {
    .bytes = link_bytes,
    .writable = link_writable,
    .closed = link_closed,
};

/* ---- Writing ---- */

/* At most write_bytes in one write; a session that has more to say asks for the next one, so that
 * clients take turns. */
void link_flush(struct link *link, int64_t now_ms)
{
    struct engineio_session *session = link->session;
    struct engineio_server *server = link->server;
    struct buffer *out = &server->scratch;
    assert(session->link == link && !link->probing);
    if (!link->wire->writable) {
        wire_want_writable(link->wire);
        return;
    }
    buffer_clear(out);
    struct engineio_writer writer = {
        .server = server,
        .out = out,
        .limit = server->config.write_bytes,
        .packets_most = UINT32_MAX,
        .websocket = true,
        .base64 = session->link->base64,
    };
    engineio_session_fill(session, &writer, now_ms);
    if (buffer_size(out)) {
        server->stats.writes++;
        wire_write(link->wire, buffer_peek(out));
    }
    if (buffer_size(&session->queue) || (session->awake && session->state == SESSION_OPEN))
        wire_want_writable(link->wire);
    else if (session->state == SESSION_CLOSING)
        engineio_session_finish(session, now_ms);
}

/* ---- Opening ---- */

static void refuse_upgrade(struct http_exchange *exchange, unsigned code, const char *text)
{
    http_exchange_note_refusal(exchange, "engineio", "bad_handshake");
    struct http_field version = http_field_of("Sec-WebSocket-Version", "13");
    http_exchange_answer(exchange, &(struct http_answer){.code = code,
                                                         .content_type = "text/html",
                                                         .fields = &version,
                                                         .field_count = code == 426,
                                                         .body = bytes_of_string(text),
                                                         .close = true});
}

bool engineio_read_wish(struct http_exchange *exchange, const struct http_request *request,
                        struct upgrade_wish *wish)
{
    auto_buffer struct buffer scratch = {0};
    struct bytes base64;
    *wish = (struct upgrade_wish){0};
    enum status status = websocket_check_handshake(request, &wish->key);
    (void)websocket_first_protocol(request, &wish->protocol);
    wish->base64 =
        http_query_parameter(request->query, "b64", &scratch, &base64) == STATUS_OK && base64.size;
    if (status == STATUS_UNSUPPORTED)
        refuse_upgrade(exchange, 426, "Unsupported WebSocket version");
    else if (status != STATUS_OK)
        refuse_upgrade(exchange, 400, engineio_error_message(ENGINEIO_ERROR_BAD_REQUEST));
    return status == STATUS_OK;
}

/* The 101 with what the browser's rules and load balancers want of it. */
static void append_answer(struct engineio_server *server, struct http_exchange *exchange,
                          const struct upgrade_wish *wish, const char *cookie)
{
    struct http_field fields[HTTP_CORS_FIELDS + 1];
    size_t count = http_exchange_cors_fields(exchange, fields);
    if (cookie)
        fields[count++] = http_field_of("Set-Cookie", cookie);
    buffer_clear(&server->scratch);
    websocket_append_handshake(&server->scratch, wish->key, wish->protocol, fields, count);
}

static void append_open_frame(struct engineio_session *session)
{
    struct buffer packet = {0};
    engineio_session_append_open(session, true, &packet);
    websocket_append_frame(&session->server->scratch, WEBSOCKET_TEXT, buffer_peek(&packet));
    buffer_deinit(&packet);
}

struct wire *engineio_welcome(struct engineio_server *server, struct http_exchange *exchange,
                              const struct upgrade_wish *wish, struct buffer *rest)
{
    assert(buffer_size(rest) == 0);
    append_answer(server, exchange, wish, NULL);
    struct wire *wire = http_exchange_take(exchange, 101, rest);
    if (wire->writable)
        wire_write(wire, buffer_peek(&server->scratch));
    return wire;
}

/* The reader comes along: the client's next frame may have begun before the session was here. */
struct link *link_of_wire(struct engineio_session *session, struct wire *wire,
                          const struct websocket_reader *reader, bool base64)
{
    struct link *link = mem_new(struct link);
    assert(wire && !session->link);
    link->server = session->server;
    link->session = session;
    link->wire = wire;
    link->reader = *reader;
    link->base64 = base64;
    wire_attach(wire, &receiver_ops, link);
    return link;
}

/* The 101 is written once the link is the wire's receiver: whatever happens to the wire from then
 * on is heard by the link. */
static struct link *open_link(struct engineio_server *server, struct engineio_session *session,
                              struct http_exchange *exchange, bool base64, struct buffer *rest)
{
    struct link *link = mem_new(struct link);
    assert(buffer_size(rest) == 0);
    link->base64 = base64;
    link->server = server;
    link->session = session;
    link->wire = http_exchange_take(exchange, 101, rest);
    websocket_reader_init(&link->reader, server->config.max_payload_bytes);
    wire_attach(link->wire, &receiver_ops, link);
    if (link->wire->writable)
        wire_write(link->wire, buffer_peek(&server->scratch));
    return link;
}

/* The open packet goes out with the 101, in one write. */
static void open_session(struct engineio_server *server, struct http_exchange *exchange,
                         const struct http_request *request, const struct upgrade_wish *wish,
                         int64_t now_ms)
{
    struct address_place place = {0};
    char cookie[SESSION_COOKIE_SIZE];
    assert(!engineio_is_full(server));
    if (!http_exchange_admit(exchange, request, now_ms, &place))
        return;
    struct engineio_session *session = engineio_session_open(server, request, now_ms);
    session->place = place;
    append_answer(server, exchange, wish, engineio_session_cookie(session, cookie));
    append_open_frame(session);
    struct buffer rest = {0};
    session->link = open_link(server, session, exchange, wish->base64, &rest);
    server->stats.websocket++;
    session->connection = server->config.ops->opened(server->config.application, session, now_ms);
    if (buffer_size(&rest))
        link_bytes(session->link, buffer_peek(&rest), now_ms);
    buffer_deinit(&rest);
}

/* The session stays with polling until the upgrade is complete, so the probe has no place of its
 * own. */
static void open_probe(struct engineio_session *session, struct http_exchange *exchange,
                       const struct upgrade_wish *wish, int64_t now_ms)
{
    struct engineio_server *server = session->server;
    struct polling *polling = session->polling;
    assert(polling && !polling_is_probed(polling));
    append_answer(server, exchange, wish, NULL);
    struct buffer rest = {0};
    struct link *link = open_link(server, session, exchange, wish->base64, &rest);
    link->probing = true;
    polling->probe = link;
    polling->upgrade_timer.fire = upgrade_late;
    timer_wheel_set(server->wheel, &polling->upgrade_timer,
                    now_ms + server->config.upgrade_timeout_ms);
    if (buffer_size(&rest))
        link_bytes(link, buffer_peek(&rest), now_ms);
    buffer_deinit(&rest);
}

/* A second WebSocket for a session, or one beside a running upgrade, is closed: it may be a hijack.
 * As at the JavaScript server that comes after the handshake, which the official suites' client
 * relies on. */
static void close_second(struct engineio_server *server, struct http_exchange *exchange,
                         const struct upgrade_wish *wish)
{
    auto_buffer struct buffer rest = {0}, frame = {0};
    struct wire *wire = engineio_welcome(server, exchange, wish, &rest);
    static const char word[] = "second_websocket";
    refusals_note(
        http_server_refusals(server->http),
        &(struct refusal_note){.transport = "engineio", .word = word, .ends = true, .wire = wire});
    if (wire->writable) {
        websocket_append_close(&frame, WEBSOCKET_CLOSE_POLICY, word);
        wire_write(wire, buffer_peek(&frame));
    }
    wire_close(wire, WIRE_FLUSH);
}

/* With a session: its probe, or one WebSocket too many. Without: a session that begins with it. */
void engineio_websocket_request(struct engineio_server *server, struct engineio_session *session,
                                struct http_exchange *exchange, const struct http_request *request,
                                int64_t now_ms)
{
    struct upgrade_wish wish;
    if (!engineio_read_wish(exchange, request, &wish))
        return;
    bool taken = session && (!session->polling || polling_is_probed(session->polling) ||
                             session->state != SESSION_OPEN);
    if (taken)
        close_second(server, exchange, &wish);
    else if (session)
        open_probe(session, exchange, &wish, now_ms);
    else
        open_session(server, exchange, request, &wish, now_ms);
}
