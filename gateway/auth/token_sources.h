/* Who may sign tokens: one source, or several side by side, each with keys, algorithm, issuer and
 * audience of its own (token.h).
 *
 * Of several, the one whose issuer, algorithm and audience a token names judges it, by its own keys
 * alone: so no source's key opens what another signs for, whatever the token calls itself. The
 * part that is read to select it is not believed; the source judges all of it anew.
 *
 * A source may be bound to tenants. It then speaks for no others, and for these no source does that
 * is not bound to them too. */
#ifndef GATEWAY_AUTH_TOKEN_SOURCES_H
#define GATEWAY_AUTH_TOKEN_SOURCES_H

#include "token.h"

enum { TOKEN_SOURCES_LIMIT = 16, TOKEN_SOURCE_TENANTS_LIMIT = 256 };

struct token_source_config {
    struct token_config token;
    const char *const *tenants; /* borrowed */
    size_t tenant_count;        /* 0: it is not bound */
};

/* STATUS_INVALID: several sources without issuers, or two with the same issuer, algorithm and
 * audience, so that it is open which judges a token. */
enum status token_sources_check(const struct token_source_config *configs, size_t count,
                                struct error *error) MUST_CHECK;

struct token_sources;

/* All that the configurations point to is borrowed. STATUS_INVALID or STATUS_IO as
 * token_verifier_open(), or token_sources_check(). */
enum status token_sources_open(const struct token_source_config *configs, size_t count,
                               struct token_sources **sources, struct error *error) MUST_CHECK;
/* Nobody may wait any more. NULL is fine. */
void token_sources_close(struct token_sources *sources);

/* The source that judges the token: its verifier. NULL: there is none, and `verdict` says why. */
struct token_verifier *token_sources_select(struct token_sources *sources, struct bytes token,
                                            enum token_verdict *verdict) MUST_CHECK;
/* Whether the source of this verifier may speak for the tenant; an empty one is no tenant. */
bool token_sources_may_name(const struct token_sources *sources,
                            const struct token_verifier *verifier, struct bytes tenant) MUST_CHECK;
/* Whether any is bound: else token_sources_may_name() holds for all. */
bool token_sources_are_bound(const struct token_sources *sources);

/* As those of token.h, for all of them. */
int token_sources_descriptor(const struct token_sources *sources);
void token_sources_service(struct token_sources *sources, int64_t now_ms, int64_t wall_ms);
int64_t token_sources_deadline_ms(const struct token_sources *sources);
void token_sources_reread(struct token_sources *sources);
/* Whether any has keys: clients of one do not wait for another's. */
bool token_sources_ready(const struct token_sources *sources, const char **detail);
/* Added up. */
struct token_stats token_sources_stats(const struct token_sources *sources);

#endif
