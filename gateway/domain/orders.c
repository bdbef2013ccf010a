/* The orders in force, as tables: subjects by key, orders about rooms by subject and room. What
 * is asked for every join and every connect is a look-up, whatever the number of orders.
 *
 *    subject ---- members: sessions here that it names, and a walk over them
 *       |
 *       +-------- orders: one disconnect, one not_before, joins in a list, rooms in a table
 *
 * An order does not touch the sessions that it names: it begins a walk over its subject's
 * members, and the caller takes them one at a time. Members that come during a walk have been
 * judged by the order already when they were let in. */
#include "orders.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "mem.h"
#include "narrow.h"
#include "room.h"
#include "waits.h"

/* uthash's own function is not used: names come from outside, so keys are hashed with the seed. */
#define HASH_FUNCTION(key, size, value) (value) = orders_hash_is_needed
#include <uthash.h>
#include <utlist.h>

struct order_in_force {
    enum order_kind kind;
    struct order_subject *subject;
    int64_t not_before_ms;
    struct waiter until;                /* in orders->expiry */
    uint64_t number;                    /* JOIN: orders to join are counted */
    struct order_in_force *prev, *next; /* JOIN: of the subject's, oldest first */
    UT_hash_handle hh;                  /* of rooms: in orders->rooms */
    size_t key_size;
    uint8_t key[]; /* the subject's number, then the room */
};

struct order_subject {
    uint64_t number; /* never used again */
    struct order_in_force *disconnect, *not_before;
    struct order_in_force *joins; /* DL list */
    size_t order_count;           /* that name it, of all kinds */
    struct orders_member *members;
    size_t member_count;
    struct orders_member *walk; /* the next to be looked at; NULL: none is */
    size_t walk_left;
    struct order_subject *prev, *next; /* of those with a walk */
    UT_hash_handle hh;
    enum order_scope scope;
    size_t key_size;
    uint8_t key[]; /* scope, size of the tenant, tenant, id */
};

struct orders {
    struct orders_config config;
    struct order_subject *subjects; /* by key */
    struct order_in_force *rooms;   /* by key */
    struct order_subject *walking;  /* DL list: first come, first served, one member each */
    struct waits expiry;
    size_t count;
    uint64_t subject_number, join_number;
};

enum {
    SUBJECT_KEY_SIZE = 2 + 2 * ORDER_NAME_LIMIT,
    ROOM_KEY_SIZE = sizeof(uint64_t) + ROOM_NAME_LIMIT,
};

static unsigned order_hash(const struct orders *orders, const uint8_t *key, size_t size)
{
    return (unsigned)XXH3_64bits_withSeed(key, size, orders->config.seed);
}

struct orders *orders_new(const struct orders_config *config)
{
    struct orders *orders = mem_new(struct orders);
    assert(config->most > 0);
    orders->config = *config;
    return orders;
}

size_t orders_count(const struct orders *orders)
{
    return orders->count;
}

/* --- subjects --------------------------------------------------------------------------------- */

/* False: no order can name it. */
/* Sizes stand in front, so that no two subjects have one key; the tenant is part of each, so an
 * order reaches nobody of another tenant. */
static bool subject_key(enum order_scope scope, struct bytes tenant, struct bytes id,
                        uint8_t key[SUBJECT_KEY_SIZE], size_t *size)
{
    if (tenant.size > ORDER_NAME_LIMIT || id.size > ORDER_NAME_LIMIT ||
        (scope != ORDER_TENANT && id.size == 0))
        return false;
    key[0] = narrow_8(scope);
    key[1] = narrow_8(tenant.size);
    if (tenant.size)
        memcpy(key + 2, tenant.data, tenant.size);
    if (id.size)
        memcpy(key + 2 + tenant.size, id.data, id.size);
    *size = 2 + tenant.size + id.size;
    return true;
}

static struct order_subject *find_subject(const struct orders *orders, const uint8_t *key,
                                          size_t size)
{
    struct order_subject *subject;
    HASH_FIND_BYHASHVALUE(hh, orders->subjects, key, size, order_hash(orders, key, size), subject);
    return subject;
}

/* The subject that is there, or is made. */
/* A subject exists as long as an order names it or a member is it: the names that clients bring
 * in are gone when they are. */
static struct order_subject *subject_of(struct orders *orders, const uint8_t *key, size_t size)
{
    struct order_subject *subject = find_subject(orders, key, size);
    if (subject)
        return subject;
    subject = mem_alloc(sizeof(*subject) + size);
    subject->number = ++orders->subject_number;
    subject->scope = (enum order_scope)key[0];
    subject->key_size = size;
    memcpy(subject->key, key, size);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, orders->subjects, subject->key, size,
                                order_hash(orders, key, size), subject);
    return subject;
}

