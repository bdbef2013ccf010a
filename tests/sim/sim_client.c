#include "sim_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "mem.h"

/* --- the fake transport --- */

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    return message_view_append_json(view, out);
}

static void append_item(struct buffer *list, struct bytes event, struct bytes body)
{
    (void)event;
    buffer_append(list, body);
}

static void ready(struct session *session, void *context)
{
    struct sim_connection *connection = context;
    assert(connection->session == session);
    connection->ready = true;
}

static const struct transport_ops transport = {.name = "sim",
                                               .slot = TRANSPORT_SLOT_WEBSOCKET_JSON,
                                               .encode = encode,
                                               .ready = ready,
                                               .append_item = append_item};

static void packet_deinit(struct sim_packet *packet)
{
    free(packet->text);
    free(packet->room);
    free(packet->cursor);
    free(packet->private_id);
}

static void connection_free(struct sim_world *world, struct sim_connection *connection)
{
    struct sim_connection **link = &world->connections;
    while (*link != connection)
        link = &(*link)->next;
    *link = connection->next;
    for (unsigned i = 0; i < connection->wire_count; i++)
        packet_deinit(&connection->wire[i]);
    session_close(connection->session);
    free(connection);
}

void sim_connections_reap(struct sim_world *world, const struct sim_gateway *gateway, bool all)
{
    struct sim_connection *connection = world->connections, *next;
    for (; connection; connection = next) {
        next = connection->next;
        if (connection->gateway == gateway && !connection->client &&
            (all || sim_once_in(&world->random, 20)))
            connection_free(world, connection);
    }
}

static int room_index(const struct sim_client *client, const char *name);

/* What was on its way to be answered may or may not have happened. But what a token has taken is
 * told, sooner or later: until then the client counts itself in. */
void sim_client_cut(struct sim_client *client, bool told)
{
    struct sim_connection *connection = client->connection;
    if (!connection)
        return;
    sim_trace(client, "is cut off");
    client->connection = NULL;
    client->opened = false;
    connection->client = NULL;
    for (unsigned i = 0; i < SIM_ROOMS; i++) {
        struct sim_membership *membership = &client->rooms[i];
        bool uncertain = membership->uncertain || membership->leaving;
        if (!membership->joined || uncertain)
            *membership = (struct sim_membership){.uncertain = uncertain};
        membership->asked = false;
        membership->history = (struct sim_history){0}; /* to be asked for again */
    }
    client->refreshing = false;
    if (told)
        connection_free(client->world, connection);
}

/* --- the client --- */

void sim_client_init(struct sim_world *world, unsigned number)
{
    struct sim_client *client = &world->clients[number];
    *client = (struct sim_client){.world = world, .number = number, .next_request = 1};
    snprintf(client->tenant, sizeof(client->tenant), "t%u", number % 2);
    snprintf(client->user, sizeof(client->user), "u%u", number / 2 % 3);
    client->legal = number % 3 == 0;
    memset(client->lane_offset, 0xff, sizeof(client->lane_offset));
}

void sim_client_deinit(struct sim_client *client)
{
    sim_client_cut(client, true);
    free(client->private_id);
    free(client->cursor);
}

static void replace(char **text, const char *with)
{
    char *copy = with ? mem_string(bytes_of_string(with)) : NULL;
    free(*text);
    *text = copy;
}

static bool may_know(const struct sim_client *client, const struct sim_room *room)
{
    return (!room->tenant[0] || strcmp(room->tenant, client->tenant) == 0) &&
           (!room->user[0] || strcmp(room->user, client->user) == 0);
}

static int room_index(const struct sim_client *client, const char *name)
{
    const struct sim_world *world = client->world;
    SIM_CHECK(world, name, "a room without a name");
    for (unsigned i = 0; i < world->room_count; i++)
        if (strcmp(world->rooms[i].name, name) == 0 && may_know(client, &world->rooms[i]))
            return (int)i;
    sim_fail(world, "client %u is told of a room it cannot know: %s", client->number, name);
}

static struct sim_membership *enter(struct sim_client *client, const char *name)
{
    int index = room_index(client, name);
    struct sim_membership *membership = &client->rooms[index];
    if (!membership->joined && !membership->any)
        membership->at_most = client->world->rooms[index].published;
    membership->joined = true;
    membership->uncertain = false;
    return membership;
}

