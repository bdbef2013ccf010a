/* Token buckets for users, tenants and addresses. A bucket is filled when it is looked at, by
 * the time that has gone by, so quiet holders cost nothing but memory; and of these only so many
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

struct bucket {
    uint64_t level_milli; /* what is left */
    int64_t filled_ms;
};

struct quota {
    XXH128_hash_t key;
    enum quota_scope scope;
    uint32_t sessions;
    struct bucket buckets[QUOTA_KINDS]; /* that of sessions is not used */
    struct quota *prev, *next;          /* of those without sessions, longest quiet first */
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
    buffer_append_format(text, "%u %zu ", (unsigned)scope, tenant.size);
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
    for (unsigned kind = 0; kind < QUOTA_KINDS; kind++)
        holder->buckets[kind] =
            (struct bucket){full_milli(quotas, scope, (enum quota_kind)kind), now_ms};
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

/* How long until there is one; 0: there is. */
static int64_t wait_ms(const struct quotas *quotas, struct quota *holder, enum quota_kind kind,
                       int64_t now_ms)
{
    uint32_t rate = quotas->config.limits[holder->scope][kind];
    struct bucket *bucket = &holder->buckets[kind];
    uint64_t full = full_milli(quotas, holder->scope, kind);
    if (rate == 0)
        return 0;
    assert(now_ms >= bucket->filled_ms && bucket->level_milli <= full);
    uint64_t quiet_ms = (uint64_t)(now_ms - bucket->filled_ms);
    /* Compared before it is multiplied: after a week of quiet the product would overflow. */
    uint64_t enough_ms = (full - bucket->level_milli) / rate + 1;
    bucket->level_milli = quiet_ms >= enough_ms ? full : bucket->level_milli + quiet_ms * rate;
    bucket->filled_ms = now_ms;
    if (bucket->level_milli >= MILLI)
        return 0;
    return (int64_t)((MILLI - bucket->level_milli + rate - 1) / rate);
}

bool quotas_spend(const struct quotas *quotas, const struct quota_holders *holders,
                  enum quota_kind kind, int64_t now_ms, struct quota_refusal *refusal)
{
    assert(kind > QUOTA_SESSIONS && kind < QUOTA_KINDS);
    for (unsigned scope = 0; scope < QUOTA_SCOPES; scope++) {
        struct quota *holder = holders->of[scope];
        int64_t retry_ms = holder ? wait_ms(quotas, holder, kind, now_ms) : 0;
        if (retry_ms > 0) {
            *refusal = (struct quota_refusal){(enum quota_scope)scope, kind, retry_ms};
            return false;
        }
    }
    /* All or none: a refusal by the tenant's bucket must not take from the user's. */
    for (unsigned scope = 0; scope < QUOTA_SCOPES; scope++)
        if (holders->of[scope] && quotas->config.limits[scope][kind])
            holders->of[scope]->buckets[kind].level_milli -= MILLI;
    return true;
}

/* --- sessions --------------------------------------------------------------------------------- */

/* All scopes are asked before any is charged. */
static bool has_place(const struct quotas *quotas, const struct quota_holders *holders,
                      struct quota_refusal *refusal)
{
    for (unsigned scope = 0; scope < QUOTA_SCOPES; scope++) {
        const struct quota *holder = holders->of[scope];
        uint32_t most = quotas->config.limits[scope][QUOTA_SESSIONS];
        if (holder && most && holder->sessions >= most) {
            *refusal =
                (struct quota_refusal){(enum quota_scope)scope, QUOTA_SESSIONS, SESSIONS_RETRY_MS};
            return false;
        }
    }
    return true;
}

bool quotas_enter(struct quotas *quotas, const struct quota_owner *owner, bool continued,
                  int64_t now_ms, struct quota_holders *holders, struct quota_refusal *refusal)
{
    const struct bytes nobody = bytes_of("", 0);
    struct quota_holders found = {
        .of = {holder_of(quotas, QUOTA_USER, owner->tenant, owner->user, now_ms),
               holder_of(quotas, QUOTA_TENANT, nobody, owner->tenant, now_ms),
               holder_of(quotas, QUOTA_ADDRESS, nobody, owner->address, now_ms)}};
    /* A session that moves here from another gateway was let in there. */
    bool enters = continued || (has_place(quotas, &found, refusal) &&
                                quotas_spend(quotas, &found, QUOTA_CONNECTS, now_ms, refusal));
    for (unsigned scope = 0; enters && scope < QUOTA_SCOPES; scope++) {
        struct quota *holder = found.of[scope];
        if (!holder || holder->sessions++ > 0)
            continue;
        DL_DELETE(quotas->quiet, holder);
        quotas->quiet_count--;
    }
    if (enters)
        *holders = found;
    trim(quotas);
    return enters;
}

void quotas_leave(struct quotas *quotas, struct quota_holders *holders)
{
    for (unsigned scope = 0; scope < QUOTA_SCOPES; scope++) {
        struct quota *holder = holders->of[scope];
        if (!holder)
            continue;
        assert(holder->sessions > 0);
        if (--holder->sessions > 0)
            continue;
        DL_APPEND(quotas->quiet, holder);
        quotas->quiet_count++;
    }
    *holders = (struct quota_holders){0};
    trim(quotas);
}
