#include "unicode.h"

#include <assert.h>

static size_t sequence_size(uint8_t lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 2;
    if (lead >= 0xE0 && lead <= 0xEF)
        return 3;
    return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

size_t unicode_decode(struct bytes text, uint32_t *code)
{
    size_t size = text.size ? sequence_size(text.data[0]) : 0;
    if (size == 0 || size > text.size)
        return 0;
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t value = size == 1 ? text.data[0] : text.data[0] & (0xFFu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((text.data[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (text.data[i] & 0x3Fu);
    }
    if (value < smallest[size] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *code = value;
    return size;
}

size_t unicode_encode(uint32_t code, uint8_t out[UNICODE_ENCODED_LIMIT])
{
    assert(code <= 0x10FFFF);
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size; i-- > 1; code >>= 6)
        out[i] = (uint8_t)(0x80 | (code & 0x3F));
    out[0] = (uint8_t)(0xF00 >> size | code);
    return size;
}

size_t unicode_count(struct bytes text)
{
    size_t count = 0;
    while (text.size) {
        uint32_t code;
        size_t size = unicode_decode(text, &code);
        text = bytes_skip(text, size ? size : 1);
        count++;
    }
    return count;
}

bool unicode_is_valid(struct bytes text)
{
    while (text.size > 0) {
        uint32_t code;
        size_t size = unicode_decode(text, &code);
        if (size == 0)
            return false;
        text = bytes_skip(text, size);
    }
    return true;
}
