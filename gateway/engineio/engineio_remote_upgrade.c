/* An upgrade request that has reached this gateway, for a session that another one holds: its
 * WebSocket is kept here until the session has migrated.
 *
 *      EXPECTED --"2probe"--> ASKING --may be probed: "3probe"--> GREETED --"5"--> TAKING
 *                                                                                    |
 *                                                 the session's link <--the session--'
 *
 * Whatever goes wrong ends only the WebSocket: before "5" the client goes on polling, after it
 * the client comes back. What the client sends behind "5" is for the session, so it is kept, up
 * to a limit, until that is here. */
#include <assert.h>

#include <utlist.h>

#include "engineio_private.h"
#include "mem.h"

enum remote_upgrade_state {
    REMOTE_UPGRADE_EXPECTED,
    REMOTE_UPGRADE_ASKING,
    REMOTE_UPGRADE_GREETED,
    REMOTE_UPGRADE_TAKING
};

struct remote_upgrade {
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
    struct remote_upgrade *prev, *next;
    uint8_t state;
    bool base64;
    bool inside; /* bytes are being read: freed afterwards */
    bool over;
};

/* ---- Asking ---- */

static void remote_upgrade_ask(struct remote_upgrade *upgrade, struct peer_request *request,
                               struct bytes path)
{
    const struct engineio_peers *peers = &upgrade->server->peers;
    assert(peers->client && upgrade->sid_size >= SID_KEY_SIZE);
    peer_client_send(peers->client, request,
                     &(struct peer_message){.address = upgrade->address,
                                            .method = "POST",
                                            .path = path,
                                            .query = buffer_peek(&upgrade->query),
                                            .timeout_ms = peers->timeout_ms});
}

/* ---- The end of an upgrade ---- */

static void remote_upgrade_free(struct remote_upgrade *upgrade)
{
    peer_client_cancel(&upgrade->request);
    timer_wheel_cancel(upgrade->server->wheel, &upgrade->timer);
    websocket_reader_deinit(&upgrade->reader);
    address_place_leave(&upgrade->place);
    buffer_deinit(&upgrade->query);
    buffer_deinit(&upgrade->held);
    assert(upgrade->server->stats.remote_upgrades > 0);
    upgrade->server->stats.remote_upgrades--;
    DL_DELETE(upgrade->server->remote_upgrades, upgrade);
    free(upgrade);
}

/* A wire that cannot take the frame is closed without it: nothing waits for a peer that does not
 * read. */
static void write_close(struct remote_upgrade *upgrade, unsigned code, const char *word)
{
    assert(upgrade->wire);
    if (upgrade->wire->writable) {
        auto_buffer struct buffer frame = {0};
        websocket_append_close(&frame, code, word ? word : "");
        wire_write(upgrade->wire, buffer_peek(&frame));
    }
    wire_close(upgrade->wire, WIRE_FLUSH);
}

/* code 0: the wire is gone already; word NULL: the client has closed it. */
static void remote_upgrade_end(struct remote_upgrade *upgrade, unsigned code, const char *word)
{
    assert(code || !word);
    assert(!upgrade->over);
    upgrade->server->stats.migrations_failed++;
    if (word)
        refusals_note(
            http_server_refusals(upgrade->server->http),
            &(struct refusal_note){
                .transport = "engineio", .word = word, .ends = true, .wire = upgrade->wire});
    if (code)
        write_close(upgrade, code, word);
    if (upgrade->state == REMOTE_UPGRADE_GREETED)
        peer_notice_send(upgrade->server, &upgrade->address, "/peer/abandon",
                         buffer_peek(&upgrade->query));
    upgrade->over = true;
    if (!upgrade->inside)
        remote_upgrade_free(upgrade);
}

/* One deadline for the client and the other gateway together, until the session is asked for. */
static void remote_upgrade_late(struct timer *timer, int64_t now_ms)
{
    (void)now_ms;
    remote_upgrade_end(
        (struct remote_upgrade *)((char *)timer - offsetof(struct remote_upgrade, timer)),
        WEBSOCKET_CLOSE_POLICY, "upgrade_timeout");
}

/* ---- Answers of the session's gateway ---- */

