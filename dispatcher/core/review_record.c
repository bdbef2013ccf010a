/* The records of the log of reviews, and what a review is about. One flat JSON object each: read by
 * one loop that hands out its members. */
#include "review_record.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "json.h"
#include "room.h"

/* --- Ids --- */

void review_id_write(struct review_id id, char text[REVIEW_ID_SIZE + 1])
{
    int size = snprintf(text, REVIEW_ID_SIZE + 1, "%016" PRIx64 "%016" PRIx64 "-%016" PRIx64,
                        id.task.high, id.task.low, id.instance);
    assert(size == REVIEW_ID_SIZE);
    (void)size;
}

static uint64_t read_hexadecimal(struct bytes digits)
{
    uint64_t number = 0;
    assert(digits.size == 16);
    for (size_t i = 0; i < digits.size; i++) {
        uint8_t byte = digits.data[i];
        number = number << 4 | (uint64_t)(byte_is_digit(byte) ? byte - '0' : byte - 'a' + 10);
    }
    return number;
}

bool review_id_read(struct bytes text, struct review_id *id)
{
    if (!review_id_valid(text))
        return false;
    *id = (struct review_id){
        .task = {.high = read_hexadecimal(bytes_of(text.data, 16)),
                 .low = read_hexadecimal(bytes_of(text.data + 16, 16))},
        .instance = read_hexadecimal(bytes_skip(text, REVIEW_HOME_SIZE + 1)),
    };
    return true;
}

/* --- Members of a flat object --- */

struct member {
    struct bytes name;
    enum json_token kind;
    struct bytes raw;
};

struct member_reader {
    struct json_scanner scanner;
    struct arena *arena;
    bool failed;
};

enum { DEPTH_LIMIT = 32 };

static void begin_members(struct member_reader *reader, struct bytes json, struct arena *arena)
{
    reader->arena = arena;
    json_init(&reader->scanner, json, DEPTH_LIMIT);
    reader->failed = json_next(&reader->scanner) != JSON_OBJECT;
}

/* False: there are no more, or (then `failed`) the text is not one object. */
static bool next_flat_member(struct member_reader *reader, struct member *member)
{
    enum json_token token = reader->failed ? JSON_ERROR : json_next(&reader->scanner);
    if (token == JSON_KEY) {
        /* A name of ours has no escapes; one with them is nobody's. */
        member->name = reader->scanner.raw;
        member->kind = json_value(&reader->scanner, &member->raw);
        reader->failed = member->kind == JSON_ERROR;
        return !reader->failed;
    }
    reader->failed =
        reader->failed || token != JSON_OBJECT_END || json_next(&reader->scanner) != JSON_END;
    return false;
}

/* A text, unescaped; it goes to clients, where none has a NUL. */
static bool member_text(struct member_reader *reader, const struct member *member,
                        struct bytes *text)
{
    if (member->kind != JSON_STRING)
        return !(reader->failed = true);
    struct bytes inside = bytes_of(member->raw.data + 1, member->raw.size - 2);
    uint8_t *out = arena_raw(reader->arena, inside.size + 1);
    *text = bytes_of(out, json_unescape(inside, out));
    reader->failed = text->size > 0 && memchr(text->data, 0, text->size);
    return !reader->failed;
}

/* A list of `limit` texts at most. */
static size_t member_texts(struct member_reader *reader, const struct member *member,
                           struct bytes *texts, size_t limit)
{
    struct json_scanner scanner;
    size_t count = 0;
    json_init(&scanner, member->raw, DEPTH_LIMIT);
    if (json_next(&scanner) != JSON_ARRAY) {
        reader->failed = true;
        return 0;
    }
    struct member element;
    while ((element.kind = json_value(&scanner, &element.raw)) == JSON_STRING)
        if (count == limit || !member_text(reader, &element, &texts[count++]))
            break;
    reader->failed = reader->failed || element.kind != JSON_ARRAY_END;
    return count;
}

static void member_boolean(struct member_reader *reader, const struct member *member, bool *value)
{
    reader->failed = member->kind != JSON_TRUE && member->kind != JSON_FALSE;
    *value = member->kind == JSON_TRUE;
}

/* A plain number from 1 on. */
static void member_version(struct member_reader *reader, const struct member *member,
                           uint32_t *version)
{
    uint64_t number = 0;
    reader->failed = member->kind != JSON_NUMBER || member->raw.size > 10;
    for (size_t i = 0; i < member->raw.size && !reader->failed; i++) {
        reader->failed = !byte_is_digit(member->raw.data[i]);
        number = number * 10 + (uint64_t)(member->raw.data[i] - '0');
    }
    reader->failed = reader->failed || number == 0 || number > UINT32_MAX;
    *version = reader->failed ? 0 : (uint32_t)number;
}

