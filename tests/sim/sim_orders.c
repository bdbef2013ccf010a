/* The backend's orders as an array that compaction thins out, each gateway's reading of it, and what
 * must hold: in the turn in which a gateway has read an order, it is done, and nobody else is hit. */
#include <stdio.h>
#include <string.h>

#include "sim_world.h"

enum { ORDERS_A_STEP = 3, LASTS_MS = 6000 };

static bool is_same_key(const struct sim_order *a, const struct sim_order *b)
{
    return order_has_room(a->kind) == order_has_room(b->kind) &&
           (order_has_room(a->kind) || a->kind == b->kind) && a->scope == b->scope &&
           strcmp(a->tenant, b->tenant) == 0 && strcmp(a->user, b->user) == 0 &&
           strcmp(a->room, b->room) == 0;
}

void sim_order(struct sim_world *world)
{
    static const enum order_kind kinds[] = {ORDER_DISCONNECT, ORDER_NOT_BEFORE, ORDER_LEAVE,
                                            ORDER_LEAVE};
    if (world->order_count == SIM_ORDERS)
        return;
    struct sim_order *order = &world->orders[world->order_count++];
    *order =
        (struct sim_order){.kind = kinds[sim_below(&world->random, 4)],
                           .scope = sim_once_in(&world->random, 5) ? ORDER_TENANT : ORDER_USER,
                           .lifted = sim_once_in(&world->random, 8),
                           .not_before = world->now_ms / 1000 + sim_below(&world->random, 2),
                           .written_ms = world->now_ms,
                           .until_ms = world->now_ms + 1 + sim_below(&world->random, LASTS_MS)};
    snprintf(order->tenant, sizeof(order->tenant), "t%u", sim_below(&world->random, 2));
    if (order->scope == ORDER_USER)
        snprintf(order->user, sizeof(order->user), "u%u", sim_below(&world->random, 3));
    if (order->kind == ORDER_LEAVE) {
        const char *name = world->rooms[sim_below(&world->random, world->room_count)].name;
        if (strcmp(name, "review:legal") == 0) /* what a token opens is looked at there */
            name = "user:u1";
        snprintf(order->room, sizeof(order->room), "%s", name);
    }
    if (sim_once_in(&world->random, 10)) /* compaction */
        for (size_t i = 0; i < world->order_count; i++)
            for (size_t j = i + 1; j < world->order_count && !world->orders[i].compacted; j++)
                world->orders[i].compacted = is_same_key(&world->orders[i], &world->orders[j]);
}

static void read_one(struct sim_gateway *gateway, const struct sim_order *written)
{
    const struct sim_world *world = gateway->world;
    size_t named;
    struct order order = {.kind = written->kind,
                          .scope = written->scope,
                          .lifted = written->lifted,
                          .tenant = bytes_of_string(written->tenant),
                          .id = bytes_of_string(written->user),
                          .room = bytes_of_string(written->room),
                          .not_before_ms = written->not_before * 1000,
                          .expires_ms = written->until_ms};
    struct order_arrival arrival = {.order = &order,
                                    .written_ms = written->written_ms,
                                    .now_ms = world->now_ms,
                                    .wall_ms = world->now_ms};
    SIM_CHECK(world, hub_order(gateway->hub, &arrival, &named) == STATUS_OK, "too many orders");
}

void sim_orders_read(struct sim_gateway *gateway)
{
    struct sim_world *world = gateway->world;
    bool known = gateway->order_position >= gateway->orders_known;
    for (unsigned left = sim_below(&world->random, ORDERS_A_STEP + 1) + (known ? 0u : 20u);
         left && gateway->order_position < world->order_count; left--) {
        const struct sim_order *order = &world->orders[gateway->order_position++];
        if (!order->compacted)
            read_one(gateway, order);
    }
    if (gateway->order_position >= gateway->orders_known)
        hub_orders_known(gateway->hub);
}

static bool names(const struct sim_order *order, struct bytes tenant, struct bytes user)
{
    return bytes_equal_string(tenant, order->tenant) &&
           (order->scope == ORDER_TENANT || bytes_equal_string(user, order->user));
}

/* Whether the gateway goes by it: it has read it, no other follows under its key, and its time is
 * not over. */
static bool is_in_force(const struct sim_gateway *gateway, size_t index)
{
    const struct sim_world *world = gateway->world;
    const struct sim_order *order = &world->orders[index];
    if (index >= gateway->order_position || order->lifted || order->until_ms <= world->now_ms)
        return false;
    for (size_t i = index + 1; i < world->order_count; i++)
        if (is_same_key(order, &world->orders[i]))
            return false;
    return true;
}

static void check_session(const struct sim_world *world, const struct sim_connection *connection,
                          const struct sim_order *order)
{
    const struct session *session = connection->session;
    if (session_has_ended(session) || !names(order, session_tenant(session), session_user(session)))
        return;
    SIM_CHECK(world, order->kind != ORDER_DISCONNECT, "a session lives that an order has ended");
    SIM_CHECK(world, order->kind != ORDER_NOT_BEFORE || connection->issued >= order->not_before,
              "a session lives on a token that is worth nothing");
    SIM_CHECK(world,
              order->kind != ORDER_LEAVE || !session_is_in(session, bytes_of_string(order->room)),
              "a session is in a room that an order has closed: %s", order->room);
}

void sim_orders_check(const struct sim_gateway *gateway)
{
    const struct sim_world *world = gateway->world;
    for (size_t i = 0; i < gateway->order_position; i++) {
        if (!is_in_force(gateway, i))
            continue;
        for (const struct sim_connection *connection = world->connections; connection;
             connection = connection->next)
            if (connection->gateway == gateway && connection->opened)
                check_session(world, connection, &world->orders[i]);
    }
}

void sim_orders_check_end(const struct sim_client *client, const char *reason)
{
    const struct sim_world *world = client->world;
    bool ended = strcmp(reason, "disconnected") == 0;
    if (!ended && strcmp(reason, "token_revoked") != 0)
        return;
    for (size_t i = 0; i < world->order_count; i++)
        if (world->orders[i].kind == (ended ? ORDER_DISCONNECT : ORDER_NOT_BEFORE) &&
            names(&world->orders[i], bytes_of_string(client->tenant),
                  bytes_of_string(client->user)))
            return;
    sim_fail(world, "client %u is hit by another's order: %s", client->number, reason);
}
