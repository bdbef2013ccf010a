/* Two things that are asked of a broker for views: where logs end, as rounds on the worker, and what
 * is in them, by a pool of consumers of its own (kafka_scan.h), so that nobody who catches up waits
 * for a view that is loaded.
 *
 * The invariant: a question has one answer, or is taken back; answers come from the service alone,
 * never from inside a call of the hub. */
#include "kafka_states.h"

#include <assert.h>
#include <stdio.h>

#include "event_descriptor.h"
#include "hub.h"
#include "kafka_client.h"
#include "kafka_ends.h"
#include "log.h"
#include "mem.h"

/* Keys are addresses, which nobody outside chooses. */
#define HASH_FUNCTION(key, size, value) (value) = (unsigned)XXH3_64bits(key, size)
#include <uthash.h>
#include <xxhash.h>

struct state_question {
    uint64_t id; /* of the request: the lane's memory may be another's meanwhile */
    struct lane *lane;
    unsigned number; /* the hub's */
    bool of_lane;
    int32_t partition, partition_count;
    UT_hash_handle hh;
    char topic[KAFKA_TOPIC_LIMIT + 1];
};

struct kafka_states {
    struct kafka_states_config config;
    struct kafka_client client; /* opened with the first question */
    struct kafka_scan_pool *pool;
    struct kafka_ends_round *round;                /* under way, or NULL */
    struct lane *lanes[KAFKA_ENDS_REQUESTS_LIMIT]; /* of its requests */
    struct state_question *questions;              /* by lane, in the order of asking */
    uint64_t last_id;
};

/* --- what is read ------------------------------------------------------------------------------- */

static bool load_record(void *context, struct lane *lane, const struct lane_record *record)
{
    const struct kafka_states *states = context;
    hub_state_record(states->config.hub, lane, record);
    return true;
}

static void load_ended(void *context, struct lane *lane, enum status status)
{
    const struct kafka_states *states = context;
    if (status != STATUS_OK)
        log_warning("a state topic is to be read again", LOG_STRING("reason", status_text(status)));
    hub_state_read(states->config.hub, lane, status);
}

struct kafka_states *kafka_states_open(const struct kafka_states_config *config)
{
    struct kafka_states *states = mem_new(struct kafka_states);
    states->config = *config;
    /* An end that is not reached yet is that of a transaction that is open, and may be for as long as
     * its dispatcher is dead. */
    struct kafka_scan_pool_config pool = {.settings = config->settings,
                                          .client_id = config->client_id,
                                          .purpose = KAFKA_PURPOSE_LOAD,
                                          .wake_descriptor = config->wake_descriptor,
                                          .consumers = config->loads,
                                          .mock = config->mock,
                                          .stall_ms = config->stall_ms,
                                          .short_ms = config->stall_ms,
                                          .record = load_record,
                                          .ended = load_ended,
                                          .context = states};
    states->pool = kafka_scan_pool_open(&pool);
    return states;
}

void kafka_states_close(struct kafka_states *states)
{
    struct state_question *question, *next;
    if (!states)
        return;
    kafka_ends_round_free(states->round);
    kafka_scan_pool_close(states->pool);
    kafka_client_close(&states->client);
    HASH_ITER(hh, states->questions, question, next) {
        HASH_DEL(states->questions, question);
        free(question);
    }
    free(states);
}

/* --- what is asked ------------------------------------------------------------------------------ */

static struct state_question *find_question(const struct kafka_states *states,
                                            const struct lane *lane)
{
    struct state_question *question;
    HASH_FIND_PTR(states->questions, &lane, question);
    return question;
}

void kafka_states_ask(struct kafka_states *states, const struct kafka_states_log *log, bool of_lane,
                      unsigned question)
{
    assert(!find_question(states, log->lane));
    struct state_question *asked = mem_new(struct state_question);
    asked->id = ++states->last_id;
    asked->lane = log->lane;
    asked->number = question;
    asked->of_lane = of_lane;
    asked->partition = log->partition;
    asked->partition_count = log->partition_count;
    int size = snprintf(asked->topic, sizeof(asked->topic), "%s%s", log->topic,
                        of_lane ? "" : LAYOUT_STATE_SUFFIX);
    assert(size > 0 && (size_t)size < sizeof(asked->topic)); /* LAYOUT_TOPIC_LIMIT leaves room */
    (void)size;
    HASH_ADD_PTR(states->questions, lane, asked);
    event_descriptor_signal(states->config.wake_descriptor);
}

