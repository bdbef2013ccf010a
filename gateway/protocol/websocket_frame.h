/* WebSocket frames (RFC 6455), the server's side: bytes -> messages and control frames, frame
 * headers, and the handshake's check and answer. Not a connection: it neither answers pings nor
 * closes, it says what came and which close code fits. No extensions: a set RSV bit is an error.
 *
 * The reader needs no input buffer: it takes from the caller's bytes and keeps only a split frame
 * header and the message under construction, whose memory is freed with the message. */
#ifndef GATEWAY_PROTOCOL_WEBSOCKET_FRAME_H
#define GATEWAY_PROTOCOL_WEBSOCKET_FRAME_H

#include "buffer.h"
#include "http_request.h"
#include "utf8.h"

enum websocket_opcode { /* RFC 6455 section 5.2 */
                        WEBSOCKET_CONTINUATION = 0x0,
                        WEBSOCKET_TEXT = 0x1,
                        WEBSOCKET_BINARY = 0x2,
                        WEBSOCKET_CLOSE = 0x8,
                        WEBSOCKET_PING = 0x9,
                        WEBSOCKET_PONG = 0xa,
};

enum websocket_close_code { /* section 7.4.1 */
                            WEBSOCKET_CLOSE_NORMAL = 1000,
                            WEBSOCKET_CLOSE_GOING_AWAY = 1001,
                            WEBSOCKET_CLOSE_PROTOCOL_ERROR = 1002,
                            WEBSOCKET_CLOSE_UNSUPPORTED_DATA = 1003,
                            WEBSOCKET_CLOSE_NO_CODE =
                                1005, /* never on the wire: a close frame without a code */
                            WEBSOCKET_CLOSE_INVALID_TEXT = 1007,
                            WEBSOCKET_CLOSE_POLICY = 1008,
                            WEBSOCKET_CLOSE_TOO_BIG = 1009,
                            WEBSOCKET_CLOSE_INTERNAL_ERROR = 1011,
                            WEBSOCKET_CLOSE_SERVICE_RESTART = 1012,
                            WEBSOCKET_CLOSE_TRY_AGAIN = 1013,
};

enum {
    WEBSOCKET_HEADER_MAX = 10,  /* of an unmasked frame */
    WEBSOCKET_CONTROL_MAX = 125 /* payload of a control frame, section 5.5 */
};

/* A whole message (TEXT, BINARY) or a control frame. */
struct websocket_item {
    enum websocket_opcode opcode; /* never CONTINUATION */
    struct bytes payload;         /* unmasked; of CLOSE: the reason. Borrowed until the next call */
    unsigned close_code;          /* CLOSE only; WEBSOCKET_CLOSE_NO_CODE if the frame had none */
};

/* The fields are private. */
struct websocket_reader {
    struct buffer message; /* the message so far, and behind it a control frame so far */
    uint64_t message_limit;
    uint64_t left;         /* payload bytes of the present frame still to come */
    uint32_t message_size; /* bytes of `message` that belong to the message */
    uint16_t close_code;   /* non-zero: failed or closed */
    uint8_t header[14];
    uint8_t header_size; /* bytes of `header` collected */
    uint8_t state;
    uint8_t message_opcode; /* of the message under construction; 0: none */
    uint8_t status;
    uint8_t mask_offset;
    struct utf8_validator utf8; /* between messages at the start of a text */
};

enum { WEBSOCKET_MESSAGE_MAX = 64 * 1024 * 1024 };

/* `message_limit` (inclusive, at most WEBSOCKET_MESSAGE_MAX) is over all fragments of a message. */
void websocket_reader_init(struct websocket_reader *reader, uint64_t message_limit);
void websocket_reader_deinit(struct websocket_reader *reader);

/* Takes from the front of *input up to the end of the next message or control frame.
 *   STATUS_OK          *item is filled; call again with the rest of the input
 *   STATUS_INCOMPLETE  all input is taken; more is needed
 *   STATUS_MALFORMED   close code 1002, or 1007 for text that is not UTF-8 (found at the first bad
 *                      byte, in the middle of a message too); final
 *   STATUS_TOO_LARGE   close code 1009, found from the frame header, before any allocation; final
 *   STATUS_CLOSED      a CLOSE was given: whatever follows it is ignored (section 5.5.1)  */
enum status websocket_reader_next(struct websocket_reader *reader, struct bytes *input,
                                  struct websocket_item *item) MUST_CHECK;

/* What to close with after MALFORMED or TOO_LARGE. */
unsigned websocket_reader_close_code(const struct websocket_reader *reader);

/* A message has begun and is not complete: for a limit on the time it may take. */
bool websocket_reader_is_inside(const struct websocket_reader *reader);

/* Bytes on the heap for this reader. */
size_t websocket_reader_memory(const struct websocket_reader *reader);

/* ---- Writing: unmasked, unfragmented frames ---- */

static inline size_t websocket_header_size(uint64_t payload_size)
{
    return payload_size < 126 ? 2 : payload_size <= UINT16_MAX ? 4 : 10;
}

/* Writes the header of a frame and returns its size, 2 to 10 bytes. The payload may then follow in
 * pieces: a body shared by many sessions and a tail of this one. */
size_t websocket_write_header(uint8_t out[WEBSOCKET_HEADER_MAX], enum websocket_opcode opcode,
                              uint64_t payload_size);

/* A header, appended. */
void websocket_append_header(struct buffer *out, enum websocket_opcode opcode,
                             uint64_t payload_size);

/* A whole frame, appended. A control frame's payload must fit WEBSOCKET_CONTROL_MAX. */
void websocket_append_frame(struct buffer *out, enum websocket_opcode opcode, struct bytes payload);

/* A close frame, appended; the reason is cut to what fits, between characters. With
 * WEBSOCKET_CLOSE_NO_CODE it has no payload. */
void websocket_append_close(struct buffer *out, unsigned code, const char *reason);

/* Whether a peer may send this code (section 7.4). */
bool websocket_close_code_is_valid(unsigned code);

/* ---- Handshake, section 4.2 ---- */

enum { WEBSOCKET_ACCEPT_SIZE = 29 }; /* with its NUL */

/* Whether the request is a proper opening handshake; *key is then a slice of it.
 *   STATUS_MALFORMED    not GET over HTTP/1.1, no upgrade to "websocket", bad key: answer 400
 *   STATUS_UNSUPPORTED  version other than 13: answer 426 with "Sec-WebSocket-Version: 13" */
enum status websocket_check_handshake(const struct http_request *request,
                                      struct bytes *key) MUST_CHECK;

/* Sec-WebSocket-Accept for a key that was checked. */
void websocket_accept(struct bytes key, char out[WEBSOCKET_ACCEPT_SIZE]);

/* Whether the client offers this subprotocol (case matters, section 1.9). */
bool websocket_offers_protocol(const struct http_request *request, const char *protocol);

/* The first subprotocol that the client offers; false: it offers none. A slice of the request. */
bool websocket_first_protocol(const struct http_request *request, struct bytes *protocol);

/* The 101 answer, appended. protocol: a token, or empty if none was chosen. `fields` as in
 * http_response.h. */
void websocket_append_handshake(struct buffer *out, struct bytes key, struct bytes protocol,
                                const struct http_field *fields, size_t field_count);

#endif
