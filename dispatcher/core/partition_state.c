/* What is remembered of one partition, and the form in which the changelog keeps it.
 *
 * The parts (seen_events.c, open_reviews.c, item_orders.c, reviews.c) know nothing of records; this module owns the format,
 * so that a new one is made in one place. Each record replaces an earlier one with its key, and
 * compaction may drop all but the last of a key: what is left still gives the same state.
 *
 * Invariant: between two commits the state is the last committed one and a list of changes.
 * Nothing is restored into a state with changes, since what a rollback returns to would then be
 * neither. */
#include "partition_state.h"

#include <assert.h>
#include <stdlib.h>

#include "mem.h"
#include "open_reviews.h"
#include "room.h"
#include "seen_events.h"

/* A record of the changelog. Numbers are little-endian.
 *
 *   key    'E' | domain: 4 | number of the chunk: 8          events of one commit
 *          'R' | domain: 4 | fingerprint of the task: 16     open reviews of one task
 *   value  items of 24 bytes: fingerprint: 16 | time in ms since 1970: 8
 *          no value: the chunk, or the task, is forgotten
 *
 *   key    'V' | domain: 4 | fingerprint of the task: 16 | instance: 8      a review
 *   value  version: 4 | state: 1 | size of by: 2 | by | what it is about, JSON
 *          version: 4 | state + 128: 1 | size of by: 2 | late: 8 | late_count: 4 | lapse: 8 | by | JSON
 *          no value: it is decided or closed
 *
 * The second form is of a review with timers, times in ms since 1970. One that never had any is kept in
 * the first, which dispatchers read that know of no timers.
 *
 *   key    'O' | domain: 4 | fingerprint of tenant and item: 16     the order it was told with
 *   value  1 if that is a time, else 0: 1 | order: 8 | time in ms since 1970: 8
 *          no value: it is forgotten
 *
 * Versions with 64-bit fingerprints wrote e and r: their records are malformed here. */
enum {
    KEY_TYPE_SIZE = 1,
    KEY_DOMAIN_SIZE = 4,
    KEY_PREFIX_SIZE = KEY_TYPE_SIZE + KEY_DOMAIN_SIZE,
    FINGERPRINT_SIZE = 16,
    EVENTS_KEY_SIZE = KEY_PREFIX_SIZE + 8,
    REVIEWS_KEY_SIZE = KEY_PREFIX_SIZE + FINGERPRINT_SIZE,
    ITEM_SIZE = FINGERPRINT_SIZE + 8,
    REVIEW_KEY_SIZE = KEY_PREFIX_SIZE + FINGERPRINT_SIZE + 8,
    REVIEW_HEAD_SIZE = 4 + 1 + 2,
    REVIEW_TIMERS_SIZE = 8 + 4 + 8,
    REVIEW_HAS_TIMERS = 128, /* in the state */
    ORDER_KEY_SIZE = KEY_PREFIX_SIZE + FINGERPRINT_SIZE,
    ORDER_VALUE_SIZE = 1 + 8 + 8
};

struct partition_state {
    uint32_t domain;
    struct seen_events *events;
    struct open_reviews *reviews;
    struct reviews *living;
    struct item_orders *orders;
};

/* The seed goes to all tables and into no record: it is of this process alone. */
struct partition_state *partition_state_new(const struct partition_state_settings *settings,
                                            uint32_t domain)
{
    const struct open_reviews_limits limits = {.window_ms = settings->review_window_ms,
                                               .tasks = settings->review_tasks,
                                               .per_task = settings->reviews_per_task};
    struct partition_state *state = mem_new(struct partition_state);
    state->domain = domain;
    state->events =
        seen_events_new(settings->dedupe_window_ms, settings->dedupe_entries, settings->hash_seed);
    state->reviews = open_reviews_new(&limits, settings->hash_seed);
    const struct reviews_limits living = {.tasks = settings->review_tasks,
                                          .per_task = settings->reviews_per_task};
    state->living = reviews_new(&living, settings->hash_seed);
    state->orders =
        item_orders_new(settings->order_window_ms, settings->order_items, settings->hash_seed);
    return state;
}

void partition_state_free(struct partition_state *state)
{
    if (!state)
        return;
    seen_events_free(state->events);
    open_reviews_free(state->reviews);
    reviews_free(state->living);
    item_orders_free(state->orders);
    free(state);
}

bool partition_state_has_seen(const struct partition_state *state, struct fingerprint event,
                              int64_t time_ms)
{
    return seen_events_have(state->events, event, time_ms);
}

void partition_state_note(struct partition_state *state, struct fingerprint event, int64_t time_ms)
{
    seen_events_note(state->events, event, time_ms);
}

