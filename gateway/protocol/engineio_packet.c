/* Engine.IO 4's packets and payloads of long-polling, as bytes. Pure: what a packet does is
 * engineio/'s.
 *
 *     one packet        4hello            type, then data
 *     binary, polling   bAQID             'b', then base64
 *     payload           4hello<RS>2       packets between record separators (0x1E)
 *
 * The invariant: what is given lies in the caller's text, or in `scratch` for binary data, and
 * nothing is kept here between two calls but how far a payload has been read. */
#include "engineio_packet.h"

#include <assert.h>

#include "base64.h"
#include "json.h"
#include "utf8.h"

enum status engineio_decode(struct bytes text, struct buffer *scratch,
                            struct engineio_packet *packet)
{
    if (text.size == 0)
        return STATUS_MALFORMED;
    uint8_t type = text.data[0];
    struct bytes data = bytes_skip(text, 1);
    /* Binary data is always a message: its type is not written. Other clients than the stock one
     * break base64 into lines. */
    if (type == 'b') {
        buffer_clear(scratch);
        enum status status = base64_decode_lines(data, scratch);
        if (status == STATUS_OK)
            *packet = (struct engineio_packet){ENGINEIO_MESSAGE, true, buffer_peek(scratch)};
        return status;
    }
    if (type < '0' || type > '6')
        return STATUS_MALFORMED;
    *packet = (struct engineio_packet){(enum engineio_packet_type)(type - '0'), false, data};
    return STATUS_OK;
}

enum status engineio_payload_init(struct engineio_payload_reader *reader, struct bytes body,
                                  uint32_t max_packets)
{
    assert(max_packets > 0);
    /* As a whole and first: an answer that acts on half a payload and then refuses it would be
     * worse. */
    if (body.size == 0 || !utf8_is_valid(body))
        return STATUS_MALFORMED;
    *reader = (struct engineio_payload_reader){body, max_packets, true};
    return STATUS_OK;
}

enum status engineio_payload_next(struct engineio_payload_reader *reader, struct buffer *scratch,
                                  struct engineio_packet *packet)
{
    assert(reader->more || reader->rest.size == 0);
    if (!reader->more)
        return STATUS_NOT_FOUND;
    /* A body of a megabyte could hold half a million empty packets, each of which costs a turn of
     * its own. */
    if (reader->packets_left == 0)
        return STATUS_LIMIT;
    struct bytes rest = reader->rest;
    const uint8_t *end = rest.size ? memchr(rest.data, ENGINEIO_SEPARATOR, rest.size) : NULL;
    size_t size = end ? (size_t)(end - rest.data) : rest.size;
    enum status status = engineio_decode(bytes_of(rest.data, size), scratch, packet);
    if (status)
        return status;
    reader->packets_left--;
    reader->more = end != NULL;
    reader->rest = bytes_skip(rest, end ? size + 1 : size);
    return STATUS_OK;
}

void engineio_append_packet(struct buffer *out, enum engineio_packet_type type, struct bytes data)
{
    assert(type <= ENGINEIO_NOOP);
    buffer_append_byte(out, (uint8_t)('0' + type));
    buffer_append(out, data);
}

void engineio_append_binary(struct buffer *out, struct bytes data)
{
    buffer_append_byte(out, 'b');
    base64_encode(data, out);
}

/* For a poll's answer, which has a limit: known before anything is written. */
size_t engineio_packet_size(bool binary, size_t data_size)
{
    return 1 + (binary ? base64_encoded_size(data_size) : data_size);
}

void engineio_append_separator(struct buffer *out, size_t payload_start)
{
    assert(payload_start <= buffer_size(out));
    /* None in front of the first. */
    if (buffer_size(out) > payload_start)
        buffer_append_byte(out, ENGINEIO_SEPARATOR);
}

/* Members in the order of the official server. Clients parse JSON; people compare recordings. */
void engineio_append_open(struct buffer *out, const struct engineio_handshake *handshake)
{
    assert(handshake->sid.size > 0 && handshake->ping_interval_ms > 0);
    buffer_append_format(out,
                         "0{\"sid\":\"%.*s\",\"upgrades\":[%s],\"pingInterval\":%u,"
                         "\"pingTimeout\":%u,\"maxPayload\":%llu}",
                         BYTES_PRINT(handshake->sid),
                         handshake->websocket_upgrade ? "\"websocket\"" : "",
                         handshake->ping_interval_ms, handshake->ping_timeout_ms,
                         (unsigned long long)handshake->max_payload_bytes);
}

static const struct {
    unsigned http;
    const char *text;
} errors[] = {
/* The official server's codes and words, by which its clients tell an expired session from a
     * bad request. */
#define X(name, code, http, text) [code] = {http, text},
    ENGINEIO_ERROR_TABLE(X)
#undef X
};

unsigned engineio_error_http_code(enum engineio_error error)
{
    assert((size_t)error < sizeof(errors) / sizeof(errors[0]));
    return errors[error].http;
}

const char *engineio_error_message(enum engineio_error error)
{
    assert((size_t)error < sizeof(errors) / sizeof(errors[0]));
    return errors[error].text;
}

void engineio_append_error(struct buffer *out, enum engineio_error error, const char *message)
{
    buffer_append_format(out, "{\"code\":%d,\"message\":", (int)error);
    json_write_string(out, bytes_of_string(message ? message : engineio_error_message(error)));
    buffer_append_byte(out, '}');
}
