#include "memory.h"

#include <assert.h>
#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>
#include <xxhash.h>

#include "mem.h"

enum { ID_SIZE = 16, EVENTS_KEY_SIZE = 13, REVIEWS_KEY_SIZE = 21, ITEM_SIZE = 24 };

/* An event that was seen; `chunk` is the one whose end it shares. */
struct seen {
    UT_hash_handle hh;
    struct fingerprint event;
    int64_t time_ms;
    uint64_t chunk;
};

/* The events of one commit: one record of the changelog, forgotten as one. */
struct chunk {
    UT_hash_handle hh;
    struct chunk *prev;
    struct chunk *next;
    uint64_t number;
    int64_t newest_ms;
    size_t count;
    struct fingerprint events[];
};

struct item {
    struct fingerprint review;
    int64_t time_ms;
};

struct task {
    UT_hash_handle hh;
    struct fingerprint id;
    size_t count; /* at least 1 */
    struct item *items;
};

/* What a noted event was before: nothing, or an older one. */
struct pending {
    struct fingerprint event;
    bool existed;
    int64_t time_ms;
    uint64_t chunk;
};

/* What a task was before it was changed. */
struct undo {
    UT_hash_handle hh;
    struct fingerprint id;
    size_t count; /* 0: there was none */
    struct item *items;
};

struct memory {
    struct memory_settings settings;
    uint32_t domain;
    struct seen *seen;
    struct chunk *chunks;    /* oldest first */
    struct chunk *by_number; /* the same */
    size_t chunk_events;     /* in all chunks */
    uint64_t next_chunk;     /* there is none of this number */
    int64_t newest_ms;
    int64_t committed_ms; /* what that was at the last commit */
    struct pending *pending;
    size_t pending_count;
    size_t pending_capacity;
    size_t leaving; /* chunks at the front that go with the next commit */
    struct task *tasks;
    struct undo *undo; /* by task; in the order of the first change */
};

struct memory *memory_new(const struct memory_settings *settings, uint32_t domain)
{
    assert(settings->reviews_per_task >= 1);
    struct memory *memory = mem_new(struct memory);
    memory->settings = *settings;
    memory->domain = domain;
    return memory;
}

static unsigned hash_of(const struct memory *memory, struct fingerprint id)
{
    return (unsigned)XXH3_64bits_withSeed(&id, sizeof(id), memory->settings.hash_seed);
}

static unsigned hash_of_number(const struct memory *memory, uint64_t number)
{
    return (unsigned)XXH3_64bits_withSeed(&number, sizeof(number), memory->settings.hash_seed);
}

static void forget_undo(struct memory *memory)
{
    struct undo *undo;
    struct undo *next;
    HASH_ITER(hh, memory->undo, undo, next) {
        HASH_DEL(memory->undo, undo);
        free(undo->items);
        free(undo);
    }
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
    HASH_CLEAR(hh, memory->by_number);
    DL_FOREACH_SAFE(memory->chunks, chunk, next_chunk)
        free(chunk);
    HASH_ITER(hh, memory->tasks, task, next_task) {
        HASH_DEL(memory->tasks, task);
        free(task->items);
        free(task);
    }
    forget_undo(memory);
    free(memory->pending);
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

static size_t longest_chain(const UT_hash_table *table)
{
    size_t longest = 0;
    for (unsigned i = 0; table != NULL && i < table->num_buckets; i++)
        if (table->buckets[i].count > longest)
            longest = table->buckets[i].count;
    return longest;
}

size_t memory_longest_chain(const struct memory *memory)
{
    const UT_hash_table *tables[] = {
        memory->seen == NULL ? NULL : memory->seen->hh.tbl,
        memory->tasks == NULL ? NULL : memory->tasks->hh.tbl,
        memory->undo == NULL ? NULL : memory->undo->hh.tbl,
        memory->by_number == NULL ? NULL : memory->by_number->hh.tbl,
    };
    size_t longest = 0;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        if (longest_chain(tables[i]) > longest)
            longest = longest_chain(tables[i]);
    return longest;
}

/* --- Events
 * -----------------------------------------------------------------------------------------------------
 */

/* How long after `from` it is `to`; 0 if it is not after it. Times come from records, and so may be
 * as far apart as numbers go. */
static uint64_t passed_ms(int64_t from_ms, int64_t to_ms)
{
    return to_ms > from_ms ? (uint64_t)to_ms - (uint64_t)from_ms : 0;
}

static struct seen *find_seen(const struct memory *memory, struct fingerprint event)
{
    struct seen *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, memory->seen, &event, sizeof(event), hash_of(memory, event), found);
    return found;
}

