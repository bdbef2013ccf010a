#include "partition_state.h"

#include <assert.h>
#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>
#include <xxhash.h>

#include "mem.h"

enum { ID_SIZE = 16, EVENTS_KEY_SIZE = 13, REVIEWS_KEY_SIZE = 21, ITEM_SIZE = 24 };

/* An event that was seen; `chunk` is the one whose end it shares. */
struct seen_event {
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

struct open_review {
    struct fingerprint review;
    int64_t time_ms;
};

struct reviewed_task {
    UT_hash_handle hh;
    struct fingerprint id;
    size_t count; /* at least 1 */
    struct open_review *items;
};

/* What a noted event was before: nothing, or an older one. */
struct pending_event {
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
    struct open_review *items;
};

struct partition_state {
    struct partition_state_settings settings;
    uint32_t domain;
    struct seen_event *seen;
    struct chunk *chunks;    /* oldest first */
    struct chunk *by_number; /* the same */
    size_t chunk_events;     /* in all chunks */
    uint64_t next_chunk;     /* there is none of this number */
    int64_t newest_ms;
    int64_t committed_ms; /* what that was at the last commit */
    struct pending_event *pending;
    size_t pending_count;
    size_t pending_capacity;
    size_t leaving; /* chunks at the front that go with the next commit */
    struct reviewed_task *tasks;
    struct undo *undo; /* by task; in the order of the first change */
};

struct partition_state *partition_state_new(const struct partition_state_settings *settings,
                                            uint32_t domain)
{
    assert(settings->reviews_per_task >= 1);
    struct partition_state *state = mem_new(struct partition_state);
    state->settings = *settings;
    state->domain = domain;
    return state;
}

static unsigned hash_of(const struct partition_state *state, struct fingerprint id)
{
    return (unsigned)XXH3_64bits_withSeed(&id, sizeof(id), state->settings.hash_seed);
}

static unsigned hash_of_number(const struct partition_state *state, uint64_t number)
{
    return (unsigned)XXH3_64bits_withSeed(&number, sizeof(number), state->settings.hash_seed);
}

static void forget_undo(struct partition_state *state)
{
    struct undo *undo;
    struct undo *next;
    HASH_ITER(hh, state->undo, undo, next) {
        HASH_DEL(state->undo, undo);
        free(undo->items);
        free(undo);
    }
}

void partition_state_free(struct partition_state *state)
{
    struct seen_event *seen;
    struct seen_event *next_seen;
    struct chunk *chunk;
    struct chunk *next_chunk;
    struct reviewed_task *task;
    struct reviewed_task *next_task;
    if (!state)
        return;
    HASH_ITER(hh, state->seen, seen, next_seen) {
        HASH_DEL(state->seen, seen);
        free(seen);
    }
    HASH_CLEAR(hh, state->by_number);
    DL_FOREACH_SAFE(state->chunks, chunk, next_chunk)
        free(chunk);
    HASH_ITER(hh, state->tasks, task, next_task) {
        HASH_DEL(state->tasks, task);
        free(task->items);
        free(task);
    }
    forget_undo(state);
    free(state->pending);
    free(state);
}

size_t partition_state_event_count(const struct partition_state *state)
{
    return HASH_COUNT(state->seen);
}

size_t partition_state_review_count(const struct partition_state *state)
{
    return HASH_COUNT(state->tasks);
}

static size_t longest_chain(const UT_hash_table *table)
{
    size_t longest = 0;
    for (unsigned i = 0; table && i < table->num_buckets; i++)
        if (table->buckets[i].count > longest)
            longest = table->buckets[i].count;
    return longest;
}

size_t partition_state_longest_chain(const struct partition_state *state)
{
    const UT_hash_table *tables[] = {
        state->seen ? state->seen->hh.tbl : NULL,
        state->tasks ? state->tasks->hh.tbl : NULL,
        state->undo ? state->undo->hh.tbl : NULL,
        state->by_number ? state->by_number->hh.tbl : NULL,
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

static struct seen_event *find_seen(const struct partition_state *state, struct fingerprint event)
{
    struct seen_event *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, state->seen, &event, sizeof(event), hash_of(state, event), found);
    return found;
}

bool partition_state_has_seen(const struct partition_state *state, struct fingerprint event,
                              int64_t time_ms)
{
    const struct seen_event *seen = find_seen(state, event);
    if (!seen)
        return false;
    uint64_t apart_ms = passed_ms(seen->time_ms, time_ms) + passed_ms(time_ms, seen->time_ms);
    return apart_ms < (uint64_t)state->settings.dedupe_window_ms;
}

static struct seen_event *put_seen(struct partition_state *state, struct fingerprint event,
                                   int64_t time_ms, uint64_t chunk)
{
    struct seen_event *seen = find_seen(state, event);
    if (!seen) {
        seen = mem_new(struct seen_event);
        seen->event = event;
        HASH_ADD_BYHASHVALUE(hh, state->seen, event, sizeof(seen->event), hash_of(state, event),
                             seen);
    }
    seen->time_ms = time_ms;
    seen->chunk = chunk;
    return seen;
}

void partition_state_note(struct partition_state *state, struct fingerprint event, int64_t time_ms)
{
    const struct seen_event *before = find_seen(state, event);
    if (state->settings.dedupe_window_ms == 0)
        return;
    if (state->pending_count == state->pending_capacity) {
        state->pending_capacity = state->pending_capacity == 0 ? 64 : state->pending_capacity * 2;
        state->pending =
            mem_resize(state->pending, state->pending_capacity, sizeof(struct pending_event));
    }
    state->pending[state->pending_count++] =
        (struct pending_event){.event = event,
                               .existed = before != NULL,
                               .time_ms = before ? before->time_ms : 0,
                               .chunk = before ? before->chunk : 0};
    put_seen(state, event, time_ms, state->next_chunk);
    if (time_ms > state->newest_ms)
        state->newest_ms = time_ms;
}

static void forget_seen(struct partition_state *state, struct seen_event *seen)
{
    assert(state->seen);
    HASH_DEL(state->seen, seen);
    free(seen);
}

static struct chunk *find_chunk(const struct partition_state *state, uint64_t number)
{
    struct chunk *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, state->by_number, &number, sizeof(number),
                          hash_of_number(state, number), found);
    return found;
}

/* Numbers go up. One that the changelog has may be any, and the last of all: then they begin anew,
 * and those that are in use are passed over. */
static void number_follows(struct partition_state *state, uint64_t number)
{
    if (number >= state->next_chunk)
        state->next_chunk = number + 1;
    while (find_chunk(state, state->next_chunk))
        state->next_chunk++;
}

static struct chunk *add_chunk(struct partition_state *state, uint64_t number, size_t count)
{
    struct chunk *chunk = mem_alloc(sizeof(struct chunk) + count * sizeof(struct fingerprint));
    chunk->number = number;
    chunk->count = count;
    assert(!find_chunk(state, number));
    DL_APPEND(state->chunks, chunk);
    HASH_ADD_BYHASHVALUE(hh, state->by_number, number, sizeof(chunk->number),
                         hash_of_number(state, number), chunk);
    state->chunk_events += count;
    number_follows(state, number);
    return chunk;
}

/* Events that were noted again since belong to a later chunk and stay. */
static void drop_chunk(struct partition_state *state, struct chunk *chunk)
{
    assert(chunk && state->by_number);
    for (size_t i = 0; i < chunk->count; i++) {
        struct seen_event *seen = find_seen(state, chunk->events[i]);
        if (seen && seen->chunk == chunk->number)
            forget_seen(state, seen);
    }
    DL_DELETE(state->chunks, chunk);
    HASH_DEL(state->by_number, chunk);
    assert(state->chunk_events >= chunk->count);
    state->chunk_events -= chunk->count;
    free(chunk);
}

static void commit_events(struct partition_state *state)
{
    if (state->pending_count > 0) {
        struct chunk *chunk = add_chunk(state, state->next_chunk, state->pending_count);
        for (size_t i = 0; i < state->pending_count; i++) {
            const struct seen_event *seen = find_seen(state, state->pending[i].event);
            assert(seen);
            chunk->events[i] = seen->event;
            if (seen->time_ms > chunk->newest_ms)
                chunk->newest_ms = seen->time_ms;
        }
        state->pending_count = 0;
    }
    for (; state->leaving > 0; state->leaving--)
        drop_chunk(state, state->chunks);
    state->committed_ms = state->newest_ms;
}

static void rollback_events(struct partition_state *state)
{
    while (state->pending_count > 0) {
        const struct pending_event *pending = &state->pending[--state->pending_count];
        struct seen_event *seen = find_seen(state, pending->event);
        assert(seen);
        if (pending->existed) {
            seen->time_ms = pending->time_ms;
            seen->chunk = pending->chunk;
        } else {
            forget_seen(state, seen);
        }
    }
    state->leaving = 0;
    state->newest_ms = state->committed_ms;
}

/* --- Reviews
 * ----------------------------------------------------------------------------------------------------
 */

static struct reviewed_task *find_task(const struct partition_state *state, struct fingerprint id)
{
    struct reviewed_task *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, state->tasks, &id, sizeof(id), hash_of(state, id), found);
    return found;
}

