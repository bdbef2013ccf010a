/* Token buckets for users, tenants and addresses. They are filled when one is looked at, by the
 * time that has gone by, so quiet holders cost nothing but memory; and of these only so many
 * are kept, the longest quiet go first.
 *
 * Holders are found by a keyed hash of 128 bits instead of their names: names come from outside
 * and may be long, and nobody can choose two that meet. */
#include "quotas.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "buffer.h"
#include "mem.h"

/* Holders are found by a keyed hash of 128 bits, whose first bits do for the table. */
#define HASH_FUNCTION(key, size, value) (void)(size), memcpy(&(value), key, sizeof(value))
#include <uthash.h>
#include <utlist.h>

enum {
    MILLI = 1000,
    SESSIONS_RETRY_MS = 5000, /* when a session will end is not known */
};

struct quota {
    XXH128_hash_t key;
    enum quota_scope scope;
    uint32_t sessions;
    struct quotas *quotas;
    struct quota *wider; /* a user's is his tenant's: of all his sessions the same */
    int64_t filled_ms;
    uint64_t left_milli[QUOTA_KINDS - 1]; /* of all kinds but sessions: left_milli_of() */
    struct quota *prev, *next;            /* of those without sessions, longest quiet first */
    UT_hash_handle hh;
};

struct quotas {
    struct quotas_config config;
    struct quota *holders;
    struct quota *quiet; /* DL list */
    size_t quiet_count;
    struct buffer text; /* scratch */
};

const char *quota_scope_text(enum quota_scope scope)
{
    static const char *const texts[QUOTA_SCOPES] = {"user", "tenant", "address"};
    assert(scope < QUOTA_SCOPES);
    return texts[scope];
}

const char *quota_kind_text(enum quota_kind kind)
{
    static const char *const texts[QUOTA_KINDS] = {"sessions", "connects", "subscribes",
                                                   "histories", "events"};
    assert(kind < QUOTA_KINDS);
    return texts[kind];
}

struct quotas *quotas_new(const struct quotas_config *config)
{
    assert(config->burst_s > 0);
    struct quotas *quotas = mem_new(struct quotas);
    quotas->config = *config;
    return quotas;
}

static void forget_holder(struct quotas *quotas, struct quota *holder)
{
    assert(holder && holder->sessions == 0 && quotas->holders && quotas->quiet_count > 0);
    DL_DELETE(quotas->quiet, holder);
    quotas->quiet_count--;
    HASH_DEL(quotas->holders, holder);
    free(holder);
}

void quotas_free(struct quotas *quotas)
{
    if (!quotas)
        return;
    while (quotas->quiet)
        forget_holder(quotas, quotas->quiet);
    assert(!quotas->holders);
    buffer_deinit(&quotas->text);
    free(quotas);
}

size_t quotas_count(const struct quotas *quotas)
{
    return HASH_COUNT(quotas->holders);
}

/* --- holders ---------------------------------------------------------------------------------- */

static uint64_t full_milli(const struct quotas *quotas, enum quota_scope scope,
                           enum quota_kind kind)
{
    return (uint64_t)quotas->config.limits[scope][kind] * quotas->config.burst_s * MILLI;
}

static uint64_t *left_milli_of(struct quota *holder, enum quota_kind kind)
{
    static_assert(QUOTA_SESSIONS == 0, "sessions are counted, and have no bucket");
    assert(kind > QUOTA_SESSIONS && kind < QUOTA_KINDS);
    return &holder->left_milli[kind - 1];
}

/* Without a limit there is nothing to count, and no holder. */
static bool has_limits(const struct quotas *quotas, enum quota_scope scope)
{
    for (unsigned kind = 0; kind < QUOTA_KINDS; kind++)
        if (quotas->config.limits[scope][kind])
            return true;
    return false;
}

static XXH128_hash_t key_of(struct quotas *quotas, enum quota_scope scope, struct bytes tenant,
                            struct bytes name)
{
    struct buffer *text = &quotas->text;
    buffer_clear(text);
    buffer_append(text, bytes_of(&scope, sizeof(scope)));
    buffer_append(text, bytes_of(&tenant.size, sizeof(tenant.size)));
    buffer_append(text, tenant);
    buffer_append(text, name);
    struct bytes whole = buffer_peek(text);
    return XXH3_128bits_withSeed(whole.data, whole.size, quotas->config.seed);
}

/* The holder without sessions that is there, or is made: it is among the quiet. */
static struct quota *holder_of(struct quotas *quotas, enum quota_scope scope, struct bytes tenant,
                               struct bytes name, int64_t now_ms)
{
    struct quota *holder;
    if (!has_limits(quotas, scope) || name.size == 0)
        return NULL;
    XXH128_hash_t key = key_of(quotas, scope, tenant, name);
    HASH_FIND(hh, quotas->holders, &key, sizeof(key), holder);
    if (holder)
        return holder;
    holder = mem_new(struct quota);
    holder->key = key;
    holder->scope = scope;
    holder->quotas = quotas;
    holder->filled_ms = now_ms;
    for (unsigned kind = QUOTA_SESSIONS + 1; kind < QUOTA_KINDS; kind++)
        *left_milli_of(holder, (enum quota_kind)kind) =
            full_milli(quotas, scope, (enum quota_kind)kind);
    HASH_ADD(hh, quotas->holders, key, sizeof(holder->key), holder);
    DL_APPEND(quotas->quiet, holder);
    quotas->quiet_count++;
    return holder;
}

