/* The end of a gateway in good order: unready first, then its clients are moved away at a pace,
 * then it is over.
 *
 *      begin -> GRACE   unready; nobody new is let in, those who are here go on (load balancers
 * notice meanwhile)
 *            -> MOVING  so many clients a second are sent away; they come back elsewhere and
 * continue
 *            -> LEAVING nobody is left: no more connections, what is written still goes out
 *
 * Clients that are here shortly before the time limit are sent away regardless of the pace. */
#ifndef GATEWAY_INFRA_GATEWAY_DRAIN_H
#define GATEWAY_INFRA_GATEWAY_DRAIN_H

#include "engineio_server.h"
#include "lws_server.h"
#include "wire_client.h"

enum { GATEWAY_STREAMS = 2 }; /* adapters whose connections are sessions: wire_client.h */

/* Clients that may go now. Unused time is not saved up. */
struct drain_pace {
    unsigned per_second; /* 0: all at once */
    int64_t last_ms;
    int64_t credit; /* thousandths of a client */
};

unsigned drain_pace_take(struct drain_pace *pace, int64_t now_ms);

enum drain_state { DRAIN_NONE, DRAIN_GRACE, DRAIN_MOVING, DRAIN_LEAVING };

struct gateway_drain {
    struct engineio_server *engineio; /* this and what follows is set by the owner, borrowed */
    struct wire_clients *streams[GATEWAY_STREAMS];
    size_t stream_count;
    struct http_server *http;
    struct lws_server *sockets;
    int64_t grace_ms, limit_ms;
    struct drain_pace pace;
    enum drain_state state; /* what follows is private */
    int64_t grace_until_ms, force_ms, until_ms;
};

/* Once. */
void gateway_drain_begin(struct gateway_drain *drain, int64_t now_ms);
static inline bool gateway_drain_is_on(const struct gateway_drain *drain)
{
    return drain->state != DRAIN_NONE;
}
/* At the end of each turn. True: it is over. */
bool gateway_drain_run(struct gateway_drain *drain, int64_t now_ms);
/* When gateway_drain_run() is due. */
int64_t gateway_drain_deadline_ms(const struct gateway_drain *drain);

#endif
