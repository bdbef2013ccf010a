/* Base64, strictly: OpenSSL's, with what it is lenient about refused beforehand. It skips blanks,
 * ends at '-', and takes padding anywhere; a text with two spellings is one too many where texts
 * are compared, as ids are. */
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

/* The URL alphabet (RFC 4648, section 5) without padding, made from the usual form in place. */
void base64_encode_url(struct bytes bytes, struct buffer *out)
{
    size_t before = buffer_size(out), size = (bytes.size * 4 + 2) / 3;
    base64_encode(bytes, out);
    out->end -= base64_encoded_size(bytes.size) - size;
    for (uint8_t *at = out->data + out->end - size; at < out->data + out->end; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    assert(buffer_size(out) == before + size);
}

static bool is_alphabet(uint8_t byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '+' || byte == '/';
}

/* How many characters of the alphabet, of padding, and line ends; false if there is anything else,
 * or padding in front of the alphabet. */
static bool count_characters(struct bytes text, size_t *alphabet, size_t *padding,
                             size_t *line_ends)
{
    *alphabet = *padding = *line_ends = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (is_alphabet(byte) && *padding == 0)
            ++*alphabet;
        else if (byte == '=')
            ++*padding;
        else if (byte == '\n' || byte == '\r')
            ++*line_ends;
        else
            return false;
    }
    return true;
}

/* Text in lines; everything but its line ends has been checked. */
static size_t decode_lines(struct bytes text, uint8_t *place)
{
    EVP_ENCODE_CTX *context = EVP_ENCODE_CTX_new();
    assert(context);
    EVP_DecodeInit(context);
    int written = 0, rest = 0;
    int result = EVP_DecodeUpdate(context, place, &written, text.data, (int)text.size);
    assert(result >= 0);
    result = EVP_DecodeFinal(context, place + written, &rest);
    assert(result == 1);
    EVP_ENCODE_CTX_free(context);
    return (size_t)written + (size_t)rest;
}

static enum status decode_base64(struct bytes text, bool in_lines, struct buffer *out)
{
    size_t alphabet, padding, line_ends;
    /* The library skips blanks and takes '-' for an end: let it see the alphabet only. */
    if (text.size > INT_MAX / 2 || !count_characters(text, &alphabet, &padding, &line_ends))
        return STATUS_MALFORMED;
    if (padding > 2 || (alphabet + padding) % 4 || (line_ends && !in_lines))
        return STATUS_MALFORMED;
    if (alphabet == 0)
        return padding ? STATUS_MALFORMED : STATUS_OK;
    uint8_t *place = buffer_reserve(out, (alphabet + padding) / 4 * 3);
    size_t written = line_ends
                         ? decode_lines(text, place)
                         /* It counts the zero bytes that padding stands for as content. */
                         : (size_t)EVP_DecodeBlock(place, text.data, (int)text.size) - padding;
    assert(written == (alphabet + padding) / 4 * 3 - padding);
    buffer_commit(out, written);
    return STATUS_OK;
}

enum status base64_decode(struct bytes text, struct buffer *out)
{
    return decode_base64(text, false, out);
}

enum status base64_decode_lines(struct bytes text, struct buffer *out)
{
    return decode_base64(text, true, out);
}
