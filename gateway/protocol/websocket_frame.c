/* Frames of RFC 6455: a reader for what clients send, and writers for what we send. Messages are
 * put together here, so that whoever takes items never sees a fragment.
 *
 * The invariant: `message` holds the unfinished message first, message_size bytes of it, and behind
 * that, for a moment, a control frame that came in between. Its memory is freed between messages:
 * an idle connection has none.
 *
 * What breaks the protocol ends it (section 7.1.7): after a failure there is only the failure, with
 * the close code that tells the client why. */
#include "websocket_frame.h"

#include <assert.h>

enum frame_reader_state {
    STATE_HEADER,  /* collecting `header` */
    STATE_PAYLOAD, /* `left` bytes of payload to come */
    STATE_CLOSED,
    STATE_FAILED,
};

enum {
    FIN = 0x80,
    RSV = 0x70,
    OPCODE = 0x0f,
    MASKED = 0x80,
    LENGTH = 0x7f,
    MASK_SIZE = 4,
    CONTROL = 0x8, /* bit of control opcodes */
};

void websocket_reader_init(struct websocket_reader *reader, uint64_t message_limit)
{
    assert(message_limit <= WEBSOCKET_MESSAGE_MAX);
    *reader = (struct websocket_reader){.message_limit = message_limit};
}

void websocket_reader_deinit(struct websocket_reader *reader)
{
    buffer_deinit(&reader->message);
    *reader = (struct websocket_reader){.state = STATE_CLOSED};
}

unsigned websocket_reader_close_code(const struct websocket_reader *reader)
{
    assert(!reader->close_code || reader->state == STATE_FAILED);
    return reader->close_code;
}

/* Whether something has begun and is not over: who is silent then has a time limit. */
bool websocket_reader_is_inside(const struct websocket_reader *reader)
{
    return reader->message_opcode != 0 || reader->header_size != 0;
}

size_t websocket_reader_memory(const struct websocket_reader *reader)
{
    return reader->message.capacity;
}

static enum status frame_reader_fail(struct websocket_reader *reader, enum status status,
                                     unsigned close_code)
{
    assert(status != STATUS_OK && close_code <= UINT16_MAX);
    buffer_deinit(&reader->message);
    reader->state = STATE_FAILED;
    reader->status = (uint8_t)status;
    reader->close_code = (uint16_t)close_code;
    return status;
}

static enum status violate(struct websocket_reader *reader)
{
    return frame_reader_fail(reader, STATUS_MALFORMED, WEBSOCKET_CLOSE_PROTOCOL_ERROR);
}

static enum websocket_opcode frame_opcode(const struct websocket_reader *reader)
{
    return (enum websocket_opcode)(reader->header[0] & OPCODE);
}

static bool frame_is_control(const struct websocket_reader *reader)
{
    return reader->header[0] & CONTROL;
}

static bool frame_is_final(const struct websocket_reader *reader)
{
    return reader->header[0] & FIN;
}

/* Size of the whole header, known from its second byte. */
static size_t full_header_size(const struct websocket_reader *reader)
{
    if (reader->header_size < 2)
        return 2;
    unsigned length = reader->header[1] & LENGTH;
    size_t extended = length == 126 ? 2 : length == 127 ? 8 : 0;
    return 2 + extended + MASK_SIZE;
}

static uint64_t frame_size(const struct websocket_reader *reader)
{
    unsigned length = reader->header[1] & LENGTH;
    assert(reader->header_size == full_header_size(reader));
    if (length < 126)
        return length;
    uint64_t size = 0;
    for (size_t i = 0; i < (length == 126 ? 2u : 8u); i++)
        size = size << 8 | reader->header[2 + i];
    return size;
}

/* What the first two bytes already tell: sections 5.1 to 5.5. */
static enum status check_start(struct websocket_reader *reader)
{
    assert(reader->header_size == 2);
    /* No extension is ever agreed upon: compressed frames for thousands of clients would have to be
     * made for each, and a message could no longer be shared. */
    if (reader->header[0] & RSV)
        return violate(reader);
    /* Clients mask, so that a page cannot put bytes of its choice on the wire for a proxy to
     * misread. */
    if (!(reader->header[1] & MASKED))
        return violate(reader);
    switch ((unsigned)frame_opcode(reader)) {
    case WEBSOCKET_CONTINUATION:
        return reader->message_opcode ? STATUS_OK : violate(reader);
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY:
        return reader->message_opcode ? violate(reader) : STATUS_OK;
    case WEBSOCKET_CLOSE:
    case WEBSOCKET_PING:
    case WEBSOCKET_PONG:
        if (!frame_is_final(reader) || (reader->header[1] & LENGTH) > WEBSOCKET_CONTROL_MAX)
            return violate(reader);
        return STATUS_OK;
    default:
        return violate(reader);
    }
}

