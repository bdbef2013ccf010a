/* A template of room names over claims: `user:{sub}`, `review:{reviewQueues}`, `task:*`. Part of
 * policy.h, which has the syntax; not the dispatcher's templates over events. */
#ifndef GATEWAY_DOMAIN_POLICY_TEMPLATE_H
#define GATEWAY_DOMAIN_POLICY_TEMPLATE_H

#include "bytes.h"
#include "claims.h"
#include "policy.h"
#include "status.h"

/* The claims a policy names; a claim's place here is its field in struct claims. */
struct policy_names {
    char *items[CLAIMS_NAMES_LIMIT];
    size_t count;
    size_t reserved; /* places that are not given away yet */
};
void policy_names_deinit(struct policy_names *names);

/* The field of a claim, added if it is new. STATUS_INVALID: its name is empty or holds control
 * characters; STATUS_LIMIT: too many. */
enum status policy_names_add(struct policy_names *names, struct bytes name, unsigned *field,
                             struct error *error) MUST_CHECK;

struct policy_piece {
    bool is_claim;
    unsigned field;       /* of the claim */
    struct bytes literal; /* else */
};

struct policy_template {
    char *text; /* what literals borrow from */
    struct policy_piece pieces[2 * POLICY_TEMPLATE_CLAIMS_LIMIT + 1];
    unsigned count;
    bool open; /* ends with `*` */
};

/* STATUS_INVALID with the reason. `may_be_open`: `*` is allowed. */
enum status policy_template_init(struct policy_template *template, struct bytes text,
                                 bool may_be_open, struct policy_names *names,
                                 struct error *error) MUST_CHECK;
void policy_template_deinit(struct policy_template *template);

/* What stands before the colon. */
struct bytes policy_template_kind(const struct policy_template *template);

/* Calls `each` for every well-formed room that a closed template comes to, at most `*budget` times
 * (which is counted down). */
void policy_template_expand(const struct policy_template *template, const struct claims *claims,
                            unsigned *budget, policy_room_fn *each, void *context);

/* Whether some choice of values makes the template this room. */
bool policy_template_match(const struct policy_template *template, const struct claims *claims,
                           struct bytes room);

#endif
