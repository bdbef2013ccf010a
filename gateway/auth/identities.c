/* Who a client is: tokens of the sources that are configured, or, in development mode, the word of
 * the client. The one place in which the two meet; everybody else asks through identity_ops and
 * cannot tell them apart.
 *
 * The invariant: an answer comes once, from ask() or from decided(), or never after cancel().
 * `pending` of the asker is set exactly while this module has something of his in hand.
 *
 * Threads: the loop. What is borrowed in an answer holds until the next question. */
#include "identities.h"

#include <assert.h>
#include <jansson.h>

#include "buffer.h"
#include "claims.h"
#include "mem.h"

struct identities {
    struct identities_config config;
    json_t *claims; /* development: the last answer's */
    unsigned waiting;
};

struct identity_wait {
    struct token_waiter waiter;
    struct token_verifier *verifier;
    struct identities *identities;
    struct identity_waiter *asker;
};

/* Trouble of ours (no keys yet) is told from refusal: the stock client comes back after the first,
 * and gives up after the second. */
static enum identity_verdict translate(enum token_verdict verdict,
                                       const struct token_content *content,
                                       struct identity *identity)
{
    if (verdict == TOKEN_VALID) {
        *identity = (struct identity){.claims = content->claims, .expires_ms = content->expires_ms};
        return IDENTITY_KNOWN;
    }
    *identity = (struct identity){.reason = token_verdict_text(verdict)};
    return verdict == TOKEN_NO_KEYS ? IDENTITY_TROUBLE : IDENTITY_REFUSED;
}

/* --- Tokens ----------------------------------------------------------------------------------- */

/* The tenant is that of the policy, read as the session will read it. */
static enum token_verdict judge_tenant(const struct identities *identities,
                                       const struct token_verifier *verifier,
                                       const struct token_content *content)
{
    struct claims *claims;
    /* Packed once more for this, and so only where somebody has bound tenants. */
    if (!token_sources_are_bound(identities->config.sources))
        return TOKEN_VALID;
    if (policy_claims(identities->config.policy, content->claims, &claims) != STATUS_OK)
        return TOKEN_MALFORMED;
    bool may = token_sources_may_name(identities->config.sources, verifier, claims_tenant(claims));
    claims_free(claims);
    return may ? TOKEN_VALID : TOKEN_TENANT;
}

static void identities_decided(struct token_waiter *waiter, enum token_verdict verdict,
                               const struct token_content *content)
{
    struct identity_wait *wait = (struct identity_wait *)waiter;
    struct identity_waiter *asker = wait->asker;
    struct identity identity;
    if (verdict == TOKEN_VALID)
        verdict = judge_tenant(wait->identities, wait->verifier, content);
    asker->pending = NULL;
    wait->identities->waiting--;
    free(wait);
    /* Last: the asker may be freed in there, or ask again. */
    enum identity_verdict answer = translate(verdict, content, &identity);
    asker->decided(asker, answer, &identity);
}

static enum identity_verdict identities_ask_token(struct identities *identities, struct bytes token,
                                                  struct identity_waiter *asker,
                                                  struct identity *identity)
{
    struct token_content content = {0};
    enum token_verdict verdict;
    struct token_verifier *verifier =
        token_sources_select(identities->config.sources, token, &verdict);
    if (verifier)
        verdict = token_verify(verifier, token, identities->config.wall_ms(), &content);
    if (verdict == TOKEN_VALID)
        verdict = judge_tenant(identities, verifier, &content);
    if (verdict != TOKEN_UNDECIDED)
        return translate(verdict, &content, identity);
    assert(verifier);
    struct identity_wait *wait = mem_new(struct identity_wait);
    wait->waiter.decided = identities_decided;
    wait->verifier = verifier;
    wait->identities = identities;
    wait->asker = asker;
    /* As many wait as may: without keys, that is trouble of ours. */
    if (!token_wait(verifier, &wait->waiter, token)) {
        free(wait);
        return translate(TOKEN_NO_KEYS, NULL, identity);
    }
    asker->pending = wait;
    identities->waiting++;
    return IDENTITY_UNDECIDED;
}

/* --- Development ------------------------------------------------------------------------------ */

/* {"user": "u1"} becomes {"user": "u1", "sub": "u1"}. */
static void alias(json_t *claims, const char *said, const char *meant)
{
    json_t *value = json_object_get(claims, said);
    if (value && !json_object_get(claims, meant))
        json_object_set(claims, meant, value);
}

/* Development alone. The claims have to be what the policy reads: an object, with the claims under
 * the names that are configured. */
static enum identity_verdict believe(struct identities *identities, struct bytes auth,
                                     struct identity *identity)
{
    if (auth.size == 0)
        auth = BYTES_LITERAL("{}");
    json_t *claims = json_loadb((const char *)auth.data, auth.size, 0, NULL);
    if (!json_is_object(claims)) {
        json_decref(claims);
        *identity = (struct identity){.reason = "auth_malformed"};
        return IDENTITY_REFUSED;
    }
    alias(claims, "user", policy_user_claim(identities->config.policy));
    alias(claims, "tenant", policy_tenant_claim(identities->config.policy));
    json_decref(identities->claims);
    identities->claims = claims;
    *identity = (struct identity){.claims = {.parsed = claims}, .expires_ms = INT64_MAX};
    return IDENTITY_KNOWN;
}

/* --- The port --------------------------------------------------------------------------------- */

static enum identity_verdict identities_ask(void *identifier,
                                            const struct identity_question *question,
                                            struct identity_waiter *waiter,
                                            struct identity *identity)
{
    struct identities *identities = identifier;
    return identities->config.sources
               ? identities_ask_token(identities, question->token, waiter, identity)
               : believe(identities, question->auth, identity);
}

static void identities_cancel(void *identifier, struct identity_waiter *waiter)
{
    struct identities *identities = identifier;
    struct identity_wait *wait = waiter->pending;
    assert(wait);
    token_wait_cancel(wait->verifier, &wait->waiter);
    waiter->pending = NULL;
    identities->waiting--;
    free(wait);
}

const struct identity_ops identities_ops = {.ask = identities_ask, .cancel = identities_cancel};

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
    /* Sessions have gone before, each of which has cancelled what it had asked. */
    assert(identities->waiting == 0);
    json_decref(identities->claims);
    free(identities);
}
