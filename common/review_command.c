/* The form of a command, and not whether it may be given: that is the review's to say. */
#include "review_command.h"

#include <assert.h>

#include "json_members.h"
#include "review_id.h"

bool review_act_named(struct bytes event, enum review_act *act)
{
    static const char *const names[] = {[REVIEW_CLAIM] = "review.claim",
                                        [REVIEW_RELEASE] = "review.release",
                                        [REVIEW_DECIDE] = "review.decide"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!bytes_equal_string(event, names[i]))
            continue;
        *act = (enum review_act)i;
        return true;
    }
    return false;
}

static void read_payload_member(struct json_members *members, const struct json_member *member,
                                struct review_payload *payload)
{
    if (bytes_equal_string(member->name, "review"))
        json_member_text(members, member, &payload->review);
    else if (bytes_equal_string(member->name, "version"))
        json_member_version(members, member, &payload->version);
    else if (bytes_equal_string(member->name, "take"))
        json_member_boolean(members, member, &payload->take);
    else if (bytes_equal_string(member->name, "decision"))
        json_member_text(members, member, &payload->decision);
    else if (bytes_equal_string(member->name, "comment"))
        json_member_text(members, member, &payload->comment);
    else if (bytes_equal_string(member->name, "data"))
        payload->data = member->raw;
}

bool review_payload_read(struct bytes json, enum review_act act, struct arena *arena,
                         struct review_payload *payload)
{
    struct json_members members;
    struct json_member member;
    assert((unsigned)act <= REVIEW_DECIDE);
    *payload = (struct review_payload){0};
    if (json.size > REVIEW_COMMAND_LIMIT)
        return false;
    json_members_begin(&members, json, arena);
    while (json_members_next(&members, &member))
        read_payload_member(&members, &member, payload);
    return !members.failed && payload->version > 0 && review_id_valid(payload->review) &&
           (act != REVIEW_DECIDE || payload->decision.size > 0);
}
