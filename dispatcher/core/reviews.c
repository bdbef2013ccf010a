/* The reviews that are alive, found by id and by task, and the way back to the last commit.
 *
 *     entries   id -> review                  as of now, with what the batch has changed
 *     tasks     task -> its reviews, a list
 *     deadlines when the first timer of each fires, the first of all on top
 *     undo      id -> what it was at the last commit, or that there was none
 *
 * A change makes a new entry, and the one before the first change since the commit is kept aside: a
 * rollback costs what the batch has touched.
 *
 * Invariant: an entry is open or claimed, in the list of its task, and among the deadlines if it has a
 * timer; a task that is there has at least one. Every review that differs from the last commit is in `undo`; a flush writes exactly
 * those. */
#include "reviews.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <utlist.h>

#include "deadlines.h"
#include "mem.h"
#include "partition_state_private.h"

struct entry {
    UT_hash_handle hh;
    struct review review; /* its texts are this entry's */
    struct reviewed *task;
    struct entry *prev, *next; /* of its task */
    struct deadline deadline;  /* of the first of its timers */
};

struct reviewed {
    UT_hash_handle hh;
    struct fingerprint id;
    struct entry *entries;
    size_t count; /* at least 1 */
};

struct review_undo {
    UT_hash_handle hh;
    struct review_id id;
    struct entry *before; /* not in any table; NULL: there was none */
};

struct reviews {
    struct reviews_limits limits;
    uint64_t hash_seed;
    struct entry *entries;
    struct reviewed *tasks;
    struct deadlines deadlines;
    struct review_undo *undo;
};

/* One of the parts is random enough to spread the reviews of one task. */
static unsigned hash_id(const struct reviews *reviews, struct review_id id)
{
    struct fingerprint mixed = {.high = id.task.high ^ id.instance, .low = id.task.low};
    return fingerprint_hash(mixed, reviews->hash_seed);
}

static bool review_id_equal(struct review_id a, struct review_id b)
{
    return fingerprint_equal(a.task, b.task) && a.instance == b.instance;
}

struct reviews *reviews_new(const struct reviews_limits *limits, uint64_t hash_seed)
{
    assert(limits->per_task >= 1);
    struct reviews *reviews = mem_new(struct reviews);
    reviews->limits = *limits;
    reviews->hash_seed = hash_seed;
    return reviews;
}

static struct bytes keep_bytes(struct bytes text)
{
    if (text.size == 0)
        return bytes_of(NULL, 0);
    uint8_t *copy = mem_alloc(text.size);
    memcpy(copy, text.data, text.size);
    return bytes_of(copy, text.size);
}

static void drop_bytes(struct bytes *text)
{
    free((void *)(uintptr_t)text->data);
    *text = bytes_of(NULL, 0);
}

static void entry_free(struct entry *entry)
{
    if (!entry)
        return;
    drop_bytes(&entry->review.text);
    drop_bytes(&entry->review.status.by);
    free(entry);
}

static void forget_review_undo(struct reviews *reviews)
{
    struct review_undo *undo;
    struct review_undo *next;
    HASH_ITER(hh, reviews->undo, undo, next) {
        HASH_DEL(reviews->undo, undo);
        entry_free(undo->before);
        free(undo);
    }
}

static struct entry *find_entry(const struct reviews *reviews, struct review_id id)
{
    struct entry *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, reviews->entries, &id, sizeof(id), hash_id(reviews, id), found);
    assert(!found || found->review.status.state <= REVIEW_CLAIMED);
    return found;
}

static struct reviewed *find_reviewed(const struct reviews *reviews, struct fingerprint task)
{
    struct reviewed *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, reviews->tasks, &task, sizeof(task),
                          fingerprint_hash(task, reviews->hash_seed), found);
    assert(!found || (found->entries && found->count > 0));
    return found;
}

static void put_entry(struct reviews *reviews, struct entry *entry)
{
    struct fingerprint id = entry->review.id.task;
    struct reviewed *task = find_reviewed(reviews, id);
    assert(!entry->task && !find_entry(reviews, entry->review.id));
    if (!task) {
        task = mem_new(struct reviewed);
        task->id = id;
        HASH_ADD_BYHASHVALUE(hh, reviews->tasks, id, sizeof(task->id),
                             fingerprint_hash(id, reviews->hash_seed), task);
    }
    DL_APPEND(task->entries, entry);
    task->count++;
    entry->task = task;
    HASH_ADD_BYHASHVALUE(hh, reviews->entries, review.id, sizeof(entry->review.id),
                         hash_id(reviews, entry->review.id), entry);
    entry->deadline.at_ms = review_timers_first(&entry->review.timers);
    if (entry->deadline.at_ms > 0)
        deadlines_add(&reviews->deadlines, &entry->deadline);
}

/* Out of the tables; the entry is the caller's then. */
static struct entry *take_entry(struct reviews *reviews, struct entry *entry)
{
    struct reviewed *task = entry->task;
    assert(task && task->count > 0);
    deadlines_remove(&reviews->deadlines, &entry->deadline);
    HASH_DEL(reviews->entries, entry);
    DL_DELETE(task->entries, entry);
    if (--task->count == 0) {
        HASH_DEL(reviews->tasks, task);
        free(task);
    }
    entry->task = NULL;
    return entry;
}

void reviews_free(struct reviews *reviews)
{
    struct entry *entry;
    struct entry *next;
    if (!reviews)
        return;
    forget_review_undo(reviews);
    HASH_ITER(hh, reviews->entries, entry, next)
        entry_free(take_entry(reviews, entry));
    assert(!reviews->tasks);
    deadlines_deinit(&reviews->deadlines);
    free(reviews);
}

