/* A stream of server-sent events: what a session says becomes events, and every so often a comment
 * keeps proxies from closing it. Before the first event a request may still be answered by
 * something else: sse_opening.c.
 *
 * The stream is the body of one HTTP answer, in chunks for HTTP/1.1 and up to the end of the
 * connection for 1.0. `id` is private id and cursor: the browser keeps the last one and brings
 * it back by itself, so a client of a dozen lines recovers as well as any other. */
#include "sse_adapter.h"

#include <assert.h>
#include <stdlib.h>

#include "http_response.h"
#include "json.h"
#include "mem.h"
#include "sse_event.h"
#include "sse_private.h"

/* --- events ----------------------------------------------------------------------------------- */

/* Appends what is one event, or a few lines, as a chunk of the body if it is chunked. */
void sse_append_parts(struct sse_client *client, struct buffer *out, struct bytes body,
                      struct bytes tail)
{
    size_t size = body.size + tail.size;
    assert(body.size + tail.size > 0);
    client->spoken = true;
    if (client->chunked)
        http_response_begin_chunk(out, size);
    buffer_append(out, body);
    buffer_append(out, tail);
    if (client->chunked)
        http_response_end_chunk(out);
}

/* The id line and the empty line that ends the event. Without a cursor the client keeps the id it
 * has. */
static struct bytes tail_of(struct sse_client *client, struct bytes cursor)
{
    struct buffer *id = &client->adapter->id;
    buffer_clear(id);
    if (cursor.size && client->private_id)
        buffer_append_format(id, "id: %s%c%.*s\n", client->private_id, ID_SEPARATOR,
                             BYTES_PRINT(cursor));
    buffer_append_byte(id, '\n');
    return buffer_peek(id);
}

/* An event of ours, around the JSON that was put into adapter->event. */
void sse_append_event(struct sse_client *client, struct buffer *out, const char *name,
                      struct bytes cursor)
{
    auto_buffer struct buffer body = {0};
    assert(buffer_size(&client->adapter->event) > 0);
    sse_append_body(&body, bytes_of_string(name), buffer_peek(&client->adapter->event));
    sse_append_parts(client, out, buffer_peek(&body), tail_of(client, cursor));
}

/* On the way of every notification: the body was framed once, for all. */
void sse_append_session_event(struct sse_client *client, struct buffer *out, struct bytes body,
                              struct bytes cursor)
{
    sse_append_parts(client, out, body, tail_of(client, cursor));
}

/* One buffer of the adapter: an event is put together and appended before the next one begins. */
struct buffer *sse_begin_data(struct sse_client *client)
{
    buffer_clear(&client->adapter->event);
    return &client->adapter->event;
}

/* With whom it was, as far as that is known. */
void sse_note(const struct sse_client *client, const char *problem, const char *claim, bool ends)
{
    struct refusal_note note = {.transport = "sse",
                                .word = problem,
                                .claim = claim,
                                .ends = ends,
                                .wire = client->client.wire};
    assert(problem);
    if (client->client.session) {
        note.user = session_user(client->client.session);
        note.tenant = session_tenant(client->client.session);
        note.session = session_public_id(client->client.session);
    }
    refusals_note(client->adapter->refusals, &note);
}

/* --- the end of a stream ---------------------------------------------------------------------- */

/* An EventSource comes back by itself, with its last id. */
static void sse_end_into(struct sse_client *client, struct buffer *out)
{
    assert(!sse_is_opening(client));
    if (client->chunked)
        http_response_write_last_chunk(out);
    wire_client_end(&client->client);
}

/* By the beginning's way if the stream has not begun: then there can still be an answer that says
 * why. */
static void sse_end(struct sse_client *client, const char *reason)
{
    assert(reason && wire_client_is_open(&client->client));
    if (sse_is_opening(client)) {
        sse_send_away(client, reason);
        return;
    }
    sse_note(client, reason, NULL, true);
    sse_end_into(client, wire_client_queue(&client->client));
}

/* --- the stream ------------------------------------------------------------------------------- */

/* It was given or lost without being asked for. */
static void write_room(struct sse_client *client, const struct delivery *delivery,
                       const char *event, struct buffer *out)
{
    assert(delivery->room.size > 0);
    struct buffer *data = sse_begin_data(client);
    if (delivery->reason)
        sse_note(client, delivery->reason, NULL, false);
    buffer_append_string(data, "{\"room\":");
    json_write_string(data, delivery->room);
    if (delivery->reason)
        buffer_append_format(data, ",\"reason\":\"%s\"", delivery->reason);
    buffer_append_byte(data, '}');
    sse_append_event(client, out, event, delivery->cursor);
}

