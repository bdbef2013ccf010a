/* The socket that a server listens on: where, shared with whom, and what accepted ones inherit. */
#ifndef GATEWAY_SOCKETS_LISTEN_SOCKET_H
#define GATEWAY_SOCKETS_LISTEN_SOCKET_H

#include "lws_server.h"

/* Returns the descriptor, which is the caller's; negative, an errno: `error` says why. */
int listen_socket_open(const struct lws_server_config *config, struct error *error);

/* 0: it has none. */
uint16_t listen_socket_port(int descriptor);

#endif
