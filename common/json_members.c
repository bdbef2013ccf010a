/* One loop over the scanner's tokens; whatever is not as asked for ends it. */
#include "json_members.h"

#include <assert.h>
#include <string.h>

enum { DEPTH_LIMIT = 32 };

void json_members_begin(struct json_members *members, struct bytes json, struct arena *arena)
{
    members->arena = arena;
    json_init(&members->scanner, json, DEPTH_LIMIT);
    members->failed = json_next(&members->scanner) != JSON_OBJECT;
}

bool json_members_next(struct json_members *members, struct json_member *member)
{
    enum json_token token = members->failed ? JSON_ERROR : json_next(&members->scanner);
    if (token == JSON_KEY) {
        member->name = members->scanner.raw;
        member->kind = json_value(&members->scanner, &member->raw);
        members->failed = member->kind == JSON_ERROR;
        return !members->failed;
    }
    members->failed =
        members->failed || token != JSON_OBJECT_END || json_next(&members->scanner) != JSON_END;
    return false;
}

void json_member_text(struct json_members *members, const struct json_member *member,
                      struct bytes *text)
{
    if (member->kind != JSON_STRING) {
        members->failed = true;
        return;
    }
    assert(member->raw.size >= 2); /* its quotes */
    struct bytes inside = bytes_of(member->raw.data + 1, member->raw.size - 2);
    uint8_t *out = arena_raw(members->arena, inside.size + 1);
    *text = bytes_of(out, json_unescape(inside, out));
    members->failed = text->size > 0 && memchr(text->data, 0, text->size);
}

size_t json_member_texts(struct json_members *members, const struct json_member *member,
                         struct bytes *texts, size_t limit)
{
    struct json_scanner scanner;
    size_t count = 0;
    json_init(&scanner, member->raw, DEPTH_LIMIT);
    if (json_next(&scanner) != JSON_ARRAY) {
        members->failed = true;
        return 0;
    }
    struct json_member element;
    while ((element.kind = json_value(&scanner, &element.raw)) == JSON_STRING) {
        if (count == limit)
            break;
        json_member_text(members, &element, &texts[count++]);
        if (members->failed)
            break;
    }
    members->failed = members->failed || element.kind != JSON_ARRAY_END;
    assert(count <= limit);
    return count;
}

void json_member_boolean(struct json_members *members, const struct json_member *member,
                         bool *value)
{
    members->failed = member->kind != JSON_TRUE && member->kind != JSON_FALSE;
    *value = member->kind == JSON_TRUE;
}

void json_member_version(struct json_members *members, const struct json_member *member,
                         uint32_t *version)
{
    uint64_t number = 0;
    members->failed = member->kind != JSON_NUMBER || member->raw.size > 10;
    for (size_t i = 0; i < member->raw.size && !members->failed; i++) {
        members->failed = !byte_is_digit(member->raw.data[i]);
        number = number * 10 + (uint64_t)(member->raw.data[i] - '0');
    }
    members->failed = members->failed || number == 0 || number > UINT32_MAX;
    *version = members->failed ? 0 : (uint32_t)number;
}

void json_member_digit(struct json_members *members, const struct json_member *member,
                       unsigned *number)
{
    members->failed = member->kind != JSON_NUMBER || member->raw.size != 1;
    *number = members->failed ? 0 : (unsigned)(member->raw.data[0] - '0');
}
