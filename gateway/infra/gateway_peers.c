/* This gateway among others: the port on which they ask for sessions that are here, and the client
 * by which we ask them. Only if a secret is configured that all of them share.
 *
 * The port is apart from that of clients, on an address inside of gateway.peers.network: what is
 * spoken there is proved by the secret but not encrypted, and belongs into a network of its own. */
#include "gateway_peers.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <sys/random.h>

#include "log.h"
#include "mem.h"

enum {
    IDLE_TIMEOUT_MS = 120000, /* longer than that of peer_client.h: who asks closes first */
    HEAD_TIMEOUT_MS = 10000,
    BODY_TIMEOUT_MS = 30000,
    ANSWER_BYTES_LIMIT = 80 * 1024 * 1024, /* beyond what settings allow in one message */
};

struct gateway_peers {
    struct peer_identity identity;
    struct http_server *http;
    struct lws_server *sockets;
    struct peer_client *client;
};

/* --- The address of this machine */

static bool is_inside(const struct peer_identity *identity, const struct peer_address *address)
{
    for (size_t i = 0; i < identity->network_count; i++)
        if (peer_network_has(&identity->networks[i], address))
            return true;
    return false;
}

/* By way of text: there is one reader of addresses, which also maps IPv4 into IPv6. */
static bool address_of(const struct sockaddr *from, struct peer_address *address)
{
    char text[INET6_ADDRSTRLEN];
    union {
        const struct sockaddr *any;
        const struct sockaddr_in *v4;
        const struct sockaddr_in6 *v6;
    } socket_address = {from};
    if (!from || (from->sa_family != AF_INET && from->sa_family != AF_INET6))
        return false;
    const void *ip = from->sa_family == AF_INET ? (const void *)&socket_address.v4->sin_addr
                                                : (const void *)&socket_address.v6->sin6_addr;
    return inet_ntop(from->sa_family, ip, text, sizeof(text)) && peer_address_parse(text, address);
}

/* The same configuration for all gateways: each finds which of its addresses is inside of the
 * network. */
static enum status find_address(struct peer_identity *identity, struct error *error)
{
    struct ifaddrs *list;
    bool found = false;
    if (getifaddrs(&list) != 0)
        return error_set(error, STATUS_IO, "cannot list the addresses of this machine");
    for (struct ifaddrs *at = list; at && !found; at = at->ifa_next)
        found = address_of(at->ifa_addr, &identity->own) && is_inside(identity, &identity->own);
    freeifaddrs(list);
    return found ? STATUS_OK
                 : error_set(error, STATUS_INVALID,
                             "gateway.peers.address: no address of this machine is inside "
                             "gateway.peers.network");
}

/* Own address outside of the network: peers would refuse to dial it, so that it is a mistake
 * here. */
static enum status peers_read_identity(const struct gateway_settings *settings,
                                       struct peer_identity *identity, struct error *error)
{
    for (size_t i = 0; i < settings->peers_networks.count && i < PEER_NETWORKS_LIMIT; i++)
        if (peer_network_parse(settings->peers_networks.items[i], &identity->networks[i]))
            identity->network_count++;
    if (!settings->peers_address)
        return find_address(identity, error);
    if (!peer_address_parse(settings->peers_address, &identity->own) ||
        !is_inside(identity, &identity->own))
        return error_set(error, STATUS_INVALID,
                         "gateway.peers.address: %s is not inside gateway.peers.network",
                         settings->peers_address);
    return STATUS_OK;
}

/* --- Parts */

/* The server that peers come to dials, too: connections of both directions count against one
 * limit. */
static struct wire *peers_dial(void *dialer, const struct peer_address *address)
{
    return lws_server_dial(dialer, address);
}

