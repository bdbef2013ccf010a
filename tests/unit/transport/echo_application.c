#include "echo_application.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

struct echo echo;

static void *opened(void *application, struct engineio_session *session, int64_t now_ms)
{
    (void)application, (void)now_ms;
    echo.session = session;
    echo.to_pull = 0;
    return session;
}

static void message(void *connection, struct bytes data, bool binary, int64_t now_ms)
{
    (void)now_ms;
    if (bytes_equal(data, BYTES_LITERAL("close")))
        engineio_session_close(connection);
    else
        engineio_session_send(connection, binary, &data, 1);
}

static bool pull(void *connection, struct engineio_writer *writer, int64_t now_ms)
{
    (void)connection, (void)now_ms;
    static uint8_t filler[8192];
    memset(filler, 'x', sizeof(filler));
    while (echo.to_pull && engineio_writer_has_room(writer)) {
        char number[16];
        snprintf(number, sizeof(number), "n%u", echo.to_pull--);
        struct bytes parts[] = {bytes_of_string(number), bytes_of(filler, echo.pull_size)};
        engineio_writer_text(writer, parts, 2);
    }
    return echo.to_pull > 0;
}

static void closed(void *connection, enum engineio_close reason, int64_t now_ms)
{
    (void)connection, (void)now_ms;
    echo.last_close = reason;
    echo.closes++;
}

const struct engineio_application_ops echo_ops = {
    .opened = opened, .message = message, .pull = pull, .closed = closed};

void echo_open_polling(void)
{
    snprintf(echo.url, sizeof(echo.url), "/engine.io/?EIO=4&transport=polling&sid=%s",
             fake_handshake(echo.sid));
}

struct fake_wire *echo_open_websocket(void)
{
    struct fake_wire *wire = fake_upgrade("/engine.io/?EIO=4&transport=websocket", NULL);
    const char *frames = fake_frames(wire);
    ck_assert_msg(strncmp(frames, "0{\"sid\":\"", 9) == 0, "%s", frames);
    ck_assert_ptr_nonnull(strstr(frames, "\"upgrades\":[]"));
    return wire;
}

struct fake_wire *echo_open_probe(void)
{
    char target[160];
    snprintf(target, sizeof(target), "/engine.io/?EIO=4&transport=websocket&sid=%s", echo.sid);
    return fake_upgrade(target, NULL);
}
