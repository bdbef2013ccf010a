/* Two questions that look alike and are not. What a browser may show to a page: that is CORS,
 * fields of an answer, and the browser keeps to them. And which pages may ask at all: that is
 * http_origins_admit(), kept by us, since a browser sends a request before it knows whether it may
 * show the answer, and opens a WebSocket from any page.
 *
 * An origin is compared as a whole: browsers send it in one spelling (RFC 6454, 6.1). */
#include "http_cors.h"

#include <assert.h>

#include "http_head.h"
#include "http_response.h"

/* A star stands alone: the settings see to that. */
static bool any_origin(const struct http_cors *cors)
{
    assert(cors->origins);
    return cors->origins[0] && strcmp(cors->origins[0], "*") == 0;
}

/* With credentials a browser takes no star, so the settings do not allow both; then the answer
 * repeats the one origin that asked. */
const char *http_cors_origin(const struct http_cors *cors, const struct http_request *request)
{
    if (any_origin(cors))
        return "*";
    struct bytes origin;
    if (!http_request_field(request, "origin", &origin))
        return NULL;
    for (const char *const *allowed = cors->origins; *allowed; allowed++)
        if (bytes_equal_string(origin, *allowed))
            return *allowed;
    return NULL;
}

/* Vary goes with every answer that could differ by origin, or a cache would give it to another
 * page. */
size_t http_cors_fields(const struct http_cors *cors, const char *origin,
                        struct http_field fields[HTTP_CORS_FIELDS])
{
    size_t count = 0;
    assert(cors->origins);
    if (origin)
        fields[count++] = http_field_of("Access-Control-Allow-Origin", origin);
    if (!any_origin(cors))
        fields[count++] = http_field_of("Vary", "Origin");
    if (cors->credentials)
        fields[count++] = http_field_of("Access-Control-Allow-Credentials", "true");
    assert(count <= HTTP_CORS_FIELDS);
    return count;
}

/* What is asked for is allowed by repeating it: which fields a request has is checked by the route
 * that takes it, not by the browser. */
size_t http_cors_preflight(const struct http_cors *cors, const struct http_request *request,
                           struct http_field fields[HTTP_CORS_FIELDS])
{
    size_t count = 0;
    const char *origin = http_cors_origin(cors, request);
    if (origin)
        fields[count++] = http_field_of("Access-Control-Allow-Origin", origin);
    if (cors->credentials)
        fields[count++] = http_field_of("Access-Control-Allow-Credentials", "true");
    fields[count++] =
        http_field_of("Access-Control-Allow-Methods",
                      cors->methods ? cors->methods : "GET,HEAD,PUT,PATCH,POST,DELETE");
    struct bytes asked;
    if (cors->headers)
        fields[count++] = http_field_of("Access-Control-Allow-Headers", cors->headers);
    else if (http_request_field(request, "access-control-request-headers", &asked) &&
             http_value_is_safe(asked))
        fields[count++] = (struct http_field){BYTES_LITERAL("Access-Control-Allow-Headers"), asked};
    if (cors->max_age)
        fields[count++] = http_field_of("Access-Control-Max-Age", cors->max_age);
    bool reflects = !cors->headers;
    if (!any_origin(cors))
        fields[count++] =
            http_field_of("Vary", reflects ? "Origin, Access-Control-Request-Headers" : "Origin");
    else if (reflects)
        fields[count++] = http_field_of("Vary", "Access-Control-Request-Headers");
    assert(count <= HTTP_CORS_FIELDS);
    return count;
}

/* "https://example.com:8443" -> "example.com:8443"; empty: it has none. */
static struct bytes authority_of(struct bytes origin)
{
    const uint8_t *slashes = memmem(origin.data, origin.size, "://", 3);
    return slashes ? bytes_skip(origin, (size_t)(slashes - origin.data) + 3) : bytes_of("", 0);
}

/* By name, as a browser shows it, with any port: development tools pick one. */
static bool is_loopback(struct bytes authority)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct bytes host = bytes_of_string(hosts[i]);
        if (bytes_start_with(authority, host) &&
            (authority.size == host.size || authority.data[host.size] == ':'))
            return true;
    }
    return false;
}

static bool is_listed(const char *const *listed, struct bytes origin)
{
    assert(listed);
    for (; *listed; listed++)
        if (strcmp(*listed, "*") == 0 || bytes_equal_string(origin, *listed))
            return true;
    return false;
}

/* Without an Origin field no browser page asked: other clients are held by their token alone. Two
 * such fields are nobody's, and refused. */
bool http_origins_admit(const struct http_origins *origins, const struct http_request *request)
{
    struct bytes origin, host;
    size_t count = http_request_count(request, "origin");
    assert(origins->listed);
    if (count == 0)
        return true;
    if (count > 1 || !http_request_field(request, "origin", &origin))
        return false;
    if (is_listed(origins->listed, origin))
        return true;
    struct bytes authority = authority_of(origin);
    if (origins->loopback)
        return is_loopback(authority);
    return authority.size && http_request_field(request, "host", &host) &&
           http_equal_ignoring_case(authority, host);
}
