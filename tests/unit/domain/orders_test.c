/* The table of orders: what is in force, and who is to be looked at. */
#include "orders.h"

#include <stdio.h>

#include "suite.h"

static struct orders *orders;
static size_t named;

static struct bytes text(const char *string)
{
    return bytes_of_string(string);
}

static enum status put(const struct order *order, int64_t until_ms)
{
    ck_assert_int_eq(order_check(order), ORDER_SOUND);
    return orders_put(orders, order, until_ms, &named);
}

static struct order an_order(enum order_kind kind, enum order_scope scope, const char *id,
                             const char *room)
{
    return (struct order){.kind = kind,
                          .scope = scope,
                          .tenant = text("acme"),
                          .id = text(id),
                          .room = text(room),
                          .expires_ms = INT64_MAX};
}

static void begin(size_t most)
{
    orders = orders_new(&(struct orders_config){.most = most, .seed = 3});
}

static struct orders_principal principal(const char *tenant, const char *user, const char *session,
                                         const char *token)
{
    return (struct orders_principal){text(tenant), text(user), text(session), text(token)};
}

static struct order_subjects subjects_of(const char *tenant, const char *user, const char *session,
                                         const char *token)
{
    struct order_subjects subjects;
    struct orders_principal who = principal(tenant, user, session, token);
    orders_find(orders, &who, &subjects);
    return subjects;
}

static enum orders_verdict judge(const char *tenant, const char *user, int64_t issued_ms)
{
    struct order_subjects subjects = subjects_of(tenant, user, "s1", "t1");
    return orders_judge(&subjects, issued_ms);
}

static enum orders_room room_of(const char *user, const char *room)
{
    struct order_subjects subjects = subjects_of("acme", user, "s1", "t1");
    return orders_room_of(orders, &subjects, text(room));
}

START_TEST(a_tenant_is_a_wall)
{
    begin(10);
    struct order order = an_order(ORDER_DISCONNECT, ORDER_USER, "u1", "");
    ck_assert_int_eq(put(&order, 1000), STATUS_OK);
    ck_assert_int_eq(judge("acme", "u1", 0), ORDERS_DISCONNECTS);
    ck_assert_int_eq(judge("acme", "u2", 0), ORDERS_ADMITS);
    ck_assert_int_eq(judge("globex", "u1", 0), ORDERS_ADMITS);
    ck_assert_int_eq(judge("", "u1", 0), ORDERS_ADMITS);
    order.tenant = text("acmeu"); /* and no name runs over into the next */
    order.id = text("1");
    ck_assert_int_eq(put(&order, 1000), STATUS_OK);
    ck_assert_int_eq(judge("acme", "u2", 0), ORDERS_ADMITS);
    orders_free(orders);
}
END_TEST

/* Two orders for one user do not erase each other; the same order again replaces the first. */
START_TEST(one_of_each_key)
{
    begin(10);
    struct order not_before = an_order(ORDER_NOT_BEFORE, ORDER_USER, "u1", "");
    struct order leave = an_order(ORDER_LEAVE, ORDER_USER, "u1", "task:1");
    struct order join = an_order(ORDER_JOIN, ORDER_USER, "u1", "task:2");
    not_before.not_before_ms = 5000;
    ck_assert_int_eq(put(&not_before, 1000), STATUS_OK);
    ck_assert_int_eq(put(&leave, 1000), STATUS_OK);
    ck_assert_int_eq(put(&join, 1000), STATUS_OK);
    ck_assert_uint_eq(orders_count(orders), 3);
    ck_assert_int_eq(judge("acme", "u1", 4999), ORDERS_REVOKES);
    ck_assert_int_eq(judge("acme", "u1", 5000), ORDERS_ADMITS);
    ck_assert_int_eq(judge("acme", "u1", INT64_MIN), ORDERS_REVOKES); /* no `iat` */
    ck_assert_int_eq(room_of("u1", "task:1"), ORDERS_ROOM_CLOSED);
    ck_assert_int_eq(room_of("u1", "task:2"), ORDERS_ROOM_OPENED);
    ck_assert_int_eq(room_of("u1", "task:3"), ORDERS_ROOM_FREE);
    ck_assert_int_eq(room_of("u2", "task:1"), ORDERS_ROOM_FREE);

    join.room = text("task:1"); /* follows the leave */
    ck_assert_int_eq(put(&join, 1000), STATUS_OK);
    ck_assert_uint_eq(orders_count(orders), 3);
    ck_assert_int_eq(room_of("u1", "task:1"), ORDERS_ROOM_OPENED);
    not_before.not_before_ms = 2000; /* the last counts, whichever it is */
    ck_assert_int_eq(put(&not_before, 1000), STATUS_OK);
    ck_assert_int_eq(judge("acme", "u1", 2000), ORDERS_ADMITS);
    not_before.lifted = true;
    ck_assert_int_eq(put(&not_before, 0), STATUS_OK);
    ck_assert_int_eq(put(&not_before, 0), STATUS_OK); /* and once more */
    ck_assert_int_eq(judge("acme", "u1", 0), ORDERS_ADMITS);
    ck_assert_uint_eq(orders_count(orders), 2);
    orders_free(orders);
}
END_TEST

