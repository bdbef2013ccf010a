/* The settings of one worker process, made from those of the whole. Limits that are for all of them
 * together are divided, and what must be different for each (the port for peers) is counted up.
 *
 * The struct is copied flat: texts and lists stay those of `whole`, which outlives every worker,
 * being in the same process since before the fork. */
#include "worker_settings.h"

/* The shares of all workers are the whole, and none is 0, which would mean: no limit. */
static int64_t share_of(int64_t whole, int64_t workers, unsigned index)
{
    int64_t share = whole / workers + (index < whole % workers);
    return whole > 0 && share == 0 ? 1 : share;
}

/* Without a shared secret a gateway is alone: then its workers know each other only, and nobody
 * else on this machine or another reaches them. */
static void make_peers(struct gateway_settings *settings, struct worker_common *common,
                       unsigned index)
{
    static char loopback[] = "127.0.0.1", loopback_network[] = "127.0.0.1/32";
    static char *networks[] = {loopback_network};
    if (settings->peers_secret) {
        /* 0 is any free port: each worker finds another one by itself. */
        if (settings->peers_port)
            settings->peers_port += index;
        return;
    }
    settings->peers_secret = common->peers_secret;
    settings->peers_address = loopback;
    settings->peers_networks = (struct config_list){.items = networks, .count = 1};
    settings->peers_port = 0;
}

struct gateway_settings worker_settings(const struct gateway_settings *whole,
                                        struct worker_common *common, unsigned index)
{
    struct gateway_settings settings = *whole;
    settings.port = common->port;
    settings.operations_port = common->operations_port;
    settings.share_port = true;
    settings.connections = share_of(whole->connections, whole->workers, index);
    settings.accepts_per_second = share_of(whole->accepts_per_second, whole->workers, index);
    settings.sessions = share_of(whole->sessions, whole->workers, index);
    settings.drain_per_second = share_of(whole->drain_per_second, whole->workers, index);
    /* Clients come back to any worker: all of them have to read the cursors of all. */
    if (!whole->recovery_keys && !whole->token_secret)
        settings.recovery_keys = common->recovery_key;
    make_peers(&settings, common, index);
    return settings;
}
