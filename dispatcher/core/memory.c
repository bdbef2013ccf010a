#include "memory.h"

#include <assert.h>
#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "mem.h"

enum { KEY_SIZE = 13, ITEM_SIZE = 16, REVIEWS_PER_TASK = 16 };

/* An event that was seen; `chunk` is the one whose end it shares. */
struct seen {
    UT_hash_handle hh;
    uint64_t event;
    int64_t time_ms;
    uint64_t chunk;
};

/* The events of one commit: one record of the changelog, forgotten as one. */
struct chunk {
    struct chunk *prev;
    struct chunk *next;
    uint64_t number;
    int64_t newest_ms;
    size_t count;
    uint64_t events[];
};

struct item {
    uint64_t reason;
    int64_t time_ms;
};

struct task {
    UT_hash_handle hh;
    uint64_t id;
    size_t count;
    struct item items[REVIEWS_PER_TASK];
};

/* What a noted event was before: nothing, or an older one. */
struct pending {
    uint64_t event;
    bool existed;
    int64_t time_ms;
    uint64_t chunk;
};

/* What a task was before it was changed. */
struct undo {
    uint64_t id;
    size_t count; /* 0: there was none */
    struct item items[REVIEWS_PER_TASK];
};

struct memory {
    struct memory_settings settings;
    uint32_t domain;
    struct seen *seen;
    struct chunk *chunks; /* oldest first */
    size_t chunk_events;  /* in all chunks */
    uint64_t next_chunk;
    int64_t newest_ms;
    struct pending *pending;
    size_t pending_count;
    size_t pending_capacity;
    size_t leaving; /* chunks at the front that go with the next commit */
    struct task *tasks;
    struct undo *undo;
    size_t undo_count;
    size_t undo_capacity;
};

struct memory *memory_new(const struct memory_settings *settings, uint32_t domain)
{
    struct memory *memory = mem_new(struct memory);
    memory->settings = *settings;
    memory->domain = domain;
    return memory;
}

void memory_free(struct memory *memory)
{
    struct seen *seen;
    struct seen *next_seen;
    struct chunk *chunk;
    struct chunk *next_chunk;
    struct task *task;
    struct task *next_task;
    if (memory == NULL)
        return;
    HASH_ITER(hh, memory->seen, seen, next_seen) {
        HASH_DEL(memory->seen, seen);
        free(seen);
    }
    DL_FOREACH_SAFE(memory->chunks, chunk, next_chunk)
        free(chunk);
    HASH_ITER(hh, memory->tasks, task, next_task) {
        HASH_DEL(memory->tasks, task);
        free(task);
    }
    free(memory->pending);
    free(memory->undo);
    free(memory);
}

size_t memory_event_count(const struct memory *memory)
{
    return HASH_COUNT(memory->seen);
}

size_t memory_review_count(const struct memory *memory)
{
    return HASH_COUNT(memory->tasks);
}

/* --- Events
 * -----------------------------------------------------------------------------------------------------
 */

static struct seen *find_seen(const struct memory *memory, uint64_t event)
{
    struct seen *found = NULL;
    HASH_FIND(hh, memory->seen, &event, sizeof(event), found);
    return found;
}

bool memory_has_seen(const struct memory *memory, uint64_t event, int64_t time_ms)
{
    const struct seen *seen = find_seen(memory, event);
    if (seen == NULL)
        return false;
    int64_t apart_ms = time_ms > seen->time_ms ? time_ms - seen->time_ms : seen->time_ms - time_ms;
    return apart_ms < memory->settings.dedupe_window_ms;
}

static struct seen *put_seen(struct memory *memory, uint64_t event, int64_t time_ms, uint64_t chunk)
{
    struct seen *seen = find_seen(memory, event);
    if (seen == NULL) {
        seen = mem_new(struct seen);
        seen->event = event;
        HASH_ADD(hh, memory->seen, event, sizeof(seen->event), seen);
    }
    seen->time_ms = time_ms;
    seen->chunk = chunk;
    return seen;
}

