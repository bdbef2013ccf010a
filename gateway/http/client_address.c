/* Whom the proxies have heard. Each of them appends the address of its own peer, so the list is read
 * from the left, and the last hop that is no trusted proxy wins: it replaces what was found before.
 * What stands left of it may have been written by the client itself.
 *
 * Both fields come from outside. What is malformed is a hop that nobody knows, never an error: the
 * answer is then the connection's own address, which cannot be forged. */
#include "client_address.h"

#include <assert.h>

#include "http_head.h"

enum { PORT_DIGITS = 5 };

/* What the hops that were read so far come to. */
enum found { FOUND_NONE, FOUND_CLIENT, FOUND_UNKNOWN };

struct forwarded_walk {
    const struct trusted_proxies *trusted;
    enum found found;
    struct peer_address client;
};

/* The list is short (TRUSTED_PROXIES_LIMIT) and looked at once per session, so it is searched. */
static bool is_trusted(const struct trusted_proxies *trusted, const struct peer_address *address)
{
    assert(trusted->count <= TRUSTED_PROXIES_LIMIT);
    for (size_t i = 0; i < trusted->count; i++)
        if (peer_network_has(&trusted->networks[i], address))
            return true;
    return false;
}

/* The next hop to the right: it says whom it has heard. NULL: that is no address. */
static void take_hop(struct forwarded_walk *walk, const struct peer_address *address)
{
    assert(walk->trusted && walk->found <= FOUND_UNKNOWN);
    if (address && is_trusted(walk->trusted, address))
        return;
    walk->found = address ? FOUND_CLIENT : FOUND_UNKNOWN;
    if (address)
        walk->client = *address;
}

/* --- addresses -------------------------------------------------------------------------------- */

/* The parser of addresses wants a NUL behind its text, and takes what stands before one. */
static bool read_ip(struct bytes text, struct peer_address *address)
{
    char copy[PEER_IP_TEXT_SIZE];
    if (text.size == 0 || text.size >= sizeof(copy) || memchr(text.data, '\0', text.size))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *address = (struct peer_address){0};
    return peer_address_parse(copy, address);
}

/* ":80" */
static bool is_port(struct bytes text)
{
    unsigned long port = 0;
    assert(text.size > 0);
    if (text.data[0] != ':' || text.size < 2 || text.size > PORT_DIGITS + 1)
        return false;
    for (size_t i = 1; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        port = port * 10 + (unsigned long)(text.data[i] - '0');
    }
    return port <= UINT16_MAX;
}

/* "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]", "[2001:db8::1]:80"; `bare`: "2001:db8::1" too. */
static bool read_node(struct bytes node, bool bare, struct peer_address *address)
{
    struct bytes ip = node, behind = bytes_of(NULL, 0);
    const uint8_t *colon = node.size ? memchr(node.data, ':', node.size) : NULL;
    bool is_ipv6 = colon && memchr(colon + 1, ':', node.size - (size_t)(colon + 1 - node.data));
    if (node.size && node.data[0] == '[') {
        const uint8_t *end = memchr(node.data, ']', node.size);
        if (!end || !is_ipv6)
            return false;
        ip = bytes_of(node.data + 1, (size_t)(end - node.data) - 1);
        behind = bytes_skip(node, ip.size + 2);
        if (ip.size == 0 || !memchr(ip.data, ':', ip.size))
            return false;
    } else if (is_ipv6 && !bare) {
        return false;
    } else if (colon && !is_ipv6) {
        ip.size = (size_t)(colon - node.data);
        behind = bytes_skip(node, ip.size);
    }
    return (behind.size == 0 || is_port(behind)) && read_ip(ip, address);
}

/* --- X-Forwarded-For -------------------------------------------------------------------------- */

/* Every element is a hop, also one that is no address: behind it nothing is known of the client. */
static void read_list(struct forwarded_walk *walk, struct bytes line)
{
    struct bytes node;
    struct peer_address address;
    while (http_list_next(&line, &node))
        take_hop(walk, read_node(node, true, &address) ? &address : NULL);
}

/* --- Forwarded -------------------------------------------------------------------------------- */

