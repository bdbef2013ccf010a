/* Most events are the same to both rule sets, so which rules take them is asked first, without a
 * notification being made: in one pass for both, or, where that is not sure (joint_matcher.h), by a
 * pipeline each. Only of a rule that takes an event under both, and says something else
 * in the two files, is the outcome made, by the same pipeline as ever, and compared.
 *
 * Invariant: of each rule and verdict the samples are those with the least places, in order. So it
 * does not matter in which order partitions are read. */
#include "replay.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "joint_matcher.h"
#include "json.h"
#include "lookup.h"
#include "mem.h"
#include "outcome.h"

#define NO_TWIN UINT32_MAX

enum replay_verdict { REPLAY_MORE, REPLAY_LESS, REPLAY_CHANGED };
enum { REPLAY_VERDICT_COUNT = 3 };

/* An event's place, and its id. */
struct replay_sample {
    struct bytes topic;
    int32_t partition;
    int64_t offset;
    unsigned part;
    struct bytes event_id;
};

/* What is known of a rule. */
struct replay_tally {
    uint64_t counts[REPLAY_VERDICT_COUNT];
    struct replay_sample *samples[REPLAY_VERDICT_COUNT]; /* NULL: none yet */
    unsigned sample_counts[REPLAY_VERDICT_COUNT];
};

/* One of the two rule sets. */
struct replay_side {
    const struct rule_set *rules;
    struct pipeline *judge;      /* which rules take an event */
    struct outcome_maker *maker; /* what one of them makes of it */
    struct batch batch;
    struct decision decision;
    uint64_t *taken; /* of each rule: how many events it took */
    uint64_t *last;  /* of each rule: the number of the event that it took last */
    uint32_t *twins; /* of each rule: the index of the one with its name on the other side */
    uint64_t dead;
};

struct replay {
    struct replay_side before;
    struct replay_side after;
    struct joint_matcher *joint;
    bool is_decided; /* of the event at hand: the sides have decisions */
    struct event_batch_limits limits;
    struct replay_tally *tallies; /* of the new rules, then of the old ones */
    struct arena arena;           /* of samples and headers */
    struct arena headers;         /* of the record at hand */
    uint64_t number;              /* events */
};

/* --- Making ------------------------------------------------------------------------------------ */

static void side_init(struct replay_side *side, const struct pipeline_settings *settings,
                      const struct rule_set *rules)
{
    unsigned count = rule_set_count(rules);
    side->rules = rules;
    side->judge = pipeline_new(settings);
    side->maker = outcome_maker_new(settings, rules);
    pipeline_use_rules(side->judge, rules);
    pipeline_judge_only(side->judge);
    side->taken = mem_alloc((count + 1) * sizeof(uint64_t));
    side->last = mem_alloc((count + 1) * sizeof(uint64_t));
    side->twins = mem_alloc((count + 1) * sizeof(uint32_t));
}

static void side_deinit(struct replay_side *side)
{
    pipeline_free(side->judge);
    outcome_maker_free(side->maker);
    batch_deinit(&side->batch);
    free(side->taken);
    free(side->last);
    free(side->twins);
}

/* Names are unique in a file. By a table: a file may have very many rules. */
static void find_twins(struct replay *replay)
{
    struct lookup names = {0};
    for (unsigned i = 0; i < rule_set_count(replay->before.rules); i++) {
        uint64_t hash = lookup_hash(&names, 0, rule_set_at(replay->before.rules, i)->name);
        replay->before.twins[i] = NO_TWIN;
        lookup_add(&names, hash, &replay->before.twins[i]);
    }
    for (unsigned i = 0; i < rule_set_count(replay->after.rules); i++) {
        struct bytes name = rule_set_at(replay->after.rules, i)->name;
        uint64_t hash = lookup_hash(&names, 0, name);
        const uint32_t *place;
        replay->after.twins[i] = NO_TWIN;
        for (uint32_t at = 0; (place = lookup_next(&names, hash, &at));) {
            uint32_t twin = (uint32_t)(place - replay->before.twins);
            if (!bytes_equal(rule_set_at(replay->before.rules, twin)->name, name))
                continue;
            replay->after.twins[i] = twin;
            replay->before.twins[twin] = i;
        }
    }
    lookup_deinit(&names);
}

struct replay *replay_new(const struct pipeline_settings *settings, const struct rule_set *before,
                          const struct rule_set *after)
{
    struct replay *replay = mem_new(struct replay);
    struct pipeline_settings quiet = *settings;
    quiet.audit = AUDIT_OFF;
    quiet.keeps_items = false;
    side_init(&replay->before, &quiet, before);
    side_init(&replay->after, &quiet, after);
    replay->limits = (struct event_batch_limits){.bytes = settings->limits.event_bytes,
                                                 .events = settings->limits.events_per_record};
    replay->tallies = mem_alloc((rule_set_count(before) + rule_set_count(after) + 1) *
                                sizeof(struct replay_tally));
    find_twins(replay);
    replay->joint =
        joint_matcher_new(&settings->limits, (const struct rule_set *const[]){before, after});
    return replay;
}

