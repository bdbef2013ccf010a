#include "decoded.h"

#include <assert.h>

static void forget_oldest(struct decoded_messages *decoded)
{
    assert(decoded->count > 0);
    struct message *oldest = decoded->items[decoded->start];
    decoded->start = (decoded->start + 1) % DECODED_MOST;
    decoded->count--;
    assert(decoded->bytes >= message_record_bytes(oldest));
    decoded->bytes -= message_record_bytes(oldest);
    message_forget_decoded(oldest);
    message_unref(oldest);
}

void decoded_keep(struct decoded_messages *decoded, struct message *message)
{
    assert(decoded->count <= DECODED_MOST);
    if (!message->notification)
        return;
    if (decoded->count == DECODED_MOST)
        forget_oldest(decoded);
    decoded->items[(decoded->start + decoded->count++) % DECODED_MOST] = message_ref(message);
    decoded->bytes += message_record_bytes(message);
    while (decoded->bytes > DECODED_BYTES && decoded->count > 1)
        forget_oldest(decoded);
}

void decoded_clear(struct decoded_messages *decoded)
{
    while (decoded->count)
        forget_oldest(decoded);
    assert(decoded->bytes == 0);
}
