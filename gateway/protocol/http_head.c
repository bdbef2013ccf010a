/* A request's head, once all of it is there: the request line, the fields, and what they say about
 * the body and the connection. All slices point into the head.
 *
 * The invariant: what is accepted can be read in one way only. A proxy in front of us has read the
 * same bytes; wherever its reading could differ from ours (two lengths, a length and a coding,
 * blanks before a colon, folded lines) a request could be smuggled through, so that such a head is
 * refused, also where the standard would let us mend it. */
#include "http_head.h"

#include <assert.h>

/* RFC 9110 section 5.6.2 */
static bool is_token_character(uint8_t c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool http_is_token(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!is_token_character(text.data[i]))
            return false;
    return text.size > 0;
}

static uint8_t to_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* ASCII alone, and not the locale's: "I" is "i" here, in Turkish too. */
bool http_equal_ignoring_case(struct bytes a, struct bytes b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (to_lower(a.data[i]) != to_lower(b.data[i]))
            return false;
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

struct bytes http_trim(struct bytes text)
{
    while (text.size && is_blank(text.data[0]))
        text = bytes_skip(text, 1);
    while (text.size && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* Empty elements are passed over (RFC 9110, section 5.6.1.2). */
bool http_list_next(struct bytes *list, struct bytes *element)
{
    while (list->size) {
        const uint8_t *comma = memchr(list->data, ',', list->size);
        size_t size = comma ? (size_t)(comma - list->data) : list->size;
        struct bytes found = http_trim(bytes_of(list->data, size));
        *list = bytes_skip(*list, comma ? size + 1 : size);
        if (found.size) {
            *element = found;
            return true;
        }
    }
    return false;
}

bool http_head_parse_field(struct bytes line, struct http_field *field)
{
    const uint8_t *colon = line.size ? memchr(line.data, ':', line.size) : NULL;
    if (!colon)
        return false;
    struct bytes name = bytes_of(line.data, (size_t)(colon - line.data));
    /* A token has no blank: this refuses folded lines and "Name :" (RFC 9112 section 5.1). */
    if (!http_is_token(name))
        return false;
    field->name = name;
    field->value = http_trim(bytes_skip(line, name.size + 1));
    return true;
}

/* Methods are case-sensitive (RFC 9110, section 9.1): "get" is some other method. */
static enum http_method method_of(struct bytes name)
{
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {
        {"GET", HTTP_GET},     {"HEAD", HTTP_HEAD},     {"POST", HTTP_POST},
        {"PUT", HTTP_PUT},     {"DELETE", HTTP_DELETE}, {"OPTIONS", HTTP_OPTIONS},
        {"PATCH", HTTP_PATCH},
    };
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (bytes_equal_string(name, methods[i].name))
            return methods[i].method;
    return HTTP_OTHER;
}

/* The characters of a host with or without a port (RFC 3986 section 3.2.2), but the comma: two of
 * them in one field look like a list. */
static bool is_host(struct bytes value)
{
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == 0 || !strchr("-._~%!$&'()*+;=:[]", c)))
            return false;
    }
    return true;
}

/* RFC 9112 section 3.2: origin-form, absolute-form, and "*" for OPTIONS. */
static bool split_target(struct http_request *request)
{
    struct bytes rest = request->target;
    assert(rest.size > 0);
    /* A fragment is never sent: whoever wrote it means something else by it than we would. */
    if (memchr(rest.data, '#', rest.size))
        return false;
    if (bytes_equal_string(rest, "*")) {
        request->path = rest;
        return request->method == HTTP_OPTIONS;
    }
    /* absolute-form, as proxies use it. The authority is looked at for its characters and then
     * dropped: we have one host. */
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2 && rest.data[0] != '/'; i++) {
        struct bytes scheme = bytes_of_string(schemes[i]);
        if (rest.size <= scheme.size ||
            !http_equal_ignoring_case(bytes_of(rest.data, scheme.size), scheme))
            continue;
        rest = bytes_skip(rest, scheme.size);
        size_t authority = 0;
        while (authority < rest.size && rest.data[authority] != '/' && rest.data[authority] != '?')
            authority++;
        if (authority == 0 || !is_host(bytes_of(rest.data, authority)))
            return false;
        rest = bytes_skip(rest, authority);
        if (rest.size == 0 || rest.data[0] == '?') {
            request->path = BYTES_LITERAL("/");
            request->query = rest.size ? bytes_skip(rest, 1) : rest;
            return true;
        }
        break;
    }
    if (rest.data[0] != '/')
        return false;
    const uint8_t *mark = memchr(rest.data, '?', rest.size);
    size_t path_size = mark ? (size_t)(mark - rest.data) : rest.size;
    request->path = bytes_of(rest.data, path_size);
    request->query = bytes_skip(rest, mark ? path_size + 1 : path_size);
    return true;
}

static enum status parse_request_line(struct bytes line, struct http_request *request,
                                      uint16_t *answer)
{
    *answer = 400;
    const uint8_t *blank = memchr(line.data, ' ', line.size);
    if (!blank)
        return STATUS_MALFORMED;
    request->method_name = bytes_of(line.data, (size_t)(blank - line.data));
    if (!http_is_token(request->method_name))
        return STATUS_MALFORMED;
    request->method = method_of(request->method_name);
    struct bytes rest = bytes_skip(line, request->method_name.size + 1);
    blank = rest.size ? memchr(rest.data, ' ', rest.size) : NULL;
    if (!blank || blank == rest.data)
        return STATUS_MALFORMED;
    request->target = bytes_of(rest.data, (size_t)(blank - rest.data));
    struct bytes version = bytes_skip(rest, request->target.size + 1);
    /* "HTTP/" DIGIT "." DIGIT, in capitals, with nothing behind. */
    if (version.size != 8 || !bytes_start_with(version, BYTES_LITERAL("HTTP/")) ||
        version.data[5] < '0' || version.data[5] > '9' || version.data[6] != '.' ||
        version.data[7] < '0' || version.data[7] > '9')
        return STATUS_MALFORMED;
    if (version.data[5] != '1' || version.data[7] > '1') {
        *answer = 505;
        return STATUS_UNSUPPORTED;
    }
    request->minor_version = version.data[7] - '0';
    return split_target(request) ? STATUS_OK : STATUS_MALFORMED;
}