static enum status listen_for_peers(struct gateway_peers *peers,
                                    const struct gateway_settings *settings, struct lws_loop *loop,
                                    struct error *error)
{
    char text[PEER_ADDRESS_TEXT_SIZE], ip[PEER_IP_TEXT_SIZE];
    struct lws_server_config config = {.port = (uint16_t)settings->peers_port,
                                       .acceptor = http_server_acceptor(peers->http)};
    peer_address_print_ip(&peers->identity.own, ip);
    config.address = ip;
    enum status status = lws_server_open(loop, &config, &peers->sockets, error);
    if (status != STATUS_OK)
        return status;
    /* Other gateways learn this address from the ids of our sessions: only now is the port known,
     * if 0 was configured. */
    peers->identity.own.port = lws_server_port(peers->sockets);
    peer_address_print(&peers->identity.own, text);
    log_info("listening for peers", LOG_STRING("address", text));
    return STATUS_OK;
}

/* A new name at each start: an id of a session from before must not be taken for one of now, at the
 * same address. */
static void name_boot(struct gateway_peers *peers, const struct gateway_settings *settings)
{
    struct bytes secrets[PEER_SECRETS_LIMIT];
    uint8_t boot[PEER_BOOT_BYTES];
    ssize_t got = getrandom(boot, sizeof(boot), 0);
    assert(got == sizeof(boot)); /* so few bytes come at once */
    (void)got;
    peer_identity_init(&peers->identity, secrets, gateway_settings_peer_secrets(settings, secrets),
                       boot);
}

enum status gateway_peers_open(const struct gateway_settings *settings, struct lws_loop *loop,
                               struct timer_wheel *wheel, struct engineio_server *engineio,
                               struct gateway_peers **out, struct error *error)
{
    /* Heads of clients are passed on with fields of ours added, hence a little more room than for
     * clients. */
    struct http_server_config http = {
        .limits = {.request_line_bytes = 8192 + 64,
                   .head_bytes = 16384 + 1024,
                   .field_count = 100,
                   .body_bytes = 65536},
        .head_timeout_ms = HEAD_TIMEOUT_MS,
        .body_timeout_ms = BODY_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .pipeline_bytes = 0,
    };
    /* Not an error: a gateway may be the only one, or behind a balancer that keeps clients at their
     * place. */
    if (!settings->peers_secret)
        return STATUS_OK;
    struct gateway_peers *peers = mem_new(struct gateway_peers);
    peers->http = http_server_new(&http, wheel);
    enum status status = peers_read_identity(settings, &peers->identity, error);
    if (status == STATUS_OK)
        status = listen_for_peers(peers, settings, loop, error);
    if (status != STATUS_OK) {
        gateway_peers_close(peers);
        return status;
    }
    name_boot(peers, settings);
    static const struct peer_dialer_ops dialer_ops = {peers_dial};
    struct peer_client_config client = {.identity = &peers->identity,
                                        .dialer_ops = &dialer_ops,
                                        .dialer = peers->sockets,
                                        .connections = (unsigned)settings->peers_connections,
                                        .waiting = (unsigned)settings->peers_connections,
                                        .buffered = (uint64_t)settings->peers_buffered,
                                        .answer_bytes = ANSWER_BYTES_LIMIT};
    peers->client = peer_client_new(&client, wheel);
    engineio_server_set_peers(engineio,
                              &(struct engineio_peers){.identity = &peers->identity,
                                                       .client = peers->client,
                                                       .http = peers->http,
                                                       .timeout_ms = settings->peers_timeout_ms});
    *out = peers;
    return STATUS_OK;
}

void gateway_peers_close(struct gateway_peers *peers)
{
    if (!peers)
        return;
    /* The client first: it ends its connections, which are wires of the server below. */
    peer_client_free(peers->client);
    http_server_free(peers->http);
    lws_server_close(peers->sockets);
    free(peers);
}

struct peer_client_stats gateway_peers_client_stats(const struct gateway_peers *peers)
{
    return peers ? *peer_client_stats(peers->client) : (struct peer_client_stats){0};
}
