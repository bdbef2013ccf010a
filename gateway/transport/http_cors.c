#include "http_cors.h"

#include "http_response.h"

static bool any_origin(const struct http_cors *cors)
{
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
