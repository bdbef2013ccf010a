/* websocket_reader_next(): what is read from a stream does not depend on how it was cut, no message
 * is over the limit, and all text is UTF-8. The first byte of the input chooses the pieces; with
 * its high bit the input's frames are masked for it, since no fuzzer guesses a mask. */
#include <assert.h>

#include "websocket_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 300 };

static void transcribe(struct bytes input, size_t piece, struct buffer *out)
{
    struct websocket_reader reader;
    struct websocket_item item;
    enum status status = STATUS_INCOMPLETE;
    websocket_reader_init(&reader, LIMIT);
    while (input.size && status == STATUS_INCOMPLETE) {
        struct bytes part = bytes_of(input.data, piece < input.size ? piece : input.size);
        input = bytes_skip(input, part.size);
        while ((status = websocket_reader_next(&reader, &part, &item)) == STATUS_OK) {
            bool control = item.opcode & 8;
            assert(item.payload.size <= (control ? WEBSOCKET_CONTROL_MAX : LIMIT));
            assert(item.opcode != WEBSOCKET_TEXT || utf8_is_valid(item.payload));
            buffer_append_format(out, "[%d %u]", item.opcode, item.close_code);
            buffer_append(out, item.payload);
        }
        assert(status != STATUS_INCOMPLETE || part.size == 0);
        assert(websocket_reader_memory(&reader) <= 1024);
    }
    buffer_append_format(out, "[status %d %u]", status, websocket_reader_close_code(&reader));
    websocket_reader_deinit(&reader);
}

/* Reads the input as pairs of a frame's first byte and a length, and the payload behind them. */
static void add_frames(struct bytes input, struct buffer *out)
{
    static const uint8_t mask[4] = {1, 2, 4, 0x80};
    while (input.size >= 2) {
        uint8_t header[WEBSOCKET_HEADER_MAX];
        size_t payload = input.data[1] < input.size - 2 ? input.data[1] : input.size - 2;
        size_t size = websocket_write_header(header, WEBSOCKET_TEXT, payload);
        header[0] = input.data[0];
        header[1] |= 0x80;
        buffer_append(out, bytes_of(header, size));
        buffer_append(out, bytes_of(mask, sizeof(mask)));
        for (size_t i = 0; i < payload; i++)
            buffer_append_byte(out, input.data[2 + i] ^ mask[i % 4]);
        input = bytes_skip(input, 2 + payload);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    auto_buffer struct buffer whole = {0}, pieces = {0}, frames = {0};
    struct bytes input = bytes_of(data + 1, size - 1);
    if (data[0] & 0x80) {
        add_frames(input, &frames);
        input = buffer_peek(&frames);
    }
    transcribe(input, SIZE_MAX, &whole);
    transcribe(input, 1 + (data[0] & 0x1f), &pieces);
    assert(bytes_equal(buffer_peek(&whole), buffer_peek(&pieces)));
    return 0;
}
