/* What contradicts itself in the settings, or would fail later: found before anything is opened,
 * all of it at once. Single values are within their ranges by then (the table in
 * gateway_settings.c).
 *
 * The invariant: a gateway that gets through here starts, as far as it depends on its settings, and
 * no client ever meets a wrong one. So what can be tried is tried: keys are read, files looked at,
 * origins compared with what browsers send.
 *
 * Nothing here opens a port or asks the broker: it may run beside a gateway that does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "gateway_settings.h"
#include "http_head.h"
#include "hub.h"
#include "presence.h"
#include "token_sources.h"
#include "topic_uses.h"

enum {
    SECRET_MINIMUM = 32, /* bytes of a key for HMAC-SHA256: a shorter one can be guessed sooner */
    COOKIE_NAME_MAX = 64,
    EVENT_HEADERS_BYTES = 4096, /* names of users, rooms and the like, which travel with an event */
};

/* ---- Tokens and keys ---- */

/* Also whether the keys can be had: what would keep the gateway from starting. */
static void check_token_source(const struct token_config *token, const char *path,
                               struct problems *problems)
{
    struct error error;
    int given = !!token->secret + !!token->key_file + !!token->jwks_file + !!token->jwks_url;
    if (given == 0)
        problems_add(problems, 0, 0,
                     "%s: one of secret, key_file, jwks_file and jwks_url is needed "
                     "(or gateway.auth.mode: development, to try it without tokens)",
                     path);
    /* Not the first of them: which one was meant nobody can know, and it is a matter of who gets
     * in. */
    else if (given > 1)
        problems_add(problems, 0, 0, "%s: only one of secret, key_file, jwks_file and jwks_url",
                     path);
    else if ((token->algorithm == TOKEN_HS256 && token->key_file) ||
             (token->algorithm != TOKEN_HS256 && token->secret))
        problems_add(problems, 0, 0,
                     "%s: a secret is for HS256, a key file for the other algorithms", path);
    else if (token->secret && strlen(token->secret) < TOKEN_SECRET_MINIMUM)
        problems_add(problems, 0, 0, "%s.secret: at least %d bytes are needed", path,
                     TOKEN_SECRET_MINIMUM);
    else if (token_keys_try(token, &error) != STATUS_OK)
        problems_add(problems, 0, 0, "%s: %s", path, error.text);
}

/* Either one source, said flat in gateway.token, or a list of them: both together would leave it
 * open whose issuer counts. */
static void check_tokens(struct gateway_settings *settings, struct problems *problems)
{
    struct token_source_config configs[TOKEN_SOURCES_LIMIT];
    struct error error;
    bool single = settings->token_secret || settings->token_key_file || settings->token_jwks_file ||
                  settings->token_jwks_url || settings->token_issuer || settings->token_audience;
    if (settings->auth_mode == GATEWAY_AUTH_DEVELOPMENT)
        return;
    if (!settings->token_sources_node) {
        gateway_settings_token_sources(settings, configs);
        check_token_source(&configs[0].token, "gateway.token", problems);
        return;
    }
    if (single)
        problems_add(problems, 0, 0,
                     "gateway.token: keys, issuer and audience stand in sources, or beside it; not "
                     "in both");
    if (token_source_settings_read(settings->token_sources_node, settings->token_algorithm,
                                   &settings->token_sources, problems) != STATUS_OK)
        return;
    size_t count = gateway_settings_token_sources(settings, configs);
    for (size_t i = 0; i < count; i++) {
        char path[64];
        snprintf(path, sizeof(path), "gateway.token.sources[%zu]", i);
        check_token_source(&configs[i].token, path, problems);
    }
    if (token_sources_check(configs, count, &error) != STATUS_OK)
        problems_add(problems, 0, 0, "gateway.token.sources: %s", error.text);
}

