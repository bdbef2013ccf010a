/* Events of clients on their way to the backend: whether a session may send this one now, and the
 * port to whatever takes it (kafka/kafka_outlet over a topic, an array in tests). The same for
 * every transport. Not here: how an event and its answer look on the wire.
 *
 * Commands about reviews (review.claim, review.release, review.decide) go to the log of reviews, if
 * there is one: from the room of their queue, and no others; of a session with a user; with a payload
 * of REVIEW_COMMAND_LIMIT bytes that dispatchers can read (review_command.h).
 *
 * An event is answered when the broker has it. A client that hears no answer sends it again
 * with the same id; consumers drop what they have seen (hazards 27). */
#ifndef GATEWAY_TRANSPORT_CLIENT_EVENTS_H
#define GATEWAY_TRANSPORT_CLIENT_EVENTS_H

#include "bytes.h"
#include "hub.h"
#include "status.h"

/* --- The port */

/* What the backend gets. Borrowed; empty: there is none. */
struct outlet_record {
    struct bytes event;
    struct bytes payload; /* JSON as the client wrote it */
    struct bytes id;
    struct bytes
        source; /* client/{tenant}/{user}, each percent-encoded; ids are unique within it */
    struct bytes user;
    struct bytes tenant;
    struct bytes session; /* public id */
    struct bytes room;
    struct bytes traceparent;
    struct bytes tracestate;
    struct bytes review_home; /* of a command about a review: it goes to their log, by this key */
};

/* Embedded by who waits for the answer. */
struct outlet_waiter {
    /* STATUS_OK: the broker has it; STATUS_UNAVAILABLE: nobody knows; STATUS_TOO_LARGE. Never from
     * inside send(). */
    void (*done)(struct outlet_waiter *waiter, enum status status);
    void *pending; /* the outlet's */
};

struct outlet_ops {
    /* STATUS_OK: on its way. STATUS_LIMIT: too much is on its way already. */
    enum status (*send)(void *outlet, const struct outlet_record *record,
                        struct outlet_waiter *waiter);
    /* Nobody waits any more; the record goes its way. */
    void (*forget)(void *outlet, struct outlet_waiter *waiter);
};

/* --- What transports call */

struct client_events_config {
    const struct outlet_ops *outlet_ops; /* borrowed; NULL: there is no outlet, no event is known */
    void *outlet;
    size_t payload_bytes; /* of one event */
    bool has_review_log;  /* commands about reviews go there; else they are events like others */
    unsigned pending;     /* events of one session on their way */
    unsigned rate;        /* events per second of one session */
    unsigned burst;       /* and that many at once */
    void (*random)(void *random_context, uint8_t *out, size_t size);
    void *random_context;
};

struct client_events_stats {
    uint64_t sent, acknowledged, failed;
    uint64_t refused_unknown, refused_denied, refused_malformed, refused_size, refused_rate,
        refused_busy;
};

struct client_events;
struct client_events *client_events_new(const struct client_events_config *config);
/* Every sender must be empty. NULL is fine. */
void client_events_free(struct client_events *events);
const struct client_events_stats *client_events_stats(const struct client_events *events);

/* One event that is on its way; embedded by the transport, which frees it in answered(). */
struct sent_event {
    /* NULL: the broker has it; else a word: unavailable, too_large. */
    void (*answered)(struct sent_event *sent, const char *problem);
    int64_t retry_after_ms;      /* if it is refused as `rate_limited`: when to try again; else 0 */
    struct outlet_waiter waiter; /* private, as what follows */
    struct event_sender *sender;
    struct client_events *events;
    struct sent_event *prev, *next;
};

/* One session's events. Zeroed: none sent yet. */
struct event_sender {
    struct sent_event *sent;
    unsigned pending;
    uint32_t spent_milli; /* of the burst, in thousandths of an event */
    int64_t refilled_ms;
};

/* Slices of what a client sent; empty: it did not say. */
struct client_event {
    struct bytes name;    /* plain text, at most POLICY_EVENT_NAME_LIMIT bytes */
    struct bytes payload; /* raw JSON; empty: null */
    struct bytes id;      /* empty: one is made */
    struct bytes room;    /* the session must be in it */
    struct bytes traceparent;
    struct bytes tracestate;
};

/* NULL: on its way, sent->answered() follows. Else why not, a word for the client: bad_event_name,
 * unknown_event, not_allowed, bad_claims, bad_request, too_large, rate_limited, too_many_requests,
 * unavailable; then `sent` is not used, but for its retry_after_ms. */
const char *client_events_send(struct client_events *events, struct event_sender *sender,
                               const struct session *session, const struct client_event *event,
                               struct sent_event *sent, int64_t now_ms) MUST_CHECK;

/* Takes back one event that is on its way: it will not be answered. NULL: there is none left. The
 * caller frees it. For the end of a session. */
struct sent_event *client_events_take(struct event_sender *sender);

#endif
