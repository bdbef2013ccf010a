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

/* All events of an item come by one partition of the input, so one dispatcher has it. */
void sim_state_choose_item(struct sim_world *world, struct sim_record *record, unsigned dispatcher)
{
    record->item = sim_below(&world->items, SIM_ITEMS + 1);
    if (record->item && record->item % SIM_DISPATCHERS != dispatcher)
        record->item = record->item < SIM_ITEMS ? record->item + 1 : record->item - 1;
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

/* How many items the fold has that are not in the state. Each that is in it is there as the fold has
 * it. */
static unsigned count_left_out(const struct sim_client *client, unsigned room,
                               const struct sim_history *history, const struct sim_fold *fold,
                               bool left_out[SIM_ITEMS])
{
    const struct sim_world *world = client->world;
    unsigned found = 0;
    for (unsigned i = 0; i < fold->count; i++) {
        left_out[i] = true;
        for (unsigned j = 0; j < history->count; j++)
            left_out[i] = left_out[i] && history->items[j] != fold->items[i].sequence;
        found += !left_out[i];
    }
    SIM_CHECK(world, found == history->count,
              "client %u room %s: %u of %u items are not what the room shows", client->number,
              world->rooms[room].name, history->count - found, history->count);
    return fold->count - found;
}

/* What it does not have was shown no more, for its age, or it says that it may lack it. */
unsigned sim_state_check(const struct sim_client *client, unsigned room,
                         const struct sim_history *history, const struct sim_packet *packet)
{
    const struct sim_world *world = client->world;
    const struct sim_lane *lane = world->rooms[room].lane;
    const struct sim_gateway *gateway = client->connection->gateway;
    const struct sim_fold fold = fold_below(world, room, packet->place);
    const char *name = world->rooms[room].name;
    bool left_out[SIM_ITEMS];
    SIM_CHECK(world, history->chunks > 0, "client %u room %s: no chunk", client->number, name);
    SIM_CHECK(world, packet->history_count == history->count,
              "client %u room %s: a state of %u, %u came", client->number, name,
              packet->history_count, history->count);
    SIM_CHECK(world, history->count <= gateway->state.items, "more items than there may be");
    unsigned count = count_left_out(client, room, history, &fold, left_out);
    SIM_CHECK(world,
              packet->history_complete || gateway->state.items < 1000 || lane->first > 0 ||
                  gateway->state.bytes > 0,
              "client %u room %s: a whole state is not called complete", client->number, name);
    for (unsigned i = 0; count && i < fold.count; i++) {
        bool old = fold.items[i].timestamp_ms < world->now_ms - gateway->state.retention_ms;
        SIM_CHECK(
            world,
            !left_out[i] || (old && gateway->state.bytes > 0) ||
                (!packet->history_complete && fold.items[i].timestamp_ms < packet->since_ms),
            "client %u room %s at %lld: an item that changed at %lld, since %lld, was left out",
            client->number, name, (long long)packet->place, (long long)fold.items[i].timestamp_ms,
            (long long)packet->since_ms);
    }
    return fold.published;
}

static unsigned sequence_in(const struct sim_world *world, struct message *message, unsigned room)
{
    unsigned named = SIM_ROOMS, sequence = 0;
    int used;
    bool decoded = message_decode(message);
    SIM_CHECK(world, decoded, "a view has what cannot be read");
    char id[160];
    struct bytes text = message->notification->id;
    snprintf(id, sizeof(id), "%.*s", BYTES_PRINT(text));
    const char *at = strchr(strchr(id, ':') + 1, ':') + 1;
    for (; named != room && sscanf(at, "%u=%u,%n", &named, &sequence, &used) == 2; at += used)
        ;
    SIM_CHECK(world, named == room, "a view has %s in another room", id);
    message_forget_decoded(message);
    return sequence;
}

static void check_room_of_view(const struct sim_gateway *gateway, const struct sim_reading *reading,
                               unsigned room)
{
    const struct sim_world *world = gateway->world;
    const struct sim_room *of = &world->rooms[room];
    struct view *view = reading->lane->view.view;
    const struct sim_fold fold = fold_below(world, room, reading->lane->position);
    int64_t oldest_ms = world->now_ms - gateway->state.retention_ms;
    struct state_list *list =
        view_list(view, bytes_of_string(of->scope), bytes_of_string(of->name), oldest_ms);
    int64_t since_ms = view->since_ms > list->since_ms ? view->since_ms : list->since_ms;
    unsigned found = 0, owed = 0;
    for (unsigned i = 0; i < fold.count; i++) {
        unsigned before = found;
        for (uint32_t j = 0; j < list->count; j++)
            found += sequence_in(world, list->messages[j], room) == fold.items[i].sequence;
        bool may_lack =
            fold.items[i].timestamp_ms < oldest_ms || fold.items[i].timestamp_ms < since_ms;
        owed += found == before && !may_lack;
    }
    SIM_CHECK(world, owed == 0 && found == list->count,
              "the view of room %s at %lld lacks %u, and has %u that are not so", of->name,
              (long long)reading->lane->position, owed, list->count - found);
    state_list_drop(list);
}

/* Of all views, some room in some steps: the fold is made from the beginning each time. */
void sim_state_check_view(const struct sim_gateway *gateway, const struct sim_reading *reading)
{
    struct sim_world *world = gateway->world;
    unsigned room = sim_below(&world->kept, SIM_ROOMS), one_of = world->quiet ? 100 : 4;
    if (reading->lane->view.load.phase != STATE_LOAD_EXACT || room >= world->room_count ||
        world->rooms[room].lane != reading->log || !sim_once_in(&world->kept, one_of) ||
        world->lanes_recreated)
        return;
    world->views_checked++;
    check_room_of_view(gateway, reading, room);
}
