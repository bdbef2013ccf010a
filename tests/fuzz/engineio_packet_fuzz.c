/* engineio_decode(), a WebSocket's text frame: what is read from it reads the same after it was
 * written again, text lies where it lay, and what is refused left no packet behind. */
#include <assert.h>

#include "engineio_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_packet(const struct engineio_packet *packet, struct buffer *out)
{
    if (packet->binary)
        engineio_append_binary(out, packet->data);
    else
        engineio_append_packet(out, packet->type, packet->data);
    assert(buffer_size(out) == engineio_packet_size(packet->binary, packet->data.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buffer struct buffer scratch = {0}, again_scratch = {0}, once = {0}, twice = {0};
    const struct engineio_packet none = {.type = ENGINEIO_NOOP, .data = bytes_of(data, size)};
    struct engineio_packet packet = none, again;
    struct bytes text = bytes_of(data, size);
    if (engineio_decode(text, &scratch, &packet) != STATUS_OK) {
        assert(packet.type == none.type && bytes_equal(packet.data, none.data));
        assert(size == 0 || data[0] == 'b' || data[0] < '0' || data[0] > '6');
        return 0;
    }
    assert(packet.type <= ENGINEIO_NOOP && (!packet.binary || packet.type == ENGINEIO_MESSAGE));
    assert(packet.binary == (data[0] == 'b'));
    write_packet(&packet, &once);
    if (!packet.binary) {
        assert(packet.data.data == data + 1 && packet.data.size == size - 1);
        assert(bytes_equal(buffer_peek(&once), text));
    }
    assert(engineio_decode(buffer_peek(&once), &again_scratch, &again) == STATUS_OK);
    assert(again.type == packet.type && again.binary == packet.binary);
    assert(bytes_equal(again.data, packet.data));
    write_packet(&again, &twice);
    assert(bytes_equal(buffer_peek(&once), buffer_peek(&twice)));
    return 0;
}