/* Final for what the client lacks, to be tried again for trouble of ours: an EventSource knows only
 * these. */
static void refuse_session(struct sse_client *client, const struct delivery *delivery)
{
    assert(sse_is_opening(client));
    if (delivery->transient)
        sse_send_away(client, delivery->reason);
    else
        sse_refuse(client, 403, delivery->reason, delivery->claim);
}

/* One step of the session's stream. While the stream has not begun everything goes to
 * sse_opening.c, which holds it back until all rooms are joined. */
static void sse_deliver(struct wire_client *base, const struct delivery *delivery,
                        struct buffer *out)
{
    struct sse_client *client = client_of(base);
    switch (delivery->kind) {
    case DELIVERY_OPENED:
        sse_take_opened(client, delivery, out);
        break;
    case DELIVERY_NOTIFICATION:
        sse_append_session_event(client, out, delivery->body, delivery->cursor);
        break;
    case DELIVERY_HISTORY:
    case DELIVERY_STATE:
        sse_take_history(client, delivery, out);
        break;
    case DELIVERY_JOINED:
    case DELIVERY_JOIN_REFUSED:
        if (delivery->request)
            sse_take_join(client, delivery, out);
        else
            write_room(client, delivery, "subscribed", out);
        break;
    case DELIVERY_REFRESHED: /* a stream brings no token but when it comes */
        break;
    case DELIVERY_LEFT:
        write_room(client, delivery, "unsubscribed", out);
        break;
    case DELIVERY_PRESENCE:
        buffer_append(sse_begin_data(client), delivery->body);
        sse_append_event(client, out, "presence", delivery->cursor);
        break;
    case DELIVERY_CURSOR:
        if (client->private_id)
            sse_append_parts(client, out, bytes_of(NULL, 0), tail_of(client, delivery->cursor));
        break;
    case DELIVERY_STALE:
        buffer_append_format(sse_begin_data(client), "{\"since\":%lld}",
                             (long long)delivery->since_ms);
        sse_append_event(client, out, "stale", delivery->cursor);
        break;
    case DELIVERY_LIVE:
        buffer_append_string(sse_begin_data(client), "{}");
        sse_append_event(client, out, "live", delivery->cursor);
        break;
    case DELIVERY_REFUSED:
        refuse_session(client, delivery);
        break;
    case DELIVERY_CLOSE:
        if (sse_is_opening(client))
            refuse_session(client, delivery);
        else
            sse_end_telling(client, out, delivery->reason);
        break;
    }
    /* What comes before all rooms are joined is kept back, and little: else it comes again. */
    if (sse_is_opening(client) && buffer_size(out) >= base->clients->config.write_bytes)
        sse_send_away(client, "unavailable");
}

/* Nothing is written before the answer is decided: until then the stream's steps are kept. */
static bool sse_may_write(const struct wire_client *base)
{
    const struct sse_client *client = (const struct sse_client *)base;
    return !sse_is_opening(client);
}

/* Nothing is written from here: the stream is pulled at the end of the turn. */
static void sse_ready(struct session *session, void *connection)
{
    (void)session;
    wire_client_wake(connection);
}

/* Once per message, for all streams in whatever rooms; the id line, which is each client's own, is
 * the tail. */
static struct body_part sse_encode(const struct message_view *view, struct buffer *out)
{
    sse_begin_body(out, view->event);
    struct body_part part = message_view_append_json(view, out);
    sse_end_body(out, part.size);
    return part;
}

const struct transport_ops sse_transport = {.name = "sse",
                                            .slot = TRANSPORT_SLOT_SSE,
                                            .encode = sse_encode,
                                            .ready = sse_ready,
                                            .append_item = sse_append_item};

/* --- time ------------------------------------------------------------------------------------- */

void sse_set_timer(struct sse_client *client, int64_t deadline_ms)
{
    timer_wheel_set(client->adapter->config.clients.wheel, &client->timer, deadline_ms);
}

/* The wire has been full at each beat for so long. Such a client is not behind but gone: the
 * session's own limit is for those who take a little. */
