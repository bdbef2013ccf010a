/* A WebSocket that has reached this gateway, for a session of another: a guest, until the session
 * is here.
 *
 *      EXPECTED --"2probe"--> ASKING --may be probed: "3probe"--> GREETED --"5"--> TAKING
 *                                                                                    |
 *                                                 the session's link <--the session--'
 *
 * Whatever goes wrong ends only the WebSocket: before "5" the client goes on polling, after it the
 * client comes back. */
#include <assert.h>

#include <utlist.h>

#include "engineio_private.h"
#include "mem.h"

enum guest_state { GUEST_EXPECTED, GUEST_ASKING, GUEST_GREETED, GUEST_TAKING };

struct guest {
    struct engineio_server *server;
    struct wire *wire;
    struct websocket_reader reader;
    struct peer_request request;
    struct peer_address address;
    struct timer timer;
    struct address_place place; /* the session's, once it is here */
    struct buffer query;        /* "sid=...", then "&probe=..." */
    struct buffer held;         /* came behind "5" */
    size_t sid_size;
    struct guest *prev, *next;
    uint8_t state;
    bool base64;
    bool inside; /* bytes are being read: freed afterwards */
    bool over;
};

/* ---- Asking ---- */

static void ask(struct guest *guest, struct peer_request *request, struct bytes path)
{
    const struct engineio_peers *peers = &guest->server->peers;
    assert(peers->client && guest->sid_size >= SID_KEY_SIZE);
    peer_client_send(peers->client, request,
                     &(struct peer_message){.address = guest->address,
                                            .method = "POST",
                                            .path = path,
                                            .query = buffer_peek(&guest->query),
                                            .timeout_ms = peers->timeout_ms});
}

/* ---- The end of a guest ---- */

static void guest_free(struct guest *guest)
{
    peer_client_cancel(&guest->request);
    timer_wheel_cancel(guest->server->wheel, &guest->timer);
    websocket_reader_deinit(&guest->reader);
    address_place_leave(&guest->place);
    buffer_deinit(&guest->query);
    buffer_deinit(&guest->held);
    assert(guest->server->stats.guests > 0);
    guest->server->stats.guests--;
    DL_DELETE(guest->server->guests, guest);
    free(guest);
}

static void write_close(struct guest *guest, unsigned code, const char *word)
{
    if (guest->wire->writable) {
        auto_buffer struct buffer frame = {0};
        websocket_append_close(&frame, code, word ? word : "");
        wire_write(guest->wire, buffer_peek(&frame));
    }
    wire_close(guest->wire, WIRE_FLUSH);
}

/* code 0: the wire is gone already; word NULL: the client has closed it. */
static void guest_end(struct guest *guest, unsigned code, const char *word)
{
    assert(code || !word);
    guest->server->stats.taken_over_failed++;
    if (word)
        refusals_note(
            http_server_refusals(guest->server->http),
            &(struct refusal_note){
                .transport = "engineio", .word = word, .ends = true, .wire = guest->wire});
    if (code)
        write_close(guest, code, word);
    if (guest->state == GUEST_GREETED)
        errand_send(guest->server, &guest->address, "/peer/abandon", buffer_peek(&guest->query));
    guest->over = true;
    if (!guest->inside)
        guest_free(guest);
}

static void guest_late(struct timer *timer, int64_t now_ms)
{
    (void)now_ms;
    guest_end((struct guest *)((char *)timer - offsetof(struct guest, timer)),
              WEBSOCKET_CLOSE_POLICY, "upgrade_timeout");
}

/* ---- Answers of the session's gateway ---- */

static void greet(struct guest *guest, const struct http_reply *reply)
{
    static const char name[] = "&probe=";
    assert(guest->state == GUEST_ASKING);
    if (!reply || reply->code != 200 || reply->body.size != REMOTE_PROBE_SIZE - 1 ||
        !guest->wire->writable) {
        guest_end(guest, WEBSOCKET_CLOSE_TRY_AGAIN, "cannot_continue");
        return;
    }
    buffer_append_string(&guest->query, name);
    buffer_append(&guest->query, reply->body);
    guest->state = GUEST_GREETED;
    auto_buffer struct buffer frame = {0};
    websocket_append_frame(&frame, WEBSOCKET_TEXT, BYTES_LITERAL("3probe"));
    wire_write(guest->wire, buffer_peek(&frame));
}

/* The reader goes to the session's link, with what came behind "5". */
static void settle(struct guest *guest, const struct http_reply *reply, int64_t now_ms)
{
    struct engineio_server *server = guest->server;
    struct taken_wire taken = {guest->wire, &guest->reader, &guest->place, guest->base64};
    struct bytes sid =
        bytes_of(buffer_peek(&guest->query).data + sizeof("sid=") - 1, guest->sid_size);
    assert(guest->state == GUEST_TAKING);
    if (!reply || reply->code != 200 ||
        !take_over_session(server, sid, reply->body, taken, now_ms)) {
        guest_end(guest, WEBSOCKET_CLOSE_TRY_AGAIN, "cannot_continue");
        return;
    }
    struct wire *wire = guest->wire;
    websocket_reader_init(&guest->reader, 0);
    guest->place = (struct address_place){0};
    auto_buffer struct buffer held = guest->held;
    guest->held = (struct buffer){0};
    guest_free(guest);
    if (buffer_size(&held) && wire->receiver_ops)
        wire->receiver_ops->bytes(wire->receiver, buffer_peek(&held), now_ms);
}

