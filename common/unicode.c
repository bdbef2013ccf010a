/* UTF-8, one character at a time, strictly by Unicode 3.9 (table 3-7). Names, claims and texts for
 * logs go through here. What is read in bulk has readers of its own that are faster: json.c,
 * gateway/protocol/utf8.c. */
#include "unicode.h"

#include <assert.h>

/* 0xC0 and 0xC1 could only begin an overlong form, 0xF5 and above only what lies beyond
 * U+10FFFF. */
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
    /* Overlong forms are refused, or one name would have several spellings: "/" as 0xC0 0xAF has
     * passed many a check. */
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

/* Surrogates are encoded like others: JSON may hold a lone one, and what is read has to be written
 * back. */
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
    /* 0xF00 shifted by 2, 3 and 4 gives 0x3C0, 0x1E0 and 0xF0: in eight bits the marks of a lead
     * byte, 110, 1110 and 11110. */
    out[0] = (uint8_t)(0xF00 >> size | code);
    return size;
}

/* A byte that is no character counts as one: so it is written, as a replacement character. */
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

/* Of bytes that are no UTF-8 no more is left out than of a character. */
size_t unicode_cut(struct bytes text, size_t limit)
{
    if (text.size <= limit)
        return text.size;
    size_t size = limit;
    while (size > 0 && limit - size < UNICODE_ENCODED_LIMIT - 1 && (text.data[size] & 0xC0) == 0x80)
        size--;
    assert(size <= limit && limit - size < UNICODE_ENCODED_LIMIT);
    return size;
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
