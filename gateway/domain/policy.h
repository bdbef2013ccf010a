/* Who is in which room: rooms a session is given at connect, and rooms it may ask for, decided from
 * the claims of its token. Pure. Not here: where claims come from and whether they are true
 * (infra/token), in which lane a room stands (layout.h).
 *
 * Configuration, with its defaults (`gateway.access`):
 *
 *     tenant_claim: tenant
 *     user_claim: sub
 *     connect: ["user:{sub}", "tenant:{tenant}", "review:{reviewQueues}"]
 *     join:
 *       - "task:*"                                             # short for {room: "task:*"}
 *       - {room: "project:*", if: {role: [member, admin]}}     # every named claim must have one of
 * the values
 *
 * A template starts with a literal kind; `{claim}` stands for the claim's value, or for each of its
 * values in turn if it is an array; `*` only at the end, for anything. A claim is found by its
 * exact name, else as a path (`realm_access.roles`). A template naming a claim that the token
 * lacks, or giving a room that is not well formed (room.h), gives no room. What is given at connect
 * may always be joined. Values are compared as text: true is "true", 7 is "7". */
#ifndef GATEWAY_DOMAIN_POLICY_H
#define GATEWAY_DOMAIN_POLICY_H

#include "bytes.h"
#include "status.h"

struct document_node;
struct policy;
struct claims;

#define POLICY_CLAIMS_MAX 16       /* different claims a policy may name */
#define POLICY_CLAIM_BYTES_MAX 256 /* per value; a longer one counts as absent */
#define POLICY_CLAIM_VALUES_MAX 64 /* per claim; more are ignored */
#define POLICY_TEMPLATES_MAX 64    /* templates of each list */
#define POLICY_TEMPLATE_BYTES_MAX 256
#define POLICY_CONNECT_ROOMS_MAX 128 /* rooms given to one session; more are ignored */

/* Makes the policy of a configuration node, or the default policy if `node` is NULL. On failure
 * `error` says what is wrong and where. */
enum status policy_parse(const struct document_node *node, struct policy **policy,
                         struct error *error) MUST_CHECK;
void policy_free(struct policy *policy);

/* What the policy needs of a token's claims (a JSON object), packed into one small allocation; the
 * rest is not kept. Freed with claims_free(). STATUS_MALFORMED: not a JSON object. */
enum status claims_new(const struct policy *policy, struct bytes json,
                       struct claims **claims) MUST_CHECK;
void claims_free(struct claims *claims);

/* The tenant and the user; empty if the token does not say. Borrowed from the claims. */
struct bytes claims_tenant(const struct claims *claims);
struct bytes claims_user(const struct claims *claims);

/* Bytes the claims take, for accounting. */
size_t claims_size(const struct claims *claims);

/* Calls `each` for every room the session is given at connect, in the order of the configuration.
 * The name is borrowed during the call. The same room may come twice. */
typedef void (*policy_room_fn)(void *context, struct bytes room);
void policy_connect_rooms(const struct policy *policy, const struct claims *claims,
                          policy_room_fn each, void *context);

/* Whether the session may be in the room: a rule allows it, or it is given at connect. False for a
 * name that is not well formed. */
bool policy_may_join(const struct policy *policy, const struct claims *claims, struct bytes room);

#endif
