/* An order of the backend to all gateways, as it stands in the topic of orders
 * (`gateway.control`): end these sessions, refuse those tokens, out of this room, into that one.
 * Pure: bytes in, an order out, and back. Not here: what an order does (orders.h).
 *
 * A record's value is a JSON object, or a CloudEvent whose `data` is one (structured mode; in
 * binary mode the value is the object itself, and headers are not looked at):
 *
 *     {"order":"disconnect","tenant":"acme","user":"u1","reason":"left the company",
 *      "expires":"2026-12-01T00:00:00Z"}
 *
 *   order      disconnect | not_before | leave | join
 *   tenant     always; "" is for tokens that name no tenant
 *   user, session, token    at most one of them: a user of the tenant, a session by its public id
 *              (Socket.IO's `sid`), a token by its `jti`. Without: all sessions of the tenant
 *   room       leave, join: `kind:key`
 *   notBefore  not_before: RFC 3339
 *   expires    RFC 3339; may be left out
 *   reason     for the log; may be left out
 *
 * Nothing else may stand there: what is misspelled must not come to name a whole tenant.
 *
 * The key is a JSON array, as JSON.stringify() writes it: [tenant, by, id, what], and the room
 * for rooms. `by` is tenant, user, session or token; `id` is "" for a tenant; `what` is
 * disconnect, not_before or room. So compaction keeps of each order the last, and no other order
 * is erased by it: leave and join of one room follow each other under one key. A record without
 * a value lifts the order of its key. */
#ifndef GATEWAY_DOMAIN_ORDER_H
#define GATEWAY_DOMAIN_ORDER_H

#include "buffer.h"
#include "bytes.h"
#include "status.h"

enum order_kind { ORDER_DISCONNECT, ORDER_NOT_BEFORE, ORDER_LEAVE, ORDER_JOIN, ORDER_KINDS };

/* Whom it names. */
enum order_scope { ORDER_TENANT, ORDER_USER, ORDER_SESSION, ORDER_TOKEN, ORDER_SCOPES };

enum {
    ORDER_NAME_LIMIT = 200,   /* bytes of a tenant, a user, an id: no token's claim is longer */
    ORDER_REASON_LIMIT = 200, /* bytes */
    ORDER_VALUE_LIMIT = 8192, /* bytes of a record's value */
    ORDER_KEY_LIMIT = 4096,   /* and of its key */
};

struct order {
    enum order_kind kind;
    enum order_scope scope;
    bool lifted; /* it was read from a record without a value: `kind` is LEAVE for rooms */
    struct bytes tenant, id;
    struct bytes room;     /* LEAVE, JOIN */
    struct bytes reason;   /* may be empty */
    int64_t not_before_ms; /* NOT_BEFORE: wall clock */
    int64_t expires_ms;    /* wall clock; INT64_MAX: it does not say */
    void *document;        /* what it borrows from; NULL: it is the caller's. See order_deinit() */
};

/* Why a record is no order, in the words of logs and metrics. */
#define ORDER_FAULTS(X)                                                                           \
    X(ORDER_SOUND, "sound")                                                                       \
    X(ORDER_FAULTY_KEY, "key")         /* none, or not the one that belongs to the order */       \
    X(ORDER_FAULTY_VALUE, "value")     /* no JSON object of limited size, or CloudEvent of one */ \
    X(ORDER_FAULTY_MEMBER, "member")   /* one that is not known or does not belong there */       \
    X(ORDER_FAULTY_ORDER, "order")     /* there is no such order */                               \
    X(ORDER_FAULTY_TENANT, "tenant")   /* it names none */                                        \
    X(ORDER_FAULTY_SUBJECT, "subject") /* more than one of user, session and token, or no text */ \
    X(ORDER_FAULTY_ROOM, "room")                                                                  \
    X(ORDER_FAULTY_TIME, "time")                                                                  \
    X(ORDER_FAULTY_REASON, "reason")

enum order_fault {
#define X(name, text) name,
    ORDER_FAULTS(X)
#undef X
};
enum { ORDER_FAULT_COUNT = ORDER_FAULTY_REASON + 1 };

const char *order_fault_text(enum order_fault fault);
/* "disconnect" and so on; "tenant" and so on. */
const char *order_kind_text(enum order_kind kind);
const char *order_scope_text(enum order_scope scope);
/* False: there is none of this name. */
bool order_kind_named(struct bytes name, enum order_kind *kind) MUST_CHECK;
bool order_scope_named(struct bytes name, enum order_scope *scope) MUST_CHECK;
/* LEAVE and JOIN: they are about a room, under the same key. */
bool order_has_room(enum order_kind kind);
#define ORDER_OF_ROOMS "room" /* in keys */

/* A record as it came. */
struct order_record {
    struct bytes key, value;
    bool has_value;
};

/* ORDER_SOUND: `order` is filled, and is to be given to order_deinit(). */
enum order_fault order_read(const struct order_record *record, struct order *order) MUST_CHECK;
void order_deinit(struct order *order);

/* Whether an order that somebody has put together could be read again. */
enum order_fault order_check(const struct order *order) MUST_CHECK;
/* Appends the record's key, and its value. */
void order_append_key(const struct order *order, struct buffer *out);
void order_append_value(const struct order *order, struct buffer *out);

#endif