/* The hub may ask the next one from in here. */
static void answer_question(struct kafka_states *states, struct state_question *question,
                            const struct kafka_ends_request *answer)
{
    struct state_ends ends = {.question = question->number,
                              .status = answer->status,
                              .first = answer->first,
                              .end = answer->end};
    struct lane *lane = question->lane;
    if (answer->status == STATUS_DENIED || answer->status == STATUS_INVALID)
        log_warning("a state topic cannot be read", LOG_STRING("topic", question->topic),
                    LOG_STRING("reason", answer->reason));
    HASH_DEL(states->questions, question);
    free(question);
    hub_state_ends(states->config.hub, lane, &ends);
}

static void marks_round_done(struct worker_job *job)
{
    struct kafka_ends_round *round = (struct kafka_ends_round *)job;
    struct kafka_states *states = round->owner;
    assert(states->round == round);
    states->round = NULL;
    for (size_t i = 0; i < round->count; i++) {
        struct state_question *question = find_question(states, states->lanes[i]);
        if (question && question->id == round->requests[i].id) /* else it was taken back */
            answer_question(states, question, &round->requests[i]);
    }
    kafka_ends_round_free(round);
}

static bool open_asking_client(struct kafka_states *states)
{
    struct kafka_client_options options = {.settings = states->config.settings,
                                           .client_id = states->config.client_id,
                                           .purpose = KAFKA_PURPOSE_MARKS};
    struct error error;
    if (states->client.handle || kafka_client_open(&options, &states->client, &error) == STATUS_OK)
        return true;
    log_error("state topics are not asked for", LOG_STRING("error", error.text));
    return false;
}

/* All that is not asked yet, in one round. */
static void ask_marks(struct kafka_states *states)
{
    struct state_question *question, *next;
    struct kafka_ends_round *round = kafka_ends_round_new(states->client.handle);
    round->job.done = marks_round_done;
    round->owner = states;
    round->worker = states->config.worker;
    HASH_ITER(hh, states->questions, question, next) {
        if (round->count == KAFKA_ENDS_REQUESTS_LIMIT)
            break;
        states->lanes[round->count] = question->lane;
        struct kafka_ends_request *request =
            kafka_ends_add(round, question->topic, question->partition);
        request->id = question->id;
        request->partition_count = question->partition_count;
    }
    states->round = round;
    worker_submit(states->config.worker, &round->job);
}

/* Of the embedded broker nothing is asked: it would make the topic. */
static void answer_without_asking(struct kafka_states *states, enum status status)
{
    const struct kafka_ends_request none = {.status = status};
    struct state_question *question, *next;
    HASH_ITER(hh, states->questions, question, next)
        answer_question(states, question, &none);
}

void kafka_states_read(struct kafka_states *states, const struct kafka_states_log *log,
                       int64_t from, int64_t to)
{
    char topic[KAFKA_TOPIC_LIMIT + 1];
    snprintf(topic, sizeof(topic), "%s%s", log->topic, LAYOUT_STATE_SUFFIX);
    kafka_scan_start(states->pool, log->lane, topic, log->partition, from, to);
}

void kafka_states_cancel(struct kafka_states *states, struct lane *lane)
{
    struct state_question *question = find_question(states, lane);
    kafka_scan_cancel(states->pool, lane);
    if (!question)
        return;
    HASH_DEL(states->questions, question);
    free(question);
}

/* --- turns ---------------------------------------------------------------------------------------- */

bool kafka_states_service(struct kafka_states *states, int64_t now_ms)
{
    if (states->questions && !states->round) {
        if (states->config.mock)
            answer_without_asking(states, STATUS_NOT_FOUND);
        else if (open_asking_client(states))
            ask_marks(states);
        else
            answer_without_asking(states, STATUS_UNAVAILABLE);
    }
    return kafka_scan_service(states->pool, now_ms);
}

int64_t kafka_states_deadline_ms(const struct kafka_states *states)
{
    return kafka_scan_deadline_ms(states->pool);
}

const struct kafka_scan_stats *kafka_states_stats(const struct kafka_states *states)
{
    return kafka_scan_stats(states->pool);
}
