/* Which events one partition has had, in chunks.
 *
 * An event is written to the changelog with the others of its commit, as one record, and forgotten
 * with them; so a batch of a thousand events costs one record and not a thousand, and forgetting
 * needs no list by age. The price is that an event may be remembered for as long as the newest of
 * its chunk.
 *
 * Invariant: an event in `seen` names the newest chunk that has it, and goes when that chunk
 * goes. Chunks are in the order of their commits, so the oldest are at the front and only the
 * front is ever dropped for age or number. Changes that are not committed are a list that is
 * undone from its end. */
#include "seen_events.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "mem.h"
#include "partition_state_private.h"

/* An event that was seen. `chunk` is the one with which it is forgotten: the newest that has it. */
struct seen_event {
    UT_hash_handle hh;
    struct fingerprint id;
    int64_t time_ms;
    uint64_t chunk;
};

/* The events of one commit. Some of them may have been noted again since and belong to a later
 * chunk. */
struct chunk {
    UT_hash_handle hh;
    struct chunk *prev;
    struct chunk *next;
    uint64_t number;
    int64_t newest_ms;
    size_t count;
    struct fingerprint events[];
};

/* A change that is not committed: what a noted event was before. */
struct noted_event {
    struct fingerprint id;
    bool existed; /* then it was of this time and this chunk */
    int64_t time_ms;
    uint64_t chunk;
};

/*     chunks (oldest first)                      noted, not committed
 *   [3: a b] -> [4: c] -> [7: d e f]             next_chunk = 8: g, b
 *
 * Every id here is in `seen`, once. A commit makes the noted ones the last chunk. A rollback goes
 * through `noted` backwards. */
struct seen_events {
    int64_t window_ms;
    size_t most;
    uint64_t hash_seed;
    struct seen_event *seen;
    struct chunk *chunks;    /* oldest first */
    struct chunk *by_number; /* the same */
    size_t chunk_events;     /* in all chunks */
    uint64_t next_chunk;     /* there is none of this number */
    int64_t newest_ms;
    int64_t committed_ms; /* what that was at the last commit */
    struct noted_event *noted;
    size_t noted_count;
    size_t noted_capacity;
    size_t leaving; /* chunks at the front that go with the next commit */
};

struct seen_events *seen_events_new(int64_t window_ms, size_t most, uint64_t hash_seed)
{
    assert(window_ms >= 0);
    struct seen_events *events = mem_new(struct seen_events);
    events->window_ms = window_ms;
    events->most = most;
    events->hash_seed = hash_seed;
    return events;
}

/* HASH_CLEAR() frees the table, the list frees its chunks: both tables hold the same ones. */
void seen_events_free(struct seen_events *events)
{
    struct seen_event *seen;
    struct seen_event *next_seen;
    struct chunk *chunk;
    struct chunk *next_chunk;
    if (!events)
        return;
    HASH_ITER(hh, events->seen, seen, next_seen) {
        HASH_DEL(events->seen, seen);
        free(seen);
    }
    HASH_CLEAR(hh, events->by_number);
    DL_FOREACH_SAFE(events->chunks, chunk, next_chunk)
        free(chunk);
    free(events->noted);
    free(events);
}

size_t seen_events_count(const struct seen_events *events)
{
    return HASH_COUNT(events->seen);
}

bool seen_events_are_changed(const struct seen_events *events)
{
    return events->noted_count > 0;
}

size_t seen_events_longest_chain(const struct seen_events *events)
{
    size_t seen = table_longest_chain(events->seen ? events->seen->hh.tbl : NULL);
    size_t chunks = table_longest_chain(events->by_number ? events->by_number->hh.tbl : NULL);
    return seen > chunks ? seen : chunks;
}

/* --- Events --- */

/* The seed makes the place of an event unknown to whoever chose its id. */
static struct seen_event *find_seen(const struct seen_events *events, struct fingerprint id)
{
    struct seen_event *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, events->seen, &id, sizeof(id),
                          fingerprint_hash(id, events->hash_seed), found);
    return found;
}