bool partition_state_review_is_open(const struct partition_state *state, struct fingerprint task,
                                    struct fingerprint review, int64_t time_ms)
{
    return open_reviews_have(state->reviews, task, review, time_ms);
}

bool partition_state_open_review(struct partition_state *state, struct fingerprint task,
                                 struct fingerprint review, int64_t time_ms)
{
    return open_reviews_add(state->reviews, task, review, time_ms);
}

void partition_state_close_reviews(struct partition_state *state, struct fingerprint task)
{
    open_reviews_close(state->reviews, task);
}

size_t partition_state_event_count(const struct partition_state *state)
{
    return seen_events_count(state->events);
}

size_t partition_state_review_count(const struct partition_state *state)
{
    return open_reviews_count(state->reviews);
}

size_t partition_state_living_count(const struct partition_state *state)
{
    return reviews_count(state->living);
}

size_t partition_state_timed_count(const struct partition_state *state)
{
    return reviews_timed_count(state->living);
}

int64_t partition_state_deadline(const struct partition_state *state)
{
    const struct review *first = reviews_first_due(state->living);
    return first ? review_timers_first(&first->timers) : 0;
}

struct reviews *partition_state_reviews(struct partition_state *state)
{
    return state->living;
}

struct item_orders *partition_state_orders(struct partition_state *state)
{
    return state->orders;
}

/* For the tests of the seed: whoever chooses ids must not be able to make this grow. */
size_t partition_state_longest_chain(const struct partition_state *state)
{
    const size_t chains[] = {
        seen_events_longest_chain(state->events), open_reviews_longest_chain(state->reviews),
        reviews_longest_chain(state->living), item_orders_longest_chain(state->orders)};
    size_t longest = 0;
    for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
        if (chains[i] > longest)
            longest = chains[i];
    return longest;
}

static bool is_changed(const struct partition_state *state)
{
    return seen_events_are_changed(state->events) || open_reviews_are_changed(state->reviews) ||
           reviews_are_changed(state->living) || item_orders_are_changed(state->orders);
}

/* All or none: an event that is remembered as seen has also had its effect on the reviews of
 * its task. */
void partition_state_commit(struct partition_state *state)
{
    seen_events_commit(state->events);
    open_reviews_commit(state->reviews);
    reviews_commit(state->living);
    item_orders_commit(state->orders);
    assert(!is_changed(state));
}

void partition_state_rollback(struct partition_state *state)
{
    seen_events_rollback(state->events);
    open_reviews_rollback(state->reviews);
    reviews_rollback(state->living);
    item_orders_rollback(state->orders);
    assert(!is_changed(state));
}

/* --- Writing records --- */

static void write_fingerprint(uint8_t *place, struct fingerprint id)
{
    bytes_write_little_endian(place, id.low, 8);
    bytes_write_little_endian(place + 8, id.high, 8);
}

static void append_items(struct buffer *value, const struct timed_fingerprint *items, size_t count)
{
    assert(count > 0);
    uint8_t *place = buffer_reserve(value, count * ITEM_SIZE);
    for (size_t i = 0; i < count; i++, place += ITEM_SIZE) {
        write_fingerprint(place, items[i].id);
        bytes_write_little_endian(place + FINGERPRINT_SIZE, (uint64_t)items[i].time_ms, 8);
    }
    buffer_commit(value, count * ITEM_SIZE);
}

struct state_writer {
    uint32_t domain;
    partition_state_emit_fn *emit;
    void *context;
};

/* No items is no value: a tombstone, by which compaction forgets the key. */
static void write_record(const struct state_writer *writer, struct bytes key,
                         const struct timed_fingerprint *items, size_t count)
{
    assert(key.size > KEY_PREFIX_SIZE);
    auto_buffer struct buffer value = {0};
    if (count > 0)
        append_items(&value, items, count);
    writer->emit(writer->context, key, buffer_peek(&value), count > 0);
}

/* The domain is in the key: compaction goes by keys, and two groups that share a changelog must
 * not replace one another's records. */
static void write_key_prefix(const struct state_writer *writer, uint8_t *key, uint8_t type)
{
    assert(type == 'E' || type == 'R' || type == 'V' || type == 'O');
    key[0] = type;
    bytes_write_little_endian(key + KEY_TYPE_SIZE, writer->domain, KEY_DOMAIN_SIZE);
}

/* A chunk's number is its name for good: the same number with no value forgets it. */
static void write_events(void *context, uint64_t chunk, const struct timed_fingerprint *events,
                         size_t count)
{
    assert(!events == (count == 0));
    uint8_t key[EVENTS_KEY_SIZE];
    write_key_prefix(context, key, 'E');
    bytes_write_little_endian(key + KEY_PREFIX_SIZE, chunk, 8);
    write_record(context, bytes_of(key, sizeof(key)), events, count);
}

