/* Decoding of Socket.IO 5's packets. The header is read by hand, the payload by the JSON scanner,
 * once; a binary packet's a second time, for its placeholders.
 *
 *     51-/admin,12["upload",{"_placeholder":true,"num":0}]
 *     ^^ ^      ^ ^
 *     || |      | the payload: JSON, an array for events and acks
 *     || |      ack id, if one is wanted
 *     || the namespace, with its comma; "/" is left out
 *     |attachments, of binary packets, with their dash
 *     type
 *
 * The invariant: whatever is accepted is accepted by the stock parser too, and read alike. Where
 * that one throws, we refuse; we also refuse where JavaScript is lenient in a way that no client
 * means (an ack id of blanks). */
#include "socketio_packet.h"

#include <assert.h>

#include "json.h"
#include "utf8.h"

static const uint64_t ack_id_max = UINT64_C(9007199254740991); /* Number.MAX_SAFE_INTEGER */

static bool is_binary(enum socketio_packet_type type)
{
    return type == SOCKETIO_BINARY_EVENT || type == SOCKETIO_BINARY_ACK;
}

static bool is_event(enum socketio_packet_type type)
{
    return type == SOCKETIO_EVENT || type == SOCKETIO_BINARY_EVENT;
}

static bool starts_with_digit(struct bytes text)
{
    return text.size && text.data[0] >= '0' && text.data[0] <= '9';
}

/* Takes digits off the front: at least one, and the number at most `most`. */
static bool take_number(struct bytes *text, uint64_t most, uint64_t *number)
{
    uint64_t sum = 0;
    assert(most < UINT64_MAX / 10 - 9);
    if (!starts_with_digit(*text))
        return false;
    while (starts_with_digit(*text)) {
        sum = sum * 10 + (text->data[0] - '0');
        if (sum > most)
            return false;
        *text = bytes_skip(*text, 1);
    }
    *number = sum;
    return true;
}

/* Up to the comma, or to the end: a packet without a payload may leave the comma out. */
static enum status take_namespace(struct bytes *text, uint32_t most, struct bytes *name_space)
{
    assert(most > 0);
    if (text->size == 0 || text->data[0] != '/') {
        *name_space = BYTES_LITERAL("/");
        return STATUS_OK;
    }
    const uint8_t *comma = memchr(text->data, ',', text->size);
    size_t size = comma ? (size_t)(comma - text->data) : text->size;
    struct bytes found = bytes_of(text->data, size);
    if (size > most)
        return STATUS_TOO_LARGE;
    if (!utf8_is_valid(found))
        return STATUS_MALFORMED;
    *name_space = found;
    *text = bytes_skip(*text, comma ? size + 1 : size);
    return STATUS_OK;
}

/* All that stands before the JSON. */
static enum status decode_head(struct bytes *text, const struct socketio_limits *limits,
                               struct socketio_packet *packet)
{
    if (text->size == 0 || text->data[0] < '0' || text->data[0] > '6')
        return STATUS_MALFORMED;
    packet->type = (enum socketio_packet_type)(text->data[0] - '0');
    *text = bytes_skip(*text, 1);
    if (is_binary(packet->type)) {
        uint64_t count;
        bool leading_zero = text->size && text->data[0] == '0'; /* a count of 0, too */
        if (leading_zero || !take_number(text, SOCKETIO_MAX_ATTACHMENTS, &count) ||
            text->size == 0 || text->data[0] != '-')
            return STATUS_MALFORMED;
        packet->attachment_count = (uint32_t)count;
        *text = bytes_skip(*text, 1);
    }
    enum status status = take_namespace(text, limits->namespace_bytes, &packet->name_space);
    if (status)
        return status;
    if (starts_with_digit(*text)) {
        packet->has_ack_id = true;
        if (!take_number(text, ack_id_max, &packet->ack_id))
            return STATUS_MALFORMED;
    }
    if (text->size && text->data[0] <= ' ') /* which JavaScript takes for an ack id of 0 */
        return STATUS_MALFORMED;
    bool may_have_id = is_event(packet->type);
    bool must_have_id = packet->type == SOCKETIO_ACK || packet->type == SOCKETIO_BINARY_ACK;
    if ((packet->has_ack_id && !may_have_id && !must_have_id) ||
        (must_have_id && !packet->has_ack_id))
        return STATUS_MALFORMED;
    return STATUS_OK;
}

enum { NAME_RAW_MAX = 128 }; /* the longest reserved name, every letter escaped, is shorter */