/* Cursors are signed with these keys, and anybody who has one can guess at the key at home. */
static void check_keys(const struct gateway_settings *settings, struct problems *problems)
{
    struct bytes keys[HUB_KEYS_MOST];
    size_t count = gateway_settings_recovery_keys(settings, keys);
    for (size_t i = 0; settings->recovery_keys && i < count; i++)
        if (keys[i].size < SECRET_MINIMUM)
            problems_add(problems, 0, 0, "gateway.recovery.keys: key %zu has less than %d bytes",
                         i + 1, SECRET_MINIMUM);
}

/* ---- HTTP ---- */

/* Only whether it is there and may be read: libwebsockets says what is wrong inside, if
 * anything. */
static void check_file(const char *path, const char *file, struct problems *problems)
{
    if (file && access(file, R_OK) != 0)
        problems_add(problems, 0, 0, "%s: %s: %s", path, file, strerror(errno));
}

/* Two different addresses would make it work, and metrics would still be one typing error away from
 * the clients. */
static void check_ports(const struct gateway_settings *settings, struct problems *problems)
{
    if (settings->operations_port != 0 && settings->operations_port == settings->port)
        problems_add(problems, 0, 0,
                     "gateway.operations.port: %lld is gateway.http.port, which is for clients",
                     (long long)settings->port);
}

/* Engine.IO's clients ask with the slash at the end, and a comma ends a namespace in a packet
 * (socketio_packet.c). */
static void check_paths(const struct gateway_settings *settings, struct problems *problems)
{
    const char *path = settings->path;
    if (path && (path[0] != '/' || path[strlen(path) - 1] != '/'))
        problems_add(problems, 0, 0, "gateway.socketio.path: begins and ends with /");
    for (size_t i = 0; i < settings->namespaces.count; i++)
        if (settings->namespaces.items[i][0] != '/' || strchr(settings->namespaces.items[i], ','))
            problems_add(problems, 0, 0,
                         "gateway.socketio.namespaces: %s does not begin with /, or has a comma",
                         settings->namespaces.items[i]);
    if (!settings->certificate_file != !settings->certificate_key_file)
        problems_add(problems, 0, 0, "gateway.tls: certificate_file and key_file go together");
    if ((settings->raw_path && settings->raw_path[0] != '/') ||
        (settings->sse_path && settings->sse_path[0] != '/'))
        problems_add(problems, 0, 0, "gateway.websocket.path and gateway.sse.path begin with /");
    if (!settings->polling && !settings->websocket)
        problems_add(problems, 0, 0, "gateway.socketio: polling and websocket are both off");
}

static void check_cookie(const char *path, const char *name, struct problems *problems)
{
    struct bytes text = bytes_of_string(name ? name : "");
    if (name && (!http_is_token(text) || text.size > COOKIE_NAME_MAX))
        problems_add(problems, 0, 0, "%s: no name for a cookie, which has up to %d letters", path,
                     COOKIE_NAME_MAX);
}

/* What is wrong with an origin, which is compared with what browsers send: scheme, host and, unless it
 * is the scheme's own, port, in small letters (RFC 6454, section 6.1). NULL: nothing. */