/* Whoever it is named by, and closed before opened. */
START_TEST(of_several_that_name_it)
{
    begin(10);
    struct order join = an_order(ORDER_JOIN, ORDER_USER, "u1", "task:1");
    struct order leave = an_order(ORDER_LEAVE, ORDER_TENANT, "", "task:1");
    struct order end = an_order(ORDER_DISCONNECT, ORDER_TOKEN, "t1", "");
    ck_assert_int_eq(put(&join, 1000), STATUS_OK);
    ck_assert_int_eq(room_of("u1", "task:1"), ORDERS_ROOM_OPENED);
    ck_assert_int_eq(put(&leave, 1000), STATUS_OK);
    ck_assert_int_eq(room_of("u1", "task:1"), ORDERS_ROOM_CLOSED);
    ck_assert_int_eq(room_of("u2", "task:1"), ORDERS_ROOM_CLOSED);
    ck_assert_int_eq(put(&end, 1000), STATUS_OK);
    ck_assert_int_eq(judge("acme", "u9", 0), ORDERS_DISCONNECTS);
    struct order_subjects other = subjects_of("acme", "u9", "s1", "t2");
    ck_assert_int_eq(orders_judge(&other, 0), ORDERS_ADMITS);
    end = an_order(ORDER_DISCONNECT, ORDER_SESSION, "s2", "");
    ck_assert_int_eq(put(&end, 1000), STATUS_OK);
    other = subjects_of("acme", "u9", "s2", "");
    ck_assert_int_eq(orders_judge(&other, 0), ORDERS_DISCONNECTS);
    orders_free(orders);
}
END_TEST

START_TEST(time_is_over_and_there_is_a_limit)
{
    begin(2);
    struct order first = an_order(ORDER_DISCONNECT, ORDER_USER, "u1", "");
    struct order second = an_order(ORDER_DISCONNECT, ORDER_USER, "u2", "");
    struct order third = an_order(ORDER_DISCONNECT, ORDER_USER, "u3", "");
    ck_assert_int_eq(put(&first, 3000), STATUS_OK);
    ck_assert_int_eq(put(&second, 2000), STATUS_OK);
    ck_assert_int_eq(put(&third, 9000), STATUS_LIMIT);
    ck_assert_int_eq(judge("acme", "u3", 0), ORDERS_ADMITS);
    ck_assert_int_eq(put(&first, 4000), STATUS_OK); /* no more than there were */
    ck_assert_int_eq(orders_deadline_ms(orders), 2000);
    orders_expire(orders, 1999);
    ck_assert_uint_eq(orders_count(orders), 2);
    orders_expire(orders, 2000);
    ck_assert_int_eq(judge("acme", "u2", 0), ORDERS_ADMITS);
    ck_assert_int_eq(put(&third, 9000), STATUS_OK);
    orders_expire(orders, 3999);
    ck_assert_int_eq(judge("acme", "u1", 0), ORDERS_DISCONNECTS);
    orders_expire(orders, 9000);
    ck_assert_uint_eq(orders_count(orders), 0);
    ck_assert_int_eq(orders_deadline_ms(orders), INT64_MAX);
    orders_free(orders);
}
END_TEST

/* --- who is to be looked at */

enum { MEMBERS = 100 };

static struct orders_member members[MEMBERS];
static unsigned looked_at[MEMBERS];

static void enter(unsigned i)
{
    char user[16], session[16], token[16];
    snprintf(user, sizeof(user), "u%u", i / 2);
    snprintf(session, sizeof(session), "s%u", i);
    snprintf(token, sizeof(token), "t%u", i);
    struct orders_principal who = principal("acme", user, session, token);
    members[i] = (struct orders_member){0};
    orders_enter(orders, &members[i], &who);
}

static bool look(void)
{
    const struct orders_member *member = orders_next(orders);
    if (member)
        looked_at[member - members]++;
    return member != NULL;
}