bool memory_has_seen(const struct memory *memory, struct fingerprint event, int64_t time_ms)
{
    const struct seen *seen = find_seen(memory, event);
    if (seen == NULL)
        return false;
    uint64_t apart_ms = passed_ms(seen->time_ms, time_ms) + passed_ms(time_ms, seen->time_ms);
    return apart_ms < (uint64_t)memory->settings.dedupe_window_ms;
}

static struct seen *put_seen(struct memory *memory, struct fingerprint event, int64_t time_ms,
                             uint64_t chunk)
{
    struct seen *seen = find_seen(memory, event);
    if (seen == NULL) {
        seen = mem_new(struct seen);
        seen->event = event;
        HASH_ADD_BYHASHVALUE(hh, memory->seen, event, sizeof(seen->event), hash_of(memory, event),
                             seen);
    }
    seen->time_ms = time_ms;
    seen->chunk = chunk;
    return seen;
}

void memory_note(struct memory *memory, struct fingerprint event, int64_t time_ms)
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

static struct chunk *find_chunk(const struct memory *memory, uint64_t number)
{
    struct chunk *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, memory->by_number, &number, sizeof(number),
                          hash_of_number(memory, number), found);
    return found;
}

/* Numbers go up. One that the changelog has may be any, and the last of all: then they begin anew,
 * and those that are in use are passed over. */
static void number_follows(struct memory *memory, uint64_t number)
{
    if (number >= memory->next_chunk)
        memory->next_chunk = number + 1;
    while (find_chunk(memory, memory->next_chunk) != NULL)
        memory->next_chunk++;
}

static struct chunk *add_chunk(struct memory *memory, uint64_t number, size_t count)
{
    struct chunk *chunk =
        (struct chunk *)mem_alloc(sizeof(struct chunk) + count * sizeof(struct fingerprint));
    chunk->number = number;
    chunk->count = count;
    assert(find_chunk(memory, number) == NULL);
    DL_APPEND(memory->chunks, chunk);
    HASH_ADD_BYHASHVALUE(hh, memory->by_number, number, sizeof(chunk->number),
                         hash_of_number(memory, number), chunk);
    memory->chunk_events += count;
    number_follows(memory, number);
    return chunk;
}

/* Events that were noted again since belong to a later chunk and stay. */
static void drop_chunk(struct memory *memory, struct chunk *chunk)
{
    assert(chunk != NULL && memory->by_number != NULL);
    for (size_t i = 0; i < chunk->count; i++) {
        struct seen *seen = find_seen(memory, chunk->events[i]);
        if (seen != NULL && seen->chunk == chunk->number)
            forget_seen(memory, seen);
    }
    DL_DELETE(memory->chunks, chunk);
    HASH_DEL(memory->by_number, chunk);
    assert(memory->chunk_events >= chunk->count);
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
    memory->committed_ms = memory->newest_ms;
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
    memory->newest_ms = memory->committed_ms;
}

/* --- Reviews
 * ----------------------------------------------------------------------------------------------------
 */

static struct task *find_task(const struct memory *memory, struct fingerprint id)
{
    struct task *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, memory->tasks, &id, sizeof(id), hash_of(memory, id), found);
    return found;
}

static struct item *copy_items(const struct item *items, size_t count)
{
    if (count == 0)
        return NULL;
    struct item *copy = (struct item *)mem_resize(NULL, count, sizeof(struct item));
    memcpy(copy, items, count * sizeof(struct item));
    return copy;
}

/* Takes over the items; without any, the task is forgotten. */
static void put_task(struct memory *memory, struct fingerprint id, struct item *items, size_t count)
{
    struct task *task = find_task(memory, id);
    assert((items == NULL) == (count == 0));
    if (task != NULL)
        free(task->items);
    if (count == 0) {
        if (task != NULL)
            HASH_DEL(memory->tasks, task);
        free(task);
        return;
    }
    if (task == NULL) {
        task = mem_new(struct task);
        task->id = id;
        HASH_ADD_BYHASHVALUE(hh, memory->tasks, id, sizeof(task->id), hash_of(memory, id), task);
    }
    task->items = items;
    task->count = count;
}

