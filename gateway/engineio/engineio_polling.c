/* Long-polling: a session's GETs and POSTs.
 *
 * A session has at most one GET and one POST at a time. A second one is either the same request
 * again (a load balancer or a browser repeats what it lost; they are told by the parameter `t`),
 * and then it takes the place of the first, or a violation that ends the session. The body of
 * the last answer is kept until the client's next poll shows that it has arrived: so a repeated
 * GET gets the same events, and none is lost or doubled by it. */
#include <assert.h>

#include <zlib.h>

#include "engineio_private.h"
#include "http_response.h"
#include "mem.h"

/* A poll that comes after "3probe" is released by a noop, but not at once: if the client's "5" is
 * on its way, the poll came after it, and is refused. (The JavaScript server looks every 100 ms.)
 */
enum { PROBED_POLL_MS = 30 };

/* How long a poll whose connection was lost may come again: a load balancer tries at another
 * gateway, a browser on another connection. */
enum { CUT_POLL_MS = 1500 };

#define POLL_CONTENT_TYPE "text/plain; charset=UTF-8"

/* ---- Answers ---- */

/* The fields are those of the JavaScript server; XSS protection is off where it would tear packets
 * apart. */
static void polling_answer(struct http_exchange *exchange, const char *content_type,
                           struct bytes body, bool gzip, bool old_browser)
{
    struct http_field fields[3] = {http_field_of("Cache-Control", "no-store")};
    size_t count = 1;
    if (gzip)
        fields[count++] = http_field_of("Content-Encoding", "gzip");
    if (old_browser)
        fields[count++] = http_field_of("X-XSS-Protection", "0");
    http_exchange_answer(exchange, &(struct http_answer){.code = 200,
                                                         .content_type = content_type,
                                                         .fields = fields,
                                                         .field_count = count,
                                                         .body = body});
}

/* Answers the held GET. The body is kept, since a load balancer may ask for it again (same `t`). */
static void answer_poll(struct engineio_session *session, struct bytes body)
{
    struct engineio_server *server = session->server;
    struct polling *polling = session->polling;
    struct http_exchange *get = polling->get;
    assert(get);
    polling->get = NULL;
    polling->last_get_mark = polling->get_mark;
    buffer_deinit(&polling->last_body);
    if (polling->get_mark.size)
        buffer_append(&polling->last_body, body);
    server->stats.polls++;
    bool gzip = polling->gzip && server->compressor && body.size >= server->config.compress_bytes;
    if (gzip)
        body = poll_compressor_run(server->compressor, body);
    polling_answer(get, POLL_CONTENT_TYPE, body, gzip, polling->old_browser);
}

/* ---- Marks ---- */

/* A longer `t` than clients write is no mark: such a request is never taken for a repetition. */
static struct request_mark read_request_mark(const struct http_request *request)
{
    struct request_mark mark = {0};
    struct buffer scratch = {0};
    struct bytes value;
    if (http_query_parameter(request->query, "t", &scratch, &value) == STATUS_OK &&
        value.size <= T_SIZE) {
        mark.size = (uint8_t)value.size;
        if (value.size)
            memcpy(mark.text, value.data, value.size);
    }
    buffer_deinit(&scratch);
    return mark;
}

static bool same_mark(const struct request_mark *a, const struct request_mark *b)
{
    assert(a->size <= T_SIZE && b->size <= T_SIZE);
    return a->size && a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}

/* ---- GET ---- */

/* What the User-Agent tells: browsers that take an answer for a page and look for scripts in it, */
static bool is_old_browser(const struct http_request *request)
{
    struct bytes agent;
    return http_request_field(request, "user-agent", &agent) &&
           (memmem(agent.data, agent.size, ";MSIE", 5) ||
            memmem(agent.data, agent.size, "Trident/", 8));
}

/* and the stock clients (browsers, and the client's own request library under node), which take
 * payloads of any number of packets. */
static void look_at_agent(struct polling *polling, const struct http_request *request)
{
    struct bytes agent;
    polling->old_browser = is_old_browser(request);
    polling->stock_client = false;
    if (!http_request_field(request, "user-agent", &agent))
        return;
    polling->stock_client = bytes_start_with(agent, BYTES_LITERAL("Mozilla/")) ||
                            bytes_start_with(agent, BYTES_LITERAL("node-XMLHttpRequest"));
}

