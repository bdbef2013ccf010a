/* The dispatcher's little server. libmicrohttpd's thread answers, so that /livez tells of a main
 * thread that hangs, and a scrape does not wait for a batch.
 *
 * The invariant: what the thread calls (the checks, the registry) reads atomics alone. It takes no
 * lock that the main thread could hold while it hangs. */
#include "health_http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "mem.h"

enum {
    CONNECTIONS_LIMIT = 32,
    CONNECTION_TIMEOUT_SECONDS = 10,
    CONNECTION_MEMORY_BYTES = 8192,
    BACKLOG = 64
};

struct health_http {
    struct health_http_options options;
    struct MHD_Daemon *daemon;
    uint16_t port;
};

/* What answers a path. */
struct answer {
    struct buffer body;
    unsigned code;
    const char *type;
};

/* On libmicrohttpd's thread, like all below down to on_daemon_log(). */
static void answer_checks(const struct health_http *server,
                          size_t (*ask)(void *context, struct health_check *checks),
                          struct answer *answer)
{
    struct health_check checks[HEALTH_CHECKS_LIMIT];
    size_t count = ask ? ask(server->options.context, checks) : 0;
    assert(count <= HEALTH_CHECKS_LIMIT);
    bool healthy = health_render(checks, count, &answer->body);
    answer->code = healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    answer->type = HEALTH_CONTENT_TYPE;
}

static void answer_path(const struct health_http *server, const char *path, struct answer *answer)
{
    if (strcmp(path, "/livez") == 0) {
        answer_checks(server, server->options.live, answer);
    } else if (strcmp(path, "/readyz") == 0) {
        answer_checks(server, server->options.ready, answer);
    } else if (strcmp(path, "/metrics") == 0 && server->options.metrics) {
        metrics_render(server->options.metrics, &answer->body);
        answer->code = MHD_HTTP_OK;
        answer->type = METRICS_CONTENT_TYPE;
    } else {
        buffer_append_string(&answer->body, "there are /livez, /readyz and /metrics\n");
        answer->code = MHD_HTTP_NOT_FOUND;
        answer->type = "text/plain; charset=utf-8";
    }
}

/* Takes the memory of the body. */
static enum MHD_Result send_answer(struct MHD_Connection *connection, struct answer *answer)
{
    struct bytes body = buffer_peek(&answer->body);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.size, answer->body.data + answer->body.start, MHD_RESPMEM_MUST_COPY);
    buffer_deinit(&answer->body);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (answer->code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, answer->code, response);
    MHD_destroy_response(response);
    return result;
}

/* libmicrohttpd's handler, whence its parameters. Its first call for a request has no upload yet;
 * anything but GET and HEAD is answered there, before a body is read. */
// NOLINTNEXTLINE(readability-function-size)
static enum MHD_Result on_health_request(void *context, struct MHD_Connection *connection,
                                         const char *url, const char *method, const char *version,
                                         const char *upload, size_t *upload_size, void **request)
{
    (void)version, (void)upload;
    /* Only its address counts: a request that has been seen once is marked with it. */
    static int seen;
    struct answer answer = {0};
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        buffer_append_string(&answer.body, "only GET and HEAD\n");
        answer.code = MHD_HTTP_METHOD_NOT_ALLOWED;
        answer.type = "text/plain; charset=utf-8";
        return send_answer(connection, &answer);
    }
    if (!*request) {
        *request = &seen;
        return MHD_YES;
    }
    if (*upload_size) {
        *upload_size = 0; /* a GET with a body: ignored */
        return MHD_YES;
    }
    answer_path(context, url, &answer);
    return send_answer(connection, &answer);
}

/* libmicrohttpd ends its lines itself. */
static void on_daemon_log(void *context, const char *format, va_list list)
{
    (void)context;
    char text[256];
    vsnprintf(text, sizeof(text), format, list);
    size_t size = strlen(text);
    while (size && text[size - 1] == '\n')
        text[--size] = '\0';
    log_warning("health server", LOG_STRING("text", text));
}

/* A port that is in use is told apart: it is what happens when a program is started twice. */
static enum status fail_to_listen(struct error *error, const struct health_http_options *options,
                                  int reason)
{
    bool in_use = reason == EADDRINUSE;
    return error_set(error, in_use ? STATUS_UNAVAILABLE : STATUS_IO,
                     in_use ? "port %u of %s is in use" : "port %u of %s cannot be opened: %s",
                     options->port, options->address ? options->address : "all addresses",
                     strerror(reason));
}

/* We listen by ourselves: libmicrohttpd would only say that it did not work, and not why. */
static int try_listen(const struct addrinfo *address)
{
    int listener = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return -1;
    int on = 1, off = 0;
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ai_family == AF_INET6)
        (void)setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(listener, address->ai_addr, address->ai_addrlen) == 0 &&
        listen(listener, BACKLOG) == 0)
        return listener;
    int reason = errno;
    close(listener);
    errno = reason;
    return -1;
}

/* A listening socket, or -1 with errno. Without an address: the IPv6 one that takes IPv4 too, else
 * the IPv4 one. */
static int listen_on(const struct health_http_options *options)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", options->port);
    struct addrinfo hints = {.ai_family = options->address ? AF_UNSPEC : AF_INET6,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    for (;;) {
        int listener = -1, reason = EADDRNOTAVAIL;
        if (getaddrinfo(options->address, port, &hints, &found) == 0) {
            listener = try_listen(found);
            reason = errno;
            freeaddrinfo(found);
        }
        bool retry = listener < 0 && hints.ai_family == AF_INET6 && reason != EADDRINUSE;
        if (!retry) {
            errno = reason;
            return listener;
        }
        hints.ai_family = AF_INET; /* no IPv6 on this machine */
    }
}

/* Port 0 lets the kernel choose: tests ask for the answer. */
static uint16_t port_of(int listener)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    char port[8] = "0";
    if (getsockname(listener, (struct sockaddr *)&address, &size) == 0)
        (void)getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof(port),
                          NI_NUMERICSERV);
    return (uint16_t)strtoul(port, NULL, 10);
}

enum status health_http_open(const struct health_http_options *options, struct health_http **server,
                             struct error *error)
{
    int listener = listen_on(options);
    if (listener < 0)
        return fail_to_listen(error, options, errno);
    struct health_http *made = mem_new(struct health_http);
    made->options = *options;
    made->port = port_of(listener);
    /* One thread of its own, with epoll where there is: connections are few, and a slow one is
     * ended by its time limit. */
    made->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_USE_ERROR_LOG, made->port, NULL, NULL,
        on_health_request, made, MHD_OPTION_EXTERNAL_LOGGER, on_daemon_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_LIMIT, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)CONNECTION_TIMEOUT_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_END);
    if (!made->daemon) {
        close(listener);
        free(made);
        return error_set(error, STATUS_IO, "the health server does not start on port %u",
                         options->port);
    }
    *server = made;
    return STATUS_OK;
}

uint16_t health_http_port(const struct health_http *server)
{
    return server->port;
}

void health_http_close(struct health_http *server)
{
    if (!server)
        return;
    /* Joins the thread and closes the listening socket; before it returns, `server` may be read. */
    MHD_stop_daemon(server->daemon);
    free(server);
}