static bool is_stuck(struct sse_client *client, int64_t now_ms)
{
    assert(client->client.wire);
    if (client->client.wire->writable) {
        client->blocked_ms = 0;
        return false;
    }
    if (!client->blocked_ms)
        client->blocked_ms = now_ms;
    return now_ms - client->blocked_ms >= client->adapter->config.write_timeout_ms;
}

/* One timer: before the stream begins it is the deadline of the opening, then the beat. A comment
 * is sent only if nothing else was. */
void sse_beat(struct timer *timer, int64_t now_ms)
{
    struct sse_client *client =
        (struct sse_client *)((char *)timer - offsetof(struct sse_client, timer));
    if (!wire_client_is_open(&client->client))
        return;
    if (sse_is_opening(client)) {
        sse_send_away(client, "unavailable");
        return;
    }
    if (is_stuck(client, now_ms)) {
        sse_end(client, "too_slow");
        return;
    }
    if (!client->spoken && client->client.wire->writable)
        sse_append_parts(client, wire_client_queue(&client->client), BYTES_LITERAL(":\n\n"),
                         bytes_of(NULL, 0));
    client->spoken = false;
    sse_set_timer(client, now_ms + client->adapter->config.heartbeat_ms);
}

/* Nobody knows the client: a request without a token that holds is answered, not streamed. */
static void sse_refused(struct wire_client *base, const char *reason, bool transient)
{
    assert(!base->session);
    if (transient)
        sse_send_away(client_of(base), reason);
    else
        sse_refuse(client_of(base), 401, reason, NULL);
}

/* Nobody can bring a fresh token over a stream: the client returns with one, in its cookie. */
static void sse_expired(struct wire_client *base)
{
    struct sse_client *client = client_of(base);
    assert(base->session);
    if (sse_is_opening(client)) {
        sse_refuse(client, 401, "token_expired", NULL);
        return;
    }
    buffer_append_format(sse_begin_data(client), "{\"graceMs\":%lld}",
                         (long long)base->clients->config.expiry_grace_ms);
    sse_append_event(client, wire_client_queue(base), "token_expired", bytes_of(NULL, 0));
}

/* The EventSource comes back by itself, with the cookie that it has then. */
static void sse_expiry_over(struct wire_client *base)
{
    assert(wire_client_is_open(base));
    sse_end(client_of(base), "token_expired");
}

static void sse_going_away(struct wire_client *base)
{
    assert(wire_client_is_open(base));
    sse_end(client_of(base), "restart");
}

/* There is nothing a client could say. */
static void sse_ignore_bytes(struct wire_client *base, struct bytes bytes, int64_t now_ms)
{
    (void)base, (void)bytes, (void)now_ms;
}

/* The last call of wire_client.c: nothing points to the client any more but its timer. */
static void sse_freed(struct wire_client *base)
{
    struct sse_client *client = client_of(base);
    assert(base->dead && !base->session);
    timer_wheel_cancel(client->adapter->config.clients.wheel, &client->timer);
    sse_opening_free(client);
    free(client->private_id);
    free(client);
}

static const struct wire_client_ops client_ops = {
    .deliver = sse_deliver,
    .may_write = sse_may_write,
    .refused = sse_refused,
    .expired = sse_expired,
    .expiry_over = sse_expiry_over,
    .going_away = sse_going_away,
    .bytes = sse_ignore_bytes,
    .freed = sse_freed,
};

/* --- the adapter ------------------------------------------------------------------------------ */

struct sse_adapter *sse_adapter_new(const struct sse_adapter_config *config,
                                    struct http_server *http)
{
    assert(config->path[0] == '/' && config->rooms > 0);
    struct sse_adapter *adapter = mem_new(struct sse_adapter);
    adapter->config = *config;
    adapter->refusals = http_server_refusals(http);
    wire_clients_init(&adapter->clients, &config->clients, &client_ops);
    http_server_add_route(http, &(struct http_route){.path = config->path,
                                                     .cors = config->cors,
                                                     .origins = config->origins,
                                                     .request = sse_handle_request,
                                                     .route = adapter});
    return adapter;
}

/* Streams that still go are cut off: their clients come back by themselves. */
void sse_adapter_free(struct sse_adapter *adapter)
{
    if (!adapter)
        return;
    wire_clients_deinit(&adapter->clients);
    buffer_deinit(&adapter->event);
    buffer_deinit(&adapter->id);
    free(adapter);
}

struct wire_clients *sse_adapter_clients(struct sse_adapter *adapter)
{
    return adapter ? &adapter->clients : NULL;
}
