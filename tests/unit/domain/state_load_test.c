/* A model of a lane and its state topic: two dispatchers whose transactions are under way at once,
 * end in either log at different times, and are aborted; compaction whenever it likes; a reader that
 * loads at any time. From where it says that it is exact, it is compared with the fold of the lane
 * at every place. */
#include "state_load.h"

#include "suite.h"

enum {
    DISPATCHERS = 2,
    ITEMS = 4,
    ROOMS = 3,
    BATCH_MOST = 8,
    LOG_MOST = 1200,
    STEPS = 700,
    RUNS = 500
};

/* Which rooms a record names, a bit each. Its index is a part of the record's key. */
static const unsigned room_sets[] = {1, 3, 6, 2};
enum { ROOM_SETS = sizeof(room_sets) / sizeof(room_sets[0]) };

enum transaction_state { OPEN, COMMITTED, ABORTED };

struct entry {
    bool marker, gone; /* gone: compacted */
    unsigned transaction;
    unsigned item, rooms; /* an item; index of a set */
    int value;            /* 0: removed */
};

/* A partition. */
struct log {
    struct entry entries[LOG_MOST];
    unsigned count;
    enum transaction_state ended[LOG_MOST]; /* by transaction: whose marker is there */
};

struct dispatcher {
    unsigned transaction;
    bool open, commits;
    bool ends_lane, ends_kept;      /* markers that are still to come */
    struct entry batch[BATCH_MOST]; /* for the state topic, behind those for the lane */
    unsigned count, sent;
};

static struct {
    uint64_t random;
    struct log lane, kept;
    struct dispatcher dispatchers[DISPATCHERS];
    unsigned transactions;
    int value;

    struct state_load load;
    int view[ROOMS][ITEMS];
    bool by_last_stable; /* what the reader takes for the ends of logs */
    unsigned lane_read;  /* the live position, which goes on while the state is loaded */
    bool has_answer;     /* on its way */
    unsigned answer_question, answer_first, answer_end;
    unsigned exact;
} world;

static unsigned chance(unsigned below)
{
    world.random = world.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(world.random >> 33) % below;
}

/* --- logs */

static unsigned last_stable(const struct log *log)
{
    unsigned at = 0;
    while (at < log->count &&
           (log->entries[at].marker || log->ended[log->entries[at].transaction] != OPEN))
        at++;
    return at;
}

static void append(struct log *log, struct entry entry)
{
    ck_assert_uint_lt(log->count, LOG_MOST);
    log->entries[log->count++] = entry;
}

static bool is_visible(const struct log *log, unsigned at)
{
    const struct entry *entry = &log->entries[at];
    return !entry->marker && !entry->gone && log->ended[entry->transaction] == COMMITTED;
}

static void end_in(struct log *log, const struct dispatcher *dispatcher)
{
    append(log, (struct entry){.marker = true, .transaction = dispatcher->transaction});
    log->ended[dispatcher->transaction] = dispatcher->commits ? COMMITTED : ABORTED;
}

/* The newest of each key stays, below what is stable. */
static void compact(struct log *log)
{
    unsigned stable = last_stable(log);
    bool seen[ITEMS][ROOM_SETS] = {{false}};
    for (unsigned at = stable; at-- > 0;) {
        struct entry *entry = &log->entries[at];
        if (!is_visible(log, at))
            continue;
        entry->gone = seen[entry->item][entry->rooms] && chance(4) > 0;
        seen[entry->item][entry->rooms] = true;
    }
}

/* --- dispatchers: each has items of its own, as each has partitions of the input */

static void publish(struct dispatcher *dispatcher, unsigned number)
{
    struct entry entry = {.transaction = dispatcher->transaction,
                          .item = number + DISPATCHERS * chance(ITEMS / DISPATCHERS),
                          .rooms = chance(ROOM_SETS),
                          .value = chance(4) ? ++world.value : 0};
    append(&world.lane, entry);
    dispatcher->batch[dispatcher->count++] = entry;
}