void replay_free(struct replay *replay)
{
    if (!replay)
        return;
    unsigned count = rule_set_count(replay->before.rules) + rule_set_count(replay->after.rules);
    for (unsigned i = 0; i < count; i++)
        for (int k = 0; k < REPLAY_VERDICT_COUNT; k++)
            free(replay->tallies[i].samples[k]);
    side_deinit(&replay->before);
    side_deinit(&replay->after);
    arena_deinit(&replay->arena);
    arena_deinit(&replay->headers);
    joint_matcher_free(replay->joint);
    free(replay->tallies);
    free(replay);
}

uint64_t replay_event_count(const struct replay *replay)
{
    return replay->number;
}

/* --- Judging ----------------------------------------------------------------------------------- */

/* Below 0: the record's place comes first. */
static int compare_places(const struct record *record, const struct replay_sample *sample)
{
    size_t shared =
        record->topic.size < sample->topic.size ? record->topic.size : sample->topic.size;
    int topics = memcmp(record->topic.data, sample->topic.data, shared);
    if (topics != 0 || record->topic.size != sample->topic.size)
        return topics != 0 ? topics : record->topic.size < sample->topic.size ? -1 : 1;
    if (record->partition != sample->partition)
        return record->partition < sample->partition ? -1 : 1;
    if (record->offset != sample->offset)
        return record->offset < sample->offset ? -1 : 1;
    return record->part < sample->part ? -1 : record->part > sample->part;
}

static void judge(struct replay_side *side, const struct record *record)
{
    batch_reset(&side->batch);
    pipeline_process(side->judge, NULL, record, &side->batch, &side->decision);
}

static void decide(struct replay *replay, const struct record *record)
{
    if (replay->is_decided)
        return;
    judge(&replay->before, record);
    judge(&replay->after, record);
    replay->is_decided = true;
}

static void note_sample(struct replay *replay, struct replay_tally *tally,
                        enum replay_verdict verdict, const struct record *record)
{
    unsigned *count = &tally->sample_counts[verdict];
    if (!tally->samples[verdict])
        tally->samples[verdict] = mem_alloc(REPLAY_SAMPLES_MOST * sizeof(struct replay_sample));
    struct replay_sample *samples = tally->samples[verdict];
    unsigned at = *count;
    assert(at <= REPLAY_SAMPLES_MOST);
    while (at > 0 && compare_places(record, &samples[at - 1]) < 0)
        at--;
    if (at == REPLAY_SAMPLES_MOST)
        return;
    decide(replay, record); /* its id */
    if (*count < REPLAY_SAMPLES_MOST)
        ++*count;
    for (unsigned i = *count - 1; i > at; i--)
        samples[i] = samples[i - 1];
    samples[at] = (struct replay_sample){
        .topic = arena_copy(&replay->arena, record->topic),
        .partition = record->partition,
        .offset = record->offset,
        .part = record->part,
        .event_id = arena_copy(&replay->arena, replay->after.decision.event_id)};
}

static void note(struct replay *replay, size_t tally, enum replay_verdict verdict,
                 const struct record *record)
{
    replay->tallies[tally].counts[verdict]++;
    note_sample(replay, &replay->tallies[tally], verdict, record);
}

static void count_taken(struct replay_side *side, const struct taken_rules *taken, uint64_t number)
{
    for (size_t i = 0; i < taken->count; i++) {
        assert(i == 0 || taken->rules[i - 1] < taken->rules[i]);
        side->taken[taken->rules[i]]++;
        side->last[taken->rules[i]] = number;
    }
}

/* Which rules of each side take the event; and the dead letters, which only a pipeline can tell. */
static void take(struct replay *replay, const struct record *record,
                 struct taken_rules taken[JOINT_SETS])
{
    replay->is_decided = false;
    if (joint_matcher_judge(replay->joint, record, taken))
        return;
    decide(replay, record);
    const struct replay_side *sides[] = {&replay->before, &replay->after};
    for (int k = 0; k < JOINT_SETS; k++)
        taken[k] = (struct taken_rules){.rules = sides[k]->decision.rules,
                                        .count = sides[k]->decision.rule_count};
    replay->before.dead += replay->before.decision.dead;
    replay->after.dead += replay->after.decision.dead;
}

static bool outcome_changed(struct replay *replay, uint32_t before, uint32_t after,
                            const struct record *record)
{
    if (!outcome_may_differ(rule_set_at(replay->before.rules, before),
                            rule_set_at(replay->after.rules, after)))
        return false;
    struct outcome was = outcome_make(replay->before.maker, before, record);
    struct outcome is = outcome_make(replay->after.maker, after, record);
    return !bytes_equal(was.text, is.text);
}

