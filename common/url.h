/* What of a text with URLs in it must not be shown: the user and password before a host. Not a
 * parser of URLs. */
#ifndef COMMON_URL_H
#define COMMON_URL_H

#include "buffer.h"
#include "bytes.h"

/* What a password is replaced by. */
#define URL_REDACTED "***"

/* Finds the first `user:password` (or whatever stands there) between `://` and the `@` before a
 * host; the slice is of `text`. Empty: there is none. */
struct bytes url_find_secret(struct bytes text);

/* Appends the text with every such part replaced by URL_REDACTED. */
void url_redact(struct bytes text, struct buffer *out);

#endif
