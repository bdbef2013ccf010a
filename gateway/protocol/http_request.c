/* Requests out of a stream of bytes, however it was cut: heads, pieces of bodies, ends (RFC 9112).
 * Bytes are fed, items are taken, and nothing is called back.
 *
 *        HEAD --> ADMIT --> DATA --------------------> END --> HEAD
 *          |        |  ^      |                         ^
 *          |        |  |      v  (chunked)              |
 *          +---------> CHUNK_SIZE <-- CHUNK_END     TRAILER
 *                   |     '-----------------------------^
 *                   '--> TOO_LARGE --(discard)--> ADMIT
 *        any --> FAILED;  after HEAD --> UPGRADED
 *
 * The invariant: the items do not depend on how the bytes were cut, and no byte is looked at twice
 * for a line's end (`scanned`), so that a client which sends single bytes costs no more than one
 * that does not. Slices of an item hold until the next call; they are `pending` and dropped
 * then. */
#include "http_request.h"

#include <assert.h>

#include "http_head.h"

/* Where in a request the reader is: the drawing above. */
enum http_reader_state {
    STATE_HEAD,
    STATE_ADMIT, /* `left` bytes are announced: may they come? */
    STATE_DATA,
    STATE_CHUNK_SIZE,
    STATE_CHUNK_END,
    STATE_TRAILER,
    STATE_END,
    STATE_TOO_LARGE,
    STATE_FAILED,
    STATE_UPGRADED,
};

enum flags {
    FLAG_CHUNKED = 1,
    FLAG_DISCARD = 2,
    FLAG_EMPTY_LINE = 4, /* one before the request line was skipped */
};

enum {
    CHUNK_DIGITS_MAX = 15, /* keeps every sum far from overflow */
    CHUNK_LINE_MAX = 256   /* size and extensions, which nobody uses */
};

void http_reader_init(struct http_reader *reader, const struct http_limits *limits)
{
    assert(limits->head_bytes <= UINT32_MAX / 4 && limits->field_count < UINT16_MAX - 1);
    *reader = (struct http_reader){.limits = limits, .state = STATE_HEAD};
}

void http_reader_deinit(struct http_reader *reader)
{
    buffer_deinit(&reader->input);
    *reader = (struct http_reader){.state = STATE_FAILED, .status = STATUS_CLOSED};
}

/* For good: where the next request would begin cannot be known any more. */
static enum status reader_fail(struct http_reader *reader, enum status status, uint16_t answer)
{
    buffer_deinit(&reader->input);
    reader->pending = 0;
    reader->state = STATE_FAILED;
    reader->status = (uint8_t)status;
    reader->answer = answer;
    return status;
}

/* Drops bytes that are dealt with; an empty buffer is freed. */
static void drop(struct http_reader *reader, size_t size)
{
    assert(size <= buffer_size(&reader->input));
    buffer_consume(&reader->input, size);
    reader->scanned = 0;
    reader->line = 0;
    if (buffer_size(&reader->input) == 0)
        buffer_deinit(&reader->input);
}

static void drop_pending(struct http_reader *reader)
{
    if (reader->pending)
        drop(reader, reader->pending);
    reader->pending = 0;
}

void http_reader_feed(struct http_reader *reader, struct bytes bytes)
{
    if (reader->state == STATE_FAILED)
        return;
    assert(reader->state != STATE_UPGRADED);
    assert(bytes.size <= UINT32_MAX / 4 && buffer_size(&reader->input) <= UINT32_MAX / 4);
    buffer_append(&reader->input, bytes);
}

unsigned http_reader_answer(const struct http_reader *reader)
{
    return reader->answer;
}

size_t http_reader_buffered(const struct http_reader *reader)
{
    assert(reader->pending <= buffer_size(&reader->input));
    return buffer_size(&reader->input) - reader->pending;
}

bool http_reader_is_idle(const struct http_reader *reader)
{
    return reader->state == STATE_HEAD && http_reader_buffered(reader) == 0;
}

void http_reader_limit_body(struct http_reader *reader, uint64_t body_bytes)
{
    assert(reader->body_seen == 0);
    reader->body_limit = body_bytes;
}

/* A refused request's body must be read all the same, up to a measure: closing with bytes unread
 * sends a reset, which may overtake the refusal. Beyond that measure the connection is not worth
 * it. */