/* What the fields say about framing and the connection. */
struct framing {
    unsigned hosts;
    unsigned lengths;
    unsigned codings;
    struct bytes coding;
    bool bad;
    bool close;
    bool keep_alive;
    bool upgrade_listed;
    bool upgrade_named;
    bool expect;
    bool unknown_expectation;
};

static bool parse_length(struct bytes value, uint64_t *length)
{
    /* 19 digits fit into 64 bits. No sign, no blank, no list: "5, 5" is allowed to be mended, and
     * is refused. */
    if (value.size == 0 || value.size > 19)
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        sum = sum * 10 + (value.data[i] - '0');
    }
    *length = sum;
    return true;
}

static void note_connection(struct framing *framing, struct bytes list)
{
    struct bytes option;
    while (http_list_next(&list, &option)) {
        framing->close |= http_equal_ignoring_case(option, BYTES_LITERAL("close"));
        framing->keep_alive |= http_equal_ignoring_case(option, BYTES_LITERAL("keep-alive"));
        framing->upgrade_listed |= http_equal_ignoring_case(option, BYTES_LITERAL("upgrade"));
    }
}

/* Counted and not judged yet: what is wrong with two fields together is seen when all are read. */
static void note_field(struct framing *framing, struct http_request *request,
                       const struct http_field *field)
{
    struct bytes name = field->name, value = field->value;
    assert(name.size > 0); /* a token has letters */
    if (http_equal_ignoring_case(name, BYTES_LITERAL("host"))) {
        framing->hosts++;
        framing->bad |= !is_host(value);
    } else if (http_equal_ignoring_case(name, BYTES_LITERAL("content-length"))) {
        framing->lengths++;
        framing->bad |= !parse_length(value, &request->content_length);
    } else if (http_equal_ignoring_case(name, BYTES_LITERAL("transfer-encoding"))) {
        framing->codings++;
        framing->coding = value;
    } else if (http_equal_ignoring_case(name, BYTES_LITERAL("connection"))) {
        note_connection(framing, value);
    } else if (http_equal_ignoring_case(name, BYTES_LITERAL("upgrade"))) {
        framing->upgrade_named = true;
    } else if (http_equal_ignoring_case(name, BYTES_LITERAL("expect"))) {
        bool known = http_equal_ignoring_case(value, BYTES_LITERAL("100-continue"));
        framing->expect |= known;
        framing->unknown_expectation |= !known;
    }
}

/* RFC 9112 sections 3.2 (Host), 6.1 and 6.3 (framing), 9.3 (persistence); RFC 9110 section 10.1.1
 * (Expect). A head that two parsers could read differently is refused. */
static enum status judge_field(const struct framing *framing, struct http_request *request,
                               uint16_t *answer)
{
    bool modern = request->minor_version == 1;
    assert(request->minor_version <= 1);
    *answer = 400;
    if (framing->bad || framing->hosts > 1 || (modern && framing->hosts == 0))
        return STATUS_MALFORMED;
    /* The classic of request smuggling: a length and a coding, each believed by another reader. */
    if (framing->lengths + framing->codings > 1 || (framing->codings && !modern))
        return STATUS_MALFORMED;
    if (framing->codings) {
        if (!http_equal_ignoring_case(framing->coding, BYTES_LITERAL("chunked"))) {
            *answer = 501;
            return STATUS_UNSUPPORTED;
        }
        request->chunked = true;
    }
    if (modern && framing->unknown_expectation) {
        *answer = 417;
        return STATUS_UNSUPPORTED;
    }
    request->has_body = request->chunked || request->content_length > 0;
    request->keep_alive = !framing->close && (modern || framing->keep_alive);
    /* Both fields, or it is none: Upgrade alone may have been passed on by a proxy that does not
     * know it. */
    request->upgrade = modern && framing->upgrade_listed && framing->upgrade_named;
    request->expect_continue = modern && framing->expect && request->has_body;
    *answer = 0;
    return STATUS_OK;
}

/* The reader has checked that every line ends in CRLF. */
static struct bytes take_head_line(struct bytes *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->size);
    struct bytes line = bytes_of(rest->data, (size_t)(end - rest->data) - 1);
    *rest = bytes_skip(*rest, line.size + 2);
    return line;
}

enum status http_head_parse(struct bytes head, struct http_request *request, uint16_t *answer)
{
    struct http_request parsed = {0};
    struct framing framing = {0};
    struct bytes rest = head;
    enum status status = parse_request_line(take_head_line(&rest), &parsed, answer);
    if (status)
        return status;
    parsed.fields = bytes_of(rest.data, rest.size - 2);
    rest = parsed.fields;
    while (rest.size) {
        struct http_field field;
        if (!http_head_parse_field(take_head_line(&rest), &field)) {
            *answer = 400;
            return STATUS_MALFORMED;
        }
        note_field(&framing, &parsed, &field);
    }
    status = judge_field(&framing, &parsed, answer);
    if (status == STATUS_OK)
        *request = parsed;
    return status;
}
