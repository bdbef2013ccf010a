/* Socket.IO v5 packets (socket.io-protocol, revision 5) as they travel in Engine.IO messages:
 * decode, collect the attachments of binary ones, encode. Not a session: whether a packet is
 * allowed now (EVENT before CONNECT, a namespace not joined, a CONNECT_ERROR from a client) is the
 * transport's to judge. Nor does it interpret payloads: JSON is checked and handed on as the slice
 * it came in, never written again.
 *
 *      <type>[<attachments>-][<namespace>,][<ack id>][JSON]
 *
 *      5 1- /admin, 12 ["hello",{"_placeholder":true,"num":0}]
 *      |  |    |     |     |     '-- arguments
 *      |  |    |     |     '-- event
 *      |  |    |     '-- ack id: an answer is wanted
 *      |  |    '-- namespace, "/" if it is not named
 *      |  '-- attachments: so many binary messages follow
 *      '-- type; the spaces are not in it */
#ifndef GATEWAY_PROTOCOL_SOCKETIO_PACKET_H
#define GATEWAY_PROTOCOL_SOCKETIO_PACKET_H

#include "buffer.h"

enum socketio_packet_type {
    SOCKETIO_CONNECT = 0,
    SOCKETIO_DISCONNECT = 1,
    SOCKETIO_EVENT = 2,
    SOCKETIO_ACK = 3,
    SOCKETIO_CONNECT_ERROR = 4,
    SOCKETIO_BINARY_EVENT = 5,
    SOCKETIO_BINARY_ACK = 6,
};

enum { SOCKETIO_MAX_ATTACHMENTS = 10 }; /* what the JavaScript parsers accept */

/* Shared; must outlive the decoders. Every maximum is inclusive. */
struct socketio_limits {
    uint32_t json_depth;      /* STATUS_TOO_DEEP beyond */
    uint32_t namespace_bytes; /* STATUS_TOO_LARGE beyond */
    uint64_t packet_bytes;    /* header and all attachments; STATUS_TOO_LARGE beyond */
};

/* A value; its slices are borrowed from the input of the call that gave it, or, if it has
 * attachments, from the decoder until the next call. */
struct socketio_packet {
    enum socketio_packet_type type;
    bool has_ack_id;         /* an EVENT that asks for an ACK, or the ACK itself */
    uint64_t ack_id;         /* up to 2^53 - 1, as JavaScript counts */
    struct bytes name_space; /* "/admin?x=y" with all that follows '?'; "/" if not named */
    struct bytes payload;    /* the JSON, whole; empty if there is none */

    /* EVENT and BINARY_EVENT: the first element, raw JSON: a string in its quotes, or a number;
     * empty for an EVENT without payload (the JavaScript server accepts `2`), which names no event.
     */
    struct bytes event;
    /* EVENT: the elements behind the first; ACK: all elements. Raw, with the commas between them
     * and without the brackets. */
    struct bytes arguments;
    uint32_t argument_count;

    uint32_t attachment_count; /* placeholders of the payload are checked to lie below it */
    const struct bytes *attachments;
};

/* ---- Decoding ---- */

/* One text, without looking for attachments: BINARY packets come with attachment_count set and
 * attachments NULL.
 *   STATUS_MALFORMED   anything that is not a packet: type, attachments (1 to 10), ack id, JSON,
 *                      payload of the wrong shape for its type, a reserved event name, a
 *                      placeholder beyond the attachments
 *   STATUS_TOO_DEEP    see socketio_limits; *packet has what stands before the JSON, so that it can
 *                      be answered: type, namespace, ack id, attachment_count
 *   STATUS_TOO_LARGE   see socketio_limits */
enum status socketio_decode(struct bytes text, const struct socketio_limits *limits,
                            struct socketio_packet *packet) MUST_CHECK;

/* Collects binary packets. Costs no heap while no binary packet is incomplete or just given. */
struct socketio_decoder {
    const struct socketio_limits *limits;
    struct socketio_collection *collection; /* private */
};

void socketio_decoder_init(struct socketio_decoder *decoder, const struct socketio_limits *limits);
void socketio_decoder_deinit(struct socketio_decoder *decoder);

/* A text message.
 *   STATUS_OK          *packet is complete
 *   STATUS_INCOMPLETE  a binary packet; its attachments must follow (the text is copied)
 *   others             as socketio_decode(); MALFORMED too if attachments are outstanding. The
 *                      decoder is then empty: close the connection. */
