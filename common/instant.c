/* Points in time as texts, in both directions, in UTC and without a locale or a time zone file.
 * Pure: strptime() would be one call, but it takes what is no RFC 3339, and depends on the locale.
 *
 * The calendar's arithmetic is Howard Hinnant's ("chrono-compatible low-level date algorithms"). */
#include "instant.h"

#include <stdio.h>

/* Days since 1970-01-01 in the proleptic Gregorian calendar; months count from March, so that the
 * leap day is last. */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Reads `count` digits at `*at` and moves behind them; -1: they are not there. */
static int read_digits(struct bytes text, size_t *at, size_t count)
{
    int number = 0;
    if (text.size - *at < count)
        return -1;
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = text.data[*at + i];
        if (byte < '0' || byte > '9')
            return -1;
        number = number * 10 + (byte - '0');
    }
    *at += count;
    return number;
}

/* RFC 3339 lets T and Z be small. */
static bool skip_character(struct bytes text, size_t *at, char expected)
{
    if (*at >= text.size ||
        (text.data[*at] != (uint8_t)expected && text.data[*at] != (uint8_t)(expected | 0x20)))
        return false;
    (*at)++;
    return true;
}

/* Digits beyond the third are cut, not rounded: 59.9996 would become a second 60. */
static bool read_fraction(struct bytes text, size_t *at, int *milliseconds)
{
    int factor = 100;
    *milliseconds = 0;
    if (*at >= text.size || text.data[*at] != '.')
        return true;
    size_t first = ++*at;
    while (*at < text.size && byte_is_digit(text.data[*at])) {
        *milliseconds += (text.data[*at] - '0') * factor;
        factor /= 10;
        (*at)++;
    }
    return *at > first;
}

static bool read_offset(struct bytes text, size_t *at, int *minutes)
{
    *minutes = 0;
    if (skip_character(text, at, 'Z'))
        return true;
    if (*at >= text.size || (text.data[*at] != '+' && text.data[*at] != '-'))
        return false;
    int sign = text.data[(*at)++] == '+' ? 1 : -1;
    int hour = read_digits(text, at, 2);
    bool colon = skip_character(text, at, ':');
    int minute = read_digits(text, at, 2);
    if (!colon || hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return false;
    *minutes = sign * (hour * 60 + minute);
    return true;
}

bool instant_parse(struct bytes text, int64_t *instant_ms)
{
    size_t at = 0;
    int year = read_digits(text, &at, 4);
    bool well_formed = skip_character(text, &at, '-');
    int month = read_digits(text, &at, 2);
    well_formed = skip_character(text, &at, '-') && well_formed;
    int day = read_digits(text, &at, 2);
    well_formed = skip_character(text, &at, 'T') && well_formed;
    int hour = read_digits(text, &at, 2);
    well_formed = skip_character(text, &at, ':') && well_formed;
    int minute = read_digits(text, &at, 2);
    well_formed = skip_character(text, &at, ':') && well_formed;
    int second = read_digits(text, &at, 2);
    int milliseconds;
    int offset_minutes;
    if (!well_formed || year < 0 || month < 1 || month > 12 || day < 1 ||
        day > days_in_month(year, month) || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        /* A leap second becomes the second after it, as in POSIX time. */
        second < 0 || second > 60)
        return false;
    if (!read_fraction(text, &at, &milliseconds) || !read_offset(text, &at, &offset_minutes) ||
        at != text.size)
        return false;
    int64_t minutes =
        days_of(year, month, day) * 1440 + INT64_C(60) * hour + minute - offset_minutes;
    *instant_ms = (minutes * 60 + second) * 1000 + milliseconds;
    return true;
}

/* Seconds or milliseconds since 1970, perhaps with a fraction. The magnitude tells them apart: as
 * seconds, 10^11 is the year 5138; as milliseconds, 1973. Numbers below 10^8 are more likely
 * something else than a time. */
static bool guess_number(struct bytes text, int64_t *instant_ms)
{
    int64_t whole = 0;
    int milliseconds = 0;
    size_t at = 0;
    for (; at < text.size && at < 15 && byte_is_digit(text.data[at]); at++)
        whole = whole * 10 + (text.data[at] - '0');
    if (!read_fraction(text, &at, &milliseconds) || at != text.size || whole < 100000000 ||
        whole >= INT64_C(100000000000000))
        return false;
    *instant_ms = whole < INT64_C(100000000000) ? whole * 1000 + milliseconds : whole;
    return true;
}

/* What events bring in practice: a blank for the T, no offset at all, and +0200 without its colon.
 * The text is brought into the strict form, and then read as such. */
bool instant_guess(struct bytes text, int64_t *instant_ms)
{
    enum { DATE_SIZE = 10, SECONDS_SIZE = 19 /* 2026-03-02T08:01:56 */, TEXT_LIMIT = 64 };
    uint8_t copy[TEXT_LIMIT + 2];
    if (guess_number(text, instant_ms))
        return true;
    if (text.size < SECONDS_SIZE || text.size > TEXT_LIMIT)
        return false;
    memcpy(copy, text.data, text.size);
    size_t size = text.size;
    if (copy[DATE_SIZE] == ' ')
        copy[DATE_SIZE] = 'T';
    bool has_offset = false;
    for (size_t i = SECONDS_SIZE; i < size; i++)
        has_offset = has_offset || (!byte_is_digit(copy[i]) && copy[i] != '.');
    if (!has_offset) {
        copy[size++] = 'Z';
    } else if (size >= 5 && (copy[size - 5] == '+' || copy[size - 5] == '-')) {
        /* Room for the colon: the array has two bytes more than the longest text. */
        memmove(copy + size - 1, copy + size - 2, 2);
        copy[size - 2] = ':';
        size++;
    }
    return instant_parse(bytes_of(copy, size), instant_ms);
}

bool instant_format(int64_t instant_ms, char text[INSTANT_TEXT_SIZE])
{
    /* From 1970 to the end of 9999: four digits of a year are part of the form. */
    if (instant_ms < 0 || instant_ms >= INT64_C(253402300800000))
        return false;
    int64_t days = instant_ms / 86400000 + 719468;
    unsigned in_day = (unsigned)(instant_ms % 86400000);
    int64_t era = days / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    unsigned day = (unsigned)(day_of_year - (153 * shifted + 2) / 5 + 1);
    unsigned month = (unsigned)(shifted < 10 ? shifted + 3 : shifted - 9);
    unsigned year = (unsigned)(year_of_era + era * 400 + (month <= 2));
    snprintf(text, INSTANT_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year % 10000, month,
             day, in_day / 3600000, in_day / 60000 % 60, in_day / 1000 % 60, in_day % 1000);
    return true;
}
