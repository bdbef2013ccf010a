#include "base64.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>

void base64_encode(struct bytes bytes, struct buffer *out)
{
    assert(bytes.size <= INT_MAX / 2);
    size_t size = base64_encoded_size(bytes.size);
    if (size == 0)
        return;
    uint8_t *place = buffer_reserve(out, size + 1); /* the library adds a NUL */
    int written = EVP_EncodeBlock(place, bytes.data, (int)bytes.size);
    assert(written == (int)size);
    buffer_commit(out, size);
}

static bool is_alphabet(uint8_t byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '+' || byte == '/';
}

enum status base64_decode(struct bytes text, struct buffer *out)
{
    if (text.size == 0)
        return STATUS_OK;
    if (text.size % 4 || text.size > INT_MAX / 2)
        return STATUS_MALFORMED;
    size_t padding = 0;
    while (padding < 2 && text.data[text.size - 1 - padding] == '=')
        padding++;
    /* The library skips blanks and takes '-' for an end: let it see the alphabet only. */
    for (size_t i = 0; i < text.size - padding; i++)
        if (!is_alphabet(text.data[i]))
            return STATUS_MALFORMED;
    uint8_t *place = buffer_reserve(out, text.size / 4 * 3);
    int written = EVP_DecodeBlock(place, text.data, (int)text.size);
    assert(written == (int)(text.size / 4 * 3));
    buffer_commit(out, (size_t)written - padding);
    return STATUS_OK;
}