const struct review *reviews_find(const struct reviews *reviews, struct review_id id)
{
    const struct entry *entry = find_entry(reviews, id);
    assert(!entry || review_id_equal(entry->review.id, id));
    return entry ? &entry->review : NULL;
}

const struct review *reviews_find_of_task(const struct reviews *reviews, struct fingerprint task)
{
    const struct reviewed *found = find_reviewed(reviews, task);
    return found ? &found->entries->review : NULL;
}

const struct review *reviews_first_due(const struct reviews *reviews)
{
    struct deadline *first = deadlines_first(&reviews->deadlines);
    return first ? &((struct entry *)((char *)first - offsetof(struct entry, deadline)))->review
                 : NULL;
}

static struct review_undo *find_undo(const struct reviews *reviews, struct review_id id)
{
    struct review_undo *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, reviews->undo, &id, sizeof(id), hash_id(reviews, id), found);
    return found;
}

/* Takes over what the review was before its first change since the commit; of a later change what
 * it was in between is nobody's. */
static void keep_before(struct reviews *reviews, struct review_id id, struct entry *before)
{
    if (find_undo(reviews, id)) {
        entry_free(before);
        return;
    }
    struct review_undo *undo = mem_new(struct review_undo);
    undo->id = id;
    undo->before = before;
    HASH_ADD_BYHASHVALUE(hh, reviews->undo, id, sizeof(undo->id), hash_id(reviews, id), undo);
}

static struct entry *new_entry(const struct review *review)
{
    struct entry *entry = mem_new(struct entry);
    assert(review->status.version >= 1 && review->status.state <= REVIEW_CLAIMED);
    assert((review->status.by.size > 0) == (review->status.state == REVIEW_CLAIMED));
    assert(review->timers.lapse_ms == 0 || review->status.state == REVIEW_CLAIMED);
    assert(review->timers.late_ms >= 0 && review->timers.lapse_ms >= 0);
    entry->review = *review;
    entry->review.text = keep_bytes(review->text);
    entry->review.status.by = keep_bytes(review->status.by);
    return entry;
}

/* Beyond the limits a review is not taken, rather than another forgotten: which of them has a life
 * must not depend on who comes later. */
bool reviews_open(struct reviews *reviews, struct review_id id, struct bytes text, int64_t late_ms)
{
    const struct reviewed *task = find_reviewed(reviews, id.task);
    assert(!find_entry(reviews, id));
    if (task ? task->count >= reviews->limits.per_task
             : HASH_COUNT(reviews->tasks) >= reviews->limits.tasks)
        return false;
    const struct review review = {
        .id = id, .text = text, .status = {.version = 1}, .timers = {.late_ms = late_ms}};
    keep_before(reviews, id, NULL);
    put_entry(reviews, new_entry(&review));
    return true;
}

void reviews_set(struct reviews *reviews, struct review_id id, const struct review_status *status,
                 int64_t lapse_ms)
{
    struct entry *entry = find_entry(reviews, id);
    assert(entry && status->version == entry->review.status.version + 1);
    struct review review = entry->review;
    review.status = *status;
    review.timers.lapse_ms = lapse_ms;
    struct entry *after = status->state <= REVIEW_CLAIMED ? new_entry(&review) : NULL;
    keep_before(reviews, id, take_entry(reviews, entry));
    if (after)
        put_entry(reviews, after);
}

void reviews_set_timers(struct reviews *reviews, struct review_id id,
                        const struct review_timers *timers)
{
    struct entry *entry = find_entry(reviews, id);
    assert(entry);
    struct review review = entry->review;
    review.timers = *timers;
    struct entry *after = new_entry(&review);
    keep_before(reviews, id, take_entry(reviews, entry));
    put_entry(reviews, after);
}

/* One that was opened and decided in the same batch is written as forgotten, too: nothing to forget
 * does no harm. */
void reviews_flush(const struct reviews *reviews, reviews_emit_fn *emit, void *context)
{
    for (const struct review_undo *undo = reviews->undo; undo; undo = undo->hh.next)
        emit(context, undo->id, reviews_find(reviews, undo->id));
}

void reviews_commit(struct reviews *reviews)
{
    forget_review_undo(reviews);
}

void reviews_rollback(struct reviews *reviews)
{
    for (struct review_undo *undo = reviews->undo; undo; undo = undo->hh.next) {
        struct entry *entry = find_entry(reviews, undo->id);
        if (entry)
            entry_free(take_entry(reviews, entry));
        if (undo->before)
            put_entry(reviews, undo->before);
        undo->before = NULL; /* in the tables again */
    }
    forget_review_undo(reviews);
}

void reviews_restore(struct reviews *reviews, struct review_id id, const struct review *review)
{
    struct entry *entry = find_entry(reviews, id);
    assert(!reviews_are_changed(reviews));
    if (entry)
        entry_free(take_entry(reviews, entry));
    if (review)
        put_entry(reviews, new_entry(review));
}

bool reviews_are_changed(const struct reviews *reviews)
{
    return reviews->undo;
}

size_t reviews_count(const struct reviews *reviews)
{
    return HASH_COUNT(reviews->entries);
}

size_t reviews_timed_count(const struct reviews *reviews)
{
    return reviews->deadlines.count;
}

size_t reviews_longest_chain(const struct reviews *reviews)
{
    size_t entries = table_longest_chain(reviews->entries ? reviews->entries->hh.tbl : NULL);
    size_t tasks = table_longest_chain(reviews->tasks ? reviews->tasks->hh.tbl : NULL);
    return entries > tasks ? entries : tasks;
}
