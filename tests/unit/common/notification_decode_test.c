/* The decoder against protobuf-c, which reads the same values by copying them: of whatever stands
 * in a record both must say the same. */
#include "notification.h"
#include "notification.pb-c.h"
#include "suite.h"

enum { ROUNDS = 20000 };

static const struct bytes rooms[] = {BYTES_LITERAL("task:42"), BYTES_LITERAL("user:7")};
static const struct bytes rules[] = {BYTES_LITERAL("route-task"), BYTES_LITERAL("r")};

/* All fields, and each text another one. */
static struct notification full(enum notification_type type)
{
    struct notification view = {.id = BYTES_LITERAL("n1"),
                                .time = BYTES_LITERAL("2026-03-02T08:01:56.419Z"),
                                .rooms = rooms,
                                .room_count = 2,
                                .event_id = BYTES_LITERAL("e1"),
                                .rules = rules,
                                .rule_count = 2,
                                .rules_revision = BYTES_LITERAL("abc"),
                                .traceparent = BYTES_LITERAL("00-1-2-01"),
                                .tracestate = BYTES_LITERAL("a=b"),
                                .item = {BYTES_LITERAL("k"), true},
                                .type = type};
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    static const size_t texts_of[] = {
        [NOTIFICATION_TASK_STATUS] = 8,    [NOTIFICATION_CLIENT] = 4,
        [NOTIFICATION_REVIEW_ALERT] = 8,   [NOTIFICATION_REVIEW_UPDATED] = 14,
        [NOTIFICATION_REVIEW_REFUSED] = 5, [NOTIFICATION_CUSTOM] = 2};
    size_t texts = texts_of[type];
    struct bytes *first = type == NOTIFICATION_CLIENT           ? &view.client.title
                          : type == NOTIFICATION_TASK_STATUS    ? &view.task_status.event
                          : type == NOTIFICATION_REVIEW_UPDATED ? &view.review_update.state
                          : type == NOTIFICATION_REVIEW_REFUSED ? &view.review_refusal.id
                          : type == NOTIFICATION_CUSTOM         ? &view.custom.event
                                                                : &view.review.queue;
    for (size_t i = 0; i < texts; i++)
        first[i] = bytes_of(letters + i, i + 1);
    switch (type) {
    case NOTIFICATION_TASK_STATUS:
        view.task_status.has_progress = true;
        view.task_status.progress = 12.5;
        view.task_status.data = BYTES_LITERAL("12345678");
        break;
    case NOTIFICATION_CLIENT:
        view.client.data = BYTES_LITERAL("[1, 2]");
        break;
    case NOTIFICATION_REVIEW_ALERT:
        view.review.data = BYTES_LITERAL("{\"a\": 1}");
        view.review.tenant_id = BYTES_LITERAL("t");
        view.review.project_id = BYTES_LITERAL("pp");
        view.review.user_id = BYTES_LITERAL("uuu");
        view.review.type = BYTES_LITERAL("tttt");
        view.review.event = BYTES_LITERAL("eeeee");
        view.review.review_id = BYTES_LITERAL("rrrrrr");
        break;
    case NOTIFICATION_REVIEW_UPDATED:
        view.review_update.id = BYTES_LITERAL("i");
        view.review_update.version = 7;
        view.review_update.decisions = BYTES_LITERAL("[\"d\"]");
        break;
    case NOTIFICATION_REVIEW_REFUSED:
        break;
    case NOTIFICATION_CUSTOM:
        view.custom.data = BYTES_LITERAL("[1,{}]");
        break;
    }
    return view;
}

#define ASSERT_TEXT(ours, theirs) ck_assert(bytes_equal_string((ours), (theirs)))
#define ASSERT_DATA(ours, theirs) \
    ck_assert(bytes_equal((ours), bytes_of((theirs).data, (theirs).len)))

