/* Presence in random worlds: gateways that are started, killed, stopped for seconds or minutes, cut off
 * from the broker, and behind; a log that is compacted and, sometimes, made anew; users with several
 * tabs, at several gateways, who move between them.
 *
 * What is looked for stands in presence.h, under the same numbers:
 *   1, 2  ten seconds after the last change every watcher knows who is there, and nobody else
 *   3     in calm times nobody is told to have left who is there
 *   4     changes fit what was told before; who is slow comes to know the same
 *   5     the compacted log holds what is there, and nothing of those who are gone; also if what was
 *         given up as lost arrives behind what was written in its place
 *   6     one tenant's rooms are too many for a while: the others notice nothing, and he is told all
 *         again a minute after that
 *
 * presence_sim --seed N replays a failure. */
#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "mem.h"
#include "presence.h"

enum {
    GATEWAYS = 4,
    USERS = 5, /* and an observer at each gateway, in each room */
    ROOMS = 4, /* two names in two scopes */
    PLACES = USERS + 1,
    SESSIONS = 40,
    STEP_MS = 50,
    LINGER_MS = 2000,
    SETTLED_MS = 10000, /* what is promised */
    EXCUSE_MS = 12000,
    BATCH_MOST = PRESENCE_WRITES_MOST,
    SHARE = 300,        /* of entries, for a tenant */
    CROWDED_ROOMS = 40, /* of `acme`, that are too much for his share, as one more gateway tells */
    CROWDED_USERS = 10, /* in each of them */
};

struct sim_record {
    struct buffer key, value;
    bool has_value, gone; /* gone: compacted away */
    uint32_t number;      /* of the batch that it is of */
};

enum sim_state { SIM_DEAD, SIM_RUNNING, SIM_STOPPED };

struct sim_gateway {
    struct sim_world *world;
    enum sim_state state;
    struct presence *presence;
    size_t position;
    uint64_t log_number;
    int64_t offset_ms;                /* its clock */
    int64_t until_ms;                 /* SIM_STOPPED */
    struct sim_record *batch, *stray; /* stray: given up, and yet it arrives */
    size_t batch_count, stray_count;
    bool sent, lands, answered, answer; /* of the batch */
    int64_t lands_ms, stray_ms;
};

struct sim_session {
    struct presence_seat *seat; /* NULL: it is not there */
    unsigned user, room, gateway;
    bool fast, ready; /* it takes news at once; there are some */
    bool told;        /* it had a snapshot */
    bool known[PLACES];
    int64_t moves_ms; /* it comes back then; 0: it does not */
};

struct sim_world {
    uint64_t random, seed;
    unsigned step;
    int64_t now_ms, disturbed_ms, changed_ms;
    bool calm;
    struct sim_gateway gateways[GATEWAYS];
    struct sim_record *log;
    size_t log_count, log_capacity;
    uint64_t log_number;
    struct sim_session sessions[SESSIONS + GATEWAYS * ROOMS];
    int64_t absent_ms[USERS + 1][ROOMS]; /* when he last was in the room nowhere, for too long */
    int64_t last_ms[USERS + 1][ROOMS];   /* when he last was in it */
    bool crowded;                        /* what `acme` is told may not be all */
    uint64_t news, kills, stops, moves, checks, swept, anew, strays, again, left_out;
};

static const char *const scopes[] = {"acme", "acme", "", "umbr"};
static const char *const rooms[] = {"task:1", "task:2", "task:1", "task:1"};
static const char *const users[] = {"ann", "bob", "\"c\\\n\xc3\xa4", "dan", "eve", "observer"};

#define SIM_CHECK(world, condition, ...)                                                     \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            printf("seed=%llu step=%u: ", (unsigned long long)(world)->seed, (world)->step); \
            printf(__VA_ARGS__);                                                             \
            printf("\n");                                                                    \
            exit(EXIT_FAILURE);                                                              \
        }                                                                                    \
    } while (0)

static unsigned pick(struct sim_world *world, unsigned most)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (unsigned)((world->random >> 20) % most);
}

static bool chance(struct sim_world *world, unsigned per_mille)
{
    return pick(world, 1000) < per_mille;
}

static int64_t clock_of(const struct sim_gateway *gateway)
{
    return gateway->world->now_ms + gateway->offset_ms;
}

/* --- the log ---------------------------------------------------------------------------------- */

static void record_free(struct sim_record *record)
{
    buffer_deinit(&record->key);
    buffer_deinit(&record->value);
}

