/* Events of text/event-stream (WHATWG HTML, section 9.2), in two parts like all notifications: the
 * body once for a message, and the tail with the client's own cursor as `id`.
 *
 * The invariant: nothing that is in a value can end its field. Texts of several lines become
 * several fields, and ids with a line end or a NUL are refused: a browser would ignore such an id
 * without a word, and come back from where it was before. */
#include "sse_event.h"

#include <assert.h>

#include "json.h"

bool sse_id_is_valid(struct bytes id)
{
    for (size_t i = 0; i < id.size; i++)
        if (id.data[i] == 0 || id.data[i] == '\r' || id.data[i] == '\n')
            return false;
    return true;
}

/* Takes a line off the front; it ends with CR, LF or CRLF, or with the text. False: none is left.
 */
static bool take_data_line(struct bytes *text, bool *more, struct bytes *line)
{
    if (!*more)
        return false;
    size_t size = 0;
    while (size < text->size && text->data[size] != '\r' && text->data[size] != '\n')
        size++;
    *line = bytes_of(text->data, size);
    *more = size < text->size;
    if (*more) {
        bool pair =
            text->data[size] == '\r' && size + 1 < text->size && text->data[size + 1] == '\n';
        *text = bytes_skip(*text, size + (pair ? 2 : 1));
    }
    return true;
}

/* A line of its own for each line of the text, as a line end would end the field. */
static void append_lines(struct buffer *out, const char *prefix, struct bytes text)
{
    struct bytes line;
    bool more = true;
    while (take_data_line(&text, &more, &line)) {
        buffer_append_string(out, prefix);
        buffer_append(out, line);
        buffer_append_byte(out, '\n');
    }
}

void sse_append_body(struct buffer *out, struct bytes name, struct bytes data)
{
    assert(sse_id_is_valid(name));
    if (name.size) {
        buffer_append(out, BYTES_LITERAL("event: "));
        buffer_append(out, name);
        buffer_append_byte(out, '\n');
    }
    append_lines(out, "data: ", data);
}

/* The body is one of ours, made by sse_append_body() with data of one line: it is taken apart again
 * here, so that history needs no encoding of its own of each message. The object stays open. */
static void append_event_and_data(struct buffer *out, struct bytes body)
{
    size_t name = sizeof("event: ") - 1, data = sizeof("\ndata: ") - 1;
    const uint8_t *end = memchr(body.data, '\n', body.size);
    assert(end && body.data[body.size - 1] == '\n');
    size_t line = (size_t)(end - body.data);
    buffer_append_string(out, "\"event\":");
    json_write_string(out, bytes_of(body.data + name, line - name));
    buffer_append_string(out, ",\"data\":");
    struct bytes rest = bytes_skip(body, line + data);
    buffer_append(out, bytes_of(rest.data, rest.size - 1));
}

void sse_append_history(struct buffer *out, struct bytes room, struct bytes body)
{
    assert(room.size > 0);
    buffer_append_string(out, "event: history\ndata: {\"room\":");
    json_write_string(out, room);
    buffer_append_byte(out, ',');
    append_event_and_data(out, body);
    buffer_append_string(out, "}\n");
}

void sse_append_item(struct buffer *list, struct bytes body)
{
    buffer_append_string(list, buffer_size(list) ? ",{" : "{");
    append_event_and_data(list, body);
    buffer_append_byte(list, '}');
}

void sse_append_state(struct buffer *out, struct bytes room, bool first, struct bytes items)
{
    assert(room.size > 0 && (items.size > 0 || first));
    buffer_append_string(out, "event: state\ndata: {\"room\":");
    json_write_string(out, room);
    buffer_append_format(out, ",\"first\":%s,\"items\":[", first ? "true" : "false");
    buffer_append(out, items);
    buffer_append_string(out, "]}\n");
}

void sse_append_tail(struct buffer *out, struct bytes cursor)
{
    assert(sse_id_is_valid(cursor));
    if (cursor.size) {
        buffer_append(out, BYTES_LITERAL("id: "));
        buffer_append(out, cursor);
        buffer_append_byte(out, '\n');
    }
    buffer_append_byte(out, '\n');
}

/* An id and no data: browsers keep the id and call nobody. */
void sse_append_cursor(struct buffer *out, struct bytes cursor)
{
    assert(cursor.size);
    sse_append_tail(out, cursor);
}

/* Heartbeats: passed over by browsers, and bytes enough for proxies. */
void sse_append_comment(struct buffer *out, struct bytes text)
{
    append_lines(out, ": ", text);
    buffer_append_byte(out, '\n');
}

void sse_append_retry(struct buffer *out, uint32_t delay_ms)
{
    buffer_append_format(out, "retry: %u\n\n", delay_ms);
}

bool sse_last_event_id(const struct http_request *request, struct buffer *scratch, struct bytes *id)
{
    struct bytes found;
    /* Browsers send the field by themselves when they come back, but a page that was loaded again
     * cannot set it on an EventSource: it has the parameter. */
    if (!http_request_field(request, "last-event-id", &found) || found.size == 0) {
        if (http_query_parameter(request->query, "lastEventId", scratch, &found) || found.size == 0)
            return false;
    }
    if (!sse_id_is_valid(found))
        return false;
    *id = found;
    return true;
}
