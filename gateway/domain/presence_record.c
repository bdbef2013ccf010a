/* Keys and values of the topic of presence, to which other gateways write: other versions of this
 * program, and whoever has the right to. So nothing here asserts what a record says.
 *
 * Texts are unescaped into one buffer, and only when all of them are there are they pointed to:
 * the buffer may move while it grows. */
#include "presence_record.h"

#include <assert.h>
#include <stdlib.h>

#include "json.h"
#include "mem.h"
#include "unicode.h"

enum { DEPTH = 8, KEY_TEXTS = 3 };

void presence_space_deinit(struct presence_space *space)
{
    buffer_deinit(&space->text);
    free(space->users);
    *space = (struct presence_space){0};
}

/* Unescapes a string of the scanner behind what is there; false: it is larger than `most`, or
 * empty and may not be. */
static bool take_presence_text(const struct json_scanner *scanner, struct presence_space *space,
                               size_t least, size_t most, struct bytes *place)
{
    size_t start = buffer_size(&space->text);
    json_unescape_append(scanner->raw, &space->text);
    *place = bytes_of(NULL, buffer_size(&space->text) - start);
    return place->size >= least && place->size <= most;
}

/* Of `texts` that were taken one behind the other, from the start of the buffer on. */
static size_t point_to(const struct presence_space *space, size_t at, struct bytes *texts,
                       size_t count)
{
    struct bytes all = buffer_peek(&space->text);
    for (size_t i = 0; i < count; i++) {
        assert(texts[i].size <= all.size - at);
        texts[i].data = texts[i].size ? all.data + at : NULL;
        at += texts[i].size;
    }
    return at;
}

/* --- keys ------------------------------------------------------------------------------------- */

/* Number of texts in it, 1 or 3; 0: it is no key. */
static size_t read_presence_key(struct bytes key, struct presence_space *space,
                                struct bytes texts[KEY_TEXTS])
{
    static const size_t least[] = {1, 0, 1};
    static const size_t most[] = {PRESENCE_WORKER_TEXT_LIMIT, LAYOUT_KEY_LIMIT, ROOM_NAME_LIMIT};
    struct json_scanner scanner;
    size_t count = 0;
    if (key.size == 0 || key.size > PRESENCE_KEY_LIMIT)
        return 0;
    json_init(&scanner, key, DEPTH);
    if (json_next(&scanner) != JSON_ARRAY)
        return 0;
    enum json_token token = json_next(&scanner);
    for (; token == JSON_STRING && count < KEY_TEXTS; token = json_next(&scanner), count++)
        if (!take_presence_text(&scanner, space, least[count], most[count], &texts[count]))
            return 0;
    return token == JSON_ARRAY_END && json_next(&scanner) == JSON_END && count != 2 ? count : 0;
}

/* A key has one spelling: of two, compaction would keep both, and only one would ever end. */
static bool is_own_spelling(const struct presence_record *record, struct bytes key)
{
    auto_buffer struct buffer own = {0};
    presence_append_key(&own, record->worker, record->is_beat ? NULL : &record->scope,
                        record->is_beat ? NULL : &record->room);
    return bytes_equal(buffer_peek(&own), key);
}

/* --- values ----------------------------------------------------------------------------------- */

static bool read_count(struct bytes number, uint64_t *count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < number.size; i++) {
        if (!byte_is_digit(number.data[i]) || value > UINT32_MAX / 10)
            return false;
        value = 10 * value + (uint64_t)(number.data[i] - '0');
    }
    *count = value;
    return number.size > 0;
}

/* As those of tokens are: what is passed on to clients is text. */
static bool is_user(struct bytes name)
{
    assert(name.data && name.size > 0); /* take_presence_text() */
    return unicode_is_valid(name) && !memchr(name.data, 0, name.size);
}

static bool read_users(struct json_scanner *scanner, struct presence_space *space,
                       struct presence_record *record)
{
    enum json_token token = json_next(scanner);
    for (; token == JSON_STRING; token = json_next(scanner)) {
        if (record->user_count == PRESENCE_USERS_MOST)
            return false;
        if (record->user_count == space->capacity) {
            space->capacity = space->capacity ? 2 * space->capacity : 16;
            space->users = mem_resize(space->users, space->capacity, sizeof(struct bytes));
        }
        if (!take_presence_text(scanner, space, 1, PRESENCE_USER_LIMIT,
                                &space->users[record->user_count]))
            return false;
        record->user_count++;
    }
    return token == JSON_ARRAY_END;
}