static void append(struct sim_world *world, struct sim_record *record)
{
    if (world->log_count == world->log_capacity) {
        world->log_capacity = world->log_capacity ? 2 * world->log_capacity : 256;
        world->log = mem_resize(world->log, world->log_capacity, sizeof(*world->log));
    }
    world->log[world->log_count++] = *record;
    *record = (struct sim_record){0};
}

static size_t first_reader(const struct sim_world *world)
{
    size_t first = world->log_count;
    for (unsigned i = 0; i < GATEWAYS; i++)
        if (world->gateways[i].state != SIM_DEAD && world->gateways[i].position < first)
            first = world->gateways[i].position;
    return first;
}

/* The last record of each key stays; one without a value goes as well, once all have read it. */
static void compact(struct sim_world *world)
{
    size_t read = first_reader(world);
    for (size_t i = world->log_count; i-- > 0;) {
        struct sim_record *last = &world->log[i];
        if (last->gone)
            continue;
        for (size_t j = 0; j < i; j++)
            if (!world->log[j].gone &&
                bytes_equal(buffer_peek(&world->log[j].key), buffer_peek(&last->key)))
                world->log[j].gone = true;
        if (!last->has_value && i < read)
            last->gone = true;
    }
}

static void log_clear(struct sim_world *world)
{
    for (size_t i = 0; i < world->log_count; i++)
        record_free(&world->log[i]);
    world->log_count = 0;
    world->log_number++;
}

/* --- gateways --------------------------------------------------------------------------------- */

static void sim_pending(struct presence_seat *seat)
{
    struct sim_session *session = seat->owner;
    session->ready = true;
}

static void enter(struct sim_world *world, struct sim_session *session)
{
    struct sim_gateway *gateway = &world->gateways[session->gateway];
    assert(!session->seat && gateway->state == SIM_RUNNING);
    session->seat = presence_enter(gateway->presence, bytes_of_string(scopes[session->room]),
                                   bytes_of_string(rooms[session->room]),
                                   bytes_of_string(users[session->user]), session);
    session->told = session->ready = false;
    session->moves_ms = 0;
    memset(session->known, 0, sizeof(session->known));
    presence_watch(gateway->presence, session->seat);
    world->changed_ms = world->now_ms;
}

static void leave(struct sim_world *world, struct sim_session *session)
{
    struct sim_gateway *gateway = &world->gateways[session->gateway];
    presence_leave(gateway->presence, session->seat, clock_of(gateway));
    session->seat = NULL;
    world->changed_ms = world->now_ms;
}

static void gateway_start(struct sim_world *world, unsigned index)
{
    struct sim_gateway *gateway = &world->gateways[index];
    struct presence_config config = {.seed = world->seed,
                                     .users = 20,
                                     .entries = 1000,
                                     .tenant_entries = SHARE,
                                     .linger_ms = LINGER_MS,
                                     .pending = sim_pending};
    assert(gateway->state == SIM_DEAD);
    for (size_t i = 0; i < sizeof(config.worker); i++)
        config.worker[i] = (uint8_t)pick(world, 256);
    *gateway = (struct sim_gateway){.world = world, .state = SIM_RUNNING};
    gateway->offset_ms = (int64_t)1000 * pick(world, 100000);
    gateway->log_number = world->log_number;
    gateway->presence = presence_new(&config);
    for (unsigned room = 0; room < ROOMS; room++) {
        struct sim_session *observer = &world->sessions[SESSIONS + index * ROOMS + room];
        *observer =
            (struct sim_session){.user = USERS, .room = room, .gateway = index, .fast = true};
        enter(world, observer);
    }
    world->changed_ms = world->disturbed_ms = world->now_ms;
}

static void batch_clear(struct sim_gateway *gateway)
{
    for (size_t i = 0; i < gateway->batch_count; i++)
        record_free(&gateway->batch[i]);
    free(gateway->batch);
    gateway->batch = NULL;
    gateway->batch_count = 0;
}

/* What is on its way may arrive after the end of who sent it. */
static void land(struct sim_world *world, struct sim_gateway *gateway)
{
    for (size_t i = 0; i < gateway->batch_count; i++) {
        uint32_t number = gateway->batch[i].number;
        if (gateway->answer && number != PRESENCE_NO_NUMBER && gateway->state != SIM_DEAD &&
            gateway->log_number == world->log_number)
            presence_landed(gateway->presence, number, (int64_t)world->log_count);
        if (gateway->lands)
            append(world, &gateway->batch[i]);
    }
    batch_clear(gateway);
    gateway->answered = true;
}

