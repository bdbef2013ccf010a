/* The members of one flat JSON object, one after the other: for records and messages whose few members
 * are known by name. Texts are unescaped into an arena.
 *
 *     struct json_members members;
 *     struct json_member member;
 *     json_members_begin(&members, json, &arena);
 *     while (json_members_next(&members, &member))
 *         if (bytes_equal_string(member.name, "title"))
 *             json_member_text(&members, &member, &title);
 *     if (members.failed)
 *         ...it is no object, or a member is not what was asked for...
 */
#ifndef COMMON_JSON_MEMBERS_H
#define COMMON_JSON_MEMBERS_H

#include "arena.h"
#include "json.h"

/* Borrowed of the text. A name that is written with escapes stays so: it is none of ours. */
struct json_member {
    struct bytes name;
    enum json_token kind;
    struct bytes raw; /* the whole value */
};

struct json_members {
    struct json_scanner scanner;
    struct arena *arena;
    bool failed; /* stays so: there is no next member */
};

void json_members_begin(struct json_members *members, struct bytes json, struct arena *arena);

/* False: there are no more, or (then `failed`) the text is not one object. Of a name that stands twice
 * the last counts, if the caller lets it. */
bool json_members_next(struct json_members *members, struct json_member *member);

/* Each sets `failed` if the member is something else. */

/* A text without U+0000; it is in the arena. */
void json_member_text(struct json_members *members, const struct json_member *member,
                      struct bytes *text);
/* A list of `limit` such texts at most; how many. */
size_t json_member_texts(struct json_members *members, const struct json_member *member,
                         struct bytes *texts, size_t limit);
void json_member_boolean(struct json_members *members, const struct json_member *member,
                         bool *value);
/* A plain number from 1 on. */
void json_member_version(struct json_members *members, const struct json_member *member,
                         uint32_t *version);
/* A plain number of one digit. */
void json_member_digit(struct json_members *members, const struct json_member *member,
                       unsigned *number);

#endif
