#include "fake_peers.h"

#include <check.h>
#include <stdio.h>
#include <utlist.h>

#include "mem.h"

struct fake_gateway gateways[FAKE_GATEWAYS];
const char *fake_network = "10.0.0.0/24";
const char *fake_secrets[FAKE_GATEWAYS];
unsigned fake_peer_connections = 8;
uint64_t fake_peer_buffered;

static const struct engineio_application_ops *application;
static uint8_t boots;

/* ---- Wires between gateways: two ends, each keeping what was written until the next turn ---- */

struct end {
    struct wire wire;  /* first */
    struct end *other; /* NULL: gone */
    struct buffer in;  /* on its way to this end's receiver */
    unsigned gateway;  /* that holds this end */
    bool closed;       /* by its receiver */
    bool wanted, cut;  /* the receiver is to hear of its end */
    bool dialing;
    struct end *prev, *next;
};

static struct end *ends;

static void end_write(struct wire *wire, struct bytes bytes)
{
    struct end *end = (struct end *)wire;
    ck_assert(wire->writable && !end->closed);
    if (end->other)
        buffer_append(&end->other->in, bytes);
}

static void end_want(struct wire *wire)
{
    ((struct end *)wire)->wanted = true;
}

static void end_close(struct wire *wire, enum wire_end how)
{
    struct end *end = (struct end *)wire;
    (void)how;
    ck_assert(!end->closed);
    end->closed = true;
    if (end->other) {
        end->other->cut = true;
        end->other->other = NULL;
        end->other = NULL;
    }
}

static void end_peer(const struct wire *wire, char text[WIRE_PEER_SIZE])
{
    (void)wire;
    snprintf(text, WIRE_PEER_SIZE, "10.0.0.9");
}

static const struct wire_ops end_ops = {end_write, end_want, end_close, end_peer};

static struct end *end_new(unsigned gateway)
{
    struct end *end = mem_new(struct end);
    end->wire.ops = &end_ops;
    end->gateway = gateway;
    DL_APPEND(ends, end);
    return end;
}

static void end_free(struct end *end)
{
    DL_DELETE(ends, end);
    buffer_deinit(&end->in);
    free(end);
}

static struct wire *dial(void *dialer, const struct peer_address *address)
{
    struct fake_gateway *from = dialer;
    unsigned to = address->ip[15] - 1u;
    from->dials++;
    ck_assert_uint_eq(address->port, 8081);
    ck_assert_uint_lt(to, FAKE_GATEWAYS);
    struct end *near = end_new((unsigned)(from - gateways));
    near->dialing = true;
    if (gateways[to].dead) {
        near->cut = true;
        return &near->wire;
    }
    struct end *far = end_new(to);
    far->wire.writable = true;
    near->other = far;
    far->other = near;
    struct wire_acceptor acceptor = http_server_acceptor(gateways[to].peer_http);
    acceptor.opened(acceptor.acceptor, &far->wire, world.now_ms);
    return &near->wire;
}

/* One thing that can happen at this end. */
static bool move_end(struct end *end)
{
    const struct wire_receiver_ops *ops = end->wire.receiver_ops;
    if (end->closed) {
        end_free(end);
        return true;
    }
    if (gateways[end->gateway].stopped)
        return false;
    if (end->dialing && !end->cut && !gateways[end->other->gateway].stopped) {
        end->dialing = false;
        end->wire.writable = true;
    }
    if (end->wanted && end->wire.writable) {
        end->wanted = false;
        ops->writable(end->wire.receiver, world.now_ms);
        return true;
    }
    if (buffer_size(&end->in)) {
        size_t step = world.byte_by_byte ? 1 : buffer_size(&end->in);
        auto_buffer struct buffer piece = {0};
        buffer_append(&piece, bytes_of(buffer_peek(&end->in).data, step));
        buffer_consume(&end->in, step);
        gateways[end->gateway].bytes_asked += step;
        ops->bytes(end->wire.receiver, buffer_peek(&piece), world.now_ms);
        return true;
    }
    if (end->cut) {
        end->closed = true;
        end->wire.writable = false;
        ops->closed(end->wire.receiver, world.now_ms);
        return true;
    }
    return false;
}

