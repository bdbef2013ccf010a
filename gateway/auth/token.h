/* Whether a token is true, and what it claims: signature (token_keys.h), time, issuer and audience
 * (RFC 7519). Not here: what the claims allow (policy.h).
 *
 * The key is one secret, one PEM file, or a JWK set from a file or a URL. A set is read again from
 * time to time, and when a token names a key that it lacks, but then not more often than
 * `refetch_ms`. Reading happens on a worker thread; a token that needs it is undecided until then,
 * and its owner may wait. */
#ifndef GATEWAY_AUTH_TOKEN_H
#define GATEWAY_AUTH_TOKEN_H

#include "bytes.h"
#include "claims.h"
#include "status.h"
#include "token_keys.h"

struct token_verifier;

struct token_config {
    enum token_algorithm algorithm;
    const char *secret;   /* exactly one of these four is set */
    const char *key_file; /* PEM */
    const char *jwks_file;
    const char *jwks_url;     /* https: or http: */
    const char *issuer;       /* NULL: any */
    const char *audience;     /* NULL: any */
    bool allow_endless;       /* tokens without `exp` */
    int64_t leeway_ms;        /* by which clocks may differ */
    int64_t refresh_ms;       /* a JWK set is read again after so long */
    int64_t refetch_ms;       /* and for an unknown key not sooner than this after the last time */
    unsigned waiting;         /* tokens that may wait for keys at a time */
    unsigned checks_per_turn; /* of those that have waited, by one call; at least 1 */
};

/* What came out, with the word that clients and logs see. Add a row. */
#define TOKEN_VERDICTS(X)                                         \
    X(TOKEN_VALID, "valid")                                       \
    X(TOKEN_MISSING, "token_missing")                             \
    X(TOKEN_MALFORMED, "token_malformed")                         \
    X(TOKEN_ALGORITHM, "token_algorithm_not_allowed")             \
    X(TOKEN_KEY_UNKNOWN, "token_key_unknown")                     \
    X(TOKEN_KEY_UNNAMED, "token_names_no_key")                    \
    X(TOKEN_SIGNATURE, "token_signature_wrong")                   \
    X(TOKEN_EXPIRED, "token_expired")                             \
    X(TOKEN_ENDLESS, "token_never_expires")                       \
    X(TOKEN_NOT_YET, "token_not_yet_valid")                       \
    X(TOKEN_ISSUER, "token_issuer_wrong")                         \
    X(TOKEN_AUDIENCE, "token_audience_wrong")                     \
    X(TOKEN_TENANT, "token_tenant_not_of_issuer")                 \
    X(TOKEN_UNDECIDED, "token_keys_awaited")   /* token_wait() */ \
    X(TOKEN_NO_KEYS, "token_keys_unavailable") /* trouble of ours: transient */

enum token_verdict {
#define X(name, text) name,
    TOKEN_VERDICTS(X)
#undef X
};

const char *token_verdict_text(enum token_verdict verdict);

struct json_t;
/* Whether `audience`, the value of `aud` (NULL: none), is or has this one. */
bool token_names_audience(const struct json_t *audience, const char *wanted);

struct token_content {
    struct claims_json claims; /* borrowed until the next call to the verifier */
    int64_t expires_ms;        /* wall-clock; INT64_MAX: never. Without leeway */
};

/* Whether the keys are there and fit, as far as no other machine has to be asked: STATUS_OK, or as
 * token_verifier_open(). */
enum status token_keys_try(const struct token_config *config, struct error *error) MUST_CHECK;

/* Reads keys from files; those of a URL come later. STATUS_INVALID with the reason; STATUS_IO: a
 * file cannot be read. */
enum status token_verifier_open(const struct token_config *config, struct token_verifier **verifier,
                                struct error *error) MUST_CHECK;
/* Nobody may wait any more. Waits for the worker, some seconds at most. NULL is fine. */
void token_verifier_close(struct token_verifier *verifier);

/* `content` is filled if TOKEN_VALID. */
enum token_verdict token_verify(struct token_verifier *verifier, struct bytes token,
                                int64_t wall_ms, struct token_content *content) MUST_CHECK;

/* Waits for keys after TOKEN_UNDECIDED. decided() is called once, from token_verifier_service(),
 * with any verdict but TOKEN_UNDECIDED; `content` is NULL unless TOKEN_VALID. */
struct token_waiter {
    void (*decided)(struct token_waiter *waiter, enum token_verdict verdict,
                    const struct token_content *content);
    char *token; /* the verifier's, as what follows */
    bool due;    /* keys have been read since it came */
    struct token_waiter *prev, *next;
};
/* False: too many wait already; treat it as TOKEN_NO_KEYS. The token is copied. */
bool token_wait(struct token_verifier *verifier, struct token_waiter *waiter,
                struct bytes token) MUST_CHECK;
void token_wait_cancel(struct token_verifier *verifier, struct token_waiter *waiter);

/* For the loop: service when the descriptor is readable or the deadline has passed. */
int token_verifier_descriptor(const struct token_verifier *verifier);
void token_verifier_service(struct token_verifier *verifier, int64_t now_ms, int64_t wall_ms);
int64_t token_verifier_deadline_ms(const struct token_verifier *verifier);

/* Whether there are keys; `detail` is static text for a person. */
/* The JWK set is read again now, if there is one; the keys stay in force until then. */
void token_verifier_reread(struct token_verifier *verifier);

bool token_verifier_ready(const struct token_verifier *verifier, const char **detail);

struct token_stats {
    uint64_t valid, refused, reads, read_failures;
    uint64_t waiting; /* now */
};
const struct token_stats *token_stats(const struct token_verifier *verifier);

#endif
