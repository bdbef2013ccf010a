/* The JSON form of our own protocol over WebSocket (ws_message.h: what it has in common with the
 * protobuf form): one object for each message, flat, with `type`.
 *
 * Members are found in one pass, without a tree, by a table of names; values stay raw slices of the
 * text until somebody wants one. Members that nobody knows are passed over, so that newer clients
 * can say more.
 *
 * The invariant: after ws_json_decode() every slice has the shape that its name asks for. So what
 * comes later asserts and does not check. */
#include "ws_json.h"

#include <assert.h>

#include "json.h"

/* The members that mean something, and what their value must be. */
enum member {
    MEMBER_TYPE,
    MEMBER_ID,
    MEMBER_TOKEN,
    MEMBER_SESSION,
    MEMBER_CURSOR,
    MEMBER_AUTH,
    MEMBER_HEARTBEAT,
    MEMBER_EVENT,
    MEMBER_DATA,
    MEMBER_EVENT_ID,
    MEMBER_ROOM,
    MEMBER_TRACEPARENT,
    MEMBER_TRACESTATE,
    MEMBER_ROOMS,
    MEMBER_SINCE,
    MEMBER_LAST,
    MEMBER_STATE,
    MEMBER_PRESENCE,
    MEMBER_COUNT
};

enum { NAME_RAW_MAX = 64 };

/* What has been found: raw values, and the first token of each. An array by member, filled in one
 * pass, so that a member that comes twice is seen wherever it stands. */
struct members {
    struct bytes raw[MEMBER_COUNT];
    enum json_token token[MEMBER_COUNT];
};

static bool has(const struct members *members, enum member member)
{
    assert(member < MEMBER_COUNT);
    return members->raw[member].size > 0;
}

static const char *const member_names[MEMBER_COUNT] = {
    [MEMBER_TYPE] = "type",
    [MEMBER_ID] = "id",
    [MEMBER_TOKEN] = "token",
    [MEMBER_SESSION] = "session",
    [MEMBER_CURSOR] = "cursor",
    [MEMBER_AUTH] = "auth",
    [MEMBER_HEARTBEAT] = "heartbeat",
    [MEMBER_EVENT] = "event",
    [MEMBER_DATA] = "data",
    [MEMBER_EVENT_ID] = "eventId",
    [MEMBER_ROOM] = "room",
    [MEMBER_TRACEPARENT] = "traceparent",
    [MEMBER_TRACESTATE] = "tracestate",
    [MEMBER_ROOMS] = "rooms",
    [MEMBER_SINCE] = "since",
    [MEMBER_LAST] = "last",
    [MEMBER_STATE] = "state",
    [MEMBER_PRESENCE] = "presence",
};

static const char *const kind_names[] = {
    [WS_JSON_CONNECT] = "connect",
    [WS_JSON_SUBSCRIBE] = "subscribe",
    [WS_JSON_UNSUBSCRIBE] = "unsubscribe",
    [WS_JSON_EVENT] = "event",
    [WS_JSON_TOKEN] = "token",
    [WS_JSON_PING] = "ping",
    [WS_JSON_PONG] = "pong",
};

/* A name's place in a table, or `count`. `inside` is a raw JSON string without its quotes. */
static size_t find_name(struct bytes inside, const char *const names[], size_t count)
{
    uint8_t decoded[NAME_RAW_MAX];
    assert(count > 0);
    if (inside.size > sizeof(decoded))
        return count;
    struct bytes name = bytes_of(decoded, json_unescape(inside, decoded));
    size_t i = 0;
    while (i < count && !bytes_equal_string(name, names[i]))
        i++;
    return i;
}

static enum status failure(const struct json_scanner *scanner)
{
    assert(scanner->status != STATUS_INCOMPLETE);
    return scanner->status ? scanner->status : STATUS_MALFORMED;
}