/* Who leaves a lane's last room and joins it again on a gateway that is behind may see what it has
 * seen before leaving. */
static void leave(struct sim_client *client, const char *name)
{
    struct sim_world *world = client->world;
    int left = room_index(client, name);
    struct sim_membership *membership = &client->rooms[left];
    /* What it has asked for meanwhile is still to come. */
    *membership =
        (struct sim_membership){.asked = membership->asked, .history = membership->history};
    for (unsigned i = 0; i < world->room_count; i++)
        if (client->rooms[i].joined && world->rooms[i].lane == world->rooms[left].lane)
            return;
    client->lane_offset[world->rooms[left].lane - world->lanes] = -1;
}

static void start_afresh(struct sim_client *client)
{
    char name[48];
    memset(client->rooms, 0, sizeof(client->rooms));
    memset(client->lane_offset, 0xff, sizeof(client->lane_offset));
    snprintf(name, sizeof(name), "user:%s", client->user);
    enter(client, name);
    if (client->world->plan->has_tenant_rooms)
        enter(client, "tenant:all");
    if (client->legal)
        enter(client, "review:legal");
}

static void handle_opened(struct sim_client *client, const struct sim_packet *packet)
{
    struct sim_world *world = client->world;
    bool same = client->private_id && strcmp(client->private_id, packet->private_id) == 0;
    SIM_CHECK(world, packet->recovered == same, "recovered, but not the same private id");
    SIM_CHECK(world, !packet->recovered || !packet->reason, "recovered, with a reason why not");
    client->opened = true;
    if (packet->recovered) {
        world->recovered++;
        return;
    }
    if (client->private_id) {
        SIM_CHECK(world, packet->reason, "client %u not recovered without a reason",
                  client->number);
        /* Cut off before it was told of all rooms that an order had closed. */
        bool untold =
            world->has_orders && !client->settled && strcmp(packet->reason, "unknown_session") == 0;
        SIM_CHECK(world, world->gaps_allowed || client->switched || untold,
                  "client %u not recovered: %s", client->number, packet->reason);
    }
    client->switched = client->settled = false;
    world->fresh++;
    replace(&client->private_id, packet->private_id);
    start_afresh(client);
}

/* Those between `last` and `sequence` may be missing if later ones made them out of date. */
static bool follows(const struct sim_world *world, unsigned room, unsigned last, unsigned sequence)
{
    if (sequence <= last)
        return false;
    for (unsigned missing = last + 1; missing < sequence; missing++)
        if (!sim_is_superseded(world, room, missing))
            return false;
    return true;
}

static void handle_room(struct sim_client *client, unsigned room, unsigned sequence)
{
    const struct sim_world *world = client->world;
    struct sim_membership *membership = &client->rooms[room];
    if (!membership->joined) /* it may name a room of ours by chance of another that we are in */
        return;
    if (membership->any)
        SIM_CHECK(world,
                  follows(world, room, membership->last, sequence) ||
                      (membership->past && world->lanes_recreated),
                  "client %u room %s: %u came after %u", client->number, world->rooms[room].name,
                  sequence, membership->last);
    else /* a cursor that never saw a record cannot tell that its log was created again */
        SIM_CHECK(world,
                  sequence <= membership->at_most + 1 || world->lanes_recreated ||
                      follows(world, room, membership->at_most, sequence),
                  "client %u room %s: first is %u, joined at %u", client->number,
                  world->rooms[room].name, sequence, membership->at_most);
    membership->any = true;
    membership->past = false;
    membership->last = sequence;
}

/* Told before anything else, if not by the session that lost it then by the next. */
static void check_lost_is_told(const struct sim_client *client)
{
    const struct sim_membership *legal = &client->rooms[room_index(client, "review:legal")];
    SIM_CHECK(client->world,
              client->legal || client->refreshing || !legal->joined || legal->uncertain,
              "client %u has not been told of the room that it lost", client->number);
}

