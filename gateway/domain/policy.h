/* Who may do what: the rooms a session is given at connect, those it may ask for, and the events it
 * may send to the backend, decided from the claims of its token. Pure. Not here: whether the claims
 * are true (auth/token), in which lane a room stands (layout.h).
 *
 * deploy/docs/rights.md is the manual for those who configure it.
 *
 * Configuration (`gateway.access`). Without `connect` these rooms are given, as far as the layout
 * has their kinds; without `join` or `events` there are none of these:
 *
 *     tenant_claim: tenant
 *     user_claim: sub
 *     connect: ["user:{sub}", "review:{reviewQueues}"]
 *     join:
 *       - "task:*"                                             # for example
 *       - {room: "project:*", if: {role: [member, admin]}}
 *     events:
 *       - "task.cancel"
 *       - {event: "review.*", if: {role: reviewer}}
 *
 * Each claim named in `if` must have one of the values given for it. A template begins with a
 * literal kind. `{claim}` stands for the claim's value, or each of its values in turn if it is an
 * array (claims.h: how claims are found and read). `*`, only at the end and not in `connect`,
 * stands for anything. A template that names a claim which the token lacks, or comes to a room that
 * is not well formed, gives no room. A room given at connect may always be joined. A room
 * given at connect that has no lane (layout.h), or is one too many, is left out and told, as a room
 * that was lost; a token that lacks the tenant or user on which a lane depends is refused, and the
 * claim named. Rooms are those
 * of the session's own tenant or user where the layout says so: a rule `task:*` does not open other
 * tenants' tasks. */
#ifndef GATEWAY_DOMAIN_POLICY_H
#define GATEWAY_DOMAIN_POLICY_H

#include "buffer.h"
#include "bytes.h"
#include "claims.h"
#include "document.h"
#include "layout.h"
#include "problems.h"
#include "status.h"

struct policy;

enum {
    POLICY_TEMPLATES_LIMIT = 64,      /* in each list */
    POLICY_TEMPLATE_CLAIMS_LIMIT = 3, /* in one template */
    POLICY_CONDITIONS_LIMIT = 8,      /* of one rule */
    POLICY_CONDITION_VALUES_LIMIT = 64,
    POLICY_CONNECT_ROOMS_LIMIT = 128, /* given to one session; more are left out */
    POLICY_EVENT_NAME_LIMIT = 100,    /* bytes */
};

/* Makes the policy of a configuration node; NULL or null: the default policy. Every problem is
 * added, with its place; then STATUS_INVALID. That a template can come to no room of the layout is
 * a problem too, and so is a policy that opens none; `layout` may be NULL: then it is not looked
 * at. Nothing is borrowed. The caller frees *policy. */
enum status policy_new(const struct document_node *node, const struct layout *layout,
                       struct policy **policy, struct problems *problems) MUST_CHECK;
void policy_free(struct policy *policy);

/* The names of the claims that say whose a session is. Borrowed. */
const char *policy_tenant_claim(const struct policy *policy);
const char *policy_user_claim(const struct policy *policy);

/* Of the token, whatever the configuration names: its `jti`, empty if it has none, borrowed; and
 * when it was issued, from its `iat`, wall clock: INT64_MIN if it does not say. */
struct bytes policy_token_id(const struct policy *policy, const struct claims *claims);
int64_t policy_issued_ms(const struct policy *policy, const struct claims *claims);

/* Packs what the policy needs of a token's claims, as claims_pack() does. */
enum status policy_claims(const struct policy *policy, struct claims_json json,
                          struct claims **claims) MUST_CHECK;

/* Appends claims as a JSON object, from which policy_claims() makes the same again. */
void policy_write_claims(const struct policy *policy, const struct claims *claims,
                         struct buffer *out);

/* Calls `each` for every room the session is given at connect, in the order of the configuration.
 * The name is borrowed during the call. A room may come twice. */
typedef void policy_room_fn(void *context, struct bytes room);
void policy_connect_rooms(const struct policy *policy, const struct claims *claims,
                          policy_room_fn *each, void *context);

/* Whether policy_connect_rooms() gives the room, as far as it goes. */
bool policy_gives(const struct policy *policy, const struct claims *claims, struct bytes room);

/* How many templates of rooms at connect there are. */
size_t policy_connect_count(const struct policy *policy);

/* Whether the session may be in the room. False also for a name that is not well formed. */
bool policy_may_join(const struct policy *policy, const struct claims *claims, struct bytes room);

/* Whether clients may send any event at all. */
bool policy_has_events(const struct policy *policy);
/* STATUS_OK; STATUS_NOT_FOUND: no rule names the event; STATUS_DENIED: not with these claims. */
enum status policy_may_send(const struct policy *policy, const struct claims *claims,
                            struct bytes name) MUST_CHECK;

#endif