/* An event that is noted again moves to the chunk at hand: the old chunk goes without it. */
static void put_seen(struct seen_events *events, struct fingerprint id, int64_t time_ms,
                     uint64_t chunk)
{
    struct seen_event *seen = find_seen(events, id);
    if (!seen) {
        seen = mem_new(struct seen_event);
        seen->id = id;
        HASH_ADD_BYHASHVALUE(hh, events->seen, id, sizeof(seen->id),
                             fingerprint_hash(id, events->hash_seed), seen);
    }
    seen->time_ms = time_ms;
    seen->chunk = chunk;
}

/* The entry alone: that a chunk names the event is no matter, since the chunk looks before it
 * forgets. */
static void forget_seen(struct seen_events *events, struct seen_event *seen)
{
    assert(events->seen);
    HASH_DEL(events->seen, seen);
    free(seen);
}

/* Apart in either direction: records of one partition may bear times that go back, and a copy
 * that is a little older than the first is a copy all the same. */
bool seen_events_have(const struct seen_events *events, struct fingerprint event, int64_t time_ms)
{
    const struct seen_event *seen = find_seen(events, event);
    if (!seen)
        return false;
    uint64_t apart_ms = passed_ms(seen->time_ms, time_ms) + passed_ms(time_ms, seen->time_ms);
    return apart_ms < (uint64_t)events->window_ms;
}

/* What was known of the event before is kept in `noted`, so that a rollback restores it exactly,
 * also its place in an older chunk. */
void seen_events_note(struct seen_events *events, struct fingerprint event, int64_t time_ms)
{
    if (events->window_ms == 0)
        return;
    const struct seen_event *before = find_seen(events, event);
    if (events->noted_count == events->noted_capacity) {
        events->noted_capacity = events->noted_capacity == 0 ? 64 : events->noted_capacity * 2;
        events->noted =
            mem_resize(events->noted, events->noted_capacity, sizeof(struct noted_event));
    }
    struct noted_event *noted = &events->noted[events->noted_count++];
    *noted = (struct noted_event){.id = event, .existed = before};
    if (before) {
        noted->time_ms = before->time_ms;
        noted->chunk = before->chunk;
    }
    put_seen(events, event, time_ms, events->next_chunk);
    if (time_ms > events->newest_ms)
        events->newest_ms = time_ms;
}

/* --- Chunks --- */

/* Chunk numbers come from the changelog, which others may write to, so they are spread by the
 * seed as well. */
static unsigned hash_of_number(const struct seen_events *events, uint64_t number)
{
    return fingerprint_hash((struct fingerprint){.low = number}, events->hash_seed);
}

static struct chunk *find_chunk(const struct seen_events *events, uint64_t number)
{
    struct chunk *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, events->by_number, &number, sizeof(number),
                          hash_of_number(events, number), found);
    return found;
}

/* Numbers go up. One that the changelog has may be any, and the last of all: then they begin anew,
 * and those that are in use are passed over. */
static void number_follows(struct seen_events *events, uint64_t number)
{
    if (number >= events->next_chunk)
        events->next_chunk = number + 1;
    while (find_chunk(events, events->next_chunk))
        events->next_chunk++;
}

/* The events are filled in by the caller; the chunk is at the end of the list, being the newest. */
static struct chunk *add_chunk(struct seen_events *events, uint64_t number, size_t count)
{
    assert(count > 0 && !find_chunk(events, number));
    struct chunk *chunk = mem_alloc(sizeof(struct chunk) + count * sizeof(struct fingerprint));
    chunk->number = number;
    chunk->count = count;
    DL_APPEND(events->chunks, chunk);
    HASH_ADD_BYHASHVALUE(hh, events->by_number, number, sizeof(chunk->number),
                         hash_of_number(events, number), chunk);
    events->chunk_events += count;
    number_follows(events, number);
    return chunk;
}

/* Events that were noted again since belong to a later chunk and stay. */
static void drop_chunk(struct seen_events *events, struct chunk *chunk)
{
    assert(chunk && events->by_number);
    for (size_t i = 0; i < chunk->count; i++) {
        struct seen_event *seen = find_seen(events, chunk->events[i]);
        if (seen && seen->chunk == chunk->number)
            forget_seen(events, seen);
    }
    DL_DELETE(events->chunks, chunk);
    HASH_DEL(events->by_number, chunk);
    assert(events->chunk_events >= chunk->count);
    events->chunk_events -= chunk->count;
    free(chunk);
}

