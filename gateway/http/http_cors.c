#include "http_cors.h"

#include <assert.h>

#include "http_head.h"
#include "http_response.h"

static bool any_origin(const struct http_cors *cors)
{
    assert(cors->origins);
    return cors->origins[0] && strcmp(cors->origins[0], "*") == 0;
}

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
    return count;
}

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
    return count;
}

/* "https://example.com:8443" -> "example.com:8443"; empty: it has none. */
static struct bytes authority_of(struct bytes origin)
{
    const uint8_t *slashes = memmem(origin.data, origin.size, "://", 3);
    return slashes ? bytes_skip(origin, (size_t)(slashes - origin.data) + 3) : bytes_of("", 0);
}

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
    for (; *listed; listed++)
        if (strcmp(*listed, "*") == 0 || bytes_equal_string(origin, *listed))
            return true;
    return false;
}

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
