#include "dead_letter.h"

#include <inttypes.h>
#include <stdio.h>

enum { OWN_HEADERS_MAX = 8 };

bool dead_letter_owns_header(struct bytes name)
{
    return bytes_start_with(name, BYTES_LITERAL(DEAD_LETTER_HEADER_PREFIX));
}

static void add_text(struct record_header *headers, size_t *count, const char *name,
                     struct bytes value)
{
    headers[(*count)++] = (struct record_header){bytes_of_string(name), value};
}

static void add_number(struct arena *arena, struct record_header *headers, size_t *count,
                       const char *name, int64_t number)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "%" PRId64, number);
    add_text(headers, count, name, arena_copy(arena, bytes_of(text, (size_t)size)));
}

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
    if (letter->rules_revision.size > 0)
        add_text(headers, &count, DEAD_LETTER_HEADER_RULES,
                 arena_copy(arena, letter->rules_revision));
    if (letter->rule.size > 0)
        add_text(headers, &count, DEAD_LETTER_HEADER_RULE, arena_copy(arena, letter->rule));
    if (record->has_value && !keep_value)
        add_number(arena, headers, &count, DEAD_LETTER_HEADER_CUT, (int64_t)record->value.size);

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