static struct open_review *copy_items(const struct open_review *items, size_t count)
{
    if (count == 0)
        return NULL;
    struct open_review *copy = mem_resize(NULL, count, sizeof(struct open_review));
    memcpy(copy, items, count * sizeof(struct open_review));
    return copy;
}

/* Takes over the items; without any, the task is forgotten. */
static void put_task(struct partition_state *state, struct fingerprint id,
                     struct open_review *items, size_t count)
{
    struct reviewed_task *task = find_task(state, id);
    assert(!items == (count == 0));
    if (task)
        free(task->items);
    if (count == 0) {
        if (task)
            HASH_DEL(state->tasks, task);
        free(task);
        return;
    }
    if (!task) {
        task = mem_new(struct reviewed_task);
        task->id = id;
        HASH_ADD_BYHASHVALUE(hh, state->tasks, id, sizeof(task->id), hash_of(state, id), task);
    }
    task->items = items;
    task->count = count;
}

/* Remembers how a task was at the last commit. */
static void keep_for_undo(struct partition_state *state, struct fingerprint id)
{
    const struct reviewed_task *task = find_task(state, id);
    unsigned hash = hash_of(state, id);
    struct undo *undo = NULL;
    HASH_FIND_BYHASHVALUE(hh, state->undo, &id, sizeof(id), hash, undo);
    if (undo)
        return;
    undo = mem_new(struct undo);
    undo->id = id;
    if (task) {
        undo->count = task->count;
        undo->items = copy_items(task->items, task->count);
    }
    HASH_ADD_BYHASHVALUE(hh, state->undo, id, sizeof(undo->id), hash, undo);
}

