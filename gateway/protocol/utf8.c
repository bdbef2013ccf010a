/* UTF-8 of texts that come in pieces, as the frames of a WebSocket message do: the state between
 * two pieces is three bytes. RFC 6455 wants a text to be refused as soon as it can be seen to be
 * none, and so before its last piece.
 *
 * The invariant: between two calls, `left` continuation bytes are missing, of which the next lies
 * from `low` to `high`; all others from 0x80 to 0xBF. */
#include "utf8.h"

#include <assert.h>

/* How many leading bytes of the text are ASCII, by words of eight. */
static size_t ascii_prefix(const uint8_t *data, size_t size)
{
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        /* Any address will do: compilers make one load of it. Most texts are ASCII, and eight bytes
         * at a time are then all there is to do. */
        memcpy(&word, data + i, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    while (i < size && data[i] < 0x80)
        i++;
    return i;
}

/* The Unicode standard's table 3-7: what may follow a lead byte. */
static bool begin_character(struct utf8_validator *validator, uint8_t lead)
{
    assert(lead >= 0x80 && validator->left == 0);
    validator->low = 0x80;
    validator->high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
        validator->left = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        validator->left = 2;
        if (lead == 0xe0)
            validator->low = 0xa0; /* no overlong form */
        if (lead == 0xed)
            validator->high = 0x9f; /* no surrogate */
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        validator->left = 3;
        if (lead == 0xf0)
            validator->low = 0x90;
        if (lead == 0xf4)
            validator->high = 0x8f; /* nothing above U+10FFFF */
    } else {
        return false;
    }
    return true;
}

bool utf8_validator_feed(struct utf8_validator *validator, struct bytes text)
{
    size_t i = 0;
    assert(validator->left <= 3);
    while (i < text.size) {
        if (validator->left == 0) {
            i += ascii_prefix(text.data + i, text.size - i);
            if (i == text.size)
                return true;
            if (!begin_character(validator, text.data[i++]))
                return false;
        } else {
            uint8_t byte = text.data[i++];
            if (byte < validator->low || byte > validator->high)
                return false;
            validator->left--;
            validator->low = 0x80;
            validator->high = 0xbf;
        }
    }
    return true;
}

bool utf8_is_valid(struct bytes text)
{
    struct utf8_validator validator = {0};
    return utf8_validator_feed(&validator, text) && utf8_validator_is_complete(&validator);
}
