#include "hostile_wires.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "mem.h"

static struct hostile_wire *wires;

static void take_write(struct wire *wire, struct bytes bytes)
{
    struct hostile_wire *end = (struct hostile_wire *)wire;
    assert(wire->writable && !end->closed && bytes.size > 0);
    if (end->client)
        buffer_append(&end->out, bytes);
    else if (end->other)
        buffer_append(&end->other->in, bytes);
    if (end->full)
        wire->writable = false;
}

static void take_want(struct wire *wire)
{
    ((struct hostile_wire *)wire)->wanted = true;
}

/* The far end hears of it when it is moved. */
static void part(struct hostile_wire *end)
{
    if (!end->other)
        return;
    end->other->cut = true;
    end->other->other = NULL;
    end->other = NULL;
}

static void take_close(struct wire *wire, enum wire_end how)
{
    struct hostile_wire *end = (struct hostile_wire *)wire;
    (void)how;
    assert(!end->closed);
    end->closed = true;
    wire->receiver_ops = NULL;
    part(end);
}

static void take_peer(const struct wire *wire, char text[WIRE_PEER_SIZE])
{
    const struct hostile_wire *end = (const struct hostile_wire *)wire;
    (void)snprintf(text, WIRE_PEER_SIZE, end->client ? "192.0.2.1" : "10.0.0.9");
}

static const struct wire_ops ops = {take_write, take_want, take_close, take_peer};

static struct hostile_wire *wire_new(unsigned gateway)
{
    struct hostile_wire *end = mem_new(struct hostile_wire);
    end->wire.ops = &ops;
    end->gateway = gateway;
    DL_APPEND(wires, end);
    return end;
}

static void wire_free(struct hostile_wire *end)
{
    assert(end->closed && !end->other);
    DL_DELETE(wires, end);
    buffer_deinit(&end->in);
    buffer_deinit(&end->out);
    free(end);
}

static void listen_at(struct http_server *http, struct hostile_wire *end, int64_t now_ms)
{
    struct wire_acceptor acceptor = http_server_acceptor(http);
    end->wire.writable = true;
    acceptor.opened(acceptor.acceptor, &end->wire, now_ms);
}

struct hostile_wire *hostile_wire_open(struct http_server *http, unsigned gateway, int64_t now_ms)
{
    struct hostile_wire *end = wire_new(gateway);
    end->client = end->owned = true;
    listen_at(http, end, now_ms);
    return end;
}

struct hostile_wire *hostile_wire_dial(unsigned from, struct http_server *to, unsigned gateway,
                                       int64_t now_ms)
{
    struct hostile_wire *near = wire_new(from);
    near->dialing = true;
    if (!to) {
        near->cut = true;
        return near;
    }
    struct hostile_wire *far = wire_new(gateway);
    near->other = far;
    far->other = near;
    listen_at(to, far, now_ms);
    return near;
}

void hostile_wire_send(struct hostile_wire *wire, struct bytes bytes, size_t step, int64_t now_ms)
{
    assert(wire->client && step > 0);
    while (bytes.size && !wire->closed) {
        size_t size = bytes.size < step ? bytes.size : step;
        wire->wire.receiver_ops->bytes(wire->wire.receiver, bytes_of(bytes.data, size), now_ms);
        bytes = bytes_skip(bytes, size);
    }
}

void hostile_wire_drain(struct hostile_wire *wire)
{
    wire->full = false;
    if (!wire->closed && !wire->cut)
        wire->wire.writable = true;
}

void hostile_wire_let_go(struct hostile_wire *wire)
{
    assert(wire->client && wire->owned);
    wire->owned = false;
    wire->cut = true;
    wire->wire.writable = false;
}

void hostile_wires_break(unsigned gateway)
{
    struct hostile_wire *end;
    DL_FOREACH(wires, end)
        if (end->gateway == gateway && !end->client)
            part(end);
}

/* One thing that can happen at this end. */
static bool move(struct hostile_wire *end, int64_t now_ms)
{
    const struct wire_receiver_ops *receiver_ops = end->wire.receiver_ops;
    if (end->closed) {
        if (end->owned)
            return false;
        wire_free(end);
        return true;
    }
    if (end->dialing && !end->cut) {
        end->dialing = false;
        end->wire.writable = true;
    }
    if (end->wanted && end->wire.writable) {
        end->wanted = false;
        receiver_ops->writable(end->wire.receiver, now_ms);
        return true;
    }
    if (buffer_size(&end->in)) {
        auto_buffer struct buffer piece = end->in;
        end->in = (struct buffer){0};
        receiver_ops->bytes(end->wire.receiver, buffer_peek(&piece), now_ms);
        return true;
    }
    if (end->cut) {
        end->closed = true;
        end->wire.writable = false;
        receiver_ops->closed(end->wire.receiver, now_ms);
        return true;
    }
    return false;
}

bool hostile_wires_move(int64_t now_ms)
{
    struct hostile_wire *end, *next;
    bool moved = false;
    DL_FOREACH_SAFE(wires, end, next) /* what a call up adds comes behind; it frees none */
        moved = move(end, now_ms) || moved;
    return moved;
}

void hostile_wires_free(void)
{
    struct hostile_wire *end, *next;
    DL_FOREACH_SAFE(wires, end, next) {
        assert(end->closed || end->cut);
        end->closed = true;
        end->other = NULL;
        wire_free(end);
    }
}