enum status socketio_decoder_text(struct socketio_decoder *decoder, struct bytes text,
                                  struct socketio_packet *packet) MUST_CHECK;

/* A binary message: the next attachment, copied.
 *   STATUS_OK          it was the last one, *packet is complete and borrowed from the decoder
 *   STATUS_INCOMPLETE  more must follow
 *   STATUS_MALFORMED   no attachment is outstanding
 *   STATUS_TOO_LARGE   limits->packet_bytes */
enum status socketio_decoder_binary(struct socketio_decoder *decoder, struct bytes data,
                                    struct socketio_packet *packet) MUST_CHECK;

/* Attachments are outstanding: for a limit on the time a packet may stay incomplete. */
bool socketio_decoder_is_collecting(const struct socketio_decoder *decoder);

/* What an incomplete packet consists of so far, to be fed again to another decoder (a session that
 * moves). False if there is none. */
bool socketio_decoder_peek(const struct socketio_decoder *decoder, struct bytes *text,
                           const struct bytes **attachments, uint32_t *count);

/* Bytes on the heap for this decoder. */
size_t socketio_decoder_memory(const struct socketio_decoder *decoder);

/* ---- Events ---- */

/* Whether the event has this name: compares the raw JSON string, escapes resolved. A number never
 * equals a name. */
bool socketio_event_is(const struct socketio_packet *packet, const char *name);

/* Appends the event's name as text, escapes resolved (a number as its digits). */
void socketio_append_event_name(const struct socketio_packet *packet, struct buffer *out);

/* Takes the first element off raw, already checked arguments ("1,[2]" -> "1", "[2]"). False if
 * there is none left. */
bool socketio_next_argument(struct bytes *arguments, struct bytes *argument);

/* connect, connect_error, disconnect, disconnecting, newListener, removeListener */
bool socketio_event_is_reserved(struct bytes name);

/* ---- Encoding. Texts without Engine.IO's "4" in front. ---- */

/* "5", "2-", "/admin,", "12": what stands before the JSON. The namespace is not written if it is
 * "/"; has_ack_id, ack_id, attachment_count as in *packet; its slices but the namespace are not
 * read. */
void socketio_append_head(struct buffer *out, const struct socketio_packet *packet);

/* A whole packet: head and, if there is one, packet->payload. The attachments are sent behind it,
 * as binary messages. The inverse of socketio_decode(). */
void socketio_append_packet(struct buffer *out, const struct socketio_packet *packet);

/* 0/admin,{"sid":"...","pid":"..."}; pid empty: none (recovery is off). Both are texts that JSON
 * need not escape. */
void socketio_append_connect(struct buffer *out, struct bytes name_space, struct bytes sid,
                             struct bytes pid);

/* 4/admin,{"message":"...","data":...}; message is text, data is raw JSON or empty: no data. */
void socketio_append_connect_error(struct buffer *out, struct bytes name_space,
                                   struct bytes message, struct bytes data);

/* 1/admin, */
void socketio_append_disconnect(struct buffer *out, struct bytes name_space);

/* 3/admin,12[arguments]; with attachments 6/admin,1-12[arguments]. Arguments are raw JSON. */
void socketio_append_ack(struct buffer *out, struct bytes name_space, uint64_t ack_id,
                         struct bytes arguments, uint32_t attachment_count);

/* The body that all sessions of a namespace share: 2/admin,["name",arguments   and then, for each
 * session, a tail: the cursor as last argument,  ,"cursor"]   or just   ]
 * The name is text, the arguments raw JSON without brackets, maybe empty. */
void socketio_append_event_body(struct buffer *out, struct bytes name_space, struct bytes name,
                                struct bytes arguments);
/* The tail of an event; cursor: text that JSON need not escape, or empty: no cursor. */
void socketio_append_event_tail(struct buffer *out, struct bytes cursor);
static inline size_t socketio_event_tail_size(size_t cursor_size)
{
    return cursor_size ? cursor_size + 4 : 1;
}

/* A whole event with everything that may be in one. */
struct socketio_event {
    struct bytes name_space;
    struct bytes name;      /* text */
    struct bytes arguments; /* raw JSON, without brackets */
    struct bytes cursor;    /* empty: none */
    bool has_ack_id;
    uint64_t ack_id;
    uint32_t attachment_count; /* the arguments hold that many placeholders */
};
void socketio_append_event(struct buffer *out, const struct socketio_event *event);

/* {"_placeholder":true,"num":0} */
void socketio_append_placeholder(struct buffer *out, uint32_t index);

#endif
