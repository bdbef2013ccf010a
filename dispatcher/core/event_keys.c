#include "event_keys.h"

#include <assert.h>

#include "arena.h"
#include "json.h"

/* A member of an object. */
struct member {
    struct member *next; /* in the text */
    uint32_t object;
    struct bytes key; /* decoded */
    size_t start;     /* of the key */
    size_t end;       /* where the next member of the object starts; 0: it is the last */
    bool replaced;
};

struct reading {
    struct json_scanner scanner;
    struct arena *arena;
    struct lookup *keys;
    struct member *first;
    struct member **place; /* of the next */
    uint32_t object_count;
    struct {
        uint32_t object;     /* 0: an array */
        struct member *last; /* NULL: none yet */
    } open[JSON_DEPTH_MAX];
    unsigned depth;
};

/* An earlier member with the key of this one; NULL. */
static struct member *find_same(struct reading *reading, const struct member *member, uint64_t hash)
{
    struct member *found;
    for (uint32_t at = 0; (found = (struct member *)lookup_next(reading->keys, hash, &at)) != NULL;)
        if (!found->replaced && found->object == member->object &&
            bytes_equal(found->key, member->key))
            return found;
    return NULL;
}

/* Takes a key. Returns the member that it replaces, or NULL. */
static struct member *take_key(struct reading *reading)
{
    struct member *member = (struct member *)arena_alloc(reading->arena, sizeof(struct member));
    struct bytes raw = reading->scanner.raw;
    uint32_t object = reading->open[reading->depth - 1].object;
    member->object = object;
    member->start = reading->scanner.start;
    member->key = raw;
    if (reading->scanner.escaped) {
        uint8_t *decoded = (uint8_t *)arena_raw(reading->arena, raw.size);
        member->key = bytes_of(decoded, json_unescape(raw, decoded));
    }
    struct member *before = reading->open[reading->depth - 1].last;
    if (before != NULL)
        before->end = member->start;
    reading->open[reading->depth - 1].last = member;
    *reading->place = member;
    reading->place = &member->next;

    uint64_t hash = lookup_hash(reading->keys, object, member->key);
    struct member *same = find_same(reading, member, hash);
    if (same != NULL)
        same->replaced = true;
    lookup_add(reading->keys, hash, member);
    return same;
}

static void enter(struct reading *reading, bool is_object)
{
    assert(reading->depth < JSON_DEPTH_MAX);
    reading->open[reading->depth].object = is_object ? ++reading->object_count : 0;
    reading->open[reading->depth].last = NULL;
    reading->depth++;
}

static bool is_identity(struct bytes key, const char *const *identities)
{
    for (; *identities != NULL; identities++)
        if (bytes_equal_string(key, *identities))
            return true;
    return false;
}

static enum status read_keys(struct reading *reading, const char *const *identities,
                             struct error *error)
{
    enum json_token token;
    while ((token = json_next(&reading->scanner)) != JSON_END && token != JSON_ERROR) {
        if (token == JSON_OBJECT || token == JSON_ARRAY) {
            enter(reading, token == JSON_OBJECT);
        } else if (token == JSON_OBJECT_END || token == JSON_ARRAY_END) {
            reading->depth--;
        } else if (token == JSON_KEY) {
            const struct member *replaced = take_key(reading);
            if (replaced != NULL && replaced->object == 1 && is_identity(replaced->key, identities))
                return error_set(error, STATUS_MALFORMED, "the event has %.*s twice",
                                 BYTES_PRINT(replaced->key));
        }
    }
    if (token == JSON_ERROR)
        return error_set(error, reading->scanner.status, "%s", reading->scanner.problem);
    return STATUS_OK;
}

/* A replaced member is cut up to the next of its object: there is one, the last of its key. */
static void write_kept(const struct reading *reading, struct buffer *out)
{
    struct bytes text = reading->scanner.text;
    size_t at = 0;
    for (const struct member *member = reading->first; member != NULL; member = member->next) {
        if (!member->replaced || member->start < at)
            continue;
        assert(member->end > member->start);
        buffer_append(out, bytes_of(text.data + at, member->start - at));
        at = member->end;
    }
    buffer_append(out, bytes_skip(text, at));
}

enum status event_keep_last_keys(struct bytes text, const char *const *identities,
                                 struct lookup *keys, struct buffer *out, struct error *error)
{
    auto_arena struct arena arena = {0};
    struct reading reading; /* not zeroed: what is open is large and written before it is read */
    reading.arena = &arena;
    reading.keys = keys;
    reading.first = NULL;
    reading.place = &reading.first;
    reading.object_count = 0;
    reading.depth = 0;
    lookup_clear(keys);
    json_init(&reading.scanner, text, JSON_DEPTH_MAX);
    enum status status = read_keys(&reading, identities, error);
    if (status == STATUS_OK)
        write_kept(&reading, out);
    return status;
}
