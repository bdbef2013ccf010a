/* The orders that are in force (order.h), and whose sessions are here: what a gateway knows of the
 * topic of orders, as a table. Pure: orders and time come in; what is asked is answered from it.
 *
 * It holds of each key the last order, so that it is the same after the whole log as after what
 * compaction has left of it, and whatever has come in between. An order is forgotten when its time
 * is over.
 *
 * Whom orders may name, a tenant, a user, a session, a token, is a subject. A subject lists the
 * members that it has here: to apply an order costs those that it names, a few at a time, and to
 * look up what holds for one costs the same however many orders and members there are. A client
 * that chooses names does not know the seed. The caller decides what is done to a member that is to be
 * looked at (session_orders.c). */
#ifndef GATEWAY_DOMAIN_ORDERS_H
#define GATEWAY_DOMAIN_ORDERS_H

#include "order.h"

struct orders;
struct session;
struct order_in_force;
struct order_subject;

struct orders_config {
    size_t most; /* in force at a time */
    uint64_t seed;
};

struct orders *orders_new(const struct orders_config *config);
/* Every member must have left. NULL is fine. */
void orders_free(struct orders *orders);

/* --- orders ----------------------------------------------------------------------------------- */

/* Takes an order, whose time is over at `until_ms`, or lifts one (order.lifted): those whom it
 * names are to be looked at. STATUS_LIMIT: it would be one more than there may be, and nothing
 * is changed. `*named` is how many members here it names. */
enum status orders_put(struct orders *orders, const struct order *order, int64_t until_ms,
                       size_t *named) MUST_CHECK;
/* Forgets those whose time is over. */
void orders_expire(struct orders *orders, int64_t now_ms);
/* When one's time is over next; INT64_MAX: there is none. */
int64_t orders_deadline_ms(const struct orders *orders);
size_t orders_count(const struct orders *orders);

/* --- what holds ------------------------------------------------------------------------------- */

/* Whose a session is. Texts may be empty: it has none. */
struct orders_principal {
    struct bytes tenant, user, session, token;
};

/* Its subjects, by scope; NULL: nothing is known of it. Valid until the table changes. */
struct order_subjects {
    struct order_subject *of[ORDER_SCOPES];
};

void orders_find(const struct orders *orders, const struct orders_principal *principal,
                 struct order_subjects *subjects);

enum orders_verdict {
    ORDERS_ADMITS,
    ORDERS_DISCONNECTS,
    ORDERS_REVOKES, /* tokens that were issued when this one was */
};

/* `issued_ms`: when its token was issued; INT64_MIN: that is not known, and was before any time. */
enum orders_verdict orders_judge(const struct order_subjects *subjects, int64_t issued_ms);

enum orders_room { ORDERS_ROOM_FREE, ORDERS_ROOM_CLOSED, ORDERS_ROOM_OPENED };

/* What orders say of a room. If one closes it and another opens it, it is closed. */
enum orders_room orders_room_of(const struct orders *orders, const struct order_subjects *subjects,
                                struct bytes room);

/* --- members ---------------------------------------------------------------------------------- */

/* A session in the table. */
struct orders_member {
    struct order_subjects subjects;
    struct orders_link {
        struct orders_member *prev, *next;
    } links[ORDER_SCOPES];   /* of each subject's members, by when they came */
    struct session *session; /* the caller's */
    /* Orders to join up to this one have been given to it, of each subject. */
    uint64_t seen[ORDER_SCOPES];
};

/* It comes, with no order given to it. `member` is zeroed, and stays where it is in memory. */
void orders_enter(struct orders *orders, struct orders_member *member,
                  const struct orders_principal *principal);
/* It has another token from here on, or the same: what orders for all else have given to it is
 * given. */
void orders_change_token(struct orders *orders, struct orders_member *member,
                         const struct orders_principal *principal);
/* It goes. */
void orders_leave(struct orders *orders, struct orders_member *member);

/* Gives each room that an order in force has opened since this was last asked for the member, until
 * `each` returns false: those behind it are not given later either. The name is valid during the
 * call, which must not change the table. */
typedef bool orders_room_fn(void *context, struct bytes room);
void orders_new_rooms(const struct orders *orders, struct orders_member *member,
                      orders_room_fn *each, void *context);

/* The member is to be looked at. */
void orders_look_at(struct orders *orders, struct orders_member *member);
/* A member that is to be looked at since something that names it has changed; NULL: none is. Those
 * of several subjects take turns. */
struct orders_member *orders_next(struct orders *orders);
bool orders_has_next(const struct orders *orders);

#endif
