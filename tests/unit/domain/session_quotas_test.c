/* Quotas of all sessions of a user. */
#include "returning.h"
#include "suite.h"

START_TEST(what_a_user_may_ask_for_is_bounded_over_his_sessions)
{
    static const struct quotas_config quotas = {
        .limits = {[QUOTA_USER] = {[QUOTA_SESSIONS] = 2, [QUOTA_SUBSCRIBES] = 1}},
        .burst_s = 2,
        .quiet_most = 10};
    struct gateway gateway;
    world_reset();
    world.quotas = &quotas;
    gateway_start(&gateway, NULL, access_all);
    client_connect(acme);
    ck_assert_str_eq(world.told, "fresh; ");
    struct session *first = world.session;
    world.private_id[0] = world.cursor[0] = 0;
    client_connect(acme);
    ck_assert_str_eq(world.told, "fresh; ");
    struct session *second = world.session;
    client_connect(acme);
    ck_assert_str_eq(world.told, "turned away: rate_limited; ");
    ck_assert_uint_eq(hub_stats(world.hub)->quota_refused[QUOTA_USER][QUOTA_SESSIONS], 1);
    session_close(world.session); /* who was not let in does not count */
    world.session = first;
    world.told[0] = 0;
    client_join("task:1", 1);
    client_join("task:2", 2);
    world.session = second;
    client_join("task:1", 3);
    ck_assert_str_eq(world.told, "joined task:1; joined task:2; refused task:1: rate_limited; ");
    world_turn(1000);
    client_join("task:1", 4);
    ck_assert_ptr_nonnull(strstr(world.told, "rate_limited; joined task:1; "));
    session_close(first);
    world.private_id[0] = world.cursor[0] = 0;
    client_connect(acme);
    ck_assert_str_eq(world.told, "fresh; ");
    session_close(second);
    gateway_end(&gateway);
}
END_TEST

TEST_PROGRAM("session_quotas", what_a_user_may_ask_for_is_bounded_over_his_sessions)
