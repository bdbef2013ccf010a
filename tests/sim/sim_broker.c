#include "sim_world.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#include "mem.h"
#include "notification.h"

uint64_t sim_next(struct sim_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

unsigned sim_below(struct sim_random *random, unsigned below)
{
    return (unsigned)(sim_next(random) % below);
}

bool sim_once_in(struct sim_random *random, unsigned n)
{
    return sim_below(random, n) == 0;
}

/* --- lanes and rooms --- */

struct sim_lane *sim_lane_of(struct sim_world *world, const char *topic, int32_t partition)
{
    for (unsigned i = 0; i < world->lane_count; i++)
        if (strcmp(world->lanes[i].topic, topic) == 0 && world->lanes[i].partition == partition)
            return &world->lanes[i];
    SIM_CHECK(world, world->lane_count < SIM_LANES, "more lanes than planned: %s", topic);
    struct sim_lane *lane = &world->lanes[world->lane_count++];
    snprintf(lane->topic, sizeof(lane->topic), "%s", topic);
    lane->partition = partition;
    lane->exists = !sim_once_in(&world->random, 3); /* else it appears late */
    sim_kept_forget(world, lane);
    return lane;
}

static void add_room(struct sim_world *world, const char *tenant, const char *user,
                     const char *name)
{
    struct sim_room *room = &world->rooms[world->room_count];
    struct room_owner owner = {bytes_of_string(tenant), bytes_of_string(user)};
    struct room_name parsed;
    struct lane_name lane;
    SIM_CHECK(world, world->room_count < SIM_ROOMS, "too many rooms");
    if (room_parse(bytes_of_string(name), &parsed, NULL) != STATUS_OK ||
        layout_lane(world->layout, &parsed, &owner, &lane, NULL) != STATUS_OK)
        sim_fail(world, "no lane for %s", name);
    world->room_count++;
    snprintf(room->tenant, sizeof(room->tenant), "%s", tenant);
    snprintf(room->user, sizeof(room->user), "%s", user);
    snprintf(room->name, sizeof(room->name), "%s", name);
    SIM_CHECK(world, lane.key_size < sizeof(room->key) && lane.scope_size < sizeof(room->scope),
              "a longer key than planned");
    memcpy(room->key, lane.key, lane.key_size);
    memcpy(room->scope, lane.key, lane.scope_size);
    room->lane = sim_lane_of(world, lane.topic, lane.partition);
}

static void add_tasks(struct sim_world *world, const char *tenant, const char *user, unsigned count)
{
    char name[48];
    for (unsigned task = 0; task < count; task++) {
        snprintf(name, sizeof(name), "task:00000000-0000-4000-8000-00000000000%u", task);
        add_room(world, tenant, user, name);
    }
}

static void add_rooms_of(struct sim_world *world, const char *tenant)
{
    char name[48], user[8];
    if (world->plan->has_tenant_rooms)
        add_room(world, tenant, "", "tenant:all");
    for (unsigned i = 0; i < 3; i++) {
        snprintf(user, sizeof(user), "u%u", i);
        snprintf(name, sizeof(name), "user:%s", user);
        add_room(world, tenant, user, name);
        if (world->plan->by_user)
            add_tasks(world, tenant, user, 2);
    }
    if (!world->plan->by_user)
        add_tasks(world, tenant, "", 4);
    add_room(world, tenant, "", "review:legal");
    add_room(world, tenant, "", "review:finance");
}

void sim_broker_init(struct sim_world *world)
{
    add_rooms_of(world, "t0");
    add_rooms_of(world, "t1");
    if (world->plan->has_shared_rooms)
        add_room(world, "", "", "news:1");
}

static void free_records(struct sim_lane *lane)
{
    for (size_t i = 0; i < lane->count; i++)
        free(lane->records[i].value);
    free(lane->records);
    lane->records = NULL;
    lane->count = 0;
    lane->first = 0;
}

void sim_broker_deinit(struct sim_world *world)
{
    for (unsigned i = 0; i < world->lane_count; i++) {
        free_records(&world->lanes[i]);
        free(world->lanes[i].kept.records);
    }
}

void sim_lane_recreate(struct sim_world *world, struct sim_lane *lane)
{
    free_records(lane);
    sim_kept_forget(world, lane);
    lane->generation++;
    world->gaps_allowed = true;
    world->lanes_recreated = true;
}

struct sim_record *sim_append(const struct sim_world *world, struct sim_lane *lane)
{
    lane->records = mem_resize(lane->records, lane->count + 1, sizeof(*lane->records));
    struct sim_record *record = &lane->records[lane->count];
    *record = (struct sim_record){.offset = (int64_t)lane->count, .timestamp_ms = world->now_ms};
    lane->count++;
    return record;
}

/* Up to three rooms of one lane: often those of a record before it. */
static unsigned choose_rooms(struct sim_world *world, struct sim_room *chosen[3])
{
    const struct sim_lane *lane = &world->lanes[sim_below(&world->random, world->lane_count)];
    unsigned count = 0, wanted = 1 + sim_below(&world->random, 3);
    if (lane->exists && lane->count && sim_below(&world->random, 3)) {
        const struct sim_record *like = &lane->records[lane->count - 1];
        for (; count < like->room_count; count++)
            chosen[count] = &world->rooms[like->rooms[count]];
        if (count)
            return count;
    }
    for (unsigned tries = 0; tries < 20 && count < wanted; tries++) {
        struct sim_room *room = &world->rooms[sim_below(&world->random, world->room_count)];
        bool fits = room->lane->exists &&
                    (count == 0 ||
                     (room->lane == chosen[0]->lane && strcmp(room->scope, chosen[0]->scope) == 0));
        for (unsigned i = 0; i < count; i++)
            fits = fits && chosen[i] != room;
        if (fits)
            chosen[count++] = room;
    }
    return count;
}

/* What happens to a task: mostly progress, in either spelling. */
static struct task_status_update update_of(struct sim_world *world, struct sim_record *record,
                                           const char *task)
{
    unsigned what = sim_below(&world->random, 5);
    record->conflatable = what > 0;
    struct task_status_update update = {.task_id = bytes_of_string(task),
                                        .event = BYTES_LITERAL("task.progress"),
                                        .status = BYTES_LITERAL("done")};
    if (what == 0)
        update.event = BYTES_LITERAL("task.completed");
    else if (what == 1) {
        update.event = BYTES_LITERAL("task.updated");
        update.status = BYTES_LITERAL("running");
    }
    return update;
}

static void fill(struct sim_world *world, struct sim_record *record,
                 const struct notification *notification)
{
    auto_buffer struct buffer hashes = {0};
    auto_buffer struct buffer value = {0};
    for (unsigned i = 0; i < record->room_count; i++) {
        const struct sim_room *room = &world->rooms[record->rooms[i]];
        notification_append_room_hash(
            &hashes, room_hash(bytes_of_string(room->scope), notification->rooms[i]));
    }
    notification_encode(notification, &value);
    SIM_CHECK(world, buffer_size(&value), "an empty notification");
    record->value_size = buffer_size(&value);
    record->value = mem_alloc(record->value_size);
    memcpy(record->value, buffer_peek(&value).data, record->value_size);
    SIM_CHECK(world, buffer_size(&hashes) <= sizeof(record->hashes) && buffer_size(&hashes) > 0,
              "%u rooms", record->room_count);
    record->hash_size = buffer_size(&hashes);
    memcpy(record->hashes, buffer_peek(&hashes).data, record->hash_size);
}

/* A record that is none: who reads it passes over it. Often it names the rooms of another, so that
 * it is looked at. */
static void make_alien(struct sim_world *world, struct sim_record *record,
                       const struct sim_record *like)
{
    static const char garbage[] = "\x0a\xffgarbage";
    unsigned kind = sim_below(&world->random, 5);
    record->alien = true;
    record->value_size = kind == 0 ? 0 : sizeof(garbage) - 1;
    record->value = mem_alloc(sizeof(garbage));
    memcpy(record->value, garbage, sizeof(garbage));
    if (kind <= 2 && like->hash_size) {
        memcpy(record->hashes, like->hashes, sizeof(record->hashes));
        record->hash_size = like->hash_size;
        memcpy(record->key, like->key, sizeof(record->key));
    }
    if (kind == 2)
        record->hash_size = 9;
    record->long_key = kind == 3;
}

/* The body says what each room's sequence number is. */
void sim_publish(struct sim_world *world)
{
    struct sim_room *chosen[3];
    struct bytes names[3] = {0};
    unsigned count = choose_rooms(world, chosen);
    if (count == 0)
        return;
    struct sim_lane *lane = chosen[0]->lane;
    if (sim_once_in(&world->random, 3)) {
        struct sim_record *marker = sim_append(world, lane);
        marker->marker = true;
        if (sim_once_in(&world->random, 3))
            make_alien(world, marker,
                       &lane->records[sim_below(&world->random, (unsigned)lane->count)]);
    }
    int dispatcher = sim_kept_begin(world, lane);
    if (dispatcher < 0)
        return;
    struct sim_record *record = sim_append(world, lane);
    if (world->dispatchers[dispatcher].aborts) { /* nobody will see it */
        record->marker = true;
        return;
    }
    char id[160], task[16], item[16];
    int size =
        snprintf(id, sizeof(id), "%d:%lld:", (int)(lane - world->lanes), (long long)record->offset);
    record->room_count = count;
    sim_state_choose_item(world, record, (unsigned)dispatcher);
    snprintf(item, sizeof(item), "i%u", record->item);
    record->task = sim_below(&world->random, 3);
    snprintf(task, sizeof(task), "t%u", record->task);
    snprintf(record->key, sizeof(record->key), "%s", chosen[0]->key);
    for (unsigned i = 0; i < count; i++) {
        names[i] = bytes_of_string(chosen[i]->name);
        record->rooms[i] = (unsigned)(chosen[i] - world->rooms);
        record->sequences[i] = ++chosen[i]->published;
        size += snprintf(id + size, sizeof(id) - (size_t)size, "%u=%u,", record->rooms[i],
                         record->sequences[i]);
    }
    struct notification notification = {
        .id = bytes_of_string(id),
        .rooms = names,
        .room_count = count,
        .item = {record->item ? bytes_of_string(item) : bytes_of("", 0), record->removed},
        .type = NOTIFICATION_TASK_STATUS,
        .task_status = update_of(world, record, task)};
    fill(world, record, &notification);
    if (record->item)
        sim_kept_note(world, lane, (unsigned)dispatcher, &notification);
    world->published++;
}

static bool same_rooms(const struct sim_record *a, const struct sim_record *b)
{
    return a->room_count == b->room_count &&
           memcmp(a->rooms, b->rooms, a->room_count * sizeof(a->rooms[0])) == 0;
}

static const struct sim_record *find_record(const struct sim_lane *lane, unsigned room,
                                            unsigned sequence)
{
    for (size_t i = 0; i < lane->count; i++)
        for (unsigned j = 0; j < lane->records[i].room_count; j++)
            if (lane->records[i].rooms[j] == room && lane->records[i].sequences[j] == sequence)
                return &lane->records[i];
    return NULL;
}

bool sim_published_at(const struct sim_world *world, unsigned room, unsigned sequence,
                      int64_t *timestamp_ms)
{
    const struct sim_record *record = find_record(world->rooms[room].lane, room, sequence);
    if (record)
        *timestamp_ms = record->timestamp_ms;
    return record;
}

bool sim_is_superseded(const struct sim_world *world, unsigned room, unsigned sequence)
{
    const struct sim_lane *lane = world->rooms[room].lane;
    const struct sim_record *record = find_record(lane, room, sequence);
    if (!world->conflation || !record)
        return world->conflation && world->lanes_recreated;
    if (!record->conflatable)
        return false;
    for (const struct sim_record *next = record + 1; next < lane->records + lane->count; next++)
        if (!next->marker && next->task == record->task && same_rooms(record, next))
            return next->conflatable;
    return false;
}

/* --- a gateway's lane source --- */

static struct sim_reading *reading_of(struct sim_gateway *gateway, const struct lane *lane)
{
    for (unsigned i = 0; i < SIM_LANES; i++)
        if (gateway->readings[i].lane == lane)
            return &gateway->readings[i];
    sim_fail(gateway->world, "the hub names a lane that it closed");
}

static void source_open(void *source, struct lane *lane, const char *topic, int32_t partition)
{
    struct sim_gateway *gateway = source;
    struct sim_reading *reading = reading_of(gateway, NULL);
    *reading = (struct sim_reading){
        .lane = lane, .log = sim_lane_of(gateway->world, topic, partition), .wanted = true};
}

static void source_close(void *source, struct lane *lane)
{
    *reading_of(source, lane) = (struct sim_reading){0};
}

static void source_reopen(void *source, struct lane *lane)
{
    struct sim_reading *reading = reading_of(source, lane);
    *reading = (struct sim_reading){.lane = lane, .log = reading->log, .wanted = true};
}

static void source_ends(void *source, struct lane *lane)
{
    reading_of(source, lane)->ends_wanted = true;
}

static void source_scan(void *source, struct lane *lane, int64_t from, int64_t to)
{
    struct sim_gateway *gateway = source;
    struct sim_reading *reading = reading_of(gateway, lane);
    SIM_CHECK(gateway->world, !reading->scanning, "a second scan of a lane");
    SIM_CHECK(gateway->world, from < to, "an empty scan");
    reading->scanning = true;
    reading->scan_paused = false;
    reading->scan_at = from;
    reading->scan_until = to;
}

static void source_scan_resume(void *source, struct lane *lane)
{
    reading_of(source, lane)->scan_paused = false;
}

static void source_scan_cancel(void *source, struct lane *lane)
{
    struct sim_gateway *gateway = source;
    struct sim_reading *reading = reading_of(gateway, lane);
    SIM_CHECK(gateway->world, reading->scanning, "cancelled a scan that does not run");
    reading->scanning = false;
}

static void source_state_ends(void *source, struct lane *lane, bool of_lane, unsigned question)
{
    sim_kept_ask(reading_of(source, lane), of_lane, question);
}

static void source_state_read(void *source, struct lane *lane, int64_t from, int64_t to)
{
    sim_kept_read(reading_of(source, lane), from, to);
}

static void source_state_cancel(void *source, struct lane *lane)
{
    sim_kept_cancel(reading_of(source, lane));
}

static const struct lane_source_ops source_ops = {
    .open = source_open,
    .close = source_close,
    .reopen = source_reopen,
    .ends = source_ends,
    .scan = source_scan,
    .scan_resume = source_scan_resume,
    .scan_cancel = source_scan_cancel,
    .state_ends = source_state_ends,
    .state_read = source_state_read,
    .state_cancel = source_state_cancel,
};

static bool is_given(const struct sim_record *record)
{
    return !record->marker || record->alien;
}

static struct lane_record record_view(const struct sim_record *record)
{
    static const uint8_t long_key[70000];
    return (struct lane_record){.offset = record->offset,
                                .timestamp_ms = record->timestamp_ms,
                                .key = record->long_key ? bytes_of(long_key, sizeof(long_key))
                                                        : bytes_of_string(record->key),
                                .value = bytes_of(record->value, record->value_size),
                                .room_hashes = bytes_of(record->hashes, record->hash_size),
                                .about_item = record->item > 0};
}

static void read_live(struct sim_gateway *gateway, struct sim_reading *reading)
{
    struct hub *hub = gateway->hub;
    struct sim_lane *log = reading->log;
    unsigned burst = sim_below(&gateway->world->random, 12);
    if (reading->position < log->first) {
        reading->reading = false;
        hub_lane_broken(hub, reading->lane, "retention");
        return;
    }
    for (; burst && reading->position < sim_lane_stable(log); burst--) {
        const struct sim_record *record = &log->records[reading->position++];
        struct lane_record view = record_view(record);
        if (is_given(record))
            hub_record(hub, reading->lane, &view);
    }
    if (reading->position == sim_lane_stable(log))
        hub_lane_position(hub, reading->lane, reading->position);
}

static void read_scan(struct sim_gateway *gateway, struct sim_reading *reading)
{
    struct hub *hub = gateway->hub;
    struct sim_lane *log = reading->log;
    unsigned burst = sim_below(&gateway->world->random, 20);
    if (reading->scan_at < log->first) {
        reading->scanning = false;
        hub_scan_ended(hub, reading->lane, STATUS_NOT_FOUND, log->first);
        return;
    }
    while (burst-- && reading->scanning && !reading->scan_paused) {
        if (reading->scan_at >= reading->scan_until) {
            reading->scanning = false;
            hub_scan_ended(hub, reading->lane, STATUS_OK, log->first);
            return;
        }
        const struct sim_record *record = &log->records[reading->scan_at++];
        struct lane_record view = record_view(record);
        if (is_given(record) && !hub_scan_record(hub, reading->lane, &view))
            reading->scan_paused = true;
    }
}

/* The source notices that the log was created again when its position is refused, or when it asks
 * for the ends. */
static void step_reading(struct sim_gateway *gateway, struct sim_reading *reading)
{
    struct sim_world *world = gateway->world;
    struct sim_lane *log = reading->log;
    struct hub *hub = gateway->hub;
    if (reading->wanted) {
        if (!log->exists || (!world->quiet && sim_once_in(&world->random, 2)))
            return;
        reading->wanted = false;
        reading->reading = true;
        reading->generation = log->generation;
        reading->position = sim_lane_stable(log);
        hub_lane_opened(hub, reading->lane, log->first, reading->position);
        return;
    }
    if (reading->generation != log->generation) {
        reading->reading = false;
        hub_lane_broken(hub, reading->lane, "recreated");
        return;
    }
    if (reading->ends_wanted && sim_once_in(&world->random, 2)) {
        reading->ends_wanted = false;
        hub_lane_ends(hub, reading->lane, log->first, sim_lane_stable(log));
        return;
    }
    if (reading->reading && (world->quiet || !sim_once_in(&world->random, 3)))
        read_live(gateway, reading);
    if (reading->lane && reading->scanning && !reading->scan_paused)
        read_scan(gateway, reading);
    if (reading->lane)
        sim_kept_step_reading(gateway, reading);
}

void sim_gateway_start(struct sim_world *world, struct sim_gateway *gateway)
{
    struct hub_config config = {
        .layout = world->layout,
        .policy = world->policy,
        .conflation = world->conflation,
        .ring_bytes = 200 + sim_below(&world->random, 20000),
        .queue_messages = 1 + sim_below(&world->random, 12),
        .answers = 1000,
        .answer_bytes = 1 << 20,
        .rooms_per_session = SIM_ROOMS,
        .rooms_per_record = 16,
        .lanes_per_session = 4,
        .sessions = 100,
        .pending_joins = 4,
        .lane_linger_ms = sim_below(&world->random, 3000),
        .open_timeout_ms = 2000,
        .behind_timeout_ms = 30000,
        .truncation_confirm_ms = 1000,
        .cursor_lag_bytes = 2000,
        .catch_up_bytes = 1u << 30,
        .scans = 1 + sim_below(&world->random, 2),
        .read_back_bytes = sim_below(&world->random, 20000),
        .hash_seed = 1, /* the same each time */
        .recovery = true,
        .keys = {BYTES_LITERAL("the secret of the simulation")},
        .key_count = 1,
    };
    if (world->has_orders)
        config.orders = (struct orders_limits){.most = SIM_ORDERS, .age_ms = 100000, .tell = true};
    if (sim_once_in(&world->random, 2))
        config.history =
            (struct history_limits){1000, 1u << 30, INT64_MAX / 2, 1u << 30, 1u << 30, 1u << 30};
    else
        config.history = (struct history_limits){.messages = 1 + sim_below(&world->random, 20),
                                                 .bytes = 300 + sim_below(&world->random, 30000),
                                                 .age_ms = 1000 + sim_below(&world->random, 30000),
                                                 .buffered = sim_below(&world->random, 60000)};
    config.history.tenant_buffered = config.history.buffered - config.history.buffered / 4;
    config.history.session_buffered = config.history.buffered - config.history.buffered / 2;
    config.state.items =
        config.history.messages == 1000 ? 1000 : 1 + sim_below(&world->items, 2 * SIM_ITEMS);
    config.state.chunk_bytes = 1 + sim_below(&world->items, 2000);
    config.state.bytes = sim_once_in(&world->kept, 6)   ? 0
                         : sim_once_in(&world->kept, 4) ? sim_below(&world->kept, 20000)
                                                        : 1u << 20;
    config.state.retention_ms =
        sim_once_in(&world->kept, 2) ? INT64_MAX / 2 : 2000 + sim_below(&world->kept, 40000);
    config.state.idle_ms = sim_below(&world->kept, 5000);
    config.state.lane_bytes = sim_once_in(&world->kept, 4) ? sim_below(&world->kept, 20000) : 0;
    *gateway = (struct sim_gateway){.world = world,
                                    .history = config.history,
                                    .state = config.state,
                                    .orders_known = world->order_count};
    gateway->hub = hub_new(&config, &source_ops, gateway);
}

void sim_gateway_kill(struct sim_gateway *gateway)
{
    struct sim_world *world = gateway->world;
    for (unsigned i = 0; i < SIM_CLIENTS; i++)
        if (world->clients[i].connection && world->clients[i].connection->gateway == gateway)
            sim_client_cut(&world->clients[i], false);
    sim_hostile_forget(&world->hostile, gateway);
    sim_connections_reap(world, gateway, true);
    hub_run(gateway->hub, world->now_ms);
    const struct hub_stats *stats = hub_stats(gateway->hub);
    SIM_CHECK(world, stats->history_bytes == 0 && stats->histories_waiting == 0,
              "histories outlive their sessions");
    world->history_messages += stats->history_messages;
    world->ended_by_order += stats->disconnected + stats->revoked;
    world->kept_out += stats->kept_out;
    world->rooms_closed += stats->rooms_closed;
    world->caught_up += hub_stats(gateway->hub)->deliveries_caught_up;
    world->scans += hub_stats(gateway->hub)->scans;
    world->states_of_views += stats->states_of_views;
    world->views_loaded += stats->view_loads;
    world->conflated += hub_stats(gateway->hub)->conflated;
    hub_free(gateway->hub);
    gateway->hub = NULL;
}

void sim_gateway_step(struct sim_gateway *gateway)
{
    struct sim_world *world = gateway->world;
    if (!gateway->hub || gateway->stopped)
        return;
    if (!gateway->stale)
        for (unsigned i = 0; i < SIM_LANES; i++)
            if (gateway->readings[i].lane)
                step_reading(gateway, &gateway->readings[i]);
    if (world->has_orders && !gateway->stale)
        sim_orders_read(gateway);
    hub_run(gateway->hub, world->now_ms);
    sim_orders_check(gateway);
    SIM_CHECK(world,
              hub_stats(gateway->hub)->queued_messages <=
                  (uint64_t)12 * (SIM_CLIENTS + SIM_INTRUDERS),
              "queues beyond their limit");
    SIM_CHECK(world, hub_stats(gateway->hub)->history_bytes <= gateway->history.buffered,
              "histories beyond their limit");
    SIM_CHECK(world, hub_stats(gateway->hub)->view_bytes <= gateway->state.bytes,
              "views beyond their limit");
    for (unsigned i = 0; i < SIM_LANES; i++)
        if (gateway->readings[i].lane)
            sim_state_check_view(gateway, &gateway->readings[i]);
}

bool sim_gateway_at_rest(const struct sim_gateway *gateway)
{
    for (unsigned i = 0; i < SIM_LANES; i++) {
        const struct sim_reading *reading = &gateway->readings[i];
        if (reading->lane && (reading->wanted || reading->scanning ||
                              reading->position < (int64_t)reading->log->count))
            return false;
    }
    return true;
}
