/* A hostile client: it is let in, and then floods its gateway with joins, leaves and histories, of
 * rooms that it may join and of others, reads nothing or hardly anything, and comes back with what
 * it has stolen from the honest, or made up. */
#include "sim_world.h"

#include <stdio.h>

enum { FLOOD = 12, LIFE_STEPS = 300 };

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    return message_view_append_json(view, out);
}

static void append_item(struct buffer *list, struct bytes event, struct bytes body)
{
    (void)event;
    buffer_append(list, body);
}

static void ready(struct session *session, void *connection)
{
    (void)session, (void)connection; /* it does not care */
}

static const struct transport_ops transport = {.name = "hostile",
                                               .slot = TRANSPORT_SLOT_SSE,
                                               .encode = encode,
                                               .ready = ready,
                                               .append_item = append_item};

static void leave(struct sim_intruder *intruder)
{
    if (intruder->session)
        session_close(intruder->session);
    *intruder = (struct sim_intruder){0};
}

void sim_hostile_forget(struct sim_hostile *hostile, const struct sim_gateway *gateway)
{
    for (unsigned i = 0; i < SIM_INTRUDERS; i++)
        if (!gateway || hostile->intruders[i].gateway == gateway)
            leave(&hostile->intruders[i]);
}

/* As it was, with one character changed, or cut off. */
static struct bytes spoil(struct sim_hostile *hostile, const char *text, char *space)
{
    size_t size = text ? strlen(text) : 0;
    if (size == 0 || size >= SIM_SECRET_SIZE)
        return bytes_of("", 0);
    memcpy(space, text, size);
    if (sim_once_in(&hostile->random, 2))
        space[sim_below(&hostile->random, (unsigned)size)] ^= 1 << sim_below(&hostile->random, 7);
    if (sim_once_in(&hostile->random, 4))
        size = sim_below(&hostile->random, (unsigned)size);
    return bytes_of(space, size);
}

static void enter(struct sim_hostile *hostile, struct sim_intruder *intruder)
{
    struct sim_world *world = hostile->world;
    struct sim_gateway *gateway = &world->gateways[sim_below(&hostile->random, SIM_GATEWAYS)];
    const struct sim_client *victim = &world->clients[sim_below(&hostile->random, SIM_CLIENTS)];
    char spaces[2][SIM_SECRET_SIZE];
    if (!gateway->hub || gateway->stopped)
        return;
    struct session_request request = {
        .transport = &transport,
        .connection = intruder,
        .claims = claims_of_text(BYTES_LITERAL("{\"tenant\":\"t0\",\"sub\":\"mallory\"}")),
        .private_id = spoil(hostile, victim->private_id, spaces[0]),
        .cursor = spoil(hostile, victim->cursor, spaces[1]),
        .now_ms = world->now_ms,
        .wall_ms = world->now_ms,
    };
    for (unsigned i = 0; i < sizeof(request.random); i++)
        request.random[i] = (uint8_t)sim_next(&hostile->random);
    intruder->gateway = gateway;
    intruder->until = world->step + sim_below(&hostile->random, LIFE_STEPS);
    intruder->session = hub_open_session(gateway->hub, &request);
    intruder->reads = sim_once_in(&hostile->random, 2);
    world->intrusions++;
}

/* Rooms of anybody, and what is none. */
static struct bytes pick_room(struct sim_hostile *hostile, char *space)
{
    const struct sim_world *world = hostile->world;
    static const char *const odd[] = {"", ":", "task:", "task:\n", "nothing:1", "review:unknown"};
    switch (sim_below(&hostile->random, 8)) {
    case 0:
        return bytes_of_string(odd[sim_below(&hostile->random, sizeof(odd) / sizeof(odd[0]))]);
    case 1:
        memset(space, 'x', SIM_SECRET_SIZE);
        memcpy(space, "task:", 5);
        return bytes_of(space, sim_below(&hostile->random, SIM_SECRET_SIZE));
    default:
        return bytes_of_string(world->rooms[sim_below(&hostile->random, world->room_count)].name);
    }
}

