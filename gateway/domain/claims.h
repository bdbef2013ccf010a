/* What a session keeps of its token: the values of the claims that the policy names, packed into
 * one small allocation. Not a token, and no judgement: policy.h decides what the values allow.
 *
 * A claim is found by its exact name, else as a path (`realm_access.roles`: one key per part).
 * Strings are taken as they are, whole numbers and booleans as text; an array gives each of its
 * values once; of `iat`, a NumericDate (RFC 7519, section 2), a fraction is cut off. Anything
 * else, an empty text and one beyond CLAIMS_VALUE_LIMIT count as absent. */
#ifndef GATEWAY_DOMAIN_CLAIMS_H
#define GATEWAY_DOMAIN_CLAIMS_H

#include "bytes.h"
#include "status.h"

enum {
    CLAIMS_NAMES_LIMIT = 18,   /* different claims, and of them */
    CLAIMS_NAMES_RESERVED = 2, /* whatever the policy names: `jti` and `iat` */
    CLAIMS_VALUE_LIMIT = 200,  /* bytes */
    CLAIMS_VALUES_LIMIT = 64,  /* per claim */
    CLAIMS_BYTES_LIMIT = 4096, /* packed */
};

/* The first two names are the tenant's and the user's: they must have exactly one value, an array
 * of several counts as absent. */
enum { CLAIMS_FIELD_TENANT = 0, CLAIMS_FIELD_USER = 1 };

struct claims;

/* Claims as they come, a JSON object; borrowed. Who has parsed it, to judge a token, passes that on:
 * it is done once for a connect. */
struct json_t;
struct claims_json {
    const struct json_t *parsed; /* Jansson's, in which no name was twice; NULL: there is `text` */
    struct bytes text;
};

static inline struct claims_json claims_of_text(struct bytes text)
{
    return (struct claims_json){.text = text};
}

/* Packs the claims called names[0..count) of `json`. STATUS_MALFORMED: it is no object (or has a
 * name twice, RFC 7519 section 4); STATUS_TOO_LARGE: a limit above on values or bytes is passed.
 * Freed with claims_free(). */
enum status claims_pack(const char *const *names, size_t count, struct claims_json json,
                        struct claims **claims) MUST_CHECK;
void claims_free(struct claims *claims);

/* The next value of names[field], borrowed; false: no more. `*position` starts at 0. */
bool claims_next(const struct claims *claims, unsigned field, size_t *position,
                 struct bytes *value);

/* Empty if the token does not say. Borrowed. */
struct bytes claims_tenant(const struct claims *claims);
struct bytes claims_user(const struct claims *claims);

/* Bytes of memory, for accounting. */
size_t claims_size(const struct claims *claims);

#endif
