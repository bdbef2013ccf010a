#include "notification.h"

#include "arena.h"
#include "mem.h"
#include "suite.h"

#define TEXT(literal) BYTES_LITERAL(literal)

static const struct bytes rooms[] = {BYTES_LITERAL("task:42"), BYTES_LITERAL("user:7")};
static const struct bytes rules[] = {BYTES_LITERAL("route-task")};
static const char data_text[] =
    "{\"b\":12345678901234567890123,\"a\":1.10,\"\\u00fc\":\"\\ud83d\\ude00 \xc3\xbc\"}";

static struct notification sample(enum notification_type type)
{
    struct notification view = {
        .id = TEXT("n1"),
        .time = TEXT("2026-03-02T08:01:56.419Z"),
        .rooms = rooms,
        .room_count = 2,
        .event_id = TEXT("e\"1"),
        .rules = rules,
        .rule_count = 1,
        .rules_revision = TEXT("abc"),
        .traceparent = TEXT("00-1-2-01"),
        .type = type,
    };
    switch (type) {
    case NOTIFICATION_TASK_STATUS:
        view.task_status = (struct task_status_update){.event = TEXT("task.progress"),
                                                       .task_id = TEXT("42"),
                                                       .has_progress = true,
                                                       .progress = 0.1,
                                                       .data = TEXT(data_text)};
        break;
    case NOTIFICATION_CLIENT:
        view.client = (struct client_notification){
            .title = TEXT("Done"), .body = TEXT("line\nline"), .data = TEXT("null")};
        break;
    case NOTIFICATION_REVIEW_ALERT:
        view.review = (struct review_alert){.queue = TEXT("legal"),
                                            .reason = TEXT("pii"),
                                            .due_time = TEXT("2026-03-02T12:01:56.419Z"),
                                            .tenant_id = TEXT("acme"),
                                            .review_id = TEXT("r-1")};
        break;
    case NOTIFICATION_REVIEW_UPDATED:
        view.review_update = (struct review_update){.id = TEXT("r-1"),
                                                    .version = 4000000000,
                                                    .state = TEXT("decided"),
                                                    .decision = TEXT("approve"),
                                                    .type = TEXT("extraction"),
                                                    .decisions = TEXT("[\"a\",\"b\"]")};
        break;
    case NOTIFICATION_REVIEW_REFUSED:
        view.review_refusal = (struct review_refusal){.id = TEXT("r-1"), .reason = TEXT("claimed")};
        break;
    case NOTIFICATION_CUSTOM:
        view.custom = (struct custom_event){
            .event = TEXT("order.shipped"), .task_id = TEXT("42"), .data = TEXT("[1.10]")};
        break;
    }
    return view;
}

static void assert_json(const struct notification *view, const char *expected)
{
    auto_buffer struct buffer json = {0};
    notification_to_json(view, &json);
    ck_assert_uint_eq(buffer_size(&json), strlen(expected));
    ck_assert_mem_eq(buffer_peek(&json).data, expected, strlen(expected));
}

#define SAMPLE_START                                                               \
    "{\"id\":\"n1\",\"time\":\"2026-03-02T08:01:56.419Z\",\"rooms\":[\"task:42\"," \
    "\"user:7\"],\"eventId\":\"e\\\"1\",\"rules\":[\"route-task\"],"               \
    "\"rulesRevision\":\"abc\",\"traceparent\":\"00-1-2-01\","

