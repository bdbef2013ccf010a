/* Base64 with padding (RFC 4648 section 4), strict, on libcrypto's codec. The URL
 * alphabet is written, not read. */
#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include "buffer.h"

static inline size_t base64_encoded_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

void base64_encode(struct bytes bytes, struct buffer *out);
/* In the URL alphabet, without padding (section 5): for ids, tokens and names of files. */
void base64_encode_url(struct bytes bytes, struct buffer *out);

/* Appends the decoded bytes. STATUS_MALFORMED: a character outside the alphabet (blanks and line
 * ends too), or wrong padding; nothing is appended then. */
enum status base64_decode(struct bytes text, struct buffer *out) MUST_CHECK;
/* The same, but CR and LF are passed over wherever they stand: the Java client writes its
 * attachments in lines of 76 characters (RFC 2045), and the JavaScript server takes them. */
enum status base64_decode_lines(struct bytes text, struct buffer *out) MUST_CHECK;

#endif