bool socketio_event_is_reserved(struct bytes name)
{
    static const char *const reserved[] = {"connect",       "connect_error", "disconnect",
                                           "disconnecting", "newListener",   "removeListener"};
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (bytes_equal_string(name, reserved[i]))
            return true;
    return false;
}

/* Events of these names would be taken, at the other end, for the library's own. */
static bool raw_name_is_reserved(struct bytes raw)
{
    uint8_t name[NAME_RAW_MAX];
    if (raw.size > sizeof(name))
        return false;
    return socketio_event_is_reserved(bytes_of(name, json_unescape(raw, name)));
}

/* Also for JSON that is sound but of the wrong shape, of which the scanner has no complaint. */
static enum status scan_failure(const struct json_scanner *scanner)
{
    assert(scanner->status != STATUS_INCOMPLETE);
    return scanner->status ? scanner->status : STATUS_MALFORMED;
}

/* Inside an array: its elements up to the end, as one slice from the first to the last. */
static enum status scan_arguments(struct json_scanner *scanner, struct socketio_packet *packet)
{
    struct bytes element, all = {0};
    uint32_t count = 0;
    enum json_token token;
    /* The slice has the commas and blanks between its elements: socketio_next_argument() takes it
     * apart. */
    while ((token = json_value(scanner, &element)) != JSON_ARRAY_END) {
        if (token == JSON_ERROR)
            return scan_failure(scanner);
        if (count++ == 0)
            all = element;
        all.size = (size_t)(element.data + element.size - all.data);
    }
    packet->arguments = all;
    packet->argument_count = count;
    return STATUS_OK;
}

static enum status scan_event(struct json_scanner *scanner, struct socketio_packet *packet)
{
    enum json_token token = json_next(scanner);
    if (token != JSON_ARRAY)
        return scan_failure(scanner);
    token = json_value(scanner, &packet->event);
    if (token == JSON_STRING) {
        if (raw_name_is_reserved(scanner->raw))
            return STATUS_MALFORMED;
    } else if (token != JSON_NUMBER) {
        /* The stock server takes a number for a name of an event, too. */
        return scan_failure(scanner);
    }
    return scan_arguments(scanner, packet);
}

static enum status scan_payload(struct json_scanner *scanner, struct socketio_packet *packet)
{
    enum json_token token;
    switch (packet->type) {
    case SOCKETIO_CONNECT:
        token = json_value(scanner, NULL);
        return token == JSON_OBJECT ? STATUS_OK : scan_failure(scanner);
    case SOCKETIO_DISCONNECT:
        return STATUS_MALFORMED;
    case SOCKETIO_CONNECT_ERROR:
        token = json_value(scanner, NULL);
        return token == JSON_OBJECT || token == JSON_STRING ? STATUS_OK : scan_failure(scanner);
    case SOCKETIO_EVENT:
    case SOCKETIO_BINARY_EVENT:
        return scan_event(scanner, packet);
    case SOCKETIO_ACK:
    case SOCKETIO_BINARY_ACK:
        token = json_next(scanner);
        return token == JSON_ARRAY ? scan_arguments(scanner, packet) : scan_failure(scanner);
    }
    assert(!"a type of packet");
    return STATUS_FATAL;
}

/* The stock parser lets an event through without any; it then has no name, and nobody hears it. */
static bool may_lack_payload(enum socketio_packet_type type)
{
    return type == SOCKETIO_CONNECT || type == SOCKETIO_DISCONNECT || type == SOCKETIO_EVENT;
}

/* What is known of an open object, by level. JavaScript takes the last of equal keys. */
enum {
    SEEN_PLACEHOLDER = 1, /* "_placeholder":true */
    SEEN_INDEX = 2,       /* "num" is an index below the attachments */
};

/* 0 for all other keys. A key that is too long to be decoded here is neither of the two. */
static uint8_t key_of_placeholder(const struct json_scanner *scanner)
{
    uint8_t name[NAME_RAW_MAX];
    struct bytes key = scanner->raw;
    if (scanner->escaped) {
        if (key.size > sizeof(name))
            return 0;
        key = bytes_of(name, json_unescape(key, name));
    }
    if (bytes_equal_string(key, "_placeholder"))
        return SEEN_PLACEHOLDER;
    return bytes_equal_string(key, "num") ? SEEN_INDEX : 0;
}

static bool is_index(struct bytes number, uint32_t attachment_count)
{
    uint64_t index;
    assert(attachment_count > 0 && attachment_count <= SOCKETIO_MAX_ATTACHMENTS);
    return take_number(&number, attachment_count - 1, &index) && number.size == 0;
}

