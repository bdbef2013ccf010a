/* Where a token may stand in a request. The Authorization field comes first: a client that sets
 * it means it, while a cookie comes along by itself, from whatever page the browser shows (so
 * routes with cookies check the origin, http_cors.h). A token in a URL is off unless a route
 * asks for it, since URLs stand in logs of proxies. */
#include "http_token.h"

#include <assert.h>
#include <strings.h>

#include "mem.h"

bool http_token_of_field(struct bytes value, struct bytes *token)
{
    static const char scheme[] = "bearer ";
    if (value.size < sizeof(scheme) ||
        strncasecmp((const char *)value.data, scheme, sizeof(scheme) - 1) != 0)
        return false;
    *token = bytes_skip(value, sizeof(scheme) - 1);
    assert(token->size > 0);
    return true;
}

char *http_token_find(const struct http_request *request, const char *parameter, const char *cookie)
{
    auto_buffer struct buffer scratch = {0};
    struct bytes token, value;
    assert((!parameter || parameter[0]) && (!cookie || cookie[0]));
    if (http_request_field(request, "authorization", &value) && http_token_of_field(value, &token))
        return mem_string(token);
    if (parameter && http_query_parameter(request->query, parameter, &scratch, &token) == STATUS_OK)
        return mem_string(token);
    if (cookie && http_request_cookie(request, cookie, &token))
        return mem_string(token);
    return NULL;
}