/* Remembers how a task was at the last commit. */
static void remember(struct memory *memory, struct fingerprint id)
{
    const struct task *task = find_task(memory, id);
    unsigned hash = hash_of(memory, id);
    struct undo *undo = NULL;
    HASH_FIND_BYHASHVALUE(hh, memory->undo, &id, sizeof(id), hash, undo);
    if (undo != NULL)
        return;
    undo = mem_new(struct undo);
    undo->id = id;
    if (task != NULL) {
        undo->count = task->count;
        undo->items = copy_items(task->items, task->count);
    }
    HASH_ADD_BYHASHVALUE(hh, memory->undo, id, sizeof(undo->id), hash, undo);
}

static bool is_over(const struct memory *memory, const struct item *item, int64_t time_ms)
{
    return passed_ms(item->time_ms, time_ms) >= (uint64_t)memory->settings.review_window_ms;
}

bool memory_review_is_open(const struct memory *memory, struct fingerprint task_id,
                           struct fingerprint review, int64_t time_ms)
{
    const struct task *task = find_task(memory, task_id);
    for (size_t i = 0; task != NULL && i < task->count; i++)
        if (fingerprint_equal(task->items[i].review, review))
            return !is_over(memory, &task->items[i], time_ms);
    return false;
}

bool memory_open_review(struct memory *memory, struct fingerprint task_id,
                        struct fingerprint review, int64_t time_ms)
{
    const struct task *task = find_task(memory, task_id);
    size_t before = task == NULL ? 0 : task->count;
    if (memory->settings.review_window_ms == 0)
        return true;
    if (task == NULL && HASH_COUNT(memory->tasks) >= memory->settings.review_tasks)
        return false;
    struct item *items = (struct item *)mem_resize(NULL, before + 1, sizeof(struct item));
    size_t count = 0;
    for (size_t i = 0; i < before; i++)
        if (!fingerprint_equal(task->items[i].review, review) &&
            !is_over(memory, &task->items[i], time_ms))
            items[count++] = task->items[i];
    if (count >= memory->settings.reviews_per_task) {
        free(items);
        return false;
    }
    items[count++] = (struct item){.review = review, .time_ms = time_ms};
    remember(memory, task_id);
    put_task(memory, task_id, items, count);
    return true;
}

void memory_close_reviews(struct memory *memory, struct fingerprint task_id)
{
    if (find_task(memory, task_id) == NULL)
        return;
    remember(memory, task_id);
    put_task(memory, task_id, NULL, 0);
}