static void assert_same_content(const struct notification *ours,
                                const Smartstack__V1__Notification *theirs)
{
#define TEXT(field) ASSERT_TEXT(ours->task_status.field, theirs->task_status->field)
    if (ours->type == NOTIFICATION_TASK_STATUS) {
        ck_assert_int_eq(theirs->content_case, SMARTSTACK__V1__NOTIFICATION__CONTENT_TASK_STATUS);
        TEXT(event), TEXT(task_id), TEXT(type), TEXT(status), TEXT(priority), TEXT(project_id);
        TEXT(user_id), TEXT(tenant_id);
        ASSERT_DATA(ours->task_status.data, theirs->task_status->data);
        if (ours->task_status.has_progress)
            ck_assert(ours->task_status.progress == theirs->task_status->progress);
        else
            ck_assert(!(theirs->task_status->progress_known_case && /* or no number of JSON's */
                        theirs->task_status->progress - theirs->task_status->progress == 0));
    }
#undef TEXT
#define TEXT(field) ASSERT_TEXT(ours->client.field, theirs->client_notification->field)
    if (ours->type == NOTIFICATION_CLIENT) {
        ck_assert_int_eq(theirs->content_case,
                         SMARTSTACK__V1__NOTIFICATION__CONTENT_CLIENT_NOTIFICATION);
        TEXT(title), TEXT(body), TEXT(severity), TEXT(task_id);
        ASSERT_DATA(ours->client.data, theirs->client_notification->data);
    }
#undef TEXT
#define TEXT(field) ASSERT_TEXT(ours->review.field, theirs->review_alert->field)
    if (ours->type == NOTIFICATION_REVIEW_ALERT) {
        ck_assert_int_eq(theirs->content_case, SMARTSTACK__V1__NOTIFICATION__CONTENT_REVIEW_ALERT);
        TEXT(queue), TEXT(reason), TEXT(priority), TEXT(title), TEXT(body), TEXT(task_id);
        TEXT(due_time), TEXT(rule), TEXT(tenant_id), TEXT(project_id), TEXT(user_id);
        TEXT(type), TEXT(event), TEXT(review_id);
        ASSERT_DATA(ours->review.data, theirs->review_alert->data);
    }
#undef TEXT
#define TEXT(field) ASSERT_TEXT(ours->review_update.field, theirs->review_update->field)
    if (ours->type == NOTIFICATION_REVIEW_UPDATED) {
        ck_assert_int_eq(theirs->content_case, SMARTSTACK__V1__NOTIFICATION__CONTENT_REVIEW_UPDATE);
        TEXT(id), TEXT(state), TEXT(by), TEXT(command), TEXT(decision), TEXT(queue), TEXT(reason);
        TEXT(priority), TEXT(title), TEXT(task_id), TEXT(due_time), TEXT(tenant_id);
        TEXT(project_id), TEXT(user_id), TEXT(type);
        ck_assert_uint_eq(ours->review_update.version, theirs->review_update->version);
        ASSERT_DATA(ours->review_update.decisions, theirs->review_update->decisions);
    }
#undef TEXT
#define TEXT(field) ASSERT_TEXT(ours->review_refusal.field, theirs->review_refusal->field)
    if (ours->type == NOTIFICATION_REVIEW_REFUSED) {
        ck_assert_int_eq(theirs->content_case,
                         SMARTSTACK__V1__NOTIFICATION__CONTENT_REVIEW_REFUSAL);
        TEXT(id), TEXT(command), TEXT(by), TEXT(reason), TEXT(task_id);
    }
#undef TEXT
#define TEXT(field) ASSERT_TEXT(ours->custom.field, theirs->custom_event->field)
    if (ours->type == NOTIFICATION_CUSTOM) {
        ck_assert_int_eq(theirs->content_case, SMARTSTACK__V1__NOTIFICATION__CONTENT_CUSTOM_EVENT);
        TEXT(event), TEXT(task_id);
        ASSERT_DATA(ours->custom.data, theirs->custom_event->data);
    }
#undef TEXT
}

static void assert_same(const struct notification *ours, const Smartstack__V1__Notification *theirs)
{
    ASSERT_TEXT(ours->id, theirs->id);
    ASSERT_TEXT(ours->time, theirs->time);
    ASSERT_TEXT(ours->event_id, theirs->event_id);
    ASSERT_TEXT(ours->rules_revision, theirs->rules_revision);
    ASSERT_TEXT(ours->traceparent, theirs->traceparent);
    ASSERT_TEXT(ours->tracestate, theirs->tracestate);
    ck_assert_uint_eq(ours->room_count, theirs->n_rooms);
    for (size_t i = 0; i < theirs->n_rooms; i++)
        ASSERT_TEXT(ours->rooms[i], theirs->rooms[i]);
    ck_assert_uint_eq(ours->rule_count, theirs->n_rules);
    for (size_t i = 0; i < theirs->n_rules; i++)
        ASSERT_TEXT(ours->rules[i], theirs->rules[i]);
    /* Not `removed`: where two items are joined, protobuf-c cannot tell a written false from nothing. */
    ASSERT_TEXT(ours->item.key, theirs->item ? theirs->item->key : "");
    assert_same_content(ours, theirs);
}