static enum status check_size(struct websocket_reader *reader)
{
    uint64_t size = frame_size(reader);
    unsigned length = reader->header[1] & LENGTH;
    assert(reader->message_size <= reader->message_limit);
    if ((length == 126 && size < 126) || (length == 127 && (size <= UINT16_MAX || size >> 63)))
        return violate(reader); /* the shortest form must be used, section 5.2 */
    /* Before any of it is read: what a frame announces is refused, not what has arrived of it. */
    if (!frame_is_control(reader) && size > reader->message_limit - reader->message_size)
        return frame_reader_fail(reader, STATUS_TOO_LARGE, WEBSOCKET_CLOSE_TOO_BIG);
    return STATUS_OK;
}

static enum status read_header(struct websocket_reader *reader, struct bytes *input)
{
    assert(reader->state == STATE_HEADER);
    while (reader->header_size < full_header_size(reader)) {
        if (input->size == 0)
            return STATUS_INCOMPLETE;
        /* Byte by byte: headers are 14 bytes at most, and may be cut anywhere. */
        reader->header[reader->header_size++] = input->data[0];
        *input = bytes_skip(*input, 1);
        if (reader->header_size == 2) {
            enum status status = check_start(reader);
            if (status)
                return status;
        }
    }
    enum status status = check_size(reader);
    if (status)
        return status;
    reader->left = frame_size(reader);
    reader->mask_offset = 0;
    reader->state = STATE_PAYLOAD;
    unsigned opcode = frame_opcode(reader);
    if (opcode == WEBSOCKET_TEXT || opcode == WEBSOCKET_BINARY)
        reader->message_opcode = (uint8_t)opcode;
    return STATUS_OK;
}

/* Unmasks while copying, eight bytes at a time; section 5.3. */
static void unmask(struct websocket_reader *reader, const uint8_t *from, uint8_t *to, size_t size)
{
    const uint8_t *key = reader->header + reader->header_size - MASK_SIZE;
    uint8_t turned[8];
    assert(reader->header_size > MASK_SIZE && reader->mask_offset < MASK_SIZE);
    for (size_t i = 0; i < sizeof(turned); i++)
        turned[i] = key[(reader->mask_offset + i) % MASK_SIZE];
    uint64_t mask, word;
    memcpy(&mask, turned, sizeof(mask));
    size_t i = 0;
    for (; i + sizeof(word) <= size; i += sizeof(word)) {
        memcpy(&word, from + i, sizeof(word));
        word ^= mask;
        memcpy(to + i, &word, sizeof(word));
    }
    for (; i < size; i++)
        to[i] = from[i] ^ turned[i % sizeof(turned)];
    reader->mask_offset = (uint8_t)((reader->mask_offset + size) % MASK_SIZE);
}

static enum status read_payload(struct websocket_reader *reader, struct bytes *input)
{
    size_t size = input->size < reader->left ? input->size : (size_t)reader->left;
    assert(reader->state == STATE_PAYLOAD);
    if (size) {
        uint8_t *place = buffer_reserve(&reader->message, size);
        unmask(reader, input->data, place, size);
        buffer_commit(&reader->message, size);
        *input = bytes_skip(*input, size);
        reader->left -= size;
        if (!frame_is_control(reader)) {
            reader->message_size += (uint32_t)size;
            if (reader->message_opcode == WEBSOCKET_TEXT &&
                /* As it comes: a text that is none ends the connection before the rest of it has
                 * been kept. */
                !utf8_validator_feed(&reader->utf8, bytes_of(place, size)))
                return frame_reader_fail(reader, STATUS_MALFORMED, WEBSOCKET_CLOSE_INVALID_TEXT);
        }
    }
    return reader->left ? STATUS_INCOMPLETE : STATUS_OK;
}

static enum status give_close(struct websocket_reader *reader, struct bytes payload,
                              struct websocket_item *item)
{
    unsigned code = WEBSOCKET_CLOSE_NO_CODE;
    assert(payload.size <= WEBSOCKET_CONTROL_MAX);
    /* A code has two bytes (section 5.5.1). */
    if (payload.size == 1)
        return violate(reader);
    if (payload.size >= 2) {
        code = (unsigned)payload.data[0] << 8 | payload.data[1];
        payload = bytes_skip(payload, 2);
        if (!websocket_close_code_is_valid(code))
            return violate(reader);
        if (!utf8_is_valid(payload))
            return frame_reader_fail(reader, STATUS_MALFORMED, WEBSOCKET_CLOSE_INVALID_TEXT);
    }
    *item = (struct websocket_item){WEBSOCKET_CLOSE, payload, code};
    reader->state = STATE_CLOSED;
    return STATUS_OK;
}

