/* The socket that clients come to. We open it and not libwebsockets: processes may share its port,
 * a supervisor holds it without listening, and a failure has to say why. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lws_server_private.h"

enum { BACKLOG_DEFAULT = 4096 };

static bool set_option(int descriptor, int level, int option, int value)
{
    return setsockopt(descriptor, level, option, &value, sizeof(value)) == 0;
}

/* Accepted sockets inherit the last two, which saves two system calls per connection. A small send
 * buffer is wanted: what lies in the kernel can neither be conflated nor counted, and a client that
 * does not read would look well for megabytes. */
static bool set_options(const struct lws_server_config *config, int descriptor, bool v6)
{
    return set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1) &&
           (!config->share_port || set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1)) &&
           (!v6 || set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 0)) &&
           set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1) &&
           (!config->send_buffer_bytes ||
            set_option(descriptor, SOL_SOCKET, SO_SNDBUF, config->send_buffer_bytes));
}

/* Returns the descriptor, or the negative errno. */
static int bind_socket(const struct lws_server_config *config, const struct addrinfo *address)
{
    int descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -errno;
    if (!set_options(config, descriptor, address->ai_family == AF_INET6) ||
        bind(descriptor, address->ai_addr, address->ai_addrlen) != 0 ||
        (config->backlog >= 0 &&
         listen(descriptor, config->backlog ? config->backlog : BACKLOG_DEFAULT) != 0)) {
        int failure = errno;
        close(descriptor);
        return -failure;
    }
    return descriptor;
}

static int bind_name(const struct lws_server_config *config, const char *name, int family,
                     struct error *error)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", (unsigned)config->port);
    struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    int failure = getaddrinfo(name, port, &hints, &addresses);
    if (failure != 0) {
        (void)error_set(error, STATUS_INVALID, "address %s: %s", name, gai_strerror(failure));
        return -EADDRNOTAVAIL;
    }
    int descriptor = bind_socket(config, addresses);
    freeaddrinfo(addresses);
    if (descriptor < 0)
        (void)error_set(error, STATUS_IO, "cannot listen on %s port %s: %s", name, port,
                        strerror(-descriptor));
    return descriptor;
}

int listen_socket_open(const struct lws_server_config *config, struct error *error)
{
    if (config->address)
        return bind_name(config, config->address, AF_UNSPEC, error);
    int descriptor = bind_name(config, "::", AF_INET6, error);
    /* Those two would be the same for IPv4, or worse: half of the addresses open, and the other
     * half somebody else's. */
    if (descriptor < 0 && descriptor != -EADDRINUSE && descriptor != -EACCES)
        descriptor = bind_name(config, "0.0.0.0", AF_INET, error); /* a machine without IPv6 */
    return descriptor;
}

uint16_t listen_socket_port(int descriptor)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.v6 = {0}};
    socklen_t size = sizeof(address);
    if (getsockname(descriptor, &address.any, &size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}