/* Every {"_placeholder":true,...} must name one of the attachments. The payload is valid JSON. */
static enum status check_attachment_placeholders(const struct socketio_packet *packet)
{
    struct json_scanner scanner;
    uint8_t seen[JSON_DEPTH_MAX + 1] = {0};
    uint8_t key = 0; /* of the value that comes next, if it is one of the two */
    enum json_token token;
    assert(is_binary(packet->type) && packet->payload.size > 0);
    json_init(&scanner, packet->payload, JSON_DEPTH_MAX);
    while ((token = json_next(&scanner)) != JSON_END) {
        if (token == JSON_ERROR)
            return scan_failure(&scanner);
        if (token == JSON_KEY) {
            key = key_of_placeholder(&scanner);
            seen[scanner.depth] &= (uint8_t)~key;
            continue;
        }
        if ((key == SEEN_PLACEHOLDER && token == JSON_TRUE) ||
            (key == SEEN_INDEX && token == JSON_NUMBER &&
             is_index(scanner.raw, packet->attachment_count)))
            seen[scanner.depth] |= key;
        key = 0;
        if (token == JSON_OBJECT)
            seen[scanner.depth] = 0;
        if (token == JSON_OBJECT_END && seen[scanner.depth + 1] == SEEN_PLACEHOLDER)
            return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

enum status socketio_decode(struct bytes text, const struct socketio_limits *limits,
                            struct socketio_packet *packet)
{
    struct socketio_packet found = {0};
    if (text.size > limits->packet_bytes)
        return STATUS_TOO_LARGE;
    enum status status = decode_head(&text, limits, &found);
    if (status)
        return status;
    if (text.size == 0) {
        if (!may_lack_payload(found.type))
            return STATUS_MALFORMED;
        *packet = found;
        return STATUS_OK;
    }
    struct json_scanner scanner;
    json_init(&scanner, text, limits->json_depth);
    struct socketio_packet head = found;
    status = scan_payload(&scanner, &found);
    /* Only the head: with its ack id the client can still be told why. */
    if (status == STATUS_TOO_DEEP)
        *packet = head;
    if (status)
        return status;
    if (json_next(&scanner) != JSON_END)
        return scan_failure(&scanner);
    found.payload = text;
    if (is_binary(found.type))
        status = check_attachment_placeholders(&found);
    if (status == STATUS_OK)
        *packet = found;
    return status;
}

static bool event_is_string(const struct socketio_packet *packet)
{
    assert(packet->event.size != 1 || packet->event.data[0] != '"');
    return packet->event.size && packet->event.data[0] == '"';
}

bool socketio_event_is(const struct socketio_packet *packet, const char *name)
{
    if (!event_is_string(packet))
        return false;
    struct bytes wanted = bytes_of_string(name);
    struct bytes raw = bytes_of(packet->event.data + 1, packet->event.size - 2);
    /* Nearly always: then it is a comparison and no more. */
    if (!memchr(raw.data, '\\', raw.size))
        return bytes_equal(raw, wanted);
    if (raw.size > wanted.size * 6) /* no escape is longer than six bytes for one */
        return false;
    auto_buffer struct buffer decoded = {0};
    json_unescape_append(raw, &decoded);
    return bytes_equal(buffer_peek(&decoded), wanted);
}

void socketio_append_event_name(const struct socketio_packet *packet, struct buffer *out)
{
    if (event_is_string(packet))
        json_unescape_append(bytes_of(packet->event.data + 1, packet->event.size - 2), out);
    else
        buffer_append(out, packet->event);
}

bool socketio_next_argument(struct bytes *arguments, struct bytes *argument)
{
    if (arguments->size == 0)
        return false;
    /* A bare list is no JSON text: the scanner stops behind its first value. */
    struct json_scanner scanner;
    json_init(&scanner, *arguments, JSON_DEPTH_MAX);
    enum json_token token = json_value(&scanner, argument);
    assert(token != JSON_ERROR);
    struct bytes rest = bytes_skip(*arguments, json_position(&scanner));
    const uint8_t *comma = rest.size ? memchr(rest.data, ',', rest.size) : NULL;
    rest = comma ? bytes_skip(rest, (size_t)(comma - rest.data) + 1) : bytes_of(NULL, 0);
    while (rest.size && rest.data[0] <= ' ')
        rest = bytes_skip(rest, 1);
    *arguments = rest;
    return true;
}
