/* Polls that reach another gateway than their session's: passed on to it, over one hop. They are
 * answered as the session answers, held as long, and given up when the client gives up.
 *
 * A forward lives exactly as long as the client's exchange is owed an answer: whichever of the
 * two ends first (the answer comes, the client goes away, the server is freed) ends both. A
 * notice to another gateway, whose answer means nothing, lives by itself. */
#include <assert.h>
#include <stddef.h>

#include <utlist.h>

#include "engineio_private.h"
#include "http_response.h"
#include "mem.h"

#define POLL_PATH "/peer/poll"
#define RELEASE_PATH "/peer/release"

enum { VALUE_SIZE = 128 };

/* A client's request that another gateway answers. */
struct forward {
    struct exchange_owner owner; /* first */
    struct peer_request request;
    struct engineio_server *server;
    struct http_exchange *exchange;
    struct peer_address address;
    struct buffer query;
    struct buffer fields; /* of a POST whose body is still to come */
    struct forward *prev, *next;
    bool post;
};

/* A word to another gateway. */
struct peer_notice {
    struct peer_request request;
    struct engineio_server *server;
    struct peer_notice *prev, *next;
};

static void forward_free(struct forward *forward)
{
    assert(forward->server->forwards);
    peer_client_cancel(&forward->request);
    buffer_deinit(&forward->query);
    buffer_deinit(&forward->fields);
    DL_DELETE(forward->server->forwards, forward);
    free(forward);
}

/* ---- The answer comes back ---- */

/* A field of the answer that is handed on. NULL: it is not there, or is nothing that a gateway of
 * ours would have written. */
static const char *copy_field(const struct http_reply *reply, const char *name,
                              char value[VALUE_SIZE])
{
    struct bytes found;
    if (!http_reply_field(reply, name, &found) || found.size >= VALUE_SIZE ||
        !http_value_is_safe(found))
        return NULL;
    memcpy(value, found.data, found.size);
    value[found.size] = '\0';
    return value;
}

/* Of the other gateway's fields only those that say how the body is to be read. It speaks for a
 * session, not for this connection: its Connection, Date or cookies are none of the client's
 * business. */
static void hand_on(struct http_exchange *exchange, const struct http_reply *reply)
{
    static const char *const names[] = {"Cache-Control", "Content-Encoding", "X-XSS-Protection"};
    char type[VALUE_SIZE], values[3][VALUE_SIZE];
    struct http_field fields[3];
    size_t count = 0;
    assert(reply);
    for (size_t i = 0; i < 3; i++) {
        const char *value = copy_field(reply, names[i], values[i]);
        if (value)
            fields[count++] = http_field_of(names[i], value);
    }
    http_exchange_answer(
        exchange, &(struct http_answer){.code = reply->code,
                                        .content_type = copy_field(reply, "content-type", type),
                                        .fields = fields,
                                        .field_count = count,
                                        .body = reply->body});
}

/* Whether the answer is one to the client. A gateway that does not know us, or has no such page, is
 * no gateway of ours. */
static bool is_answer(const struct http_reply *reply)
{
    return reply && reply->code != 401 && reply->code != 404;
}

/* The forward is freed first: the answer may end the exchange, and then nobody must point to it. */
static void forward_answered(struct peer_request *request, const struct http_reply *reply,
                             int64_t now_ms)
{
    struct forward *forward =
        (struct forward *)((char *)request - offsetof(struct forward, request));
    struct http_exchange *exchange = forward->exchange;
    (void)now_ms;
    assert(exchange && forward->owner.body);
    if (!is_answer(reply))
        forward->server->stats.forwards_failed++;
    forward_free(forward);
    /* Without its gateway the session is lost; the client comes back and continues from its cursor.
     */
    if (is_answer(reply))
        hand_on(exchange, reply);
    else
        engineio_answer_error(exchange, ENGINEIO_ERROR_UNKNOWN_SID, NULL);
}

/* ---- The request goes out ---- */