void http_reader_discard(struct http_reader *reader, uint64_t most)
{
    assert(reader->state != STATE_HEAD);
    if (reader->state == STATE_FAILED)
        return;
    reader->flags |= FLAG_DISCARD;
    reader->body_seen = 0;
    reader->body_limit = most;
    reader->answer = 0;
    if (reader->state == STATE_TOO_LARGE || reader->state == STATE_DATA)
        reader->state = STATE_ADMIT;
}

void http_reader_upgrade(struct http_reader *reader, struct buffer *rest)
{
    assert(reader->state != STATE_FAILED && buffer_size(rest) == 0);
    drop_pending(reader);
    buffer_deinit(rest);
    /* The buffer itself is handed over: what came behind the request is the new protocol's
     * already. */
    *rest = reader->input;
    reader->input = (struct buffer){0};
    reader->state = STATE_UPGRADED;
}

/* Whether the byte may stand at this place of a line; the first line is a request line. Bytes
 * beyond ASCII are allowed in values of fields (obs-text), and nowhere in the request line. */
static bool is_allowed(uint8_t byte, bool request_line)
{
    if (byte == '\t' || byte >= 0x80)
        return !request_line;
    return byte >= ' ' && byte != 0x7f;
}

/* Goes on over the input to the end of a line, which must lie within the first `most` bytes.
 * STATUS_OK: *end is behind its CRLF. A line ends in CRLF; any other CR or LF is malformed (RFC
 * 9112 section 2.2 lets us be that strict). What is found does not depend on how the input was cut.
 */
static enum status scan_line(struct http_reader *reader, bool request_line, size_t most,
                             size_t *end)
{
    struct bytes input = buffer_peek(&reader->input);
    size_t size = input.size < most ? input.size : most;
    for (size_t i = reader->scanned; i < size; i++) {
        uint8_t byte = input.data[i];
        if (i > reader->line && input.data[i - 1] == '\r') {
            if (byte != '\n')
                return STATUS_MALFORMED;
            reader->scanned = (uint32_t)i + 1;
            *end = i + 1;
            return STATUS_OK;
        }
        if (byte != '\r' && !is_allowed(byte, request_line))
            return STATUS_MALFORMED;
    }
    if (size == most)
        return STATUS_TOO_LARGE;
    reader->scanned = (uint32_t)size;
    return STATUS_INCOMPLETE;
}

/* The first line has a limit of its own, so that a long URL is told from many fields: 414, 431. */
static enum status scan_head_line(struct http_reader *reader, size_t *end, uint16_t *answer)
{
    const struct http_limits *limits = reader->limits;
    bool request_line = reader->lines == 0;
    size_t most = limits->head_bytes;
    bool short_line = request_line && limits->request_line_bytes + (size_t)2 < most;
    if (short_line)
        most = limits->request_line_bytes + (size_t)2;
    enum status status = scan_line(reader, request_line, most, end);
    *answer = 400;
    if (status == STATUS_TOO_LARGE)
        *answer = short_line ? 414 : 431;
    return status;
}

/* STATUS_OK: *end is behind the empty line that ends the head. */
static enum status scan_head(struct http_reader *reader, size_t *end, uint16_t *answer)
{
    assert(reader->state == STATE_HEAD);
    for (;;) {
        size_t line_end;
        enum status status = scan_head_line(reader, &line_end, answer);
        if (status)
            return status;
        bool empty = line_end - reader->line == 2;
        if (empty && reader->lines > 0) {
            *end = line_end;
            return STATUS_OK;
        }
        if (empty) { /* RFC 9112 section 2.2: one empty line before the request line */
            if (reader->flags & FLAG_EMPTY_LINE)
                return STATUS_MALFORMED;
            reader->flags |= FLAG_EMPTY_LINE;
            drop(reader, 2);
            continue;
        }
        reader->line = (uint32_t)line_end;
        if (++reader->lines > reader->limits->field_count + 1u) {
            *answer = 431;
            return STATUS_TOO_LARGE;
        }
    }
}

static enum status next_head(struct http_reader *reader, struct http_item *item)
{
    size_t end = 0;
    uint16_t answer = 0;
    enum status status = scan_head(reader, &end, &answer);
    assert(reader->state == STATE_HEAD && reader->pending == 0);
    if (status == STATUS_INCOMPLETE)
        return status;
    struct http_request request;
    if (status == STATUS_OK)
        status =
            http_head_parse(bytes_of(buffer_peek(&reader->input).data, end), &request, &answer);
    if (status)
        return reader_fail(reader, status, answer);
    reader->pending = (uint32_t)end;
    reader->body_limit = reader->limits->body_bytes;
    reader->body_seen = 0;
    reader->overhead = 0;
    reader->lines = 0;
    reader->flags = request.chunked ? FLAG_CHUNKED : 0;
    reader->left = request.content_length;
    if (request.chunked)
        reader->state = STATE_CHUNK_SIZE;
    else
        reader->state = request.has_body ? STATE_ADMIT : STATE_END;
    *item = (struct http_item){.kind = HTTP_ITEM_HEAD, .request = request};
    return STATUS_OK;
}