static unsigned look_at_all(void)
{
    unsigned count = 0;
    memset(looked_at, 0, sizeof(looked_at));
    while (look())
        count++;
    ck_assert(!orders_has_next(orders));
    return count;
}

static void everybody(unsigned count)
{
    begin(1000);
    for (unsigned i = 0; i < count; i++)
        enter(i);
}

static void nobody(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        orders_leave(orders, &members[i]);
    orders_free(orders);
}

/* An order costs those whom it names, not those who are there. */
START_TEST(those_whom_it_names)
{
    everybody(MEMBERS);
    ck_assert_uint_eq(look_at_all(), 0);
    struct order order = an_order(ORDER_DISCONNECT, ORDER_USER, "u7", "");
    ck_assert_int_eq(put(&order, 1000), STATUS_OK);
    ck_assert_uint_eq(named, 2);
    ck_assert_uint_eq(look_at_all(), 2);
    ck_assert(looked_at[14] == 1 && looked_at[15] == 1);
    order = an_order(ORDER_LEAVE, ORDER_SESSION, "s3", "task:1");
    ck_assert_int_eq(put(&order, 1000), STATUS_OK);
    ck_assert_uint_eq(look_at_all(), 1);
    order = an_order(ORDER_LEAVE, ORDER_TOKEN, "t4", "task:1");
    ck_assert_int_eq(put(&order, 1000), STATUS_OK);
    ck_assert_uint_eq(look_at_all(), 1);
    order = an_order(ORDER_JOIN, ORDER_TENANT, "", "task:1");
    ck_assert_int_eq(put(&order, 1000), STATUS_OK);
    ck_assert_uint_eq(look_at_all(), MEMBERS);
    orders_expire(orders, 1000); /* who was in the room by the order must leave it */
    ck_assert_uint_eq(look_at_all(), MEMBERS);
    nobody(MEMBERS);
}
END_TEST

/* Whatever comes and goes while those of a tenant are looked at: each who was there is. */
START_TEST(nobody_is_passed_over)
{
    for (unsigned seed = 1; seed <= 200; seed++) {
        uint64_t random = seed * 0x9e3779b97f4a7c15u;
        unsigned due[MEMBERS];
        everybody(MEMBERS / 2);
        bool here[MEMBERS] = {0};
        for (unsigned i = 0; i < MEMBERS / 2; i++)
            here[i] = true;
        memset(looked_at, 0, sizeof(looked_at));
        memset(due, 0, sizeof(due));
        for (unsigned step = 0; step < 400; step++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            unsigned i = (unsigned)(random >> 33) % MEMBERS;
            if (step % 40 == 0) {
                struct order order = an_order(ORDER_DISCONNECT, ORDER_TENANT, "", "");
                ck_assert_int_eq(put(&order, 1000), STATUS_OK);
                for (unsigned j = 0; j < MEMBERS; j++)
                    due[j] = here[j] ? looked_at[j] + 1 : 0;
            } else if (random >> 61 == 0 && here[i]) {
                orders_leave(orders, &members[i]);
                here[i] = false;
                due[i] = 0;
            } else if (random >> 61 == 1 && !here[i]) {
                enter(i);
                here[i] = true;
            } else {
                look();
            }
        }
        while (look())
            ;
        for (unsigned i = 0; i < MEMBERS; i++)
            ck_assert_msg(!here[i] || looked_at[i] >= due[i], "seed %u: %u was passed over", seed,
                          i);
        for (unsigned i = 0; i < MEMBERS; i++)
            if (here[i])
                orders_leave(orders, &members[i]);
        orders_free(orders);
    }
}
END_TEST

/* One who is named alone does not wait for a whole tenant. */
START_TEST(subjects_take_turns)
{
    everybody(MEMBERS);
    struct order all = an_order(ORDER_DISCONNECT, ORDER_TENANT, "", "");
    struct order one = an_order(ORDER_DISCONNECT, ORDER_SESSION, "s99", "");
    memset(looked_at, 0, sizeof(looked_at));
    ck_assert_int_eq(put(&all, 1000), STATUS_OK);
    ck_assert(look());
    ck_assert_int_eq(put(&one, 1000), STATUS_OK);
    ck_assert(look() && look());
    ck_assert_uint_eq(looked_at[99], 1);
    nobody(MEMBERS);
}
END_TEST

static char given[256];

/* `context`: how many more are wanted; NULL: all. */
static bool give(void *context, struct bytes room)
{
    unsigned *wanted = context;
    size_t size = strlen(given);
    snprintf(given + size, sizeof(given) - size, "%.*s ", BYTES_PRINT(room));
    return !wanted || --*wanted > 0;
}