/* Fields and body are copied by the client of peers, so the request's slices may go when this
 * returns. */
static void forward_send(struct forward *forward, struct bytes query, struct bytes fields,
                         struct bytes body)
{
    const struct engineio_server *server = forward->server;
    const struct engineio_peers *peers = &server->peers;
    struct peer_message message = {
        .address = forward->address,
        .method = forward->post ? "POST" : "GET",
        .path = BYTES_LITERAL(POLL_PATH),
        .query = query,
        .fields = fields,
        .body = body,
        /* A poll is held until the next ping at the latest. */
        .timeout_ms =
            peers->timeout_ms + (forward->post ? 0 : (int64_t)server->config.ping_interval_ms),
        .held = !forward->post,
    };
    assert(forward->exchange && !forward->request.client);
    peer_client_send(peers->client, &forward->request, &message);
}

/* A GET was sent on at once: a body of its, if there is one, means nothing. */
static void forward_body(struct exchange_owner *owner, struct http_exchange *exchange,
                         struct bytes body, int64_t now_ms)
{
    struct forward *forward = (struct forward *)owner;
    assert(forward->exchange == exchange && (forward->post || forward->request.client));
    (void)exchange, (void)now_ms;
    if (forward->post)
        forward_send(forward, buffer_peek(&forward->query), buffer_peek(&forward->fields), body);
}

/* The client gives the poll up: the other gateway sees its connection close, and keeps the
 * events. */
static void forward_aborted(struct exchange_owner *owner, struct http_exchange *exchange,
                            enum http_abort reason, int64_t now_ms)
{
    (void)exchange, (void)reason, (void)now_ms;
    forward_free((struct forward *)owner);
}

/* What the session's gateway looks at. */
static void copy_fields(const struct http_request *request, struct buffer *fields)
{
    static const char *const names[] = {"accept-encoding", "content-type", "user-agent"};
    assert(buffer_size(fields) == 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct bytes value;
        if (http_request_field(request, names[i], &value))
            buffer_append_format(fields, "%s: %.*s\r\n", names[i], BYTES_PRINT(value));
    }
}

/* A session id that we did not seal, or our own address, is an unknown session: no request of a
 * stranger makes this gateway connect to anywhere. */
void forward_request(struct engineio_server *server, struct http_exchange *exchange,
                     const struct http_request *request, struct bytes sid)
{
    struct peer_address address;
    bool post = request->method == HTTP_POST;
    if (!server->peers.client || (!post && request->method != HTTP_GET) ||
        peer_identity_locate(server->peers.identity, sid, &address) != STATUS_OK) {
        engineio_answer_error(exchange, ENGINEIO_ERROR_UNKNOWN_SID, NULL);
        return;
    }
    struct forward *forward = mem_new(struct forward);
    forward->owner = (struct exchange_owner){forward_body, forward_aborted};
    forward->request.answered = forward_answered;
    forward->server = server;
    forward->exchange = exchange;
    forward->address = address;
    forward->post = post;
    DL_APPEND(server->forwards, forward);
    server->stats.forwards++;
    http_exchange_set_context(exchange, &forward->owner);
    copy_fields(request, &forward->fields);
    buffer_append(&forward->query, request->query);
    if (post && request->has_body)
        return;
    forward_send(forward, request->query, buffer_peek(&forward->fields), bytes_of(NULL, 0));
    buffer_deinit(&forward->fields);
}

static void peer_notice_free(struct peer_notice *notice)
{
    peer_client_cancel(&notice->request);
    DL_DELETE(notice->server->notices, notice);
    free(notice);
}

static void peer_notice_done(struct peer_request *request, const struct http_reply *reply,
                             int64_t now_ms)
{
    (void)reply, (void)now_ms;
    peer_notice_free(
        (struct peer_notice *)((char *)request - offsetof(struct peer_notice, request)));
}

