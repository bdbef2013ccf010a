/* Between sessions and presence. A seat belongs to a room of a session, and is made and given back
 * here alone. */
#include "session_presence.h"

#include "hub_state.h"

static bool has_kind(const struct hub *hub, struct bytes kind)
{
    const struct presence_limits *limits = &hub->config.presence;
    for (size_t i = 0; i < limits->kind_count; i++)
        if (bytes_equal_string(kind, limits->kinds[i]))
            return true;
    return false;
}

bool session_has_presence(const struct session *session, struct bytes name)
{
    struct room_name room;
    return session->hub->presence && session_user(session).size > 0 &&
           room_parse(name, &room, NULL) == STATUS_OK && has_kind(session->hub, room.kind);
}

void session_want_presence(struct session *session, size_t index)
{
    assert(index < session->room_count);
    session->rooms[index].wants_presence = true;
    session->rooms_changed = true;
}

void session_presence_pending(struct presence_seat *seat)
{
    struct session *session = seat->owner;
    assert(session->state != SESSION_CLOSED);
    DL_APPEND2(session->presence_news, seat, own_prev, own_next);
    session_wake(session);
}

void session_presence_told(struct session *session, size_t index)
{
    struct session_room *own = &session->rooms[index];
    struct hub *hub = session->hub;
    assert(index < session->room_count && own->told);
    if (!own->seat && session_has_presence(session, room_name_of(own->room)))
        own->seat = presence_enter(hub->presence, room_scope_of(own->room), room_name_of(own->room),
                                   session_user(session), session);
    /* Also if it watches already: a confirmation is followed by a snapshot. */
    if (own->seat && own->wants_presence)
        presence_watch(hub->presence, own->seat);
}

void session_presence_leave(struct session *session, struct session_room *own)
{
    if (!own->seat)
        return;
    if (own->seat->pending)
        DL_DELETE2(session->presence_news, own->seat, own_prev, own_next);
    presence_leave(session->hub->presence, own->seat, session->hub->now_ms);
    own->seat = NULL;
}

void session_hold_presence(struct session *session, bool held)
{
    session->presence_held = held;
    if (!held && session->presence_news)
        session_wake(session);
}

bool session_presence_next(struct session *session, struct delivery *delivery)
{
    struct presence_seat *seat = session->presence_news;
    struct hub *hub = session->hub;
    if (!seat || session->presence_held)
        return false;
    assert(seat->owner == session && seat->pending && session->state == SESSION_OPEN);
    DL_DELETE2(session->presence_news, seat, own_prev, own_next);
    presence_next_news(hub->presence, seat, &hub->presence_news);
    delivery->kind = DELIVERY_PRESENCE;
    delivery->room = hub->presence_news.room;
    delivery->body = hub->presence_news.json;
    delivery->presence = &hub->presence_news;
    return true;
}