START_TEST(json_is_the_proto3_mapping_with_data_as_it_was)
{
    struct notification view = sample(NOTIFICATION_TASK_STATUS);
    assert_json(&view, SAMPLE_START
                "\"taskStatus\":{\"event\":\"task.progress\",\"taskId\":\"42\",\"progress\":0.1,"
                "\"data\":{\"b\":12345678901234567890123,\"a\":1.10,"
                "\"\\u00fc\":\"\\ud83d\\ude00 \xc3\xbc\"}}}");
    view = sample(NOTIFICATION_CLIENT);
    assert_json(
        &view, SAMPLE_START
        "\"clientNotification\":{\"title\":\"Done\",\"body\":\"line\\nline\",\"data\":null}}");
    view = sample(NOTIFICATION_REVIEW_ALERT);
    assert_json(
        &view, SAMPLE_START
        "\"reviewAlert\":{\"queue\":\"legal\",\"reason\":\"pii\","
        "\"dueTime\":\"2026-03-02T12:01:56.419Z\",\"tenantId\":\"acme\",\"reviewId\":\"r-1\"}}");
    view = sample(NOTIFICATION_REVIEW_UPDATED);
    assert_json(&view, SAMPLE_START "\"reviewUpdate\":{\"id\":\"r-1\",\"state\":\"decided\","
                                    "\"decision\":\"approve\",\"type\":\"extraction\","
                                    "\"version\":4000000000,\"decisions\":[\"a\",\"b\"]}}");
    view = sample(NOTIFICATION_REVIEW_REFUSED);
    assert_json(&view, SAMPLE_START "\"reviewRefusal\":{\"id\":\"r-1\",\"reason\":\"claimed\"}}");
    view = sample(NOTIFICATION_CUSTOM);
    assert_json(&view, SAMPLE_START "\"customEvent\":{\"event\":\"order.shipped\","
                                    "\"taskId\":\"42\",\"data\":[1.10]}}");
}
END_TEST

START_TEST(clients_are_given_a_custom_event_under_its_name_with_its_data_alone)
{
    auto_buffer struct buffer json = {0};
    struct notification view = sample(NOTIFICATION_CUSTOM);
    ck_assert(bytes_equal_string(notification_event(&view), "order.shipped"));
    notification_argument_to_json(&view, &json);
    ck_assert(bytes_equal_string(buffer_peek(&json), "[1.10]"));
    view.custom.data = bytes_of(NULL, 0);
    buffer_clear(&json);
    notification_argument_to_json(&view, &json);
    ck_assert(bytes_equal_string(buffer_peek(&json), "null"));

    auto_buffer struct buffer whole = {0};
    view = sample(NOTIFICATION_CLIENT);
    ck_assert(bytes_equal_string(notification_event(&view), "notification"));
    buffer_clear(&json);
    notification_argument_to_json(&view, &json);
    notification_to_json(&view, &whole);
    ck_assert(bytes_equal(buffer_peek(&json), buffer_peek(&whole)));
}
END_TEST

/* An encoder asserts what a reader has to check: the name is put over another of its size. */
static enum status decode_named(const char *name)
{
    auto_buffer struct buffer value = {0};
    struct notification view = sample(NOTIFICATION_CUSTOM), *decoded = NULL;
    char stand_in[NOTIFICATION_EVENT_LIMIT];
    size_t size = strlen(name);
    memset(stand_in, '~', size);
    ck_assert_uint_le(size, NOTIFICATION_EVENT_LIMIT);
    view.custom.event = bytes_of(stand_in, size);
    notification_encode(&view, &value);
    uint8_t *at = memmem(value.data + value.start, buffer_size(&value), stand_in, size);
    ck_assert_ptr_nonnull(at);
    memcpy(at, name, size);
    enum status status = notification_decode(buffer_peek(&value), &decoded);
    notification_free(decoded);
    return status;
}