static void flood(struct sim_hostile *hostile, struct sim_intruder *intruder)
{
    const struct sim_world *world = hostile->world;
    char space[SIM_SECRET_SIZE];
    for (unsigned i = sim_below(&hostile->random, FLOOD); i; i--) {
        struct bytes room = pick_room(hostile, space);
        struct history_request history = {.since_ms = sim_once_in(&hostile->random, 2) ? INT64_MIN
                                                                                       : INT64_MAX,
                                          .last = (uint32_t)sim_next(&hostile->random)};
        if (sim_once_in(&hostile->random, 3))
            history = (struct history_request){.since_ms = INT64_MIN, .state = true};
        switch (sim_below(&hostile->random, 3)) {
        case 0:
            session_join(intruder->session, room, ++hostile->requests, world->now_ms);
            break;
        case 1:
            session_leave(intruder->session, room, ++hostile->requests);
            break;
        default:
            session_join_with_history(intruder->session, room, ++hostile->requests, &history,
                                      world->now_ms, world->now_ms);
        }
    }
}

static bool is_open_to_it(const struct sim_room *room)
{
    return (!room->tenant[0] || strcmp(room->tenant, "t0") == 0) && room->user[0] == 0 &&
           strncmp(room->name, "review:", 7) != 0;
}

/* Whether the notification is for such a room. */
static bool is_for_it(const struct sim_world *world, struct bytes json)
{
    static const char before[] = "\"id\":\"";
    const char *id = memmem(json.data, json.size, before, sizeof(before) - 1);
    char text[160];
    int lane, used;
    long long offset;
    unsigned room, sequence;
    if (!id)
        return false;
    id += sizeof(before) - 1;
    size_t size = (size_t)((const char *)json.data + json.size - id);
    (void)snprintf(text, sizeof(text), "%.*s", (int)(size < 150 ? size : 150), id);
    if (sscanf(text, "%d:%lld:%n", &lane, &offset, &used) != 2)
        return false;
    for (const char *at = text + used; sscanf(at, "%u=%u,%n", &room, &sequence, &used) == 2;
         at += used)
        if (room < world->room_count && is_open_to_it(&world->rooms[room]))
            return true;
    return false;
}

static void check(const struct sim_world *world, const struct delivery *delivery)
{
    SIM_CHECK(world, delivery->kind != DELIVERY_OPENED || !delivery->recovered,
              "somebody got on with another's session");
    SIM_CHECK(world, delivery->body.size == 0 || is_for_it(world, delivery->body),
              "somebody got what is not for him: %.*s", BYTES_PRINT(delivery->body));
}

/* Its transport takes what ends it, also if it reads nothing. */
static bool read_some(struct sim_hostile *hostile, struct sim_intruder *intruder)
{
    struct delivery delivery;
    unsigned most = session_has_ended(intruder->session) ? 1
                    : intruder->reads                    ? sim_below(&hostile->random, 3)
                                                         : 0;
    while (most-- && session_next(intruder->session, &delivery)) {
        check(hostile->world, &delivery);
        if (delivery.kind == DELIVERY_CLOSE || delivery.kind == DELIVERY_REFUSED)
            return false;
    }
    return true;
}

void sim_hostile_step(struct sim_hostile *hostile)
{
    const struct sim_world *world = hostile->world;
    for (unsigned i = 0; i < SIM_INTRUDERS; i++) {
        struct sim_intruder *intruder = &hostile->intruders[i];
        if (!intruder->session) {
            if (sim_once_in(&hostile->random, 10))
                enter(hostile, intruder);
            continue;
        }
        if (intruder->gateway->stopped)
            continue;
        flood(hostile, intruder);
        if (!read_some(hostile, intruder) || world->step > intruder->until)
            leave(intruder);
    }
}