/* The other gateway answers with the name of the probe, which goes with whatever is asked later. */
static void remote_upgrade_greet(struct remote_upgrade *upgrade, const struct http_reply *reply)
{
    static const char name[] = "&probe=";
    assert(upgrade->state == REMOTE_UPGRADE_ASKING);
    if (!reply || reply->code != 200 || reply->body.size != REMOTE_PROBE_SIZE - 1 ||
        !upgrade->wire->writable) {
        remote_upgrade_end(upgrade, WEBSOCKET_CLOSE_TRY_AGAIN, "cannot_continue");
        return;
    }
    buffer_append_string(&upgrade->query, name);
    buffer_append(&upgrade->query, reply->body);
    upgrade->state = REMOTE_UPGRADE_GREETED;
    auto_buffer struct buffer frame = {0};
    websocket_append_frame(&frame, WEBSOCKET_TEXT, BYTES_LITERAL("3probe"));
    wire_write(upgrade->wire, buffer_peek(&frame));
}

/* The reader goes to the session's link, with what came behind "5". */
static void remote_upgrade_complete(struct remote_upgrade *upgrade, const struct http_reply *reply,
                                    int64_t now_ms)
{
    struct engineio_server *server = upgrade->server;
    struct taken_wire taken = {upgrade->wire, &upgrade->reader, &upgrade->place, upgrade->base64};
    struct bytes sid =
        bytes_of(buffer_peek(&upgrade->query).data + sizeof("sid=") - 1, upgrade->sid_size);
    assert(upgrade->state == REMOTE_UPGRADE_TAKING);
    if (!reply || reply->code != 200 ||
        !engineio_migrate_in(server, sid, reply->body, taken, now_ms)) {
        remote_upgrade_end(upgrade, WEBSOCKET_CLOSE_TRY_AGAIN, "cannot_continue");
        return;
    }
    struct wire *wire = upgrade->wire;
    websocket_reader_init(&upgrade->reader, 0);
    upgrade->place = (struct address_place){0};
    auto_buffer struct buffer held = upgrade->held;
    upgrade->held = (struct buffer){0};
    remote_upgrade_free(upgrade);
    if (buffer_size(&held) && wire->receiver_ops)
        wire->receiver_ops->bytes(wire->receiver, buffer_peek(&held), now_ms);
}

/* The same request is used twice, one behind the other; the state says which answer it is. */
static void remote_upgrade_answered(struct peer_request *request, const struct http_reply *reply,
                                    int64_t now_ms)
{
    struct remote_upgrade *upgrade =
        (struct remote_upgrade *)((char *)request - offsetof(struct remote_upgrade, request));
    assert(!upgrade->over && upgrade->state != REMOTE_UPGRADE_EXPECTED);
    if (upgrade->state == REMOTE_UPGRADE_ASKING)
        remote_upgrade_greet(upgrade, reply);
    else
        remote_upgrade_complete(upgrade, reply, now_ms);
}

/* ---- What the client says ---- */

/* Two messages in this order, and nothing else: as at the session's own gateway. */
static void remote_upgrade_message(struct remote_upgrade *upgrade,
                                   const struct websocket_item *item)
{
    bool text = item->opcode == WEBSOCKET_TEXT;
    assert(!upgrade->over && upgrade->state != REMOTE_UPGRADE_TAKING);
    if (text && upgrade->state == REMOTE_UPGRADE_EXPECTED &&
        bytes_equal(item->payload, BYTES_LITERAL("2probe"))) {
        upgrade->state = REMOTE_UPGRADE_ASKING;
        remote_upgrade_ask(upgrade, &upgrade->request, BYTES_LITERAL("/peer/probe"));
    } else if (text && upgrade->state == REMOTE_UPGRADE_GREETED &&
               bytes_equal(item->payload, BYTES_LITERAL("5"))) {
        upgrade->state = REMOTE_UPGRADE_TAKING;
        timer_wheel_cancel(upgrade->server->wheel, &upgrade->timer); /* the request has its own */
        remote_upgrade_ask(upgrade, &upgrade->request, BYTES_LITERAL("/peer/take"));
    } else {
        remote_upgrade_end(upgrade, WEBSOCKET_CLOSE_POLICY, "bad_upgrade");
    }
}

static void remote_upgrade_item(struct remote_upgrade *upgrade, const struct websocket_item *item)
{
    switch (item->opcode) {
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY:
        remote_upgrade_message(upgrade, item);
        break;
    case WEBSOCKET_CLOSE:
        remote_upgrade_end(upgrade, item->close_code, NULL);
        break;
    case WEBSOCKET_PING:
    case WEBSOCKET_PONG:
    case WEBSOCKET_CONTINUATION:
        break;
    }
}

