/* A gateway's core for tests of the adapters: hub, a lane source of arrays, and somebody who knows
 * tokens, around the fake wires. Time is the fake world's;
 * wall-clock time is the same. */
#ifndef TESTS_UNIT_TRANSPORT_ADAPTER_FIXTURE_H
#define TESTS_UNIT_TRANSPORT_ADAPTER_FIXTURE_H

#include "fake_wire.h"
#include "socketio_adapter.h"
#include "sse_adapter.h"
#include "websocket_adapter.h"

/* Tokens: "good" is usr_1 of acme, "other" usr_2, "soon" usr_1 for one second; "tenantless" usr_1
 * of nobody; "teams-ab" usr_1 with the rooms team:a and team:b, and so on; "bad" is refused, "trouble" is ours, and about "late" it is told by fixture_decide().
 */
struct adapter_fixture {
    struct hub *hub;
    struct websocket_adapter *websocket;
    struct sse_adapter *sse;
    struct socketio_adapter *socketio;
    struct identity_waiter *asked; /* about "late" */
    bool review_closed;            /* the lanes of reviews do not open */
    bool all_closed;               /* no lane does */
    unsigned opened;               /* lanes, ever */
    int64_t published;             /* in the tenant's lane */
};
extern struct adapter_fixture fixture;

/* Settings, to be changed before fixture_start() and good for one. */
extern struct websocket_adapter_config fixture_websocket;
extern struct sse_adapter_config fixture_sse;
extern struct hub_config fixture_hub;

void fixture_start(bool byte_by_byte);
/* Ends everything; who is still connected is cut. */
void fixture_stop(void);
/* A notification for a room of acme, {"n":1} and so on in its data; takes effect with the next turn
 * if `turn`. */
void fixture_publish(const char *room, bool turn);
/* The same about an item, or that it is taken out. */
void fixture_publish_item(const char *room, const char *key, bool removed);
/* The same with a custom event. */
void fixture_emit(const char *room, const char *event);
/* Who "late" is. */
void fixture_decide(bool known);
/* Lanes cannot be read any more, or again. */
void fixture_set_stale(bool stale);

/* The text with what differs from run to run replaced: cursors by <cursor>, <same cursor> if it is
 * the last one, sessions by <session>, sids by <sid>, ids of streams by <id>. In world.text. */
const char *fixture_mask(const char *text);
/* The last cursor, session, or id of a stream that was masked. */
extern char fixture_cursor[1024], fixture_session[1024], fixture_id[2048];

#endif