/* A NUL is no stop: strchr() would find it at the end of `stops`. */
static size_t size_before(struct bytes text, const char *stops)
{
    size_t size = 0;
    assert(stops[0]);
    while (size < text.size && (text.data[size] == '\0' || !strchr(stops, text.data[size])))
        size++;
    return size;
}

/* Takes a token, or what stands between quotes; false: it is neither. */
static bool forwarded_value(struct bytes *rest, struct bytes *value)
{
    size_t end = 1;
    if (rest->size == 0 || rest->data[0] != '"') {
        *value = bytes_of(rest->data, size_before(*rest, ";, \t"));
        *rest = bytes_skip(*rest, value->size);
        return http_is_token(*value);
    }
    while (end < rest->size && rest->data[end] != '"')
        end += rest->data[end] == '\\' ? 2 : 1;
    if (end >= rest->size)
        return false;
    *value = bytes_of(rest->data + 1, end - 1);
    *rest = bytes_skip(*rest, end + 1);
    return true;
}

/* name=value, as RFC 7239 has it: no blanks around the sign. */
static bool forwarded_pair(struct bytes *rest, struct http_field *pair)
{
    assert(rest->size > 0);
    pair->name = bytes_of(rest->data, size_before(*rest, "=;, \t\""));
    *rest = bytes_skip(*rest, pair->name.size);
    if (!http_is_token(pair->name) || rest->size == 0 || rest->data[0] != '=')
        return false;
    *rest = bytes_skip(*rest, 1);
    return forwarded_value(rest, &pair->value);
}

/* One hop of the line, without the comma behind it. */
struct hop {
    bool said, named, known; /* anything; `for`; and that is an address */
    struct peer_address address;
};

/* An empty element of the list is legal and means nothing (RFC 9110, 5.6.1). */
static void end_hop(struct forwarded_walk *walk, struct hop *hop)
{
    assert(hop->said || !hop->named);
    if (hop->said)
        take_hop(walk, hop->known ? &hop->address : NULL);
    *hop = (struct hop){0};
}

/* `for` given twice is ambiguous: two readers may disagree, so nobody is known. */
static void add_pair(struct hop *hop, const struct http_field *pair)
{
    hop->said = true;
    if (!http_equal_ignoring_case(pair->name, BYTES_LITERAL("for")))
        return;
    assert(!hop->known || hop->named);
    hop->known = !hop->named && read_node(pair->value, false, &hop->address);
    hop->named = true;
}

/* What is behind an error cannot be told apart: it is one hop, that nobody knows. */
static void read_forwarded(struct forwarded_walk *walk, struct bytes line)
{
    struct hop hop = {0};
    bool behind_pair = false;
    for (struct bytes rest = http_trim(line); rest.size; rest = http_trim(rest)) {
        struct http_field pair;
        uint8_t separator = rest.data[0];
        if (separator == ',' || separator == ';') {
            if (separator == ',')
                end_hop(walk, &hop);
            rest = bytes_skip(rest, 1);
            behind_pair = false;
        } else if (!behind_pair && forwarded_pair(&rest, &pair)) {
            add_pair(&hop, &pair);
            behind_pair = true;
        } else {
            take_hop(walk, NULL);
            return;
        }
    }
    end_hop(walk, &hop);
}

/* --- the request ------------------------------------------------------------------------------ */

struct peer_address client_address_of(const struct http_request *request,
                                      const struct peer_address *peer,
                                      const struct trusted_proxies *trusted)
{
    struct forwarded_walk walk = {.trusted = trusted};
    struct bytes rest = request->fields;
    struct http_field field;
    bool listed = false, forwarded = false;
    if (!is_trusted(trusted, peer))
        return *peer;
    while (http_field_next(&rest, &field)) {
        if (http_equal_ignoring_case(field.name, BYTES_LITERAL("x-forwarded-for"))) {
            listed = true;
            read_list(&walk, field.value);
        } else if (http_equal_ignoring_case(field.name, BYTES_LITERAL("forwarded"))) {
            forwarded = true;
            read_forwarded(&walk, field.value);
        }
    }
    assert(walk.found != FOUND_CLIENT || !is_trusted(trusted, &walk.client));
    return walk.found == FOUND_CLIENT && !(listed && forwarded) ? walk.client : *peer;
}
