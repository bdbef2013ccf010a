/* Several gateways in one fake world, with wires between them. A client talks to one of them at a
 * time: fake_at() chooses which, and then fake_wire.h is used as always. */
#ifndef TESTS_UNIT_TRANSPORT_FAKE_PEERS_H
#define TESTS_UNIT_TRANSPORT_FAKE_PEERS_H

#include "fake_wire.h"
#include "peer_client.h"

enum { FAKE_GATEWAYS = 3 };

struct fake_gateway {
    struct http_server *http, *peer_http;
    struct engineio_server *engineio;
    struct socketio_server *socketio; /* NULL: Engine.IO alone */
    struct peer_identity identity;
    struct peer_client *client;
    bool dead;    /* nobody answers at its address */
    bool stopped; /* SIGSTOP: connections stand, nothing is answered */
    unsigned dials;
    uint64_t bytes_asked; /* of other gateways' requests */
};

extern struct fake_gateway gateways[FAKE_GATEWAYS];
/* 10.0.0.1:8081, 10.0.0.2:8081 ...; all know these networks and this secret; change them before
 * fake_peers_start(). */
extern const char *fake_network;
extern unsigned fake_peer_connections;
extern uint64_t fake_peer_buffered; /* 0: the default */
extern const char *fake_secrets[FAKE_GATEWAYS];

/* ops NULL: Socket.IO with fake_socketio. */
void fake_peers_start(const struct engineio_application_ops *ops, bool byte_by_byte);
void fake_peers_stop(void);
void fake_at(unsigned gateway);
/* kill -9, and with a new boot back at its address. */
void fake_kill(unsigned gateway);
void fake_boot(unsigned gateway);

#endif