static void replay_event(struct replay *replay, const struct record *record)
{
    const struct replay_side *before = &replay->before;
    const struct replay_side *after = &replay->after;
    uint64_t number = ++replay->number;
    size_t old_rules = rule_set_count(after->rules); /* where their tallies begin */
    struct taken_rules taken[JOINT_SETS];
    take(replay, record, taken);
    count_taken(&replay->before, &taken[0], number);
    count_taken(&replay->after, &taken[1], number);
    for (size_t i = 0; i < taken[1].count; i++) {
        uint32_t rule = taken[1].rules[i];
        uint32_t twin = after->twins[rule];
        if (twin == NO_TWIN || before->last[twin] != number)
            note(replay, rule, REPLAY_MORE, record);
        else if (outcome_changed(replay, twin, rule, record))
            note(replay, rule, REPLAY_CHANGED, record);
    }
    for (size_t i = 0; i < taken[0].count; i++) {
        uint32_t rule = taken[0].rules[i];
        uint32_t twin = before->twins[rule];
        if (twin == NO_TWIN)
            note(replay, old_rules + rule, REPLAY_LESS, record);
        else if (after->last[twin] != number)
            note(replay, twin, REPLAY_LESS, record);
    }
}

void replay_record(struct replay *replay, const struct record *record)
{
    struct event_batch events;
    arena_reset(&replay->headers);
    event_batch_open(&events, record, &replay->limits, &replay->headers);
    while (event_batch_next(&events))
        replay_event(replay, &events.event);
}

/* --- Telling ----------------------------------------------------------------------------------- */

static void append_samples(const struct replay_tally *tally, enum replay_verdict verdict,
                           struct buffer *out)
{
    buffer_append_byte(out, '[');
    for (unsigned i = 0; i < tally->sample_counts[verdict]; i++) {
        const struct replay_sample *sample = &tally->samples[verdict][i];
        buffer_append_string(out, i == 0 ? "{\"topic\":" : ",{\"topic\":");
        json_write_string(out, sample->topic);
        buffer_append_format(out, ",\"partition\":%" PRId32 ",\"offset\":%" PRId64,
                             sample->partition, sample->offset);
        if (sample->part > 0)
            buffer_append_format(out, ",\"part\":%u", sample->part);
        buffer_append_string(out, ",\"event\":");
        json_write_string(out, sample->event_id);
        buffer_append_byte(out, '}');
    }
    buffer_append_byte(out, ']');
}

/* A rule that a side does not have has taken null. */
static void append_taken(const char *name, const struct replay_side *side, uint32_t rule,
                         struct buffer *out)
{
    if (rule == NO_TWIN)
        buffer_append_format(out, ",\"%s\":null", name);
    else
        buffer_append_format(out, ",\"%s\":%" PRIu64, name, side->taken[rule]);
}

static void append_rule(const struct replay *replay, uint32_t before, uint32_t after,
                        struct buffer *out)
{
    static const char *const verdicts[REPLAY_VERDICT_COUNT] = {"more", "less", "changed"};
    bool is_gone = after == NO_TWIN;
    const struct rule *rule = is_gone ? rule_set_at(replay->before.rules, before)
                                      : rule_set_at(replay->after.rules, after);
    const struct replay_tally *tally =
        &replay->tallies[is_gone ? rule_set_count(replay->after.rules) + before : after];
    buffer_append_string(out, "{\"rule\":");
    json_write_string(out, rule->name);
    append_taken("before", &replay->before, before, out);
    append_taken("after", &replay->after, after, out);
    for (int i = 0; i < REPLAY_VERDICT_COUNT; i++)
        buffer_append_format(out, ",\"%s\":%" PRIu64, verdicts[i], tally->counts[i]);
    buffer_append_string(out, ",\"samples\":{");
    for (int i = 0; i < REPLAY_VERDICT_COUNT; i++) {
        buffer_append_format(out, "%s\"%s\":", i > 0 ? "," : "", verdicts[i]);
        append_samples(tally, (enum replay_verdict)i, out);
    }
    buffer_append_string(out, "}}\n");
}

void replay_report(const struct replay *replay, struct buffer *out)
{
    buffer_append_format(out, "{\"events\":%" PRIu64 ",\"revision\":{\"before\":\"%.*s\"",
                         replay->number, BYTES_PRINT(rule_set_revision(replay->before.rules)));
    buffer_append_format(out, ",\"after\":\"%.*s\"},\"dead\":{\"before\":%" PRIu64,
                         BYTES_PRINT(rule_set_revision(replay->after.rules)), replay->before.dead);
    buffer_append_format(out, ",\"after\":%" PRIu64 "}}\n", replay->after.dead);
    for (unsigned i = 0; i < rule_set_count(replay->after.rules); i++)
        append_rule(replay, replay->after.twins[i], i, out);
    for (unsigned i = 0; i < rule_set_count(replay->before.rules); i++)
        if (replay->before.twins[i] == NO_TWIN)
            append_rule(replay, i, NO_TWIN, out);
}
