/* Two dispatchers whose transactions are under way at once, over lanes and their state topics: each
 * log shows them when its own marker is there, an aborted one never, and nothing behind one that is
 * open. State topics are compacted whenever they like, may appear late, and are asked and read by
 * gateways in pieces, which fail at times. */
#include "sim_world.h"

#include <stdlib.h>

#include "mem.h"

static int64_t stable(const int64_t open[SIM_DISPATCHERS], size_t count)
{
    int64_t offset = (int64_t)count;
    for (unsigned i = 0; i < SIM_DISPATCHERS; i++)
        if (open[i] >= 0 && open[i] < offset)
            offset = open[i];
    return offset;
}

int64_t sim_lane_stable(const struct sim_lane *lane)
{
    return stable(lane->open, lane->count);
}

void sim_kept_forget(struct sim_world *world, struct sim_lane *lane)
{
    free(lane->kept.records);
    lane->kept = (struct sim_kept){.exists = !sim_once_in(&world->kept, 3)};
    for (unsigned i = 0; i < SIM_DISPATCHERS; i++) {
        struct sim_dispatcher *dispatcher = &world->dispatchers[i];
        unsigned kept = 0;
        lane->open[i] = lane->kept.open[i] = -1;
        for (unsigned j = 0; j < dispatcher->count; j++)
            if (dispatcher->batch[j].lane != lane)
                dispatcher->batch[kept++] = dispatcher->batch[j];
        dispatcher->count = kept;
    }
}

/* --- dispatchers ------------------------------------------------------------------------------ */

int sim_kept_begin(struct sim_world *world, struct sim_lane *lane)
{
    unsigned number = sim_below(&world->kept, SIM_DISPATCHERS);
    if (world->dispatchers[number].ending)
        number = (number + 1) % SIM_DISPATCHERS;
    struct sim_dispatcher *dispatcher = &world->dispatchers[number];
    if (dispatcher->ending || dispatcher->count == SIM_BATCH)
        return -1;
    if (!dispatcher->open) {
        dispatcher->open = true;
        dispatcher->aborts = sim_once_in(&world->kept, 6);
        dispatcher->count = 0;
    }
    if (lane->open[number] < 0)
        lane->open[number] = (int64_t)lane->count;
    return (int)number;
}

static struct sim_kept_record *append_kept(struct sim_kept *kept)
{
    kept->records = mem_resize(kept->records, kept->count + 1, sizeof(*kept->records));
    kept->records[kept->count] = (struct sim_kept_record){.gone = true};
    return &kept->records[kept->count++];
}

/* As dispatchers do: behind all that the batch writes to lanes. */
void sim_kept_note(struct sim_world *world, struct sim_lane *lane, unsigned dispatcher,
                   const struct notification *notification)
{
    struct sim_dispatcher *writer = &world->dispatchers[dispatcher];
    struct sim_record *record = &lane->records[lane->count - 1];
    auto_buffer struct buffer key = {0};
    const struct sim_room *room = &world->rooms[record->rooms[0]];
    if (!lane->kept.exists)
        return;
    notification_state_key(notification, bytes_of_string(room->scope), &key);
    SIM_CHECK(world, buffer_size(&key) <= sizeof(record->state_key), "a longer key than planned");
    record->state_key_size = buffer_size(&key);
    memcpy(record->state_key, buffer_peek(&key).data, record->state_key_size);
    writer->batch[writer->count].lane = lane;
    writer->batch[writer->count++].of = lane->count - 1;
}

static bool same_key(const struct sim_record *a, const struct sim_record *b)
{
    return a->state_key_size == b->state_key_size &&
           memcmp(a->state_key, b->state_key, a->state_key_size) == 0;
}

/* Of a batch only the newest of each key. */
static bool is_outdone(const struct sim_dispatcher *dispatcher, unsigned index)
{
    const struct sim_lane *lane = dispatcher->batch[index].lane;
    for (unsigned i = index + 1; i < dispatcher->count; i++)
        if (dispatcher->batch[i].lane == lane &&
            same_key(&lane->records[dispatcher->batch[index].of],
                     &lane->records[dispatcher->batch[i].of]))
            return true;
    return false;
}

static void write_batch(struct sim_world *world, unsigned number)
{
    struct sim_dispatcher *dispatcher = &world->dispatchers[number];
    for (unsigned i = 0; i < dispatcher->count; i++) {
        struct sim_kept *kept = &dispatcher->batch[i].lane->kept;
        if (is_outdone(dispatcher, i))
            continue;
        if (kept->open[number] < 0)
            kept->open[number] = (int64_t)kept->count;
        struct sim_kept_record *record = append_kept(kept);
        record->gone = false;
        record->of = dispatcher->batch[i].of;
    }
    dispatcher->count = 0;
    dispatcher->ending = true;
}

/* True: there are none left. */
static bool write_markers(struct sim_world *world, unsigned number)
{
    bool left = false;
    for (unsigned i = 0; i < world->lane_count; i++) {
        struct sim_lane *lane = &world->lanes[i];
        if (lane->open[number] >= 0 && (world->quiet || sim_once_in(&world->kept, 2))) {
            sim_append(world, lane)->marker = true;
            lane->open[number] = -1;
        }
        if (lane->kept.open[number] >= 0 && (world->quiet || sim_once_in(&world->kept, 2))) {
            append_kept(&lane->kept);
            lane->kept.open[number] = -1;
        }
        left = left || lane->open[number] >= 0 || lane->kept.open[number] >= 0;
    }
    return !left;
}