/* Takes the place of a poll that is held, or was cut; false: it is another, which cannot be. */
static bool replace_poll(struct polling *polling, const struct request_mark *mark)
{
    bool cut = timer_is_set(&polling->cut_timer);
    if (!polling->get && !cut)
        return true;
    if (!same_mark(mark, &polling->get_mark))
        return false;
    if (polling->get) /* its first bearer has given it up */
        http_exchange_drop(polling->get);
    polling->get = NULL;
    timer_wheel_cancel(polling->session->server->wheel, &polling->cut_timer);
    polling->session->server->stats.polls_repeated += cut;
    return true;
}

/* Held until there is something to say, or the next ping. A repeated GET is answered from what was
 * kept. */
static void poll(struct engineio_session *session, struct http_exchange *exchange,
                 const struct http_request *request, int64_t now_ms)
{
    struct polling *polling = session->polling;
    assert(polling && polling->session == session);
    struct request_mark mark = read_request_mark(request);
    if (!replace_poll(polling, &mark)) {
        engineio_answer_problem(exchange, "requests_overlap");
        if (polling->get)
            engineio_session_fail(session, WEBSOCKET_CLOSE_POLICY, "requests_overlap", now_ms);
        else
            engineio_session_end(session, ENGINEIO_CLOSE_TRANSPORT, now_ms);
        return;
    }
    polling->gzip =
        session->server->compressor && http_request_has_token(request, "accept-encoding", "gzip");
    look_at_agent(polling, request);
    http_exchange_set_context(exchange, &polling->owner);
    if (same_mark(&mark, &polling->last_get_mark)) {
        session->server->stats.polls_repeated++;
        polling_answer(exchange, POLL_CONTENT_TYPE, buffer_peek(&polling->last_body), false,
                       polling->old_browser);
        return;
    }
    buffer_deinit(&polling->last_body);
    polling->last_get_mark.size = 0;
    assert(!polling->get);
    polling->get = exchange;
    polling->get_mark = mark;
    if (polling->probed)
        timer_wheel_set(session->server->wheel, &polling->noop_timer, now_ms + PROBED_POLL_MS);
    engineio_session_mark_dirty(session);
}

/* Clients that are not the stock one may take a payload apart badly: so many packets at most. */
static uint32_t packets_most(const struct polling *polling, const struct engineio_config *config)
{
    return config->poll_packets && !polling->stock_client ? config->poll_packets : UINT32_MAX;
}

/* Called in the turn. A closing session says its last word only when a poll is there to carry it:
 * events first, and the close packet in a payload of its own. */
void polling_flush(struct engineio_session *session, int64_t now_ms)
{
    struct engineio_server *server = session->server;
    struct polling *polling = session->polling;
    assert(polling && !session->link);
    if (!polling->get) {
        polling->told_noop = polling->told_noop || session->state == SESSION_CLOSING;
        return;
    }
    struct buffer *out = &server->scratch;
    buffer_clear(out);
    struct engineio_writer writer = {
        .server = server,
        .out = out,
        .limit = server->config.write_bytes,
        .packets_most = packets_most(polling, &server->config),
    };
    if (polling->probed && session->state == SESSION_OPEN)
        engineio_session_fill_ping(session, &writer);
    else
        engineio_session_fill(session, &writer, now_ms);
    /* Never a close packet behind events: the client would dispatch them after the close, and get
     * them again. */
    bool last = session->state == SESSION_CLOSING && buffer_size(out) == 0;
    if (last && (polling->told_noop || engineio_session_is_left(session)))
        writer_packet(&writer, ENGINEIO_NOOP);
    if (last && !engineio_session_is_left(session))
        writer_packet(&writer, ENGINEIO_CLOSE);
    if (buffer_size(out) == 0 && polling->release)
        writer_packet(&writer, ENGINEIO_NOOP);
    polling->release = false;
    if (buffer_size(out) == 0)
        return;
    answer_poll(session, buffer_peek(out));
    if (last)
        engineio_session_finish(session, now_ms);
}

/* ---- POST ---- */