static bool is_over(const struct partition_state *state, const struct open_review *item,
                    int64_t time_ms)
{
    return passed_ms(item->time_ms, time_ms) >= (uint64_t)state->settings.review_window_ms;
}

bool partition_state_review_is_open(const struct partition_state *state, struct fingerprint task_id,
                                    struct fingerprint review, int64_t time_ms)
{
    const struct reviewed_task *task = find_task(state, task_id);
    for (size_t i = 0; task && i < task->count; i++)
        if (fingerprint_equal(task->items[i].review, review))
            return !is_over(state, &task->items[i], time_ms);
    return false;
}

bool partition_state_open_review(struct partition_state *state, struct fingerprint task_id,
                                 struct fingerprint review, int64_t time_ms)
{
    const struct reviewed_task *task = find_task(state, task_id);
    size_t before = task ? task->count : 0;
    if (state->settings.review_window_ms == 0)
        return true;
    if (!task && HASH_COUNT(state->tasks) >= state->settings.review_tasks)
        return false;
    struct open_review *items = mem_resize(NULL, before + 1, sizeof(struct open_review));
    size_t count = 0;
    for (size_t i = 0; i < before; i++)
        if (!fingerprint_equal(task->items[i].review, review) &&
            !is_over(state, &task->items[i], time_ms))
            items[count++] = task->items[i];
    if (count >= state->settings.reviews_per_task) {
        free(items);
        return false;
    }
    items[count++] = (struct open_review){.review = review, .time_ms = time_ms};
    keep_for_undo(state, task_id);
    put_task(state, task_id, items, count);
    return true;
}

