/* What all sessions of one user, of one tenant, or of one address may ask for together: how many
 * there are, and how many connects, subscriptions, histories and events a second. Pure: time comes
 * in. Not the limits of a single session: those are hub_config's.
 *
 * A holder is known while it has sessions, and a while longer: of those without, the ones that were
 * there last are kept, since who connects and leaves again and again has none at times. Every call
 * costs the same however many holders there are; who chooses the names does not know the seed. */
#ifndef GATEWAY_DOMAIN_QUOTAS_H
#define GATEWAY_DOMAIN_QUOTAS_H

#include "bytes.h"
#include "status.h"

enum quota_scope { QUOTA_USER, QUOTA_TENANT, QUOTA_ADDRESS, QUOTA_SCOPES };

enum quota_kind {
    QUOTA_SESSIONS, /* at a time; all others are a second */
    QUOTA_CONNECTS,
    QUOTA_SUBSCRIBES,
    QUOTA_HISTORIES,
    QUOTA_EVENTS,
    QUOTA_KINDS
};

struct quotas_config {
    uint32_t limits[QUOTA_SCOPES][QUOTA_KINDS]; /* 0: there is none */
    uint32_t burst_s;  /* who has been quiet may ask for so many seconds' worth at once */
    size_t quiet_most; /* holders without sessions that are remembered */
    uint64_t seed;
};

struct quotas;
struct quota; /* one holder: there may be as many as sessions */

/* What was too much, and when to try again. */
struct quota_refusal {
    enum quota_scope scope;
    enum quota_kind kind;
    int64_t retry_after_ms; /* more than 0 */
};

struct quotas *quotas_new(const struct quotas_config *config);
/* Every session must have left. */
void quotas_free(struct quotas *quotas);

/* Whose a session is; what is empty is held to no limit. An address stands alone. */
struct quota_owner {
    struct bytes tenant;
    struct bytes user;
    struct bytes address; /* in a form that has one for each */
};

/* A session comes: it counts as one, and as one connect. False: it may not, nothing has changed.
 * `continued`: it was let in elsewhere, so it counts, and is not refused. *holder stands for it in
 * all scopes from then on, e.g. its user, who is of its tenant; NULL: it is held to no limit. */
bool quotas_enter(struct quotas *quotas, const struct quota_owner *owner, bool continued,
                  int64_t now_ms, struct quota **holder, struct quota_refusal *refusal) MUST_CHECK;
/* It goes; *holder is NULL then. */
void quota_leave(struct quota **holder);

/* Takes one of a kind but sessions, in every scope. False: in one there is none left, and none was
 * taken. */
bool quota_spend(struct quota *holder, enum quota_kind kind, int64_t now_ms,
                 struct quota_refusal *refusal) MUST_CHECK;

/* "user", "sessions" and so on. */
const char *quota_scope_text(enum quota_scope scope);
const char *quota_kind_text(enum quota_kind kind);

/* Holders that are known now. */
size_t quotas_count(const struct quotas *quotas);

#endif