/* Asked before the bytes come: an announced length of gigabytes is answered at once. Of chunks each
 * is asked for in turn, since their sum is not known before. */
static enum status admit(struct http_reader *reader)
{
    assert(reader->body_seen <= reader->body_limit);
    if (reader->left > reader->body_limit - reader->body_seen) {
        if (reader->flags & FLAG_DISCARD)
            return reader_fail(reader, STATUS_TOO_LARGE, 413);
        reader->state = STATE_TOO_LARGE;
        reader->answer = 413;
        return STATUS_TOO_LARGE;
    }
    reader->body_seen += reader->left;
    reader->state = STATE_DATA;
    return STATUS_OK;
}

/* STATUS_OK: item filled. STATUS_INCOMPLETE: look at the state. */
static enum status next_data(struct http_reader *reader, struct http_item *item)
{
    struct bytes input = buffer_peek(&reader->input);
    size_t size = input.size < reader->left ? input.size : (size_t)reader->left;
    assert(reader->state == STATE_DATA && reader->pending == 0);
    reader->left -= size;
    if (reader->left == 0)
        reader->state = reader->flags & FLAG_CHUNKED ? STATE_CHUNK_END : STATE_END;
    if (reader->flags & FLAG_DISCARD) {
        if (size)
            drop(reader, size);
        return STATUS_INCOMPLETE;
    }
    if (size == 0)
        return STATUS_INCOMPLETE;
    reader->pending = (uint32_t)size;
    *item = (struct http_item){.kind = HTTP_ITEM_BODY, .body = bytes_of(input.data, size)};
    return STATUS_OK;
}

/* RFC 9112 section 7.1: digits, of which there may be 15. Returns how many there are; 0: refused.
 */
static size_t parse_chunk_size(struct bytes line, uint64_t *size)
{
    uint64_t sum = 0;
    size_t i = 0;
    for (; i < line.size; i++) {
        uint8_t c = line.data[i];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (c >= 'a' && c <= 'f')
            digit = c - 'a' + 10u;
        else if (c >= 'A' && c <= 'F')
            digit = c - 'A' + 10u;
        else
            break;
        /* Refused by their number, leading zeros included: no sum is ever near an overflow. */
        if (i == CHUNK_DIGITS_MAX)
            return 0;
        sum = sum << 4 | digit;
    }
    *size = sum;
    return i;
}

/* How many bytes at the front are a quoted string; 0: none. */
static size_t quoted_size(struct bytes text)
{
    if (text.size == 0 || text.data[0] != '"')
        return 0;
    for (size_t i = 1; i < text.size; i++) {
        if (text.data[i] == '"')
            return i + 1;
        if (text.data[i] == '\\')
            i++;
    }
    return 0;
}

/* RFC 9112 section 7.1.1: ;name or ;name=value, without blanks. They are ignored, but not unread:
 * another reader might see a chunk where we see an extension. */
static bool extensions_are_valid(struct bytes text)
{
    while (text.size) {
        if (text.data[0] != ';')
            return false;
        text = bytes_skip(text, 1);
        size_t name = 0;
        while (name < text.size && text.data[name] != ';' && text.data[name] != '=')
            name++;
        if (!http_is_token(bytes_of(text.data, name)))
            return false;
        text = bytes_skip(text, name);
        if (text.size == 0 || text.data[0] == ';')
            continue;
        text = bytes_skip(text, 1);
        size_t value = quoted_size(text);
        bool quoted = value > 0;
        while (!quoted && value < text.size && text.data[value] != ';')
            value++;
        if (!quoted && !http_is_token(bytes_of(text.data, value)))
            return false;
        text = bytes_skip(text, value);
    }
    return true;
}

/* A line inside a chunked body. STATUS_OK: *line is its text, still in the input; drop it with its
 * CRLF. */
static enum status scan_body_line(struct http_reader *reader, size_t most, struct bytes *line)
{
    size_t end = 0;
    enum status status = scan_line(reader, false, most + 2, &end);
    if (status == STATUS_INCOMPLETE)
        return status;
    if (status)
        return reader_fail(reader, status, status == STATUS_MALFORMED ? 400 : 431);
    *line = bytes_of(buffer_peek(&reader->input).data, end - 2);
    return STATUS_OK;
}