static void answered(struct peer_request *request, const struct http_reply *reply, int64_t now_ms)
{
    struct guest *guest = (struct guest *)((char *)request - offsetof(struct guest, request));
    assert(!guest->over && guest->state != GUEST_EXPECTED);
    if (guest->state == GUEST_ASKING)
        greet(guest, reply);
    else
        settle(guest, reply, now_ms);
}

/* ---- What the client says ---- */

static void take_message(struct guest *guest, const struct websocket_item *item)
{
    bool text = item->opcode == WEBSOCKET_TEXT;
    if (text && guest->state == GUEST_EXPECTED &&
        bytes_equal(item->payload, BYTES_LITERAL("2probe"))) {
        guest->state = GUEST_ASKING;
        ask(guest, &guest->request, BYTES_LITERAL("/peer/probe"));
    } else if (text && guest->state == GUEST_GREETED &&
               bytes_equal(item->payload, BYTES_LITERAL("5"))) {
        guest->state = GUEST_TAKING;
        timer_wheel_cancel(guest->server->wheel, &guest->timer); /* the request has its own */
        ask(guest, &guest->request, BYTES_LITERAL("/peer/take"));
    } else {
        guest_end(guest, WEBSOCKET_CLOSE_POLICY, "bad_upgrade");
    }
}

static void take_item(struct guest *guest, const struct websocket_item *item)
{
    switch (item->opcode) {
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY:
        take_message(guest, item);
        break;
    case WEBSOCKET_CLOSE:
        guest_end(guest, item->close_code, NULL);
        break;
    case WEBSOCKET_PING:
    case WEBSOCKET_PONG:
    case WEBSOCKET_CONTINUATION:
        break;
    }
}

static void hold(struct guest *guest, struct bytes bytes)
{
    assert(guest->state == GUEST_TAKING);
    if (buffer_size(&guest->held) + bytes.size > guest->server->poll_bytes + HELD_SLACK)
        guest_end(guest, WEBSOCKET_CLOSE_TOO_BIG, "too_large");
    else
        buffer_append(&guest->held, bytes);
}

static void guest_fail(struct guest *guest)
{
    unsigned code = websocket_reader_close_code(&guest->reader);
    guest_end(guest, code, refusal_of_frame(code));
}

static void guest_bytes(void *receiver, struct bytes bytes, int64_t now_ms)
{
    struct guest *guest = receiver;
    (void)now_ms;
    guest->inside = true;
    while (!guest->over && bytes.size && guest->state != GUEST_TAKING) {
        struct websocket_item item;
        enum status status = websocket_reader_next(&guest->reader, &bytes, &item);
        if (status == STATUS_OK)
            take_item(guest, &item);
        else if (status != STATUS_INCOMPLETE)
            guest_fail(guest);
    }
    if (!guest->over && bytes.size)
        hold(guest, bytes);
    guest->inside = false;
    if (guest->over)
        guest_free(guest);
}

static void guest_writable(void *receiver, int64_t now_ms)
{
    (void)receiver, (void)now_ms;
}

static void guest_closed(void *receiver, int64_t now_ms)
{
    (void)now_ms;
    guest_end(receiver, 0, NULL);
}

static const struct wire_receiver_ops receiver_ops = {
    .bytes = guest_bytes,
    .writable = guest_writable,
    .closed = guest_closed,
};

/* ---- Arrival ---- */

void guest_request(struct engineio_server *server, struct http_exchange *exchange,
                   const struct http_request *request, struct bytes sid, int64_t now_ms)
{
    struct peer_address address;
    struct websocket_wish wish;
    if (!server->peers.client || !server->config.ops->take_over || sid.size >= ENGINEIO_SID_SIZE ||
        peer_identity_locate(server->peers.identity, sid, &address) != STATUS_OK ||
        sid.size < SID_KEY_SIZE) {
        refuse_request(exchange, true, ENGINEIO_ERROR_UNKNOWN_SID, NULL);
        return;
    }
    if (engineio_is_full(server)) {
        refuse_full(server, exchange);
        return;
    }
    struct address_place place = {0};
    if (!websocket_read_wish(exchange, request, &wish) ||
        !http_exchange_admit(exchange, request, now_ms, &place))
        return;
    struct guest *guest = mem_new(struct guest);
    struct buffer rest = {0};
    guest->server = server;
    guest->address = address;
    guest->place = place;
    guest->request.answered = answered;
    guest->sid_size = sid.size;
    buffer_append_format(&guest->query, "sid=%.*s", BYTES_PRINT(sid));
    guest->base64 = wish.base64;
    guest->wire = websocket_welcome(server, exchange, &wish, &rest);
    websocket_reader_init(&guest->reader, server->config.max_payload_bytes);
    wire_attach(guest->wire, &receiver_ops, guest);
    guest->timer.fire = guest_late;
    timer_wheel_set(server->wheel, &guest->timer, now_ms + server->config.upgrade_timeout_ms);
    DL_APPEND(server->guests, guest);
    server->stats.guests++;
    if (buffer_size(&rest))
        guest_bytes(guest, buffer_peek(&rest), now_ms);
    buffer_deinit(&rest);
}

void guests_free(struct engineio_server *server)
{
    while (server->guests) {
        write_close(server->guests, WEBSOCKET_CLOSE_GOING_AWAY, "restart");
        guest_free(server->guests);
    }
}