/* The batch is given up; but it is only late. */
static void stray(struct sim_world *world, struct sim_gateway *gateway)
{
    assert(!gateway->stray && gateway->sent && !gateway->answered);
    gateway->stray = gateway->batch;
    gateway->stray_count = gateway->batch_count;
    gateway->stray_ms = world->now_ms + pick(world, 3000);
    gateway->batch = NULL;
    gateway->batch_count = 0;
    gateway->answered = true;
    gateway->answer = false;
    world->strays++;
}

static void land_stray(struct sim_world *world, struct sim_gateway *gateway)
{
    for (size_t i = 0; i < gateway->stray_count; i++)
        append(world, &gateway->stray[i]);
    free(gateway->stray);
    gateway->stray = NULL;
    gateway->stray_count = 0;
    world->changed_ms = world->disturbed_ms = world->now_ms;
}

static void gateway_end(struct sim_world *world, unsigned index)
{
    struct sim_gateway *gateway = &world->gateways[index];
    for (unsigned i = 0; i < SESSIONS + GATEWAYS * ROOMS; i++) {
        struct sim_session *session = &world->sessions[i];
        if (session->gateway != index || !session->seat)
            continue;
        leave(world, session);
        if (i < SESSIONS) /* they come back elsewhere */
            session->moves_ms = world->now_ms + pick(world, 4000);
    }
    if (gateway->sent && !gateway->answered && chance(world, 500))
        land(world, gateway);
    batch_clear(gateway);
    if (gateway->stray)
        land_stray(world, gateway);
    world->left_out += presence_stats(gateway->presence)->dropped[PRESENCE_DROP_TENANT];
    world->swept += presence_stats(gateway->presence)->swept;
    presence_free(gateway->presence);
    gateway->presence = NULL;
    gateway->state = SIM_DEAD;
    world->changed_ms = world->disturbed_ms = world->now_ms;
}

static void gateway_read(struct sim_world *world, struct sim_gateway *gateway, unsigned most)
{
    if (gateway->log_number != world->log_number) {
        gateway->log_number = world->log_number;
        gateway->position = 0;
        presence_log_begins(gateway->presence);
    }
    while (gateway->position < world->log_count && most > 0) {
        const struct sim_record *record = &world->log[gateway->position++];
        if (record->gone)
            continue;
        presence_read(gateway->presence, (int64_t)gateway->position - 1, buffer_peek(&record->key),
                      record->has_value, buffer_peek(&record->value));
        most--;
    }
    if (presence_wants_log(gateway->presence)) {
        gateway->position = 0;
        world->again++;
    }
}

static void gateway_write(struct sim_world *world, struct sim_gateway *gateway)
{
    struct presence_write write;
    if (gateway->sent) {
        if (!gateway->answered)
            return;
        gateway->sent = false;
        presence_written(gateway->presence, gateway->answer, clock_of(gateway));
    }
    while (presence_next_write(gateway->presence, clock_of(gateway), &write)) {
        gateway->batch =
            mem_resize(gateway->batch, gateway->batch_count + 1, sizeof(*gateway->batch));
        struct sim_record *record = &gateway->batch[gateway->batch_count++];
        *record = (struct sim_record){.has_value = write.has_value, .number = write.number};
        buffer_append(&record->key, write.key);
        buffer_append(&record->value, write.value);
    }
    if (gateway->batch_count == 0)
        return;
    gateway->sent = true;
    gateway->answered = false;
    gateway->answer = gateway->lands = true;
    gateway->lands_ms = world->now_ms + pick(world, 100);
    if (world->calm || !chance(world, 60))
        return;
    world->disturbed_ms = world->now_ms;
    if (!gateway->stray && chance(world, 300)) {
        stray(world, gateway);
        return;
    }
    /* Late, lost, or there although it seems lost. */
    gateway->lands_ms += pick(world, 4000);
    gateway->lands = chance(world, 600);
    gateway->answer = gateway->lands && chance(world, 600);
}