static void write_reviews(void *context, struct fingerprint task,
                          const struct timed_fingerprint *reviews, size_t count)
{
    assert(!reviews == (count == 0));
    uint8_t key[REVIEWS_KEY_SIZE];
    write_key_prefix(context, key, 'R');
    write_fingerprint(key + KEY_PREFIX_SIZE, task);
    write_record(context, bytes_of(key, sizeof(key)), reviews, count);
}

static bool has_timers(const struct review_timers *timers)
{
    return timers->late_ms > 0 || timers->late_count > 0 || timers->lapse_ms > 0;
}

static void append_review_head(struct buffer *value, const struct review *review)
{
    const struct review_status *status = &review->status;
    const struct review_timers *timers = &review->timers;
    bool timed = has_timers(timers);
    uint8_t *head = buffer_reserve(value, REVIEW_HEAD_SIZE + REVIEW_TIMERS_SIZE);
    assert(status->by.size <= UINT16_MAX); /* a room's key: review_record.c */
    bytes_write_little_endian(head, status->version, 4);
    head[4] = (uint8_t)((unsigned)status->state | (timed ? REVIEW_HAS_TIMERS : 0));
    bytes_write_little_endian(head + 5, status->by.size, 2);
    bytes_write_little_endian(head + REVIEW_HEAD_SIZE, (uint64_t)timers->late_ms, 8);
    bytes_write_little_endian(head + REVIEW_HEAD_SIZE + 8, timers->late_count, 4);
    bytes_write_little_endian(head + REVIEW_HEAD_SIZE + 12, (uint64_t)timers->lapse_ms, 8);
    buffer_commit(value, REVIEW_HEAD_SIZE + (timed ? REVIEW_TIMERS_SIZE : 0));
}

static void write_review(void *context, struct review_id id, const struct review *review)
{
    const struct state_writer *writer = context;
    uint8_t key[REVIEW_KEY_SIZE];
    auto_buffer struct buffer value = {0};
    write_key_prefix(writer, key, 'V');
    write_fingerprint(key + KEY_PREFIX_SIZE, id.task);
    bytes_write_little_endian(key + KEY_PREFIX_SIZE + FINGERPRINT_SIZE, id.instance, 8);
    if (review) {
        append_review_head(&value, review);
        buffer_append(&value, review->status.by);
        buffer_append(&value, review->text);
    }
    writer->emit(writer->context, bytes_of(key, sizeof(key)), buffer_peek(&value), review != NULL);
}

static void write_order(void *context, struct fingerprint item, const struct told_order *told)
{
    const struct state_writer *writer = context;
    uint8_t key[ORDER_KEY_SIZE];
    uint8_t value[ORDER_VALUE_SIZE] = {0};
    write_key_prefix(writer, key, 'O');
    write_fingerprint(key + KEY_PREFIX_SIZE, item);
    if (told) {
        value[0] = told->order.is_time;
        bytes_write_little_endian(value + 1, (uint64_t)told->order.value, 8);
        bytes_write_little_endian(value + 9, (uint64_t)told->time_ms, 8);
    }
    writer->emit(writer->context, bytes_of(key, sizeof(key)),
                 bytes_of(value, told ? sizeof(value) : 0), told != NULL);
}

void partition_state_flush(struct partition_state *state, partition_state_emit_fn *emit,
                           void *context)
{
    struct state_writer writer = {.domain = state->domain, .emit = emit, .context = context};
    seen_events_flush(state->events, write_events, &writer);
    open_reviews_flush(state->reviews, write_reviews, &writer);
    reviews_flush(state->living, write_review, &writer);
    item_orders_flush(state->orders, write_order, &writer);
}

/* --- Reading records --- */

static struct fingerprint read_fingerprint(const uint8_t *place)
{
    return (struct fingerprint){.low = bytes_read_little_endian(place, 8),
                                .high = bytes_read_little_endian(place + 8, 8)};
}

/* The caller frees. */
static struct timed_fingerprint *read_items(struct bytes value, size_t count)
{
    assert(value.size == count * ITEM_SIZE);
    struct timed_fingerprint *items = mem_resize(NULL, count + 1, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        const uint8_t *place = value.data + i * ITEM_SIZE;
        items[i] = (struct timed_fingerprint){
            .id = read_fingerprint(place),
            .time_ms = (int64_t)bytes_read_little_endian(place + FINGERPRINT_SIZE, 8)};
    }
    return items;
}

static bool read_kept_timers(const uint8_t *place, enum review_state state,
                             struct review_timers *timers)
{
    uint64_t late_ms = bytes_read_little_endian(place, 8);
    uint64_t lapse_ms = bytes_read_little_endian(place + 12, 8);
    if (late_ms > INT64_MAX || lapse_ms > INT64_MAX || (lapse_ms > 0 && state != REVIEW_CLAIMED))
        return false;
    *timers = (struct review_timers){.late_ms = (int64_t)late_ms,
                                     .late_count = (uint32_t)bytes_read_little_endian(place + 8, 4),
                                     .lapse_ms = (int64_t)lapse_ms};
    return has_timers(timers);
}

