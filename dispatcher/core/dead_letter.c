/* A record that cannot be processed, as the dead-letter topic gets it: its key, value and headers
 * as they were, and headers of ours that say why and from where.
 *
 * What is kept must be enough to send the record again (dead_letter_filter.c and the redrive
 * read these headers back), so the key and the value are borrowed unchanged. Only a value that
 * is too large for the topic is cut off as a whole: half an event would be malformed in a new
 * way, and its size stands in a header. Headers of ours that the record already has are
 * replaced: a letter that fails again tells of its last failure. */
#include "dead_letter.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { OWN_HEADERS_MAX = 9 };

/* By the prefix, so that a header that a later version adds is also replaced and not doubled. */
bool dead_letter_owns_header(struct bytes name)
{
    return bytes_start_with(name, BYTES_LITERAL(DEAD_LETTER_HEADER_PREFIX));
}

static void add_text(struct record_header *headers, size_t *count, const char *name,
                     struct bytes value)
{
    headers[(*count)++] = (struct record_header){bytes_of_string(name), value};
}

/* Numbers are decimal text: a person reads headers with any Kafka tool. */
static void add_number(struct arena *arena, struct record_header *headers, size_t *count,
                       const char *name, int64_t number)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "%" PRId64, number);
    assert(size > 0 && (size_t)size < sizeof(text));
    add_text(headers, count, name, arena_copy(arena, bytes_of(text, (size_t)size)));
}

/* Topic, rule and revision are copied: they are the consumer's and the rule set's, which may be
 * gone before the batch is produced. */
void dead_letter_add(const struct dead_letter *letter, const struct record *record,
                     struct batch *batch)
{
    struct arena *arena = &batch->arena;
    struct record_header *headers =
        arena_raw(arena, (record->header_count + OWN_HEADERS_MAX) * sizeof(struct record_header));
    size_t count = 0;
    bool keep_value = record->has_value && record->value.size <= letter->value_limit;
    for (size_t i = 0; i < record->header_count; i++)
        if (!dead_letter_owns_header(record->headers[i].name))
            headers[count++] = record->headers[i];
    add_text(headers, &count, DEAD_LETTER_HEADER_REASON,
             bytes_of_string(dead_reason_name(letter->reason)));
    add_text(headers, &count, DEAD_LETTER_HEADER_PROBLEM,
             arena_copy(arena, bytes_of_string(letter->problem)));
    add_text(headers, &count, DEAD_LETTER_HEADER_TOPIC, arena_copy(arena, record->topic));
    add_number(arena, headers, &count, DEAD_LETTER_HEADER_PARTITION, record->partition);
    add_number(arena, headers, &count, DEAD_LETTER_HEADER_OFFSET, record->offset);
    if (record->part > 0)
        add_number(arena, headers, &count, DEAD_LETTER_HEADER_PART, record->part);
    if (letter->rules_revision.size > 0)
        add_text(headers, &count, DEAD_LETTER_HEADER_RULES,
                 arena_copy(arena, letter->rules_revision));
    if (letter->rule.size > 0)
        add_text(headers, &count, DEAD_LETTER_HEADER_RULE, arena_copy(arena, letter->rule));
    if (record->has_value && !keep_value)
        add_number(arena, headers, &count, DEAD_LETTER_HEADER_CUT, (int64_t)record->value.size);

    assert(count <= record->header_count + OWN_HEADERS_MAX);
    struct output *output = batch_add(batch);
    output->kind = OUTPUT_DEAD_LETTER;
    output->topic = letter->topic;
    output->key = record->key;
    output->has_key = record->has_key;
    output->value = record->value;
    output->has_value = keep_value;
    output->headers = headers;
    output->header_count = count;
    batch->counts.dead[letter->reason]++;
}
