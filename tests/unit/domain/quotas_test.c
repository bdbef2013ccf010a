#include "quotas.h"

#include <stdio.h>

#include "suite.h"

static const struct quotas_config some = {
    .limits = {[QUOTA_USER] = {3, 2, 5, 1, 1}, [QUOTA_TENANT] = {5, 4, 8, 0, 0}},
    .burst_s = 2,
    .quiet_most = 4,
    .seed = 7,
};

static struct quotas *quotas;
static struct quota_refusal refusal;

static bool enter(const char *tenant, const char *user, int64_t now_ms, struct quota **holder)
{
    struct quota_owner owner = {.tenant = bytes_of_string(tenant), .user = bytes_of_string(user)};
    return quotas_enter(quotas, &owner, false, now_ms, holder, &refusal);
}

static void is_refused(enum quota_scope scope, enum quota_kind kind, int64_t retry_after_ms)
{
    ck_assert_int_eq(refusal.scope, scope);
    ck_assert_int_eq(refusal.kind, kind);
    ck_assert_int_eq(refusal.retry_after_ms, retry_after_ms);
}

START_TEST(so_many_sessions_at_a_time)
{
    struct quota *sessions[6] = {0}, *more = NULL;
    quotas = quotas_new(&some);
    for (int64_t i = 0; i < 3; i++)
        ck_assert(enter("acme", "u1", 1000 * i, &sessions[i]));
    ck_assert(!enter("acme", "u1", 9000, &more));
    is_refused(QUOTA_USER, QUOTA_SESSIONS, 5000);
    ck_assert(enter("acme", "u2", 9000, &sessions[3]));
    ck_assert(enter("acme", "u2", 9000, &sessions[4]));
    ck_assert(!enter("acme", "u3", 9000, &more));
    is_refused(QUOTA_TENANT, QUOTA_SESSIONS, 5000);
    ck_assert(enter("globex", "u1", 9000, &sessions[5])); /* another of the same name */
    quota_leave(&sessions[0]);
    ck_assert(enter("acme", "u1", 9000, &sessions[0]));
    for (int i = 0; i < 6; i++)
        quota_leave(&sessions[i]);
    quotas_free(quotas);
}
END_TEST

START_TEST(so_many_a_second_and_a_burst)
{
    struct quota *session = NULL;
    quotas = quotas_new(&some);
    ck_assert(enter("acme", "u1", 0, &session));
    for (int i = 0; i < 10; i++)
        ck_assert(quota_spend(session, QUOTA_SUBSCRIBES, 0, &refusal));
    ck_assert(!quota_spend(session, QUOTA_SUBSCRIBES, 0, &refusal));
    is_refused(QUOTA_USER, QUOTA_SUBSCRIBES, 200);
    ck_assert(!quota_spend(session, QUOTA_SUBSCRIBES, 199, &refusal));
    is_refused(QUOTA_USER, QUOTA_SUBSCRIBES, 1);
    ck_assert(quota_spend(session, QUOTA_SUBSCRIBES, 200, &refusal));
    ck_assert(!quota_spend(session, QUOTA_SUBSCRIBES, 200, &refusal));
    /* Years of quiet are no more than a burst. */
    for (int i = 0; i < 10; i++)
        ck_assert(quota_spend(session, QUOTA_SUBSCRIBES, INT64_MAX / 2, &refusal));
    ck_assert(!quota_spend(session, QUOTA_SUBSCRIBES, INT64_MAX / 2, &refusal));
    quota_leave(&session);
    quotas_free(quotas);
}
END_TEST

/* A refusal by one scope costs nothing in the others. */
START_TEST(all_scopes_or_none)
{
    struct quota *one = NULL, *two = NULL;
    quotas = quotas_new(&some);
    ck_assert(enter("acme", "u1", 0, &one));
    ck_assert(enter("acme", "u2", 0, &two));
    for (int i = 0; i < 10; i++) /* of u1's 10, and of acme's 16 */
        ck_assert(quota_spend(one, QUOTA_SUBSCRIBES, 0, &refusal));
    for (int i = 0; i < 50; i++)
        ck_assert(!quota_spend(one, QUOTA_SUBSCRIBES, 0, &refusal));
    for (int i = 0; i < 6; i++)
        ck_assert(quota_spend(two, QUOTA_SUBSCRIBES, 0, &refusal));
    ck_assert(!quota_spend(two, QUOTA_SUBSCRIBES, 0, &refusal));
    is_refused(QUOTA_TENANT, QUOTA_SUBSCRIBES, 125);
    for (int i = 0; i < 100; i++) /* 0: no limit in this scope */
        (void)!quota_spend(two, QUOTA_HISTORIES, 0, &refusal);
    is_refused(QUOTA_USER, QUOTA_HISTORIES, 1000);
    quota_leave(&one);
    quota_leave(&two);
    quotas_free(quotas);
}
END_TEST

/* Who comes and goes again and again is remembered; so many of those without sessions are, and no
 * more. */
START_TEST(the_quiet_are_remembered_and_bounded)
{
    struct quota *session = NULL;
    quotas = quotas_new(&some);
    for (int i = 0; i < 6; i++) {
        ck_assert(enter(NULL, "u1", 0, &session) == (i < 4));
        if (i < 4)
            quota_leave(&session);
    }
    is_refused(QUOTA_USER, QUOTA_CONNECTS, 500);
    for (int i = 0; i < 1000; i++) {
        char user[32];
        snprintf(user, sizeof(user), "user-%d", i);
        ck_assert(enter(NULL, user, 0, &session));
        quota_leave(&session);
        ck_assert_uint_le(quotas_count(quotas), 5);
    }
    struct quota_owner owner = {.user = BYTES_LITERAL("u9")};
    for (int i = 0; i < 10; i++) { /* from another gateway: counted and not refused */
        struct quota *taken = NULL;
        ck_assert(quotas_enter(quotas, &owner, true, 0, &taken, &refusal));
        quota_leave(&taken);
    }
    quotas_free(quotas);
}
END_TEST

TEST_PROGRAM("quotas", so_many_sessions_at_a_time, so_many_a_second_and_a_burst, all_scopes_or_none,
             the_quiet_are_remembered_and_bounded)
