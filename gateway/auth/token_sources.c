/* Several issuers of tokens, side by side: which of them a token is judged by, and for which
 * tenants each may speak.
 *
 * The invariant: a token is judged by one source, chosen by what it says of itself, and then proved
 * with that one's keys. It is never tried with another's: a token that one source refuses must not
 * be good because some other takes it.
 *
 * A source that is bound to tenants speaks for these alone, and nobody else does: otherwise whoever
 * holds one customer's keys could make tokens for another's. */
#include "token_sources.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "mem.h"

struct token_source {
    struct token_source_config config;
    struct token_verifier *verifier;
};

struct token_sources {
    struct token_source items[TOKEN_SOURCES_LIMIT];
    size_t count;
    bool bound;
    int descriptor; /* epoll, of the descriptors of all */
    uint64_t unselected;
};

/* --- Opening and closing ---------------------------------------------------------------------- */

static bool equal_or_absent(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The token has to tell two sources apart: by issuer, algorithm, audience. */
enum status token_sources_check(const struct token_source_config *configs, size_t count,
                                struct error *error)
{
    /* Alone, a source needs no issuer: there is nothing to choose. */
    for (size_t i = 0; count > 1 && i < count; i++) {
        const struct token_config *one = &configs[i].token;
        if (!one->issuer)
            return error_set(error, STATUS_INVALID, "each of several sources needs its issuer");
        for (size_t j = 0; j < i; j++) {
            const struct token_config *other = &configs[j].token;
            if (one->algorithm == other->algorithm && strcmp(one->issuer, other->issuer) == 0 &&
                equal_or_absent(one->audience, other->audience))
                return error_set(error, STATUS_INVALID,
                                 "two sources have the same issuer, algorithm and audience: %s",
                                 one->issuer);
        }
    }
    return STATUS_OK;
}

static enum status open_source(struct token_sources *sources,
                               const struct token_source_config *config, struct error *error)
{
    struct token_source *source = &sources->items[sources->count];
    enum status status = token_verifier_open(&config->token, &source->verifier, error);
    if (status != STATUS_OK)
        return status;
    source->config = *config;
    sources->count++;
    sources->bound = sources->bound || config->tenant_count > 0;
    /* An epoll descriptor is readable if one of those in it is: the loop watches one for all. */
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(sources->descriptor, EPOLL_CTL_ADD, token_verifier_descriptor(source->verifier),
                  &event) != 0)
        return error_set(error, STATUS_IO, "epoll_ctl: %s", strerror(errno));
    return STATUS_OK;
}

enum status token_sources_open(const struct token_source_config *configs, size_t count,
                               struct token_sources **sources, struct error *error)
{
    if (count == 0 || count > TOKEN_SOURCES_LIMIT)
        return error_set(error, STATUS_INVALID, "one to %d sources of tokens are needed",
                         TOKEN_SOURCES_LIMIT);
    enum status status = token_sources_check(configs, count, error);
    if (status != STATUS_OK)
        return status;
    struct token_sources *made = mem_new(struct token_sources);
    made->descriptor = epoll_create1(EPOLL_CLOEXEC);
    if (made->descriptor < 0)
        status = error_set(error, STATUS_IO, "epoll_create1: %s", strerror(errno));
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        status = open_source(made, &configs[i], error);
    if (status == STATUS_OK)
        *sources = made;
    else
        token_sources_close(made);
    return status;
}

/* Verifiers first: each closes its own descriptor, which leaves the epoll set by that. */
void token_sources_close(struct token_sources *sources)
{
    if (!sources)
        return;
    for (size_t i = 0; i < sources->count; i++)
        token_verifier_close(sources->items[i].verifier);
    if (sources->descriptor >= 0)
        close(sources->descriptor);
    free(sources);
}

/* --- Which of them ---------------------------------------------------------------------------- */

/* NULL for what is no JSON: all of Jansson's readers take that for "there is none". */
static json_t *load_part(const struct buffer *part)
{
    struct bytes text = buffer_peek(part);
    return json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
}

/* Of issuer and algorithm: the one whose audience the token names, before one that asks for none,
 * before one that will refuse it. */
static const struct token_source *find_source(const struct token_sources *sources,
                                              const char *algorithm, const char *issuer,
                                              const json_t *audience, enum token_verdict *verdict)
{
    const struct token_source *found = NULL;
    *verdict = TOKEN_ISSUER;
    for (size_t i = 0; i < sources->count; i++) {
        const struct token_source *source = &sources->items[i];
        const struct token_config *config = &source->config.token;
        if (strcmp(config->issuer, issuer) != 0)
            continue;
        if (strcmp(token_algorithm_names[config->algorithm], algorithm) != 0) {
            *verdict = TOKEN_ALGORITHM;
            continue;
        }
        if (config->audience && token_names_audience(audience, config->audience))
            return source;
        if (!found || (found->config.token.audience && !config->audience))
            found = source;
    }
    return found;
}

