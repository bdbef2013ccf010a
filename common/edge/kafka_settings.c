/* librdkafka's configurations, layer over layer: our defaults, the section `kafka`, what it says
 * for consumers or producers, the variables. Each client is then made from a configuration of its
 * own, since rd_kafka_new() takes it over.
 *
 * The invariant: once kafka_settings_new() has returned, librdkafka has taken every property once.
 * From then on a refusal is a fault of ours, hence the assert in kafka_conf_set(). */
#include "kafka_settings.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "kafka_oidc.h"
#include "log.h"
#include "mem.h"

/* Which clients a property is for. */
enum scope { SCOPE_ALL, SCOPE_CONSUMER, SCOPE_PRODUCER, SCOPE_COUNT };

/* By name, so that a later word about it replaces an earlier one; with its place, for problems. */
struct property {
    char *name;
    char *value;
    const char *source; /* "kafka", or the variable's name for problems */
    unsigned line;
    unsigned column;
    UT_hash_handle hh;
};

struct kafka_settings {
    struct property *properties[SCOPE_COUNT];
};

struct fixed {
    const char *name;
    const char *value;
};

/* A broker that comes back is found within a second or so; a request that nobody answers is given
 * up after ten, and so is a connection on which nobody speaks. */
static const struct fixed common_defaults[] = {{"socket.keepalive.enable", "true"},
                                               {"log.connection.close", "false"},
                                               {"reconnect.backoff.max.ms", "1000"},
                                               {"socket.connection.setup.timeout.ms", "10000"},
                                               {NULL, NULL}};

/* Not for producers: of a transactional one, librdkafka derives it from the transaction's. */
static const struct fixed asking_defaults[] = {{"socket.timeout.ms", "10000"}, {NULL, NULL}};

/* A reset is a declared gap, never a silent one; offsets are committed by whoever handled the
 * record; nothing of an open or aborted transaction is seen. */
static const struct fixed consumer_defaults[] = {{"auto.offset.reset", "error"},
                                                 {"enable.auto.commit", "false"},
                                                 {"enable.auto.offset.store", "false"},
                                                 {"enable.partition.eof", "true"},
                                                 {"isolation.level", "read_committed"},
                                                 {"fetch.error.backoff.ms", "50"},
                                                 {NULL, NULL}};

static const struct fixed producer_defaults[] = {
    {"enable.idempotence", "true"}, {"acks", "all"}, {"linger.ms", "0"}, {NULL, NULL}};

/* A dispatcher that dies inside of a transaction stalls its lanes for no longer than this; begins
 * that follow a commit closely are retried at once. */
static const struct fixed transactional_defaults[] = {
    {"transaction.timeout.ms", "10000"}, {"retry.backoff.ms", "1"}, {NULL, NULL}};

static void properties_free(struct property **properties)
{
    struct property *property = *properties, *next;
    HASH_CLEAR(hh, *properties);
    for (; property; property = next) {
        next = property->hh.next;
        /* Any value: which of them are secrets is librdkafka's knowledge. */
        explicit_bzero(property->value, strlen(property->value));
        free(property->value);
        free(property->name);
        free(property);
    }
}

bool kafka_has_queue_backoff(void)
{
    return rd_kafka_version() >= 0x02020000;
}

void kafka_settings_free(struct kafka_settings *settings)
{
    if (!settings)
        return;
    for (int scope = 0; scope < SCOPE_COUNT; scope++)
        properties_free(&settings->properties[scope]);
    free(settings);
}

/* Sets or replaces; takes `property`. */
static void put_property(struct kafka_settings *settings, enum scope scope,
                         struct property *property)
{
    struct property *old = NULL;
    HASH_FIND_STR(settings->properties[scope], property->name, old);
    if (old) {
        HASH_DEL(settings->properties[scope], old);
        free(old->name);
        free(old->value);
        free(old);
    }
    HASH_ADD_KEYPTR(hh, settings->properties[scope], property->name, strlen(property->name),
                    property);
}

static struct property *make_property(struct bytes name, struct bytes value)
{
    struct property *property = mem_new(struct property);
    property->name = mem_string(name);
    property->value = mem_string(value);
    return property;
}