/* Borrows from the value. False: none of ours. */
static bool read_kept_review(struct bytes value, struct review *review)
{
    auto_arena struct arena arena = {0};
    struct review_subject subject;
    if (value.size < REVIEW_HEAD_SIZE)
        return false;
    unsigned state = value.data[4] & ~(unsigned)REVIEW_HAS_TIMERS;
    bool timed = value.data[4] & REVIEW_HAS_TIMERS;
    size_t head = REVIEW_HEAD_SIZE + (timed ? REVIEW_TIMERS_SIZE : 0);
    uint64_t by = bytes_read_little_endian(value.data + 5, 2);
    if (state > REVIEW_CLAIMED || value.size < head || by > value.size - head ||
        (timed && !read_kept_timers(value.data + REVIEW_HEAD_SIZE, (enum review_state)state,
                                    &review->timers)))
        return false;
    review->status = (struct review_status){
        .state = (enum review_state)state,
        .version = (uint32_t)bytes_read_little_endian(value.data, 4),
        .by = bytes_of(value.data + head, (size_t)by),
    };
    review->text = bytes_skip(value, head + (size_t)by);
    return review->status.version >= 1 && review->status.version < UINT32_MAX &&
           (by > 0) == (review->status.state == REVIEW_CLAIMED) &&
           (by == 0 || room_key_valid(review->status.by)) &&
           review_subject_read(review->text, &arena, &subject);
}

static enum partition_state_record restore_review(struct partition_state *state,
                                                  const uint8_t *subject, struct bytes value,
                                                  bool has_value)
{
    struct review review = {
        .id = {.task = read_fingerprint(subject),
               .instance = bytes_read_little_endian(subject + FINGERPRINT_SIZE, 8)}};
    if (has_value && !read_kept_review(value, &review))
        return PARTITION_STATE_MALFORMED;
    reviews_restore(state->living, review.id, has_value ? &review : NULL);
    return PARTITION_STATE_TAKEN;
}

static enum partition_state_record restore_order(struct partition_state *state,
                                                 const uint8_t *subject, struct bytes value,
                                                 bool has_value)
{
    struct told_order told = {0};
    if (has_value) {
        if (value.size != ORDER_VALUE_SIZE || value.data[0] > 1)
            return PARTITION_STATE_MALFORMED;
        told.order.is_time = value.data[0] == 1;
        told.order.value = (int64_t)bytes_read_little_endian(value.data + 1, 8);
        told.time_ms = (int64_t)bytes_read_little_endian(value.data + 9, 8);
    }
    item_orders_restore(state->orders, read_fingerprint(subject), has_value ? &told : NULL);
    return PARTITION_STATE_TAKEN;
}

/* The record may be anything: the topic is Kafka's, and others may write to it. Nothing is
 * changed unless all of it is sound. */
enum partition_state_record partition_state_restore(struct partition_state *state, struct bytes key,
                                                    struct bytes value, bool has_value)
{
    assert(!is_changed(state));
    bool has_review = key.size == REVIEW_KEY_SIZE && key.data[0] == 'V';
    bool has_events = key.size == EVENTS_KEY_SIZE && key.data[0] == 'E';
    bool has_reviews = key.size == REVIEWS_KEY_SIZE && key.data[0] == 'R';
    bool has_order = key.size == ORDER_KEY_SIZE && key.data[0] == 'O';
    if (!has_review && !has_order && (!(has_events || has_reviews) || value.size % ITEM_SIZE != 0))
        return PARTITION_STATE_MALFORMED;
    /* A foreign record is left alone and not an error: groups may share a changelog. */
    if (bytes_read_little_endian(key.data + KEY_TYPE_SIZE, KEY_DOMAIN_SIZE) != state->domain)
        return PARTITION_STATE_FOREIGN;
    if (has_review)
        return restore_review(state, key.data + KEY_PREFIX_SIZE, value, has_value);
    if (has_order)
        return restore_order(state, key.data + KEY_PREFIX_SIZE, value, has_value);
    struct bytes content = has_value ? value : bytes_of(NULL, 0);
    size_t count = content.size / ITEM_SIZE;
    struct timed_fingerprint *items = read_items(content, count);
    const uint8_t *subject = key.data + KEY_PREFIX_SIZE;
    if (has_events)
        seen_events_restore(state->events, bytes_read_little_endian(subject, 8), items, count);
    else
        open_reviews_restore(state->reviews, read_fingerprint(subject), items, count);
    free(items);
    return PARTITION_STATE_TAKEN;
}
