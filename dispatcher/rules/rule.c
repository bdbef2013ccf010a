#include "rule.h"

#include <xxhash.h>

/* The salt is the name's hash, so that a rule's choice does not depend on where it stands. */
bool rule_samples(const struct rule *rule, struct bytes subject)
{
    if (!rule->sampled)
        return true;
    XXH64_hash_t salt = XXH3_64bits(rule->name.data, rule->name.size);
    XXH64_hash_t hash = XXH3_64bits_withSeed(subject.data, subject.size, salt);
    return (double)(hash >> 11) * 0x1p-53 < rule->sample_rate;
}

bool rule_read_duration(struct bytes text, int64_t *duration_ms)
{
    static const struct {
        const char *unit;
        int64_t factor_ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const int64_t limit_ms = INT64_C(3660) * 86400000;

    int64_t number = 0;
    size_t digits = 0;
    while (digits < text.size && digits < 13 && text.data[digits] >= '0' &&
           text.data[digits] <= '9')
        number = number * 10 + (text.data[digits++] - '0');
    if (digits == 0)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (bytes_equal_string(bytes_skip(text, digits), units[i].unit)) {
            if (number > limit_ms / units[i].factor_ms)
                return false;
            *duration_ms = number * units[i].factor_ms;
            return true;
        }
    }
    return false;
}