static void rollback_reviews(struct memory *memory)
{
    for (struct undo *undo = memory->undo; undo != NULL; undo = (struct undo *)undo->hh.next) {
        put_task(memory, undo->id, undo->items, undo->count);
        undo->items = NULL;
    }
    forget_undo(memory);
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

static void write_id(uint8_t *place, struct fingerprint id)
{
    write_number(place, id.low, 8);
    write_number(place + 8, id.high, 8);
}

static struct fingerprint read_id(const uint8_t *place)
{
    return (struct fingerprint){.low = read_number(place, 8), .high = read_number(place + 8, 8)};
}

/* E: events of a chunk, R: reviews of a task; then the domain, then which chunk or task. (Versions
 * with 64-bit fingerprints wrote e and r: their records are not of ours.) */
static struct bytes events_key(const struct memory *memory, uint8_t key[EVENTS_KEY_SIZE],
                               uint64_t chunk)
{
    key[0] = 'E';
    write_number(key + 1, memory->domain, 4);
    write_number(key + 5, chunk, 8);
    return bytes_of(key, EVENTS_KEY_SIZE);
}

static struct bytes reviews_key(const struct memory *memory, uint8_t key[REVIEWS_KEY_SIZE],
                                struct fingerprint task)
{
    key[0] = 'R';
    write_number(key + 1, memory->domain, 4);
    write_id(key + 5, task);
    return bytes_of(key, REVIEWS_KEY_SIZE);
}

static void append_item(struct buffer *value, struct fingerprint id, int64_t time_ms)
{
    uint8_t *place = buffer_reserve(value, ITEM_SIZE);
    write_id(place, id);
    write_number(place + ID_SIZE, (uint64_t)time_ms, 8);
    buffer_commit(value, ITEM_SIZE);
}

static int64_t item_time(const uint8_t *place)
{
    return (int64_t)read_number(place + ID_SIZE, 8);
}

static bool must_leave(const struct memory *memory, const struct chunk *chunk, size_t left)
{
    return passed_ms(chunk->newest_ms, memory->newest_ms) >=
               (uint64_t)memory->settings.dedupe_window_ms ||
           left > memory->settings.dedupe_entries;
}

static void flush_events(struct memory *memory, memory_emit_fn *emit, void *context)
{
    uint8_t key[EVENTS_KEY_SIZE];
    auto_buffer struct buffer value = {0};
    for (size_t i = 0; i < memory->pending_count; i++) {
        const struct seen *seen = find_seen(memory, memory->pending[i].event);
        append_item(&value, seen->event, seen->time_ms);
    }
    if (memory->pending_count > 0)
        emit(context, events_key(memory, key, memory->next_chunk), buffer_peek(&value), true);
    size_t left = memory->chunk_events + memory->pending_count;
    memory->leaving = 0;
    for (const struct chunk *chunk = memory->chunks;
         chunk != NULL && must_leave(memory, chunk, left); chunk = chunk->next) {
        emit(context, events_key(memory, key, chunk->number), bytes_of(NULL, 0), false);
        memory->leaving++;
        assert(left >= chunk->count);
        left -= chunk->count;
    }
}

void memory_flush(struct memory *memory, memory_emit_fn *emit, void *context)
{
    uint8_t key[REVIEWS_KEY_SIZE];
    flush_events(memory, emit, context);
    for (const struct undo *undo = memory->undo; undo != NULL;
         undo = (const struct undo *)undo->hh.next) {
        const struct task *task = find_task(memory, undo->id);
        auto_buffer struct buffer value = {0};
        for (size_t k = 0; task != NULL && k < task->count; k++)
            append_item(&value, task->items[k].review, task->items[k].time_ms);
        emit(context, reviews_key(memory, key, undo->id), buffer_peek(&value), task != NULL);
    }
}

void memory_commit(struct memory *memory)
{
    commit_events(memory);
    forget_undo(memory);
}

void memory_rollback(struct memory *memory)
{
    rollback_events(memory);
    rollback_reviews(memory);
}

static void restore_chunk(struct memory *memory, uint64_t number, struct bytes value)
{
    size_t count = value.size / ITEM_SIZE;
    struct chunk *chunk = find_chunk(memory, number);
    if (chunk != NULL)
        drop_chunk(memory, chunk);
    number_follows(memory, number);
    if (count == 0)
        return;
    chunk = add_chunk(memory, number, count);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *place = value.data + i * ITEM_SIZE;
        int64_t time_ms = item_time(place);
        chunk->events[i] = read_id(place);
        put_seen(memory, chunk->events[i], time_ms, number);
        if (time_ms > chunk->newest_ms)
            chunk->newest_ms = time_ms;
    }
    if (chunk->newest_ms > memory->newest_ms)
        memory->newest_ms = chunk->newest_ms;
    memory->committed_ms = memory->newest_ms;
}

/* Of more reviews than may be, the newest: they stand last. */
static void restore_task(struct memory *memory, struct fingerprint id, struct bytes value)
{
    size_t count = value.size / ITEM_SIZE;
    size_t skipped =
        count > memory->settings.reviews_per_task ? count - memory->settings.reviews_per_task : 0;
    struct item *items = NULL;
    if (count > 0)
        items = (struct item *)mem_resize(NULL, count - skipped, sizeof(struct item));
    for (size_t i = skipped; i < count; i++) {
        const uint8_t *place = value.data + i * ITEM_SIZE;
        items[i - skipped] = (struct item){.review = read_id(place), .time_ms = item_time(place)};
    }
    put_task(memory, id, items, count - skipped);
}

enum memory_record memory_restore(struct memory *memory, struct bytes key, struct bytes value,
                                  bool has_value)
{
    assert(memory->pending_count == 0 && memory->undo == NULL);
    bool events = key.size == EVENTS_KEY_SIZE && key.data[0] == 'E';
    bool reviews = key.size == REVIEWS_KEY_SIZE && key.data[0] == 'R';
    if (!(events || reviews) || value.size % ITEM_SIZE != 0)
        return MEMORY_MALFORMED;
    if (read_number(key.data + 1, 4) != memory->domain)
        return MEMORY_FOREIGN;
    struct bytes content = has_value ? value : bytes_of(NULL, 0);
    if (events)
        restore_chunk(memory, read_number(key.data + 5, 8), content);
    else
        restore_task(memory, read_id(key.data + 5), content);
    return MEMORY_TAKEN;
}
