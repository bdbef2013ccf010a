/* What a session may do, by its claims and by the orders of the backend (orders.h) together, and
 * what these orders do to it. */
#ifndef GATEWAY_DOMAIN_SESSION_RIGHTS_H
#define GATEWAY_DOMAIN_SESSION_RIGHTS_H

#include "hub_state.h"
#include "orders.h"

/* --- what it may: session_rights.c --- */

/* Whether the orders are known yet: until then nobody is let in. */
bool session_can_be_judged(const struct hub *hub);
/* Puts the session under the orders of the backend, also once more after it has become another.
 * NULL; or why they do not let it in. */
const char *session_admit(struct session *session);
/* Its claims are a fresh token's, with which session_token_problem() has found nothing wrong. What
 * orders have done to it is not done again. */
void session_admit_token(struct session *session);
/* It is under no orders any more. */
void session_dismiss(struct session *session);
/* Why they do not let it bring these claims; NULL: they do. */
const char *session_token_problem(const struct session *session, const struct claims *claims);
/* Whether the session may be in the room: by its claims and by orders. */
bool session_may_join(const struct session *session, struct bytes room);
/* An order closes the room for it. */
bool session_is_kept_out(const struct session *session, struct bytes room);
/* NULL: they say nothing against these claims of its; or the word. */
const char *session_verdict(const struct session *session, const struct claims *claims,
                            const struct order_subjects *subjects);
/* What they want of it is done in the next turn: it ends, or leaves rooms and joins others. */
void session_ask_orders(struct session *session);

/* --- what orders do: session_orders.c --- */

/* In each turn: those whom new orders name, so many at a time. */
void session_orders_run(struct hub *hub);
int64_t session_orders_deadline_ms(const struct hub *hub);

#endif