static void gateway_step(struct sim_world *world, struct sim_gateway *gateway)
{
    if (gateway->sent && !gateway->answered && gateway->lands_ms <= world->now_ms)
        land(world, gateway); /* also while it is stopped */
    if (gateway->stray && gateway->stray_ms <= world->now_ms)
        land_stray(world, gateway);
    if (gateway->state == SIM_STOPPED && gateway->until_ms <= world->now_ms) {
        gateway->state = SIM_RUNNING;
        world->changed_ms = world->disturbed_ms = world->now_ms;
    }
    if (gateway->state != SIM_RUNNING || (!world->calm && chance(world, 100)))
        return;
    gateway_read(world, gateway, world->calm ? 100000 : 1 + pick(world, 30));
    presence_run(gateway->presence, clock_of(gateway));
    gateway_write(world, gateway);
}

/* --- users ------------------------------------------------------------------------------------ */

static unsigned user_named(struct sim_world *world, struct bytes name)
{
    for (unsigned i = 0; i < PLACES; i++)
        if (bytes_equal_string(name, users[i]))
            return i;
    SIM_CHECK(world, false, "nobody is called %.*s", BYTES_PRINT(name));
    return 0;
}

static bool is_acmes(const struct sim_session *session)
{
    return strcmp(scopes[session->room], "acme") == 0;
}

static void check_left(struct sim_world *world, const struct sim_session *session, unsigned user)
{
    SIM_CHECK(
        world,
        world->now_ms - world->disturbed_ms < EXCUSE_MS || (world->crowded && is_acmes(session)) ||
            world->now_ms - world->absent_ms[user][session->room] < EXCUSE_MS,
        "%s is told to have left room %u, and was there all the time", users[user], session->room);
}

static void take_news(struct sim_world *world, struct sim_session *session)
{
    struct presence_news news;
    struct bytes name;
    presence_next_news(world->gateways[session->gateway].presence, session->seat, &news);
    session->ready = false;
    world->news++;
    SIM_CHECK(world, bytes_equal_string(news.room, rooms[session->room]), "another room's news");
    SIM_CHECK(world, session->told || news.snapshot, "changes before a snapshot");
    bool before[PLACES];
    memcpy(before, session->known, sizeof(before));
    if (news.snapshot)
        memset(session->known, 0, sizeof(session->known));
    while (presence_next_name(&news.users, &name)) {
        unsigned user = user_named(world, name);
        SIM_CHECK(world, !session->known[user], "%s twice in a snapshot", users[user]);
        session->known[user] = true;
    }
    while (presence_next_name(&news.joined, &name)) {
        unsigned user = user_named(world, name);
        SIM_CHECK(world, !session->known[user], "%s joins, who is there", users[user]);
        session->known[user] = true;
    }
    while (presence_next_name(&news.left, &name)) {
        unsigned user = user_named(world, name);
        SIM_CHECK(world, session->known[user], "%s leaves, who is not there", users[user]);
        session->known[user] = false;
    }
    uint64_t count = 0;
    for (unsigned i = 0; i < PLACES; i++) {
        count += session->known[i];
        if (session->told && before[i] && !session->known[i])
            check_left(world, session, i);
    }
    SIM_CHECK(world, count == news.count || (world->crowded && is_acmes(session)),
              "%llu are counted, %llu named", (unsigned long long)news.count,
              (unsigned long long)count);
    session->told = true;
}

static bool find_running(struct sim_world *world, unsigned *gateway)
{
    unsigned first = pick(world, GATEWAYS);
    for (unsigned i = 0; i < GATEWAYS; i++) {
        *gateway = (first + i) % GATEWAYS;
        if (world->gateways[*gateway].state == SIM_RUNNING)
            return true;
    }
    return false;
}

static bool is_stopped(const struct sim_world *world, const struct sim_session *session)
{
    return world->gateways[session->gateway].state == SIM_STOPPED;
}

static void session_step(struct sim_world *world, struct sim_session *session, bool may_act)
{
    if (session->seat && session->ready && !is_stopped(world, session) &&
        (session->fast || world->now_ms - world->changed_ms > SETTLED_MS - 1000 ||
         chance(world, 50)))
        take_news(world, session);
    if (!session->seat && session->moves_ms && session->moves_ms <= world->now_ms &&
        find_running(world, &session->gateway)) {
        enter(world, session);
        return;
    }
    if (!may_act || (session->seat && is_stopped(world, session)))
        return;
    if (session->seat && chance(world, 20)) { /* it moves on, or is gone */
        leave(world, session);
        session->moves_ms = chance(world, 700) ? world->now_ms + pick(world, LINGER_MS / 3) : 0;
        world->moves++;
    } else if (!session->seat && !session->moves_ms && chance(world, 20) &&
               find_running(world, &session->gateway)) {
        session->user = pick(world, USERS);
        session->room = pick(world, ROOMS);
        session->fast = chance(world, 500);
        enter(world, session);
    }
}

