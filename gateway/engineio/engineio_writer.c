/* What is written to a client, whatever carries the session: as a payload of a poll (packets behind
 * each other with a separator) or as WebSocket frames. The caller of a writer never knows which.
 *
 * The queue holds messages that are not streamed: answers, and what applications send by
 * themselves. It is one piece of memory, entries of a header and a payload one behind the other:
 * an idle session has none. */
#include <assert.h>

#include "engineio_private.h"
#include "pack.h"

/* ---- The queue: entries of a header and a payload, one behind the other ---- */

struct queue_entry {
    uint32_t size;
    uint8_t kind;
};

/* The parts become one payload: they are the caller's, and may go when this returns. */
void queue_append(struct buffer *queue, enum queue_kind kind, const struct bytes *parts,
                  size_t count)
{
    struct queue_entry entry = {.kind = (uint8_t)kind};
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].size;
    assert(size <= UINT32_MAX);
    entry.size = (uint32_t)size;
    buffer_append(queue, bytes_of(&entry, sizeof(entry)));
    for (size_t i = 0; i < count; i++)
        buffer_append(queue, parts[i]);
}

/* ---- The writer ---- */

/* Asked before each message, which is then written whole: so a writer exceeds its limit by one at
 * most. */
bool engineio_writer_has_room(const struct engineio_writer *writer)
{
    assert(buffer_size(writer->out) >= writer->start);
    return writer->packets < writer->packets_most &&
           buffer_size(writer->out) - writer->start < writer->limit;
}

static void count_message(struct engineio_writer *writer, size_t size)
{
    writer->packets++;
    writer->server->stats.messages_out++;
    writer->server->stats.bytes_out += size;
}

/* The hot path: a notification for a client is one call, one reservation and one copy of each part.
 * `queue`: the session is on its way to another gateway, and answers go along in its queue. */
void engineio_writer_text(struct engineio_writer *writer, const struct bytes *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].size;
    if (writer->queue) {
        queue_append(writer->queue, QUEUE_TEXT, parts, count);
        return;
    }
    count_message(writer, size);
    if (!writer->websocket)
        engineio_append_separator(writer->out, writer->start);
    uint8_t *start = buffer_reserve(writer->out, WEBSOCKET_HEADER_MAX + 1 + size);
    uint8_t *end = start;
    if (writer->websocket)
        end += websocket_write_header(end, WEBSOCKET_TEXT, 1 + size);
    *end++ = '0' + ENGINEIO_MESSAGE;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size)
            memcpy(end, parts[i].data, parts[i].size);
        end += parts[i].size;
    }
    buffer_commit(writer->out, (size_t)(end - start));
}

/* Over polling, and for clients that asked for it, bytes travel as base64. */
void engineio_writer_binary(struct engineio_writer *writer, struct bytes data)
{
    if (writer->queue) {
        queue_append(writer->queue, QUEUE_BINARY, &data, 1);
        return;
    }
    count_message(writer, data.size);
    if (writer->websocket && writer->base64) {
        websocket_append_header(writer->out, WEBSOCKET_TEXT, engineio_packet_size(true, data.size));
        engineio_append_binary(writer->out, data);
        return;
    }
    if (writer->websocket) {
        websocket_append_frame(writer->out, WEBSOCKET_BINARY, data);
        return;
    }
    engineio_append_separator(writer->out, writer->start);
    engineio_append_binary(writer->out, data);
}

void engineio_writer_close(struct engineio_writer *writer)
{
    assert(buffer_size(writer->out) >= writer->start);
    if (writer->websocket)
        writer->limit = 0;
}

void writer_packet(struct engineio_writer *writer, enum engineio_packet_type type)
{
    uint8_t text = (uint8_t)('0' + type);
    assert(!writer->queue);
    writer->packets++;
    if (writer->websocket) {
        websocket_append_frame(writer->out, WEBSOCKET_TEXT, bytes_of(&text, 1));
        return;
    }
    engineio_append_separator(writer->out, writer->start);
    buffer_append_byte(writer->out, text);
}

/* In a form that does not depend on the machine or the compiler: gateways of several versions may
 * exchange it. */
void queue_pack(const struct buffer *queue, struct buffer *out)
{
    for (struct bytes rest = buffer_peek(queue); rest.size;) {
        struct queue_entry entry;
        memcpy(&entry, rest.data, sizeof(entry));
        assert(rest.size - sizeof(entry) >= entry.size);
        pack_number(out, entry.kind);
        pack_bytes(out, bytes_of(rest.data + sizeof(entry), entry.size));
        rest = bytes_skip(rest, sizeof(entry) + entry.size);
    }
}

/* Comes from another gateway: nothing in it is believed. */
bool queue_unpack(struct bytes packed, struct buffer *queue)
{
    while (packed.size) {
        uint64_t kind;
        struct bytes payload;
        if (!unpack_limited(&packed, QUEUE_BINARY, &kind) || !unpack_bytes(&packed, &payload) ||
            payload.size > UINT32_MAX)
            return false;
        queue_append(queue, (enum queue_kind)kind, &payload, 1);
    }
    return true;
}

void queue_write(struct buffer *queue, struct engineio_writer *writer)
{
    while (buffer_size(queue) && engineio_writer_has_room(writer)) {
        struct bytes content = buffer_peek(queue);
        struct queue_entry entry;
        memcpy(&entry, content.data, sizeof(entry));
        assert(content.size - sizeof(entry) >= entry.size);
        struct bytes payload = bytes_of(content.data + sizeof(entry), entry.size);
        switch ((enum queue_kind)entry.kind) {
        case QUEUE_TEXT:
            engineio_writer_text(writer, &payload, 1);
            break;
        case QUEUE_BINARY:
            engineio_writer_binary(writer, payload);
            break;
        case QUEUE_WEBSOCKET_PONG:
            if (writer->websocket)
                websocket_append_frame(writer->out, WEBSOCKET_PONG, payload);
            break;
        }
        buffer_consume(queue, sizeof(entry) + entry.size);
    }
    if (buffer_size(queue) == 0)
        buffer_deinit(queue); /* an idle session keeps no queue */
}

void engineio_session_fill_ping(struct engineio_session *session, struct engineio_writer *writer)
{
    if (!session->ping_due)
        return;
    session->ping_due = false;
    writer_packet(writer, ENGINEIO_PING);
}

/* In this order: a due ping, answers, the stream. While answers wait, the stream is not asked: what
 * is queued is bounded, and the stream keeps its place by itself. */
void engineio_session_fill(struct engineio_session *session, struct engineio_writer *writer,
                           int64_t now_ms)
{
    assert(session->state != SESSION_DEAD);
    engineio_session_fill_ping(session, writer);
    if (buffer_size(&session->queue))
        queue_write(&session->queue, writer);
    if (buffer_size(&session->queue) == 0)
        session->queue_brought = 0;
    if (!session->awake || session->state != SESSION_OPEN || buffer_size(&session->queue) ||
        !engineio_writer_has_room(writer))
        return;
    const struct engineio_application_ops *ops = session->server->config.ops;
    session->awake = false; /* a wake-up from inside pull() counts */
    if (ops->pull(session->connection, writer, now_ms))
        session->awake = true;
}
