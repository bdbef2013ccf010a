/* Settings that both programs read in the same way, because they have to agree on them: the
 * brokers, and where rooms live. One table, so that they cannot be named differently. */
#include "shared_config.h"

#include <stddef.h>

/* In the order of enum log_level and enum log_format: a choice is its index. */
static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
static const char *const formats[] = {"auto", "json", "text", NULL};
static const char *const presets[] = {"tenant", "user", "none", NULL};

static const struct setting settings[] = {
    {.path = "kafka",
     .type = SETTING_TREE,
     .offset = offsetof(struct shared_config, kafka_node),
     .help =
         "Properties of librdkafka, passed through: `bootstrap.servers: host:9092`. Those under "
         "`consumer` and `producer` are for such clients alone. Each is also a variable: "
         "SMARTSTACK_KAFKA_BOOTSTRAP_SERVERS."},
    {.path = "layout",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct shared_config, layout_preset),
     .default_text = "tenant",
     .choices = presets,
     .help = "Which rooms share a lane, to begin with: those of a tenant, those of a user, or "
             "nothing but what `rooms` says. The same for all programs of an installation."},
    {.path = "rooms",
     .type = SETTING_TREE,
     .offset = offsetof(struct shared_config, rooms_node),
     .help = "Kinds of rooms over those of the layout: `kind: {topic: template, key: template, "
             "partitions: count}`; null removes a kind. A room is its tenant's, unless its kind "
             "is `shared: true`."},
    {.path = "large_tenants",
     .type = SETTING_TREE,
     .offset = offsetof(struct shared_config, large_tenants_node),
     .help = "Tenants with a topic of their own: `tenant: {topic: name, partitions: count, key: "
             "template}`."},
    {.path = "allow",
     .type = SETTING_TREE,
     .offset = offsetof(struct shared_config, allow_node),
     .help = "The values that may enter topic names, by kind of room (or tenant, user): `review: "
             "[legal, fraud]`."},
    {.path = "state.retention",
     .type = SETTING_DURATION,
     .offset = offsetof(struct shared_config, state_retention_ms),
     .default_text = "30d",
     .maximum = INT64_C(3660) * 86400000,
     .help = "How long a room shows an item of which nothing more is told. Items, which rules name "
             "by `state`, are kept for so long in topics of their own, TOPIC.state; 0: there are "
             "none, and a room shows what its lane still holds."},
    {.path = "log.level",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct shared_config, log_level),
     .default_text = "info",
     .choices = levels,
     .help = "The least important lines that are written."},
    {.path = "log.format",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct shared_config, log_format),
     .default_text = "auto",
     .choices = formats,
     .help = "How lines are written to stderr; auto is text on a terminal and JSON elsewhere."},
    {.path = "core_dumps",
     .type = SETTING_BOOLEAN,
     .offset = offsetof(struct shared_config, core_dumps),
     .default_text = "false",
     .help =
         "Let a crash write the memory of the process, keys and tokens in it, to a core dump, and "
         "debuggers of the same user look into it. For finding a fault."},
};

struct config_group shared_config_group(struct shared_config *shared)
{
    return (struct config_group){settings, sizeof(settings) / sizeof(settings[0]), shared};
}

/* librdkafka's two names for the same thing; the second is older, and still in many files. */
static bool has_brokers(const struct kafka_settings *kafka)
{
    return kafka_settings_get(kafka, KAFKA_ROLE_ADMIN, "bootstrap.servers") ||
           kafka_settings_get(kafka, KAFKA_ROLE_ADMIN, "metadata.broker.list");
}

/* After loading: layouts and Kafka's properties are trees, which only their own modules can judge.
 * Their problems go into the same list, and so to the same person. */
void shared_config_finish(struct shared_config *shared, char **environment,
                          struct problems *problems)
{
    struct layout_source source = {.preset = bytes_of_string(presets[shared->layout_preset]),
                                   .rooms = shared->rooms_node,
                                   .large_tenants = shared->large_tenants_node,
                                   .allow = shared->allow_node};
    (void)!layout_new(&source, &shared->layout, problems);
    if (kafka_settings_new(shared->kafka_node, environment, &shared->kafka, problems) ==
            STATUS_OK &&
        !has_brokers(shared->kafka))
        problems_add(
            problems, shared->kafka_node ? shared->kafka_node->line : 0,
            shared->kafka_node ? shared->kafka_node->column : 0,
            "kafka: bootstrap.servers (or SMARTSTACK_KAFKA_BOOTSTRAP_SERVERS) is required: "
            "the brokers to begin with, HOST:PORT,HOST:PORT");
}

void shared_config_deinit(struct shared_config *shared)
{
    layout_free(shared->layout);
    kafka_settings_free(shared->kafka);
    shared->layout = NULL;
    shared->kafka = NULL;
}