/* Extensions and trailers are not body, and would otherwise be without a limit. */
static enum status count_overhead(struct http_reader *reader, size_t size)
{
    assert(size <= UINT32_MAX - reader->overhead);
    reader->overhead += (uint32_t)size;
    if (reader->overhead > reader->limits->head_bytes)
        return reader_fail(reader, STATUS_TOO_LARGE, 431);
    return STATUS_OK;
}

static enum status next_chunk_size(struct http_reader *reader)
{
    struct bytes line;
    enum status status = scan_body_line(reader, CHUNK_LINE_MAX, &line);
    assert(reader->flags & FLAG_CHUNKED);
    if (status)
        return status;
    uint64_t size;
    size_t digits = parse_chunk_size(line, &size);
    struct bytes extensions = bytes_skip(line, digits);
    if (digits == 0 || !extensions_are_valid(extensions))
        return reader_fail(reader, STATUS_MALFORMED, 400);
    status = count_overhead(reader, extensions.size);
    if (status)
        return status;
    drop(reader, line.size + 2);
    reader->left = size;
    reader->state = size ? STATE_ADMIT : STATE_TRAILER;
    return STATUS_OK;
}

static enum status next_chunk_end(struct http_reader *reader)
{
    struct bytes line;
    enum status status = scan_body_line(reader, 0, &line);
    assert(reader->left == 0);
    if (status == STATUS_TOO_LARGE) /* data goes on where it should have ended */
        return reader_fail(reader, STATUS_MALFORMED, 400);
    if (status)
        return status;
    drop(reader, 2);
    reader->state = STATE_CHUNK_SIZE;
    return STATUS_OK;
}

/* Trailer fields are checked and dropped (RFC 9110 section 6.5.1 allows that). */
static enum status next_trailer(struct http_reader *reader)
{
    struct bytes line;
    enum status status = scan_body_line(reader, reader->limits->head_bytes, &line);
    assert(reader->flags & FLAG_CHUNKED);
    if (status)
        return status;
    struct http_field field;
    size_t size = line.size;
    if (size && !http_head_parse_field(line, &field))
        return reader_fail(reader, STATUS_MALFORMED, 400);
    drop(reader, size + 2);
    if (size == 0) {
        reader->lines = 0;
        reader->state = STATE_END;
        return STATUS_OK;
    }
    if (++reader->lines > reader->limits->field_count)
        return reader_fail(reader, STATUS_TOO_LARGE, 431);
    return count_overhead(reader, size + 2);
}

/* An item of its own, also after a request without a body: so there is one place at which a request
 * is over. */
static enum status next_end(struct http_reader *reader, struct http_item *item)
{
    assert(reader->state == STATE_END && reader->left == 0);
    reader->state = STATE_HEAD;
    reader->flags = 0;
    *item = (struct http_item){.kind = HTTP_ITEM_END};
    return STATUS_OK;
}

/* One step. *given: an item was filled; else the state changed, or more input is needed. */
static enum status reader_step(struct http_reader *reader, struct http_item *item, bool *given)
{
    enum status status = STATUS_OK;
    switch ((enum http_reader_state)reader->state) {
    case STATE_HEAD:
        status = next_head(reader, item);
        *given = true;
        return status;
    case STATE_ADMIT:
        return admit(reader);
    case STATE_DATA:
        status = next_data(reader, item);
        *given = status == STATUS_OK;
        return status == STATUS_INCOMPLETE && reader->state != STATE_DATA ? STATUS_OK : status;
    case STATE_CHUNK_SIZE:
        return next_chunk_size(reader);
    case STATE_CHUNK_END:
        return next_chunk_end(reader);
    case STATE_TRAILER:
        return next_trailer(reader);
    case STATE_END:
        *given = true;
        return next_end(reader, item);
    case STATE_TOO_LARGE:
        return STATUS_TOO_LARGE;
    case STATE_FAILED:
        return (enum status)reader->status;
    case STATE_UPGRADED:
        return STATUS_CLOSED;
    }
    assert(!"a state of the reader");
    return STATUS_FATAL;
}

enum status http_reader_next(struct http_reader *reader, struct http_item *item)
{
    drop_pending(reader);
    for (;;) {
        bool given = false;
        enum status status = reader_step(reader, item, &given);
        if (status || given)
            return status;
    }
}