/* Of a batch the newest of each key. */
static void keep_next(struct dispatcher *dispatcher)
{
    struct entry entry = dispatcher->batch[dispatcher->sent++];
    for (unsigned i = dispatcher->sent; i < dispatcher->count; i++)
        if (dispatcher->batch[i].item == entry.item && dispatcher->batch[i].rooms == entry.rooms)
            return;
    append(&world.kept, entry);
}

static void step_dispatcher(unsigned number)
{
    struct dispatcher *dispatcher = &world.dispatchers[number];
    if (dispatcher->ends_lane || dispatcher->ends_kept) {
        bool lane = dispatcher->ends_lane && (!dispatcher->ends_kept || chance(2));
        end_in(lane ? &world.lane : &world.kept, dispatcher);
        *(lane ? &dispatcher->ends_lane : &dispatcher->ends_kept) = false;
    } else if (!dispatcher->open) {
        dispatcher->open = true;
        dispatcher->count = dispatcher->sent = 0;
        dispatcher->transaction = world.transactions++;
        publish(dispatcher, number);
    } else if (dispatcher->sent == 0 && dispatcher->count < BATCH_MOST && chance(3)) {
        publish(dispatcher, number);
    } else if (dispatcher->sent < dispatcher->count) {
        keep_next(dispatcher);
    } else {
        dispatcher->open = false;
        dispatcher->commits = chance(5) > 0;
        dispatcher->ends_lane = dispatcher->ends_kept = true;
    }
}

/* --- the reader */

static void fold(int view[ROOMS][ITEMS], const struct log *log, unsigned from, unsigned to)
{
    for (unsigned at = from; at < to; at++)
        for (unsigned room = 0; is_visible(log, at) && room < ROOMS; room++)
            if (room_sets[log->entries[at].rooms] & 1u << room)
                view[room][log->entries[at].item] = log->entries[at].value;
}

/* Of what is read in one go: up to the last stable offset. */
static unsigned read_on(const struct log *log, unsigned from)
{
    unsigned stable = last_stable(log);
    return from < stable ? from + 1 + chance(stable - from) : from;
}

/* The answer is of some time after the question; a late one to an earlier question may come. */
static void ask_broker(const struct log *log)
{
    world.has_answer = true;
    world.answer_question = world.load.question;
    world.answer_first = 0;
    world.answer_end = world.by_last_stable ? last_stable(log) : log->count;
}

static void begin_load(void)
{
    memset(world.view, 0, sizeof(world.view));
    state_load_begin(&world.load, world.lane_read);
}

static void take_answer(void)
{
    struct state_load *load = &world.load;
    bool current = world.answer_question == load->question;
    world.has_answer = false;
    bool taken = load->phase == STATE_LOAD_ASKS_KEPT
                     ? state_load_kept_ends(load, world.answer_question, world.answer_first,
                                            world.answer_end)
                     : state_load_lane_end(load, world.answer_question, world.answer_end);
    ck_assert_int_eq(taken, current);
}

static void step_reader(void)
{
    struct state_load *load = &world.load;
    unsigned to;
    world.lane_read = read_on(&world.lane, world.lane_read);
    switch (load->phase) {
    case STATE_LOAD_NONE:
        begin_load();
        break;
    case STATE_LOAD_ASKS_KEPT:
    case STATE_LOAD_ASKS_LANE:
        if (world.has_answer && chance(2))
            take_answer();
        else if (!world.has_answer)
            ask_broker(load->phase == STATE_LOAD_ASKS_KEPT ? &world.kept : &world.lane);
        break;
    case STATE_LOAD_READS_KEPT:
        to = read_on(&world.kept, (unsigned)load->kept_position);
        fold(world.view, &world.kept, (unsigned)load->kept_position, to);
        state_load_kept_read(load, to);
        break;
    case STATE_LOAD_FOLLOWS:
    case STATE_LOAD_EXACT:
        to = (unsigned)load->lane_position;
        to += to < world.lane_read;
        fold(world.view, &world.lane, (unsigned)load->lane_position, to);
        state_load_lane_read(load, to);
        break;
    }
}

