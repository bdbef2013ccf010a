/* Engine.IO v4 packets and polling payloads (engine.io-protocol, revision 4). Not a session: which
 * packet is allowed when, heartbeat and upgrade are the transport's.
 *
 * Over WebSocket a text frame is one packet, "4hello", and a binary frame is the data of a message,
 * without a type. Over polling a body is packets with 0x1e between them; binary is "b" + base64.
 * A packet's data is a slice of the input (no copy), but for base64, which is decoded into a
 * caller's buffer. */
#ifndef GATEWAY_PROTOCOL_ENGINEIO_PACKET_H
#define GATEWAY_PROTOCOL_ENGINEIO_PACKET_H

#include "buffer.h"

enum { ENGINEIO_PROTOCOL = 4, ENGINEIO_SEPARATOR = 0x1e };

enum engineio_packet_type {
    ENGINEIO_OPEN = 0,
    ENGINEIO_CLOSE = 1,
    ENGINEIO_PING = 2,
    ENGINEIO_PONG = 3,
    ENGINEIO_MESSAGE = 4,
    ENGINEIO_UPGRADE = 5,
    ENGINEIO_NOOP = 6,
};

struct engineio_packet {
    enum engineio_packet_type type;
    bool binary;       /* only a MESSAGE */
    struct bytes data; /* behind the type */
};

/* A WebSocket text frame, or one part of a payload. `scratch` is cleared and filled if the packet
 * is base64; the packet's data is then borrowed from it. Allowed over WebSocket too, as in the
 * JavaScript server. STATUS_MALFORMED: empty, unknown type, bad base64. */
enum status engineio_decode(struct bytes text, struct buffer *scratch,
                            struct engineio_packet *packet) MUST_CHECK;

/* A WebSocket binary frame: cannot fail. */
static inline struct engineio_packet engineio_binary(struct bytes frame)
{
    return (struct engineio_packet){ENGINEIO_MESSAGE, true, frame};
}

/* Walks over the packets of a polling body. The body must be valid UTF-8 (checked at init). */
struct engineio_payload_reader {
    struct bytes rest;
    uint32_t packets_left; /* how many more may come */
    bool more;             /* a packet (maybe an empty one, which is malformed) follows */
};

/* `max_packets` bounds the packets of one body. STATUS_MALFORMED: the body is empty or not UTF-8.
 */
enum status engineio_payload_init(struct engineio_payload_reader *reader, struct bytes body,
                                  uint32_t max_packets) MUST_CHECK;

/* The next packet, as engineio_decode(): it is borrowed from the body, or from `scratch` until the
 * next call.
 *   STATUS_NOT_FOUND   the end
 *   STATUS_LIMIT       more than max_packets
 *   STATUS_MALFORMED   a bad packet; those before it were given */
enum status engineio_payload_next(struct engineio_payload_reader *reader, struct buffer *scratch,
                                  struct engineio_packet *packet) MUST_CHECK;

/* ---- Writing ---- */

/* "4hello": a text packet for a WebSocket frame or a payload. */
void engineio_append_packet(struct buffer *out, enum engineio_packet_type type, struct bytes data);

/* "bAQID": a binary message for a payload. Over WebSocket a binary frame takes the data as it is.
 */
void engineio_append_binary(struct buffer *out, struct bytes data);

/* Size of either in a payload, without separator: for a limit on an answer. */
size_t engineio_packet_size(bool binary, size_t data_size);

/* Between two packets of one payload: writes a separator unless the payload is still empty.
 * `payload_start` is buffer_size(out) where the payload began. */
void engineio_append_separator(struct buffer *out, size_t payload_start);

struct engineio_handshake {
    struct bytes sid; /* characters that JSON need not escape */
    bool websocket_upgrade;
    uint32_t ping_interval_ms;
    uint32_t ping_timeout_ms;
    uint64_t max_payload_bytes;
};

/* The OPEN packet: 0{"sid":"...","upgrades":["websocket"],"pingInterval":...}. */
void engineio_append_open(struct buffer *out, const struct engineio_handshake *handshake);

/* ---- Refusals of a request ---- */

#define ENGINEIO_ERROR_TABLE(X)                                            \
    X(ENGINEIO_ERROR_UNKNOWN_TRANSPORT, 0, 400, "Transport unknown")       \
    X(ENGINEIO_ERROR_UNKNOWN_SID, 1, 400, "Session ID unknown")            \
    X(ENGINEIO_ERROR_BAD_HANDSHAKE_METHOD, 2, 400, "Bad handshake method") \
    X(ENGINEIO_ERROR_BAD_REQUEST, 3, 400, "Bad request")                   \
    X(ENGINEIO_ERROR_FORBIDDEN, 4, 403, "Forbidden")                       \
    X(ENGINEIO_ERROR_UNSUPPORTED_PROTOCOL_VERSION, 5, 400, "Unsupported protocol version")

enum engineio_error {
#define X(name, code, http, text) name = code,
    ENGINEIO_ERROR_TABLE(X)
#undef X
};

unsigned engineio_error_http_code(enum engineio_error error);
const char *engineio_error_message(enum engineio_error error);

/* {"code":1,"message":"Session ID unknown"}; `message` replaces the table's text if not NULL. */
void engineio_append_error(struct buffer *out, enum engineio_error error, const char *message);

#endif
