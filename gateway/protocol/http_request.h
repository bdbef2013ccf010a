/* An incremental reader of HTTP/1.0 and HTTP/1.1 requests (RFC 9112), fed as hiredis's reader is:
 * feed bytes, take what is complete. It is not a server: it never answers, waits or decides, and it
 * knows no routes.
 *
 *      feed(bytes) -> next() = HEAD, BODY, BODY, END -> (answer) -> next() = HEAD ...
 *
 * Strict where leniency has been used for request smuggling: lines end in CRLF only, no folded
 * fields, no space before a colon, one Content-Length of digits, never together with
 * Transfer-Encoding, "chunked" as the only transfer coding, one Host in HTTP/1.1, no control
 * characters.
 *
 * Memory: a reader without input is this struct and nothing else; what was fed but not yet taken
 * lies in one buffer that is freed when empty. Bytes behind a request (pipelining) stay there until
 * next() is called again, which the owner does once it has answered; it bounds them by not reading
 * the socket while http_reader_buffered() is large.
 *
 * Errors are final: the same status is returned from then on, http_reader_answer() names the
 * response code to send before closing. The exception is a body over its limit, see
 * http_reader_discard(). */
#ifndef GATEWAY_PROTOCOL_HTTP_REQUEST_H
#define GATEWAY_PROTOCOL_HTTP_REQUEST_H

#include "buffer.h"

/* Shared by all readers of a listener; must outlive them. Every maximum is inclusive. */
struct http_limits {
    uint32_t request_line_bytes; /* without its CRLF; 414 beyond */
    uint32_t head_bytes;         /* request line, fields and empty line; 431 beyond */
    uint32_t field_count;        /* header fields, and trailer fields each; 431 beyond */
    uint64_t body_bytes;         /* default for a request, see http_reader_limit_body(); 413 */
};

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_PATCH,
    HTTP_OTHER, /* any other token, see http_request.method_name */
};

struct http_field {
    struct bytes name;  /* as sent */
    struct bytes value; /* without surrounding blanks; no control characters but tab */
};

/* A complete request head. A value: its slices are borrowed from the reader until the next call of
 * http_reader_feed() or http_reader_next(). */
struct http_request {
    enum http_method method;
    unsigned minor_version;   /* 0 or 1 of HTTP/1.x */
    struct bytes method_name; /* as sent */
    struct bytes target;      /* as sent */
    struct bytes path;        /* starts with '/', still percent-encoded; "*" for OPTIONS * */
    struct bytes query;       /* behind the first '?', without it; empty if none */
    struct bytes fields;      /* all field lines, for http_request_field() and friends */
    bool keep_alive;          /* false: the owner must close after the answer, RFC 9112 9.6 */
    bool upgrade;             /* HTTP/1.1 with Connection: upgrade and an Upgrade field */
    bool expect_continue;     /* the client waits for "100 Continue" before it sends the body */
    bool has_body;            /* a Content-Length above 0, or chunked */
    bool chunked;
    uint64_t content_length; /* 0 if chunked */
};

enum http_item_kind {
    HTTP_ITEM_HEAD, /* item.request */
    HTTP_ITEM_BODY, /* item.body: the next piece, decoded; never empty */
    HTTP_ITEM_END,  /* the request is complete; call next() again once it is answered */
};

struct http_item {
    enum http_item_kind kind;
    struct http_request request; /* HEAD only */
    struct bytes body;           /* BODY only; borrowed until the next feed() or next() */
};

/* The fields are private. */
struct http_reader {
    struct buffer input;
    const struct http_limits *limits;
    uint64_t body_limit;
    uint64_t body_seen; /* bytes of body admitted, decoded */
    uint64_t left;      /* bytes that the Content-Length or the chunk still owes */
    uint32_t scanned;   /* bytes of the head or line known to hold no end */
    uint32_t line;      /* where the line being scanned begins */
    uint32_t pending;   /* bytes handed out by the last call, dropped by the next */
    uint32_t overhead;  /* bytes of chunk extensions and trailers in this body */
    uint16_t lines;     /* complete lines of this head or trailer */
    uint16_t answer;
    uint8_t state;
    uint8_t flags;
    uint8_t status;
};

