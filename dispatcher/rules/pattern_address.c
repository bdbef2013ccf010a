/* IPv4 and IPv6 addresses, and blocks of them, as event patterns mean them.
 *
 * An address has one form here, however it is written: "::1" and "0:0::0:1" are equal, and an IPv4
 * address that is mapped into IPv6 is the IPv4 address. The system's inet_pton() is not used: a
 * string of a pattern that is an address is compared as one, so which strings are addresses decides
 * what a rule means, and must not differ between C libraries.
 *
 *     data   4 | a b c d | zeros            6 | sixteen bytes
 *
 * Invariant: the first byte is the kind, so that comparing bytes tells the kinds apart. */
#include "pattern_address.h"

#include <assert.h>

/* -1: no digit of this base. */
static int digit_value(uint8_t byte, unsigned base)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (base == 16 && (byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
        return (byte | 0x20) - 'a' + 10;
    return -1;
}

/* One group of digits at *at, at most `max`; false if there is none. */
static bool parse_group(const uint8_t **at, const uint8_t *end, unsigned base, unsigned max,
                        unsigned *value)
{
    assert(base == 10 || base == 16);
    const uint8_t *first = *at;
    unsigned sum = 0;
    for (; *at < end; ++*at) {
        int digit = digit_value(**at, base);
        if (digit < 0)
            break;
        sum = sum * base + (unsigned)digit;
        if (sum > max)
            return false;
    }
    *value = sum;
    return *at > first;
}

/* Four decimal groups, no more and no fewer; leading zeros do not make a group octal. */
static bool parse_ipv4(const uint8_t *at, const uint8_t *end, struct address *address)
{
    struct address result = {.data = {4}};
    for (unsigned i = 0; i < 4; i++) {
        unsigned value = 0;
        if (i > 0 && (at == end || *at++ != '.'))
            return false;
        if (!parse_group(&at, end, 10, 255, &value))
            return false;
        result.data[1 + i] = (uint8_t)value;
    }
    if (at != end)
        return false;
    *address = result;
    return true;
}

/* Groups separated by ':' up to the end or a "::"; returns how many, or -1. A "::" is left for
 * the caller, who knows whether there was one before. */
static int parse_groups(const uint8_t **at, const uint8_t *end, unsigned *groups, unsigned max)
{
    unsigned count = 0;
    while (count < max && parse_group(at, end, 16, 0xffff, &groups[count])) {
        count++;
        if (*at == end || **at != ':' || (end - *at > 1 && (*at)[1] == ':'))
            return (int)count;
        ++*at;
    }
    return count == 0 ? 0 : -1;
}

static bool parse_ipv6(const uint8_t *at, const uint8_t *end, struct address *address)
{
    assert(at < end);
    unsigned head[8] = {0}, tail[8] = {0};
    int before = 0, after = 0;
    if (*at != ':')
        before = parse_groups(&at, end, head, 8);
    if (before < 0)
        return false;
    if (at == end && before != 8)
        return false;
    if (at < end) {
        if (before == 8 || end - at < 2 || at[0] != ':' || at[1] != ':')
            return false;
        at += 2;
        after = at == end ? 0 : parse_groups(&at, end, tail, (unsigned)(7 - before));
        if (after < 0 || at != end)
            return false;
    }
    assert(after >= 0 && before + after <= 8);
    memcpy(head + (8 - after), tail, (size_t)after * sizeof(tail[0]));
    struct address result = {.data = {6}};
    for (unsigned i = 0; i < 8; i++) {
        result.data[1 + 2 * i] = (uint8_t)(head[i] >> 8);
        result.data[2 + 2 * i] = (uint8_t)head[i];
    }
    /* ::ffff:0:0/96, by which IPv6 sockets tell of IPv4 peers: rules for IPv4 blocks are to hold
     * for them. */
    static const uint8_t mapped[13] = {6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (memcmp(result.data, mapped, sizeof(mapped)) == 0)
        result = (struct address){
            .data = {4, result.data[13], result.data[14], result.data[15], result.data[16]}};
    *address = result;
    return true;
}

bool address_parse(struct bytes text, struct address *address)
{
    if (text.size < 2)
        return false;
    const uint8_t *at = text.data, *end = at + text.size;
    /* What is not an address nearly always shows it in its first byte. */
    if (*at != ':' && digit_value(*at, 16) < 0)
        return false;
    return parse_ipv4(at, end, address) || parse_ipv6(at, end, address);
}

unsigned address_bits(const struct address *address)
{
    assert(address->data[0] == 4 || address->data[0] == 6);
    return address->data[0] == 4 ? 32 : 128;
}

/* 10.1.2.3/8 is written by people and means 10.0.0.0/8. */
static void clear_host_bits(struct address *block, unsigned bits)
{
    assert(bits <= address_bits(block));
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = bits >= 8 * (i + 1) ? 8 : bits <= 8 * i ? 0 : bits - 8 * i;
        block->data[1 + i] &= (uint8_t)(0xff00u >> keep);
    }
}

/* A block of all bits is refused, as in EventBridge: it is one address, which is a plain string. */
const char *address_parse_block(struct bytes text, struct address *block, unsigned *bits)
{
    const uint8_t *end = text.data + text.size;
    const uint8_t *slash = text.size ? memchr(text.data, '/', text.size) : NULL;
    if (!slash)
        return "a block is written address/bits";
    struct address address;
    if (!address_parse(bytes_of(text.data, (size_t)(slash - text.data)), &address))
        return "not an IPv4 or IPv6 address before the '/'";
    const uint8_t *at = slash + 1;
    unsigned value = 0;
    if (!parse_group(&at, end, 10, 128, &value) || at != end || value >= address_bits(&address))
        return address.data[0] == 4
                   ? "the number of bits must be 0 to 31 (a whole address is a plain string)"
                   : "the number of bits must be 0 to 127 (a whole address is a plain string)";
    clear_host_bits(&address, value);
    *block = address;
    *bits = value;
    return NULL;
}

/* The kind is compared with the whole bytes, so addresses of another kind are in no block. */
bool address_in_block(const struct address *address, const struct address *block, unsigned bits)
{
    assert(bits <= address_bits(block));
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(address->data, block->data, 1 + whole) != 0)
        return false;
    return rest == 0 ||
           ((address->data[1 + whole] ^ block->data[1 + whole]) & (0xff00u >> rest) & 0xff) == 0;
}