START_TEST(no_name_of_an_event_means_something_else_to_a_client)
{
    static const char *const good[] = {"order.shipped", "message",      "new message", "a",
                                       "custom",        "task.created", "\xc3\xbc:42"};
    static const char *const bad[] = {
        "task.status",    "notification",  "review.alert",  "review.updated", "review.refused",
        "connect",        "connect_error", "disconnect",    "disconnecting",  "newListener",
        "removeListener", "open",          "error",         "session",        "cursor",
        "history",        "state",         "presence",      "subscribed",     "unsubscribed",
        "stale",          "live",          "token_expired", "unavailable",    "a\nb",
        "a\"b",           "a\\b",          "a\x7f",         "\xff",           "\xc2\x85"};
    char name[NOTIFICATION_EVENT_LIMIT + 1];
    memset(name, 'x', sizeof(name));
    ck_assert_ptr_null(notification_event_problem(bytes_of(name, NOTIFICATION_EVENT_LIMIT)));
    ck_assert_ptr_nonnull(notification_event_problem(bytes_of(name, sizeof(name))));
    ck_assert_ptr_nonnull(notification_event_problem(bytes_of(NULL, 0)));
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_ptr_null(notification_event_problem(bytes_of_string(good[i])));
        ck_assert_int_eq(decode_named(good[i]), STATUS_OK);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(notification_event_problem(bytes_of_string(bad[i])), "%s", bad[i]);
        ck_assert_msg(decode_named(bad[i]) == STATUS_MALFORMED, "%s", bad[i]);
    }
}
END_TEST

START_TEST(encode_and_decode_give_the_same_notification)
{
    for (int type = 0; type < NOTIFICATION_TYPE_COUNT; type++) {
        struct notification view = sample((enum notification_type)type);
        auto_buffer struct buffer value = {0};
        auto_buffer struct buffer expected = {0};
        auto_buffer struct buffer actual = {0};
        struct notification *decoded = NULL;
        buffer_append_byte(&value, 'x'); /* encoding appends */
        notification_encode(&view, &value);
        buffer_consume(&value, 1);
        ck_assert_int_eq(notification_decode(buffer_peek(&value), &decoded), STATUS_OK);
        notification_to_json(&view, &expected);
        notification_to_json(decoded, &actual);
        ck_assert(bytes_equal(buffer_peek(&expected), buffer_peek(&actual)));
        notification_free(decoded);
    }
}
END_TEST

/* The value of a notification about an item, decoded; it is written to `value`. */
static enum status decode_item(struct notification_item item, struct buffer *value,
                               struct notification **decoded)
{
    struct notification view = sample(NOTIFICATION_CLIENT);
    view.item = item;
    buffer_clear(value);
    notification_encode(&view, value);
    return notification_decode(buffer_peek(value), decoded);
}

START_TEST(an_item_stands_in_value_and_json)
{
    struct notification *decoded = NULL;
    auto_buffer struct buffer value = {0};
    ck_assert_int_eq(
        decode_item((struct notification_item){TEXT("a\"\xc3\xbc"), false}, &value, &decoded),
        STATUS_OK);
    assert_json(
        decoded, SAMPLE_START
        "\"item\":{\"key\":\"a\\\"\xc3\xbc\"},"
        "\"clientNotification\":{\"title\":\"Done\",\"body\":\"line\\nline\",\"data\":null}}");
    notification_free(decoded);
    ck_assert_int_eq(decode_item((struct notification_item){TEXT("7"), true}, &value, &decoded),
                     STATUS_OK);
    assert_json(
        decoded, SAMPLE_START
        "\"item\":{\"key\":\"7\",\"removed\":true},"
        "\"clientNotification\":{\"title\":\"Done\",\"body\":\"line\\nline\",\"data\":null}}");
    notification_free(decoded);
}
END_TEST

START_TEST(what_is_late_says_so)
{
    struct notification *decoded = NULL;
    struct notification view = sample(NOTIFICATION_CLIENT);
    auto_buffer struct buffer value = {0};
    view.late = true;
    notification_encode(&view, &value);
    ck_assert_int_eq(notification_decode(buffer_peek(&value), &decoded), STATUS_OK);
    ck_assert(decoded->late);
    assert_json(
        decoded, SAMPLE_START
        "\"late\":true,"
        "\"clientNotification\":{\"title\":\"Done\",\"body\":\"line\\nline\",\"data\":null}}");
    notification_free(decoded);
    buffer_append(&value, TEXT("\x82\x01\x01x")); /* not a boolean */
    ck_assert_int_eq(notification_decode(buffer_peek(&value), &decoded), STATUS_MALFORMED);
}
END_TEST