/* Nobody speaks of it any more. */
static void release_subject(struct orders *orders, struct order_subject *subject)
{
    if (subject->order_count > 0 || subject->member_count > 0)
        return;
    assert(!subject->walk && !subject->members && !subject->joins);
    HASH_DEL(orders->subjects, subject);
    free(subject);
}

static struct bytes principal_id(const struct orders_principal *principal, enum order_scope scope)
{
    const struct bytes ids[ORDER_SCOPES] = {[ORDER_USER] = principal->user,
                                            [ORDER_SESSION] = principal->session,
                                            [ORDER_TOKEN] = principal->token};
    return ids[scope];
}

void orders_find(const struct orders *orders, const struct orders_principal *principal,
                 struct order_subjects *subjects)
{
    uint8_t key[SUBJECT_KEY_SIZE];
    size_t size;
    for (unsigned scope = 0; scope < ORDER_SCOPES; scope++)
        subjects->of[scope] =
            subject_key((enum order_scope)scope, principal->tenant,
                        principal_id(principal, (enum order_scope)scope), key, &size)
                ? find_subject(orders, key, size)
                : NULL;
}

/* --- walks ------------------------------------------------------------------------------------ */

/* All members of now are to be looked at, from where the walk stands once around: who is looked at
 * already is looked at again, and who comes meanwhile is one more on the way. */
static void begin_walk(struct orders *orders, struct order_subject *subject)
{
    if (subject->member_count == 0)
        return;
    if (!subject->walk) {
        subject->walk = subject->members;
        DL_APPEND(orders->walking, subject);
    }
    subject->walk_left = subject->member_count;
}

static void end_walk(struct orders *orders, struct order_subject *subject)
{
    if (!subject->walk)
        return;
    subject->walk = NULL;
    subject->walk_left = 0;
    DL_DELETE(orders->walking, subject);
}

/* The list of a subject's members goes around. */
static struct orders_member *member_behind(const struct order_subject *subject,
                                           const struct orders_member *member)
{
    struct orders_member *next = member->links[subject->scope].next;
    return next ? next : subject->members;
}

bool orders_has_next(const struct orders *orders)
{
    return orders->walking != NULL;
}

/* The subject goes to the end of the list: an order for a large tenant does not keep the others
 * waiting. */
struct orders_member *orders_next(struct orders *orders)
{
    struct order_subject *subject = orders->walking;
    if (!subject)
        return NULL;
    assert(subject->walk && subject->walk_left > 0);
    struct orders_member *member = subject->walk;
    DL_DELETE(orders->walking, subject);
    if (--subject->walk_left == 0) {
        subject->walk = NULL;
    } else {
        subject->walk = member_behind(subject, member);
        DL_APPEND(orders->walking, subject);
    }
    return member;
}

/* --- members ---------------------------------------------------------------------------------- */

/* All of its session: itself. */
void orders_look_at(struct orders *orders, struct orders_member *member)
{
    assert(member->subjects.of[ORDER_SESSION]);
    begin_walk(orders, member->subjects.of[ORDER_SESSION]);
}

#define LINK_PREV links[scope].prev
#define LINK_NEXT links[scope].next

/* Nothing happens if no order can name it. */
static void enter_subject(struct orders *orders, struct orders_member *member,
                          const struct orders_principal *principal, enum order_scope scope)
{
    uint8_t key[SUBJECT_KEY_SIZE];
    size_t size;
    assert(!member->subjects.of[scope] && member->seen[scope] == 0);
    if (!subject_key(scope, principal->tenant, principal_id(principal, scope), key, &size))
        return;
    struct order_subject *subject = subject_of(orders, key, size);
    member->subjects.of[scope] = subject;
    DL_APPEND2(subject->members, member, LINK_PREV, LINK_NEXT);
    subject->member_count++;
    subject->walk_left += subject->walk != NULL;
}

/* A walk that stands at it goes on at the next. */
static void leave_subject(struct orders *orders, struct orders_member *member,
                          enum order_scope scope)
{
    struct order_subject *subject = member->subjects.of[scope];
    if (!subject)
        return;
    assert(subject->member_count > 0);
    if (subject->walk == member)
        subject->walk = member_behind(subject, member);
    DL_DELETE2(subject->members, member, LINK_PREV, LINK_NEXT);
    if (--subject->member_count == 0)
        end_walk(orders, subject);
    release_subject(orders, subject);
    member->subjects.of[scope] = NULL;
    member->seen[scope] = 0;
}