/* The frame is complete. STATUS_INCOMPLETE: it was not the last of its message. */
static enum status finish_frame(struct websocket_reader *reader, struct websocket_item *item)
{
    struct bytes content = buffer_peek(&reader->message);
    enum websocket_opcode opcode = frame_opcode(reader);
    assert(reader->left == 0 && content.size >= reader->message_size);
    reader->state = STATE_HEADER;
    reader->header_size = 0;
    if (opcode & CONTROL) {
        struct bytes payload = bytes_skip(content, reader->message_size);
        if (opcode == WEBSOCKET_CLOSE)
            return give_close(reader, payload, item);
        *item = (struct websocket_item){opcode, payload, 0};
        return STATUS_OK;
    }
    if (!frame_is_final(reader))
        return STATUS_INCOMPLETE;
    opcode = (enum websocket_opcode)reader->message_opcode;
    if (opcode == WEBSOCKET_TEXT && !utf8_validator_is_complete(&reader->utf8))
        return frame_reader_fail(reader, STATUS_MALFORMED, WEBSOCKET_CLOSE_INVALID_TEXT);
    reader->message_opcode = 0;
    reader->message_size = 0;
    *item = (struct websocket_item){opcode, content, 0};
    return STATUS_OK;
}

/* Drops what the last call gave: whatever is no part of an unfinished message. Between frames only,
 * as a control frame may be half collected. */
static void drop_given(struct websocket_reader *reader)
{
    if (reader->state != STATE_HEADER)
        return;
    assert(buffer_size(&reader->message) >= reader->message_size);
    if (reader->message_size == 0)
        buffer_deinit(&reader->message);
    else
        reader->message.end = reader->message.start + reader->message_size;
}

enum status websocket_reader_next(struct websocket_reader *reader, struct bytes *input,
                                  struct websocket_item *item)
{
    drop_given(reader);
    for (;;) {
        enum status status;
        switch ((enum frame_reader_state)reader->state) {
        case STATE_CLOSED:
            return STATUS_CLOSED;
        case STATE_FAILED:
            return (enum status)reader->status;
        case STATE_HEADER:
            status = read_header(reader, input);
            if (status)
                return status;
            break;
        case STATE_PAYLOAD:
            status = read_payload(reader, input);
            if (status)
                return status;
            status = finish_frame(reader, item);
            if (status != STATUS_INCOMPLETE)
                return status;
            break;
        }
    }
}

/* In the shortest of its three forms, always final and never masked: servers do not mask (section
 * 5.1), so that one frame can be written to every client as it is. */
size_t websocket_write_header(uint8_t out[WEBSOCKET_HEADER_MAX], enum websocket_opcode opcode,
                              uint64_t payload_size)
{
    size_t size = websocket_header_size(payload_size);
    assert(size <= WEBSOCKET_HEADER_MAX);
    out[0] = (uint8_t)(FIN | opcode);
    if (size == 2) {
        out[1] = (uint8_t)payload_size;
        return size;
    }
    out[1] = size == 4 ? 126 : 127;
    for (size_t i = size - 1; i >= 2; i--) {
        out[i] = (uint8_t)payload_size;
        payload_size >>= 8;
    }
    return size;
}

void websocket_append_header(struct buffer *out, enum websocket_opcode opcode,
                             uint64_t payload_size)
{
    uint8_t header[WEBSOCKET_HEADER_MAX];
    buffer_append(out, bytes_of(header, websocket_write_header(header, opcode, payload_size)));
}

void websocket_append_frame(struct buffer *out, enum websocket_opcode opcode, struct bytes payload)
{
    assert(!(opcode & CONTROL) || payload.size <= WEBSOCKET_CONTROL_MAX);
    websocket_append_header(out, opcode, payload.size);
    buffer_append(out, payload);
}

/* 125 bytes are all that a control frame may have (section 5.5). */
void websocket_append_close(struct buffer *out, unsigned code, const char *reason)
{
    if (code == WEBSOCKET_CLOSE_NO_CODE) {
        websocket_append_frame(out, WEBSOCKET_CLOSE, bytes_of(NULL, 0));
        return;
    }
    assert(websocket_close_code_is_valid(code));
    struct bytes text = bytes_of_string(reason);
    if (text.size > WEBSOCKET_CONTROL_MAX - 2) {
        text.size = WEBSOCKET_CONTROL_MAX - 2;
        /* Cut at a character's beginning: half of one would be invalid at the client. */
        while (text.size && (text.data[text.size] & 0xc0) == 0x80)
            text.size--;
    }
    websocket_append_header(out, WEBSOCKET_CLOSE, text.size + 2);
    buffer_append_byte(out, (uint8_t)(code >> 8));
    buffer_append_byte(out, (uint8_t)code);
    buffer_append(out, text);
}

bool websocket_close_code_is_valid(unsigned code)
{
    /* 1004 to 1006 and 1015 are never sent (section 7.4.1): they stand for what was not a close
     * frame. */
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