static void handle_notification(struct sim_client *client, const char *json)
{
    struct sim_world *world = client->world;
    SIM_CHECK(world, json, "a notification without a body");
    SIM_CHECK(world, client->opened, "client %u: a notification before it is let in",
              client->number);
    const char *id = strstr(json, "\"id\":\"");
    int lane, used;
    long long offset;
    if (!id || sscanf(id + 6, "%d:%lld:%n", &lane, &offset, &used) != 2)
        sim_fail(world, "a notification without its id: %s", json);
    SIM_CHECK(world, offset > client->lane_offset[lane],
              "client %u lane %d: offset %lld after %lld", client->number, lane, offset,
              (long long)client->lane_offset[lane]);
    client->lane_offset[lane] = offset;
    unsigned room, sequence;
    bool mine = false;
    for (const char *at = id + 6 + used; sscanf(at, "%u=%u,%n", &room, &sequence, &used) == 2;
         at += used) {
        const struct sim_membership *membership = &client->rooms[room];
        bool held = membership->history.asked; /* what lies before it comes first */
        mine = mine || membership->joined || (membership->asked && !held) || membership->uncertain;
        handle_room(client, room, sequence);
    }
    SIM_CHECK(world, mine, "client %u got another's: %s", client->number, id);
    check_lost_is_told(client);
    world->handled++;
}

/* One of the room's past: each follows the one before it. */
static void handle_history(struct sim_client *client, const struct sim_packet *packet)
{
    struct sim_world *world = client->world;
    int index = room_index(client, packet->room);
    struct sim_history *history = &client->rooms[index].history;
    const char *id = packet->text ? strstr(packet->text, "\"id\":\"") : NULL;
    int lane, used;
    long long offset;
    unsigned room = SIM_ROOMS, sequence = 0;
    int64_t timestamp_ms = 0;
    if (!id || sscanf(id + 6, "%d:%lld:%n", &lane, &offset, &used) != 2)
        sim_fail(world, "a notification without its id: %s", packet->text);
    for (const char *at = id + 6 + used;
         room != (unsigned)index && sscanf(at, "%u=%u,%n", &room, &sequence, &used) == 2;
         at += used)
        ;
    SIM_CHECK(world, history->asked && !history->request.state,
              "client %u room %s: history that was not asked for", client->number, packet->room);
    SIM_CHECK(world, room == (unsigned)index, "client %u: history of another room: %s",
              client->number, id);
    SIM_CHECK(world, history->count == 0 || sequence == history->final + 1,
              "client %u room %s: history has %u after %u", client->number, packet->room, sequence,
              history->final);
    SIM_CHECK(world,
              !sim_published_at(world, room, sequence, &timestamp_ms) ||
                  timestamp_ms >= history->request.since_ms,
              "client %u room %s: history older than asked for", client->number, packet->room);
    if (history->count++ == 0)
        history->first = sequence;
    history->final = sequence;
    history->offset = offset;
}

/* Nothing that was asked for lies before what has come. */
static bool begins_where_asked(const struct sim_world *world, unsigned room,
                               const struct sim_history *history)
{
    int64_t timestamp_ms;
    unsigned before = history->count ? history->first - 1 : world->rooms[room].published;
    if (history->request.last && history->count == history->request.last)
        return true;
    if (!sim_published_at(world, room, before, &timestamp_ms))
        return before == 0 || world->lanes_recreated;
    if (history->count == 0 && history->request.since_ms == INT64_MIN)
        return true; /* published since: to be seen by what follows */
    return timestamp_ms < history->request.since_ms || history->count == 0;
}

/* What the room shows is known up to the place, whatever came: below it nothing is live. */
static void handle_state_end(struct sim_client *client, unsigned room,
                             const struct sim_history *history, const struct sim_packet *packet)
{
    struct sim_world *world = client->world;
    struct sim_membership *membership = &client->rooms[room];
    size_t lane = (size_t)(world->rooms[room].lane - world->lanes);
    world->states++;
    world->states_complete += packet->history_complete;
    if (world->lanes_recreated)
        return;
    unsigned published = sim_state_check(client, room, history, packet);
    SIM_CHECK(world,
              !membership->any || published == membership->last ||
                  follows(world, room, membership->last, published + 1),
              "client %u room %s: state up to %u, %u was live", client->number, packet->text,
              published, membership->last);
    membership->past = membership->past || !membership->any;
    membership->any = true;
    membership->last = published;
    if (client->lane_offset[lane] < packet->place - 1)
        client->lane_offset[lane] = packet->place - 1;
}

