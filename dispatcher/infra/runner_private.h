/* What runner*.c share. Not for others. Who calls whom:
 *
 *   runner.c (the loop) -> runner_watch.c -> runner_start.c (clients) -> runner_batch.c
 *                       -> runner_send.c  -> runner_start.c, runner_batch.c, runner_timers.c
 *                       -> runner_batch.c -> runner_timers.c
 */
#ifndef DISPATCHER_INFRA_RUNNER_PRIVATE_H
#define DISPATCHER_INFRA_RUNNER_PRIVATE_H

#include "clocks.h"
#include "consumer.h"
#include "input_watch.h"
#include "log_clock.h"
#include "producer.h"
#include "runner.h"
#include "shadow.h"
#include "state_store.h"
#include "topics.h"

enum { REJECTED_LIMIT = 64 };

/* A record that cannot be sent, by its place: it goes to the dead-letter topic when it is read
 * again. */
struct rejected {
    char topic[KAFKA_TOPIC_LIMIT + 1];
    int32_t partition;
    int64_t offset;
    char problem[256];
};

/* How often another took our name in the last minute: once may be our own earlier request, which
 * the broker saw twice; again and again, it is another dispatcher with our slot. */
struct fences {
    unsigned count;
    int64_t since_ms;
};

struct runner {
    struct runner_options options;
    struct consumer *consumer;
    struct producer *producer;
    struct topics *topics;
    struct pipeline *pipeline;
    struct shadow *shadow; /* of the same rules; NULL: none is in shadow */
    struct changelog
        *changelog; /* NULL: the broker has no transactions, or nothing is remembered */
    struct state_store *store;
    bool keeps_items;          /* in state topics */
    const char **input_topics; /* and the log of reviews */
    struct log_clock clock;    /* by which timers of reviews fire */
    bool clock_is_told;        /* not to be that of this machine */
    bool asks_time;            /* this batch */
    int64_t timers_after_ms;   /* monotonic: timers are not looked at before */
    size_t timers_turn;        /* whose are first */
    /* Of the partitions whose timers fire in this batch: what is committed. NULL: of none. */
    rd_kafka_topic_partition_list_t *timer_offsets;
    int32_t input_partitions; /* of the input topic that has most */
    uint64_t hash_seed;       /* random: of the tables whose keys come from outside */
    /* Group and slot: the transactional id and the member's name. */
    char identity[SETTINGS_IDENTITY_SIZE];

    /* The batch: records that were read and are not yet sent. */
    rd_kafka_message_t **messages;
    size_t count;
    size_t bytes;            /* of their keys and values */
    size_t limit;            /* now; smaller than configured while a culprit is looked for */
    bool had_first;          /* the last batch was of the first topic alone */
    int64_t people_until_us; /* monotonic: until then batches of events are small */
    size_t suspects; /* records among which it is: until they are sent, the limit does not grow */
    struct batch batch;
    int *sources; /* of each output: which record it comes from */
    size_t source_capacity;

    struct rejected rejected[REJECTED_LIMIT];
    size_t rejected_count;
    unsigned failures; /* in a row */
    struct fences producer_fences;
    struct fences consumer_fences;
    int64_t sent_us; /* when the last transaction ended */
    struct input_watch *watch;
    int64_t heard_ms;   /* when a record last came */
    int64_t renewed_ms; /* when the consumer was last replaced because nothing came */
    unsigned renewals;  /* in a row, without hearing anything */
    bool stands_still;  /* the input, as far as is known */
    int64_t next_watch_ms;
    int64_t next_state_ms;
    int64_t next_rules_ms;
    struct error fatal;
};

static inline bool runner_stopped(const struct runner *runner)
{
    return *runner->options.stop != 0 || runner->fatal.status != STATUS_OK;
}

/* Waits, or less if told to stop: in steps, since a signal that comes just before a wait does not
 * end it. */
static inline void runner_pause(const struct runner *runner, int64_t duration_ms)
{
    enum { STEP_MS = 50 };
    int64_t end_ms = monotonic_ms() + duration_ms;
    for (int64_t left = duration_ms; left > 0 && !runner_stopped(runner);
         left = end_ms - monotonic_ms()) {
        int64_t step = left < STEP_MS ? left : STEP_MS;
        nanosleep(&(struct timespec){.tv_nsec = step * 1000000}, NULL);
    }
}

/* Everything before the first record. False: told to stop, or fatal. */
bool runner_start(struct runner *runner) MUST_CHECK;

/* A new consumer in place of one that can never read again; nothing if it can. The batch must be
 * empty. False: fatal. */
bool runner_keep_consumer(struct runner *runner) MUST_CHECK;

/* A new consumer in any case. The batch must be empty. False: fatal. */
bool runner_replace_consumer(struct runner *runner) MUST_CHECK;

/* Records came: the input is read. */
static inline void runner_heard(struct runner *runner, int64_t now_ms)
{
    runner->heard_ms = now_ms;
    runner->renewals = 0;
    runner->stands_still = false;
}

/* Looks, when it is time, whether the input is read, and helps if it is not. The batch must be
 * empty. False: fatal. */
bool runner_watch(struct runner *runner) MUST_CHECK;

/* Has all states restored, as long as it takes. False: told to stop. */
bool runner_restore_state(struct runner *runner) MUST_CHECK;

/* After its handle died. False: told to stop, or fatal. */
bool runner_reopen_producer(struct runner *runner) MUST_CHECK;

/* Makes sure that the topics of all outputs are there. False: the batch must be given back. */
bool runner_ensure_topics(struct runner *runner) MUST_CHECK;

/* Reads into the batch until it is full, old enough, or nothing more is there. */
void runner_collect(struct runner *runner);

/* Has the pipeline judge the batch. */
void runner_judge(struct runner *runner);

/* Forgets the batch and reads its partitions again from their committed offsets. */
void runner_give_back(struct runner *runner);

/* Forgets those records of the batch that are of these partitions. */
void runner_drop(struct runner *runner, const rd_kafka_topic_partition_list_t *partitions);

void runner_forget(struct runner *runner);

/* Whether timers of reviews have to be looked at now. */
bool runner_timers_are_due(const struct runner *runner);

/* Adds to the batch what timers that are due come to, after its records. */
void runner_fire_timers(struct runner *runner);

/* The batch was sent: the broker may have said what time it is. */
void runner_learn_time(struct runner *runner);

/* Those of the last batch. */
void runner_forget_timers(struct runner *runner);

/* The record at `index` of the batch is to be a dead letter the next time. */
void runner_reject(struct runner *runner, int index, const char *problem);

/* Sends what the batch came to, with its offsets. True: committed. */
bool runner_send(struct runner *runner);

#endif