/* Who has a seat at a gateway that is not stopped is there. */
static void truth(const struct sim_world *world, unsigned room, bool there[PLACES])
{
    memset(there, 0, PLACES * sizeof(*there));
    for (unsigned i = 0; i < SESSIONS + GATEWAYS * ROOMS; i++) {
        const struct sim_session *session = &world->sessions[i];
        if (session->seat && session->room == room && !is_stopped(world, session))
            there[session->user] = true;
    }
}

static void note_absence(struct sim_world *world)
{
    bool there[PLACES];
    for (unsigned room = 0; room < ROOMS; room++) {
        truth(world, room, there);
        for (unsigned user = 0; user < PLACES; user++) {
            if (there[user])
                world->last_ms[user][room] = world->now_ms;
            /* A pause of half the linger leaves the other half for the way of the records. */
            else if (world->now_ms - world->last_ms[user][room] > LINGER_MS / 2)
                world->absent_ms[user][room] = world->now_ms;
        }
    }
}

/* --- the world -------------------------------------------------------------------------------- */

static void disturb(struct sim_world *world)
{
    unsigned index = pick(world, GATEWAYS);
    struct sim_gateway *gateway = &world->gateways[index];
    if (gateway->state == SIM_DEAD) {
        if (chance(world, 20))
            gateway_start(world, index);
    } else if (chance(world, 3)) {
        gateway_end(world, index);
        world->kills++;
    } else if (gateway->state == SIM_RUNNING && chance(world, 4)) {
        gateway->state = SIM_STOPPED;
        gateway->until_ms = world->now_ms + pick(world, chance(world, 150) ? 200000 : 12000);
        world->changed_ms = world->disturbed_ms = world->now_ms;
        world->stops++;
    }
    if (chance(world, 1)) {
        log_clear(world);
        world->changed_ms = world->disturbed_ms = world->now_ms;
        world->anew++;
    }
}

static void sim_step(struct sim_world *world, bool moves)
{
    world->step++;
    world->now_ms += STEP_MS;
    for (unsigned i = 0; i < GATEWAYS; i++)
        gateway_step(world, &world->gateways[i]);
    for (unsigned i = 0; i < SESSIONS + GATEWAYS * ROOMS; i++)
        session_step(world, &world->sessions[i], moves && i < SESSIONS);
    note_absence(world);
    if (chance(world, 5))
        compact(world);
}

static void check_settled(struct sim_world *world)
{
    bool there[PLACES];
    for (unsigned i = 0; i < SESSIONS + GATEWAYS * ROOMS; i++) {
        const struct sim_session *session = &world->sessions[i];
        if (!session->seat || is_stopped(world, session) || (world->crowded && is_acmes(session)))
            continue;
        truth(world, session->room, there);
        for (unsigned user = 0; user < PLACES; user++)
            SIM_CHECK(world, session->known[user] == there[user],
                      "%s is %sin room %u, and gateway %u says the opposite", users[user],
                      there[user] ? "" : "not ", session->room, session->gateway);
    }
    world->checks++;
}

static void settle(struct sim_world *world)
{
    world->calm = true;
    /* What is on its way arrives first, and clients who move are there. */
    for (int64_t until = world->now_ms + 9000; world->now_ms < until;)
        sim_step(world, false);
    while (world->now_ms - world->changed_ms < SETTLED_MS)
        sim_step(world, false);
    check_settled(world);
}

/* One more gateway tells of rooms of `acme`, more than fit; and then of none. */
static void crowd(struct sim_world *world, bool is_there)
{
    char name[24];
    for (unsigned i = 0; i < CROWDED_ROOMS; i++) {
        struct sim_record record = {.has_value = is_there};
        struct bytes scope = bytes_of_string("acme"), room = bytes_of_string(name);
        snprintf(name, sizeof(name), "task:crowded-%u", i);
        room.size = strlen(name);
        presence_append_key(&record.key, BYTES_LITERAL("crowd"), &scope, &room);
        if (is_there) {
            presence_begin_list(&record.value, CROWDED_USERS);
            for (unsigned j = 0; j < CROWDED_USERS; j++) {
                snprintf(name, sizeof(name), "%u", j);
                presence_append_user(&record.value, bytes_of_string(name));
            }
            presence_end_list(&record.value);
        }
        append(world, &record);
    }
}