static enum status read_members(struct json_scanner *scanner, struct members *members)
{
    if (json_next(scanner) != JSON_OBJECT)
        return failure(scanner);
    enum json_token token;
    while ((token = json_next(scanner)) == JSON_KEY) {
        size_t member = find_name(scanner->raw, member_names, MEMBER_COUNT);
        struct bytes raw;
        token = json_value(scanner, &raw);
        if (token == JSON_ERROR)
            return failure(scanner);
        if (member == MEMBER_COUNT)
            continue;
        if (has(members, (enum member)member))
            return STATUS_MALFORMED; /* two readers could take different ones */
        members->raw[member] = raw;
        members->token[member] = token;
    }
    if (token != JSON_OBJECT_END || json_next(scanner) != JSON_END)
        return failure(scanner);
    return STATUS_OK;
}

static bool is_string_or_absent(const struct members *members, enum member member)
{
    return !has(members, member) || members->token[member] == JSON_STRING;
}

static bool is_boolean_or_absent(const struct members *members, enum member member)
{
    return !has(members, member) || members->token[member] == JSON_TRUE ||
           members->token[member] == JSON_FALSE;
}

/* Also of members that this kind of message does not use: a client that sends them wrong has a
 * fault, and hears of it now rather than when it uses them. */
static bool shapes_are_right(const struct members *members)
{
    static const enum member strings[] = {
        MEMBER_TYPE,     MEMBER_TOKEN, MEMBER_SESSION,     MEMBER_CURSOR,     MEMBER_EVENT,
        MEMBER_EVENT_ID, MEMBER_ROOM,  MEMBER_TRACEPARENT, MEMBER_TRACESTATE,
    };
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
        if (!is_string_or_absent(members, strings[i]))
            return false;
    /* Given back as it is written: 1, 1.0 and "1" are three different ids to whoever chose them. */
    bool id = !has(members, MEMBER_ID) || members->token[MEMBER_ID] == JSON_NUMBER ||
              members->token[MEMBER_ID] == JSON_STRING;
    bool rooms = !has(members, MEMBER_ROOMS) || members->token[MEMBER_ROOMS] == JSON_ARRAY;
    bool auth = !has(members, MEMBER_AUTH) || members->token[MEMBER_AUTH] == JSON_OBJECT;
    return id && rooms && auth && is_boolean_or_absent(members, MEMBER_HEARTBEAT) &&
           is_boolean_or_absent(members, MEMBER_PRESENCE) && has(members, MEMBER_TYPE);
}

/* Of a raw string that the scanner has given, which has both quotes. */
static struct bytes inside_quotes(struct bytes raw)
{
    assert(raw.size >= 2 && raw.data[0] == '"');
    return bytes_of(raw.data + 1, raw.size - 2);
}

/* Rooms are strings, at least one. */
static enum status ws_json_read_rooms(struct bytes array, uint32_t most,
                                      struct ws_json_message *message)
{
    struct json_scanner scanner;
    struct bytes element, all = {0};
    enum json_token token;
    uint32_t count = 0;
    json_init(&scanner, array, 1);
    token = json_next(&scanner);
    assert(token == JSON_ARRAY);
    while ((token = json_value(&scanner, &element)) == JSON_STRING) {
        if (count++ == most)
            return STATUS_LIMIT;
        if (all.size == 0)
            all = element;
        all.size = (size_t)(element.data + element.size - all.data);
    }
    if (token != JSON_ARRAY_END || count == 0)
        return STATUS_MALFORMED;
    message->rooms = all;
    message->room_count = count;
    return STATUS_OK;
}

/* A connect may be empty: the token may have come with the request itself. */
static bool has_required(const struct members *members, enum ws_json_kind kind)
{
    switch (kind) {
    case WS_JSON_CONNECT:
    case WS_JSON_PING:
    case WS_JSON_PONG:
        return true;
    case WS_JSON_SUBSCRIBE:
    case WS_JSON_UNSUBSCRIBE:
        return has(members, MEMBER_ROOMS);
    case WS_JSON_EVENT:
        return has(members, MEMBER_EVENT);
    case WS_JSON_TOKEN:
        return has(members, MEMBER_TOKEN);
    }
    assert(!"a kind of message");
    return false;
}

