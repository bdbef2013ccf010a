/* This gateway among others: its identity, where they ask it (a port of its own, plain HTTP with
 * the shared secret's token), and its connections to them. What is asked is engineio_server's
 * business. */
#ifndef GATEWAY_INFRA_GATEWAY_PEERS_H
#define GATEWAY_INFRA_GATEWAY_PEERS_H

#include "engineio_server.h"
#include "gateway_settings.h"
#include "lws_loop.h"
#include "lws_server.h"

struct gateway_peers;

/* Listens, and makes `engineio` one of the gateways. The settings, the loop and the wheel are
 * borrowed. Without a secret nothing happens and *peers is NULL. */
enum status gateway_peers_open(const struct gateway_settings *settings, struct lws_loop *loop,
                               struct timer_wheel *wheel, struct engineio_server *engineio,
                               struct gateway_peers **peers, struct error *error) MUST_CHECK;
/* After the Engine.IO server was freed. NULL is fine. */
void gateway_peers_close(struct gateway_peers *peers);

/* For metrics; zeros where peers is NULL. */
struct peer_client_stats gateway_peers_client_stats(const struct gateway_peers *peers);

#endif
