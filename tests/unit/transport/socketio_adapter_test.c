#include "socketio_adapter.h"

#include <stdio.h>

#include "adapter_fixture.h"
#include "suite.h"

/* Frames since the last call, with cursors (the last argument of each event) masked. */
static const char *frames(struct fake_wire *wire)
{
    static char text[sizeof(world.text)];
    const char *from = fake_frames(wire);
    char *to = text;
    while (*from) {
        const char *end = strchr(from, '|'), *cursor = NULL;
        if (!end)
            end = from + strlen(from);
        if (strncmp(from, "42", 2) == 0)
            for (const char *at = from; at < end; at++)
                if (strncmp(at, ",\"", 2) == 0)
                    cursor = at;
        int size = cursor ? (int)(cursor - from) : (int)(end - from);
        to += sprintf(to, "%.*s%s", size, from, cursor ? ",<cursor>]" : "");
        if (*end)
            *to++ = *end++;
        from = end;
    }
    *to = '\0';
    return text;
}

static struct fake_wire *open_connected(void)
{
    struct fake_wire *wire = fake_upgrade("/socket.io/?EIO=4&transport=websocket", NULL);
    fake_frame(wire, "40{\"token\":\"good\"}");
    fake_turn();
    ck_assert_ptr_nonnull(strstr(fake_frames(wire), "40{\"sid\":\""));
    return wire;
}

static const char *ask(struct fake_wire *wire, const char *text)
{
    fake_frame(wire, text);
    fake_turn();
    return frames(wire);
}

#define NOTIFICATION(room, n)                                            \
    "{\"id\":\"n\",\"time\":\"2026-01-01T00:00:00Z\",\"rooms\":[\"" room \
    "\"],\"taskStatus\":{\"status\":\"progress\",\"data\":{\"n\":" n "}}}"
#define PAST(room, n)                  \
    "42[\"history\",{\"room\":\"" room \
    "\",\"event\":\"task.status\",\"data\":" NOTIFICATION(room, n) "},<cursor>]"
#define SUBSCRIBED(room) "42[\"subscribed\",{\"room\":\"" room "\"},<cursor>]"

START_TEST(the_confirmation_comes_before_the_ack)
{
    fixture_start(false);
    struct fake_wire *wire = open_connected();
    ck_assert_str_eq(ask(wire, "421[\"subscribe\",\"task:42\"]"),
                     SUBSCRIBED("task:42") "|431[{\"ok\":true}]");
    fixture_publish("task:42", true);
    ck_assert_str_eq(frames(wire), "42[\"task.status\"," NOTIFICATION("task:42", "1") ",<cursor>]");
    ck_assert_str_eq(ask(wire, "422[\"unsubscribe\",{\"room\":\"task:42\"}]"),
                     "42[\"unsubscribed\",{\"room\":\"task:42\"},<cursor>]|432[{\"ok\":true}]");
    ck_assert_str_eq(ask(wire, "423[\"subscribe\",\"secret:1\"]"),
                     "433[{\"ok\":false,\"error\":{\"code\":\"not_allowed\",\"message\":"
                     "\"the token does not allow this\"}}]");
    fixture_stop();
}
END_TEST

START_TEST(history_comes_before_the_confirmation)
{
    fixture_start(false);
    struct fake_wire *wire = open_connected();
    for (int i = 0; i < 3; i++)
        fixture_publish("task:42", true);
    ck_assert_str_eq(
        ask(wire, "421[\"subscribe\",\"task:42\",{\"last\":2}]"),
        PAST("task:42", "2") "|" PAST("task:42", "3") "|" SUBSCRIBED(
            "task:42") "|431[{\"ok\":true,\"history\":{\"count\":2,\"complete\":true}}]");
    ck_assert_str_eq(ask(wire, "422[\"subscribe\",{\"room\":\"task:43\"},{\"since\":1e3}]"),
                     "432[{\"ok\":false,\"error\":{\"code\":\"bad_history\",\"message\":"
                     "\"`since` is a time, `last` a number; one of them is needed\"}}]");
    ck_assert_str_eq(
        ask(wire,
            "423[\"subscribe\",\"task:42\",{\"since\":\"1970-01-01T00:00:00.001Z\",\"last\":1}]"),
        PAST("task:42", "3") "|" SUBSCRIBED(
            "task:42") "|433[{\"ok\":true,\"history\":{\"count\":1,\"complete\":true}}]");
    ck_assert_str_eq(
        ask(wire, "424[\"subscribe\",\"task:42\",{\"since\":2.5}]"),
        SUBSCRIBED("task:42") "|434[{\"ok\":true,\"history\":{\"count\":0,\"complete\":"
                              "true}}]");
    ck_assert_str_eq(ask(wire, "425[\"subscribe\",\"task:42\",null]"),
                     SUBSCRIBED("task:42") "|435[{\"ok\":true}]");
    fixture_publish("task:42", true);
    ck_assert_str_eq(frames(wire), "42[\"task.status\"," NOTIFICATION("task:42", "4") ",<cursor>]");
    fixture_stop();
}
END_TEST