void partition_state_close_reviews(struct partition_state *state, struct fingerprint task_id)
{
    if (!find_task(state, task_id))
        return;
    keep_for_undo(state, task_id);
    put_task(state, task_id, NULL, 0);
}

static void rollback_reviews(struct partition_state *state)
{
    for (struct undo *undo = state->undo; undo; undo = undo->hh.next) {
        put_task(state, undo->id, undo->items, undo->count);
        undo->items = NULL;
    }
    forget_undo(state);
}

/* --- Changelog
 * --------------------------------------------------------------------------------------------------
 */

static void write_fingerprint(uint8_t *place, struct fingerprint id)
{
    bytes_write_little_endian(place, id.low, 8);
    bytes_write_little_endian(place + 8, id.high, 8);
}

static struct fingerprint read_fingerprint(const uint8_t *place)
{
    return (struct fingerprint){.low = bytes_read_little_endian(place, 8),
                                .high = bytes_read_little_endian(place + 8, 8)};
}

/* E: events of a chunk, R: reviews of a task; then the domain, then which chunk or task. (Versions
 * with 64-bit fingerprints wrote e and r: their records are not of ours.) */
static struct bytes events_key(const struct partition_state *state, uint8_t key[EVENTS_KEY_SIZE],
                               uint64_t chunk)
{
    key[0] = 'E';
    bytes_write_little_endian(key + 1, state->domain, 4);
    bytes_write_little_endian(key + 5, chunk, 8);
    return bytes_of(key, EVENTS_KEY_SIZE);
}

static struct bytes reviews_key(const struct partition_state *state, uint8_t key[REVIEWS_KEY_SIZE],
                                struct fingerprint task)
{
    key[0] = 'R';
    bytes_write_little_endian(key + 1, state->domain, 4);
    write_fingerprint(key + 5, task);
    return bytes_of(key, REVIEWS_KEY_SIZE);
}

static void append_item(struct buffer *value, struct fingerprint id, int64_t time_ms)
{
    uint8_t *place = buffer_reserve(value, ITEM_SIZE);
    write_fingerprint(place, id);
    bytes_write_little_endian(place + ID_SIZE, (uint64_t)time_ms, 8);
    buffer_commit(value, ITEM_SIZE);
}

static int64_t item_time(const uint8_t *place)
{
    return (int64_t)bytes_read_little_endian(place + ID_SIZE, 8);
}

static bool must_leave(const struct partition_state *state, const struct chunk *chunk, size_t left)
{
    return passed_ms(chunk->newest_ms, state->newest_ms) >=
               (uint64_t)state->settings.dedupe_window_ms ||
           left > state->settings.dedupe_entries;
}

