/* The table of refusals: a word and a text for each, made from REFUSAL_TABLE, so that the order
 * of the enumeration and of the rows cannot differ. Words are looked up from the front. That is
 * linear, and fine: a refusal is rare, and each is bounded before it comes here. */
#include "refusals.h"

#include <assert.h>

#include "json.h"
#include "websocket_frame.h"

static const struct {
    const char *word, *message;
} table[] = {
#define X(word, message) {#word, message},
    REFUSAL_TABLE(X)
#undef X
        {"other", "refused"},
};

_Static_assert(sizeof(table) / sizeof(table[0]) == REFUSAL_COUNT, "a row for each word");

/* A word that stands in no table counts as `other`: better a vague count than none. */
enum refusal refusal_of(const char *word)
{
    assert(word);
    unsigned index = 0;
    while (index < REFUSAL_OTHER && strcmp(table[index].word, word) != 0)
        index++;
    return (enum refusal)index;
}

const char *refusal_word(enum refusal refusal)
{
    assert(refusal < REFUSAL_COUNT);
    return table[refusal].word;
}

const char *refusal_of_frame(unsigned close_code)
{
    return close_code == WEBSOCKET_CLOSE_TOO_BIG        ? "too_large"
           : close_code == WEBSOCKET_CLOSE_INVALID_TEXT ? "bad_text"
                                                        : "bad_frame";
}

const char *refusal_message(const char *word)
{
    return table[refusal_of(word)].message;
}

void refusal_append_message(struct buffer *out, const char *word, const char *claim)
{
    assert(!claim || claim[0]); /* a claim has a name */
    buffer_append_string(out, refusal_message(word));
    if (claim)
        buffer_append_format(out, " (claim \"%s\")", claim);
}

/* Words need no escaping: they are ours. The text may name a claim, which is configuration. */
void refusal_append_members(struct buffer *out, const char *word, const char *claim)
{
    auto_buffer struct buffer message = {0};
    assert(word && word[0]);
    refusal_append_message(&message, word, claim);
    buffer_append_format(out, "\"code\":\"%s\",\"message\":", word);
    json_write_string(out, buffer_peek(&message));
}

void refusal_append_json(struct buffer *out, const char *word, const char *claim)
{
    buffer_append_byte(out, '{');
    refusal_append_members(out, word, claim);
    buffer_append_byte(out, '}');
}

/* Rounded up: a client that waits so long is not too early. */
void refusal_append_retry(struct buffer *out, int64_t retry_after_ms)
{
    long long whole_s = retry_after_ms / 1000;
    assert(retry_after_ms >= 0);
    if (retry_after_ms > 0)
        buffer_append_format(out, ",\"retryAfter\":%lld",
                             retry_after_ms % 1000 > 0 ? whole_s + 1 : whole_s);
}

void refusal_append_answer(struct buffer *out, const char *word, const char *claim,
                           int64_t retry_after_ms)
{
    buffer_append_string(out, "{\"ok\":false,\"error\":{");
    refusal_append_members(out, word, claim);
    refusal_append_retry(out, retry_after_ms);
    buffer_append_string(out, "}}");
}

/* Counted here and told on: this layer writes no logs. */
void refusals_note(struct refusals *refusals, const struct refusal_note *note)
{
    assert(note->word && note->transport);
    if (!refusals)
        return;
    refusals->counts[refusal_of(note->word)]++;
    if (refusals->told)
        refusals->told(refusals->context, note);
}