static bool is_right(void)
{
    int expected[ROOMS][ITEMS] = {{0}};
    fold(expected, &world.lane, 0, (unsigned)world.load.lane_position);
    return memcmp(expected, world.view, sizeof(expected)) == 0;
}

/* False: it said that it was exact, and was not. */
static bool run(uint64_t seed, bool by_last_stable)
{
    memset(&world, 0, sizeof(world));
    world.random = seed;
    world.by_last_stable = by_last_stable;
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned what = chance(8);
        if (what < 3)
            step_dispatcher(chance(DISPATCHERS));
        else if (what == 3)
            compact(&world.kept);
        else if (chance(60) == 0)
            begin_load(); /* it was broken, or nobody asked for it for long */
        else
            step_reader();
        if (world.load.phase != STATE_LOAD_EXACT)
            continue;
        world.exact++;
        if (!is_right())
            return false;
    }
    return true;
}

START_TEST(what_says_that_it_is_exact_is_the_fold_of_the_lane)
{
    unsigned exact = 0;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        ck_assert_msg(run(seed, false), "seed %llu", (unsigned long long)seed);
        exact += world.exact;
    }
    /* It often comes so far. */
    ck_assert_uint_gt(exact / RUNS, 20);
}
END_TEST

/* The model can tell: of a log that has become visible in one place and not in another. */
START_TEST(last_stable_offsets_are_not_enough)
{
    unsigned wrong = 0;
    for (uint64_t seed = 1; seed <= RUNS; seed++)
        wrong += !run(seed, true);
    ck_assert_uint_gt(wrong, 0);
}
END_TEST

START_TEST(an_answer_to_an_earlier_question_is_refused)
{
    struct state_load load = {0};
    state_load_begin(&load, 7);
    unsigned first = load.question;
    state_load_begin(&load, 9);
    ck_assert(!state_load_kept_ends(&load, first, 0, 0));
    ck_assert_int_eq(load.phase, STATE_LOAD_ASKS_KEPT);
    ck_assert(!state_load_lane_end(&load, load.question, 0)); /* nor to the other one */
    ck_assert(state_load_kept_ends(&load, load.question, 3, 5));
    ck_assert_int_eq(load.phase, STATE_LOAD_READS_KEPT);
    ck_assert(!state_load_kept_ends(&load, load.question, 0, 0));
    state_load_kept_read(&load, 4);
    state_load_kept_read(&load, 2); /* a log that was read again */
    ck_assert_int_eq(load.kept_position, 4);
    ck_assert_int_eq(load.phase, STATE_LOAD_READS_KEPT);
    unsigned kept = load.question;
    state_load_kept_read(&load, 6); /* a marker lies behind the last record */
    ck_assert_int_eq(load.phase, STATE_LOAD_ASKS_LANE);
    ck_assert(!state_load_lane_end(&load, kept, 0));
    ck_assert(state_load_lane_end(&load, load.question, 11));
    ck_assert_int_eq(load.lane_position, 9);
    state_load_lane_read(&load, 10);
    ck_assert_int_eq(load.phase, STATE_LOAD_FOLLOWS);
    state_load_lane_read(&load, 11);
    ck_assert_int_eq(load.phase, STATE_LOAD_EXACT);
    state_load_lane_read(&load, 20);
    ck_assert_int_eq(load.phase, STATE_LOAD_EXACT);
}
END_TEST

START_TEST(an_empty_state_topic_asks_for_the_lane_at_once)
{
    struct state_load load = {0};
    state_load_begin(&load, 7);
    ck_assert(state_load_kept_ends(&load, load.question, 5, 5));
    ck_assert_int_eq(load.phase, STATE_LOAD_ASKS_LANE);
    ck_assert(state_load_lane_end(&load, load.question, 7));
    ck_assert_int_eq(load.phase, STATE_LOAD_EXACT);
}
END_TEST

TEST_PROGRAM("state_load", what_says_that_it_is_exact_is_the_fold_of_the_lane,
             last_stable_offsets_are_not_enough, an_answer_to_an_earlier_question_is_refused,
             an_empty_state_topic_asks_for_the_lane_at_once)