/* Decodes with both; returns what ours says. */
static enum status compare(struct bytes value)
{
    struct notification *ours = NULL;
    enum status status = notification_decode(value, &ours);
    Smartstack__V1__Notification *theirs =
        smartstack__v1__notification__unpack(NULL, value.size, value.data);
    if (!theirs)
        ck_assert_int_eq(status, STATUS_MALFORMED);
    else if (theirs->content_case == SMARTSTACK__V1__NOTIFICATION__CONTENT__NOT_SET)
        /* protobuf-c takes whatever comes for a bool, such as an item's */
        ck_assert(status == STATUS_UNSUPPORTED || (status == STATUS_MALFORMED && theirs->item));
    else if (status == STATUS_OK)
        assert_same(ours, theirs);
    else
        ck_assert_int_eq(status, STATUS_MALFORMED); /* texts and data are ours to judge */
    if (theirs)
        smartstack__v1__notification__free_unpacked(theirs, NULL);
    notification_free(ours);
    return status;
}

START_TEST(every_field_is_read)
{
    for (int type = 0; type < NOTIFICATION_TYPE_COUNT; type++) {
        auto_buffer struct buffer value = {0};
        struct notification view = full((enum notification_type)type);
        notification_encode(&view, &value);
        ck_assert_int_eq(compare(buffer_peek(&value)), STATUS_OK);
    }
}
END_TEST

START_TEST(the_view_stands_in_the_value)
{
    auto_buffer struct buffer value = {0};
    struct notification view = full(NOTIFICATION_TASK_STATUS), *decoded;
    notification_encode(&view, &value);
    ck_assert_int_eq(notification_decode(buffer_peek(&value), &decoded), STATUS_OK);
    const struct bytes parts[] = {decoded->id,
                                  decoded->rooms[1],
                                  decoded->rules[0],
                                  decoded->item.key,
                                  decoded->task_status.tenant_id,
                                  decoded->task_status.data};
    ck_assert(decoded->item.removed);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        ck_assert(parts[i].size > 0 && parts[i].data > value.data &&
                  parts[i].data + parts[i].size <= value.data + value.end);
    notification_free(decoded);
}
END_TEST

static unsigned pick(uint64_t *seed, size_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((*seed >> 33) % below);
}

/* Appends another notification, or a part of one. */
static void append_another(uint64_t *seed, struct buffer *value)
{
    auto_buffer struct buffer more = {0};
    struct notification view = full((enum notification_type)pick(seed, NOTIFICATION_TYPE_COUNT));
    notification_encode(&view, &more);
    size_t from = pick(seed, 2) ? pick(seed, buffer_size(&more)) : 0;
    buffer_append(value, bytes_skip(buffer_peek(&more), from));
}

START_TEST(values_that_were_changed_are_read_alike)
{
    uint64_t seed = 1;
    unsigned sound = 0, malformed = 0, unsupported = 0;
    for (int round = 0; round < ROUNDS; round++) {
        auto_buffer struct buffer value = {0};
        struct notification view =
            full((enum notification_type)pick(&seed, NOTIFICATION_TYPE_COUNT));
        notification_encode(&view, &value);
        if (pick(&seed, 3) == 0)
            append_another(&seed, &value);
        for (unsigned changes = pick(&seed, 3); changes > 0; changes--)
            value.data[pick(&seed, value.end)] ^= (uint8_t)(1u << pick(&seed, 8));
        if (pick(&seed, 8) == 0)
            value.end = pick(&seed, value.end);
        enum status status = compare(buffer_peek(&value));
        sound += status == STATUS_OK;
        malformed += status == STATUS_MALFORMED;
        unsupported += status == STATUS_UNSUPPORTED;
    }
    ck_assert_uint_gt(sound, ROUNDS / 4);
    ck_assert_uint_gt(malformed, ROUNDS / 8);
    ck_assert_uint_gt(unsupported, ROUNDS / 1000);
}
END_TEST