#define ITEM(room, n, item)                                                                \
    "{\"event\":\"task.status\",\"data\":{\"id\":\"n\",\"time\":\"2026-01-01T00:00:00Z\"," \
    "\"rooms\":[\"" room "\"],\"item\":{\"key\":\"" item                                   \
    "\"},\"taskStatus\":{\"status\":\"progress\",\"data\":{\"n\":" n "}}}}"
#define STATE(room, first, items) \
    "42[\"state\",{\"room\":\"" room "\",\"first\":" first ",\"items\":[" items "]},<cursor>]"

START_TEST(state_comes_in_chunks_before_the_confirmation)
{
    fixture_start(false);
    struct fake_wire *wire = open_connected();
    fixture_publish_item("task:42", "a", false);
    fixture_publish_item("task:42", "b", false);
    fixture_publish_item("task:42", "a", false);
    fixture_publish_item("task:42", "c", false);
    fixture_publish_item("task:42", "d", false);
    fixture_publish_item("task:42", "d", true);
    size_t writes = wire->writes;
    ck_assert_str_eq(
        ask(wire, "421[\"subscribe\",\"task:42\",{\"state\":true}]"),
        STATE("task:42", "true", ITEM("task:42", "2", "b") "," ITEM("task:42", "3", "a")) "|" STATE(
            "task:42", "false",
            ITEM("task:42", "4",
                 "c")) "|" SUBSCRIBED("task:42") "|431[{\"ok\":true,\"state\":{\"count\":3,"
                                                 "\"complete\":true,\"since\":0}}]");
    ck_assert_uint_eq(wire->writes, writes + 3); /* what is not taken of one is copied for it */
    ck_assert_str_eq(ask(wire, "422[\"subscribe\",{\"room\":\"task:43\"},{\"state\":true}]"),
                     STATE("task:43", "true", "") "|" SUBSCRIBED(
                         "task:43") "|432[{\"ok\":true,\"state\":{\"count\":0,\"complete\":"
                                    "true,\"since\":0}}]");
    ck_assert_str_eq(ask(wire, "423[\"subscribe\",\"task:42\",{\"state\":true,\"last\":2}]"),
                     "433[{\"ok\":false,\"error\":{\"code\":\"bad_state\",\"message\":"
                     "\"`state` is true, and goes with neither `since` nor `last`\"}}]");
    fixture_stop();
}
END_TEST

/* --- who asks and does not read */

static const struct engineio_stats *engineio(void)
{
    return engineio_server_stats(socketio_engineio(world.socketio));
}

static void check_ended(void)
{
    ck_assert_uint_eq(hub_stats(fixture.hub)->overflowed, 1);
    ck_assert_uint_eq(hub_stats(fixture.hub)->sessions, 0);
    ck_assert_uint_eq(hub_stats(fixture.hub)->rooms, 0);
    ck_assert_uint_eq(engineio()->closed[ENGINEIO_CLOSE_OVERFLOW], 1);
}

#define TOO_MANY "42[\"error\",{\"code\":\"too_many_answers\",\"message\":"

START_TEST(who_posts_and_does_not_poll_is_ended)
{
    enum { PACKETS = 9999 };
    static char body[PACKETS * 32];
    char sid[64], url[192];
    const char *const packets[] = {"42[\"subscribe\",\"task:1\"]",
                                   "42[\"unsubscribe\",\"task:9\"]"};
    for (int i = 0; i < 4; i++) {
        bool was_let_in = i < 2; /* and knows it: has fetched the answer to CONNECT */
        fixture_hub.answers = 1024;
        fixture_hub.answer_bytes = 1 << 20;
        fixture_start(false);
        body[0] = '\0';
        for (char *at = body; at < body + (size_t)PACKETS * 25; at += strlen(at))
            sprintf(at, "%s%s", at > body ? "\x1e" : "", packets[i % 2]);
        snprintf(url, sizeof(url), "/socket.io/?EIO=4&transport=polling&sid=%s",
                 fake_handshake(sid));
        fake_ask("POST", url, "40{\"token\":\"good\"}", 200);
        if (was_let_in)
            fake_ask("GET", url, NULL, 200);
        for (int j = 0; j < 4; j++)
            fake_ask("POST", url, body, 200);
        ck_assert_uint_eq(hub_stats(fixture.hub)->sessions, 0); /* before it polls, if ever */
        ck_assert_ptr_nonnull(strstr(fake_ask("GET", url, NULL, 200), TOO_MANY));
        ck_assert_str_eq(fake_ask("GET", url, NULL, 200), "6\x1e"
                                                          "1");
        fake_ask("GET", url, NULL, 400);
        check_ended();
        fixture_stop();
    }
}
END_TEST

