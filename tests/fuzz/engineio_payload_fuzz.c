/* engineio_payload_next(): what is read from any polling body reads the same after it was written
 * again. */
#include <assert.h>

#include "engineio_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_PACKETS = 40 };

static void write_again(const struct engineio_packet *packet, struct buffer *out)
{
    engineio_append_separator(out, 0);
    size_t before = buffer_size(out);
    if (packet->binary)
        engineio_append_binary(out, packet->data);
    else
        engineio_append_packet(out, packet->type, packet->data);
    assert(buffer_size(out) - before == engineio_packet_size(packet->binary, packet->data.size));
}

/* Returns how the body ended. */
static enum status rewrite(struct bytes body, struct buffer *out)
{
    struct engineio_payload_reader reader;
    auto_buffer struct buffer scratch = {0};
    enum status status = engineio_payload_init(&reader, body, MOST_PACKETS);
    size_t packets = 0;
    while (status == STATUS_OK) {
        struct engineio_packet packet;
        status = engineio_payload_next(&reader, &scratch, &packet);
        if (status)
            break;
        assert(packet.type <= ENGINEIO_NOOP);
        assert(!packet.binary || packet.type == ENGINEIO_MESSAGE);
        assert(++packets <= MOST_PACKETS);
        write_again(&packet, out);
    }
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buffer struct buffer once = {0}, twice = {0};
    struct bytes body = bytes_of(data, size);
    enum status status = rewrite(body, &once);
    if (status == STATUS_NOT_FOUND) {
        /* Only base64 has more than one spelling, and all have one length besides line ends. */
        assert(buffer_size(&once) <= size);
        assert(buffer_size(&once) == size || memchr(data, '\n', size) || memchr(data, '\r', size));
        assert(rewrite(buffer_peek(&once), &twice) == STATUS_NOT_FOUND);
        assert(bytes_equal(buffer_peek(&once), buffer_peek(&twice)));
        if (!memchr(data, 'b', size))
            assert(bytes_equal(buffer_peek(&once), body));
    }
    return 0;
}