static bool move_ends(void)
{
    for (struct end *end = ends; end; end = end->next)
        if (move_end(end))
            return true;
    return false;
}

static void run(void)
{
    do {
        timer_wheel_advance(&world.wheel, world.now_ms);
        for (unsigned i = 0; i < FAKE_GATEWAYS; i++)
            if (gateways[i].engineio && !gateways[i].stopped)
                engineio_server_turn(gateways[i].engineio, world.now_ms);
    } while (move_ends());
}

/* ---- Gateways ---- */

static void gateway_open(struct fake_gateway *gateway)
{
    static const struct peer_dialer_ops dialer_ops = {dial};
    unsigned index = (unsigned)(gateway - gateways);
    const uint8_t boot[PEER_BOOT_BYTES] = {++boots};
    *gateway = (struct fake_gateway){.http = http_server_new(&fake_http, &world.wheel),
                                     .peer_http = http_server_new(&fake_http, &world.wheel)};
    char address[16];
    snprintf(address, sizeof(address), "10.0.0.%u", index + 1);
    ck_assert(peer_address_parse(address, &gateway->identity.own));
    gateway->identity.own.port = 8081;
    ck_assert(peer_network_parse(fake_network, &gateway->identity.networks[0]));
    gateway->identity.network_count = 1;
    struct bytes secret =
        bytes_of_string(fake_secrets[index] ? fake_secrets[index] : "shared by all");
    peer_identity_init(&gateway->identity, &secret, 1, boot);
    struct peer_client_config client = {.identity = &gateway->identity,
                                        .dialer_ops = &dialer_ops,
                                        .dialer = gateway,
                                        .connections = fake_peer_connections,
                                        .waiting = 4,
                                        .buffered = fake_peer_buffered,
                                        .answer_bytes = 1 << 20};
    gateway->client = peer_client_new(&client, &world.wheel);
    if (application) {
        struct engineio_config config = fake_engineio;
        config.ops = application;
        gateway->engineio = engineio_server_new(&config, gateway->http, &world.wheel);
    } else {
        struct socketio_config config = fake_socketio;
        config.engineio = fake_engineio;
        gateway->socketio = socketio_server_new(&config, gateway->http, &world.wheel);
        gateway->engineio = socketio_engineio(gateway->socketio);
    }
    engineio_server_set_peers(gateway->engineio,
                              &(struct engineio_peers){.identity = &gateway->identity,
                                                       .client = gateway->client,
                                                       .http = gateway->peer_http,
                                                       .timeout_ms = 100});
}

static void gateway_close(struct fake_gateway *gateway)
{
    if (gateway->socketio)
        socketio_server_free(gateway->socketio);
    else
        engineio_server_free(gateway->engineio);
    http_server_free(gateway->http);
    http_server_free(gateway->peer_http);
    peer_client_free(gateway->client);
    gateway->engineio = NULL;
}

void fake_at(unsigned gateway)
{
    world.http = gateways[gateway].http;
}

void fake_kill(unsigned gateway)
{
    struct end *end;
    DL_FOREACH(ends, end) {
        if (end->gateway != gateway || !end->other)
            continue;
        end->cut = end->other->cut = true;
        end->other->other = NULL;
        end->other = NULL;
    }
    gateway_close(&gateways[gateway]);
    gateways[gateway].dead = true;
    fake_turn();
}

void fake_boot(unsigned gateway)
{
    gateway_open(&gateways[gateway]);
}

void fake_peers_start(const struct engineio_application_ops *ops, bool byte_by_byte)
{
    application = ops;
    fake_begin(byte_by_byte);
    world.others = run;
    for (unsigned i = 0; i < FAKE_GATEWAYS; i++)
        gateway_open(&gateways[i]);
    fake_at(0);
}

void fake_peers_stop(void)
{
    for (unsigned i = 0; i < FAKE_GATEWAYS; i++)
        if (!gateways[i].dead)
            gateway_close(&gateways[i]);
    while (ends) {
        ck_assert(ends->closed || ends->cut);
        end_free(ends);
    }
    fake_forget();
}
