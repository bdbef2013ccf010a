/* Writers of HTTP/1.1 responses into a buffer: heads, and the framing of streamed bodies. Not a
 * state machine: the caller keeps the order head, body, end. Nothing fails; a field that could
 * split the response is a bug of ours and asserted. */
#ifndef GATEWAY_PROTOCOL_HTTP_RESPONSE_H
#define GATEWAY_PROTOCOL_HTTP_RESPONSE_H

#include "buffer.h"
#include "http_request.h"

enum http_framing {
    HTTP_FRAMING_LENGTH,  /* Content-Length: content_length */
    HTTP_FRAMING_CHUNKED, /* Transfer-Encoding: chunked; HTTP/1.1 clients only */
    HTTP_FRAMING_CLOSE,   /* the body ends with the connection; forces close (HTTP/1.0 streams) */
    HTTP_FRAMING_NONE,    /* no body and no length: 1xx and 204 */
};

struct http_response {
    unsigned code; /* 101, 200, 404 ... */
    enum http_framing framing;
    uint64_t content_length;
    unsigned minor_version; /* of the request: 1, or 0 whose keep-alive must be confirmed */
    bool close;             /* Connection: close */
    const char *date;       /* an IMF-fixdate as the clock's owner keeps it; NULL: no Date field */
    const char *content_type; /* NULL: none */
};

/* Appends status line, Date, Content-Type, framing and connection fields, then `fields` as they
 * are, then the empty line. A caller must not pass one of the named fields in `fields`. For 101 the
 * Connection and Upgrade fields are the caller's. Every value must satisfy http_value_is_safe(). */
void http_response_write_head(struct buffer *out, const struct http_response *response,
                              const struct http_field *fields, size_t field_count);

/* Head and body at once (framing and content_length are set from the body). */
void http_response_write(struct buffer *out, const struct http_response *response,
                         const struct http_field *fields, size_t field_count, struct bytes body);

/* One chunk of a chunked body; an empty one writes nothing (it would end the body). */
void http_response_write_chunk(struct buffer *out, struct bytes bytes);

/* Framing for a chunk whose content the caller appends itself: write begin, `size` (above 0) bytes
 * of content, end. */
void http_response_begin_chunk(struct buffer *out, size_t size);
void http_response_end_chunk(struct buffer *out);

/* The last chunk, which ends a chunked body. */
void http_response_write_last_chunk(struct buffer *out);

/* "HTTP/1.1 100 Continue" */
void http_response_write_continue(struct buffer *out);

/* "Not Found"; "Unknown" for a code without an entry. Static. */
const char *http_reason(unsigned code);

/* Whether a text may stand as a field's value: no control character but tab. */
bool http_value_is_safe(struct bytes value);

/* Writes an IMF-fixdate ("Sun, 06 Nov 1994 08:49:37 GMT") of seconds since 1970 (up to the year
 * 9999). */
enum { HTTP_DATE_SIZE = 30 }; /* with its NUL */
void http_date(int64_t unix_seconds, char out[HTTP_DATE_SIZE]);

/* A field of two strings, for arrays of fields. Borrowed. */
static inline struct http_field http_field_of(const char *name, const char *value)
{
    return (struct http_field){bytes_of_string(name), bytes_of_string(value)};
}

#endif
