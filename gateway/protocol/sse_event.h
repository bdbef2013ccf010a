/* Server-sent events (HTML standard, section 9.2): the writer of a text/event-stream, and where a
 * returning EventSource says how far it came. Not the HTTP stream around it (http_response.h). */
#ifndef GATEWAY_PROTOCOL_SSE_EVENT_H
#define GATEWAY_PROTOCOL_SSE_EVENT_H

#include "buffer.h"
#include "http_request.h"

/* The part of an event that all sessions share: "event: name\ndata: ...\n", the data split at its
 * line ends. name: empty means "message"; without line ends. */
void sse_append_body(struct buffer *out, struct bytes name, struct bytes data);

/* The same in two steps, for data that is one JSON value and is appended between them. Where it has
 * line ends, which can only stand between its tokens, it gets spaces, and is one line. */
void sse_begin_body(struct buffer *out, struct bytes name);
void sse_end_body(struct buffer *out, size_t data_size);

/* One of a room's history: the event `history`, whose data is {room, event, data}. `data` is a JSON
 * value of one line. */
void sse_append_history(struct buffer *out, struct bytes room, struct bytes event,
                        struct bytes data);

/* One item of a room's state, {event, data}, behind those that are in the list already. */
void sse_append_item(struct buffer *list, struct bytes event, struct bytes data);
/* A chunk of it: the event `state`, whose data is {room, first, items}. */
void sse_append_state(struct buffer *out, struct bytes room, bool first, struct bytes items);

/* The part that is a session's own, and the end of the event: "id: cursor\n\n", or just "\n" if
 * there is no cursor. The cursor has no line end and no NUL (sse_id_is_valid()). */
void sse_append_tail(struct buffer *out, struct bytes cursor);
static inline size_t sse_tail_size(size_t cursor_size)
{
    return cursor_size ? cursor_size + 6 : 1;
}

/* A bare "id:", which moves the client's last event id and raises no event. */
void sse_append_cursor(struct buffer *out, struct bytes cursor);

/* ": text": a comment, which keeps proxies from cutting an idle stream. */
void sse_append_comment(struct buffer *out, struct bytes text);

/* "retry: 3000": the client's reconnection delay. */
void sse_append_retry(struct buffer *out, uint32_t delay_ms);

/* Without NUL, CR and LF. */
bool sse_id_is_valid(struct bytes id);

/* Where a returning client stands: the Last-Event-ID field, else the query's lastEventId (for
 * clients that cannot set fields), decoded into `scratch` if need be. False: none. */
bool sse_last_event_id(const struct http_request *request, struct buffer *scratch,
                       struct bytes *id);

#endif
