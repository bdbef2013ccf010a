/* UTF-8, one character at a time. Not a validator of streams. */
#ifndef COMMON_UNICODE_H
#define COMMON_UNICODE_H

#include "bytes.h"

enum { UNICODE_REPLACEMENT = 0xFFFD, UNICODE_ENCODED_LIMIT = 4 };

/* The size of the character at the front and its code point; 0: the bytes there are not UTF-8 (RFC
 * 3629: shortest form, no surrogates, at most U+10FFFF), or there are none. */
size_t unicode_decode(struct bytes text, uint32_t *code);

/* Writes a code point (at most U+10FFFF; a surrogate is written as it is) and returns the size. */
size_t unicode_encode(uint32_t code, uint8_t out[UNICODE_ENCODED_LIMIT]);

/* The number of characters; each byte that is not UTF-8 counts as one. */
size_t unicode_count(struct bytes text);

/* How much of a text to show if `limit` bytes are enough: all of it, or up to the last character
 * that ends by then. */
size_t unicode_cut(struct bytes text, size_t limit);

/* Whether all of it is UTF-8. An empty text is. */
bool unicode_is_valid(struct bytes text);

#endif
