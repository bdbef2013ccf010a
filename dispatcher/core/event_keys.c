/* An event in which a key stands twice, as a text in which each stands once.
 *
 * JSON lets a key stand twice and does not say which value counts; the matcher, the fields and the
 * client in the browser would each choose, and could be made to choose differently: a rule sees one
 * tenant, the layout another. So the earlier ones are cut out of the text before anything decides
 * by it. Of the members that say who an event is about (`identities`) a second one is refused
 * instead.
 *
 * Invariant: only bytes are removed. What is kept stands as it stood, in the order in which it
 * stood. Nearly no event comes here: the matcher and the fields notice a repeated key in
 * passing. */
#include "event_keys.h"

#include <assert.h>

#include "arena.h"
#include "json.h"

/* A member of an object. */
struct event_member {
    struct event_member *next; /* in the text */
    uint32_t object;
    struct bytes key; /* decoded */
    size_t start;     /* of the key */
    size_t end;       /* where the next member of the object starts; 0: it is the last */
    bool replaced;
    struct event_member *latest; /* of the first one with its key: the last one so far */
};

struct key_reader {
    struct json_scanner scanner;
    struct arena *arena;
    struct lookup *keys;
    struct event_member *first;
    struct event_member **place; /* of the next */
    uint32_t object_count;
    struct {
        uint32_t object;           /* 0: an array */
        struct event_member *last; /* NULL: none yet */
    } open[JSON_DEPTH_MAX];
    unsigned depth;
};

/* The first member with the key of this one, which alone is in the table: entries of one hash lie in
 * a row, and would all be walked for each repetition. NULL: this one is the first. */
static struct event_member *find_first(struct key_reader *reader, const struct event_member *member,
                                       uint64_t hash)
{
    assert(member->object > 0);
    struct event_member *found;
    for (uint32_t at = 0; (found = lookup_next(reader->keys, hash, &at));)
        if (found->object == member->object && bytes_equal(found->key, member->key))
            return found;
    return NULL;
}

/* Takes a key. Returns the member that it replaces, or NULL. JSON lets a key stand twice, and
 * readers differ in which one counts (RFC 8259, 4). Here it is the last, as in JavaScript: the
 * earlier ones are cut out of the text, so that rules and pages see the same event. */
static struct event_member *take_key(struct key_reader *reader)
{
    struct event_member *member = arena_alloc(reader->arena, sizeof(struct event_member));
    struct bytes raw = reader->scanner.raw;
    assert(reader->depth > 0 && reader->open[reader->depth - 1].object > 0); /* in an object */
    uint32_t object = reader->open[reader->depth - 1].object;
    member->object = object;
    member->start = reader->scanner.start;
    member->key = raw;
    if (reader->scanner.escaped) {
        uint8_t *decoded = arena_raw(reader->arena, raw.size);
        member->key = bytes_of(decoded, json_unescape(raw, decoded));
    }
    struct event_member *before = reader->open[reader->depth - 1].last;
    if (before)
        before->end = member->start;
    reader->open[reader->depth - 1].last = member;
    *reader->place = member;
    reader->place = &member->next;

    uint64_t hash = lookup_hash(reader->keys, object, member->key);
    struct event_member *first = find_first(reader, member, hash);
    if (!first) {
        member->latest = member;
        lookup_add(reader->keys, hash, member);
        return NULL;
    }
    struct event_member *replaced = first->latest;
    assert(!replaced->replaced && replaced->start < member->start);
    replaced->replaced = true;
    first->latest = member;
    return replaced;
}

/* Objects are numbered from 1 in the order in which they open, so the event itself is 1. */
static void open_container(struct key_reader *reader, bool is_object)
{
    assert(reader->depth < JSON_DEPTH_MAX);
    reader->open[reader->depth].object = is_object ? ++reader->object_count : 0;
    reader->open[reader->depth].last = NULL;
    reader->depth++;
}

/* Compared decoded: "tenant\u0049d" is tenantId. */
static bool is_identity(struct bytes key, const char *const *identities)
{
    for (; *identities; identities++)
        if (bytes_equal_string(key, *identities))
            return true;
    return false;
}

/* Only members of the event itself are identities: a `userId` inside `data` is the producer's
 * own. */
static enum status read_keys(struct key_reader *reader, const char *const *identities,
                             struct error *error)
{
    enum json_token token;
    while ((token = json_next(&reader->scanner)) != JSON_END && token != JSON_ERROR) {
        if (token == JSON_OBJECT || token == JSON_ARRAY) {
            open_container(reader, token == JSON_OBJECT);
        } else if (token == JSON_OBJECT_END || token == JSON_ARRAY_END) {
            assert(reader->depth > 0);
            reader->depth--;
        } else if (token == JSON_KEY) {
            const struct event_member *replaced = take_key(reader);
            if (replaced && replaced->object == 1 && is_identity(replaced->key, identities))
                return error_set(error, STATUS_MALFORMED, "the event has %.*s twice",
                                 BYTES_PRINT(replaced->key));
        }
    }
    if (token == JSON_ERROR)
        return error_set(error, reader->scanner.status, "%s", reader->scanner.problem);
    return STATUS_OK;
}

/* A replaced member is cut up to the next of its object: there is one, the last of its key. */
static void write_kept(const struct key_reader *reader, struct buffer *out)
{
    struct bytes text = reader->scanner.text;
    size_t at = 0;
    for (const struct event_member *member = reader->first; member; member = member->next) {
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
    struct key_reader reader; /* not zeroed: what is open is large and written before it is read */
    reader.arena = &arena;
    reader.keys = keys;
    reader.first = NULL;
    reader.place = &reader.first;
    reader.object_count = 0;
    reader.depth = 0;
    lookup_clear(keys);
    json_init(&reader.scanner, text, JSON_DEPTH_MAX);
    enum status status = read_keys(&reader, identities, error);
    if (status == STATUS_OK)
        write_kept(&reader, out);
    return status;
}