/* As much as a POST may have: a client cannot know that its session is on the way. */
static void remote_upgrade_hold(struct remote_upgrade *upgrade, struct bytes bytes)
{
    assert(upgrade->state == REMOTE_UPGRADE_TAKING);
    if (buffer_size(&upgrade->held) + bytes.size > upgrade->server->poll_bytes + HELD_SLACK)
        remote_upgrade_end(upgrade, WEBSOCKET_CLOSE_TOO_BIG, "too_large");
    else
        buffer_append(&upgrade->held, bytes);
}

static void remote_upgrade_fail(struct remote_upgrade *upgrade)
{
    unsigned code = websocket_reader_close_code(&upgrade->reader);
    remote_upgrade_end(upgrade, code, refusal_of_frame(code));
}

/* An end from inside only marks it (`over`), since the reader stands in the middle of it; it is
 * freed on the way out. */
static void remote_upgrade_bytes(void *receiver, struct bytes bytes, int64_t now_ms)
{
    struct remote_upgrade *upgrade = receiver;
    (void)now_ms;
    assert(!upgrade->inside && !upgrade->over);
    upgrade->inside = true;
    while (!upgrade->over && bytes.size && upgrade->state != REMOTE_UPGRADE_TAKING) {
        struct websocket_item item;
        enum status status = websocket_reader_next(&upgrade->reader, &bytes, &item);
        if (status == STATUS_OK)
            remote_upgrade_item(upgrade, &item);
        else if (status != STATUS_INCOMPLETE)
            remote_upgrade_fail(upgrade);
    }
    if (!upgrade->over && bytes.size)
        remote_upgrade_hold(upgrade, bytes);
    upgrade->inside = false;
    if (upgrade->over)
        remote_upgrade_free(upgrade);
}

static void remote_upgrade_writable(void *receiver, int64_t now_ms)
{
    (void)receiver, (void)now_ms;
}

static void remote_upgrade_closed(void *receiver, int64_t now_ms)
{
    (void)now_ms;
    remote_upgrade_end(receiver, 0, NULL);
}

static const struct wire_receiver_ops receiver_ops = {
    .bytes = remote_upgrade_bytes,
    .writable = remote_upgrade_writable,
    .closed = remote_upgrade_closed,
};

/* ---- Arrival ---- */

/* Everything that costs nothing is looked at first. The address's place is taken here, and goes to
 * the session with the wire. */
void remote_upgrade_request(struct engineio_server *server, struct http_exchange *exchange,
                            const struct http_request *request, struct bytes sid, int64_t now_ms)
{
    struct peer_address address;
    struct upgrade_wish wish;
    if (!server->peers.client || !server->config.ops->migrate_in || sid.size >= ENGINEIO_SID_SIZE ||
        peer_identity_locate(server->peers.identity, sid, &address) != STATUS_OK ||
        sid.size < SID_KEY_SIZE) {
        engineio_refuse(exchange, true, ENGINEIO_ERROR_UNKNOWN_SID, NULL);
        return;
    }
    if (engineio_is_full(server)) {
        engineio_refuse_full(server, exchange);
        return;
    }
    struct address_place place = {0};
    if (!engineio_read_wish(exchange, request, &wish) ||
        !http_exchange_admit(exchange, request, now_ms, &place))
        return;
    struct remote_upgrade *upgrade = mem_new(struct remote_upgrade);
    struct buffer rest = {0};
    upgrade->server = server;
    upgrade->address = address;
    upgrade->place = place;
    upgrade->request.answered = remote_upgrade_answered;
    upgrade->sid_size = sid.size;
    buffer_append_format(&upgrade->query, "sid=%.*s", BYTES_PRINT(sid));
    upgrade->base64 = wish.base64;
    upgrade->wire = engineio_welcome(server, exchange, &wish, &rest);
    websocket_reader_init(&upgrade->reader, server->config.max_payload_bytes);
    wire_attach(upgrade->wire, &receiver_ops, upgrade);
    upgrade->timer.fire = remote_upgrade_late;
    timer_wheel_set(server->wheel, &upgrade->timer, now_ms + server->config.upgrade_timeout_ms);
    DL_APPEND(server->remote_upgrades, upgrade);
    server->stats.remote_upgrades++;
    if (buffer_size(&rest))
        remote_upgrade_bytes(upgrade, buffer_peek(&rest), now_ms);
    buffer_deinit(&rest);
}

/* They come back elsewhere: the sessions they wanted are alive. */
void remote_upgrades_free(struct engineio_server *server)
{
    while (server->remote_upgrades) {
        write_close(server->remote_upgrades, WEBSOCKET_CLOSE_GOING_AWAY, "restart");
        remote_upgrade_free(server->remote_upgrades);
    }
}