enum status ws_json_decode(struct bytes text, const struct ws_json_limits *limits,
                           struct ws_json_message *message)
{
    struct json_scanner scanner;
    struct members members = {0};
    assert(limits->rooms > 0 && limits->id_bytes > 0);
    json_init(&scanner, text, limits->json_depth);
    enum status status = read_members(&scanner, &members);
    if (status)
        return status;
    if (!shapes_are_right(&members))
        return STATUS_MALFORMED;
    if (members.raw[MEMBER_ID].size > limits->id_bytes)
        return STATUS_TOO_LARGE;
    size_t kind_count = sizeof(kind_names) / sizeof(kind_names[0]);
    size_t kind = find_name(inside_quotes(members.raw[MEMBER_TYPE]), kind_names, kind_count);
    if (kind == kind_count) {
        /* Its id, so that the refusal finds its request. */
        *message = (struct ws_json_message){.id = members.raw[MEMBER_ID]};
        return STATUS_UNSUPPORTED;
    }
    struct ws_json_message found = {.kind = (enum ws_json_kind)kind,
                                    .id = members.raw[MEMBER_ID],
                                    .token = members.raw[MEMBER_TOKEN],
                                    .session = members.raw[MEMBER_SESSION],
                                    .cursor = members.raw[MEMBER_CURSOR],
                                    .auth = members.raw[MEMBER_AUTH],
                                    .heartbeat = members.token[MEMBER_HEARTBEAT] == JSON_TRUE,
                                    .presence = members.token[MEMBER_PRESENCE] == JSON_TRUE,
                                    .event = members.raw[MEMBER_EVENT],
                                    .data = members.raw[MEMBER_DATA],
                                    .event_id = members.raw[MEMBER_EVENT_ID],
                                    .room = members.raw[MEMBER_ROOM],
                                    .traceparent = members.raw[MEMBER_TRACEPARENT],
                                    .tracestate = members.raw[MEMBER_TRACESTATE],
                                    .since = members.raw[MEMBER_SINCE],
                                    .last = members.raw[MEMBER_LAST],
                                    .state = members.raw[MEMBER_STATE]};
    if (!has_required(&members, found.kind))
        return STATUS_MALFORMED;
    if (has(&members, MEMBER_ROOMS))
        status = ws_json_read_rooms(members.raw[MEMBER_ROOMS], limits->rooms, &found);
    if (status == STATUS_OK)
        *message = found;
    return status;
}

/* Without a copy if nothing is escaped, as is usual. */
struct bytes ws_json_string(struct bytes raw, struct buffer *scratch)
{
    if (raw.size < 2)
        return bytes_of(NULL, 0);
    struct bytes inside = inside_quotes(raw);
    if (!memchr(inside.data, '\\', inside.size))
        return inside;
    buffer_clear(scratch);
    json_unescape_append(inside, scratch);
    return buffer_peek(scratch);
}

bool ws_json_next_room(struct bytes *rooms, struct buffer *scratch, struct bytes *room)
{
    if (rooms->size == 0)
        return false;
    /* A bare list of strings: the scanner stops behind its first. */
    struct json_scanner scanner;
    struct bytes raw;
    json_init(&scanner, *rooms, 1);
    enum json_token token = json_value(&scanner, &raw);
    assert(token == JSON_STRING);
    struct bytes rest = bytes_skip(*rooms, json_position(&scanner));
    while (rest.size && rest.data[0] != '"')
        rest = bytes_skip(rest, 1);
    *rooms = rest;
    *room = ws_json_string(raw, scratch);
    return true;
}

/* Opens the object, and leaves it open. The id is written as it came, quotes included. */
static void append_type(struct buffer *out, const char *type, struct bytes id)
{
    assert(type[0]);
    buffer_append_format(out, "{\"type\":\"%s\"", type);
    if (id.size) {
        buffer_append(out, BYTES_LITERAL(",\"id\":"));
        buffer_append(out, id);
    }
}

