/* The gateway's own transport code under the small applications that the protocol suites expect,
 * without Kafka. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "echo.h"
#include "log.h"
#include "lws_server.h"

enum { UPGRADE_TIMEOUT_MS = 10000 };

struct options {
    uint16_t port;
    uint32_t ping_interval_ms;
    uint32_t ping_timeout_ms;
    uint64_t max_payload_bytes;
    int64_t connect_timeout_ms;
    const char *address;
    const char *certificate_file;
    const char *key_file;
    const struct echo_application *application;
    bool poll;
    bool compress;
};

static struct timer_wheel wheel;

static void fill_random(void *context, uint8_t *out, size_t size)
{
    (void)context;
    if (getrandom(out, size, 0) != (ssize_t)size)
        abort();
}

static void advance(void *context, int64_t now_ms)
{
    timer_wheel_advance(context, now_ms);
}

static int64_t wheel_deadline(void *context)
{
    return timer_wheel_deadline_ms(context);
}

static void turn(void *context, int64_t now_ms)
{
    engineio_server_turn(context, now_ms);
}

static int64_t turn_deadline(void *context)
{
    return engineio_server_deadline_ms(context);
}

static void stop(void *context, int signal)
{
    (void)signal;
    lws_loop_stop(context);
}

static void usage(void)
{
    puts("usage: echo_server [--port P] [--address A] [--ping-interval MS] [--ping-timeout MS] "
         "[--max-payload BYTES]\n"
         "                   [--connect-timeout MS] [--application suites|client-suite] "
         "[--certificate FILE --key FILE]\n"
         "                   [--poll] [--compress]");
}

static const struct option long_options[] = {
    {"port", required_argument, NULL, 'p'},
    {"address", required_argument, NULL, 'a'},
    {"ping-interval", required_argument, NULL, 'i'},
    {"ping-timeout", required_argument, NULL, 't'},
    {"max-payload", required_argument, NULL, 'm'},
    {"connect-timeout", required_argument, NULL, 'c'},
    {"application", required_argument, NULL, 'A'},
    {"certificate", required_argument, NULL, 'C'},
    {"key", required_argument, NULL, 'K'},
    {"poll", no_argument, NULL, 'P'},
    {"compress", no_argument, NULL, 'z'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool read_number(const char *text, uint64_t most, uint64_t *number)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end || value > most) {
        fprintf(stderr, "echo_server: not a number up to %llu: %s\n", (unsigned long long)most,
                text);
        return false;
    }
    *number = value;
    return true;
}

static bool read_option(struct options *options, int option)
{
    uint64_t number = 0;
    if (strchr("pitmc", option) &&
        !read_number(optarg, option == 'p' ? UINT16_MAX : 1 << 30, &number))
        return false;
    switch (option) {
    case 'p':
        options->port = (uint16_t)number;
        return true;
    case 'i':
        options->ping_interval_ms = (uint32_t)number;
        return true;
    case 't':
        options->ping_timeout_ms = (uint32_t)number;
        return true;
    case 'm':
        options->max_payload_bytes = number;
        return true;
    case 'c':
        options->connect_timeout_ms = (int64_t)number;
        return true;
    case 'a':
        options->address = optarg;
        return true;
    case 'C':
        options->certificate_file = optarg;
        return true;
    case 'K':
        options->key_file = optarg;
        return true;
    case 'P':
        options->poll = true;
        return true;
    case 'z':
        options->compress = true;
        return true;
    case 'A':
        if (strcmp(optarg, "suites") == 0)
            return true;
        options->application = &echo_client_suite;
        return strcmp(optarg, "client-suite") == 0;
    default:
        return false;
    }
}

static struct socketio_config socketio_config_of(const struct options *options,
                                                 const struct http_cors *cors)
{
    static const char *const fields[] = {"user-agent",    "cookie",     "origin", "host",
                                         "authorization", "x-socketio", NULL};
    return (struct socketio_config){
        .engineio =
            {
                .path = "/socket.io/",
                .ping_interval_ms = options->ping_interval_ms,
                .ping_timeout_ms = options->ping_timeout_ms,
                /* Who has long to connect, on a busy machine, has long to upgrade. */
                .upgrade_timeout_ms = options->connect_timeout_ms > UPGRADE_TIMEOUT_MS
                                          ? options->connect_timeout_ms
                                          : UPGRADE_TIMEOUT_MS,
                .max_payload_bytes = options->max_payload_bytes,
                .queue_bytes = 16777216,
                .poll_packets = 16,
                .compress = options->compress,
                .cors = cors,
                .handshake_fields = fields,
                .random = fill_random,
            },
        .namespaces = options->application->namespaces,
        .limits = {.json_depth = 128,
                   .namespace_bytes = 256,
                   .packet_bytes = options->max_payload_bytes * 10},
        .connect_timeout_ms = options->connect_timeout_ms,
        .ops = options->application->ops,
    };
}

