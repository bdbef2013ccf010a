/* Finds user and password in whatever has a URL in it: log lines, errors of libraries, problems
 * with a configuration. Looked for in any text at the edge, and not kept out at each place that
 * might write one: libcurl and librdkafka quote URLs in texts that we only pass on.
 *
 * Rather one word too many replaced than a password shown. */
#include "url.h"

#include <assert.h>

/* Ends what may hold a user, a password and a host (RFC 3986, section 3.2). Not at a blank or a quote,
 * which passwords have though they should not: a host without `@` ahead of it is no secret. */
static bool ends_authority(uint8_t byte)
{
    return byte == '/' || byte == '?' || byte == '#' || byte == '\n' || byte == ' ' || byte == '"';
}

struct bytes url_find_secret(struct bytes text)
{
    static const char scheme_end[] = "://";
    struct bytes rest = text;
    while (rest.size >= sizeof(scheme_end)) {
        const uint8_t *colon = memchr(rest.data, ':', rest.size - (sizeof(scheme_end) - 2));
        if (!colon)
            break;
        rest = bytes_skip(rest, (size_t)(colon - rest.data));
        if (!bytes_start_with(rest, BYTES_LITERAL("://"))) {
            rest = bytes_skip(rest, 1);
            continue;
        }
        rest = bytes_skip(rest, sizeof(scheme_end) - 1);
        size_t end = 0, secret = 0;
        for (; end < rest.size && !ends_authority(rest.data[end]); end++)
            if (rest.data[end] == '@')
                secret = end; /* the last one: a password may have `@` in it */
        assert(secret <= end && end <= rest.size);
        if (secret > 0)
            return bytes_of(rest.data, secret);
        rest = bytes_skip(rest, end);
    }
    return (struct bytes){0};
}

void url_redact(struct bytes text, struct buffer *out)
{
    for (struct bytes secret; (secret = url_find_secret(text)).size > 0;) {
        size_t before = (size_t)(secret.data - text.data);
        buffer_append(out, bytes_of(text.data, before));
        buffer_append_string(out, URL_REDACTED);
        text = bytes_skip(text, before + secret.size);
    }
    buffer_append(out, text);
}
