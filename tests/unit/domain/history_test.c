#include "history.h"

#include "hub_state.h"
#include "mem.h"
#include "suite.h"

static struct hub hub;

static struct message *make_message(int64_t offset, struct notification_item item)
{
    struct notification notification = {.id = BYTES_LITERAL("n"),
                                        .item = item,
                                        .type = NOTIFICATION_TASK_STATUS,
                                        .task_status = {.event = BYTES_LITERAL("task.progress")}};
    struct bytes room = BYTES_LITERAL("task:1");
    auto_buffer struct buffer value = {0};
    notification.rooms = &room;
    notification.room_count = 1;
    notification_encode(&notification, &value);
    struct lane_record record = {.offset = offset, .value = buffer_peek(&value)};
    return message_new(1, &record, LANE_SCOPE_NONE, 10);
}

static void add(struct history *history, int64_t offset)
{
    struct message *message = make_message(offset, (struct notification_item){0});
    history_add(history, message);
    message_unref(message);
}

static void add_item(struct history *history, int64_t offset, char key, bool removed)
{
    struct notification_item item = {bytes_of(&key, 1), removed};
    struct message *message = make_message(offset, item);
    message->timestamp_ms = 10 * offset;
    history_add(history, message);
    message_unref(message);
}

static int64_t take(struct history *history)
{
    struct message *message = history_take(history);
    ck_assert_ptr_nonnull(message);
    int64_t offset = message->offset;
    message_unref(message);
    return offset;
}

START_TEST(the_last_are_kept_in_order)
{
    struct history *history = history_new(&hub, NULL, 1, false);
    for (int64_t i = 0; i < 100; i++) {
        add(history, i);
        if (history->count > 20)
            history_drop_oldest(history);
    }
    history_set_whole(history, (struct position){100, 7}, false, INT64_MIN);
    ck_assert_uint_eq(history->found, 20);
    ck_assert_int_eq(history->end.next, 100);
    for (int64_t i = 80; i < 100; i++)
        ck_assert_int_eq(take(history), i);
    ck_assert_ptr_null(history_take(history));
    ck_assert_uint_eq(history->found, 20); /* what it had */
    history_free(history);
    ck_assert_uint_eq(hub.stats.history_bytes, 0);
}
END_TEST

START_TEST(all_together_are_counted)
{
    struct history *one = history_new(&hub, NULL, 1, false),
                   *other = history_new(&hub, NULL, 1, false);
    add(one, 1);
    size_t bytes = one->bytes;
    add(other, 2);
    add(other, 3);
    ck_assert_uint_eq(hub.stats.history_bytes, 3 * bytes);
    history_clear(one);
    ck_assert_uint_eq(hub.stats.history_bytes, 2 * bytes);
    history_free(one);
    history_free(other); /* with what was not given */
    ck_assert_uint_eq(hub.stats.history_bytes, 0);
    history_free(NULL);
}
END_TEST

START_TEST(one_has_at_most_its_part_of_what_all_may_have)
{
    struct history *history = history_new(&hub, NULL, 1, false);
    add(history, 1);
    hub.config.history.buffered = 8 * history->bytes;
    ck_assert(history_limit_of(history) == HISTORY_FITS);
    add(history, 2);
    ck_assert(history_limit_of(history) == HISTORY_LIMIT_ONE);
    history_drop_oldest(history);
    ck_assert(history_limit_of(history) == HISTORY_FITS);
    history_free(history);
}
END_TEST

START_TEST(all_have_at_most_what_all_may_have)
{
    struct history *histories[9];
    for (int i = 0; i < 9; i++) {
        histories[i] = history_new(&hub, NULL, 1, false);
        add(histories[i], i);
        hub.config.history.buffered = 8 * histories[i]->bytes;
        ck_assert((history_limit_of(histories[i]) == HISTORY_LIMIT_ALL) == (i == 8));
    }
    for (int i = 0; i < 9; i++)
        history_free(histories[i]);
}
END_TEST

static struct body_part encode(const struct message_view *view, struct buffer *out)
{
    size_t start = buffer_size(out);
    buffer_append(out, view->notification->item.key);
    return (struct body_part){start, buffer_size(out) - start};
}

