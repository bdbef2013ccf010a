/* Events with a key twice in one object: RFC 8259 leaves open what they mean, and readers differ.
 * Here the last one counts, as in browsers, for patterns, rooms and clients alike; where a key says
 * who or what an event is about, an event that says so twice is malformed. */
#ifndef DISPATCHER_CORE_EVENT_KEYS_H
#define DISPATCHER_CORE_EVENT_KEYS_H

#include "buffer.h"
#include "lookup.h"
#include "status.h"

/* Appends the valid JSON object `text` without the members that a later one of the same key in the
 * same object replaces. STATUS_MALFORMED: such a member is one of `identities` (NULL-terminated),
 * of the outermost object. Costs in proportion to the text; `keys` is used, and cleared first. */
enum status event_keep_last_keys(struct bytes text, const char *const *identities,
                                 struct lookup *keys, struct buffer *out,
                                 struct error *error) MUST_CHECK;

#endif