/* Too old as a whole, or too many in all. Whole chunks leave, so there may be fewer left than
 * the limit allows by less than one chunk. */
static bool must_leave(const struct seen_events *events, const struct chunk *chunk, size_t left)
{
    return passed_ms(chunk->newest_ms, events->newest_ms) >= (uint64_t)events->window_ms ||
           left > events->most;
}

/* --- Changes --- */

/* Decides what the commit will do and changes nothing but `leaving`: a flush that is not
 * committed has had no effect. The chunk at hand does not leave with its own commit. */
void seen_events_flush(struct seen_events *events, seen_events_emit_fn *emit, void *context)
{
    if (events->noted_count > 0) {
        struct timed_fingerprint *items =
            mem_resize(NULL, events->noted_count, sizeof(struct timed_fingerprint));
        for (size_t i = 0; i < events->noted_count; i++) {
            const struct seen_event *seen = find_seen(events, events->noted[i].id);
            assert(seen && seen->chunk == events->next_chunk);
            items[i] = (struct timed_fingerprint){.id = seen->id, .time_ms = seen->time_ms};
        }
        emit(context, events->next_chunk, items, events->noted_count);
        free(items);
    }
    size_t left = events->chunk_events + events->noted_count;
    events->leaving = 0;
    for (const struct chunk *chunk = events->chunks; chunk && must_leave(events, chunk, left);
         chunk = chunk->next) {
        emit(context, chunk->number, NULL, 0);
        events->leaving++;
        assert(left >= chunk->count);
        left -= chunk->count;
    }
}

/* Exactly what was flushed: the chunk of what was noted, then the chunks that were told to
 * leave. A commit without a flush forgets nothing. */
void seen_events_commit(struct seen_events *events)
{
    if (events->noted_count > 0) {
        struct chunk *chunk = add_chunk(events, events->next_chunk, events->noted_count);
        for (size_t i = 0; i < events->noted_count; i++) {
            const struct seen_event *seen = find_seen(events, events->noted[i].id);
            assert(seen && seen->chunk == chunk->number);
            chunk->events[i] = seen->id;
            if (seen->time_ms > chunk->newest_ms)
                chunk->newest_ms = seen->time_ms;
        }
        events->noted_count = 0;
    }
    for (; events->leaving > 0; events->leaving--)
        drop_chunk(events, events->chunks);
    events->committed_ms = events->newest_ms;
}

/* Backwards: an event that was noted twice ends as it was before the first time. */
void seen_events_rollback(struct seen_events *events)
{
    while (events->noted_count > 0) {
        const struct noted_event *noted = &events->noted[--events->noted_count];
        struct seen_event *seen = find_seen(events, noted->id);
        assert(seen);
        if (noted->existed) {
            seen->time_ms = noted->time_ms;
            seen->chunk = noted->chunk;
        } else {
            forget_seen(events, seen);
        }
    }
    events->leaving = 0;
    events->newest_ms = events->committed_ms;
}

/* A number that is there already is replaced, as compaction would have it; without items it is
 * forgotten. The newest time counts as committed, so that a rollback does not go back before it. */
void seen_events_restore(struct seen_events *events, uint64_t number,
                         const struct timed_fingerprint *items, size_t count)
{
    assert(!seen_events_are_changed(events));
    struct chunk *chunk = find_chunk(events, number);
    if (chunk)
        drop_chunk(events, chunk);
    number_follows(events, number);
    if (count == 0)
        return;
    chunk = add_chunk(events, number, count);
    for (size_t i = 0; i < count; i++) {
        chunk->events[i] = items[i].id;
        put_seen(events, items[i].id, items[i].time_ms, number);
        if (items[i].time_ms > chunk->newest_ms)
            chunk->newest_ms = items[i].time_ms;
    }
    if (chunk->newest_ms > events->newest_ms)
        events->newest_ms = chunk->newest_ms;
    events->committed_ms = events->newest_ms;
}
