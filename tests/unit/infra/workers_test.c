/* Worker processes of one gateway: their settings, what they show each other, and how often one
 * that dies is started. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "scoreboard.h"
#include "suite.h"
#include "supervisor.h"
#include "worker_settings.h"

enum { WORKERS = 4, SECOND_MS = 1000 };

static char secret[] = "configured-secret-0123456789abcdef";

START_TEST(shares_are_the_whole_and_never_no_limit)
{
    struct gateway_settings whole = {.workers = WORKERS,
                                     .sessions = 1002,
                                     .connections = 0, /* no limit */
                                     .accepts_per_second = 2,
                                     .drain_per_second = 3};
    struct worker_common common = {.port = 8080};
    int64_t sessions = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        struct gateway_settings one = worker_settings(&whole, &common, i);
        sessions += one.sessions;
        ck_assert_int_eq(one.connections, 0);
        ck_assert_int_eq(one.drain_per_second, 1);
        ck_assert_int_eq(one.accepts_per_second, 1);
        ck_assert_int_eq(one.port, 8080);
        ck_assert(one.share_port);
    }
    ck_assert_int_eq(sessions, 1002);
}
END_TEST

START_TEST(connections_are_counted_from_the_settings)
{
    struct gateway_settings settings = {.sessions = 10000000, .peers_connections = 1000000};
    ck_assert_uint_eq(gateway_settings_connections(&settings), 20000000);
    ck_assert_uint_eq(gateway_settings_peer_connections(&settings), 0);
    settings.connections = 300;
    settings.peers_secret = secret;
    ck_assert_uint_eq(gateway_settings_connections(&settings), 300);
    ck_assert_uint_eq(gateway_settings_peer_connections(&settings), 2000000);
}
END_TEST

START_TEST(workers_without_a_secret_know_each_other_only)
{
    struct gateway_settings whole = {.workers = WORKERS, .peers_port = 8081};
    struct worker_common common = {.peers_secret = "p", .recovery_key = "r"};
    struct gateway_settings one = worker_settings(&whole, &common, 2);
    ck_assert_str_eq(one.peers_secret, "p");
    ck_assert_str_eq(one.recovery_keys, "r");
    ck_assert_str_eq(one.peers_address, "127.0.0.1");
    ck_assert_str_eq(one.peers_networks.items[0], "127.0.0.1/32");
    ck_assert_int_eq(one.peers_port, 0);
}
END_TEST

START_TEST(workers_with_a_secret_are_peers_of_all)
{
    struct gateway_settings whole = {.workers = WORKERS,
                                     .peers_secret = secret,
                                     .peers_address = secret,
                                     .token_secret = secret,
                                     .peers_port = 8081};
    struct worker_common common = {.peers_secret = "p", .recovery_key = "r"};
    struct gateway_settings one = worker_settings(&whole, &common, 2);
    ck_assert_ptr_eq(one.peers_secret, secret);
    ck_assert_ptr_eq(one.peers_address, secret);
    ck_assert_ptr_null(one.recovery_keys);
    ck_assert_int_eq(one.peers_port, 8083);
    whole.peers_port = 0;
    ck_assert_int_eq(worker_settings(&whole, &common, 2).peers_port, 0);
}
END_TEST

START_TEST(delays_grow_to_their_limit)
{
    ck_assert_int_eq(supervisor_delay_ms(0), 100);
    ck_assert_int_eq(supervisor_delay_ms(1), 200);
    ck_assert_int_eq(supervisor_delay_ms(6), 6400);
    ck_assert_int_eq(supervisor_delay_ms(7), SUPERVISOR_DELAY_MOST_MS);
    ck_assert_int_eq(supervisor_delay_ms(1000000), SUPERVISOR_DELAY_MOST_MS);
}
END_TEST

/* What a worker counts, and the series of which they are shown. */
struct counting {
    struct metrics *metrics;
    struct metric_counter *events;
    struct metric_gauge *sessions, *up;
    struct metric_histogram *ages;
};

static struct counting counting_new(void)
{
    struct counting counting = {.metrics = metrics_new()};
    counting.events = metrics_counter(counting.metrics, "events_total", "e", NULL);
    counting.sessions = metrics_gauge(counting.metrics, "sessions", "s", NULL, 1);
    counting.up = metrics_gauge(counting.metrics, "up", "u", NULL, 1);
    counting.ages =
        metrics_histogram(counting.metrics, "age_seconds", "a", NULL, &metric_buckets_count);
    metrics_show_least(counting.metrics, "up");
    return counting;
}