static void handle_history_end(struct sim_client *client, const struct sim_packet *packet)
{
    struct sim_world *world = client->world;
    int room = room_index(client, packet->text);
    struct sim_membership *membership = &client->rooms[room];
    struct sim_history history = membership->history;
    const struct history_limits *limits = &client->connection->gateway->history;
    const struct sim_lane *lane = world->rooms[room].lane;
    membership->history = (struct sim_history){0};
    SIM_CHECK(world,
              packet->has_history == (history.asked && !history.request.state) &&
                  packet->has_state == (history.asked && history.request.state),
              "client %u room %s: history %d, asked %d", client->number, packet->text,
              packet->has_history, history.asked);
    if (!history.asked)
        return;
    if (history.request.state) {
        handle_state_end(client, (unsigned)room, &history, packet);
        return;
    }
    world->histories++;
    world->histories_complete += packet->history_complete;
    SIM_CHECK(world, packet->history_count == history.count, "client %u: history of %u, %u came",
              client->number, packet->history_count, history.count);
    SIM_CHECK(world, !history.request.last || history.count <= history.request.last,
              "client %u: more history than asked for", client->number);
    SIM_CHECK(world, history.count <= limits->messages, "more history than there may be");
    SIM_CHECK(world,
              !packet->history_complete || begins_where_asked(world, (unsigned)room, &history),
              "client %u room %s: history from %u on is not complete", client->number, packet->text,
              history.first);
    SIM_CHECK(world,
              packet->history_complete || limits->messages < 1000 || lane->first > 0 ||
                  world->lanes_recreated,
              "client %u room %s: history from %u on is complete", client->number, packet->text,
              history.first);
    if (history.count == 0) {
        if (packet->history_complete && history.request.since_ms == INT64_MIN && !membership->any &&
            !world->lanes_recreated) {
            membership->any = membership->past = true; /* nothing was published before */
            membership->last = 0;
        }
        return;
    }
    if (membership->any)
        SIM_CHECK(world,
                  history.final == membership->last ||
                      follows(world, (unsigned)room, membership->last, history.final + 1),
                  "client %u room %s: history ends at %u, %u was live", client->number,
                  packet->text, history.final, membership->last);
    membership->past = membership->past || !membership->any;
    membership->any = true;
    membership->last = history.final;
    if (client->lane_offset[lane - world->lanes] < history.offset)
        client->lane_offset[lane - world->lanes] = history.offset;
}

static void handle(struct sim_client *client, struct sim_packet *packet)
{
    sim_trace(client, "handles %d %s reason=%s cursor=%s", (int)packet->kind,
              packet->text ? packet->text : "", packet->reason ? packet->reason : "",
              packet->cursor ? packet->cursor : "");
    switch (packet->kind) {
    case DELIVERY_OPENED:
        handle_opened(client, packet);
        return; /* CONNECT carries no cursor that the stock client would keep */
    case DELIVERY_NOTIFICATION:
        handle_notification(client, packet->text);
        break;
    case DELIVERY_HISTORY:
        handle_history(client, packet);
        break;
    case DELIVERY_STATE:
        sim_state_take(client, (unsigned)room_index(client, packet->room), packet);
        break;
    case DELIVERY_JOINED:
        if (packet->request == 0) { /* what it has asked for meanwhile is still to come */
            enter(client, packet->text);
            break;
        }
        enter(client, packet->text)->asked = false;
        handle_history_end(client, packet);
        break;
    case DELIVERY_LEFT:
        if (!packet->reason || strcmp(packet->reason, "not_allowed") == 0 ||
            client->rooms[room_index(client, packet->text)].uncertain)
            leave(client, packet->text);
        break;
    case DELIVERY_JOIN_REFUSED:
        client->rooms[room_index(client, packet->text)].asked = false;
        client->rooms[room_index(client, packet->text)].history = (struct sim_history){0};
        return;
    case DELIVERY_REFRESHED: /* what it has lost it was told before */
        SIM_CHECK(client->world,
                  client->legal || !client->rooms[room_index(client, "review:legal")].joined,
                  "client %u keeps a room that its token does not name", client->number);
        client->world->refreshed++;
        client->refreshing = false;
        return;
    case DELIVERY_PRESENCE:
    case DELIVERY_CURSOR:
    case DELIVERY_STALE:
    case DELIVERY_LIVE:
        break;
    case DELIVERY_REFUSED:
    case DELIVERY_CLOSE:
        SIM_CHECK(client->world, packet->reason, "an end without a reason");
        sim_orders_check_end(client, packet->reason);
        if (strcmp(packet->reason, "token_revoked") == 0)
            client->issued = client->world->now_ms / 1000; /* comes with a fresh one */
        sim_client_cut(client, true);
        return;
    }
    client->settled = client->settled || packet->kind != DELIVERY_LEFT || packet->request != 0;
    replace(&client->cursor, packet->cursor); /* after the listeners ran */
}

