#include "fixed_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Process-wide, as bind(2) has no other way to learn it. Set before the mock cluster exists, which
 * binds on the thread that makes it. */
static uint16_t wanted_port;

static int bind_wanted(int descriptor)
{
    struct sockaddr_in loopback = {
        .sin_family = AF_INET,
        .sin_port = htons(wanted_port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    /* A restart must not wait for the old connections' TIME_WAIT. */
    int on = 1;
    (void)setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return (int)syscall(SYS_bind, descriptor, &loopback, sizeof(loopback));
}

/* Takes the place of glibc's bind for this executable and the libraries it loads. The parameter's
 * type is the one of <sys/socket.h>, a transparent union. */
int bind(int descriptor, __CONST_SOCKADDR_ARG address, socklen_t size)
{
    const struct sockaddr *given = address.__sockaddr__;
    struct sockaddr_in unnamed;

    if (wanted_port == 0 || given->sa_family != AF_INET || size != sizeof(unnamed))
        return (int)syscall(SYS_bind, descriptor, given, size);
    memcpy(&unnamed, given, sizeof(unnamed));
    if (unnamed.sin_port != 0 || unnamed.sin_addr.s_addr != htonl(INADDR_LOOPBACK))
        return (int)syscall(SYS_bind, descriptor, given, size);
    return bind_wanted(descriptor);
}

enum status fixed_port_set(uint16_t port, struct error *error)
{
    wanted_port = port;
    if (port == 0)
        return STATUS_OK;

    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return error_set(error, STATUS_IO, "socket: %s", strerror(errno));
    int reason = bind_wanted(descriptor) == 0 ? 0 : errno;
    (void)close(descriptor);
    if (reason != 0)
        return error_set(error, STATUS_IO, "cannot listen on 127.0.0.1:%u: %s", port,
                         strerror(reason));
    return STATUS_OK;
}
