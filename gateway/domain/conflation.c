/* Progress that a later message has made out of date. It is marked where it lies, in the ring or
 * on a scan, and passed over by whoever has missed it; nothing is moved, so that the order of a
 * session's stream needs no thought.
 *
 * A message gives way only to one of the same task, in the same rooms, with nothing else of the
 * task between, that also says what has become of its item, if it has one: everybody who gets the
 * one then gets the other, and none misses what counts. Where this is not known (another task has
 * taken the slot) a message too many is given, which is always right. */
#include "conflation.h"

#include <stdlib.h>

#include "hub_state.h"
#include "mem.h"

/* --- what is declared ----------------------------------------------------------------------- */

struct conflation_rule {
    char *event, *status; /* NULL: any */
};

struct conflation {
    struct conflation_rule rules[CONFLATION_RULES_LIMIT];
    size_t count;
};

static char *rule_text(struct bytes text)
{
    return bytes_equal_string(text, "*") ? NULL : mem_string(text);
}

static bool rule_read(struct bytes text, struct conflation_rule *rule)
{
    struct bytes event = text, status = BYTES_LITERAL("*");
    const uint8_t *slash = text.size ? memchr(text.data, '/', text.size) : NULL;
    if (slash) {
        event.size = (size_t)(slash - text.data);
        status = bytes_skip(text, event.size + 1);
    }
    /* Everything may not give way: the last notification would be the only one, whatever it
     * says. */
    bool any = bytes_equal_string(event, "*") && bytes_equal_string(status, "*");
    if (event.size == 0 || status.size == 0 || any || memchr(status.data, '/', status.size))
        return false;
    *rule = (struct conflation_rule){rule_text(event), rule_text(status)};
    return true;
}

enum status conflation_new(char *const *items, size_t count, struct conflation **conflation,
                           struct problems *problems)
{
    *conflation = NULL;
    if (count == 0)
        return STATUS_OK;
    bool well = count <= CONFLATION_RULES_LIMIT;
    struct conflation *made = mem_new(struct conflation);
    if (!well)
        problems_add(problems, 0, 0, "gateway.conflate: more than %d", (int)CONFLATION_RULES_LIMIT);
    for (size_t i = 0; i < count && made->count < CONFLATION_RULES_LIMIT; i++) {
        if (rule_read(bytes_of_string(items[i]), &made->rules[made->count])) {
            made->count++;
            continue;
        }
        problems_add(
            problems, 0, 0,
            "gateway.conflate: %s is neither `event` nor `event/status` (* for any of one)",
            items[i]);
        well = false;
    }
    if (!well) {
        conflation_free(made);
        return STATUS_INVALID;
    }
    assert(made->count == count);
    *conflation = made;
    return STATUS_OK;
}

void conflation_free(struct conflation *conflation)
{
    if (!conflation)
        return;
    for (size_t i = 0; i < conflation->count; i++) {
        free(conflation->rules[i].event);
        free(conflation->rules[i].status);
    }
    free(conflation);
}

/* What rules are held against; false: the notification is about nothing that could go on. */
static bool may_be_progress(const struct notification *notification, struct bytes *event,
                            struct bytes *status)
{
    switch (notification->type) {
    case NOTIFICATION_TASK_STATUS:
        *event = notification->task_status.event;
        *status = notification->task_status.status;
        return notification->task_status.task_id.size > 0;
    case NOTIFICATION_CUSTOM:
        *event = notification->custom.event;
        *status = bytes_of(NULL, 0);
        return notification->custom.task_id.size > 0 || notification->item.key.size > 0;
    case NOTIFICATION_CLIENT:
    case NOTIFICATION_REVIEW_ALERT:
    case NOTIFICATION_REVIEW_UPDATED:
    case NOTIFICATION_REVIEW_REFUSED:
        break;
    }
    return false;
}

bool conflation_names(const struct conflation *conflation, const struct notification *notification)
{
    struct bytes event, status;
    /* What is late is no progress: the latest must not give way to it. */
    if (!conflation || notification->late || !may_be_progress(notification, &event, &status))
        return false;
    assert(conflation->count <= CONFLATION_RULES_LIMIT);
    for (size_t i = 0; i < conflation->count; i++) {
        const struct conflation_rule *rule = &conflation->rules[i];
        if ((!rule->event || bytes_equal_string(event, rule->event)) &&
            (!rule->status || bytes_equal_string(status, rule->status)))
            return true;
    }
    return false;
}

/* --- what has become out of date ------------------------------------------------------------ */

/* A task's last message as far as its slot was not taken by another task's: then an earlier one is
 * given although it is out of date, which costs a message and breaks nothing. */
struct last_message {
    uint64_t task;  /* hash; 0: none */
    uint64_t rooms; /* hash of all its rooms */
    uint64_t item;  /* hash of its item; 0: none */
    int64_t offset;
    struct message *message; /* of a scan: kept; of a ring: NULL, found there by its offset */
};

enum { CONFLATION_SLOTS = 256, ROOM_SETS = 1024 };