static const char *const scope_names[SCOPE_COUNT] = {"kafka", "kafka.consumer", "kafka.producer"};

static void read_kafka_entry(struct kafka_settings *settings, enum scope scope,
                             const struct document_entry *entry, struct problems *problems)
{
    const struct document_node *value = entry->value;
    if (value->kind == DOCUMENT_NULL)
        return;
    if (value->kind == DOCUMENT_MAPPING || value->kind == DOCUMENT_SEQUENCE) {
        problems_add(problems, value->line, value->column, "%s.%.*s: expected a value, not %s",
                     scope_names[scope], BYTES_PRINT(entry->key->text),
                     document_kind_text(value->kind));
        return;
    }
    /* One spelling for librdkafka, whichever of YAML's it was. */
    struct bytes text = value->text;
    if (value->kind == DOCUMENT_BOOLEAN)
        text = value->boolean ? BYTES_LITERAL("true") : BYTES_LITERAL("false");
    struct property *property = make_property(entry->key->text, text);
    property->line = entry->key->line;
    property->column = entry->key->column;
    property->source = scope_names[scope];
    put_property(settings, scope, property);
}

static void read_kafka_section(struct kafka_settings *settings, enum scope scope,
                               const struct document_node *mapping, struct problems *problems)
{
    if (mapping->kind == DOCUMENT_NULL)
        return;
    (void)document_check_keys(mapping, NULL, scope_names[scope], problems);
    for (size_t i = 0; mapping->kind == DOCUMENT_MAPPING && i < mapping->count; i++) {
        const struct document_entry *entry = &mapping->entries[i];
        if (scope == SCOPE_ALL && bytes_equal_string(entry->key->text, "consumer"))
            read_kafka_section(settings, SCOPE_CONSUMER, entry->value, problems);
        else if (scope == SCOPE_ALL && bytes_equal_string(entry->key->text, "producer"))
            read_kafka_section(settings, SCOPE_PRODUCER, entry->value, problems);
        else
            read_kafka_entry(settings, scope, entry, problems);
    }
}

