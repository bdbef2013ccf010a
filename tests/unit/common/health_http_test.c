#include "health_http.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process_metrics.h"
#include "suite.h"

START_TEST(checks_are_rendered_as_json)
{
    static const struct health_check checks[] = {{"kafka", true, NULL},
                                                 {"rules", false, "a \"b\""}};
    auto_buffer struct buffer out = {0};
    ck_assert(health_render(checks, 1, &out));
    ck_assert(bytes_equal_string(
        buffer_peek(&out), "{\"status\":\"ok\",\"checks\":{\"kafka\":{\"status\":\"ok\"}}}\n"));
    buffer_clear(&out);
    ck_assert(!health_render(checks, 2, &out));
    ck_assert(bytes_equal_string(
        buffer_peek(&out),
        "{\"status\":\"failed\",\"checks\":{\"kafka\":{\"status\":\"ok\"},\"rules\":{\"status\":"
        "\"failed\",\"detail\":\"a \\\"b\\\"\"}}}\n"));
}
END_TEST

static size_t ready(void *context, struct health_check *checks)
{
    checks[0] = (struct health_check){"kafka", *(bool *)context, "as told"};
    return 1;
}

/* Sends a request and returns the whole answer in `out`. */
static const char *ask(uint16_t port, const char *request, char *out, size_t size)
{
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(write(client, request, strlen(request)), (ssize_t)strlen(request));
    size_t used = 0;
    ssize_t got;
    while (used + 1 < size && (got = read(client, out + used, size - 1 - used)) > 0)
        used += (size_t)got;
    out[used] = '\0';
    close(client);
    return out;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

START_TEST(paths_are_answered)
{
    bool healthy = true;
    struct metrics *metrics = metrics_new();
    process_metrics_register(metrics, "1.2.3");
    struct health_http_options options = {
        .address = "127.0.0.1", .metrics = metrics, .ready = ready, .context = &healthy};
    struct health_http *server;
    struct error error;
    ck_assert_int_eq(health_http_open(&options, &server, &error), STATUS_OK);
    uint16_t port = health_http_port(server);
    ck_assert_uint_ne(port, 0);
    char out[16384];
    ck_assert(strstr(ask(port, GET("/livez"), out, sizeof(out)), " 200 ") != NULL);
    ask(port, GET("/readyz"), out, sizeof(out));
    ck_assert_msg(strstr(out, " 200 ") && strstr(out, "\"as told\"") &&
                      strstr(out, "application/json"),
                  "%s", out);
    healthy = false;
    ck_assert(strstr(ask(port, GET("/readyz"), out, sizeof(out)), " 503 ") != NULL);
    ask(port, GET("/metrics"), out, sizeof(out));
    ck_assert_msg(strstr(out, "text/plain; version=0.0.4") &&
                      strstr(out, "build_info{version=\"1.2.3\"} 1\n") &&
                      strstr(out, "process_resident_memory_bytes "),
                  "%s", out);
    ck_assert(strstr(ask(port, GET("/planet"), out, sizeof(out)), " 404 ") != NULL);
    ck_assert(strstr(ask(port,
                         "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                         "Connection: close\r\n\r\nabc",
                         out, sizeof(out)),
                     " 405 ") != NULL);
    ck_assert(strstr(ask(port, "nonsense\r\n\r\n", out, sizeof(out)), " 200 ") == NULL);
    health_http_close(server);
    metrics_free(metrics);
}
END_TEST

START_TEST(a_port_in_use_is_told)
{
    struct health_http_options options = {0};
    struct health_http *first, *second = NULL;
    struct error error;
    ck_assert_int_eq(health_http_open(&options, &first, &error), STATUS_OK);
    options.port = health_http_port(first);
    ck_assert_int_eq(health_http_open(&options, &second, &error), STATUS_UNAVAILABLE);
    ck_assert_ptr_null(second);
    ck_assert(strstr(error.text, "is in use") != NULL);
    options.address = "192.0.2.1";
    ck_assert_int_eq(health_http_open(&options, &second, &error), STATUS_IO);
    char out[1024];
    ck_assert(strstr(ask(options.port, GET("/livez"), out, sizeof(out)), " 200 ") != NULL);
    health_http_close(first);
    health_http_close(NULL);
}
END_TEST

TEST_PROGRAM("health", checks_are_rendered_as_json, paths_are_answered, a_port_in_use_is_told)
