/* Where a client of HTTP puts its token: the Authorization field (RFC 6750), a parameter of the
 * query, a cookie. Not a judgement of it (identity.h). */
#ifndef GATEWAY_HTTP_HTTP_TOKEN_H
#define GATEWAY_HTTP_HTTP_TOKEN_H

#include "http_request.h"

/* The token in the value of an Authorization field; false: it is of another scheme, or there is none. */
bool http_token_of_field(struct bytes value, struct bytes *token);

/* The first that is there, in this order; NULL: none. `parameter`, `cookie`: their names; NULL: not
 * looked for. The caller frees it. */
char *http_token_find(const struct http_request *request, const char *parameter,
                      const char *cookie);

#endif