static const char *rooms_for(unsigned i)
{
    given[0] = 0;
    orders_new_rooms(orders, &members[i], give, NULL);
    return given;
}

START_TEST(rooms_are_given_once)
{
    everybody(2);
    struct order by_user = an_order(ORDER_JOIN, ORDER_USER, "u0", "task:1");
    struct order by_tenant = an_order(ORDER_JOIN, ORDER_TENANT, "", "task:2");
    struct order by_session = an_order(ORDER_JOIN, ORDER_SESSION, "s0", "task:3");
    ck_assert_int_eq(put(&by_user, 1000), STATUS_OK);
    ck_assert_int_eq(put(&by_tenant, 1000), STATUS_OK);
    ck_assert_str_eq(rooms_for(0), "task:2 task:1 ");
    ck_assert_str_eq(rooms_for(0), "");
    ck_assert_int_eq(put(&by_session, 1000), STATUS_OK);
    by_user.room = text("task:4");
    ck_assert_int_eq(put(&by_user, 1000), STATUS_OK);
    ck_assert_str_eq(rooms_for(0), "task:4 task:3 ");
    ck_assert_str_eq(rooms_for(1), "task:2 task:1 task:4 ");
    ck_assert_int_eq(put(&by_user, 1000), STATUS_OK); /* anew */
    ck_assert_str_eq(rooms_for(1), "task:4 ");
    orders_leave(orders, &members[0]); /* as another, it gets them all */
    enter(0);
    ck_assert_str_eq(rooms_for(0), "task:2 task:1 task:4 task:3 ");
    nobody(2);
}
END_TEST

START_TEST(another_token_gets_its_own_rooms_alone)
{
    everybody(1);
    struct order by_user = an_order(ORDER_JOIN, ORDER_USER, "u0", "task:1");
    struct order by_token = an_order(ORDER_JOIN, ORDER_TOKEN, "t0", "task:2");
    struct order by_other = an_order(ORDER_JOIN, ORDER_TOKEN, "t9", "task:3");
    struct orders_principal who = principal("acme", "u0", "s0", "t0");
    ck_assert_int_eq(put(&by_user, 1000), STATUS_OK);
    ck_assert_int_eq(put(&by_token, 1000), STATUS_OK);
    ck_assert_int_eq(put(&by_other, 1000), STATUS_OK);
    ck_assert_str_eq(rooms_for(0), "task:1 task:2 ");
    orders_change_token(orders, &members[0], &who); /* the same */
    ck_assert_str_eq(rooms_for(0), "");
    who.token = text("t9");
    orders_change_token(orders, &members[0], &who);
    ck_assert_str_eq(rooms_for(0), "task:3 ");
    who.token = text("");
    orders_change_token(orders, &members[0], &who);
    ck_assert_str_eq(rooms_for(0), "");
    ck_assert_int_eq(put(&by_other, 1000), STATUS_OK); /* names it no more */
    ck_assert_uint_eq(named, 0);
    who.token = text("t9");
    orders_change_token(orders, &members[0], &who);
    ck_assert_str_eq(rooms_for(0), "task:3 ");
    nobody(1);
}
END_TEST

/* Whoever wants no more is not offered the rest, of this subject and the others, later either. */
START_TEST(rooms_are_given_until_it_is_enough)
{
    unsigned wanted = 2;
    everybody(1);
    struct order by_tenant = an_order(ORDER_JOIN, ORDER_TENANT, "", "task:1");
    struct order by_user = an_order(ORDER_JOIN, ORDER_USER, "u0", "task:4");
    ck_assert_int_eq(put(&by_tenant, 1000), STATUS_OK);
    by_tenant.room = text("task:2");
    ck_assert_int_eq(put(&by_tenant, 1000), STATUS_OK);
    by_tenant.room = text("task:3");
    ck_assert_int_eq(put(&by_tenant, 1000), STATUS_OK);
    ck_assert_int_eq(put(&by_user, 1000), STATUS_OK);
    given[0] = 0;
    orders_new_rooms(orders, &members[0], give, &wanted);
    ck_assert_str_eq(given, "task:1 task:2 ");
    ck_assert_str_eq(rooms_for(0), "");
    nobody(1);
}
END_TEST

TEST_PROGRAM("orders", a_tenant_is_a_wall, one_of_each_key, of_several_that_name_it,
             time_is_over_and_there_is_a_limit, those_whom_it_names, nobody_is_passed_over,
             subjects_take_turns, rooms_are_given_once, rooms_are_given_until_it_is_enough,
             another_token_gets_its_own_rooms_alone)
