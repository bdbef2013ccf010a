#include "presence_fixture.h"

#include <stdio.h>

#include "mem.h"

struct presence_world world;

static void note_pending(struct presence_seat *seat)
{
    (void)seat;
}

void world_begin_with(uint32_t users, uint64_t entries, uint64_t tenant_entries)
{
    struct presence_config config = {.worker = {7},
                                     .users = users,
                                     .entries = entries,
                                     .tenant_entries = tenant_entries,
                                     .linger_ms = LINGER,
                                     .pending = note_pending};
    world.now_ms = 1000;
    world.presence = presence_new(&config);
    snprintf(world.own, sizeof(world.own), "[\"07000000000000000000000000000000\"]");
}

void world_begin(uint32_t users, uint64_t entries)
{
    world_begin_with(users, entries, 10 * (uint64_t)users + entries);
}

struct presence_seat *enter_task(const char *scope, size_t task, const char *user)
{
    char room[32];
    snprintf(room, sizeof(room), "task:%zu", task);
    return presence_enter(world.presence, bytes_of_string(scope), bytes_of_string(room),
                          bytes_of_string(user), NULL);
}

struct presence_seat *enter(const char *scope, const char *user)
{
    return enter_task(scope, 1, user);
}

struct presence_seat *watcher(const char *scope, const char *user)
{
    struct presence_seat *seat = enter(scope, user);
    presence_watch(world.presence, seat);
    return seat;
}

void leave(struct presence_seat *seat)
{
    presence_leave(world.presence, seat, world.now_ms);
}

void pass(int64_t ms)
{
    for (int64_t until = world.now_ms + ms; world.now_ms < until;) {
        world.now_ms += 50;
        presence_run(world.presence, world.now_ms);
    }
}

void read_at(size_t offset)
{
    presence_read(world.presence, (int64_t)offset, bytes_of_string(world.topic[offset].key),
                  world.topic[offset].value != NULL, bytes_of_string(world.topic[offset].value));
}

void reads(const char *key, const char *value)
{
    if (world.topic_size == world.topic_space) {
        world.topic_space = world.topic_space ? 2 * world.topic_space : 64;
        world.topic = mem_resize(world.topic, world.topic_space, sizeof(*world.topic));
    }
    world.topic[world.topic_size].key = mem_string(bytes_of_string(key));
    world.topic[world.topic_size].value = value ? mem_string(bytes_of_string(value)) : NULL;
    read_at(world.topic_size++);
}

bool is_compacted(size_t offset)
{
    for (size_t i = offset + 1; i < world.topic_size; i++)
        if (strcmp(world.topic[i].key, world.topic[offset].key) == 0)
            return true;
    return false;
}

void reads_list(const char *worker, const char *scope, const char *room, const char *value)
{
    char key[100];
    snprintf(key, sizeof(key), "[\"%s\",\"%s\",\"%s\"]", worker, scope, room);
    reads(key, value);
}

void reads_another(const char *user)
{
    char value[100];
    snprintf(value, sizeof(value), "{\"count\":1,\"users\":[\"%s\"]}", user);
    reads("[\"w\"]", "{}");
    reads_list("w", "acme", "task:1", value);
}

void beats(unsigned count)
{
    while (count--)
        reads(world.own, "{}");
}

const char *told(struct presence_seat *seat)
{
    static char text[2000];
    if (!seat->pending)
        return "";
    presence_next_news(world.presence, seat, &world.news);
    snprintf(text, sizeof(text), "%.*s", BYTES_PRINT(world.news.json));
    return text;
}

const char *written(void)
{
    static char text[4000];
    struct presence_write write;
    text[0] = 0;
    for (unsigned i = 0; i < 3; i++, world.now_ms += PRESENCE_WRITE_MS) {
        unsigned count = 0;
        for (; presence_next_write(world.presence, world.now_ms, &write); count++) {
            size_t size = strlen(text);
            if (!bytes_equal_string(write.key, world.own))
                snprintf(text + size, sizeof(text) - size, "%.*s=%.*s ",
                         BYTES_PRINT(bytes_skip(
                             write.key, sizeof("['07000000000000000000000000000000',") - 1)),
                         BYTES_PRINT(write.value));
        }
        if (count)
            presence_written(world.presence, true, world.now_ms);
    }
    return text;
}

void world_begin_known(void)
{
    world_begin(10, 100);
    beats(PRESENCE_BEATS_KNOWN);
}

void world_end(void)
{
    presence_free(world.presence);
    while (world.topic_size > 0) {
        free(world.topic[--world.topic_size].key);
        free(world.topic[world.topic_size].value);
    }
}
