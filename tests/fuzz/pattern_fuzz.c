/* A pattern, a line feed, an event. The pattern is added alone and among others: whether it
 * compiles, and whether it matches, must not depend on them, and the explanation must agree. */
#include <assert.h>

#include "matcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const others[] = {
    "{\"a\":[\"x\",1,null]}",
    "{\"a\":[{\"prefix\":\"x\"}],\"b\":[{\"exists\":false}]}",
    "{\"a\":[{\"suffix\":\"x\"}],\"b\":[{\"numeric\":[\">\",0]}]}",
    "{\"a\":{\"b\":[{\"anything-but\":[\"x\",\"y\"]}]}}",
    "{\"$or\":[{\"a\":[{\"cidr\":\"10.0.0.0/8\"}]},{\"b\":[{\"wildcard\":\"*x*\"}]}]}",
    "{\"a\":[{\"equals-ignore-case\":\"x\"}]}",
};

/* Small, so that hostile inputs cannot hold the fuzzer up. */
static const struct matcher_limits limits = {
    .event_size_max = 65536, .event_depth_max = 100, .values_max = 10000, .steps_max = 100000};

static bool has_rule(const struct matcher_result *result, uint32_t rule)
{
    for (size_t i = 0; i < result->count; i++)
        if (result->rules[i] == rule)
            return true;
    return false;
}

/* Whether `rule` of a matcher matches; the status, if the event cannot be judged. */
static enum status judge(const struct matcher *matcher, unsigned rule, struct bytes event,
                         bool *matches)
{
    struct matcher_scratch *scratch = matcher_scratch_new(&limits);
    struct matcher_result result = {0};
    struct matcher_error error = {0};
    auto_buffer struct buffer text = {0};
    enum status status = matcher_match(matcher, scratch, event, &result, &error);
    if (status == STATUS_OK) {
        for (size_t i = 1; i < result.count; i++)
            assert(result.rules[i - 1] < result.rules[i]);
        *matches = has_rule(&result, rule);
        if (matcher_explain(matcher, scratch, event, rule, &text, NULL) == STATUS_OK)
            assert(bytes_equal_string(buffer_peek(&text), "matches") == *matches);
    } else {
        assert(error.status == status && error.problem && error.offset <= event.size);
    }
    matcher_scratch_free(scratch);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    if (!end)
        return 0;
    struct bytes pattern = bytes_of(data, (size_t)(end - data));
    struct bytes event = bytes_skip(bytes_of(data, size), pattern.size + 1);
    struct pattern_limits pattern_limits = PATTERN_LIMITS_DEFAULT;
    pattern_limits.alternatives_max = 100;
    struct matcher_builder *alone = matcher_builder_new(&pattern_limits);
    struct matcher_builder *among = matcher_builder_new(&pattern_limits);
    struct pattern_error error = {0};
    unsigned rule = 0, last = 0;
    enum status status = matcher_builder_add(alone, pattern, &rule, &error);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert(!matcher_builder_add(among, bytes_of_string(others[i]), &rule, NULL));
    assert(matcher_builder_add(among, pattern, &last, NULL) == status);
    if (status) {
        assert(error.status == status && error.offset <= pattern.size && error.text[0]);
        matcher_builder_free(alone);
        matcher_builder_free(among);
        return 0;
    }
    struct matcher *one = matcher_build(alone), *all = matcher_build(among);
    bool matches = false, also = false;
    enum status first = judge(one, 0, event, &matches), second = judge(all, last, event, &also);
    if (first == STATUS_OK && second == STATUS_OK)
        assert(matches == also);
    else if (first != STATUS_LIMIT && second != STATUS_LIMIT)
        assert(first == second);
    matcher_free(one);
    matcher_free(all);
    return 0;
}