static void member_digit(struct member_reader *reader, const struct member *member,
                         unsigned *number)
{
    reader->failed = member->kind != JSON_NUMBER || member->raw.size != 1;
    *number = reader->failed ? 0 : (unsigned)(member->raw.data[0] - '0');
}

/* --- What a review is about --- */

static void append_subject_member(struct buffer *json, const char *name, struct bytes text)
{
    if (text.size == 0)
        return;
    buffer_append_format(json, "%s\"%s\":", buffer_size(json) > 1 ? "," : "", name);
    json_write_string(json, text);
}

static void append_list(struct buffer *json, const char *name, const struct bytes *texts,
                        size_t count)
{
    buffer_append_format(json, ",\"%s\":", name);
    json_write_strings(json, texts, count);
}

/* The buffer is empty at first: the object is all that it gets. */
void review_subject_write(const struct review_subject *subject, struct buffer *json)
{
    assert(buffer_size(json) == 0 && subject->queue.size > 0);
    assert(subject->room_count > 0 && subject->decision_count > 0);
    buffer_append_byte(json, '{');
#define X(name, member) append_subject_member(json, member, subject->name);
    REVIEW_SUBJECT_TEXTS(X)
#undef X
    append_list(json, "rooms", subject->rooms, subject->room_count);
    append_list(json, "decisions", subject->decisions, subject->decision_count);
    buffer_append_format(json, ",\"self\":%s", subject->self ? "true" : "false");
    if (subject->hops > 0)
        buffer_append_format(json, ",\"hops\":%u", subject->hops);
    buffer_append_byte(json, '}');
}

static void read_subject_member(struct member_reader *reader, const struct member *member,
                                struct review_subject *subject)
{
#define X(field, json)                                      \
    if (bytes_equal_string(member->name, json)) {           \
        (void)member_text(reader, member, &subject->field); \
        return;                                             \
    }
    REVIEW_SUBJECT_TEXTS(X)
#undef X
    if (bytes_equal_string(member->name, "rooms"))
        subject->room_count = member_texts(reader, member, subject->rooms, REVIEW_ROOMS_LIMIT);
    else if (bytes_equal_string(member->name, "decisions"))
        subject->decision_count =
            member_texts(reader, member, subject->decisions, REVIEW_DECISIONS_LIMIT);
    else if (bytes_equal_string(member->name, "self"))
        member_boolean(reader, member, &subject->self);
    else if (bytes_equal_string(member->name, "hops"))
        member_digit(reader, member, &subject->hops);
}

static bool subject_is_sound(const struct review_subject *subject)
{
    struct room_name room;
    if (subject->queue.size == 0 || subject->task.size == 0 || subject->room_count == 0 ||
        subject->decision_count == 0 || room_parse(subject->rooms[0], &room, NULL) != STATUS_OK ||
        !bytes_equal_string(room.kind, REVIEW_ROOM_KIND))
        return false;
    for (size_t i = 0; i < subject->decision_count; i++)
        if (subject->decisions[i].size == 0 || subject->decisions[i].size > REVIEW_DECISION_SIZE)
            return false;
    return true;
}

bool review_subject_read(struct bytes json, struct arena *arena, struct review_subject *subject)
{
    struct member_reader reader;
    struct member member;
    *subject = (struct review_subject){0};
    if (json.size > REVIEW_TEXT_LIMIT)
        return false;
    begin_members(&reader, json, arena);
    while (next_flat_member(&reader, &member))
        read_subject_member(&reader, &member, subject);
    return !reader.failed && subject_is_sound(subject);
}

/* --- Records --- */

static bool read_command(const struct record *record, struct arena *arena,
                         struct review_record *read)
{
    struct review_command *command = &read->command;
    struct member_reader reader;
    struct member member;
    struct bytes id = bytes_of(NULL, 0);
    if (record->value.size > REVIEW_COMMAND_LIMIT)
        return false;
    begin_members(&reader, record->value, arena);
    while (next_flat_member(&reader, &member)) {
        if (bytes_equal_string(member.name, "review"))
            (void)member_text(&reader, &member, &id);
        else if (bytes_equal_string(member.name, "version"))
            member_version(&reader, &member, &command->version);
        else if (bytes_equal_string(member.name, "take"))
            member_boolean(&reader, &member, &command->take);
        else if (bytes_equal_string(member.name, "decision"))
            (void)member_text(&reader, &member, &command->decision);
        else if (bytes_equal_string(member.name, "comment"))
            (void)member_text(&reader, &member, &command->comment);
        else if (bytes_equal_string(member.name, "data"))
            command->data = member.raw;
    }
    return !reader.failed && command->version > 0 && review_id_read(id, &read->id) &&
           (command->act != REVIEW_DECIDE || command->decision.size > 0);
}

