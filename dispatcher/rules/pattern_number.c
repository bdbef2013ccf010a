/* Numbers of patterns and events, compared so that nobody is surprised: 1, 1.0 and 10e-1 are equal,
 * and two numbers that differ in their seventeenth digit are not, though their doubles may be.
 *
 * A literal is taken apart into its decimal digits first; its double is then the nearest one,
 * whatever the locale and however many digits there are. Where the double is not enough to tell the
 * number from its neighbours it is not comparable, and is compared as it is spelled.
 *
 * Most numbers have at most 15 digits and a small exponent, and take the short way: one exact
 * multiplication or division. */
#include "pattern_number.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Decimal digits that decide to which double a literal is nearest: more than these can only matter
 * by being there at all, since the midpoint of two doubles has at most 767. */
enum { DIGITS_MAX = 800 };

/* mantissa x 10^exponent, the mantissa's first and last digits not zero. */
struct decimal {
    bool negative;
    size_t digit_count; /* significant digits; 0: zero */
    uint64_t mantissa;  /* valid up to 19 digits */
    int64_t exponent;
};

/* An exponent may have any number of digits; beyond the limit it only has to stay beyond. */
static int64_t exponent_of(const uint8_t *at, const uint8_t *end)
{
    assert(at < end); /* the scanner has seen a digit */
    bool negative = *at == '-';
    if (*at == '-' || *at == '+')
        at++;
    int64_t exponent = 0;
    for (; at < end; at++)
        if (exponent < 100000000000) /* far beyond what the longest text can balance */
            exponent = exponent * 10 + (*at - '0');
    return negative ? -exponent : exponent;
}

/* Reads a literal; `digits` (DIGITS_MAX bytes, or NULL) gets the first of them. */
static struct decimal decimal_of(struct bytes literal, char *digits)
{
    assert(literal.size > 0);
    struct decimal decimal = {0};
    const uint8_t *at = literal.data, *end = at + literal.size;
    if (*at == '-') {
        decimal.negative = true;
        at++;
    }
    size_t zeros = 0; /* seen since the last digit that is not zero */
    bool fraction = false;
    for (; at < end && (*at | 0x20) != 'e'; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        assert(byte_is_digit(*at));
        if (fraction)
            decimal.exponent--;
        if (*at == '0') {
            zeros += decimal.digit_count > 0;
            decimal.exponent += decimal.digit_count == 0 ? 0 : 1;
            continue;
        }
        /* Zeros before this digit are significant after all. */
        for (; zeros > 0; zeros--) {
            if (digits && decimal.digit_count < DIGITS_MAX)
                digits[decimal.digit_count] = '0';
            decimal.digit_count++;
            decimal.exponent--;
            decimal.mantissa *= 10;
        }
        if (digits && decimal.digit_count < DIGITS_MAX)
            digits[decimal.digit_count] = (char)*at;
        decimal.digit_count++;
        decimal.mantissa = decimal.mantissa * 10 + (*at - '0');
    }
    if (at < end)
        decimal.exponent += exponent_of(at + 1, end);
    return decimal;
}

/* "-ddd…e…" without a decimal point, which strtod() reads alike in every locale. */
static double collect_digits(bool negative, const char *digits, size_t count, int64_t exponent)
{
    assert(count <= DIGITS_MAX + 1);
    char text[DIGITS_MAX + 40];
    if (exponent > 100000)
        exponent = 100000;
    if (exponent < -100000)
        exponent = -100000;
    (void)snprintf(text, sizeof(text), "%s%.*se%lld", negative ? "-" : "", (int)count, digits,
                   (long long)exponent);
    return strtod(text, NULL);
}

/* Digits beyond those that can decide are cut off, but not forgotten: one more digit says that
 * there were some, so that a literal that is just above the middle of two doubles is not taken
 * for the middle itself. */
