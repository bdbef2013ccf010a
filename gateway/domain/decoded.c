/* A cache with one purpose: sessions that catch up together ask for the same records one behind
 * the other. First in, first out is enough, since all of them go through the log in its order. */
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

/* Called for each message that a reader of the past has decoded, once: whoever comes next finds
 * it decoded and does not call. The one that was kept last stays even if it is larger than all
 * may be, since it is about to be framed. */
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