/* Told once and not repeated: every notice only spares somebody a time limit. */
void peer_notice_send(struct engineio_server *server, const struct peer_address *address,
                      const char *path, struct bytes query)
{
    struct peer_notice *notice = mem_new(struct peer_notice);
    assert(path[0] == '/' && server->peers.client);
    notice->server = server;
    notice->request.answered = peer_notice_done;
    DL_APPEND(server->notices, notice);
    peer_client_send(server->peers.client, &notice->request,
                     &(struct peer_message){.address = *address,
                                            .method = "POST",
                                            .path = bytes_of_string(path),
                                            .query = query,
                                            .timeout_ms = server->peers.timeout_ms});
}

/* This gateway ends. Polls that it passes on are held elsewhere, and would hold up its end: their
 * gateways are asked to answer them. */
void engineio_server_release_forwards(struct engineio_server *server)
{
    struct forward *forward;
    DL_FOREACH(server->forwards, forward)
        if (!forward->post)
            peer_notice_send(server, &forward->address, RELEASE_PATH, buffer_peek(&forward->query));
}

void forwards_free(struct engineio_server *server)
{
    while (server->notices)
        peer_notice_free(server->notices);
    while (server->forwards) {
        struct http_exchange *exchange = server->forwards->exchange;
        forward_free(server->forwards);
        engineio_answer_error(exchange, ENGINEIO_ERROR_UNKNOWN_SID, NULL);
    }
    assert(!server->forwards && !server->notices);
}

/* ---- What other gateways ask ---- */

/* The other side of forward_request(). One hop only: a session that is not here either is answered
 * as unknown, so a poll never goes in a circle. */
static void handle_poll(void *route, struct http_exchange *exchange,
                        const struct http_request *request, int64_t now_ms)
{
    struct engineio_server *server = route;
    if (!engineio_is_peer(server, exchange, request))
        return;
    struct request_parameters parameters = engineio_read_parameters(server, request, now_ms);
    if (!parameters.session)
        engineio_answer_error(exchange, ENGINEIO_ERROR_UNKNOWN_SID,
                              NULL); /* of a boot that is over, or ended */
    else if (!engineio_fits_session(&parameters, false))
        engineio_answer_error(exchange, ENGINEIO_ERROR_BAD_REQUEST, NULL);
    else
        polling_request(parameters.session, exchange, request, now_ms);
    buffer_deinit(&parameters.sid);
}

/* The poll is held by way of a gateway that ends: its client shall poll elsewhere. */
static void handle_release(void *route, struct http_exchange *exchange,
                           const struct http_request *request, int64_t now_ms)
{
    struct engineio_server *server = route;
    if (!engineio_is_peer(server, exchange, request))
        return;
    struct request_parameters parameters = engineio_read_parameters(server, request, now_ms);
    if (parameters.session && parameters.session->polling) {
        parameters.session->polling->release = true;
        engineio_session_mark_dirty(parameters.session);
    }
    buffer_deinit(&parameters.sid);
    http_exchange_answer(exchange, &(struct http_answer){.code = 200});
}

/* Every session id begins with the identity's prefix from now on, so there must be none yet that
 * does not. */
void engineio_server_set_peers(struct engineio_server *server, const struct engineio_peers *peers)
{
    assert(!server->sessions && strlen(peers->identity->prefix) + SID_KEY_SIZE < ENGINEIO_SID_SIZE);
    server->peers = *peers;
    server->config.sid_prefix = peers->identity->prefix;
    http_server_add_route(peers->http, &(struct http_route){
                                           .path = POLL_PATH,
                                           .body_bytes = server->poll_bytes,
                                           .request = handle_poll,
                                           .body = engineio_handle_body,
                                           .aborted = engineio_handle_aborted,
                                           .route = server,
                                       });
    http_server_add_route(peers->http, &(struct http_route){
                                           .path = RELEASE_PATH,
                                           .request = handle_release,
                                           .aborted = engineio_handle_aborted,
                                           .route = server,
                                       });
    migration_add_routes(server);
}