static void run_crowd(struct sim_world *world)
{
    world->crowded = true;
    crowd(world, true);
    for (unsigned i = 0; i < 400; i++)
        sim_step(world, true);
    settle(world); /* the others */
    crowd(world, false);
    compact(world);
    for (unsigned i = 0; i < 400; i++)
        sim_step(world, true);
    for (int64_t until = world->now_ms + (int64_t)(PRESENCE_AGAIN_BEATS + 10) * PRESENCE_BEAT_MS;
         world->now_ms < until;)
        sim_step(world, false);
    compact(world);
    for (int64_t until = world->now_ms + (int64_t)(PRESENCE_AGAIN_BEATS + 10) * PRESENCE_BEAT_MS;
         world->now_ms < until;)
        sim_step(world, false);
    world->crowded = false;
    check_settled(world);
}

static void check_log(struct sim_world *world)
{
    size_t kept = 0, expected = 0;
    compact(world);
    for (size_t i = 0; i < world->log_count; i++)
        kept += !world->log[i].gone;
    for (unsigned i = 0; i < GATEWAYS; i++)
        if (world->gateways[i].state == SIM_RUNNING)
            expected += 1 + ROOMS; /* its beat, and each room has its observer */
    SIM_CHECK(world, kept == expected, "%zu records are left, not %zu", kept, expected);
}

static void run_seed(uint64_t seed, struct sim_world *total)
{
    struct sim_world *world = mem_new(struct sim_world);
    world->seed = seed;
    world->random = seed * 0x9e3779b97f4a7c15U + 1;
    world->now_ms = 100000;
    for (unsigned i = 0; i < GATEWAYS - 1; i++)
        gateway_start(world, i);
    for (unsigned round = 0; round < 3; round++) {
        world->calm = false;
        for (unsigned i = 0; i < 800; i++) {
            disturb(world);
            sim_step(world, true);
        }
        settle(world);
        for (unsigned i = 0; i < 400; i++) /* in calm times only users move */
            sim_step(world, true);
        settle(world);
    }
    for (unsigned i = 0; i < GATEWAYS; i++)
        if (world->gateways[i].state == SIM_STOPPED)
            gateway_end(world, i);
    if (!find_running(world, &(unsigned){0}))
        gateway_start(world, 0);
    settle(world);
    run_crowd(world);
    /* Those who are gone are swept, one after the other. */
    for (int64_t until = world->now_ms + (int64_t)3 * 60 * PRESENCE_BEAT_MS; world->now_ms < until;)
        sim_step(world, false);
    check_settled(world);
    check_log(world);
    for (unsigned i = 0; i < GATEWAYS; i++)
        if (world->gateways[i].state != SIM_DEAD)
            gateway_end(world, i);
    log_clear(world);
    free(world->log);
    total->news += world->news;
    total->kills += world->kills;
    total->stops += world->stops;
    total->moves += world->moves;
    total->checks += world->checks;
    total->swept += world->swept;
    total->anew += world->anew;
    total->strays += world->strays;
    total->again += world->again;
    total->left_out += world->left_out;
    free(world);
}

int main(int count, char **arguments)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'}, {"seeds", required_argument, NULL, 'n'}, {0}};
    uint64_t seed = 1, seeds = 40;
    struct sim_world total = {0};
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        if (option == '?')
            return EXIT_FAILURE;
        *(option == 's' ? &seed : &seeds) = strtoull(optarg, NULL, 10);
        if (option == 's')
            seeds = 1;
    }
    for (uint64_t i = 0; i < seeds; i++)
        run_seed(seed + i, &total);
    printf(
        "%llu seeds from %llu: %llu told, %llu moves, %llu kills, %llu stops, %llu logs made anew, "
        "%llu records swept, %llu batches late, %llu lists left out, %llu logs read again, %llu "
        "times "
        "all agreed\n",
        (unsigned long long)seeds, (unsigned long long)seed, (unsigned long long)total.news,
        (unsigned long long)total.moves, (unsigned long long)total.kills,
        (unsigned long long)total.stops, (unsigned long long)total.anew,
        (unsigned long long)total.swept, (unsigned long long)total.strays,
        (unsigned long long)total.left_out, (unsigned long long)total.again,
        (unsigned long long)total.checks);
    return total.checks && total.strays && total.left_out && total.again ? EXIT_SUCCESS
                                                                         : EXIT_FAILURE;
}