static void append_item(struct buffer *list, struct bytes event, struct bytes notification)
{
    (void)event;
    buffer_append(list, notification);
}

static const struct transport_ops transport = {
    .slot = TRANSPORT_SLOT_SSE, .encode = encode, .append_item = append_item};

START_TEST(a_state_is_folded_and_then_given)
{
    bool first;
    hub.config.state.chunk_bytes = 100;
    struct history *history = history_new(&hub, NULL, 1, true);
    add_item(history, 1, 'a', false);
    size_t bytes = history->bytes;
    add_item(history, 2, 'b', false);
    add(history, 3); /* about no item */
    add_item(history, 4, 'a', false);
    add_item(history, 5, 'c', false);
    add_item(history, 6, 'c', true);
    add_item(history, 7, 'd', true);
    ck_assert_uint_eq(history_count(history), 2);
    ck_assert_uint_eq(history->bytes, 2 * bytes);
    history_set_whole(history, (struct position){8, 7}, true, 5);
    ck_assert_uint_eq(history->found, 2);
    ck_assert_int_eq(history->since_ms, 5);
    ck_assert_uint_eq(hub.stats.history_bytes, 2 * bytes); /* the list counts the same */
    ck_assert_ptr_null(history_take(history));
    struct bytes chunk;
    ck_assert(history_next_chunk(history, NULL, &transport, &first, &chunk) && first);
    ck_assert(bytes_equal_string(chunk, "ba"));
    ck_assert(!history_next_chunk(history, NULL, &transport, &first, &chunk) && !first);
    history_free(history);
    ck_assert_uint_eq(hub.stats.history_bytes, 0);
    buffer_deinit(&hub.chunk);
}
END_TEST

START_TEST(a_state_that_left_items_out_says_from_when_on_it_has_all)
{
    struct history *history = history_new(&hub, NULL, 1, true);
    for (int i = 0; i < 5; i++)
        add_item(history, i, "abcde"[i], false);
    history_drop_oldest(history);
    history_drop_oldest(history);
    ck_assert_int_eq(history->since_ms, 11);
    history_set_whole(history, (struct position){8, 7}, false, 5);
    ck_assert_int_eq(history->since_ms, 11);
    history_free(history); /* with what was not given */
    ck_assert_uint_eq(hub.stats.history_bytes, 0);
    history = history_new(&hub, NULL, 1, true);
    add_item(history, 1, 'a', false);
    history_free(history); /* before it is whole */
    ck_assert_uint_eq(hub.stats.history_bytes, 0);
}
END_TEST

/* --- shares */

static struct session session_of(const char *claims)
{
    static const char *const names[] = {"tenant", "sub"};
    struct session session = {.hub = &hub};
    ck_assert_int_eq(
        claims_pack(names, 2, claims_of_text(bytes_of_string(claims)), &session.claims), STATUS_OK);
    return session;
}

/* One that is not given yet, of so many messages; how large it is. */
static struct history *held(struct session *session, unsigned count, size_t *bytes)
{
    struct history *history = history_new(&hub, session, 1, false);
    for (unsigned i = 0; i < count; i++)
        add(history, i);
    *bytes = history->bytes;
    return history;
}

