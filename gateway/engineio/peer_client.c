/* Requests of this gateway to others, over connections that are kept: one request on a connection
 * at a time, since a poll may be held for long and would hold up what stands behind it.
 *
 *      DIALING --writable--> BUSY --answer--> IDLE --request--> BUSY
 *         |                    |                |
 *         '--------------------'----------------'--> freed: closed, cancelled, failed, or idle too long
 *
 * A request is in exactly one place: on a channel, in one of its peer's two queues, or among the
 * failed (which are told so by their timer, never from inside send()). `peer` and `channel` say
 * which. Held polls wait in a queue of their own, and may not take all connections, or they
 * would keep short requests from going out. */
#include "peer_client.h"

#include <assert.h>
#include <stddef.h>

#include <uthash.h>
#include <utlist.h>

#include "mem.h"

enum {
    IDLE_DEFAULT_MS = 30000,
    BUFFERED_DEFAULT = 64 * 1024 * 1024,
    HELD_SHARE = 8 /* one in so many connections is never a held poll's */
};

struct peer_channel {
    struct wire *wire;
    struct peer *peer;
    struct peer_request *request; /* NULL: idle */
    struct http_reply_reader reader;
    struct timer timer; /* while idle */
    struct peer_channel *prev, *next;
};

struct peer {
    UT_hash_handle hh;
    struct peer_address address;
    struct peer_client *client;
    struct peer_channel *channels; /* all of them; idle ones in front */
    struct peer_request *waiting, *waiting_held;
    unsigned channel_count, held_count, waiting_count;
};

struct peer_client {
    struct peer_client_config config;
    struct timer_wheel *wheel;
    struct peer *peers;          /* by address */
    struct peer_request *failed; /* could not be started; told so by their timer */
    struct peer_client_stats stats;
};

/* ---- Ends ---- */

/* A peer is known while there is something to do with it: addresses of gateways come and go. */
static void peer_free_if_idle(struct peer *peer)
{
    if (peer->channels || peer->waiting || peer->waiting_held)
        return;
    HASH_DELETE(hh, peer->client->peers, peer);
    free(peer);
}

/* The wire is closed by the caller, or was. */
static void channel_free(struct peer_channel *channel)
{
    struct peer *peer = channel->peer;
    assert(!channel->request);
    timer_wheel_cancel(peer->client->wheel, &channel->timer);
    http_reply_deinit(&channel->reader);
    DL_DELETE(peer->channels, channel);
    peer->channel_count--;
    peer->client->stats.connections--;
    free(channel);
}

/* It has gone out, or will not. */
static void forget_text(struct peer_request *request)
{
    struct peer_client_stats *stats = &request->client->stats;
    assert(stats->buffered >= buffer_size(&request->text));
    stats->buffered -= buffer_size(&request->text);
    buffer_deinit(&request->text);
}

/* The one place that undoes whatever start, queue or failure did, so that counts and lists always
 * agree. */
static void request_detach(struct peer_request *request)
{
    struct peer *peer = request->peer;
    assert(request->client);
    timer_wheel_cancel(request->client->wheel, &request->timer);
    if (request->channel) {
        request->channel->request = NULL;
        peer->held_count -= request->held;
    } else if (peer) {
        if (request->held)
            DL_DELETE(peer->waiting_held, request);
        else
            DL_DELETE(peer->waiting, request);
        peer->waiting_count--;
    } else {
        DL_DELETE(request->client->failed, request);
    }
    forget_text(request);
    request->channel = NULL;
    request->peer = NULL;
    request->client = NULL;
}

static void serve_waiting(struct peer *peer);

/* The connection is of no use any more; what it carried has failed. */
static void channel_fail(struct peer_channel *channel, bool closed, int64_t now_ms)
{
    struct peer_request *request = channel->request;
    struct peer *peer = channel->peer;
    struct peer_client *client = peer->client;
    if (request)
        request_detach(request);
    if (!closed)
        wire_close(channel->wire, WIRE_ABORT);
    channel_free(channel);
    serve_waiting(peer);
    if (!request)
        return;
    client->stats.failed++;
    request->answered(request, NULL, now_ms);
}

/* ---- Connections ---- */

static void write_request(struct peer_channel *channel)
{
    struct peer_request *request = channel->request;
    if (!request || !buffer_size(&request->text) || !channel->wire->writable)
        return;
    wire_write(channel->wire, buffer_peek(&request->text));
    forget_text(request);
}

static void idle_too_long(struct timer *timer, int64_t now_ms)
{
    (void)now_ms;
    struct peer_channel *channel =
        (struct peer_channel *)((char *)timer - offsetof(struct peer_channel, timer));
    struct peer *peer = channel->peer;
    assert(!channel->request);
    wire_close(channel->wire, WIRE_FLUSH);
    channel_free(channel);
    peer_free_if_idle(peer);
}