void http_reader_init(struct http_reader *reader, const struct http_limits *limits);
void http_reader_deinit(struct http_reader *reader);

/* Copies the bytes behind what is still unread. Call next() until STATUS_INCOMPLETE afterwards.
 * Fed after an error, they are dropped. */
void http_reader_feed(struct http_reader *reader, struct bytes bytes);

/* The next item.
 *   STATUS_OK           *item is filled
 *   STATUS_INCOMPLETE   feed more
 *   STATUS_TOO_LARGE    a limit; if http_reader_answer() is 413, http_reader_discard() may go on
 *   STATUS_MALFORMED    not a request, or an ambiguous one
 *   STATUS_UNSUPPORTED  an unknown transfer coding, version or expectation
 * The head of a request is always given before its body is found too large, and the latter is found
 * from Content-Length alone, before any byte of the body. */
enum status http_reader_next(struct http_reader *reader, struct http_item *item) MUST_CHECK;

/* The response code that fits the error: 400, 413, 414, 417, 431, 501 or 505. 0: no error. */
unsigned http_reader_answer(const struct http_reader *reader);

/* Changes the body limit of the request whose HEAD was just given (a route's own limit). */
void http_reader_limit_body(struct http_reader *reader, uint64_t body_bytes);

/* From now on the body of the present request is dropped: no BODY items, then END, so that the
 * connection can be kept although nobody wants the body. Also leaves the 413 error. `most` bounds
 * what is dropped; a body beyond it is an error again (413), and then the connection must be
 * closed. Allowed between HEAD and END. */
void http_reader_discard(struct http_reader *reader, uint64_t most);

/* The owner accepts the upgrade of the HEAD just given: the reader is done and empty. The bytes
 * behind the head, which belong to the new protocol, are moved to `rest` (an empty buffer, now the
 * caller's to deinit). The head's slices are gone. */
void http_reader_upgrade(struct http_reader *reader, struct buffer *rest);

/* Between requests, with nothing read of the next one: closing now loses nothing. */
bool http_reader_is_idle(const struct http_reader *reader);

/* Bytes fed and not taken yet. */
size_t http_reader_buffered(const struct http_reader *reader);

/* ---- Looking into a request. Names are compared without regard to case. ---- */

/* The value of the first field of that name, or false. */
bool http_request_field(const struct http_request *request, const char *name, struct bytes *value);

/* How many fields have that name. */
size_t http_request_count(const struct http_request *request, const char *name);

/* Walks over all fields: start with *rest = request->fields. False at the end. */
bool http_field_next(struct bytes *rest, struct http_field *field);

/* Whether a field of that name (there may be several) lists the token, without regard to case:
 * http_request_has_token(request, "connection", "upgrade"). */
bool http_request_has_token(const struct http_request *request, const char *name,
                            const char *token);

/* The value of a cookie (RFC 6265, first of that name, its quotes removed), or false. */
bool http_request_cookie(const struct http_request *request, const char *name, struct bytes *value);

/* The first parameter of that name in a query (application/x-www-form-urlencoded). *value is a
 * slice of the query where nothing was encoded, else of `scratch`, to which the decoded text is
 * appended.
 *   STATUS_NOT_FOUND   no such parameter
 *   STATUS_MALFORMED   a '%' without two hexadecimal digits behind it */
enum status http_query_parameter(struct bytes query, const char *name, struct buffer *scratch,
                                 struct bytes *value) MUST_CHECK;

/* Walks over name=value pairs, still encoded: start with *rest = query. False at the end. */
bool http_query_next(struct bytes *rest, struct http_field *parameter);

/* Appends the decoded text. `plus`: '+' means a blank (queries, not paths). */
enum status http_percent_decode(struct bytes encoded, bool plus, struct buffer *out) MUST_CHECK;

#endif