void orders_enter(struct orders *orders, struct orders_member *member,
                  const struct orders_principal *principal)
{
    for (unsigned scope = 0; scope < ORDER_SCOPES; scope++)
        enter_subject(orders, member, principal, (enum order_scope)scope);
}

void orders_change_token(struct orders *orders, struct orders_member *member,
                         const struct orders_principal *principal)
{
    uint8_t key[SUBJECT_KEY_SIZE];
    size_t size;
    const struct order_subject *before = member->subjects.of[ORDER_TOKEN];
    if (before && subject_key(ORDER_TOKEN, principal->tenant, principal->token, key, &size) &&
        find_subject(orders, key, size) == before)
        return;
    leave_subject(orders, member, ORDER_TOKEN);
    enter_subject(orders, member, principal, ORDER_TOKEN);
}

void orders_leave(struct orders *orders, struct orders_member *member)
{
    for (unsigned scope = 0; scope < ORDER_SCOPES; scope++)
        leave_subject(orders, member, (enum order_scope)scope);
    *member = (struct orders_member){0};
}

/* The newest stand last. */
static const struct order_in_force *oldest_unseen(const struct order_subject *subject,
                                                  uint64_t seen)
{
    const struct order_in_force *found = NULL;
    const struct order_in_force *order = subject->joins ? subject->joins->prev : NULL;
    while (order && order->number > seen) {
        found = order;
        order = order == subject->joins ? NULL : order->prev;
    }
    return found;
}

void orders_new_rooms(const struct orders *orders, struct orders_member *member,
                      orders_room_fn *each, void *context)
{
    bool more = true;
    for (unsigned scope = 0; scope < ORDER_SCOPES; scope++) {
        const struct order_subject *subject = member->subjects.of[scope];
        if (!subject)
            continue;
        assert(member->seen[scope] <= orders->join_number);
        const struct order_in_force *order =
            more ? oldest_unseen(subject, member->seen[scope]) : NULL;
        for (; order && more; order = order->next)
            more =
                each(context, bytes_skip(bytes_of(order->key, order->key_size), sizeof(uint64_t)));
        member->seen[scope] = orders->join_number;
    }
}

/* --- orders ----------------------------------------------------------------------------------- */

static size_t room_key(const struct order_subject *subject, struct bytes room,
                       uint8_t key[ROOM_KEY_SIZE])
{
    assert(room.size > 0 && room.size <= ROOM_KEY_SIZE - sizeof(subject->number));
    memcpy(key, &subject->number, sizeof(subject->number));
    memcpy(key + sizeof(subject->number), room.data, room.size);
    return sizeof(subject->number) + room.size;
}

static struct order_in_force *room_order(const struct orders *orders,
                                         const struct order_subject *subject, struct bytes room)
{
    uint8_t key[ROOM_KEY_SIZE];
    size_t size = room_key(subject, room, key);
    struct order_in_force *order;
    HASH_FIND_BYHASHVALUE(hh, orders->rooms, key, size, order_hash(orders, key, size), order);
    return order;
}

static struct order_in_force *find_order(const struct orders *orders,
                                         const struct order_subject *subject,
                                         const struct order *order)
{
    if (order->kind == ORDER_DISCONNECT)
        return subject->disconnect;
    if (order->kind == ORDER_NOT_BEFORE)
        return subject->not_before;
    return room_order(orders, subject, order->room);
}

/* Out of all tables; the subject may be left without any, see release_subject(). */
static void forget_order(struct orders *orders, struct order_in_force *order)
{
    struct order_subject *subject = order->subject;
    assert(subject->order_count > 0 && orders->count > 0);
    if (order->kind == ORDER_DISCONNECT)
        subject->disconnect = NULL;
    else if (order->kind == ORDER_NOT_BEFORE)
        subject->not_before = NULL;
    else
        HASH_DEL(orders->rooms, order);
    if (order->kind == ORDER_JOIN)
        DL_DELETE(subject->joins, order);
    waits_remove(&orders->expiry, &order->until);
    free(order);
    subject->order_count--;
    orders->count--;
}

/* Members that were in a room by the order are to leave it. */
static void lift_order(struct orders *orders, struct order_in_force *order)
{
    struct order_subject *subject = order->subject;
    bool opened = order->kind == ORDER_JOIN;
    forget_order(orders, order);
    if (opened)
        begin_walk(orders, subject);
    release_subject(orders, subject);
}