/* To the front: the one used last is used next, and those that are not needed time out. */
static void become_idle(struct peer_channel *channel, int64_t now_ms)
{
    struct peer *peer = channel->peer;
    assert(!channel->request);
    channel->timer.fire = idle_too_long;
    timer_wheel_set(peer->client->wheel, &channel->timer,
                    now_ms + peer->client->config.idle_timeout_ms);
    DL_DELETE(peer->channels, channel);
    DL_PREPEND(peer->channels, channel);
}

static void take_reply(struct peer_channel *channel, const struct http_reply *reply, int64_t now_ms)
{
    struct peer_request *request = channel->request;
    struct peer *peer = channel->peer;
    assert(request && request->channel == channel);
    /* The answer is borrowed from the channel, which may go before the owner has read it. */
    struct http_reply_reader reader = channel->reader;
    channel->reader = (struct http_reply_reader){.body_limit = reader.body_limit};
    request_detach(request);
    if (reply->close || !http_reply_is_idle(&reader)) {
        wire_close(channel->wire, WIRE_FLUSH);
        channel_free(channel);
    } else {
        become_idle(channel, now_ms);
    }
    serve_waiting(peer);
    request->answered(request, reply, now_ms);
    http_reply_deinit(&reader);
}

/* One answer for one request; bytes that nobody asked for make the connection useless. */
static void channel_bytes(void *receiver, struct bytes bytes, int64_t now_ms)
{
    struct peer_channel *channel = receiver;
    struct http_reply reply;
    if (!channel->request) {
        channel_fail(channel, false, now_ms); /* nobody asked */
        return;
    }
    http_reply_feed(&channel->reader, bytes);
    enum status status = http_reply_next(&channel->reader, &reply);
    if (status == STATUS_OK)
        take_reply(channel, &reply, now_ms);
    else if (status != STATUS_INCOMPLETE)
        channel_fail(channel, false, now_ms);
}

static void channel_writable(void *receiver, int64_t now_ms)
{
    (void)now_ms;
    write_request(receiver);
}

/* The other gateway ended it, or never answered: whatever it carried has failed. */
static void channel_closed(void *receiver, int64_t now_ms)
{
    channel_fail(receiver, true, now_ms);
}

static const struct wire_receiver_ops receiver_ops = {
    .bytes = channel_bytes,
    .writable = channel_writable,
    .closed = channel_closed,
};

/* NULL: there are as many as there may be, or no descriptor is left. */
static struct peer_channel *peer_dial(struct peer *peer)
{
    struct peer_client *client = peer->client;
    if (peer->channel_count >= client->config.connections)
        return NULL;
    struct wire *wire = client->config.dialer_ops->dial(client->config.dialer, &peer->address);
    if (!wire)
        return NULL;
    struct peer_channel *channel = mem_new(struct peer_channel);
    channel->wire = wire;
    channel->peer = peer;
    channel->reader.body_limit = client->config.answer_bytes;
    DL_APPEND(peer->channels, channel);
    peer->channel_count++;
    client->stats.dialed++;
    client->stats.connections++;
    wire_attach(wire, &receiver_ops, channel);
    return channel;
}

/* ---- Requests ---- */

/* Held polls leave some connections to others, so that an upgrade or a POST always finds one. */
static struct peer_channel *free_channel(struct peer *peer, bool held)
{
    unsigned most = peer->client->config.connections;
    if (held && peer->held_count >= most - most / HELD_SHARE)
        return NULL;
    struct peer_channel *channel = peer->channels;
    return channel && !channel->request ? channel : peer_dial(peer);
}

/* It is written at once, if the connection stands; else when it does. */
static void request_start(struct peer_request *request, struct peer_channel *channel)
{
    struct peer *peer = channel->peer;
    assert(!channel->request && !request->channel);
    timer_wheel_cancel(peer->client->wheel, &channel->timer);
    request->channel = channel;
    channel->request = request;
    peer->held_count += request->held;
    DL_DELETE(peer->channels, channel); /* busy ones stand behind */
    DL_APPEND(peer->channels, channel);
    write_request(channel);
    if (buffer_size(&request->text))
        wire_want_writable(channel->wire);
}

static bool serve_one(struct peer *peer, struct peer_request **list)
{
    struct peer_request *request = *list;
    struct peer_channel *channel = request ? free_channel(peer, request->held) : NULL;
    if (!channel)
        return false;
    assert(peer->waiting_count > 0);
    DL_DELETE(*list, request);
    peer->waiting_count--;
    request_start(request, channel);
    return true;
}

/* Short requests first: a held poll waits for events anyway. */
static void serve_waiting(struct peer *peer)
{
    while (serve_one(peer, &peer->waiting) || serve_one(peer, &peer->waiting_held))
        ;
    peer_free_if_idle(peer);
}

/* Also how a request fails that could not be queued: its timer is due at once, and so its owner
 * hears of it in the next turn. */
static void request_timed_out(struct timer *timer, int64_t now_ms)
{
    struct peer_request *request =
        (struct peer_request *)((char *)timer - offsetof(struct peer_request, timer));
    struct peer_client *client = request->client;
    assert(client);
    client->stats.timeouts += request->peer != NULL;
    if (request->channel) {
        channel_fail(request->channel, false, now_ms);
        return;
    }
    struct peer *peer = request->peer;
    request_detach(request);
    if (peer)
        peer_free_if_idle(peer);
    client->stats.failed++;
    request->answered(request, NULL, now_ms);
}