/* protobuf-c would end it there, and a client that reads protobuf would not. */
START_TEST(a_text_with_a_nul_is_malformed)
{
    enum { TEXTS = 5 };
    static const struct bytes marked = BYTES_LITERAL("a+b");
    for (int i = 0; i < TEXTS; i++) {
        auto_buffer struct buffer value = {0};
        struct notification view = full(NOTIFICATION_CLIENT), *decoded = NULL;
        struct bytes room = rooms[0], rule = rules[0];
        struct bytes *const texts[TEXTS] = {&view.id, &view.item.key, &view.client.title, &room,
                                            &rule};
        view.rooms = &room;
        view.rules = &rule;
        view.room_count = view.rule_count = 1;
        *texts[i] = marked;
        notification_encode(&view, &value);
        ck_assert_int_eq(compare(buffer_peek(&value)), STATUS_OK);
        uint8_t *plus = memchr(value.data, '+', value.end);
        ck_assert_ptr_nonnull(plus);
        *plus = 0;
        ck_assert_int_eq(notification_decode(buffer_peek(&value), &decoded), STATUS_MALFORMED);
    }
}
END_TEST

/* What a text may be, byte by byte: ASCII without NUL, and sequences of UTF-8, surrogates too. */
static bool is_sound(struct bytes text)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t i = 0, size; i < text.size; i += size) {
        uint8_t lead = text.data[i];
        size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
        uint32_t code = size == 1 ? lead : lead & (0x7fu >> size);
        if (lead == 0 || lead >= 0xf8 || (size == 1 && lead >= 0x80) || i + size > text.size)
            return false;
        for (size_t j = 1; j < size; j++) {
            if ((text.data[i + j] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (text.data[i + j] & 0x3f);
        }
        if (code < smallest[size] || code > 0x10ffff)
            return false;
    }
    return true;
}

/* A notification that has this text, at most 127 bytes, for its id. */
static bool text_is_taken(struct bytes text)
{
    auto_buffer struct buffer value = {0};
    struct notification *decoded = NULL;
    buffer_append(&value, BYTES_LITERAL("\x5a\x00\x0a")); /* an empty client notification; id */
    buffer_append_byte(&value, (uint8_t)text.size);
    buffer_append(&value, text);
    enum status status = notification_decode(buffer_peek(&value), &decoded);
    ck_assert(status == STATUS_OK || status == STATUS_MALFORMED);
    notification_free(decoded);
    return status == STATUS_OK;
}

START_TEST(each_byte_is_judged_wherever_it_stands)
{
    enum { MOST = 26 };
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t size = 1; size <= MOST; size++)
            for (size_t at = 0; at < size; at++) {
                uint8_t text[MOST];
                memset(text, size % 2 ? 0x7f : 0x01, size);
                text[at] = (uint8_t)byte;
                ck_assert_msg(text_is_taken(bytes_of(text, size)) == (byte > 0 && byte < 0x80),
                              "%u at %zu of %zu", byte, at, size);
            }
}
END_TEST

START_TEST(texts_are_judged_as_they_are_byte_by_byte)
{
    static const struct bytes pieces[] = {BYTES_LITERAL("a"),
                                          BYTES_LITERAL("eight by"),
                                          BYTES_LITERAL("\x7f\x01"),
                                          BYTES_LITERAL("\xc2\x80"),
                                          BYTES_LITERAL("\xe2\x82\xac"),
                                          BYTES_LITERAL("\xed\xa0\x80"),
                                          BYTES_LITERAL("\xf0\x9f\x98\x80")};
    enum { PIECES = sizeof(pieces) / sizeof(pieces[0]) };
    uint64_t seed = 7;
    unsigned sound = 0;
    for (int round = 0; round < ROUNDS; round++) {
        auto_buffer struct buffer text = {0};
        for (unsigned count = pick(&seed, 12); count > 0; count--)
            buffer_append(&text, pieces[pick(&seed, PIECES)]);
        if (buffer_size(&text) > 0 && pick(&seed, 2))
            text.data[pick(&seed, text.end)] = (uint8_t)pick(&seed, 256);
        bool taken = text_is_taken(buffer_peek(&text));
        ck_assert(taken == is_sound(buffer_peek(&text)));
        sound += taken;
    }
    ck_assert_uint_gt(sound, ROUNDS / 3);
    ck_assert_uint_lt(sound, ROUNDS * 9 / 10);
}
END_TEST

TEST_PROGRAM("notification_decode", every_field_is_read, the_view_stands_in_the_value,
             values_that_were_changed_are_read_alike, a_text_with_a_nul_is_malformed,
             each_byte_is_judged_wherever_it_stands, texts_are_judged_as_they_are_byte_by_byte)
