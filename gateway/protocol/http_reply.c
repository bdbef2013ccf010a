/* Answers of another gateway, which we have asked: a reader for the other side of HTTP, and only
 * for what gateways answer each other. No chunks, no 1xx, and never without a length.
 *
 * The invariant: an answer is given once it is whole, and its slices hold until the next call.
 * `taken` is what of the input that answer is: it is dropped as late as possible, so that nothing
 * has to be copied. */
#include "http_reply.h"

#include <assert.h>

#include "http_head.h"

enum { HEAD_BYTES_LIMIT = 16384, STATUS_LINE_MINIMUM = 13, LENGTH_DIGITS_LIMIT = 12 };

void http_reply_deinit(struct http_reply_reader *reader)
{
    buffer_deinit(&reader->input);
    reader->taken = 0;
}

static void drop_taken(struct http_reply_reader *reader)
{
    assert(reader->taken <= buffer_size(&reader->input));
    buffer_consume(&reader->input, reader->taken);
    reader->taken = 0;
    if (buffer_size(&reader->input) == 0)
        buffer_deinit(&reader->input); /* an idle connection keeps no memory */
}

void http_reply_feed(struct http_reply_reader *reader, struct bytes bytes)
{
    assert(bytes.size > 0);
    drop_taken(reader);
    buffer_append(&reader->input, bytes);
}

bool http_reply_is_idle(const struct http_reply_reader *reader)
{
    assert(reader->taken <= buffer_size(&reader->input));
    return buffer_size(&reader->input) == reader->taken;
}

bool http_reply_field(const struct http_reply *reply, const char *name, struct bytes *value)
{
    const struct http_request fields = {.fields = reply->fields};
    assert(name[0]);
    return http_request_field(&fields, name, value);
}

static bool read_length(const struct http_reply *reply, uint64_t *length)
{
    struct bytes text;
    assert(reply->code >= 200);
    /* Without a length a body would end with the connection, and we want that one to stay open. */
    if (!http_reply_field(reply, "content-length", &text)) {
        *length = 0;
        return reply->code == 204 || reply->code == 304;
    }
    if (text.size == 0 || text.size > LENGTH_DIGITS_LIMIT)
        return false;
    *length = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *length = *length * 10 + (uint64_t)(text.data[i] - '0');
    }
    return true;
}

/* HTTP/1.1 200 OK CRLF fields CRLF, without the empty line's CRLF. */
static bool read_reply_head(struct bytes head, struct http_reply *reply)
{
    if (head.size < STATUS_LINE_MINIMUM || !bytes_start_with(head, BYTES_LITERAL("HTTP/1.1 ")))
        return false;
    unsigned code = 0;
    for (size_t i = 9; i < 12; i++) {
        if (head.data[i] < '0' || head.data[i] > '9')
            return false;
        code = code * 10 + (unsigned)(head.data[i] - '0');
    }
    const uint8_t *end = memmem(head.data, head.size, "\r\n", 2);
    /* A peer of ours has no reason for 1xx: such a one is not a peer. */
    if (code < 200 || head.data[12] != ' ' || !end)
        return false;
    reply->code = code;
    reply->fields = bytes_skip(head, (size_t)(end - head.data) + 2);
    return true;
}

/* The peer is ending: whoever asks next needs another connection. */
static bool says_close(const struct http_reply *reply)
{
    struct bytes value;
    return http_reply_field(reply, "connection", &value) &&
           http_equal_ignoring_case(value, BYTES_LITERAL("close"));
}

enum status http_reply_next(struct http_reply_reader *reader, struct http_reply *reply)
{
    drop_taken(reader);
    struct bytes input = buffer_peek(&reader->input);
    const uint8_t *end = input.size ? memmem(input.data, input.size, "\r\n\r\n", 4) : NULL;
    if (!end)
        /* Each time from the beginning: heads are short, and come in one piece nearly always. */
        return input.size > HEAD_BYTES_LIMIT ? STATUS_TOO_LARGE : STATUS_INCOMPLETE;
    size_t head = (size_t)(end - input.data) + 4;
    if (head > HEAD_BYTES_LIMIT)
        return STATUS_TOO_LARGE;
    struct http_reply read = {0};
    uint64_t length;
    if (!read_reply_head(bytes_of(input.data, head - 2), &read) || !read_length(&read, &length))
        return STATUS_MALFORMED;
    /* Before any of it is waited for. */
    if (length > reader->body_limit)
        return STATUS_TOO_LARGE;
    if (input.size - head < length)
        return STATUS_INCOMPLETE;
    read.body = bytes_of(input.data + head, (size_t)length);
    read.close = says_close(&read);
    reader->taken = head + (size_t)length;
    *reply = read;
    return STATUS_OK;
}