/* A holder without sessions is kept for its bucket: whoever reconnects without end finds it
 * empty. Beyond the limit the longest quiet are forgotten, whose buckets are the fullest. */
static void trim(struct quotas *quotas)
{
    while (quotas->quiet_count > quotas->config.quiet_most)
        forget_holder(quotas, quotas->quiet);
}

/* --- what is left ----------------------------------------------------------------------------- */

/* By the time since the last call. */
static void fill_buckets(struct quota *holder, int64_t now_ms)
{
    if (now_ms <= holder->filled_ms) /* who asks may have an older turn's time */
        return;
    uint64_t quiet_ms = (uint64_t)(now_ms - holder->filled_ms);
    holder->filled_ms = now_ms;
    for (unsigned kind = QUOTA_SESSIONS + 1; kind < QUOTA_KINDS; kind++) {
        uint64_t rate = holder->quotas->config.limits[holder->scope][kind];
        uint64_t full = full_milli(holder->quotas, holder->scope, (enum quota_kind)kind);
        uint64_t *left = left_milli_of(holder, (enum quota_kind)kind);
        assert(*left <= full);
        /* Compared before it is multiplied: after a week of quiet the product would overflow. */
        if (rate > 0)
            *left = quiet_ms > (full - *left) / rate ? full : *left + quiet_ms * rate;
    }
}

/* How long until there is one; 0: there is. */
static int64_t wait_ms(struct quota *holder, enum quota_kind kind, int64_t now_ms)
{
    uint32_t rate = holder->quotas->config.limits[holder->scope][kind];
    if (rate == 0)
        return 0;
    fill_buckets(holder, now_ms);
    uint64_t left = *left_milli_of(holder, kind);
    return left >= MILLI ? 0 : (int64_t)((MILLI - left + rate - 1) / rate);
}

bool quota_spend(struct quota *holder, enum quota_kind kind, int64_t now_ms,
                 struct quota_refusal *refusal)
{
    for (struct quota *of = holder; of; of = of->wider) {
        int64_t retry_ms = wait_ms(of, kind, now_ms);
        if (retry_ms > 0) {
            *refusal = (struct quota_refusal){of->scope, kind, retry_ms};
            return false;
        }
    }
    /* All or none: a refusal by the tenant's bucket must not take from the user's. */
    for (struct quota *of = holder; of; of = of->wider)
        if (of->quotas->config.limits[of->scope][kind])
            *left_milli_of(of, kind) -= MILLI;
    return true;
}

/* --- sessions --------------------------------------------------------------------------------- */

/* All scopes are asked before any is charged. */
static bool has_place(const struct quota *holder, struct quota_refusal *refusal)
{
    for (; holder; holder = holder->wider) {
        uint32_t most = holder->quotas->config.limits[holder->scope][QUOTA_SESSIONS];
        if (most && holder->sessions >= most) {
            *refusal = (struct quota_refusal){holder->scope, QUOTA_SESSIONS, SESSIONS_RETRY_MS};
            return false;
        }
    }
    return true;
}

/* The narrowest, with the wider ones behind it. */
static struct quota *holders_of(struct quotas *quotas, const struct quota_owner *owner,
                                int64_t now_ms)
{
    const struct bytes nobody = bytes_of("", 0);
    assert(owner->address.size == 0 || (owner->user.size == 0 && owner->tenant.size == 0));
    if (owner->address.size > 0)
        return holder_of(quotas, QUOTA_ADDRESS, nobody, owner->address, now_ms);
    struct quota *tenant = holder_of(quotas, QUOTA_TENANT, nobody, owner->tenant, now_ms);
    struct quota *user = holder_of(quotas, QUOTA_USER, owner->tenant, owner->user, now_ms);
    if (!user)
        return tenant;
    assert(user->sessions == 0 || user->wider == tenant);
    user->wider = tenant;
    return user;
}

bool quotas_enter(struct quotas *quotas, const struct quota_owner *owner, bool continued,
                  int64_t now_ms, struct quota **holder, struct quota_refusal *refusal)
{
    struct quota *found = holders_of(quotas, owner, now_ms);
    /* A session that moves here from another gateway was let in there. */
    bool enters = continued || (has_place(found, refusal) &&
                                quota_spend(found, QUOTA_CONNECTS, now_ms, refusal));
    for (struct quota *of = found; enters && of; of = of->wider) {
        if (of->sessions++ > 0)
            continue;
        DL_DELETE(quotas->quiet, of);
        quotas->quiet_count--;
    }
    if (enters)
        *holder = found;
    trim(quotas);
    return enters;
}

void quota_leave(struct quota **holder)
{
    struct quotas *quotas = *holder ? (*holder)->quotas : NULL;
    for (struct quota *of = *holder; of; of = of->wider) {
        assert(of->sessions > 0);
        if (--of->sessions > 0)
            continue;
        DL_APPEND(quotas->quiet, of);
        quotas->quiet_count++;
    }
    *holder = NULL;
    if (quotas)
        trim(quotas);
}