/* Answers of the gateway itself, not of the domain. */
START_TEST(who_lets_the_queue_run_over_is_told_why)
{
    char sid[64], url[192];
    static char body[9000 * 16];
    const char *answer = "";
    int polls = 0;
    fixture_start(false);
    snprintf(url, sizeof(url), "/socket.io/?EIO=4&transport=polling&sid=%s", fake_handshake(sid));
    fake_ask("POST", url, "40{\"token\":\"good\"}", 200);
    fake_ask("GET", url, NULL, 200);
    body[0] = '\0';
    for (char *at = body; at < body + (size_t)9000 * 15; at += strlen(at))
        sprintf(at, "%s421[\"nothing\"]", at > body ? "\x1e" : "");
    fake_ask("POST", url, body, 200);
    fake_ask("POST", url, body, 200);
    for (; polls < 1000 && !strstr(answer, TOO_MANY); polls++)
        answer = fake_ask("GET", url, NULL, 200);
    ck_assert_int_lt(polls, 1000);
    ck_assert_ptr_null(strstr(strstr(answer, TOO_MANY), "\x1e")); /* it is the last, */
    ck_assert_str_eq(fake_ask("GET", url, NULL, 200), "6\x1e"     /* and the end follows */
                                                      "1");
    fake_ask("GET", url, NULL, 400);
    ck_assert_uint_eq(engineio()->closed[ENGINEIO_CLOSE_OVERFLOW], 1);
    fixture_stop();
}
END_TEST

START_TEST(who_writes_to_a_websocket_and_does_not_read_is_ended)
{
    fixture_start(false);
    struct fake_wire *wire = open_connected();
    wire->full = true;
    for (int i = 0; i < 200; i++)
        fake_frame(wire, "42[\"unsubscribe\",\"task:9\"]");
    ck_assert_uint_eq(hub_stats(fixture.hub)->sessions, 0);
    fake_drain(wire);
    fake_turn();
    const char *all = fake_frames(wire), *last = strstr(all, TOO_MANY);
    ck_assert_msg(last != NULL, "%s", all);
    ck_assert_ptr_nonnull(strstr(last, "<close 1008>"));
    check_ended();
    fixture_stop();
}
END_TEST

START_TEST(who_is_refused_is_told_why)
{
    fixture_start(false);
    struct fake_wire *wire = fake_upgrade("/socket.io/?EIO=4&transport=websocket", NULL);
    fake_frames(wire);
    ck_assert_str_eq(
        ask(wire, "40"),
        "44{\"message\":\"there is no token: bring one in `auth.token` or the "
        "Authorization field\",\"data\":{\"code\":\"token_missing\",\"message\":\"there "
        "is no token: bring one in `auth.token` or the Authorization field\"}}");
    ck_assert_str_eq(
        ask(wire, "40{\"token\":\"tenantless\"}"),
        "44{\"message\":\"the token says no tenant, which its rooms depend on (claim "
        "\\\"tenant\\\")\",\"data\":{\"code\":\"tenant_missing\",\"message\":\"the token says "
        "no tenant, which its rooms depend on (claim \\\"tenant\\\")\"}}");
    ck_assert_ptr_nonnull(strstr(ask(wire, "40{\"token\":\"good\"}"), "40{\"sid\":\""));
    fixture_stop();
}
END_TEST

START_TEST(an_end_is_told_before_it_comes)
{
    fixture_start(false);
    struct fake_wire *wire = fake_upgrade("/socket.io/?EIO=4&transport=websocket", NULL);
    fake_frame(wire, "40{\"token\":\"soon\"}");
    fake_turn();
    for (int i = 0; i < 15 && !wire->closed; i++) {
        fake_frames(wire);
        fake_pass(100);
        if (!wire->closed)
            fake_frame(wire, "3");
    }
    ck_assert_str_eq(fake_frames(wire),
                     "42[\"error\",{\"code\":\"token_expired\",\"message\":\"the token has "
                     "expired\"}]|<close 1013>");
    fixture_stop();
}
END_TEST