static char *text_of(struct bytes bytes)
{
    return bytes.size ? mem_string(bytes) : NULL;
}

static void pump(struct sim_connection *connection, unsigned limit)
{
    struct delivery delivery;
    while (connection->ready && connection->wire_count < limit) {
        int64_t place = sim_state_place(connection->session);
        if (!session_next(connection->session, &delivery)) {
            connection->ready = false;
            return;
        }
        struct bytes text =
            delivery.body.size || delivery.kind == DELIVERY_STATE ? delivery.body : delivery.room;
        connection->opened = connection->opened || delivery.kind == DELIVERY_OPENED;
        if (delivery.kind == DELIVERY_CLOSE || delivery.kind == DELIVERY_REFUSED)
            connection->opened = false;
        connection->wire[connection->wire_count++] = (struct sim_packet){
            .kind = delivery.kind,
            .text = text_of(text),
            .room = text_of(delivery.room),
            .has_history = delivery.has_history,
            .has_state = delivery.has_state,
            .first = delivery.first,
            .since_ms = delivery.since_ms,
            .place = place,
            .history_complete = delivery.history_complete,
            .history_count = delivery.history_count,
            .cursor = text_of(delivery.cursor),
            .private_id = text_of(delivery.private_id),
            .reason = delivery.reason,
            .request = delivery.request,
            .recovered = delivery.recovered,
        };
    }
}

static struct bytes claims_of(const struct sim_client *client, char text[128])
{
    int size = snprintf(
        text, 128, "{\"tenant\":\"%s\",\"sub\":\"%s\",\"reviewQueues\":[%s],\"iat\":%lld}",
        client->tenant, client->user, client->legal ? "\"legal\"" : "", (long long)client->issued);
    return bytes_of(text, (size_t)size);
}

static void connect_somewhere(struct sim_client *client)
{
    struct sim_world *world = client->world;
    struct sim_gateway *gateway = &world->gateways[sim_below(&world->random, SIM_GATEWAYS)];
    char claims[128];
    if (!gateway->hub || gateway->stopped || sim_once_in(&world->random, 2))
        return;
    if (!world->quiet && sim_once_in(&world->random, 15)) { /* somebody else logs in */
        snprintf(client->user, sizeof(client->user), "u%u", sim_below(&world->random, 3));
        client->switched = true;
    }
    if (!world->quiet && sim_once_in(&world->random, 6))
        client->legal = !client->legal;
    struct sim_connection *connection = mem_new(struct sim_connection);
    struct session_request request = {
        .transport = &transport,
        .connection = connection,
        .claims = claims_of_text(claims_of(client, claims)),
        .private_id = bytes_of_string(client->private_id),
        .cursor = bytes_of_string(client->cursor),
        .now_ms = world->now_ms,
        .wall_ms = world->now_ms,
    };
    for (unsigned i = 0; i < sizeof(request.random); i++)
        request.random[i] = (uint8_t)sim_next(&world->random);
    sim_trace(client, "connects to %d with %s", (int)(gateway - world->gateways),
              client->cursor ? client->cursor : "nothing");
    connection->client = client;
    connection->gateway = gateway;
    connection->issued = client->issued;
    connection->session = hub_open_session(gateway->hub, &request);
    SIM_CHECK(world, connection->session, "no session");
    connection->next = world->connections;
    world->connections = connection;
    client->connection = connection;
}

/* Of a room that is to be joined, or that it is in already. */
static void ask_for_history(struct sim_client *client, unsigned room)
{
    struct sim_world *world = client->world;
    struct history_request request = {.since_ms = INT64_MIN};
    unsigned kind = sim_below(&world->random, 4);
    request.state = kind == 3;
    if (kind == 1 || kind == 2)
        request.last = 1 + sim_below(&world->random, 20);
    if (kind < 2)
        request.since_ms = world->now_ms - (int64_t)sim_below(&world->random, 30000);
    client->rooms[room].asked = true;
    client->rooms[room].history = (struct sim_history){.asked = true, .request = request};
    sim_trace(client, "asks for %s since %lld, last %u, state %d", world->rooms[room].name,
              (long long)request.since_ms, request.last, request.state);
    session_join_with_history(client->connection->session, bytes_of_string(world->rooms[room].name),
                              client->next_request++, &request, world->now_ms, world->now_ms);
}

