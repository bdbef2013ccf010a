/* What libwebsockets takes at least to accept a WebSocket: its own HTTP and WebSocket code, libev,
 * no timers of its own, nothing said afterwards.
 *
 *   bench_lws_accept PORT */
#include <ev.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t size)
{
    (void)wsi, (void)reason, (void)user, (void)in, (void)size;
    return 0;
}

int main(int count, char **arguments)
{
    static const struct lws_protocols protocols[] = {
        {.name = "bench", .callback = callback, .rx_buffer_size = 128}, {.name = NULL}};
    static const lws_retry_bo_t no_validity;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    void *loops[] = {loop};
    struct lws_context_creation_info info = {
        .port = count > 1 ? (int)strtol(arguments[1], NULL, 10) : 8080,
        .iface = "lo",
        .options = LWS_SERVER_OPTION_LIBEV,
        .foreign_loops = loops,
        .protocols = protocols,
        .retry_and_idle_policy = &no_validity,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
    };
    lws_set_log_level(LLL_ERR, NULL);
    struct lws_context *context = lws_create_context(&info);
    if (!context)
        return EXIT_FAILURE;
    printf("listening\n");
    fflush(stdout);
    ev_run(loop, 0);
    return EXIT_SUCCESS;
}