/* As a process that has counted this tells it. */
static void tell(const struct scoreboard_slot *slot, uint64_t events, int64_t sessions, int64_t up)
{
    struct counting own = counting_new();
    uint64_t *base = scoreboard_base(slot, metrics_count(own.metrics));
    metric_counter_add(own.events, events);
    metric_gauge_set(own.sessions, sessions);
    metric_gauge_set(own.up, up);
    metric_histogram_observe(own.ages, 3);
    scoreboard_tell(slot, SECOND_MS, up != 0, own.metrics, base);
    free(base);
    metrics_free(own.metrics);
}

static void expect_sum(const struct scoreboard *scoreboard, uint64_t events, int64_t sessions,
                       int64_t up, unsigned ages)
{
    struct counting total = counting_new();
    auto_buffer struct buffer text = {0};
    char expected[64];
    scoreboard_sum(scoreboard, total.metrics);
    ck_assert_uint_eq(total.events->value, events);
    ck_assert_int_eq(total.sessions->value, sessions);
    ck_assert_int_eq(total.up->value, up);
    metrics_render(total.metrics, &text);
    buffer_append_byte(&text, '\0');
    snprintf(expected, sizeof(expected), "age_seconds_sum %u\nage_seconds_count %u\n", 3 * ages,
             ages);
    ck_assert_ptr_nonnull(strstr((const char *)buffer_peek(&text).data, expected));
    metrics_free(total.metrics);
}

START_TEST(a_sum_is_of_all_and_never_falls)
{
    struct scoreboard *scoreboard = scoreboard_new(2);
    struct scoreboard_slot first = {scoreboard, 0}, second = {scoreboard, 1};
    expect_sum(scoreboard, 0, 0, 0, 0);
    tell(&first, 10, 5, 1);
    expect_sum(scoreboard, 10, 5, 1, 1);
    tell(&second, 20, 7, 0);
    expect_sum(scoreboard, 30, 12, 0, 2);
    scoreboard_gone(&second); /* its gauges are gone, what it counted is not */
    expect_sum(scoreboard, 30, 5, 1, 2);
    tell(&second, 1, 2, 1); /* another process in its place */
    expect_sum(scoreboard, 31, 7, 1, 3);
    scoreboard_free(scoreboard);
}
END_TEST

START_TEST(processes_share_what_they_tell)
{
    struct scoreboard *scoreboard = scoreboard_new(2);
    struct scoreboard_slot other = {scoreboard, 1};
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        tell(&other, 4, 2, 1);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(scoreboard_is_up(&other));
    expect_sum(scoreboard, 4, 2, 1, 1);
    scoreboard_free(scoreboard);
}
END_TEST

START_TEST(who_hangs_and_who_is_not_ready_is_seen)
{
    struct scoreboard *scoreboard = scoreboard_new(3);
    struct scoreboard_slot ready = {scoreboard, 0}, unready = {scoreboard, 2};
    struct scoreboard_state state = scoreboard_look(scoreboard, SECOND_MS);
    ck_assert_uint_eq(state.up, 0);
    ck_assert_int_eq(state.first_unready, -1); /* who is not there is not unready */
    tell(&ready, 0, 0, 1);
    tell(&unready, 0, 0, 0);
    state = scoreboard_look(scoreboard, SECOND_MS + SCOREBOARD_STUCK_MS);
    ck_assert_uint_eq(state.up, 2);
    ck_assert_int_eq(state.first_unready, 2);
    ck_assert_int_eq(state.first_lazy, -1);
    state = scoreboard_look(scoreboard, SECOND_MS + SCOREBOARD_STUCK_MS + 1);
    ck_assert_int_eq(state.first_lazy, 0);
    scoreboard_free(scoreboard);
}
END_TEST

TEST_PROGRAM("workers", shares_are_the_whole_and_never_no_limit,
             connections_are_counted_from_the_settings,
             workers_without_a_secret_know_each_other_only, workers_with_a_secret_are_peers_of_all,
             delays_grow_to_their_limit, a_sum_is_of_all_and_never_falls,
             processes_share_what_they_tell, who_hangs_and_who_is_not_ready_is_seen)
