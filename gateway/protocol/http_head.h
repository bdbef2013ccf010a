/* Reading a complete request head; private to http_request.c. Its input has no control character
 * but tab, CR and LF, and no CR or LF but in CRLF: the reader's scan has seen to that. */
#ifndef GATEWAY_PROTOCOL_HTTP_HEAD_H
#define GATEWAY_PROTOCOL_HTTP_HEAD_H

#include "http_request.h"

/* `head` begins with the request line and ends with the empty line. On failure *answer is the
 * response code. */
enum status http_head_parse(struct bytes head, struct http_request *request,
                            uint16_t *answer) MUST_CHECK;

/* One field line without its CRLF: token, colon, value. */
bool http_head_parse_field(struct bytes line, struct http_field *field);

bool http_is_token(struct bytes text);
bool http_equal_ignoring_case(struct bytes a, struct bytes b);
struct bytes http_trim(struct bytes text);

/* Takes the next element off a comma-separated list, trimmed; empty elements are skipped. */
bool http_list_next(struct bytes *list, struct bytes *element);

#endif