START_TEST(who_does_not_read_leaves_space_for_others)
{
    struct session ann = session_of("{\"sub\":\"ann\",\"tenant\":\"acme\"}");
    struct session bob = session_of("{\"sub\":\"bob\",\"tenant\":\"acme\"}");
    struct session cid = session_of("{\"sub\":\"cid\",\"tenant\":\"acme\"}");
    struct session zoe = session_of("{\"sub\":\"zoe\",\"tenant\":\"umbr\"}");
    struct history *histories[5];
    size_t one, bytes;
    hub.config.history.buffered = hub.config.history.tenant_buffered =
        hub.config.history.session_buffered = 1 << 20;
    histories[0] = held(&ann, 1, &one);
    hub.config.history = (struct history_limits){
        .buffered = 80 * one, .tenant_buffered = 8 * one, .session_buffered = 4 * one};
    histories[1] = held(&ann, 2, &bytes);
    ck_assert_int_eq(history_limit_of(histories[1]), HISTORY_FITS);
    ck_assert_int_eq(history_share_full(&ann), HISTORY_LIMIT_SESSION);
    ck_assert_int_eq(history_share_full(&bob), HISTORY_FITS);
    histories[2] = held(&ann, 2, &bytes);
    ck_assert_int_eq(history_limit_of(histories[2]), HISTORY_LIMIT_SESSION);
    histories[3] = held(&bob, 4, &bytes);
    ck_assert_int_eq(history_limit_of(histories[3]), HISTORY_LIMIT_TENANT);
    ck_assert_int_eq(history_share_full(&cid), HISTORY_LIMIT_TENANT);
    ck_assert_int_eq(history_share_full(&zoe), HISTORY_FITS);
    histories[4] = held(&zoe, 3, &bytes);
    ck_assert_int_eq(history_limit_of(histories[4]), HISTORY_FITS);
    /* What was given, or is thrown away, counts no more. */
    history_set_whole(histories[1], (struct position){0}, true, INT64_MIN);
    take(histories[1]);
    history_free(histories[2]);
    history_free(histories[3]);
    ck_assert_int_eq(history_share_full(&ann), HISTORY_FITS);
    hub.config.history.buffered = 6 * one;
    ck_assert_int_eq(history_share_full(&cid), HISTORY_LIMIT_ALL);
    history_free(histories[0]), history_free(histories[1]), history_free(histories[4]);
    ck_assert_uint_eq(hub.stats.history_bytes + ann.history_bytes + bob.history_bytes, 0);
    ck_assert_ptr_null(hub.history_shares);
    claims_free(ann.claims), claims_free(bob.claims);
    claims_free(cid.claims), claims_free(zoe.claims);
}
END_TEST

/* It is one list, however many hold it: so it counts once for their tenant, until the last of them
 * has gone; but for each of them. */
START_TEST(a_state_that_many_share_counts_once_for_a_tenant)
{
    struct session ann = session_of("{\"sub\":\"ann\",\"tenant\":\"acme\"}");
    struct session bob = session_of("{\"sub\":\"bob\",\"tenant\":\"acme\"}");
    struct message *message =
        make_message(1, (struct notification_item){BYTES_LITERAL("a"), false});
    struct message **messages = mem_alloc(sizeof(struct message *));
    messages[0] = message;
    struct state_list *list = state_list_new(&hub, messages, 1, INT64_MIN, true);
    size_t bytes = list->message_bytes + list->own_bytes;
    hub.config.history = (struct history_limits){
        .buffered = 1 << 20, .tenant_buffered = 2 * bytes, .session_buffered = bytes};
    struct history *first = history_new(&hub, &ann, 1, true);
    struct history *second = history_new(&hub, &bob, 1, true);
    state_list_hold(list);
    history_set_list(first, list, (struct position){0}, true, INT64_MIN);
    state_list_hold(list);
    history_set_list(second, list, (struct position){0}, true, INT64_MIN);
    ck_assert_uint_eq(hub.stats.history_bytes, bytes);
    ck_assert_int_eq(history_share_full(&ann), HISTORY_LIMIT_SESSION);
    ck_assert_int_eq(history_share_full(&bob), HISTORY_LIMIT_SESSION);
    history_free(first);
    ck_assert_int_eq(history_share_full(&ann), HISTORY_FITS);
    hub.config.history.tenant_buffered = bytes;
    ck_assert_int_eq(history_share_full(&ann), HISTORY_LIMIT_TENANT);
    history_free(second);
    ck_assert_int_eq(history_share_full(&ann), HISTORY_FITS);
    ck_assert_ptr_null(hub.history_shares);
    claims_free(ann.claims), claims_free(bob.claims);
}
END_TEST

TEST_PROGRAM("history", the_last_are_kept_in_order, all_together_are_counted,
             who_does_not_read_leaves_space_for_others,
             a_state_that_many_share_counts_once_for_a_tenant,
             one_has_at_most_its_part_of_what_all_may_have, all_have_at_most_what_all_may_have,
             a_state_is_folded_and_then_given,
             a_state_that_left_items_out_says_from_when_on_it_has_all)