/* SMARTSTACK_KAFKA_CONSUMER_FETCH_WAIT_MAX_MS -> consumer, fetch.wait.max.ms */
static void read_kafka_variable(struct kafka_settings *settings, const char *entry)
{
    static const struct {
        const char *prefix;
        enum scope scope;
    } kinds[] = {{"SMARTSTACK_KAFKA_CONSUMER_", SCOPE_CONSUMER},
                 {"SMARTSTACK_KAFKA_PRODUCER_", SCOPE_PRODUCER},
                 {"SMARTSTACK_KAFKA_", SCOPE_ALL}};
    const char *equals = strchr(entry, '=');
    for (int i = 0; equals && i < 3; i++) {
        /* The longest prefix first, in the table: CONSUMER_ would else be the beginning of a
         * name. */
        size_t size = strlen(kinds[i].prefix);
        if (strncmp(entry, kinds[i].prefix, size) != 0 || entry + size >= equals)
            continue;
        struct property *property = make_property(
            bytes_of(entry + size, (size_t)(equals - entry) - size), bytes_of_string(equals + 1));
        for (char *at = property->name; *at; at++)
            *at = (char)(*at == '_' ? '.' : *at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
        property->source = "SMARTSTACK_KAFKA_ variables";
        put_property(settings, kinds[i].scope, property);
        return;
    }
}

/* librdkafka's text names the value of some properties: not to be repeated for secrets. */
static bool is_secret(const char *name)
{
    return strstr(name, "password") || strstr(name, "secret") || strstr(name, "pem") ||
           strstr(name, "jaas") || strstr(name, "oauthbearer.config");
}

/* What stands for all clients; NULL: nothing does. */
static const char *value_for_all(const struct kafka_settings *settings, const char *name)
{
    const struct property *found = NULL;
    HASH_FIND_STR(settings->properties[SCOPE_ALL], name, found);
    return found ? found->value : NULL;
}

/* Whether it is done here, since librdkafka cannot: then its properties are not librdkafka's. */
static bool fetches_tokens(const struct kafka_settings *settings)
{
    const char *method = value_for_all(settings, "sasl.oauthbearer.method");
    return method && strcmp(method, "oidc") == 0 && !kafka_oidc_is_builtin();
}

/* From what stands for all clients: one principal for consumers and producers. */
static struct kafka_oidc oidc_of(const struct kafka_settings *settings)
{
    return (struct kafka_oidc){
        .client_id = value_for_all(settings, "sasl.oauthbearer.client.id"),
        .client_secret = value_for_all(settings, "sasl.oauthbearer.client.secret"),
        .endpoint = value_for_all(settings, "sasl.oauthbearer.token.endpoint.url"),
        .scope = value_for_all(settings, "sasl.oauthbearer.scope")};
}

static void check_oidc(const struct kafka_settings *settings, struct problems *problems)
{
    struct error error;
    struct kafka_oidc oidc = oidc_of(settings);
    if (value_for_all(settings, "sasl.oauthbearer.config"))
        problems_add(problems, 0, 0, "kafka: sasl.oauthbearer.config has no meaning with oidc");
    if (kafka_oidc_check(&oidc, &error) != STATUS_OK)
        problems_add(problems, 0, 0, "kafka: %s", error.text);
}

/* librdkafka checks each property by itself; what does not go together (a mechanism without its
 * user) it tells when a client is made. */
static void check_properties(const struct kafka_settings *settings, struct problems *problems)
{
    bool fetches = fetches_tokens(settings);
    if (fetches)
        check_oidc(settings, problems);
    for (int scope = 0; scope < SCOPE_COUNT; scope++) {
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        const struct property *property;
        for (property = settings->properties[scope]; property; property = property->hh.next) {
            char text[256] = "";
            if (fetches && scope == SCOPE_ALL && kafka_oidc_is_property(property->name))
                continue;
            rd_kafka_conf_res_t result =
                rd_kafka_conf_set(conf, property->name, property->value, text, sizeof(text));
            if (result == RD_KAFKA_CONF_OK)
                continue;
            if (result == RD_KAFKA_CONF_UNKNOWN || is_secret(property->name))
                snprintf(text, sizeof(text), "%s",
                         result == RD_KAFKA_CONF_UNKNOWN ? "librdkafka has no such property"
                                                         : "librdkafka does not take this value");
            problems_add(problems, property->line, property->column, "%s: %s: %s", property->source,
                         property->name, text);
        }
        rd_kafka_conf_destroy(conf);
    }
}

enum status kafka_settings_new(const struct document_node *node, char **environment,
                               struct kafka_settings **settings, struct problems *problems)
{
    size_t before = problems->count + problems->omitted;
    struct kafka_settings *made = mem_new(struct kafka_settings);
    if (node)
        read_kafka_section(made, SCOPE_ALL, node, problems);
    for (char **entry = environment; entry && *entry; entry++)
        read_kafka_variable(made, *entry);
    check_properties(made, problems);
    if (problems->count + problems->omitted != before) {
        kafka_settings_free(made);
        return STATUS_INVALID;
    }
    *settings = made;
    return STATUS_OK;
}

void kafka_conf_set(rd_kafka_conf_t *conf, const char *property, const char *value)
{
    char text[256];
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, property, value, text, sizeof(text));
    assert(result == RD_KAFKA_CONF_OK);
}

static void set_all(rd_kafka_conf_t *conf, const struct fixed *defaults)
{
    for (; defaults->name; defaults++)
        kafka_conf_set(conf, defaults->name, defaults->value);
}

/* A client that administers has no section of its own: what stands for all clients is for it. */
static enum scope scope_of_property(enum kafka_role role)
{
    switch (role) {
    case KAFKA_ROLE_CONSUMER:
        return SCOPE_CONSUMER;
    case KAFKA_ROLE_PRODUCER:
    case KAFKA_ROLE_TRANSACTIONAL_PRODUCER:
        return SCOPE_PRODUCER;
    case KAFKA_ROLE_ADMIN:
        break;
    }
    return SCOPE_ALL;
}