/* Made at the first request. Addresses come from sealed session ids only, so their number is
 * bounded. */
static struct peer *find_peer(struct peer_client *client, const struct peer_address *address)
{
    struct peer *peer;
    HASH_FIND(hh, client->peers, address, sizeof(*address), peer);
    if (peer)
        return peer;
    peer = mem_new(struct peer);
    peer->address = *address;
    peer->client = client;
    HASH_ADD(hh, client->peers, address, sizeof(*address), peer);
    return peer;
}

/* The whole request as text. The caller has checked that it fits what may be buffered. */
static void write_text(const struct peer_client *client, const struct peer_message *message,
                       struct buffer *text)
{
    assert(buffer_size(text) == 0);
    buffer_append_format(
        text, "%s %.*s%s%.*s HTTP/1.1\r\nHost: peer\r\n" PEER_TOKEN_FIELD ": %s\r\n",
        message->method, BYTES_PRINT(message->path), message->query.size ? "?" : "",
        BYTES_PRINT(message->query), client->config.identity->tokens[0]);
    if (message->body.size || strcmp(message->method, "GET") != 0)
        buffer_append_format(text, "Content-Length: %zu\r\n", message->body.size);
    buffer_append(text, message->fields);
    buffer_append_string(text, "\r\n");
    buffer_append(text, message->body);
}

/* At most so much is written for it. */
static uint64_t text_size(const struct peer_message *message)
{
    enum { FIXED = 256 }; /* words, numbers, the token */
    return FIXED + message->path.size + message->query.size + message->fields.size +
           message->body.size;
}

/* Never calls back from inside: a request that cannot be made fails in the next turn, like one that
 * got no answer. */
void peer_client_send(struct peer_client *client, struct peer_request *request,
                      const struct peer_message *message)
{
    assert(!request->client && request->answered);
    struct peer *peer = find_peer(client, &message->address);
    client->stats.requests++;
    request->client = client;
    request->held = message->held;
    bool fits = text_size(message) <= client->config.buffered - client->stats.buffered;
    if (fits)
        write_text(client, message, &request->text);
    client->stats.buffered += buffer_size(&request->text);
    request->timer.fire = request_timed_out;
    timer_wheel_set(client->wheel, &request->timer, client->wheel->now_ms + message->timeout_ms);
    bool overtakes = message->held ? peer->waiting_held : peer->waiting;
    struct peer_channel *channel = overtakes || !fits ? NULL : free_channel(peer, message->held);
    bool full = !fits || peer->channel_count == 0 || peer->waiting_count >= client->config.waiting;
    if (channel) {
        request->peer = peer;
        request_start(request, channel);
    } else if (!full) {
        request->peer = peer;
        peer->waiting_count++;
        if (request->held)
            DL_APPEND(peer->waiting_held, request);
        else
            DL_APPEND(peer->waiting, request);
    } else {
        client->stats.refused++;
        DL_APPEND(client->failed, request);
        timer_wheel_set(client->wheel, &request->timer, 0); /* told in the next turn */
        peer_free_if_idle(peer);
    }
}

/* The connection goes, too: the answer would come for nobody, and a held poll may be held for
 * long. */
void peer_client_cancel(struct peer_request *request)
{
    if (!request->client)
        return;
    struct peer_channel *channel = request->channel;
    struct peer *peer = request->peer;
    request_detach(request);
    assert(!request->client);
    if (channel) {
        wire_close(channel->wire, WIRE_ABORT);
        channel_free(channel);
    }
    if (peer)
        serve_waiting(peer);
}

/* ---- The client ---- */

struct peer_client *peer_client_new(const struct peer_client_config *config,
                                    struct timer_wheel *wheel)
{
    assert(config->connections > 0 && config->dialer_ops);
    struct peer_client *client = mem_new(struct peer_client);
    client->config = *config;
    client->wheel = wheel;
    if (!client->config.buffered)
        client->config.buffered = BUFFERED_DEFAULT;
    if (!client->config.idle_timeout_ms)
        client->config.idle_timeout_ms = IDLE_DEFAULT_MS;
    return client;
}

void peer_client_free(struct peer_client *client)
{
    if (!client)
        return;
    struct peer *peer, *next;
    HASH_ITER(hh, client->peers, peer, next) {
        while (peer->waiting)
            request_detach(peer->waiting);
        while (peer->waiting_held)
            request_detach(peer->waiting_held);
        while (peer->channels) {
            struct peer_channel *channel = peer->channels;
            if (channel->request)
                request_detach(channel->request);
            wire_close(channel->wire, WIRE_ABORT);
            channel_free(channel);
        }
        peer_free_if_idle(peer);
    }
    while (client->failed)
        request_detach(client->failed);
    assert(!client->peers && client->stats.connections == 0 && client->stats.buffered == 0);
    free(client);
}

const struct peer_client_stats *peer_client_stats(const struct peer_client *client)
{
    return &client->stats;
}
