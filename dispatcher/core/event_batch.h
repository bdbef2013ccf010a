/* The events of a record: the record itself, or each event of a batch of CloudEvents (JSON batch
 * format, `application/cloudevents-batch+json`). Not a judgement: what is wrong with one of them is
 * found where it is read.
 *
 *     struct event_batch events;
 *     event_batch_open(&events, &record, &limits, &arena);
 *     while (event_batch_next(&events))
 *         pipeline_process(..., &events.event, ...);
 *
 * An event of a batch is a record like the batch's, with the event for its value and the content
 * type of a single CloudEvent: so it is a CloudEvent in structured mode for everybody, and so is a
 * dead letter of it. A batch that is none, or has too many events, is one record with a fault. One
 * without events is one that is no event (event_is_tombstone()). */
#ifndef DISPATCHER_CORE_EVENT_BATCH_H
#define DISPATCHER_CORE_EVENT_BATCH_H

#include "arena.h"
#include "event.h"
#include "json.h"

struct event_batch_limits {
    size_t bytes;    /* a larger record is not looked into: it is refused as it is */
    unsigned events; /* more are a fault */
};

struct event_batch {
    struct record event; /* the one at hand */
    /* private: */
    struct json_scanner scanner;
    unsigned rest; /* events that are still to come */
    struct error fault;
};

/* What the events have of the record is borrowed from it; `arena` holds what they share. An event
 * may be used until the batch's memory ends. */
void event_batch_open(struct event_batch *events, const struct record *record,
                      const struct event_batch_limits *limits, struct arena *arena);

/* False: there is no further one. */
bool event_batch_next(struct event_batch *events) MUST_CHECK;

#endif
