/* What becomes of sessions, told to whoever writes it down: opened, in a room, closed. Sessions
 * that are refused are refusals.h's. Not a log. */
#ifndef GATEWAY_DOMAIN_ACCESS_H
#define GATEWAY_DOMAIN_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

struct session;

enum access_kind {
    ACCESS_OPENED, /* its client is told so in this turn */
    ACCESS_JOINED, /* likewise: a room that it asked for */
    ACCESS_CLOSED, /* after ACCESS_OPENED, once */
};

struct access_note {
    enum access_kind kind;
    const struct session *session; /* hub.h has whose it is */
    bool recovered;                /* OPENED: it goes on where it was */
    uint32_t rooms;                /* OPENED, CLOSED: that it is in */
    struct bytes room;             /* JOINED */
    const char *reason;            /* CLOSED: why the gateway ended it; NULL: its client, or the
                                      connection, did. OPENED: why it is not recovered; NULL: it is,
                                      or did not ask */
    uint64_t notifications;        /* CLOSED: that it was given */
    int64_t lasted_ms;             /* CLOSED */
};

/* Borrowed for the hub's life; NULL functions: nobody asks. */
struct access_port {
    void (*told)(void *context, const struct access_note *note);
    void *context;
};

#endif
