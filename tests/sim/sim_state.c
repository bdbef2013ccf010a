/* The state of a room, from the definition: of each item the last notification below a place, without
 * what was taken out. Whatever a gateway gives is held against it. */
#include "sim_world.h"

#include <stdio.h>

#include "hub_state.h"

/* What the room shows at a place: of each item, in the order in which they have changed, the number
 * and the time of its last notification. */
struct sim_fold {
    unsigned count;
    struct {
        unsigned item, sequence;
        int64_t timestamp_ms;
    } items[SIM_ITEMS];
    unsigned published; /* notifications of the room */
};

static void fold_record(struct sim_fold *fold, const struct sim_record *record, unsigned sequence)
{
    unsigned kept = 0;
    fold->published = sequence;
    if (!record->item)
        return;
    for (unsigned i = 0; i < fold->count; i++)
        if (fold->items[i].item != record->item)
            fold->items[kept++] = fold->items[i];
    fold->count = kept;
    if (record->removed)
        return;
    fold->items[fold->count].item = record->item;
    fold->items[fold->count].sequence = sequence;
    fold->items[fold->count].timestamp_ms = record->timestamp_ms;
    fold->count++;
}

static struct sim_fold fold_below(const struct sim_world *world, unsigned room, int64_t place)
{
    const struct sim_lane *lane = world->rooms[room].lane;
    struct sim_fold fold = {0};
    for (size_t i = 0; i < lane->count && lane->records[i].offset < place; i++)
        for (unsigned j = 0; j < lane->records[i].room_count; j++)
            if (lane->records[i].rooms[j] == room)
                fold_record(&fold, &lane->records[i], lane->records[i].sequences[j]);
    return fold;
}

void sim_state_choose_item(struct sim_world *world, struct sim_record *record)
{
    record->item = sim_below(&world->items, SIM_ITEMS + 1);
    record->removed = record->item && sim_once_in(&world->items, 3);
}

int64_t sim_state_place(const struct session *session)
{
    if (session->queue.count == 0)
        return -1;
    const struct queue_item *item = session_queue_first(&session->queue);
    return item->kind == ITEM_JOINED && item->control->history ? item->control->history->end.next
                                                               : -1;
}

void sim_state_take(struct sim_client *client, unsigned room, const struct sim_packet *packet)
{
    const struct sim_world *world = client->world;
    struct sim_history *history = &client->rooms[room].history;
    size_t limit = client->connection->gateway->state.chunk_bytes;
    unsigned in_chunk = 0;
    SIM_CHECK(world, history->asked && history->request.state,
              "client %u room %s: state that was not asked for", client->number, packet->room);
    SIM_CHECK(world, packet->first == (history->chunks == 0),
              "client %u room %s: chunk %u, first %d", client->number, packet->room,
              history->chunks, packet->first);
    history->chunks++;
    for (const char *at = packet->text; at && (at = strstr(at, "\"id\":\"")); in_chunk++) {
        unsigned named = SIM_ROOMS, sequence = 0;
        int lane, used;
        long long offset;
        at += 6;
        if (sscanf(at, "%d:%lld:%n", &lane, &offset, &used) != 2)
            sim_fail(world, "a notification without its id: %s", at);
        for (at += used; named != room && sscanf(at, "%u=%u,%n", &named, &sequence, &used) == 2;
             at += used)
            ;
        SIM_CHECK(world, named == room, "client %u: state of another room: %s", client->number,
                  packet->text);
        SIM_CHECK(world, history->count < SIM_ITEMS, "client %u room %s: more items than there are",
                  client->number, packet->room);
        history->items[history->count++] = sequence;
    }
    SIM_CHECK(world, in_chunk <= 1 || strlen(packet->text) <= limit,
              "client %u room %s: a chunk of %zu", client->number, packet->room,
              strlen(packet->text));
    SIM_CHECK(world, in_chunk > 0 || packet->first, "an empty chunk behind others");
}

unsigned sim_state_check(const struct sim_client *client, unsigned room,
                         const struct sim_history *history, const struct sim_packet *packet)
{
    const struct sim_world *world = client->world;
    const struct sim_lane *lane = world->rooms[room].lane;
    const struct sim_gateway *gateway = client->connection->gateway;
    const struct sim_fold fold = fold_below(world, room, packet->place);
    const char *name = world->rooms[room].name;
    SIM_CHECK(world, history->chunks > 0, "client %u room %s: no chunk", client->number, name);
    SIM_CHECK(world, packet->history_count == history->count,
              "client %u room %s: a state of %u, %u came", client->number, name,
              packet->history_count, history->count);
    SIM_CHECK(world, history->count <= gateway->state.items, "more items than there may be");
    SIM_CHECK(world, history->count <= fold.count, "client %u room %s: %u items of %u",
              client->number, name, history->count, fold.count);
    unsigned left_out = fold.count - history->count;
    for (unsigned i = 0; i < history->count; i++)
        SIM_CHECK(world, history->items[i] == fold.items[left_out + i].sequence,
                  "client %u room %s at %lld: item %u is %u, not %u", client->number, name,
                  (long long)packet->place, i, history->items[i],
                  fold.items[left_out + i].sequence);
    SIM_CHECK(world, !packet->history_complete || left_out == 0,
              "client %u room %s: %u items left out of a complete state", client->number, name,
              left_out);
    SIM_CHECK(world, packet->history_complete || gateway->state.items < 1000 || lane->first > 0,
              "client %u room %s: a whole state is not called complete", client->number, name);
    for (unsigned i = 0; i < left_out; i++)
        SIM_CHECK(world, fold.items[i].timestamp_ms < packet->since_ms,
                  "client %u room %s: an item that changed since %lld was left out", client->number,
                  name, (long long)packet->since_ms);
    return fold.published;
}
