/* Implements identity.h: by tokens, or, in development, by believing what a client says of
 * itself. */
#ifndef GATEWAY_AUTH_IDENTITIES_H
#define GATEWAY_AUTH_IDENTITIES_H

#include "identity.h"
#include "policy.h"
#include "token_sources.h"

struct identities;

struct identities_config {
    /* NULL: development. Then the claims are CONNECT's auth object, in which `user` and `tenant`
     * may stand for the claims that the policy calls otherwise. */
    struct token_sources *sources;
    const struct policy *policy;
    int64_t (*wall_ms)(void);
};

/* All that the configuration points to is borrowed. The pointer is the identifier of
 * identity_ops. */
struct identities *identities_new(const struct identities_config *config);
/* Nobody may wait any more. Before the sources. NULL is fine. */
void identities_free(struct identities *identities);
extern const struct identity_ops identities_ops;

#endif