START_TEST(an_item_without_a_key_is_none)
{
    struct notification *decoded = NULL;
    auto_buffer struct buffer value = {0};
    struct notification view = sample(NOTIFICATION_CLIENT);
    notification_encode(&view, &value);
    buffer_append(&value, TEXT("\x4a\x02\x10\x01")); /* item {removed: true} */
    ck_assert_int_eq(notification_decode(buffer_peek(&value), &decoded), STATUS_OK);
    ck_assert_uint_eq(decoded->item.key.size, 0);
    ck_assert(!decoded->item.removed);
    notification_free(decoded);
}
END_TEST

START_TEST(a_key_is_utf8_and_has_a_limit)
{
    struct notification *decoded = NULL;
    uint8_t key[NOTIFICATION_ITEM_KEY_LIMIT];
    auto_buffer struct buffer value = {0};
    memset(key, 'k', sizeof(key));
    ck_assert_int_eq(decode_item((struct notification_item){bytes_of(key, sizeof(key)), false},
                                 &value, &decoded),
                     STATUS_OK);
    ck_assert_uint_eq(decoded->item.key.size, sizeof(key));
    notification_free(decoded);
    decoded = NULL;

    struct notification view = sample(NOTIFICATION_CLIENT);
    buffer_clear(&value);
    notification_encode(&view, &value);
    size_t without = buffer_size(&value);
    buffer_append(&value, TEXT("\x4a\x84\x02\x0a\x81\x02k"));
    buffer_append(&value, bytes_of(key, sizeof(key)));
    ck_assert_int_eq(notification_decode(buffer_peek(&value), &decoded), STATUS_MALFORMED);

    value.end = value.start + without;
    buffer_append(&value, TEXT("\x4a\x03\x0a\x01\xff"));
    ck_assert_int_eq(notification_decode(buffer_peek(&value), &decoded), STATUS_MALFORMED);
    ck_assert_ptr_null(decoded);
}
END_TEST

START_TEST(progress_zero_is_not_unknown_progress)
{
    struct notification view = sample(NOTIFICATION_TASK_STATUS);
    auto_buffer struct buffer value = {0};
    struct notification *decoded = NULL;
    view.task_status.progress = 0;
    notification_encode(&view, &value);
    ck_assert_int_eq(notification_decode(buffer_peek(&value), &decoded), STATUS_OK);
    ck_assert(decoded->task_status.has_progress);
    notification_free(decoded);

    buffer_clear(&value);
    view.task_status.has_progress = false;
    notification_encode(&view, &value);
    ck_assert_int_eq(notification_decode(buffer_peek(&value), &decoded), STATUS_OK);
    ck_assert(!decoded->task_status.has_progress);
    notification_free(decoded);
}
END_TEST

START_TEST(decode_tells_malformed_from_unknown_content)
{
    struct notification *decoded = NULL;
    ck_assert_int_eq(notification_decode(TEXT("\x0a\xff"), &decoded), STATUS_MALFORMED);
    ck_assert_int_eq(notification_decode(TEXT("not protobuf"), &decoded), STATUS_MALFORMED);
    /* A member of the oneof with number 17, as a later version may have. */
    ck_assert_int_eq(notification_decode(TEXT("\x0a\x01n\x8a\x01\x00"), &decoded),
                     STATUS_UNSUPPORTED);
    ck_assert_int_eq(notification_decode(bytes_of(NULL, 0), &decoded), STATUS_UNSUPPORTED);
    ck_assert_ptr_null(decoded);
}
END_TEST