static bool read_presence_list(struct bytes value, struct presence_space *space,
                               struct presence_record *record)
{
    struct json_scanner scanner;
    bool has_count = false, has_users = false;
    enum json_token token;
    json_init(&scanner, value, DEPTH);
    if (json_next(&scanner) != JSON_OBJECT)
        return false;
    while ((token = json_next(&scanner)) == JSON_KEY) {
        struct bytes name = scanner.raw;
        if (bytes_equal_string(name, "count")) {
            has_count = !has_count && json_next(&scanner) == JSON_NUMBER &&
                        read_count(scanner.raw, &record->count);
            if (!has_count)
                return false;
        } else if (bytes_equal_string(name, "users")) {
            has_users = !has_users && json_next(&scanner) == JSON_ARRAY &&
                        read_users(&scanner, space, record);
            if (!has_users)
                return false;
        } else if (json_value(&scanner, NULL) == JSON_ERROR) {
            return false;
        }
    }
    return token == JSON_OBJECT_END && json_next(&scanner) == JSON_END && has_count && has_users &&
           record->count >= record->user_count && record->count > 0;
}

enum presence_fault presence_record_read(struct bytes key, bool has_value, struct bytes value,
                                         struct presence_space *space,
                                         struct presence_record *record)
{
    struct bytes texts[KEY_TEXTS] = {{0}};
    struct room_name room;
    *record = (struct presence_record){.over = !has_value};
    buffer_clear(&space->text);
    size_t count = read_presence_key(key, space, texts);
    if (count == 0)
        return PRESENCE_FAULTY_KEY;
    size_t at = point_to(space, 0, texts, count);
    record->worker = texts[0];
    record->is_beat = count == 1;
    record->scope = texts[1];
    record->room = texts[2];
    if (!is_own_spelling(record, key) ||
        (!record->is_beat && room_parse(record->room, &room, NULL) != STATUS_OK))
        return PRESENCE_FAULTY_KEY;
    if (!has_value || record->is_beat)
        return PRESENCE_SOUND;
    if (value.size > PRESENCE_VALUE_LIMIT || !read_presence_list(value, space, record))
        return PRESENCE_FAULTY_VALUE;
    point_to(space, 0, texts, count); /* it may have moved */
    record->worker = texts[0];
    record->scope = texts[1];
    record->room = texts[2];
    point_to(space, at, space->users, record->user_count);
    for (uint32_t i = 0; i < record->user_count; i++)
        if (!is_user(space->users[i]))
            return PRESENCE_FAULTY_VALUE;
    record->users = space->users;
    return PRESENCE_SOUND;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* A JSON array of texts: no name can be made to look like another key. */
void presence_append_key(struct buffer *out, struct bytes worker, const struct bytes *scope,
                         const struct bytes *room)
{
    assert(worker.size > 0 && !scope == !room);
    buffer_append_byte(out, '[');
    json_write_string(out, worker);
    if (room) {
        buffer_append_byte(out, ',');
        json_write_string(out, *scope);
        buffer_append_byte(out, ',');
        json_write_string(out, *room);
    }
    buffer_append_byte(out, ']');
}

void presence_append_beat(struct buffer *out)
{
    buffer_append_string(out, "{}");
}

void presence_begin_list(struct buffer *out, uint64_t count)
{
    assert(count > 0);
    buffer_append_format(out, "{\"count\":%llu,\"users\":[", (unsigned long long)count);
}

void presence_append_user(struct buffer *out, struct bytes user)
{
    struct bytes text = buffer_peek(out);
    assert(user.size > 0 && text.size > 0);
    if (text.data[text.size - 1] != '[')
        buffer_append_byte(out, ',');
    json_write_string(out, user);
}

void presence_end_list(struct buffer *out)
{
    buffer_append_string(out, "]}");
}