static void add_order(struct orders *orders, struct order_subject *subject,
                      const struct order *order, int64_t until_ms)
{
    uint8_t key[ROOM_KEY_SIZE];
    size_t size = order->room.size ? room_key(subject, order->room, key) : 0;
    struct order_in_force *made = mem_alloc(sizeof(*made) + size);
    made->kind = order->kind;
    made->subject = subject;
    made->not_before_ms = order->not_before_ms;
    made->key_size = size;
    if (order->kind == ORDER_DISCONNECT) {
        subject->disconnect = made;
    } else if (order->kind == ORDER_NOT_BEFORE) {
        subject->not_before = made;
    } else {
        memcpy(made->key, key, size);
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, orders->rooms, made->key, size,
                                    order_hash(orders, key, size), made);
    }
    if (order->kind == ORDER_JOIN) {
        made->number = ++orders->join_number;
        DL_APPEND(subject->joins, made);
    }
    waits_add(&orders->expiry, &made->until, until_ms);
    subject->order_count++;
    orders->count++;
}

enum status orders_put(struct orders *orders, const struct order *order, int64_t until_ms,
                       size_t *named)
{
    uint8_t key[SUBJECT_KEY_SIZE];
    size_t size;
    bool can = subject_key(order->scope, order->tenant, order->id, key, &size);
    assert(can); /* order_check() has seen it */
    (void)can;
    *named = 0;
    struct order_subject *subject = find_subject(orders, key, size);
    struct order_in_force *before = subject ? find_order(orders, subject, order) : NULL;
    if (!before && (order->lifted || orders->count >= orders->config.most))
        return order->lifted ? STATUS_OK : STATUS_LIMIT;
    if (order->lifted) {
        *named = subject->member_count;
        lift_order(orders, before);
        return STATUS_OK;
    }
    if (!subject)
        subject = subject_of(orders, key, size);
    if (before)
        forget_order(orders, before);
    add_order(orders, subject, order, until_ms);
    begin_walk(orders, subject);
    *named = subject->member_count;
    assert(orders->count <= orders->config.most);
    return STATUS_OK;
}

/* The order whose time this is. */
static struct order_in_force *order_of(struct waiter *until)
{
    return (struct order_in_force *)((char *)until - offsetof(struct order_in_force, until));
}

void orders_expire(struct orders *orders, int64_t now_ms)
{
    struct waiter *until;
    while ((until = waits_take(&orders->expiry, now_ms)) != NULL)
        lift_order(orders, order_of(until));
}

int64_t orders_deadline_ms(const struct orders *orders)
{
    return orders->expiry.count > 0 ? orders->expiry.items[0]->at : INT64_MAX;
}

void orders_free(struct orders *orders)
{
    if (!orders)
        return;
    orders_expire(orders, INT64_MAX);
    assert(orders->count == 0 && !orders->rooms && !orders->walking);
    assert(!orders->subjects); /* every member has left */
    waits_deinit(&orders->expiry);
    free(orders);
}

/* --- what holds ------------------------------------------------------------------------------- */

/* To be disconnected outweighs an old token: a new token would not help. */
enum orders_verdict orders_judge(const struct order_subjects *subjects, int64_t issued_ms)
{
    enum orders_verdict verdict = ORDERS_ADMITS;
    for (unsigned scope = 0; scope < ORDER_SCOPES; scope++) {
        const struct order_subject *subject = subjects->of[scope];
        if (subject && subject->disconnect)
            return ORDERS_DISCONNECTS;
        if (subject && subject->not_before && issued_ms < subject->not_before->not_before_ms)
            verdict = ORDERS_REVOKES;
    }
    return verdict;
}

enum orders_room orders_room_of(const struct orders *orders, const struct order_subjects *subjects,
                                struct bytes room)
{
    enum orders_room found = ORDERS_ROOM_FREE;
    if (room.size > ROOM_KEY_SIZE - sizeof(uint64_t) || room.size == 0)
        return found;
    for (unsigned scope = 0; scope < ORDER_SCOPES; scope++) {
        const struct order_subject *subject = subjects->of[scope];
        const struct order_in_force *order =
            subject && subject->order_count > 0 ? room_order(orders, subject, room) : NULL;
        if (order && order->kind == ORDER_LEAVE)
            return ORDERS_ROOM_CLOSED;
        if (order)
            found = ORDERS_ROOM_OPENED;
    }
    return found;
}
