/* The applications of the echo server: what the protocol suites expect behind a server's Socket.IO
 * and Engine.IO. */
#ifndef TESTS_ECHO_ECHO_H
#define TESTS_ECHO_ECHO_H

#include "socketio_server.h"

struct echo_application {
    const struct socketio_application_ops *ops;
    const char *const *namespaces;
};

/* The official suites' own: "/" and "/custom"; auth, message, message-with-ack. */
extern const struct echo_application echo_suites;
/* What socket.io-client's own tests talk to. */
extern const struct echo_application echo_client_suite;

/* A bare Engine.IO echo. */
extern const struct engineio_application_ops echo_engineio;

/* Set before the first connection. */
extern struct socketio_server *echo_server;

#endif
