/* The `kafka` section: librdkafka's own properties, passed through. Not a client: it makes
 * configurations for clients.
 *
 *     kafka:
 *       bootstrap.servers: localhost:9092
 *       security.protocol: SASL_SSL
 *       consumer: {fetch.wait.max.ms: 100}   # over the above, for consumers
 *       producer: {linger.ms: 1}             # for producers of both kinds
 *
 * SMARTSTACK_KAFKA_BOOTSTRAP_SERVERS sets bootstrap.servers, and so on (_ for .);
 * SMARTSTACK_KAFKA_CONSUMER_... and _PRODUCER_... the overrides. Order of precedence: what a client
 * of ours must have (its caller sets it on the result), variable, override, section, our defaults
 * per role, librdkafka's defaults. */
#ifndef COMMON_EDGE_KAFKA_SETTINGS_H
#define COMMON_EDGE_KAFKA_SETTINGS_H

#include <librdkafka/rdkafka.h>

#include "document.h"
#include "problems.h"

/* All: reconnect.backoff.max.ms 1 s, socket.connection.setup.timeout.ms 10 s. */
enum kafka_role {
    KAFKA_ROLE_CONSUMER, /* auto.offset.reset=error, no auto commit, read_committed, partition EOF
                            events, socket.timeout.ms 10 s, fetch.error.backoff.ms 50 */
    KAFKA_ROLE_PRODUCER, /* idempotent, acks=all */
    KAFKA_ROLE_TRANSACTIONAL_PRODUCER, /* + transaction.timeout.ms 10 s, retry.backoff.ms 1; the
                                          caller sets transactional.id and the delivery callback */
    KAFKA_ROLE_ADMIN,                  /* metadata, watermarks, topics; socket.timeout.ms 10 s */
};

struct kafka_settings;

/* `node` (may be NULL) is the section. Every unknown property or bad value is a problem with its
 * place; then STATUS_INVALID. Secrets are not shown in problems. The caller frees. */
enum status kafka_settings_new(const struct document_node *node, char **environment,
                               struct kafka_settings **settings,
                               struct problems *problems) MUST_CHECK;
void kafka_settings_free(struct kafka_settings *settings);

/* Whether this librdkafka has fetch.queue.backoff.ms (2.2 and later). Without it, it looks again at
 * a queue that was full once in a second. */
bool kafka_has_queue_backoff(void);

/* A configuration for one client, owned by the caller until rd_kafka_new() takes it: defaults of
 * the role, then the settings. client.id is `client_id` unless configured. librdkafka's log lines
 * go to log.h from its threads. */
rd_kafka_conf_t *kafka_settings_conf(const struct kafka_settings *settings, enum kafka_role role,
                                     const char *client_id);

/* Sets one property on a configuration; asserts that librdkafka takes it: for properties and values
 * that the program itself chooses. */
void kafka_conf_set(rd_kafka_conf_t *conf, const char *property, const char *value);

/* What is configured for a role, or NULL; borrowed. */
const char *kafka_settings_get(const struct kafka_settings *settings, enum kafka_role role,
                               const char *property);

/* The largest record that a producer sends: message.max.bytes. */
int64_t kafka_settings_message_bytes(const struct kafka_settings *settings);

/* After rd_kafka_new() has failed: STATUS_FATAL if it is the configuration, which will not become
 * better; STATUS_UNAVAILABLE: a thread or memory that was not to be had now. */
enum status kafka_new_status(void);

/* Whether the broker is librdkafka's mock cluster, which has no transactions, no topic creation and
 * no time look-up. Waits up to timeout_ms for the cluster's answer: worker threads and start-up
 * only. STATUS_UNAVAILABLE: no answer. */
enum status kafka_is_mock(rd_kafka_t *client, int timeout_ms, bool *mock) MUST_CHECK;

#endif
