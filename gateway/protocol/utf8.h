/* UTF-8 validation (RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF), in pieces.
 * Not a decoder. */
#ifndef GATEWAY_PROTOCOL_UTF8_H
#define GATEWAY_PROTOCOL_UTF8_H

#include "bytes.h"

/* A zeroed struct is at the start of a text. */
struct utf8_validator {
    uint8_t left; /* continuation bytes still expected */
    uint8_t low;  /* bounds of the next one */
    uint8_t high;
};

/* Whether all texts fed so far can be the start of valid UTF-8. False is final: do not go on. */
bool utf8_validator_feed(struct utf8_validator *validator, struct bytes text);

/* Whether the text may end here. */
static inline bool utf8_validator_is_complete(const struct utf8_validator *validator)
{
    return validator->left == 0;
}

/* A whole text. */
bool utf8_is_valid(struct bytes text);

#endif