static void ws_json_append_text(struct buffer *out, const char *name, struct bytes text)
{
    assert(name[0]);
    buffer_append_format(out, ",\"%s\":", name);
    json_write_string(out, text);
}

/* Absent and empty mean the same to clients: the shorter one is sent. */
static void append_text_unless_empty(struct buffer *out, const char *name, struct bytes text)
{
    if (text.size)
        ws_json_append_text(out, name, text);
}

void ws_json_append_welcome(struct buffer *out, const struct ws_json_welcome *welcome)
{
    append_type(out, "welcome", welcome->id);
    append_text_unless_empty(out, "sid", welcome->sid);
    append_text_unless_empty(out, "session", welcome->session);
    buffer_append_format(out, ",\"recovered\":%s", welcome->recovered ? "true" : "false");
    append_text_unless_empty(out, "reason", welcome->reason);
    buffer_append_format(out, ",\"pingIntervalMs\":%lld,\"pingTimeoutMs\":%lld",
                         (long long)welcome->ping_interval_ms, (long long)welcome->ping_timeout_ms);
    ws_json_append_tail(out, welcome->cursor);
}

void ws_json_append_ack(struct buffer *out, struct bytes id, struct bytes data)
{
    append_type(out, "ack", id);
    if (data.size) {
        buffer_append(out, BYTES_LITERAL(",\"data\":"));
        buffer_append(out, data);
    }
    buffer_append_byte(out, '}');
}

void ws_json_append_history_ack(struct buffer *out, struct bytes id, uint32_t count, bool complete)
{
    append_type(out, "ack", id);
    buffer_append_format(out, ",\"history\":{\"count\":%u,\"complete\":%s}}", count,
                         complete ? "true" : "false");
}

void ws_json_append_state_ack(struct buffer *out, struct bytes id, uint32_t count, bool complete,
                              int64_t since_ms)
{
    assert(since_ms >= 0);
    append_type(out, "ack", id);
    buffer_append_format(out, ",\"state\":{\"count\":%u,\"complete\":%s,\"since\":%lld}}", count,
                         complete ? "true" : "false", (long long)since_ms);
}

static void append_error_start(struct buffer *out, struct bytes id, const char *code,
                               struct bytes message)
{
    assert(code[0]);
    append_type(out, "error", id);
    buffer_append_format(out, ",\"error\":{\"code\":\"%s\"", code);
    ws_json_append_text(out, "message", message);
}

/* 0 would tell a client to come back at once: then nothing is said. */
static void append_retry(struct buffer *out, int64_t retry_after_s)
{
    assert(retry_after_s >= 0);
    if (retry_after_s > 0)
        buffer_append_format(out, ",\"retryAfter\":%lld", (long long)retry_after_s);
}

void ws_json_append_error(struct buffer *out, struct bytes id, const char *code,
                          struct bytes message, int64_t retry_after_s)
{
    append_error_start(out, id, code, message);
    append_retry(out, retry_after_s);
    buffer_append_string(out, "}}");
}

/* `rooms` says of each room why: a subscription of ten is not repeated for the sake of one. */
void ws_json_append_rooms_error(struct buffer *out, struct bytes id, const char *code,
                                struct bytes message, int64_t retry_after_s, struct bytes rooms)
{
    assert(rooms.size > 0 && rooms.data[0] == '[');
    append_error_start(out, id, code, message);
    append_retry(out, retry_after_s);
    buffer_append_string(out, ",\"rooms\":");
    buffer_append(out, rooms);
    buffer_append_string(out, "}}");
}

void ws_json_append_ping(struct buffer *out)
{
    append_type(out, "ping", bytes_of(NULL, 0));
    buffer_append_byte(out, '}');
}

void ws_json_append_subscribed(struct buffer *out, struct bytes room, struct bytes cursor)
{
    append_type(out, "subscribed", bytes_of(NULL, 0));
    ws_json_append_text(out, "room", room);
    ws_json_append_tail(out, cursor);
}

