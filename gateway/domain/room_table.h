/* The rooms of a lane by the hashes of their names: what each room of each record is looked up in.
 * The hashes stand in the table itself, so that a record for nobody here costs one look, and no
 * room is touched but one that is named.
 *
 * Whoever chooses names can choose hashes as well: where one stands is decided by a seed that
 * nobody knows. */
#ifndef GATEWAY_DOMAIN_ROOM_TABLE_H
#define GATEWAY_DOMAIN_ROOM_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct room;

/* Zeroed: empty. Read by anyone, written by room_table.c. */
struct room_table {
    struct room_slot *slots;
    size_t capacity, count; /* of `slots`: a power of two, or 0 */
};

struct room_slot {
    uint64_t hash;
    struct room *room; /* NULL: the slot is free */
};

/* The room of this hash; NULL: there is none. `seed` is the same for all calls. */
struct room *room_table_find(const struct room_table *table, uint64_t seed, uint64_t hash);
/* In place of the one of this hash, if there is one. */
void room_table_set(struct room_table *table, uint64_t seed, uint64_t hash, struct room *room);
/* There is one. With the last one the table's memory goes too. */
void room_table_remove(struct room_table *table, uint64_t seed, uint64_t hash);

/* For tests: the most slots that a look passes. */
size_t room_table_longest(const struct room_table *table, uint64_t seed);

#endif
