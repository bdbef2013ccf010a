/* OAUTHBEARER with tokens of an OpenID Connect provider, for a librdkafka that has no
 * `sasl.oauthbearer.method=oidc` of its own (Debian 12's is built without curl): the same properties,
 * the grant of client credentials (RFC 6749, section 4.4). Where librdkafka has it, nothing here is
 * used. Not for clients of the gateway: their tokens are another matter.
 *
 * A token is fetched when a client is made and, as librdkafka asks for it, when four fifths of its
 * life are over; in librdkafka's own background thread, so nobody else waits. If it cannot be had,
 * librdkafka asks again after ten seconds. */
#ifndef COMMON_EDGE_KAFKA_OIDC_H
#define COMMON_EDGE_KAFKA_OIDC_H

#include <librdkafka/rdkafka.h>

#include "bytes.h"
#include "status.h"

enum { KAFKA_OIDC_TIMEOUT_MS = 10000, KAFKA_OIDC_ANSWER_LIMIT = 64 * 1024 };

/* Whether librdkafka does it. Then its properties are passed through as all others. */
bool kafka_oidc_is_builtin(void);
/* Whether it is one of the properties that librdkafka would have to know for it: the method, and what
 * stands in struct kafka_oidc. */
bool kafka_oidc_is_property(const char *name);

struct kafka_oidc {
    const char *client_id;     /* sasl.oauthbearer.client.id */
    const char *client_secret; /* sasl.oauthbearer.client.secret */
    const char *endpoint;      /* sasl.oauthbearer.token.endpoint.url */
    const char *scope;         /* sasl.oauthbearer.scope; NULL: none is asked for */
};

/* STATUS_INVALID with the reason: something is missing, or no URL. Before threads start. */
enum status kafka_oidc_check(const struct kafka_oidc *oidc, struct error *error) MUST_CHECK;
/* Copies all into the configuration. */
void kafka_oidc_configure(rd_kafka_conf_t *conf, const struct kafka_oidc *oidc);
/* Every client of ours is made by this, which is rd_kafka_new(), so that its tokens are fetched. */
rd_kafka_t *kafka_oidc_new_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text,
                                  size_t size);

/* What a provider has answered: the token, and for how long it lasts from now; in seconds. False: it
 * is none. The caller frees the token. */
bool kafka_oidc_read_answer(struct bytes json, char **token, int64_t *lasts_s) MUST_CHECK;

#endif
