#include "identities.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "buffer.h"
#include "mem.h"

struct identities {
    struct identities_config config;
    struct buffer claims; /* development: the last answer's */
    unsigned waiting;
};

struct wait {
    struct token_waiter waiter;
    struct identities *identities;
    struct authentication *authentication;
};

static const struct identity no_identity;

static struct identity identity_of(enum token_verdict verdict, const struct token_content *content)
{
    struct identity identity = no_identity;
    if (verdict == TOKEN_VALID) {
        identity.accepted = true;
        identity.claims = content->claims;
        identity.expires_ms = content->expires_ms;
    } else {
        identity.reason = token_verdict_text(verdict);
        identity.transient = verdict == TOKEN_NO_KEYS;
    }
    return identity;
}

/* --- Tokens
 * -----------------------------------------------------------------------------------------------
 */

static struct bytes token_of(const struct credentials *credentials)
{
    static const char scheme[] = "bearer ";
    struct bytes field = credentials->authorization;
    if (credentials->token.size > 0)
        return credentials->token;
    if (field.size < sizeof(scheme) - 1 ||
        strncasecmp((const char *)field.data, scheme, sizeof(scheme) - 1) != 0)
        return (struct bytes){0};
    field = bytes_skip(field, sizeof(scheme) - 1);
    while (field.size > 0 && field.data[0] == ' ')
        field = bytes_skip(field, 1);
    return field;
}

static void decided(struct token_waiter *waiter, enum token_verdict verdict,
                    const struct token_content *content)
{
    struct wait *wait = (struct wait *)waiter;
    struct authentication *authentication = wait->authentication;
    struct identity identity = identity_of(verdict, content);
    authentication->pending = NULL;
    wait->identities->waiting--;
    free(wait);
    authentication->answered(authentication, &identity);
}

static bool begin_with_token(struct identities *identities, const struct credentials *credentials,
                             struct authentication *authentication, struct identity *identity)
{
    struct token_content content = {0};
    struct bytes token = token_of(credentials);
    enum token_verdict verdict =
        token_verify(identities->config.verifier, token, identities->config.wall_ms(), &content);
    if (verdict != TOKEN_UNDECIDED) {
        *identity = identity_of(verdict, &content);
        return true;
    }
    struct wait *wait = mem_new(struct wait);
    wait->waiter.decided = decided;
    wait->identities = identities;
    wait->authentication = authentication;
    if (!token_wait(identities->config.verifier, &wait->waiter, token)) {
        free(wait);
        *identity = identity_of(TOKEN_NO_KEYS, NULL);
        return true;
    }
    authentication->pending = wait;
    identities->waiting++;
    return false;
}

/* --- Development
 * ------------------------------------------------------------------------------------------ */

/* {"user": "u1"} becomes {"user": "u1", "sub": "u1"}. */
static void alias(json_t *claims, const char *said, const char *meant)
{
    json_t *value = json_object_get(claims, said);
    if (value && !json_object_get(claims, meant))
        json_object_set(claims, meant, value);
}

static struct identity believe(struct identities *identities, struct bytes object)
{
    struct identity identity = {.accepted = true, .expires_ms = INT64_MAX};
    if (object.size == 0)
        object = BYTES_LITERAL("{}");
    json_t *claims = json_loadb((const char *)object.data, object.size, 0, NULL);
    if (!json_is_object(claims)) {
        json_decref(claims);
        identity.accepted = false;
        identity.reason = "auth_malformed";
        return identity;
    }
    alias(claims, "user", policy_user_claim(identities->config.policy));
    alias(claims, "tenant", policy_tenant_claim(identities->config.policy));
    size_t size = json_dumpb(claims, NULL, 0, JSON_COMPACT);
    buffer_clear(&identities->claims);
    json_dumpb(claims, (char *)buffer_reserve(&identities->claims, size), size, JSON_COMPACT);
    buffer_commit(&identities->claims, size);
    json_decref(claims);
    identity.claims = buffer_peek(&identities->claims);
    return identity;
}

/* --- The port
 * --------------------------------------------------------------------------------------------- */

static bool begin(void *context, const struct credentials *credentials,
                  struct authentication *authentication, struct identity *identity)
{
    struct identities *identities = context;
    assert(!authentication->pending);
    if (identities->config.verifier)
        return begin_with_token(identities, credentials, authentication, identity);
    *identity = believe(identities, credentials->object);
    return true;
}

static void cancel(void *context, struct authentication *authentication)
{
    struct identities *identities = context;
    struct wait *wait = authentication->pending;
    if (!wait)
        return;
    token_wait_cancel(identities->config.verifier, &wait->waiter);
    authentication->pending = NULL;
    identities->waiting--;
    free(wait);
}

struct identities *identities_new(const struct identities_config *config)
{
    struct identities *identities = mem_new(struct identities);
    identities->config = *config;
    return identities;
}

void identities_free(struct identities *identities)
{
    if (!identities)
        return;
    assert(identities->waiting == 0);
    buffer_deinit(&identities->claims);
    free(identities);
}

struct authenticator identities_authenticator(struct identities *identities)
{
    return (struct authenticator){.begin = begin, .cancel = cancel, .context = identities};
}