struct conflation_table {
    struct last_message slots[CONFLATION_SLOTS];
    uint16_t room_sets[ROOM_SETS]; /* how many slots' rooms have this hash */
};

/* A custom event is a stream of its own: of one name, task and item. What else is told of the task
 * goes to other handlers of the page. One that may not give way takes nobody's slot. */
static uint64_t custom_hash(const struct hub *hub, const struct notification *notification)
{
    const struct bytes parts[] = {notification->custom.event, notification->custom.task_id,
                                  notification->item.key};
    uint64_t hash = hub->config.hash_seed;
    if (!conflation_names(hub->config.conflation, notification))
        return 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        hash = parts[i].size ? XXH3_64bits_withSeed(parts[i].data, parts[i].size, hash) : hash + 1;
    return hash | 1;
}

static uint64_t task_hash_of(const struct hub *hub, const struct notification *notification)
{
    struct bytes id = {0};
    switch (notification->type) {
    case NOTIFICATION_TASK_STATUS:
        id = notification->task_status.task_id;
        break;
    case NOTIFICATION_CLIENT:
        id = notification->client.task_id;
        break;
    case NOTIFICATION_REVIEW_ALERT:
        id = notification->review.task_id;
        break;
    case NOTIFICATION_REVIEW_UPDATED:
        id = notification->review_update.task_id;
        break;
    case NOTIFICATION_REVIEW_REFUSED:
        id = notification->review_refusal.task_id;
        break;
    case NOTIFICATION_CUSTOM:
        return custom_hash(hub, notification);
    }
    return id.size ? XXH3_64bits_withSeed(id.data, id.size, hub->config.hash_seed) | 1 : 0;
}

static struct message *message_in(const struct last_message *last, const struct ring *ring)
{
    assert(!last->message || last->message->offset == last->offset);
    if (last->message)
        return last->message;
    return ring_get(ring, last->offset);
}

static uint64_t hash_room_set(const struct message *message)
{
    return XXH3_64bits(message->room_hashes, message->room_count * sizeof(message->room_hashes[0]));
}

/* One that nobody here wanted is not decoded, unless it may be of a task that is known: in the
 * rooms of its last message there may have been somebody, who comes back. */
static bool is_readable(struct conflation_table *table, struct message *message, uint64_t rooms)
{
    if (message->fault || message->room_count == 0)
        return false;
    return message->notification ||
           (table && table->room_sets[rooms % ROOM_SETS] > 0 && message_decode(message));
}

static void replace(struct conflation_table *table, struct last_message *last,
                    struct last_message with)
{
    assert(!last->task || table->room_sets[last->rooms % ROOM_SETS] > 0);
    assert(with.task != 0);
    if (last->task)
        table->room_sets[last->rooms % ROOM_SETS]--;
    table->room_sets[with.rooms % ROOM_SETS]++;
    message_unref(last->message);
    *last = with;
}

static void note_message(struct conflation_table **table, struct lane *lane,
                         struct message *message, bool keep)
{
    assert(message->lane_id == lane->id);
    const struct conflation *rules = lane->hub->config.conflation;
    if (!rules)
        return;
    /* Rooms are compared as a sequence: producers name them in one order, and if one does not,
     * nothing gives way. */
    uint64_t rooms = hash_room_set(message);
    if (!is_readable(*table, message, rooms))
        return;
    uint64_t task = task_hash_of(lane->hub, message->notification);
    if (!task)
        return;
    struct bytes key = message->notification->item.key;
    uint64_t item = key.size > 0 ? notification_item_hash(key) : 0;
    if (!*table)
        *table = mem_new(struct conflation_table);
    struct last_message *last = &(*table)->slots[(task >> 1) % CONFLATION_SLOTS];
    message->conflatable = conflation_names(rules, message->notification);
    if (message->conflatable && last->task == task) {
        struct message *before = message_in(last, &lane->ring);
        /* The same rooms: everybody who gets the one then gets the other. */
        if (before && before->conflatable && last->rooms == rooms &&
            (!last->item || last->item == item))
            before->superseded = true;
    }
    replace(*table, last,
            (struct last_message){task, rooms, item, message->offset,
                                  keep ? message_ref(message) : NULL});
}

void conflation_note(struct lane *lane, struct message *message)
{
    note_message(&lane->last_messages, lane, message, false);
}

void conflation_note_scanned(struct lane *lane, struct message *message)
{
    note_message(&lane->scan.last_messages, lane, message, true);
}

void conflation_table_free(struct conflation_table **table)
{
    if (!*table)
        return;
    for (size_t i = 0; i < CONFLATION_SLOTS; i++)
        message_unref((*table)->slots[i].message);
    free(*table);
    *table = NULL;
}

bool conflation_skips(const struct place *place, const struct message *message)
{
    assert(place->lane->id == message->lane_id);
    assert(!message->superseded || message->conflatable);
    return message->superseded &&
           (place->state != PLACE_LIVE || message->offset < place->live_from);
}