START_TEST(decode_survives_every_cut_and_every_changed_byte)
{
    struct notification view = sample(NOTIFICATION_TASK_STATUS);
    auto_buffer struct buffer value = {0};
    notification_encode(&view, &value);
    size_t size = buffer_size(&value);
    for (size_t cut = 0; cut < size; cut++) {
        struct notification *decoded = NULL;
        if (notification_decode(bytes_of(value.data, cut), &decoded) == STATUS_OK)
            notification_free(decoded);
    }
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            struct notification *decoded = NULL;
            auto_buffer struct buffer json = {0};
            value.data[i] ^= (uint8_t)(1 << bit);
            if (notification_decode(buffer_peek(&value), &decoded) == STATUS_OK) {
                notification_to_json(decoded, &json);
                notification_free(decoded);
            }
            value.data[i] ^= (uint8_t)(1 << bit);
        }
    }
}
END_TEST

START_TEST(headers_come_back_as_they_were)
{
    auto_buffer struct buffer hashes = {0};
    notification_append_room_hash(&hashes, 0x0102030405060708);
    notification_append_room_hash(&hashes, UINT64_MAX);
    ck_assert_int_eq(hashes.data[0], 8); /* little endian */
    struct notification_envelope envelope = {.has_type = true,
                                             .type = NOTIFICATION_REVIEW_ALERT,
                                             .room_hashes = buffer_peek(&hashes),
                                             .layout = 0xf00dfeed12345678,
                                             .hops = 2,
                                             .item_hash = 0x1122334455667788,
                                             .item_removed = true};
    struct notification_headers headers;
    notification_headers_encode(&envelope, &headers);

    struct notification_envelope decoded = {0};
    for (size_t i = 0; i < headers.count; i++)
        notification_header_decode(&decoded, bytes_of_string(headers.items[i].name),
                                   headers.items[i].value);
    ck_assert(decoded.has_type);
    ck_assert_int_eq(decoded.type, NOTIFICATION_REVIEW_ALERT);
    ck_assert_uint_eq(notification_room_hash_count(&decoded), 2);
    ck_assert_uint_eq(notification_room_hash(&decoded, 0), 0x0102030405060708);
    ck_assert_uint_eq(notification_room_hash(&decoded, 1), UINT64_MAX);
    ck_assert_uint_eq(decoded.layout, 0xf00dfeed12345678);
    ck_assert_uint_eq(decoded.hops, 2);
    ck_assert_uint_eq(decoded.item_hash, 0x1122334455667788);
    ck_assert(decoded.item_removed);
    ck_assert_mem_eq(headers.item, "\x88\x77\x66\x55\x44\x33\x22\x11\x01", 9);

    envelope.item_hash = 0;
    notification_headers_encode(&envelope, &headers);
    ck_assert_uint_eq(headers.count, 5);
}
END_TEST

START_TEST(a_state_key_is_of_scope_item_and_rooms)
{
    static const struct bytes others[] = {BYTES_LITERAL("task:42"), BYTES_LITERAL("user:8")};
    struct notification view = sample(NOTIFICATION_CLIENT);
    auto_buffer struct buffer key = {0};
    auto_buffer struct buffer other = {0};
    struct bytes scope = {0};
    view.item.key = TEXT("42");
    notification_state_key(&view, TEXT("acme"), &key);
    ck_assert_uint_eq(buffer_size(&key), 4 + 4 + 4 + 2 + 16);
    ck_assert_mem_eq(key.data, "\4\0\0\0acme\2\0\0\00042", 14);
    ck_assert(notification_state_scope(buffer_peek(&key), &scope));
    ck_assert(bytes_equal_string(scope, "acme"));

    view.item.removed = true; /* takes the place of what it removes */
    view.id = TEXT("n2");
    notification_state_key(&view, TEXT("acme"), &other);
    ck_assert(bytes_equal(buffer_peek(&key), buffer_peek(&other)));
    buffer_clear(&other);
    view.rooms = others;
    notification_state_key(&view, TEXT("acme"), &other);
    ck_assert_mem_eq(other.data, key.data, 14);
    ck_assert(!bytes_equal(buffer_peek(&key), buffer_peek(&other)));
    buffer_clear(&other);
    view.room_count = 1; /* and those of the rooms are not those of one of them */
    notification_state_key(&view, bytes_of(NULL, 0), &other);
    ck_assert(notification_state_scope(buffer_peek(&other), &scope));
    ck_assert_uint_eq(scope.size, 0);
}
END_TEST