void memory_note(struct memory *memory, uint64_t event, int64_t time_ms)
{
    const struct seen *before = find_seen(memory, event);
    if (memory->settings.dedupe_window_ms == 0)
        return;
    if (memory->pending_count == memory->pending_capacity) {
        memory->pending_capacity =
            memory->pending_capacity == 0 ? 64 : memory->pending_capacity * 2;
        memory->pending = (struct pending *)mem_resize(memory->pending, memory->pending_capacity,
                                                       sizeof(struct pending));
    }
    memory->pending[memory->pending_count++] =
        (struct pending){.event = event,
                         .existed = before != NULL,
                         .time_ms = before == NULL ? 0 : before->time_ms,
                         .chunk = before == NULL ? 0 : before->chunk};
    put_seen(memory, event, time_ms, memory->next_chunk);
    if (time_ms > memory->newest_ms)
        memory->newest_ms = time_ms;
}

static void forget_seen(struct memory *memory, struct seen *seen)
{
    assert(memory->seen != NULL);
    HASH_DEL(memory->seen, seen);
    free(seen);
}

static struct chunk *add_chunk(struct memory *memory, uint64_t number, size_t count)
{
    struct chunk *chunk =
        (struct chunk *)mem_alloc(sizeof(struct chunk) + count * sizeof(uint64_t));
    chunk->number = number;
    chunk->count = count;
    DL_APPEND(memory->chunks, chunk);
    memory->chunk_events += count;
    if (number >= memory->next_chunk)
        memory->next_chunk = number + 1;
    return chunk;
}

/* Events that were noted again since belong to a later chunk and stay. */
static void drop_chunk(struct memory *memory, struct chunk *chunk)
{
    for (size_t i = 0; i < chunk->count; i++) {
        struct seen *seen = find_seen(memory, chunk->events[i]);
        if (seen != NULL && seen->chunk == chunk->number)
            forget_seen(memory, seen);
    }
    DL_DELETE(memory->chunks, chunk);
    memory->chunk_events -= chunk->count;
    free(chunk);
}

static void commit_events(struct memory *memory)
{
    if (memory->pending_count > 0) {
        struct chunk *chunk = add_chunk(memory, memory->next_chunk, memory->pending_count);
        for (size_t i = 0; i < memory->pending_count; i++) {
            const struct seen *seen = find_seen(memory, memory->pending[i].event);
            assert(seen != NULL);
            chunk->events[i] = seen->event;
            if (seen->time_ms > chunk->newest_ms)
                chunk->newest_ms = seen->time_ms;
        }
        memory->pending_count = 0;
    }
    for (; memory->leaving > 0; memory->leaving--)
        drop_chunk(memory, memory->chunks);
}

static void rollback_events(struct memory *memory)
{
    while (memory->pending_count > 0) {
        const struct pending *pending = &memory->pending[--memory->pending_count];
        struct seen *seen = find_seen(memory, pending->event);
        assert(seen != NULL);
        if (pending->existed) {
            seen->time_ms = pending->time_ms;
            seen->chunk = pending->chunk;
        } else {
            forget_seen(memory, seen);
        }
    }
    memory->leaving = 0;
}

/* --- Reviews
 * ----------------------------------------------------------------------------------------------------
 */

static struct task *find_task(const struct memory *memory, uint64_t id)
{
    struct task *found = NULL;
    HASH_FIND(hh, memory->tasks, &id, sizeof(id), found);
    return found;
}

static void put_task(struct memory *memory, uint64_t id, const struct item *items, size_t count)
{
    struct task *task = find_task(memory, id);
    if (count == 0) {
        if (task != NULL)
            HASH_DEL(memory->tasks, task);
        free(task);
        return;
    }
    if (task == NULL) {
        task = mem_new(struct task);
        task->id = id;
        HASH_ADD(hh, memory->tasks, id, sizeof(task->id), task);
    }
    memmove(task->items, items, count * sizeof(struct item));
    task->count = count;
}

