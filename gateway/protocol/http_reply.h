/* A reader of HTTP/1.1 answers, for the connections between gateways: fed bytes, it gives whole
 * answers. Not for the answers of strangers: only what http_response.h writes is understood, a
 * status line, fields and a body of a stated length. Everything else is malformed, and the
 * connection is to be closed. */
#ifndef GATEWAY_PROTOCOL_HTTP_REPLY_H
#define GATEWAY_PROTOCOL_HTTP_REPLY_H

#include "buffer.h"

struct http_reply {
    unsigned code;
    struct bytes fields; /* all field lines, for http_reply_field() */
    struct bytes body;
    bool close; /* the connection ends with it */
};

/* The fields are private. Zeroed, with its limit set, it is ready. */
struct http_reply_reader {
    struct buffer input;
    uint64_t body_limit; /* inclusive */
    size_t taken;        /* bytes of the answer that was given last */
};

void http_reply_deinit(struct http_reply_reader *reader);
void http_reply_feed(struct http_reply_reader *reader, struct bytes bytes);

/* The next answer, borrowed until the next feed or next.
 *   STATUS_INCOMPLETE  feed more
 *   STATUS_MALFORMED   close the connection
 *   STATUS_TOO_LARGE   likewise: a head beyond 16 KiB, or a body beyond the limit */
enum status http_reply_next(struct http_reply_reader *reader, struct http_reply *reply) MUST_CHECK;

/* Nothing was fed behind the last answer. */
bool http_reply_is_idle(const struct http_reply_reader *reader);

/* The first field of that name, whatever its case. */
bool http_reply_field(const struct http_reply *reply, const char *name, struct bytes *value);

#endif