static const char *origin_fault(const char *origin)
{
    size_t scheme = strspn(origin, "abcdefghijklmnopqrstuvwxyz0123456789+-.");
    if (scheme == 0 || strncmp(origin + scheme, "://", 3) != 0)
        return "an origin begins with a scheme: https://app.example";
    const char *host = origin + scheme + 3;
    if (*host == '\0' || strpbrk(host, "/?#@ \t"))
        return "an origin ends with its host or port, without a slash behind";
    if (strpbrk(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZ*"))
        return "an origin is in small letters and compared as a whole: no * in it";
    const char *port = strrchr(host, ':');
    if (port && ((strcmp(port, ":443") == 0 && strncmp(origin, "https:", 6) == 0) ||
                 (strcmp(port, ":80") == 0 && strncmp(origin, "http:", 5) == 0)))
        return "browsers leave the scheme's own port out of an origin";
    return NULL;
}

/* What would be taken, and then fail in every browser. */
static void check_origins(const struct gateway_settings *settings, struct problems *problems)
{
    bool any = false;
    for (size_t i = 0; i < settings->cors_origins.count; i++) {
        const char *origin = settings->cors_origins.items[i];
        const char *fault = strcmp(origin, "*") == 0 ? NULL : origin_fault(origin);
        if (fault)
            problems_add(problems, 0, 0, "gateway.cors.origins: %s: %s", origin, fault);
    }
    for (size_t i = 0; i < settings->cors_origins.count; i++)
        any = any || strcmp(settings->cors_origins.items[i], "*") == 0;
    /* Else whoever reads the list believes that the others in it mean something. */
    if (any && settings->cors_origins.count > 1)
        problems_add(problems, 0, 0, "gateway.cors.origins: * stands alone");
    if (any && settings->cors_credentials)
        problems_add(problems, 0, 0,
                     "gateway.cors.credentials: browsers send no cookies where origins are *; "
                     "name the origins");
}

/* A browser sends its cookies whatever page asks. A gateway that listens to every page would let it
 * in as the person who looks at it; over WebSocket no other rule of browsers is in the way. */
static void check_auth_cookie(const struct gateway_settings *settings, struct problems *problems)
{
    const char *cookie = settings->auth_cookie;
    const struct config_list *origins = &settings->cors_origins;
    check_cookie("gateway.auth.cookie", cookie, problems);
    if (cookie && (origins->count == 0 || strcmp(origins->items[0], "*") == 0))
        problems_add(problems, 0, 0,
                     "gateway.auth.cookie: any page could use it; name those that may connect in "
                     "gateway.cors.origins (that of the gateway's own pages, too)");
    /* Engine.IO's own cookie would overwrite the token. */
    if (cookie && settings->cookie && strcmp(cookie, settings->cookie) == 0)
        problems_add(problems, 0, 0,
                     "gateway.auth.cookie: has the name of gateway.socketio.cookie");
}

/* Networks and not names: whom we believe must not depend on a name server. */
static void check_proxies(const struct gateway_settings *settings, struct problems *problems)
{
    struct peer_network network;
    for (size_t i = 0; i < settings->proxies.count; i++)
        if (!peer_network_parse(settings->proxies.items[i], &network))
            problems_add(problems, 0, 0,
                         "gateway.http.trusted_proxies: %s is no network (10.0.0.0/8)",
                         settings->proxies.items[i]);
}

/* ---- Other gateways, the backend ---- */

static void check_peers(const struct gateway_settings *settings, struct problems *problems)
{
    struct bytes secrets[PEER_SECRETS_LIMIT];
    struct peer_address address;
    struct peer_network network;
    size_t count = gateway_settings_peer_secrets(settings, secrets);
    for (size_t i = 0; i < count; i++)
        if (secrets[i].size < SECRET_MINIMUM)
            problems_add(problems, 0, 0, "gateway.peers.secret: secret %zu has less than %d bytes",
                         i + 1, SECRET_MINIMUM);
    if (settings->peers_address && !peer_address_parse(settings->peers_address, &address))
        problems_add(problems, 0, 0, "gateway.peers.address: %s is no numeric address",
                     settings->peers_address);
    for (size_t i = 0; i < settings->peers_networks.count; i++)
        if (!peer_network_parse(settings->peers_networks.items[i], &network))
            problems_add(problems, 0, 0, "gateway.peers.network: %s is no network (10.0.0.0/8)",
                         settings->peers_networks.items[i]);
    /* Each worker listens for peers on a port of its own, counted up from this one
     * (worker_settings.c). */
    if (count > 0 && settings->peers_port + settings->workers - 1 > UINT16_MAX)
        problems_add(problems, 0, 0, "gateway.peers.port: there is no port for each worker");
    /* A poll that is passed on has to fail here before the client's patience ends, or its session
     * dies of our waiting. */
    if (count > 0 && settings->peers_timeout_ms >= settings->ping_timeout_ms)
        problems_add(problems, 0, 0,
                     "gateway.peers.timeout: must be below gateway.socketio.ping_timeout");
}

static void check_gateway_topics(const struct gateway_settings *settings,
                                 const struct layout *layout, struct problems *problems)
{
    const struct topic_use uses[] = {
        {"gateway.client_events.topic", settings->events_topic},
        {"gateway.client_events.review_log", settings->review_log},
        {"gateway.control.topic", settings->control_topic},
        {"gateway.presence.topic",
         settings->presence_rooms.count > 0 ? settings->presence_topic : NULL},
    };
    topic_uses_check(uses, sizeof(uses) / sizeof(uses[0]), layout, problems);
}

/* A kind that the layout does not have has no rooms. */
static void check_presence(const struct gateway_settings *settings,
                           const struct shared_config *shared, struct problems *problems)
{
    const struct layout *layout = shared->layout;
    /* Without Kafka's settings there are problems already: nothing is added to them. */
    int64_t record_bytes = shared->kafka ? kafka_settings_message_bytes(shared->kafka) : INT64_MAX;
    for (size_t i = 0; i < settings->presence_rooms.count; i++)
        if (layout && !layout_has_kind(layout, bytes_of_string(settings->presence_rooms.items[i])))
            problems_add(problems, 0, 0, "gateway.presence.rooms: %s: there are no such rooms",
                         settings->presence_rooms.items[i]);
    if (settings->presence_rooms.count > 0 &&
        (!settings->presence_topic || !settings->presence_topic[0]))
        problems_add(problems, 0, 0, "gateway.presence.topic: is needed for presence.rooms");
    /* Else it would be refused for ever, and all that is written with it be written again. */
    if (settings->presence_rooms.count > 0 && record_bytes < PRESENCE_RECORD_BYTES)
        problems_add(problems, 0, 0,
                     "gateway.presence.rooms: a record of presence may have %d bytes: above "
                     "kafka.producer.message.max.bytes (%lld), which has to be raised",
                     PRESENCE_RECORD_BYTES, (long long)record_bytes);
}

/* An empty text is how a variable switches it off. */
static void settle_control(struct gateway_settings *settings)
{
    if (settings->control_topic && settings->control_topic[0] == '\0')
        settings->control_topic = NULL;
}

/* An empty text is how a variable switches it off. */
static void settle_review_log(struct gateway_settings *settings)
{
    if (settings->review_log && settings->review_log[0] == '\0')
        settings->review_log = NULL;
}

/* Such an event could never be sent, and would be refused as if the broker were slow. */
static void check_events(const struct gateway_settings *settings, struct problems *problems)
{
    if (settings->events_buffered_bytes < settings->event_bytes + EVENT_HEADERS_BYTES)
        problems_add(problems, 0, 0,
                     "gateway.client_events.buffered_bytes: holds not even one event of "
                     "gateway.client_events.max_size and its headers (%d bytes)",
                     EVENT_HEADERS_BYTES);
}

/* What the policy needs of others. */
static void check_policy(const struct gateway_settings *settings,
                         const struct shared_config *shared, struct problems *problems)
{
    /* Without Kafka's settings there are problems already: nothing is added to them. */
    int64_t record_bytes = shared->kafka ? kafka_settings_message_bytes(shared->kafka) : INT64_MAX;
    size_t given = policy_connect_count(settings->policy);
    if ((uint64_t)settings->rooms_per_session < given)
        problems_add(problems, 0, 0,
                     "gateway.limits.rooms_per_session: %lld, and gateway.access.connect gives %zu "
                     "rooms to each session",
                     (long long)settings->rooms_per_session, given);
    if (policy_has_events(settings->policy) && settings->event_bytes >= record_bytes)
        problems_add(problems, 0, 0,
                     "gateway.client_events.max_size: a record of that size is above "
                     "kafka.producer.message.max.bytes (%lld), which has to be raised, as "
                     "max.message.bytes of gateway.client_events.topic",
                     (long long)record_bytes);
}

/* ---- All ---- */

/* Where there is one tenant alone it does no harm. */
static void warn_of_share(int64_t share, int64_t whole, const char *setting, const char *of,
                          struct problems *warnings)
{
    if (share >= whole)
        problems_add(warnings, 0, 0,
                     "%s: is not below %s: one tenant may leave nothing for the others", setting,
                     of);
}

/* What is allowed, and wise only for a while. */
static void find_warnings(const struct gateway_settings *settings, struct problems *warnings)
{
    struct token_source_config configs[TOKEN_SOURCES_LIMIT];
    size_t sources = gateway_settings_token_sources(settings, configs);
    for (size_t i = 0; i < sources; i++) {
        const char *url = configs[i].token.jwks_url;
        if (url && strncasecmp(url, "http://", 7) == 0)
            problems_add(warnings, 0, 0,
                         "gateway.token%s.jwks_url: over http:// anybody on the way can give other "
                         "keys, and with them be any user; use https://",
                         settings->token_sources_node ? ".sources" : "");
    }
    warn_of_share(settings->history_tenant_buffered, settings->history_buffered,
                  "gateway.history.tenant_buffered", "gateway.history.buffered", warnings);
    if (settings->presence_rooms.count > 0)
        warn_of_share(settings->presence_tenant_entries, settings->presence_entries,
                      "gateway.presence.tenant_entries", "gateway.presence.entries", warnings);
    /* An address is always there by now: development mode has put in the loopback one. */
    if (settings->auth_mode == GATEWAY_AUTH_DEVELOPMENT &&
        strncmp(settings->address, "127.", 4) != 0 && strcmp(settings->address, "::1") != 0 &&
        strcmp(settings->address, "localhost") != 0)
        problems_add(
            warnings, 0, 0,
            "gateway.auth.mode: in development mode every client that reaches %s is believed",
            settings->address);
}

void gateway_settings_finish(struct gateway_settings *settings, const struct shared_config *shared,
                             struct problems *problems, struct problems *warnings)
{
    /* Trying it out without tokens does not open it to the network. */
    static char loopback[] = "127.0.0.1";
    if (settings->auth_mode == GATEWAY_AUTH_DEVELOPMENT && !settings->address)
        settings->address = loopback;
    check_tokens(settings, problems);
    check_file("gateway.tls.certificate_file", settings->certificate_file, problems);
    check_file("gateway.tls.key_file", settings->certificate_key_file, problems);
    check_file("gateway.http.static_directory", settings->static_directory, problems);
    find_warnings(settings, warnings);
    check_paths(settings, problems);
    check_ports(settings, problems);
    check_origins(settings, problems);
    check_cookie("gateway.socketio.cookie", settings->cookie, problems);
    check_auth_cookie(settings, problems);
    check_cookie("gateway.sse.cookie", settings->sse_cookie, problems);
    check_keys(settings, problems);
    check_proxies(settings, problems);
    check_gateway_topics(settings, shared->layout, problems);
    check_presence(settings, shared, problems);
    check_peers(settings, problems);
    check_events(settings, problems);
    /* Problems do not end this: one run tells all of them, and the policy may have some of its
     * own. */
    settle_control(settings);
    settle_review_log(settings);
    if (policy_new(settings->access_node, shared->layout, &settings->policy, problems) != STATUS_OK)
        settings->policy = NULL;
    else
        check_policy(settings, shared, problems);
    if (conflation_new(settings->conflate.items, settings->conflate.count, &settings->conflation,
                       problems) != STATUS_OK)
        settings->conflation = NULL;
}