/* Remembers how a task was at the last commit. */
static void remember(struct memory *memory, uint64_t id)
{
    const struct task *task = find_task(memory, id);
    for (size_t i = 0; i < memory->undo_count; i++)
        if (memory->undo[i].id == id)
            return;
    if (memory->undo_count == memory->undo_capacity) {
        memory->undo_capacity = memory->undo_capacity == 0 ? 16 : memory->undo_capacity * 2;
        memory->undo =
            (struct undo *)mem_resize(memory->undo, memory->undo_capacity, sizeof(struct undo));
    }
    struct undo *undo = &memory->undo[memory->undo_count++];
    undo->id = id;
    undo->count = task == NULL ? 0 : task->count;
    if (task != NULL)
        memcpy(undo->items, task->items, task->count * sizeof(struct item));
}

static bool is_over(const struct memory *memory, const struct item *item, int64_t time_ms)
{
    return time_ms - item->time_ms >= memory->settings.review_window_ms;
}

bool memory_review_is_open(const struct memory *memory, uint64_t task_id, uint64_t reason,
                           int64_t time_ms)
{
    const struct task *task = find_task(memory, task_id);
    for (size_t i = 0; task != NULL && i < task->count; i++)
        if (task->items[i].reason == reason)
            return !is_over(memory, &task->items[i], time_ms);
    return false;
}

bool memory_open_review(struct memory *memory, uint64_t task_id, uint64_t reason, int64_t time_ms)
{
    const struct task *task = find_task(memory, task_id);
    struct item items[REVIEWS_PER_TASK];
    size_t count = 0;
    if (memory->settings.review_window_ms == 0)
        return true;
    for (size_t i = 0; task != NULL && i < task->count; i++)
        if (task->items[i].reason != reason && !is_over(memory, &task->items[i], time_ms))
            items[count++] = task->items[i];
    if (count == REVIEWS_PER_TASK ||
        (task == NULL && HASH_COUNT(memory->tasks) >= memory->settings.review_tasks))
        return false;
    remember(memory, task_id);
    items[count++] = (struct item){.reason = reason, .time_ms = time_ms};
    put_task(memory, task_id, items, count);
    return true;
}

void memory_close_reviews(struct memory *memory, uint64_t task_id)
{
    if (find_task(memory, task_id) == NULL)
        return;
    remember(memory, task_id);
    put_task(memory, task_id, NULL, 0);
}

static void rollback_reviews(struct memory *memory)
{
    while (memory->undo_count > 0) {
        const struct undo *undo = &memory->undo[--memory->undo_count];
        put_task(memory, undo->id, undo->items, undo->count);
    }
}

/* --- Changelog
 * --------------------------------------------------------------------------------------------------
 */

