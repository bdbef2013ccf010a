/* What an order of the backend is made of: its words, what it may hold, and how its key and
 * value are written. Reading is order_read.c's.
 *
 * The key says what the order is about, so that a later one takes its place in the compacted
 * topic; it is written in one form only, by gateways and by the tool alike. */
#include "order.h"

#include <assert.h>

#include "instant.h"
#include "json.h"
#include "room.h"

static const char *const kinds[ORDER_KINDS] = {[ORDER_DISCONNECT] = "disconnect",
                                               [ORDER_NOT_BEFORE] = "not_before",
                                               [ORDER_LEAVE] = "leave",
                                               [ORDER_JOIN] = "join"};
static const char *const scopes[ORDER_SCOPES] = {[ORDER_TENANT] = "tenant",
                                                 [ORDER_USER] = "user",
                                                 [ORDER_SESSION] = "session",
                                                 [ORDER_TOKEN] = "token"};

const char *order_fault_text(enum order_fault fault)
{
    static const char *const texts[] = {
#define X(name, text) text,
        ORDER_FAULTS(X)
#undef X
    };
    assert((unsigned)fault < ORDER_FAULT_COUNT);
    return texts[fault];
}

const char *order_kind_text(enum order_kind kind)
{
    assert((unsigned)kind < ORDER_KINDS);
    return kinds[kind];
}

const char *order_scope_text(enum order_scope scope)
{
    assert((unsigned)scope < ORDER_SCOPES);
    return scopes[scope];
}

bool order_kind_named(struct bytes name, enum order_kind *kind)
{
    for (unsigned i = 0; i < ORDER_KINDS; i++) {
        if (!bytes_equal_string(name, kinds[i]))
            continue;
        *kind = (enum order_kind)i;
        return true;
    }
    return false;
}

bool order_scope_named(struct bytes name, enum order_scope *scope)
{
    for (unsigned i = 0; i < ORDER_SCOPES; i++) {
        if (!bytes_equal_string(name, scopes[i]))
            continue;
        *scope = (enum order_scope)i;
        return true;
    }
    return false;
}

/* --- what it may hold ------------------------------------------------------------------------- */

/* Orders about rooms share one key for each room, whatever they say of it. */
bool order_has_room(enum order_kind kind)
{
    return kind == ORDER_LEAVE || kind == ORDER_JOIN;
}

/* Names are written into keys, and compared there: text without control characters has one form. */
static bool is_order_name(struct bytes text)
{
    return text.size <= ORDER_NAME_LIMIT && room_key_valid(text);
}

/* That can be written again. */
static bool is_time(int64_t time_ms)
{
    char text[INSTANT_TEXT_SIZE];
    return instant_format(time_ms, text);
}

enum order_fault order_check(const struct order *order)
{
    struct room_name room;
    assert((unsigned)order->kind < ORDER_KINDS && (unsigned)order->scope < ORDER_SCOPES);
    if (order->tenant.size > 0 && !is_order_name(order->tenant))
        return ORDER_FAULTY_TENANT;
    /* A tenant is its own subject; all others are named. */
    if (order->scope == ORDER_TENANT ? order->id.size > 0 : !is_order_name(order->id))
        return ORDER_FAULTY_SUBJECT;
    if (order_has_room(order->kind) ? room_parse(order->room, &room, NULL) != STATUS_OK
                                    : order->room.size > 0)
        return ORDER_FAULTY_ROOM;
    if ((order->kind == ORDER_NOT_BEFORE && !is_time(order->not_before_ms)) ||
        (order->expires_ms != INT64_MAX && !is_time(order->expires_ms)))
        return ORDER_FAULTY_TIME;
    if (order->reason.size > ORDER_REASON_LIMIT ||
        (order->reason.size > 0 && !room_key_valid(order->reason)))
        return ORDER_FAULTY_REASON;
    return ORDER_SOUND;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void append_part(struct buffer *out, struct bytes text)
{
    buffer_append_byte(out, ',');
    json_write_string(out, text);
}

/* A JSON array of texts: no name can be made to look like another order's key. */
void order_append_key(const struct order *order, struct buffer *out)
{
    buffer_append_byte(out, '[');
    json_write_string(out, order->tenant);
    append_part(out, bytes_of_string(order_scope_text(order->scope)));
    append_part(out, order->id);
    append_part(out, bytes_of_string(order_has_room(order->kind) ? ORDER_OF_ROOMS
                                                                 : order_kind_text(order->kind)));
    if (order_has_room(order->kind))
        append_part(out, order->room);
    buffer_append_byte(out, ']');
}

static void append_member(struct buffer *out, const char *name, struct bytes text)
{
    buffer_append_format(out, ",\"%s\":", name);
    json_write_string(out, text);
}

static void append_time(struct buffer *out, const char *name, int64_t time_ms)
{
    char text[INSTANT_TEXT_SIZE];
    bool known = instant_format(time_ms, text);
    assert(known); /* it was read as such a text, or is a time of ours */
    (void)known;
    append_member(out, name, bytes_of_string(text));
}

/* Members that say nothing are left out: a value is read by people as well. */
void order_append_value(const struct order *order, struct buffer *out)
{
    assert(order_check(order) == ORDER_SOUND && !order->lifted);
    buffer_append_format(out, "{\"order\":\"%s\"", order_kind_text(order->kind));
    append_member(out, "tenant", order->tenant);
    if (order->scope != ORDER_TENANT)
        append_member(out, order_scope_text(order->scope), order->id);
    if (order_has_room(order->kind))
        append_member(out, "room", order->room);
    if (order->kind == ORDER_NOT_BEFORE)
        append_time(out, "notBefore", order->not_before_ms);
    if (order->expires_ms != INT64_MAX)
        append_time(out, "expires", order->expires_ms);
    if (order->reason.size > 0)
        append_member(out, "reason", order->reason);
    buffer_append_byte(out, '}');
}