static void step_dispatcher(struct sim_world *world, unsigned number)
{
    struct sim_dispatcher *dispatcher = &world->dispatchers[number];
    if (dispatcher->ending) {
        if (write_markers(world, number))
            dispatcher->ending = dispatcher->open = false;
    } else if (dispatcher->open && (world->quiet || dispatcher->count > SIM_BATCH - 4 ||
                                    sim_once_in(&world->kept, 4))) {
        write_batch(world, number);
    }
}

/* --- what happens to a state topic ------------------------------------------------------------ */

/* The newest of each key stays, below what is stable; the log may then begin behind what is gone. */
static void compact(struct sim_world *world, struct sim_lane *lane)
{
    struct sim_kept *kept = &lane->kept;
    int64_t end = stable(kept->open, kept->count);
    for (int64_t i = 0; i < end; i++) {
        struct sim_kept_record *record = &kept->records[i];
        for (int64_t j = i + 1; j < end && !record->gone; j++)
            record->gone =
                !kept->records[j].gone && sim_below(&world->kept, 4) &&
                same_key(&lane->records[record->of], &lane->records[kept->records[j].of]);
    }
    while (sim_below(&world->kept, 3) && kept->first < end && kept->records[kept->first].gone)
        kept->first++;
}

void sim_kept_step(struct sim_world *world)
{
    struct sim_lane *lane = &world->lanes[sim_below(&world->kept, world->lane_count)];
    for (unsigned i = 0; i < SIM_DISPATCHERS; i++)
        step_dispatcher(world, i);
    if (sim_once_in(&world->kept, 20) && !world->quiet)
        compact(world, lane);
    if (sim_once_in(&world->kept, 100))
        lane->kept.exists = true;
}

/* --- a gateway's source ----------------------------------------------------------------------- */

void sim_kept_ask(struct sim_reading *reading, bool of_lane, unsigned question)
{
    reading->state_asked = true;
    reading->state_of_lane = of_lane;
    reading->state_question = question;
}

void sim_kept_read(struct sim_reading *reading, int64_t from, int64_t to)
{
    reading->state_reading = true;
    reading->state_at = from;
    reading->state_until = to;
}

void sim_kept_cancel(struct sim_reading *reading)
{
    reading->state_asked = reading->state_reading = false;
}

/* By the high watermark of the log. */
static void answer(struct sim_gateway *gateway, struct sim_reading *reading)
{
    struct sim_world *world = gateway->world;
    const struct sim_lane *lane = reading->log;
    struct state_ends ends = {
        .question = reading->state_question,
        .first = reading->state_of_lane ? lane->first : lane->kept.first,
        .end = (int64_t)(reading->state_of_lane ? lane->count : lane->kept.count)};
    if (!lane->kept.exists)
        ends.status = STATUS_NOT_FOUND;
    else if (!world->quiet && sim_once_in(&world->kept, 20))
        ends.status = STATUS_UNAVAILABLE;
    reading->state_asked = false;
    hub_state_ends(gateway->hub, reading->lane, &ends);
}

static void read_on(struct sim_gateway *gateway, struct sim_reading *reading)
{
    struct sim_world *world = gateway->world;
    const struct sim_lane *lane = reading->log;
    const struct sim_kept *kept = &lane->kept;
    enum status status = reading->state_at < kept->first                  ? STATUS_EXPIRED
                         : !world->quiet && sim_once_in(&world->kept, 60) ? STATUS_UNAVAILABLE
                                                                          : STATUS_OK;
    if (status != STATUS_OK) {
        reading->state_reading = false;
        hub_state_read(gateway->hub, reading->lane, status);
        return;
    }
    for (unsigned burst = sim_below(&world->kept, 20); burst && reading->state_reading; burst--) {
        if (reading->state_at >= reading->state_until) {
            reading->state_reading = false;
            hub_state_read(gateway->hub, reading->lane, STATUS_OK);
            return;
        }
        if (reading->state_at >= stable(kept->open, kept->count))
            return;
        const struct sim_kept_record *record = &kept->records[reading->state_at++];
        if (record->gone)
            continue;
        const struct sim_record *of = &lane->records[record->of];
        struct lane_record view = {.offset = reading->state_at - 1,
                                   .timestamp_ms = of->timestamp_ms,
                                   .key = bytes_of(of->state_key, of->state_key_size),
                                   .value = bytes_of(of->value, of->value_size),
                                   .room_hashes = bytes_of(of->hashes, of->hash_size),
                                   .about_item = true};
        hub_state_record(gateway->hub, reading->lane, &view);
    }
}

void sim_kept_step_reading(struct sim_gateway *gateway, struct sim_reading *reading)
{
    if (reading->state_asked && sim_once_in(&gateway->world->kept, 2))
        answer(gateway, reading);
    else if (reading->state_reading)
        read_on(gateway, reading);
}
