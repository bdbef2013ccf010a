/* Collecting the attachments of binary packets: Socket.IO sends a text with placeholders, and after
 * it each attachment as a message of its own. Everything else passes through without a copy.
 *
 * The invariant: there is a collection exactly while a binary packet is incomplete, or was given by
 * the last call. Nothing else may come in between, neither a text nor an attachment too many: the
 * stock parser throws then, and so we refuse.
 *
 * The memory is bounded before it is used: the text and all attachments together by
 * packet_bytes. */
#include <assert.h>

#include "mem.h"
#include "socketio_packet.h"

/* On the heap only while a binary packet is incomplete or was just given. */
struct socketio_collection {
    struct buffer text; /* a copy, into which the packet's slices point */
    struct buffer copies[SOCKETIO_MAX_ATTACHMENTS];
    struct bytes attachments[SOCKETIO_MAX_ATTACHMENTS]; /* the content of the copies */
    uint32_t count;
    uint64_t bytes;
    struct socketio_packet packet;
};

static void decoder_release(struct socketio_decoder *decoder)
{
    struct socketio_collection *collection = decoder->collection;
    assert(!collection || collection->count <= SOCKETIO_MAX_ATTACHMENTS);
    decoder->collection = NULL;
    if (!collection)
        return;
    for (uint32_t i = 0; i < collection->count; i++)
        buffer_deinit(&collection->copies[i]);
    buffer_deinit(&collection->text);
    free(collection);
}

void socketio_decoder_init(struct socketio_decoder *decoder, const struct socketio_limits *limits)
{
    *decoder = (struct socketio_decoder){.limits = limits};
}

void socketio_decoder_deinit(struct socketio_decoder *decoder)
{
    decoder_release(decoder);
}

bool socketio_decoder_is_collecting(const struct socketio_decoder *decoder)
{
    const struct socketio_collection *collection = decoder->collection;
    assert(!collection || collection->count <= collection->packet.attachment_count);
    return collection && collection->count < collection->packet.attachment_count;
}

/* The copy is decoded, and not the caller's text: the packet's slices have to last until the last
 * attachment has come, while the text is gone after this call. */
static enum status begin_collection(struct socketio_decoder *decoder, struct bytes text,
                                    struct socketio_packet *packet)
{
    struct socketio_collection *collection = mem_new(struct socketio_collection);
    assert(!decoder->collection);
    buffer_append(&collection->text, text);
    collection->bytes = text.size;
    decoder->collection = collection;
    enum status status =
        socketio_decode(buffer_peek(&collection->text), decoder->limits, &collection->packet);
    if (status) {
        decoder_release(decoder);
        /* Its head is given once more, out of what the caller has. */
        return status == STATUS_TOO_DEEP ? socketio_decode(text, decoder->limits, packet) : status;
    }
    collection->packet.attachments = collection->attachments;
    return STATUS_INCOMPLETE;
}

enum status socketio_decoder_text(struct socketio_decoder *decoder, struct bytes text,
                                  struct socketio_packet *packet)
{
    bool collecting = socketio_decoder_is_collecting(decoder);
    decoder_release(decoder);
    if (collecting)
        return STATUS_MALFORMED;
    if (text.size > decoder->limits->packet_bytes)
        return STATUS_TOO_LARGE;
    bool binary = text.size && (text.data[0] == '0' + SOCKETIO_BINARY_EVENT ||
                                text.data[0] == '0' + SOCKETIO_BINARY_ACK);
    if (binary)
        return begin_collection(decoder, text, packet);
    return socketio_decode(text, decoder->limits, packet);
}

enum status socketio_decoder_binary(struct socketio_decoder *decoder, struct bytes data,
                                    struct socketio_packet *packet)
{
    if (!socketio_decoder_is_collecting(decoder)) {
        decoder_release(decoder);
        return STATUS_MALFORMED;
    }
    struct socketio_collection *collection = decoder->collection;
    assert(collection->bytes <= decoder->limits->packet_bytes);
    if (data.size > decoder->limits->packet_bytes - collection->bytes) {
        decoder_release(decoder);
        return STATUS_TOO_LARGE;
    }
    struct buffer *copy = &collection->copies[collection->count];
    buffer_append(copy, data);
    collection->attachments[collection->count++] = buffer_peek(copy);
    collection->bytes += data.size;
    if (collection->count < collection->packet.attachment_count)
        return STATUS_INCOMPLETE;
    *packet = collection->packet;
    return STATUS_OK;
}

/* For a session that moves to another gateway in the middle of a packet. */
bool socketio_decoder_peek(const struct socketio_decoder *decoder, struct bytes *text,
                           const struct bytes **attachments, uint32_t *count)
{
    if (!socketio_decoder_is_collecting(decoder))
        return false;
    *text = buffer_peek(&decoder->collection->text);
    *attachments = decoder->collection->attachments;
    *count = decoder->collection->count;
    return true;
}

size_t socketio_decoder_memory(const struct socketio_decoder *decoder)
{
    const struct socketio_collection *collection = decoder->collection;
    return collection ? sizeof(*collection) + (size_t)collection->bytes : 0;
}
