/* The outputs and counts of a run of records. Texts of an output lie in the batch's arena or in the
 * record that was consumed, so nothing is copied to be produced, and one reset forgets all of it.
 *
 * Invariant: the outputs of one record stand together, at the end, until the next record is
 * processed. Therefore a record that turns out to be a dead letter takes back what it had led to
 * by setting output_count to what it was before (job_letters.c), and counts are kept apart in the
 * same way. */
#include "batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

/* These names stand in headers of records and in labels of metrics: operators select by them, so
 * a name is kept when its constant is renamed. */
const char *dead_reason_name(enum dead_reason reason)
{
    static const char *const names[] = {
#define X(name, text) [name] = text,
        DEAD_REASONS(X)
#undef X
    };
    assert((unsigned)reason < DEAD_REASON_COUNT);
    return names[reason];
}

const char *room_skip_name(enum room_skip skip)
{
    static const char *const names[] = {
#define X(name, text) [name] = text,
        ROOM_SKIPS(X)
#undef X
    };
    assert((unsigned)skip < ROOM_SKIP_COUNT);
    return names[skip];
}

const char *event_remark_name(enum event_remark remark)
{
    static const char *const names[] = {
#define X(name, text) [name] = text,
        EVENT_REMARKS(X)
#undef X
    };
    assert((unsigned)remark < EVENT_REMARK_COUNT);
    return names[remark];
}

const char *shadow_verdict_name(enum shadow_verdict verdict)
{
    static const char *const names[] = {
#define X(name, text) [name] = text,
        SHADOW_VERDICTS(X)
#undef X
    };
    assert((unsigned)verdict < SHADOW_VERDICT_COUNT);
    return names[verdict];
}

void batch_reset(struct batch *batch)
{
    assert(batch->output_count <= batch->output_capacity);
    arena_reset(&batch->arena);
    batch->output_count = 0;
    batch->rule_match_count = 0;
    batch->finding_count = 0;
    batch->counts = (struct batch_counts){0};
}

void batch_deinit(struct batch *batch)
{
    arena_deinit(&batch->arena);
    free(batch->outputs);
    free(batch->rule_matches);
    free(batch->findings);
    lookup_deinit(&batch->items);
    *batch = (struct batch){0};
}

/* The partition is "by the key" until somebody sets it. Growth moves the outputs, which is why
 * nothing keeps a pointer to one. */
struct output *batch_add(struct batch *batch)
{
    if (batch->output_count == batch->output_capacity) {
        batch->output_capacity = batch->output_capacity == 0 ? 64 : batch->output_capacity * 2;
        batch->outputs = mem_resize(batch->outputs, batch->output_capacity, sizeof(struct output));
    }
    assert(batch->output_count < batch->output_capacity);
    struct output *output = &batch->outputs[batch->output_count++];
    *output = (struct output){.partition = -1};
    return output;
}

/* Matches are counted by the caller when the batch is committed: a batch that is aborted and
 * done again would otherwise count its rules twice. */
void batch_add_match(struct batch *batch, uint32_t rule)
{
    if (batch->rule_match_count == batch->rule_match_capacity) {
        batch->rule_match_capacity =
            batch->rule_match_capacity == 0 ? 64 : batch->rule_match_capacity * 2;
        batch->rule_matches =
            mem_resize(batch->rule_matches, batch->rule_match_capacity, sizeof(uint32_t));
    }
    assert(batch->rule_match_count < batch->rule_match_capacity);
    batch->rule_matches[batch->rule_match_count++] = rule;
}

/* Counted when the batch is committed, as matches are. */
void batch_add_finding(struct batch *batch, uint32_t rule, enum shadow_verdict verdict)
{
    if (batch->finding_count == batch->finding_capacity) {
        batch->finding_capacity = batch->finding_capacity == 0 ? 64 : batch->finding_capacity * 2;
        batch->findings =
            mem_resize(batch->findings, batch->finding_capacity, sizeof(struct shadow_finding));
    }
    assert(batch->finding_count < batch->finding_capacity);
    batch->findings[batch->finding_count++] =
        (struct shadow_finding){.rule = rule, .verdict = verdict};
}

/* Of the same lane, item and rooms. */
static bool is_same_item(const struct output *a, const struct output *b)
{
    return a->partition == b->partition && bytes_equal(a->key, b->key) &&
           strcmp(a->topic, b->topic) == 0;
}

/* From the end, so that the last of each key stays, where it stands: other keys may tell the same
 * room of the same item, and their order is what decides. */
void batch_supersede_items(struct batch *batch, uint64_t hash_seed)
{
    struct lookup *items = &batch->items;
    assert(batch->counts.items == 0);
    lookup_clear(items);
    items->seed = hash_seed;
    for (size_t i = batch->output_count; i-- > 0;) {
        struct output *output = &batch->outputs[i];
        const struct output *later;
        if (output->kind != OUTPUT_ITEM)
            continue;
        uint64_t hash = lookup_hash(items, (uint32_t)output->partition, output->key);
        uint32_t at = 0;
        while ((later = lookup_next(items, hash, &at)) && !is_same_item(later, output))
            continue;
        batch->counts.items++;
        output->superseded = later != NULL;
        if (later)
            batch->counts.items_superseded++;
        else
            lookup_add(items, hash, output);
    }
}
