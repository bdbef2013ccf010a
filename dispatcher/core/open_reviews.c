/* The reviews that are open, by task, and what is needed to undo the changes of a batch.
 *
 *     tasks   task -> [review, review, ...]       as of now, with what the batch has changed
 *     undo    task -> [review, ...]               what it was at the last commit, if it has changed
 *
 * Each change keeps a copy of its task before the first one, so a rollback costs what the batch has
 * touched and not what is remembered. A task's reviews are one small array that is replaced as a
 * whole: the limit per task keeps it so.
 *
 * Invariant: a task in `tasks` has at least one review; every task that differs from the last
 * commit is in `undo`. A flush writes exactly the tasks in `undo`. */
#include "open_reviews.h"

#include <assert.h>
#include <stdlib.h>

#include "mem.h"
#include "partition_state_private.h"

struct reviewed_task {
    UT_hash_handle hh;
    struct fingerprint id;
    size_t count; /* at least 1 */
    struct timed_fingerprint *items;
};

/* What a task was at the last commit. */
struct undo {
    UT_hash_handle hh;
    struct fingerprint id;
    size_t count; /* 0: there was none */
    struct timed_fingerprint *items;
};

struct open_reviews {
    struct open_reviews_limits limits;
    uint64_t hash_seed;
    struct reviewed_task *tasks;
    struct undo *undo; /* one for each task that has changed, in the order of the first change */
};

struct open_reviews *open_reviews_new(const struct open_reviews_limits *limits, uint64_t hash_seed)
{
    assert(limits->per_task >= 1 && limits->window_ms >= 0);
    struct open_reviews *reviews = mem_new(struct open_reviews);
    reviews->limits = *limits;
    reviews->hash_seed = hash_seed;
    return reviews;
}

/* Also after a rollback, when the copies have gone back to their tasks and only the entries are
 * left. */
static void forget_undo(struct open_reviews *reviews)
{
    struct undo *undo;
    struct undo *next;
    HASH_ITER(hh, reviews->undo, undo, next) {
        HASH_DEL(reviews->undo, undo);
        free(undo->items);
        free(undo);
    }
}

void open_reviews_free(struct open_reviews *reviews)
{
    struct reviewed_task *task;
    struct reviewed_task *next;
    if (!reviews)
        return;
    HASH_ITER(hh, reviews->tasks, task, next) {
        HASH_DEL(reviews->tasks, task);
        free(task->items);
        free(task);
    }
    forget_undo(reviews);
    free(reviews);
}

size_t open_reviews_count(const struct open_reviews *reviews)
{
    return HASH_COUNT(reviews->tasks);
}

bool open_reviews_are_changed(const struct open_reviews *reviews)
{
    return reviews->undo;
}

size_t open_reviews_longest_chain(const struct open_reviews *reviews)
{
    size_t tasks = table_longest_chain(reviews->tasks ? reviews->tasks->hh.tbl : NULL);
    size_t undo = table_longest_chain(reviews->undo ? reviews->undo->hh.tbl : NULL);
    return tasks > undo ? tasks : undo;
}

/* A task is found by its fingerprint alone: two tasks with one fingerprint are not made by
 * anybody (fingerprint.h). */
static struct reviewed_task *find_task(const struct open_reviews *reviews, struct fingerprint id)
{
    struct reviewed_task *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, reviews->tasks, &id, sizeof(id),
                          fingerprint_hash(id, reviews->hash_seed), found);
    assert(!found || found->count > 0);
    return found;
}

/* NULL for none: a task without reviews is not there, and a copy of it has no array. */
static struct timed_fingerprint *copy_items(const struct timed_fingerprint *items, size_t count)
{
    if (count == 0)
        return NULL;
    struct timed_fingerprint *copy = mem_resize(NULL, count, sizeof(*copy));
    memcpy(copy, items, count * sizeof(*copy));
    return copy;
}

/* Takes the items over; without any, the task is forgotten. */
static void put_task(struct open_reviews *reviews, struct fingerprint id,
                     struct timed_fingerprint *items, size_t count)
{
    assert(!items == (count == 0));
    struct reviewed_task *task = find_task(reviews, id);
    if (task)
        free(task->items);
    if (count == 0) {
        if (task)
            HASH_DEL(reviews->tasks, task);
        free(task);
        return;
    }
    if (!task) {
        task = mem_new(struct reviewed_task);
        task->id = id;
        HASH_ADD_BYHASHVALUE(hh, reviews->tasks, id, sizeof(task->id),
                             fingerprint_hash(id, reviews->hash_seed), task);
    }
    task->items = items;
    task->count = count;
}