/* The packets of a POST, in order. The session may end at any of them; what is behind it is
 * dropped. */
static enum status take_payload(struct engineio_session *session, struct bytes body, int64_t now_ms)
{
    struct engineio_server *server = session->server;
    struct engineio_payload_reader reader;
    enum status status = engineio_payload_init(&reader, body, server->config.payload_packets);
    struct engineio_packet packet;
    while (status == STATUS_OK) {
        status = engineio_payload_next(&reader, &server->decoded, &packet);
        if (status == STATUS_NOT_FOUND)
            return STATUS_OK;
        if (status == STATUS_OK && !engineio_session_take(session, &packet, now_ms))
            return STATUS_OK;
    }
    return status;
}

/* Too large, but for the stock client's own arithmetic: it reckons base64 at 1.33 bytes per byte
 * and forgets the padding (six characters for four bytes, which are eight), and so fills a body
 * with small attachments beyond the limit that it was told. */
static bool is_too_large(const struct engineio_server *server, struct bytes body)
{
    static const uint8_t behind_separator[] = {ENGINEIO_SEPARATOR, 'b'};
    return body.size > server->config.max_payload_bytes && body.data[0] != 'b' &&
           !memmem(body.data, body.size, behind_separator, sizeof(behind_separator));
}

/* Clients draw the mark of a request from the clock and a little chance, some of them very little:
 * two bodies one behind the other may have the same. */
static uint64_t digest_of(struct bytes body)
{
    return (uint64_t)body.size << 32 | crc32_z(0, body.data, body.size);
}

/* The POST is taken off the session first: a packet may end it, and the answer is given all the
 * same. A repeated body was handled before, and is only answered again. */
static void take_body(struct engineio_session *session, struct http_exchange *exchange,
                      struct bytes body, int64_t now_ms)
{
    struct engineio_server *server = session->server;
    struct polling *polling = session->polling;
    assert(polling->post == exchange);
    assert(!session->link);
    server->stats.posts++;
    polling->post = NULL;
    if (is_too_large(server, body)) {
        http_exchange_refuse(exchange, 413, "too_large");
        return;
    }
    uint64_t digest = digest_of(body);
    bool repeated = same_mark(&polling->post_mark, &polling->last_post_mark) &&
                    digest == polling->last_post_digest;
    polling->last_post_mark = polling->post_mark;
    polling->last_post_digest = digest;
    bool old_browser = polling->old_browser;
    server->stats.polls_repeated += repeated;
    enum status status = repeated ? STATUS_OK : take_payload(session, body, now_ms);
    if (status == STATUS_OK) {
        polling_answer(exchange, "text/html", BYTES_LITERAL("ok"), false, old_browser);
        return;
    }
    const char *word =
        status == STATUS_LIMIT || status == STATUS_TOO_LARGE ? "too_large" : "bad_packet";
    engineio_answer_problem(exchange, word);
    engineio_session_fail(session, WEBSOCKET_CLOSE_POLICY, word, now_ms);
}

static void post(struct engineio_session *session, struct http_exchange *exchange,
                 const struct http_request *request, int64_t now_ms)
{
    struct polling *polling = session->polling;
    struct request_mark mark = read_request_mark(request);
    struct bytes type;
    bool octets = http_request_field(request, "content-type", &type) &&
                  bytes_equal(type, BYTES_LITERAL("application/octet-stream"));
    if (polling->post && same_mark(&mark, &polling->post_mark)) {
        http_exchange_drop(polling->post);
        polling->post = NULL;
    }
    if (octets || polling->post) {
        const char *word = octets ? "bad_packet" : "requests_overlap";
        engineio_answer_problem(exchange, word);
        engineio_session_fail(session, WEBSOCKET_CLOSE_POLICY, word, now_ms);
        return;
    }
    http_exchange_set_context(exchange, &polling->owner);
    polling->old_browser = is_old_browser(request);
    assert(!polling->post);
    polling->post = exchange;
    polling->post_mark = mark;
    if (!request->has_body)
        take_body(session, exchange, bytes_of(NULL, 0), now_ms);
}

/* ---- Requests of a polling session ---- */

