#include "hostile_text.h"

void hostile_append_request(struct buffer *out, const char *target, enum hostile_request kind,
                            const char *token)
{
    static const char upgrade[] =
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    buffer_append_format(out, "GET %s HTTP/1.1\r\nHost: test\r\n", target);
    switch (kind) {
    case HOSTILE_GET:
        break;
    case HOSTILE_UPGRADE:
        buffer_append_format(out, "%sSec-WebSocket-Protocol: smartstack.v1.json\r\n", upgrade);
        break;
    case HOSTILE_UPGRADE_PROTOBUF:
        buffer_append_format(out, "%sSec-WebSocket-Protocol: smartstack.v1.protobuf\r\n", upgrade);
        break;
    case HOSTILE_STREAM:
        buffer_append_string(out, "Accept: text/event-stream\r\n");
    }
    if (token)
        buffer_append_format(out, "Authorization: Bearer %s\r\n", token);
    buffer_append_string(out, "\r\n");
}

void hostile_append_post(struct buffer *out, const char *target, struct bytes body)
{
    buffer_append_format(out, "POST %s HTTP/1.1\r\nHost: test\r\nContent-Length: %zu\r\n\r\n",
                         target, body.size);
    buffer_append(out, body);
}

void hostile_append_frame(struct buffer *out, unsigned opcode, struct bytes payload)
{
    static const uint8_t mask[4] = {0}; /* as good as any other, and soon done */
    buffer_append_byte(out, (uint8_t)(0x80 | opcode));
    if (payload.size < 126) {
        buffer_append_byte(out, (uint8_t)(0x80 | payload.size));
    } else if (payload.size <= UINT16_MAX) {
        buffer_append_byte(out, 0x80 | 126);
        buffer_append_byte(out, (uint8_t)(payload.size >> 8));
        buffer_append_byte(out, (uint8_t)payload.size);
    } else {
        buffer_append_byte(out, 0x80 | 127);
        for (unsigned shift = 64; shift > 0; shift -= 8)
            buffer_append_byte(out, (uint8_t)((uint64_t)payload.size >> (shift - 8)));
    }
    buffer_append(out, bytes_of(mask, sizeof(mask)));
    buffer_append(out, payload);
}

bool hostile_next_frame(const struct buffer *buffer, struct hostile_frame *frame)
{
    struct bytes rest = buffer_peek(buffer);
    if (rest.size < 2)
        return false;
    uint64_t size = rest.data[1] & 0x7f;
    size_t head = 2, more = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (rest.size < head + more)
        return false;
    if (more)
        size = 0;
    for (; more; more--)
        size = size << 8 | rest.data[head++];
    if (rest.size - head < size)
        return false;
    *frame = (struct hostile_frame){rest.data[0] & 0x0fu, bytes_of(rest.data + head, (size_t)size),
                                    head + (size_t)size};
    return true;
}