static int serve(const struct options *options, struct lws_loop *loop)
{
    static const char *const origins[] = {"*", NULL};
    static const struct http_cors cors = {.origins = origins};
    static const int signals[] = {SIGINT, SIGTERM, 0};
    struct http_server_config http_config = {
        .limits = {.request_line_bytes = 8192,
                   .head_bytes = 16384,
                   .field_count = 100,
                   .body_bytes = 1048576},
        .head_timeout_ms = 10000,
        .body_timeout_ms = 30000,
        .idle_timeout_ms = 60000,
        .pipeline_bytes = 65536,
    };
    struct http_server *http = http_server_new(&http_config, &wheel);
    struct socketio_config config = socketio_config_of(options, &cors);
    struct engineio_config bare = config.engineio;
    bare.path = "/engine.io/";
    bare.ops = &echo_engineio;
    struct engineio_server *engineio = engineio_server_new(&bare, http, &wheel);
    echo_server = socketio_server_new(&config, http, &wheel);
    lws_loop_add_chore(loop, &(struct lws_chore){advance, wheel_deadline, &wheel});
    lws_loop_add_chore(loop, &(struct lws_chore){turn, turn_deadline, engineio});
    lws_loop_add_chore(loop,
                       &(struct lws_chore){turn, turn_deadline, socketio_engineio(echo_server)});
    struct lws_server_config server_config = {
        .address = options->address,
        .port = options->port,
        .certificate_file = options->certificate_file,
        .key_file = options->key_file,
        .acceptor = http_server_acceptor(http),
    };
    struct lws_server *server = NULL;
    struct error error;
    enum status status = lws_loop_on_signal(loop, signals, stop, loop, &error);
    if (status == STATUS_OK)
        status = lws_server_open(loop, &server_config, &server, &error);
    if (status == STATUS_OK) {
        printf("listening on port %u (%s)\n", (unsigned)lws_server_port(server),
               lws_loop_backend(loop));
        fflush(stdout);
        lws_loop_run(loop);
    } else {
        fprintf(stderr, "echo_server: %s\n", error.text);
    }
    engineio_server_free(engineio);
    socketio_server_free(echo_server);
    http_server_free(http);
    lws_server_close(server);
    return status == STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argument_count, char **arguments)
{
    struct options options = {
        .port = 3000,
        .ping_interval_ms = 300,
        .ping_timeout_ms = 200,
        .max_payload_bytes = 1000000,
        .connect_timeout_ms = 1000,
        .application = &echo_suites,
    };
    for (int option;
         (option = getopt_long(argument_count, arguments, "", long_options, NULL)) != -1;) {
        if (option == 'h') {
            usage();
            return EXIT_SUCCESS;
        }
        if (!read_option(&options, option)) {
            usage();
            return EXIT_FAILURE;
        }
    }
    log_configure(&(struct log_options){.program = "echo_server"});
    struct lws_loop *loop;
    struct error error;
    struct lws_loop_config config = {.poll = options.poll, .tls = options.certificate_file != NULL};
    if (lws_loop_new(&config, &loop, &error) != STATUS_OK) {
        fprintf(stderr, "echo_server: %s\n", error.text);
        return EXIT_FAILURE;
    }
    timer_wheel_init(&wheel, lws_loop_now_ms(loop));
    int code = serve(&options, loop);
    lws_loop_free(loop);
    return code;
}
