/* Clients write times as their languages have them: milliseconds as a number, with a fraction
 * from JavaScript's clocks, or as text of RFC 3339, and each of them with or without quotes. All
 * of it comes from outside, so nothing here asserts what it says. A number that is too large
 * counts as the largest one: it asks for no more than everything. */
#include "history_options.h"

#include <assert.h>

#include "instant.h"
#include "json.h"

/* Within quotes there are no escapes to undo: neither a number nor a time has any. */
static struct bytes without_quotes(struct bytes text)
{
    if (text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"')
        return bytes_of(text.data + 1, text.size - 2);
    return text;
}

/* A whole number up to `most`; more is `most`. */
static bool read_whole_number(struct bytes text, int64_t most, int64_t *number)
{
    *number = 0;
    assert(most > 9);
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(text.data[i] - '0');
        if (digit > 9)
            return false;
        if (*number > (most - digit) / 10)
            *number = most;
        else
            *number = 10 * *number + digit;
    }
    assert(*number >= 0 && *number <= most);
    return text.size > 0;
}

/* JavaScript's clocks have parts of milliseconds. */
static struct bytes without_fraction(struct bytes text)
{
    size_t whole = 0;
    while (whole < text.size && text.data[whole] != '.')
        whole++;
    for (size_t i = whole + 1; i < text.size; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return text;
    return whole + 1 < text.size ? bytes_of(text.data, whole) : text;
}

/* It is all or nothing: what has changed since a time, or of the newest, is history. */
static const char *options_read_state(const struct history_options *options,
                                      struct history_request *request)
{
    struct bytes state = without_quotes(options->state);
    assert(options->state.size > 0);
    if (options->since.size || options->last.size ||
        (!bytes_equal_string(state, "true") && !bytes_equal_string(state, "1")))
        return "bad_state";
    *request = (struct history_request){.since_ms = INT64_MIN, .state = true};
    return NULL;
}

const char *history_options_read(const struct history_options *options,
                                 struct history_request *request)
{
    int64_t number = 0;
    struct bytes since = without_quotes(options->since), last = without_quotes(options->last);
    if (options->state.size)
        return options_read_state(options, request);
    *request = (struct history_request){.since_ms = INT64_MIN};
    if (since.size && !read_whole_number(without_fraction(since), INT64_MAX, &request->since_ms) &&
        !instant_parse(since, &request->since_ms))
        return "bad_history";
    if (last.size && (!read_whole_number(last, UINT32_MAX, &number) || number == 0))
        return "bad_history";
    assert(number >= 0 && number <= UINT32_MAX);
    request->last = (uint32_t)number;
    return since.size || last.size ? NULL : "bad_history";
}

/* What is not there is left empty. */
static void find_options(struct bytes object, struct history_options *options)
{
    (void)!json_find(object, BYTES_LITERAL("since"), &options->since);
    (void)!json_find(object, BYTES_LITERAL("last"), &options->last);
    (void)!json_find(object, BYTES_LITERAL("state"), &options->state);
}

bool history_options_said_json(struct bytes object)
{
    struct history_options options = {0};
    find_options(object, &options);
    return history_options_said(&options);
}

const char *history_options_read_json(struct bytes object, struct history_request *request)
{
    struct history_options options = {0};
    if (object.size == 0 || object.data[0] != '{')
        return "bad_history";
    find_options(object, &options);
    return history_options_read(&options, request);
}