#define UNSUBSCRIBED(room) \
    "42[\"unsubscribed\",{\"room\":\"" room "\",\"reason\":\"not_allowed\"},<cursor>]"
#define REFUSED(id, code, message)                                         \
    "43" id "[{\"ok\":false,\"error\":{\"code\":\"" code "\",\"message\":" \
    "\"" message "\"}}]"

/* Down, up, sideways, and another's: what the token takes is told before its answer. */
static const struct refresh {
    const char *token, *told;
    bool has_a; /* from then on */
} refreshes[] = {
    {"teams-a", UNSUBSCRIBED("team:b") "|431[{\"ok\":true}]", true},
    {"teams-ab", SUBSCRIBED("team:b") "|431[{\"ok\":true}]", true},
    {"teams-bc", UNSUBSCRIBED("team:a") "|" SUBSCRIBED("team:c") "|431[{\"ok\":true}]", false},
    {"teams-bc", "431[{\"ok\":true}]", false},
    {"other",
     REFUSED("1", "other_principal", "the token is another user's or tenant's than the session"),
     false},
    {"teams-", UNSUBSCRIBED("team:b") "|" UNSUBSCRIBED("team:c") "|431[{\"ok\":true}]", false},
    {"teams-ab", SUBSCRIBED("team:a") "|" SUBSCRIBED("team:b") "|431[{\"ok\":true}]", true},
};
enum { REFRESHES = sizeof(refreshes) / sizeof(refreshes[0]) };

START_TEST(a_fresh_token_takes_and_gives_rooms)
{
    fixture_start(false);
    struct fake_wire *wire = fake_upgrade("/socket.io/?EIO=4&transport=websocket", NULL);
    fake_frame(wire, "40{\"token\":\"teams-ab\"}");
    fake_turn();
    fake_frames(wire);
    for (unsigned i = 0; i < REFRESHES; i++) {
        char text[64];
        snprintf(text, sizeof(text), "421[\"token\",\"%s\"]", refreshes[i].token);
        ck_assert_str_eq(ask(wire, text), refreshes[i].told);
        fixture_publish("team:a", true);
        ck_assert_int_eq(strlen(frames(wire)) > 0, refreshes[i].has_a);
    }
    /* What was published while the room was open comes, before it is told; nothing after it. */
    fixture_publish("team:b", false);
    fake_frame(wire, "422[\"token\",\"teams-a\"]");
    fixture_publish("team:b", false);
    fake_turn();
    const char *told = frames(wire),
               *lost = strstr(told, UNSUBSCRIBED("team:b") "|432[{\"ok\":true}]");
    ck_assert_msg(lost != NULL, "%s", told);
    ck_assert_ptr_null(strstr(lost, "task.status"));
    ck_assert_str_eq(ask(wire, "423[\"subscribe\",\"team:b\"]"),
                     REFUSED("3", "not_allowed", "the token does not allow this"));
    fixture_stop();
}
END_TEST

/* By long-polling. */
START_TEST(a_fresh_token_is_told_to_who_polls)
{
    char sid[64], url[128];
    fixture_start(false);
    snprintf(url, sizeof(url), "/socket.io/?EIO=4&transport=polling&sid=%s", fake_handshake(sid));
    fake_ask("POST", url, "40{\"token\":\"teams-ab\"}", 200);
    fake_ask("GET", url, NULL, 200);
    fake_ask("POST", url, "421[\"token\",\"teams-bc\"]", 200);
    const char *told = fake_ask("GET", url, NULL, 200);
    const char *lost =
        strstr(told, "42[\"unsubscribed\",{\"room\":\"team:a\",\"reason\":\"not_allowed\"}");
    const char *given = strstr(told, "42[\"subscribed\",{\"room\":\"team:c\"}");
    const char *ack = strstr(told, "431[{\"ok\":true}]");
    ck_assert_msg(lost && given > lost && ack > given, "%s", told);
    fake_ask("POST", url, "1", 200);
    fixture_stop();
}
END_TEST

TEST_PROGRAM("socketio_adapter", a_fresh_token_takes_and_gives_rooms,
             a_fresh_token_is_told_to_who_polls, who_posts_and_does_not_poll_is_ended,
             who_lets_the_queue_run_over_is_told_why,
             who_writes_to_a_websocket_and_does_not_read_is_ended, who_is_refused_is_told_why,
             an_end_is_told_before_it_comes, the_confirmation_comes_before_the_ack,
             history_comes_before_the_confirmation, state_comes_in_chunks_before_the_confirmation)