/* Read without proof (token_keys_peek): whoever lies about the issuer is refused by its keys. */
static const struct token_source *select_source(const struct token_sources *sources,
                                                struct bytes token, enum token_verdict *verdict)
{
    auto_buffer struct buffer header_text = {0};
    auto_buffer struct buffer payload_text = {0};
    if (token_keys_peek(token, &header_text, &payload_text) != STATUS_OK)
        return NULL;
    json_t *header = load_part(&header_text), *payload = load_part(&payload_text);
    const char *algorithm = json_string_value(json_object_get(header, "alg"));
    const char *issuer = json_string_value(json_object_get(payload, "iss"));
    const struct token_source *source = NULL;
    if (!json_is_object(header) || !json_is_object(payload) || !algorithm)
        *verdict = TOKEN_MALFORMED;
    else if (!issuer)
        *verdict = TOKEN_ISSUER;
    else
        source = find_source(sources, algorithm, issuer, json_object_get(payload, "aud"), verdict);
    json_decref(header);
    json_decref(payload);
    return source;
}

struct token_verifier *token_sources_select(struct token_sources *sources, struct bytes token,
                                            enum token_verdict *verdict)
{
    assert(sources->count > 0);
    /* Not looked into: its verifier says more exactly what is wrong. */
    if (sources->count == 1)
        return sources->items[0].verifier;
    *verdict = token.size == 0 ? TOKEN_MISSING : TOKEN_MALFORMED;
    const struct token_source *source = select_source(sources, token, verdict);
    sources->unselected += source == NULL;
    return source ? source->verifier : NULL;
}

/* --- Tenants ---------------------------------------------------------------------------------- */

static bool is_bound_to(const struct token_source *source, struct bytes tenant)
{
    for (size_t i = 0; i < source->config.tenant_count; i++)
        if (bytes_equal_string(tenant, source->config.tenants[i]))
            return true;
    return false;
}

bool token_sources_may_name(const struct token_sources *sources,
                            const struct token_verifier *verifier, struct bytes tenant)
{
    bool taken = false; /* by another */
    for (size_t i = 0; i < sources->count; i++) {
        const struct token_source *source = &sources->items[i];
        bool bound_to = is_bound_to(source, tenant);
        if (source->verifier == verifier && source->config.tenant_count > 0)
            return bound_to;
        taken = taken || (source->verifier != verifier && bound_to);
    }
    return !taken;
}

bool token_sources_are_bound(const struct token_sources *sources)
{
    return sources->bound;
}

/* --- All of them ------------------------------------------------------------------------------ */

int token_sources_descriptor(const struct token_sources *sources)
{
    return sources->descriptor;
}

/* All, whichever has signalled: there are a few, and each looks at the clock first. */
void token_sources_service(struct token_sources *sources, int64_t now_ms, int64_t wall_ms)
{
    for (size_t i = 0; i < sources->count; i++)
        token_verifier_service(sources->items[i].verifier, now_ms, wall_ms);
}

int64_t token_sources_deadline_ms(const struct token_sources *sources)
{
    int64_t deadline_ms = INT64_MAX;
    for (size_t i = 0; i < sources->count; i++) {
        int64_t own_ms = token_verifier_deadline_ms(sources->items[i].verifier);
        deadline_ms = own_ms < deadline_ms ? own_ms : deadline_ms;
    }
    return deadline_ms;
}

void token_sources_reread(struct token_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++)
        token_verifier_reread(sources->items[i].verifier);
}

/* One is enough: clients of the others are told to come back, and those of this one can be
 * served. */
bool token_sources_ready(const struct token_sources *sources, const char **detail)
{
    size_t ready = 0;
    for (size_t i = 0; i < sources->count; i++)
        ready += token_verifier_ready(sources->items[i].verifier, detail);
    if (ready > 0 && ready < sources->count)
        *detail = "keys of some sources not read yet";
    return ready > 0;
}

struct token_stats token_sources_stats(const struct token_sources *sources)
{
    struct token_stats sum = {.refused = sources->unselected};
    for (size_t i = 0; i < sources->count; i++) {
        const struct token_stats *stats = token_stats(sources->items[i].verifier);
        sum.valid += stats->valid;
        sum.refused += stats->refused;
        sum.reads += stats->reads;
        sum.read_failures += stats->read_failures;
        sum.waiting += stats->waiting;
    }
    return sum;
}