static void join_or_leave(struct sim_client *client)
{
    struct sim_world *world = client->world;
    unsigned index = sim_below(&world->random, world->room_count);
    const struct sim_room *room = &world->rooms[index];
    struct sim_membership *membership = &client->rooms[index];
    struct session *session = client->connection->session;
    struct bytes name = bytes_of_string(room->name);
    if (!may_know(client, room) || strncmp(room->name, "review:", 7) == 0 || membership->asked ||
        membership->leaving)
        return;
    if (!membership->uncertain && sim_once_in(&world->random, 2)) {
        ask_for_history(client, index);
        return;
    }
    sim_trace(client, "asks to %s %s", membership->joined ? "leave" : "join", room->name);
    if (membership->joined || membership->uncertain) {
        membership->leaving = true;
        session_leave(session, name, client->next_request++);
    } else {
        membership->asked = true;
        session_join(session, name, client->next_request++, world->now_ms);
    }
}

/* With more rights, or fewer, or the same. */
static void refresh(struct sim_client *client)
{
    struct sim_world *world = client->world;
    char claims[128];
    bool legal = client->legal;
    if (sim_below(&world->random, 4))
        client->legal = !client->legal;
    sim_trace(client, "brings a token %s the queue", client->legal ? "with" : "without");
    client->refreshing = true;
    if (sim_once_in(&world->random, 2))
        client->issued = world->now_ms / 1000;
    const char *problem =
        session_refresh(client->connection->session, claims_of_text(claims_of(client, claims)),
                        client->next_request++, world->now_ms);
    /* It may have been ended, and not know it. */
    if (problem && world->has_orders && strcmp(problem, "not_connected") != 0) {
        sim_orders_check_end(client, problem);
        client->legal = legal; /* nothing has changed */
        client->refreshing = false;
        return;
    }
    SIM_CHECK(world, !problem || strcmp(problem, "not_connected") == 0, "a token is refused: %s",
              problem);
    if (!problem)
        client->connection->issued = client->issued;
}

void sim_client_step(struct sim_client *client)
{
    struct sim_world *world = client->world;
    if (!client->connection) {
        connect_somewhere(client);
        return;
    }
    struct sim_connection *connection = client->connection;
    if (connection->gateway->stopped)
        return;
    if (client->blocked && !world->quiet)
        client->blocked--;
    else
        pump(connection, 1 + sim_below(&world->random, SIM_WIRE));
    unsigned take = world->quiet ? SIM_WIRE : sim_below(&world->random, 8);
    while (take-- && client->connection == connection && connection->wire_count) {
        struct sim_packet packet = connection->wire[0];
        connection->wire_count--;
        memmove(connection->wire, connection->wire + 1,
                connection->wire_count * sizeof(connection->wire[0]));
        handle(client, &packet);
        packet_deinit(&packet);
    }
    if (client->connection == connection && client->opened && !world->quiet &&
        sim_once_in(&world->random, 10))
        join_or_leave(client);
    if (client->connection == connection && client->opened && !world->quiet &&
        !client->refreshing && sim_once_in(&world->random, 40))
        refresh(client);
    else if (client->connection == connection && client->refreshing && !world->quiet &&
             sim_once_in(&world->random, 6))
        sim_client_cut(client, sim_once_in(&world->random, 2));
}

void sim_client_check_complete(const struct sim_client *client)
{
    const struct sim_world *world = client->world;
    SIM_CHECK(world, client->opened, "client %u is not connected at rest", client->number);
    const struct sim_membership *legal = &client->rooms[room_index(client, "review:legal")];
    SIM_CHECK(world, legal->joined == client->legal || legal->uncertain,
              "client %u: its rooms are not those of its token", client->number);
    for (unsigned i = 0; i < world->room_count; i++) {
        const struct sim_membership *membership = &client->rooms[i];
        if (!membership->joined)
            continue;
        unsigned last = membership->any ? membership->last : membership->at_most;
        SIM_CHECK(world,
                  last == world->rooms[i].published ||
                      ((!membership->any || membership->past) && world->lanes_recreated),
                  "client %u room %s: %u of %u at rest", client->number, world->rooms[i].name, last,
                  world->rooms[i].published);
    }
}