static void write_number(uint8_t *place, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        place[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t read_number(const uint8_t *place, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number |= (uint64_t)place[i] << (8 * i);
    return number;
}

/* e: events of a chunk, r: reviews of a task; then the domain, then which chunk or task. */
static struct bytes make_key(const struct memory *memory, uint8_t key[KEY_SIZE], char kind,
                             uint64_t number)
{
    key[0] = (uint8_t)kind;
    write_number(key + 1, memory->domain, 4);
    write_number(key + 5, number, 8);
    return bytes_of(key, KEY_SIZE);
}

static void append_item(struct buffer *value, uint64_t id, int64_t time_ms)
{
    uint8_t *place = buffer_reserve(value, ITEM_SIZE);
    write_number(place, id, 8);
    write_number(place + 8, (uint64_t)time_ms, 8);
    buffer_commit(value, ITEM_SIZE);
}

static bool must_leave(const struct memory *memory, const struct chunk *chunk, size_t left)
{
    return chunk->newest_ms + memory->settings.dedupe_window_ms <= memory->newest_ms ||
           left > memory->settings.dedupe_entries;
}

static void flush_events(struct memory *memory, memory_emit_fn *emit, void *context)
{
    uint8_t key[KEY_SIZE];
    auto_buffer struct buffer value = {0};
    for (size_t i = 0; i < memory->pending_count; i++) {
        const struct seen *seen = find_seen(memory, memory->pending[i].event);
        append_item(&value, seen->event, seen->time_ms);
    }
    if (memory->pending_count > 0)
        emit(context, make_key(memory, key, 'e', memory->next_chunk), buffer_peek(&value), true);
    size_t left = memory->chunk_events + memory->pending_count;
    memory->leaving = 0;
    for (const struct chunk *chunk = memory->chunks;
         chunk != NULL && must_leave(memory, chunk, left); chunk = chunk->next) {
        emit(context, make_key(memory, key, 'e', chunk->number), bytes_of(NULL, 0), false);
        memory->leaving++;
        left -= chunk->count;
    }
}

void memory_flush(struct memory *memory, memory_emit_fn *emit, void *context)
{
    uint8_t key[KEY_SIZE];
    flush_events(memory, emit, context);
    for (size_t i = 0; i < memory->undo_count; i++) {
        const struct task *task = find_task(memory, memory->undo[i].id);
        auto_buffer struct buffer value = {0};
        for (size_t k = 0; task != NULL && k < task->count; k++)
            append_item(&value, task->items[k].reason, task->items[k].time_ms);
        emit(context, make_key(memory, key, 'r', memory->undo[i].id), buffer_peek(&value),
             task != NULL);
    }
}

void memory_commit(struct memory *memory)
{
    commit_events(memory);
    memory->undo_count = 0;
}

void memory_rollback(struct memory *memory)
{
    rollback_events(memory);
    rollback_reviews(memory);
}

static void restore_chunk(struct memory *memory, uint64_t number, struct bytes value)
{
    size_t count = value.size / ITEM_SIZE;
    /* A tombstone takes one of the oldest away; anything else is new, so that the search is short.
     */
    struct chunk *chunk = number < memory->next_chunk ? memory->chunks : NULL;
    while (chunk != NULL && chunk->number != number)
        chunk = chunk->next;
    if (chunk != NULL)
        drop_chunk(memory, chunk);
    if (number >= memory->next_chunk)
        memory->next_chunk = number + 1;
    if (count == 0)
        return;
    chunk = add_chunk(memory, number, count);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *place = value.data + i * ITEM_SIZE;
        int64_t time_ms = (int64_t)read_number(place + 8, 8);
        chunk->events[i] = read_number(place, 8);
        put_seen(memory, chunk->events[i], time_ms, number);
        if (time_ms > chunk->newest_ms)
            chunk->newest_ms = time_ms;
    }
    if (chunk->newest_ms > memory->newest_ms)
        memory->newest_ms = chunk->newest_ms;
}

static void restore_task(struct memory *memory, uint64_t id, struct bytes value)
{
    struct item items[REVIEWS_PER_TASK];
    size_t count = value.size / ITEM_SIZE;
    for (size_t i = 0; i < count && i < REVIEWS_PER_TASK; i++)
        items[i] =
            (struct item){.reason = read_number(value.data + i * ITEM_SIZE, 8),
                          .time_ms = (int64_t)read_number(value.data + i * ITEM_SIZE + 8, 8)};
    put_task(memory, id, items, count < REVIEWS_PER_TASK ? count : REVIEWS_PER_TASK);
}

void memory_restore(struct memory *memory, struct bytes key, struct bytes value, bool has_value)
{
    assert(memory->pending_count == 0 && memory->undo_count == 0);
    if (key.size != KEY_SIZE || read_number(key.data + 1, 4) != memory->domain ||
        value.size % ITEM_SIZE != 0)
        return;
    uint64_t number = read_number(key.data + 5, 8);
    struct bytes content = has_value ? value : bytes_of(NULL, 0);
    if (key.data[0] == 'e')
        restore_chunk(memory, number, content);
    else if (key.data[0] == 'r')
        restore_task(memory, number, content);
}
