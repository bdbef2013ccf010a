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
                     "\"not_allowed\"}}]");
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
                     "\"bad_history\"}}]");
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

TEST_PROGRAM("socketio_adapter", the_confirmation_comes_before_the_ack,
             history_comes_before_the_confirmation)