/* What else it says is for rules. */
static bool read_timer(const struct record *record, struct arena *arena, struct review_record *read)
{
    struct member_reader reader;
    struct member member;
    struct bytes id = bytes_of(NULL, 0);
    if (record->value.size > REVIEW_TIMER_LIMIT)
        return false;
    begin_members(&reader, record->value, arena);
    while (next_flat_member(&reader, &member)) {
        if (bytes_equal_string(member.name, "review"))
            (void)member_text(&reader, &member, &id);
        else if (bytes_equal_string(member.name, "version"))
            member_version(&reader, &member, &read->version);
    }
    return !reader.failed && read->version > 0 && review_id_read(id, &read->id);
}

/* Whose command it is, and in which room: the gateway's word, in headers. */
static bool read_sender(const struct record *record, struct review_command *command)
{
    return record_find_header(record, "ce_id", &command->command) &&
           room_key_valid(command->command) &&
           record_find_header(record, "ce_source", &command->source) &&
           record_find_header(record, "ce_userid", &command->actor) &&
           room_key_valid(command->actor) &&
           (!record_find_header(record, "ce_tenantid", &command->tenant) ||
            command->tenant.size == 0 || room_key_valid(command->tenant)) &&
           record_find_header(record, "ce_room", &command->room);
}

/* The key is the home of the task. */
static bool read_closing(const struct record *record, struct review_record *read)
{
    char text[REVIEW_ID_SIZE + 1];
    if (record->key.size != REVIEW_HOME_SIZE)
        return false;
    memcpy(text, record->key.data, REVIEW_HOME_SIZE);
    memcpy(text + REVIEW_HOME_SIZE, "-0000000000000000", REVIEW_INSTANCE_SIZE + 1);
    return review_id_read(bytes_of(text, REVIEW_ID_SIZE), &read->id);
}

static bool read_opening(const struct record *record, struct arena *arena,
                         struct review_record *read)
{
    struct bytes id;
    read->text = record->value;
    return record_find_header(record, "ce_id", &id) && review_id_read(id, &read->id) &&
           review_subject_read(record->value, arena, &read->subject);
}

void review_record_read(const struct record *record, struct arena *arena,
                        struct review_record *read)
{
    static const char *const acts[] = {[REVIEW_CLAIM] = REVIEW_EVENT_CLAIM,
                                       [REVIEW_RELEASE] = REVIEW_EVENT_RELEASE,
                                       [REVIEW_DECIDE] = REVIEW_EVENT_DECIDE};
    struct bytes type;
    *read = (struct review_record){.kind = REVIEW_RECORD_OTHER};
    if (!record->has_value || !record_find_header(record, "ce_type", &type))
        return;
    if (bytes_equal_string(type, REVIEW_TYPE_OPENED)) {
        if (read_opening(record, arena, read))
            read->kind = REVIEW_RECORD_OPENED;
    } else if (bytes_equal_string(type, REVIEW_TYPE_CLOSED)) {
        if (read_closing(record, read))
            read->kind = REVIEW_RECORD_CLOSED;
    } else if (bytes_equal_string(type, REVIEW_TYPE_LATE)) {
        if (read_timer(record, arena, read))
            read->kind = REVIEW_RECORD_LATE;
    } else if (bytes_equal_string(type, REVIEW_TYPE_LAPSED)) {
        if (read_timer(record, arena, read))
            read->kind = REVIEW_RECORD_LAPSED;
    } else if (bytes_equal_string(type, REVIEW_TYPE_TICK)) {
        read->kind = REVIEW_RECORD_TICK;
    } else {
        for (unsigned act = 0; act < sizeof(acts) / sizeof(acts[0]); act++) {
            if (!bytes_equal_string(type, acts[act]))
                continue;
            read->command.act = (enum review_act)act;
            if (read_sender(record, &read->command) && read_command(record, arena, read))
                read->kind = REVIEW_RECORD_COMMAND;
        }
    }
}
