/* The records of the log of reviews, and what a review is about. One flat JSON object each: read by
 * one loop that hands out its members. */
#include "review_record.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "json_members.h"
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

static void read_subject_member(struct json_members *members, const struct json_member *member,
                                struct review_subject *subject)
{
#define X(field, json)                                      \
    if (bytes_equal_string(member->name, json)) {           \
        json_member_text(members, member, &subject->field); \
        return;                                             \
    }
    REVIEW_SUBJECT_TEXTS(X)
#undef X
    if (bytes_equal_string(member->name, "rooms"))
        subject->room_count =
            json_member_texts(members, member, subject->rooms, REVIEW_ROOMS_LIMIT);
    else if (bytes_equal_string(member->name, "decisions"))
        subject->decision_count =
            json_member_texts(members, member, subject->decisions, REVIEW_DECISIONS_LIMIT);
    else if (bytes_equal_string(member->name, "self"))
        json_member_boolean(members, member, &subject->self);
    else if (bytes_equal_string(member->name, "hops"))
        json_member_digit(members, member, &subject->hops);
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
    struct json_members members;
    struct json_member member;
    *subject = (struct review_subject){0};
    if (json.size > REVIEW_TEXT_LIMIT)
        return false;
    json_members_begin(&members, json, arena);
    while (json_members_next(&members, &member))
        read_subject_member(&members, &member, subject);
    return !members.failed && subject_is_sound(subject);
}

/* --- Records --- */

static bool read_command(const struct record *record, struct arena *arena,
                         struct review_record *read)
{
    struct review_command *command = &read->command;
    struct review_payload payload;
    if (!review_payload_read(record->value, command->act, arena, &payload))
        return false;
    command->version = payload.version;
    command->take = payload.take;
    command->decision = payload.decision;
    command->comment = payload.comment;
    command->data = payload.data;
    return review_id_read(payload.review, &read->id);
}

/* What else it says is for rules. */
static bool read_timer(const struct record *record, struct arena *arena, struct review_record *read)
{
    struct json_members members;
    struct json_member member;
    struct bytes id = bytes_of(NULL, 0);
    if (record->value.size > REVIEW_TIMER_LIMIT)
        return false;
    json_members_begin(&members, record->value, arena);
    while (json_members_next(&members, &member)) {
        if (bytes_equal_string(member.name, "review"))
            json_member_text(&members, &member, &id);
        else if (bytes_equal_string(member.name, "version"))
            json_member_version(&members, &member, &read->version);
    }
    return !members.failed && read->version > 0 && review_id_read(id, &read->id);
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
    } else if (review_act_named(type, &read->command.act)) {
        if (read_sender(record, &read->command) && read_command(record, arena, read))
            read->kind = REVIEW_RECORD_COMMAND;
    }
}