static double slow_value(struct bytes literal)
{
    char digits[DIGITS_MAX + 1];
    struct decimal decimal = decimal_of(literal, digits);
    size_t kept = decimal.digit_count;
    if (kept > DIGITS_MAX) {
        decimal.exponent += (int64_t)(kept - DIGITS_MAX) - 1;
        kept = DIGITS_MAX;
        digits[kept++] = '1'; /* stands for all that was cut off; the last digit is not zero */
    }
    return collect_digits(decimal.negative, digits, kept, decimal.exponent);
}

/* A literal that is too large for a double is infinite, one that is too small is zero; ranges
 * hold neither's place (TEST_RANGE is finite), and number_is_comparable() says no to both. */
double number_value(struct bytes literal)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal decimal = decimal_of(literal, NULL);
    if (decimal.digit_count == 0)
        return 0;
    /* Mantissa and power are exact doubles: one rounding, so the result is the nearest. */
    if (decimal.digit_count <= 15 && decimal.exponent >= -22 && decimal.exponent <= 22) {
        double value = (double)decimal.mantissa;
        value = decimal.exponent < 0 ? value / powers[-decimal.exponent]
                                     : value * powers[decimal.exponent];
        return decimal.negative ? -value : value;
    }
    return slow_value(literal);
}

/* The decimal of `count` digits (1 to 17) nearest to `value`, as digits d…d x 10^exponent. */
static uint64_t nearest_decimal(double value, unsigned count, int64_t *exponent)
{
    assert(count >= 1 && count <= 17 && isfinite(value));
    char text[64];
    (void)snprintf(text, sizeof(text), "%.*e", (int)count - 1, fabs(value));
    uint64_t mantissa = 0;
    const char *at = text;
    for (; *at != 'e'; at++)
        if (byte_is_digit((uint8_t)*at)) /* not the decimal point, whatever the locale's is */
            mantissa = mantissa * 10 + (uint64_t)(*at - '0');
    *exponent = strtol(at + 1, NULL, 10) - (int64_t)(count - 1);
    return mantissa;
}

/* The sign is left out: doubles are symmetric. */
static bool reads_back(uint64_t mantissa, int64_t exponent, double value)
{
    char digits[24];
    int size = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)mantissa);
    return collect_digits(false, digits, (size_t)size, exponent) == fabs(value);
}

/* Whether any decimal of `count` digits reads back as `value`. The interval of those that do is
 * lopsided at powers of two, so the nearest may fail where its neighbour succeeds. */
static bool has_decimal(double value, unsigned count)
{
    int64_t exponent = 0;
    uint64_t nearest = nearest_decimal(value, count, &exponent);
    return reads_back(nearest, exponent, value) || reads_back(nearest + 1, exponent, value) ||
           reads_back(nearest - 1, exponent, value);
}

/* Comparable is a number that is the shortest decimal of its double, for then two comparable
 * numbers are equal exactly if their doubles are. Up to 15 digits that is always so, unless the
 * double is subnormal and has lost digits; more than 17 are never the shortest. */
bool number_is_comparable(struct bytes literal, double value)
{
    struct decimal decimal = decimal_of(literal, NULL);
    if (decimal.digit_count == 0)
        return true;
    if (!isfinite(value) || value == 0 || decimal.digit_count > 17)
        return false;
    if (decimal.digit_count <= 15 && fabs(value) >= DBL_MIN)
        return true;
    unsigned count = (unsigned)decimal.digit_count;
    if (count > 1 && has_decimal(value, count - 1))
        return false;
    /* None is shorter. Of equally short ones the nearest counts. */
    int64_t exponent = 0;
    uint64_t nearest = nearest_decimal(value, count, &exponent);
    if (exponent != decimal.exponent)
        return false;
    if (nearest == decimal.mantissa)
        return true;
    uint64_t distance =
        nearest > decimal.mantissa ? nearest - decimal.mantissa : decimal.mantissa - nearest;
    return distance == 1 && !reads_back(nearest, exponent, value);
}