/* On any of librdkafka's threads: our log is made for it. `client` is NULL while the client is
 * being made. */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    enum { SYSLOG_ERROR = 3, SYSLOG_WARNING = 4, SYSLOG_INFO = 6 };
    const char *name = client ? rd_kafka_name(client) : "";
    if (level <= SYSLOG_ERROR)
        log_error("librdkafka", LOG_STRING("client", name), LOG_STRING("facility", facility),
                  LOG_STRING("text", text));
    else if (level <= SYSLOG_WARNING)
        log_warning("librdkafka", LOG_STRING("client", name), LOG_STRING("facility", facility),
                    LOG_STRING("text", text));
    else if (level <= SYSLOG_INFO)
        log_info("librdkafka", LOG_STRING("client", name), LOG_STRING("facility", facility),
                 LOG_STRING("text", text));
    else
        log_debug("librdkafka", LOG_STRING("client", name), LOG_STRING("facility", facility),
                  LOG_STRING("text", text));
}

static void set_kafka_properties(rd_kafka_conf_t *conf, const struct property *property,
                                 bool fetches)
{
    for (; property; property = property->hh.next)
        if (!fetches || !kafka_oidc_is_property(property->name))
            kafka_conf_set(conf, property->name, property->value);
}

rd_kafka_conf_t *kafka_settings_conf(const struct kafka_settings *settings, enum kafka_role role,
                                     const char *client_id)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum scope scope = scope_of_property(role);
    /* First, so that a configured one wins. */
    kafka_conf_set(conf, "client.id", client_id);
    set_all(conf, common_defaults);
    if (scope != SCOPE_PRODUCER)
        set_all(conf, asking_defaults);
    if (role == KAFKA_ROLE_CONSUMER)
        set_all(conf, consumer_defaults);
    if (scope == SCOPE_PRODUCER)
        set_all(conf, producer_defaults);
    if (role == KAFKA_ROLE_TRANSACTIONAL_PRODUCER)
        set_all(conf, transactional_defaults);
    bool fetches = fetches_tokens(settings);
    /* Later ones win: the order of these calls is the order of precedence. */
    set_kafka_properties(conf, settings->properties[SCOPE_ALL], fetches);
    if (scope != SCOPE_ALL)
        set_kafka_properties(conf, settings->properties[scope], fetches);
    struct kafka_oidc oidc = oidc_of(settings);
    if (fetches)
        kafka_oidc_configure(conf, &oidc);
    rd_kafka_conf_set_log_cb(conf, on_log);
    return conf;
}

const char *kafka_settings_get(const struct kafka_settings *settings, enum kafka_role role,
                               const char *property)
{
    const struct property *found = NULL;
    enum scope scope = scope_of_property(role);
    HASH_FIND_STR(settings->properties[scope], property, found);
    if (!found)
        HASH_FIND_STR(settings->properties[SCOPE_ALL], property, found);
    return found ? found->value : NULL;
}

/* librdkafka's own default, which it does not tell before a client is made. */
int64_t kafka_settings_message_bytes(const struct kafka_settings *settings)
{
    enum { MESSAGE_BYTES_DEFAULT = 1000000 };
    const char *text = kafka_settings_get(settings, KAFKA_ROLE_PRODUCER, "message.max.bytes");
    return text ? strtoll(text, NULL, 10) : MESSAGE_BYTES_DEFAULT; /* librdkafka has taken it */
}

/* Right after rd_kafka_new(): the error is the thread's last one. */
enum status kafka_new_status(void)
{
    return rd_kafka_last_error() == RD_KAFKA_RESP_ERR__INVALID_ARG ? STATUS_FATAL
                                                                   : STATUS_UNAVAILABLE;
}

/* librdkafka's mock cluster names itself like this; there is no other sign of it. */
enum status kafka_is_mock(rd_kafka_t *client, int timeout_ms, bool *mock)
{
    char *cluster = rd_kafka_clusterid(client, timeout_ms);
    if (!cluster)
        return STATUS_UNAVAILABLE;
    *mock = strncmp(cluster, "mockCluster", strlen("mockCluster")) == 0;
    rd_kafka_mem_free(client, cluster);
    return STATUS_OK;
}