void ws_json_append_unsubscribed(struct buffer *out, struct bytes room, const char *reason,
                                 struct bytes cursor)
{
    append_type(out, "unsubscribed", bytes_of(NULL, 0));
    ws_json_append_text(out, "room", room);
    append_text_unless_empty(out, "reason", bytes_of_string(reason));
    ws_json_append_tail(out, cursor);
}

/* One text for all who are told: it is copied behind the type. */
void ws_json_append_presence(struct buffer *out, struct bytes news, struct bytes cursor)
{
    assert(news.size > 2 && news.data[0] == '{' && news.data[news.size - 1] == '}');
    append_type(out, "presence", bytes_of(NULL, 0));
    buffer_append_byte(out, ',');
    buffer_append(out, bytes_of(news.data + 1, news.size - 2));
    ws_json_append_tail(out, cursor);
}

/* By the gateway's clock: since when what the client has may be behind. */
void ws_json_append_stale(struct buffer *out, int64_t since_ms, struct bytes cursor)
{
    append_type(out, "stale", bytes_of(NULL, 0));
    buffer_append_format(out, ",\"since\":%lld", (long long)since_ms);
    ws_json_append_tail(out, cursor);
}

void ws_json_append_live(struct buffer *out, struct bytes cursor)
{
    append_type(out, "live", bytes_of(NULL, 0));
    ws_json_append_tail(out, cursor);
}

void ws_json_append_token_expired(struct buffer *out, int64_t grace_ms)
{
    append_type(out, "token_expired", bytes_of(NULL, 0));
    buffer_append_format(out, ",\"graceMs\":%lld}", (long long)grace_ms);
}

void ws_json_append_pong(struct buffer *out, struct bytes id)
{
    append_type(out, "pong", id);
    buffer_append_byte(out, '}');
}

/* For quiet rooms in a busy lane: without a notification the client's place would fall behind. */
void ws_json_append_cursor(struct buffer *out, struct bytes cursor)
{
    assert(cursor.size);
    append_type(out, "cursor", bytes_of(NULL, 0));
    ws_json_append_tail(out, cursor);
}

/* Leaves the object open: the tail closes it, with each client's own cursor. */
void ws_json_begin_notification(struct buffer *out, struct bytes event)
{
    append_type(out, "notification", bytes_of(NULL, 0));
    ws_json_append_text(out, "event", event);
    buffer_append(out, BYTES_LITERAL(",\"data\":"));
}

void ws_json_append_history(struct buffer *out, struct bytes room, struct bytes event,
                            struct bytes data)
{
    assert(data.size);
    append_type(out, "history", bytes_of(NULL, 0));
    ws_json_append_text(out, "room", room);
    ws_json_append_text(out, "event", event);
    buffer_append(out, BYTES_LITERAL(",\"data\":"));
    buffer_append(out, data);
}

void ws_json_append_item(struct buffer *list, struct bytes event, struct bytes data)
{
    assert(data.size);
    buffer_append_string(list, buffer_size(list) ? ",{\"event\":" : "{\"event\":");
    json_write_string(list, event);
    buffer_append(list, BYTES_LITERAL(",\"data\":"));
    buffer_append(list, data);
    buffer_append_byte(list, '}');
}

void ws_json_append_state(struct buffer *out, struct bytes room, bool first, struct bytes items)
{
    assert(items.size > 0 || first);
    append_type(out, "state", bytes_of(NULL, 0));
    ws_json_append_text(out, "room", room);
    buffer_append_format(out, ",\"first\":%s,\"items\":[", first ? "true" : "false");
    buffer_append(out, items);
    buffer_append_byte(out, ']');
}

void ws_json_append_tail(struct buffer *out, struct bytes cursor)
{
    if (cursor.size) {
        buffer_append(out, BYTES_LITERAL(",\"cursor\":\""));
        buffer_append(out, cursor);
        buffer_append_byte(out, '"');
    }
    buffer_append_byte(out, '}');
}
