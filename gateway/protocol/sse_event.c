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

static void append_event_name(struct buffer *out, struct bytes name)
{
    assert(sse_id_is_valid(name));
    if (name.size) {
        buffer_append(out, BYTES_LITERAL("event: "));
        buffer_append(out, name);
        buffer_append_byte(out, '\n');
    }
}

void sse_append_body(struct buffer *out, struct bytes name, struct bytes data)
{
    append_event_name(out, name);
    append_lines(out, "data: ", data);
}

void sse_begin_body(struct buffer *out, struct bytes name)
{
    append_event_name(out, name);
    buffer_append(out, BYTES_LITERAL("data: "));
}

static void blank_line_ends(uint8_t *data, size_t size, int line_end)
{
    for (uint8_t *end = data + size; data && (data = memchr(data, line_end, (size_t)(end - data)));)
        *data = ' ';
}

void sse_end_body(struct buffer *out, size_t data_size)
{
    assert(data_size > 0 && data_size <= buffer_size(out));
    uint8_t *data = out->data + out->end - data_size;
    blank_line_ends(data, data_size, '\n');
    blank_line_ends(data, data_size, '\r');
    buffer_append_byte(out, '\n');
}

/* The object stays open. */
static void append_event_and_data(struct buffer *out, struct bytes event, struct bytes data)
{
    assert(data.size > 0 && sse_id_is_valid(data));
    buffer_append_string(out, "\"event\":");
    json_write_string(out, event);
    buffer_append_string(out, ",\"data\":");
    buffer_append(out, data);
}

void sse_append_history(struct buffer *out, struct bytes room, struct bytes event,
                        struct bytes data)
{
    assert(room.size > 0);
    buffer_append_string(out, "event: history\ndata: {\"room\":");
    json_write_string(out, room);
    buffer_append_byte(out, ',');
    append_event_and_data(out, event, data);
    buffer_append_string(out, "}\n");
}

void sse_append_item(struct buffer *list, struct bytes event, struct bytes data)
{
    buffer_append_string(list, buffer_size(list) ? ",{" : "{");
    append_event_and_data(list, event, data);
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