/* The method says which of the two it is; anything else is no request of Engine.IO. */
void polling_request(struct engineio_session *session, struct http_exchange *exchange,
                     const struct http_request *request, int64_t now_ms)
{
    assert(session->polling && !session->link);
    if (request->method == HTTP_GET)
        poll(session, exchange, request, now_ms);
    else if (request->method == HTTP_POST)
        post(session, exchange, request, now_ms);
    else
        engineio_answer_error(exchange, ENGINEIO_ERROR_BAD_REQUEST, NULL);
}

static void polling_body(struct exchange_owner *owner, struct http_exchange *exchange,
                         struct bytes body, int64_t now_ms)
{
    struct polling *polling = (struct polling *)owner;
    assert(polling->session->polling == polling);
    if (polling->post == exchange)
        take_body(polling->session, exchange, body, now_ms);
    /* else a GET with a body: it is held, its body means nothing */
}

/* The connection of a request is lost. A poll may come again on another one, if it has a mark; a
 * POST is not sent again, so its session is over. */
static void polling_aborted(struct exchange_owner *owner, struct http_exchange *exchange,
                            enum http_abort reason, int64_t now_ms)
{
    struct polling *polling = (struct polling *)owner;
    assert(polling->get == exchange || polling->post == exchange || polling->take == exchange);
    bool may_return = polling->get == exchange && polling->get_mark.size > 0;
    if (polling->get == exchange)
        polling->get = NULL;
    else if (polling->take == exchange)
        polling->take = NULL;
    else
        polling->post = NULL;
    if (reason != HTTP_ABORT_CLOSED)
        return;
    if (may_return)
        timer_wheel_set(polling->session->server->wheel, &polling->cut_timer, now_ms + CUT_POLL_MS);
    else
        engineio_session_end(polling->session, ENGINEIO_CLOSE_TRANSPORT, now_ms);
}

/* It did not come again in time. */
static void stay_away(struct timer *timer, int64_t now_ms)
{
    struct polling *polling =
        (struct polling *)((char *)timer - offsetof(struct polling, cut_timer));
    assert(!polling->get);
    engineio_session_end(polling->session, ENGINEIO_CLOSE_TRANSPORT, now_ms);
}

/* No "5" came that would have overtaken the poll: the client really waits for it. */
static void release_poll(struct timer *timer, int64_t now_ms)
{
    (void)now_ms;
    struct polling *polling =
        (struct polling *)((char *)timer - offsetof(struct polling, noop_timer));
    assert(polling->session->polling == polling);
    polling->release = true;
    engineio_session_mark_dirty(polling->session);
}

void polling_attach(struct engineio_session *session)
{
    struct polling *polling = mem_new(struct polling);
    assert(!session->polling && !session->link);
    polling->session = session;
    polling->owner = (struct exchange_owner){polling_body, polling_aborted};
    polling->noop_timer.fire = release_poll;
    polling->cut_timer.fire = stay_away;
    session->polling = polling;
    session->server->stats.polling++;
}

/* Nobody may point to the struct afterwards: timers, exchanges and the probe are let go one by
 * one. */
void polling_detach(struct engineio_session *session, enum engineio_packet_type last)
{
    struct polling *polling = session->polling;
    assert(polling && polling->session == session);
    timer_wheel_cancel(session->server->wheel, &polling->upgrade_timer);
    timer_wheel_cancel(session->server->wheel, &polling->noop_timer);
    timer_wheel_cancel(session->server->wheel, &polling->cut_timer);
    uint8_t packet = (uint8_t)('0' + last);
    if (polling->get && last == ENGINEIO_UPGRADE)
        engineio_answer_error(polling->get, ENGINEIO_ERROR_BAD_REQUEST, NULL);
    else if (polling->get)
        answer_poll(session, bytes_of(&packet, 1));
    if (polling->post)
        engineio_answer_error(polling->post, ENGINEIO_ERROR_BAD_REQUEST, NULL);
    if (polling->take)
        engineio_answer_error(polling->take, ENGINEIO_ERROR_UNKNOWN_SID, NULL);
    if (polling->probe) {
        polling->probe->session = NULL;
        link_close(polling->probe, WEBSOCKET_CLOSE_NO_CODE, NULL);
    }
    buffer_deinit(&polling->last_body);
    free(polling);
    session->polling = NULL;
}
