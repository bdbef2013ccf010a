/* Internet addresses and blocks (CIDR) as event patterns read them. Text that merely resembles an
 * address is none. */
#ifndef DISPATCHER_RULES_PATTERN_ADDRESS_H
#define DISPATCHER_RULES_PATTERN_ADDRESS_H

#include "bytes.h"

/* A family byte (4 or 6), then the address, zero-filled: one memcmp() orders them. */
enum { ADDRESS_SIZE = 17 };
struct address {
    uint8_t data[ADDRESS_SIZE];
};

/* IPv4: four decimal groups up to 255; IPv6: up to eight hex groups, one "::" for one or more of
 * them; leading zeros are fine, zones and dotted tails are not. An IPv6 address that maps an IPv4
 * one (::ffff:a00:1) is that IPv4 address. */
bool address_parse(struct bytes text, struct address *address);

/* Bits of an address of this family. */
unsigned address_bits(const struct address *address);

/* "address/bits": 0 to 31 for IPv4, 0 to 127 for IPv6. Returns NULL, or what is wrong. The host
 * bits of `block` are cleared. */
const char *address_parse_block(struct bytes text, struct address *block, unsigned *bits);

/* Whether an address lies in a block of its own family. */
bool address_in_block(const struct address *address, const struct address *block, unsigned bits);

#endif