START_TEST(a_key_of_others_is_no_state_key)
{
    struct notification view = sample(NOTIFICATION_CLIENT);
    auto_buffer struct buffer key = {0};
    struct bytes scope = TEXT("untouched");
    view.item.key = TEXT("42");
    notification_state_key(&view, TEXT("acme"), &key);
    for (size_t cut = 0; cut < buffer_size(&key); cut++)
        ck_assert(!notification_state_scope(bytes_of(key.data, cut), &scope));
    buffer_append_byte(&key, 0);
    ck_assert(!notification_state_scope(buffer_peek(&key), &scope));
    key.end--;
    key.data[3] = 0xff; /* a size of four thousand million */
    ck_assert(!notification_state_scope(buffer_peek(&key), &scope));
    ck_assert(!notification_state_scope(TEXT("acme"), &scope));
    ck_assert(bytes_equal_string(scope, "untouched"));
}
END_TEST

START_TEST(headers_of_others_change_nothing)
{
    struct notification_envelope decoded = {0};
    notification_header_decode(&decoded, TEXT("rooms"), TEXT("1234567"));
    notification_header_decode(&decoded, TEXT("layout"), TEXT("1"));
    notification_header_decode(&decoded, TEXT("type"), TEXT("other"));
    notification_header_decode(&decoded, TEXT("hops"), TEXT("x"));
    notification_header_decode(&decoded, TEXT("other"), bytes_of(NULL, 0));
    notification_header_decode(&decoded, TEXT("item"), TEXT("12345678"));
    notification_header_decode(&decoded, TEXT("item"), TEXT("12345678\x02"));
    ck_assert(!decoded.has_type);
    ck_assert_uint_eq(decoded.room_hashes.size, 7); /* the reader of the record refuses it */
    ck_assert_uint_eq(decoded.layout, 0);
    ck_assert_uint_eq(decoded.hops, 0);
    ck_assert_uint_eq(decoded.item_hash, 0);
}
END_TEST

START_TEST(arena_keeps_pieces_apart_and_aligned)
{
    auto_arena struct arena arena = {0};
    for (int round = 0; round < 3; round++) {
        uint8_t *pieces[200];
        for (size_t i = 0; i < 200; i++) {
            pieces[i] = (uint8_t *)arena_raw(&arena, i * 7);
            ck_assert_uint_eq((uintptr_t)pieces[i] % 16, 0);
            memset(pieces[i], (int)i, i * 7);
        }
        for (size_t i = 0; i < 200; i++)
            for (size_t k = 0; k < i * 7; k++)
                ck_assert_uint_eq(pieces[i][k], i);
        arena_reset(&arena);
    }
    struct bytes copy = arena_copy(&arena, TEXT("abc"));
    ck_assert_str_eq((const char *)copy.data, "abc");
}
END_TEST

TEST_PROGRAM("notification", clients_are_given_a_custom_event_under_its_name_with_its_data_alone,
             no_name_of_an_event_means_something_else_to_a_client,
             a_state_key_is_of_scope_item_and_rooms, a_key_of_others_is_no_state_key,
             json_is_the_proto3_mapping_with_data_as_it_was,
             encode_and_decode_give_the_same_notification, an_item_stands_in_value_and_json,
             what_is_late_says_so, an_item_without_a_key_is_none, a_key_is_utf8_and_has_a_limit,
             progress_zero_is_not_unknown_progress, decode_tells_malformed_from_unknown_content,
             decode_survives_every_cut_and_every_changed_byte, headers_come_back_as_they_were,
             headers_of_others_change_nothing, arena_keeps_pieces_apart_and_aligned)