/* Before each change. Only the first of a task counts: it is the last commit that comes back. */
static void keep_for_undo(struct open_reviews *reviews, struct fingerprint id)
{
    unsigned hash = fingerprint_hash(id, reviews->hash_seed);
    struct undo *undo = NULL;
    HASH_FIND_BYHASHVALUE(hh, reviews->undo, &id, sizeof(id), hash, undo);
    if (undo)
        return;
    const struct reviewed_task *task = find_task(reviews, id);
    undo = mem_new(struct undo);
    undo->id = id;
    if (task) {
        undo->count = task->count;
        undo->items = copy_items(task->items, task->count);
    }
    HASH_ADD_BYHASHVALUE(hh, reviews->undo, id, sizeof(undo->id), hash, undo);
}

/* By the time of records: a dispatcher that reads an old part of the log again judges as it did
 * then. */
static bool is_over(const struct open_reviews *reviews, const struct timed_fingerprint *review,
                    int64_t time_ms)
{
    return passed_ms(review->time_ms, time_ms) >= (uint64_t)reviews->limits.window_ms;
}

/* A review that is over is left where it is: reading changes nothing, and the next change of the
 * task drops it. */
bool open_reviews_have(const struct open_reviews *reviews, struct fingerprint task_id,
                       struct fingerprint review, int64_t time_ms)
{
    const struct reviewed_task *task = find_task(reviews, task_id);
    for (size_t i = 0; task && i < task->count; i++)
        if (fingerprint_equal(task->items[i].id, review))
            return !is_over(reviews, &task->items[i], time_ms);
    return false;
}

/* Reviews that are over make room: they are left out of the copy. */
bool open_reviews_add(struct open_reviews *reviews, struct fingerprint task_id,
                      struct fingerprint review, int64_t time_ms)
{
    const struct reviewed_task *task = find_task(reviews, task_id);
    size_t before = task ? task->count : 0;
    if (reviews->limits.window_ms == 0)
        return true;
    /* Tasks beyond the limit are not remembered, rather than others forgotten: a task that is
     * forgotten may have its alert sent twice, and which of them that is should not depend on
     * who else is busy. */
    if (!task && HASH_COUNT(reviews->tasks) >= reviews->limits.tasks)
        return false;
    assert(before <= reviews->limits.per_task);
    struct timed_fingerprint *items = mem_resize(NULL, before + 1, sizeof(*items));
    size_t count = 0;
    for (size_t i = 0; i < before; i++)
        if (!fingerprint_equal(task->items[i].id, review) &&
            !is_over(reviews, &task->items[i], time_ms))
            items[count++] = task->items[i];
    if (count >= reviews->limits.per_task) {
        free(items);
        return false;
    }
    items[count++] = (struct timed_fingerprint){.id = review, .time_ms = time_ms};
    keep_for_undo(reviews, task_id);
    put_task(reviews, task_id, items, count);
    return true;
}

/* A task without open reviews is no change: most events that close reviews have none to close,
 * and must not cost a record in the changelog. */
void open_reviews_close(struct open_reviews *reviews, struct fingerprint task_id)
{
    if (!find_task(reviews, task_id))
        return;
    keep_for_undo(reviews, task_id);
    put_task(reviews, task_id, NULL, 0);
}

/* Each task as it is now, whatever happened to it in between. One that ends as it began is
 * written too, which is rare and does no harm. */
void open_reviews_flush(const struct open_reviews *reviews, open_reviews_emit_fn *emit,
                        void *context)
{
    for (const struct undo *undo = reviews->undo; undo; undo = undo->hh.next) {
        const struct reviewed_task *task = find_task(reviews, undo->id);
        emit(context, undo->id, task ? task->items : NULL, task ? task->count : 0);
    }
}

/* Nothing to do but to forget the way back: `tasks` holds the changes already. */
void open_reviews_commit(struct open_reviews *reviews)
{
    forget_undo(reviews);
}

void open_reviews_rollback(struct open_reviews *reviews)
{
    for (struct undo *undo = reviews->undo; undo; undo = undo->hh.next) {
        put_task(reviews, undo->id, undo->items, undo->count);
        undo->items = NULL; /* the task's now */
    }
    forget_undo(reviews);
}

/* The newest reviews stand last, so those stay when the limit is lower than it was when they
 * were written. The limit of tasks is not applied: what was promised is kept. */
void open_reviews_restore(struct open_reviews *reviews, struct fingerprint task,
                          const struct timed_fingerprint *items, size_t count)
{
    assert(!open_reviews_are_changed(reviews));
    size_t most = reviews->limits.per_task;
    size_t kept = count > most ? most : count;
    put_task(reviews, task, kept > 0 ? copy_items(items + (count - kept), kept) : NULL, kept);
}
