/* The application of the Engine.IO server's tests: an echo that can also be made to stream and to
 * close. One session at a time. */
#ifndef TESTS_UNIT_TRANSPORT_ECHO_APPLICATION_H
#define TESTS_UNIT_TRANSPORT_ECHO_APPLICATION_H

#include "engineio_server.h"
#include "fake_wire.h"

struct echo {
    struct engineio_session *session;
    unsigned to_pull; /* so many messages, of `pull_size` bytes beside their number */
    size_t pull_size;
    unsigned closes; /* sessions that have ended, and how the last one did */
    enum engineio_close last_close;
    char sid[64], url[128]; /* of the session that echo_open_polling() has opened */
};

extern struct echo echo;
extern const struct engineio_application_ops echo_ops;

void echo_open_polling(void);
struct fake_wire *echo_open_websocket(void);
struct fake_wire *echo_open_probe(void);

#define BOTH_FEEDS(body)                               \
    for (int bytewise = 0; bytewise < 2; bytewise++) { \
        fake_start(&echo_ops, bytewise);               \
        echo.closes = 0;                               \
        body;                                          \
        fake_stop();                                   \
    }

#endif
