/* socketio_decode() and the decoder: a packet that was read reads the same after it was written
 * again; its parts lie where they should. What follows a 0x1e in the input are attachments. */
#include <assert.h>

#include "json.h"
#include "socketio_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct socketio_limits limits = {
    .json_depth = 20, .namespace_bytes = 40, .packet_bytes = 2000};

static void check_arguments(const struct socketio_packet *packet)
{
    struct bytes rest = packet->arguments, argument;
    uint32_t count = 0;
    while (socketio_next_argument(&rest, &argument)) {
        assert(json_validate(argument, limits.json_depth, NULL) == STATUS_OK);
        count++;
    }
    assert(count == packet->argument_count);
}

static void check_name(const struct socketio_packet *packet)
{
    auto_buffer struct buffer name = {0};
    socketio_append_event_name(packet, &name);
    if (packet->event.size == 0 || packet->event.data[0] != '"')
        return;
    assert(!socketio_event_is_reserved(buffer_peek(&name)));
    if (memchr(name.data ? name.data : (const uint8_t *)"", 0, buffer_size(&name)))
        return;
    buffer_append_byte(&name, 0);
    assert(socketio_event_is(packet, (const char *)buffer_peek(&name).data));
}

static void check_packet(const struct socketio_packet *packet)
{
    auto_buffer struct buffer text = {0};
    struct socketio_packet again;
    assert(packet->name_space.size > 0 && packet->name_space.size <= limits.namespace_bytes);
    assert(packet->attachment_count <= SOCKETIO_MAX_ATTACHMENTS);
    check_arguments(packet);
    check_name(packet);
    socketio_append_packet(&text, packet);
    assert(socketio_decode(buffer_peek(&text), &limits, &again) == STATUS_OK);
    assert(again.type == packet->type && again.has_ack_id == packet->has_ack_id &&
           again.ack_id == packet->ack_id && again.attachment_count == packet->attachment_count &&
           again.argument_count == packet->argument_count);
    assert(bytes_equal(again.payload, packet->payload));
    assert(bytes_equal(again.event, packet->event));
    assert(bytes_equal(again.arguments, packet->arguments));
    assert(bytes_equal(again.name_space, packet->name_space));
}

static struct bytes take_part(struct bytes *input)
{
    const uint8_t *end = input->size ? memchr(input->data, 0x1e, input->size) : NULL;
    struct bytes part = bytes_of(input->data, end ? (size_t)(end - input->data) : input->size);
    *input = bytes_skip(*input, end ? part.size + 1 : part.size);
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct socketio_decoder decoder;
    struct socketio_packet packet;
    struct bytes input = bytes_of(data, size);
    socketio_decoder_init(&decoder, &limits);
    enum status status = socketio_decoder_text(&decoder, take_part(&input), &packet);
    if (status == STATUS_OK)
        check_packet(&packet);
    while (input.size && socketio_decoder_is_collecting(&decoder)) {
        assert(status == STATUS_INCOMPLETE);
        status = socketio_decoder_binary(&decoder, take_part(&input), &packet);
        if (status == STATUS_OK) {
            assert(packet.attachments != NULL);
            check_packet(&packet);
        }
    }
    assert(socketio_decoder_memory(&decoder) <= 2000 + 2000);
    socketio_decoder_deinit(&decoder);
    return 0;
}