static void flush_events(struct partition_state *state, partition_state_emit_fn *emit,
                         void *context)
{
    uint8_t key[EVENTS_KEY_SIZE];
    auto_buffer struct buffer value = {0};
    for (size_t i = 0; i < state->pending_count; i++) {
        const struct seen_event *seen = find_seen(state, state->pending[i].event);
        append_item(&value, seen->event, seen->time_ms);
    }
    if (state->pending_count > 0)
        emit(context, events_key(state, key, state->next_chunk), buffer_peek(&value), true);
    size_t left = state->chunk_events + state->pending_count;
    state->leaving = 0;
    for (const struct chunk *chunk = state->chunks; chunk && must_leave(state, chunk, left);
         chunk = chunk->next) {
        emit(context, events_key(state, key, chunk->number), bytes_of(NULL, 0), false);
        state->leaving++;
        assert(left >= chunk->count);
        left -= chunk->count;
    }
}

void partition_state_flush(struct partition_state *state, partition_state_emit_fn *emit,
                           void *context)
{
    uint8_t key[REVIEWS_KEY_SIZE];
    flush_events(state, emit, context);
    for (const struct undo *undo = state->undo; undo; undo = undo->hh.next) {
        const struct reviewed_task *task = find_task(state, undo->id);
        auto_buffer struct buffer value = {0};
        for (size_t k = 0; task && k < task->count; k++)
            append_item(&value, task->items[k].review, task->items[k].time_ms);
        emit(context, reviews_key(state, key, undo->id), buffer_peek(&value), task != NULL);
    }
}

void partition_state_commit(struct partition_state *state)
{
    commit_events(state);
    forget_undo(state);
}

void partition_state_rollback(struct partition_state *state)
{
    rollback_events(state);
    rollback_reviews(state);
}

static void restore_chunk(struct partition_state *state, uint64_t number, struct bytes value)
{
    size_t count = value.size / ITEM_SIZE;
    struct chunk *chunk = find_chunk(state, number);
    if (chunk)
        drop_chunk(state, chunk);
    number_follows(state, number);
    if (count == 0)
        return;
    chunk = add_chunk(state, number, count);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *place = value.data + i * ITEM_SIZE;
        int64_t time_ms = item_time(place);
        chunk->events[i] = read_fingerprint(place);
        put_seen(state, chunk->events[i], time_ms, number);
        if (time_ms > chunk->newest_ms)
            chunk->newest_ms = time_ms;
    }
    if (chunk->newest_ms > state->newest_ms)
        state->newest_ms = chunk->newest_ms;
    state->committed_ms = state->newest_ms;
}

/* Of more reviews than may be, the newest: they stand last. */
static void restore_task(struct partition_state *state, struct fingerprint id, struct bytes value)
{
    size_t count = value.size / ITEM_SIZE;
    size_t skipped =
        count > state->settings.reviews_per_task ? count - state->settings.reviews_per_task : 0;
    struct open_review *items = NULL;
    if (count > 0)
        items = mem_resize(NULL, count - skipped, sizeof(struct open_review));
    for (size_t i = skipped; i < count; i++) {
        const uint8_t *place = value.data + i * ITEM_SIZE;
        items[i - skipped] =
            (struct open_review){.review = read_fingerprint(place), .time_ms = item_time(place)};
    }
    put_task(state, id, items, count - skipped);
}

enum partition_state_record partition_state_restore(struct partition_state *state, struct bytes key,
                                                    struct bytes value, bool has_value)
{
    assert(state->pending_count == 0 && !state->undo);
    bool events = key.size == EVENTS_KEY_SIZE && key.data[0] == 'E';
    bool reviews = key.size == REVIEWS_KEY_SIZE && key.data[0] == 'R';
    if (!(events || reviews) || value.size % ITEM_SIZE != 0)
        return PARTITION_STATE_MALFORMED;
    if (bytes_read_little_endian(key.data + 1, 4) != state->domain)
        return PARTITION_STATE_FOREIGN;
    struct bytes content = has_value ? value : bytes_of(NULL, 0);
    if (events)
        restore_chunk(state, bytes_read_little_endian(key.data + 5, 8), content);
    else
        restore_task(state, read_fingerprint(key.data + 5), content);
    return PARTITION_STATE_TAKEN;
}
