#include "view.h"

#include <stdio.h>

#include "hub_state.h"
#include "suite.h"

enum { ROOMS = 3, ITEMS = 8, RECORDS = 400 };

static struct hub hub;
static struct view *view;

struct written {
    const char *scope;
    unsigned rooms; /* a bit each */
    unsigned item;  /* 0: about none */
    bool removed;
    int64_t offset, time_ms;
};

static struct message *message_of(const struct written *written)
{
    char texts[ROOMS][16], item[16];
    struct bytes rooms[ROOMS];
    size_t count = 0;
    for (unsigned i = 0; i < ROOMS; i++)
        if (written->rooms & 1u << i)
            rooms[count++] = bytes_of(texts[i], (size_t)snprintf(texts[i], 16, "task:%u", i));
    int item_size = written->item ? snprintf(item, sizeof(item), "i%u", written->item) : 0;
    struct notification notification = {
        .id = BYTES_LITERAL("n"),
        .rooms = rooms,
        .room_count = count,
        .item = {bytes_of(item, (size_t)item_size), written->removed},
        .type = NOTIFICATION_TASK_STATUS,
        .task_status = {.event = BYTES_LITERAL("task.progress")}};
    auto_buffer struct buffer value = {0};
    notification_encode(&notification, &value);
    struct lane_record record = {.offset = written->offset,
                                 .timestamp_ms = written->time_ms,
                                 .key = bytes_of_string(written->scope),
                                 .value = buffer_peek(&value)};
    struct message *message = message_new(1, &record, LANE_SCOPE_KEY, 10);
    ck_assert(!message->fault);
    return message;
}

static void fold_lane(struct written written)
{
    struct message *message = message_of(&written);
    view_fold_lane(view, message);
    message_unref(message);
}

static void fold_kept_since(struct written written, int64_t oldest_ms)
{
    struct message *message = message_of(&written);
    view_fold_kept(view, message, oldest_ms);
    message_unref(message);
}

static void fold_kept(struct written written)
{
    fold_kept_since(written, INT64_MIN);
}

static void begin_view(unsigned items)
{
    hub = (struct hub){0};
    hub.config.state.items = items;
    hub.config.state.bytes = hub.config.history.buffered = 1 << 30;
    view = view_new(&hub, 1, 1000000);
}

static void end_view(void)
{
    while (hub.state_lists)
        state_list_forget(hub.state_lists);
    ck_assert_uint_eq(hub.stats.view_bytes, view->bytes);
    view_retire(view);
    ck_assert_uint_eq(hub.stats.view_bytes, 0);
    while (view_free_one(view))
        ;
    ck_assert_uint_eq(hub.stats.history_bytes, 0);
}

static struct state_list *list_of(const char *scope, unsigned room, int64_t oldest_ms)
{
    char text[16];
    int size = snprintf(text, sizeof(text), "task:%u", room);
    return view_list(view, bytes_of_string(scope), bytes_of(text, (size_t)size), oldest_ms);
}

/* The times of what a room shows. */
static const char *shown_since(const char *scope, unsigned room, int64_t oldest_ms)
{
    static char told[512];
    struct state_list *list = list_of(scope, room, oldest_ms);
    int size = 0;
    told[0] = 0;
    for (uint32_t i = 0; i < list->count; i++)
        size += snprintf(told + size, sizeof(told) - (size_t)size, "%lld ",
                         (long long)list->messages[i]->timestamp_ms);
    state_list_drop(list);
    return told;
}

static const char *shown(const char *scope, unsigned room)
{
    return shown_since(scope, room, INT64_MIN);
}

/* --- */

START_TEST(the_lane_says_more_than_the_topic_whichever_comes_first)
{
    begin_view(10);
    fold_lane((struct written){"acme", 1, 1, false, 50, 50});
    fold_lane((struct written){"acme", 1, 2, true, 51, 51}); /* not shown yet */
    fold_kept((struct written){"acme", 1, 1, false, 3, 3});
    fold_kept((struct written){"acme", 1, 2, false, 4, 4});
    fold_kept((struct written){"acme", 1, 3, false, 9, 9});
    fold_kept((struct written){"acme", 1, 4, false, 10, 10});
    fold_lane((struct written){"acme", 1, 3, false, 52, 52});
    fold_kept((struct written){"acme", 1, 3, true, 11, 11});
    fold_kept((struct written){"acme", 1, 2, false, 12, 12});
    view_set_loaded(view);
    ck_assert_str_eq(shown("acme", 0), "10 50 52 ");
    fold_lane((struct written){"acme", 1, 4, true, 53, 53});
    fold_lane((struct written){"acme", 1, 2, false, 54, 54});
    ck_assert_str_eq(shown("acme", 0), "50 52 54 ");
    end_view();
}
END_TEST

START_TEST(each_room_of_each_tenant_goes_by_its_own_records)
{
    begin_view(10);
    view_set_loaded(view);
    fold_lane((struct written){"acme", 3, 1, false, 1, 1});
    fold_lane((struct written){"acme", 2, 1, false, 2, 2});
    fold_lane((struct written){"globex", 1, 1, false, 3, 3});
    fold_lane((struct written){"acme", 1, 0, false, 4, 4});
    ck_assert_str_eq(shown("acme", 0), "1 ");
    ck_assert_str_eq(shown("acme", 1), "2 ");
    ck_assert_str_eq(shown("acme", 2), "");
    ck_assert_str_eq(shown("globex", 0), "3 ");
    ck_assert_str_eq(shown("globex", 1), "");
    ck_assert_str_eq(shown("acmet", 0), "");
    fold_lane((struct written){"acme", 3, 1, true, 5, 5});
    ck_assert_str_eq(shown("acme", 0), "");
    ck_assert_str_eq(shown("acme", 1), "");
    ck_assert_str_eq(shown("globex", 0), "3 ");
    end_view();
}
END_TEST

/* Two logs that are folded as they come, against the state topic's fold and behind it the lane's. */
struct model {
    struct {
        int64_t time_ms; /* 0: not shown */
        bool of_lane;
    } items[ROOMS][ITEMS];
};

static void model_fold(struct model *model, const struct written *written, bool of_lane)
{
    for (unsigned room = 0; written->item && room < ROOMS; room++)
        if (written->rooms & 1u << room &&
            (of_lane || !model->items[room][written->item].of_lane)) {
            model->items[room][written->item].time_ms = written->removed ? 0 : written->time_ms;
            model->items[room][written->item].of_lane = of_lane;
        }
}

/* Those of the topic, then those of the lane, each by their times. */
static const char *model_shows(const struct model *model, unsigned room)
{
    static char told[512];
    int size = 0;
    told[0] = 0;
    for (int of_lane = 0; of_lane < 2; of_lane++)
        for (int64_t time_ms = 1; time_ms <= RECORDS; time_ms++)
            for (unsigned item = 0; item < ITEMS; item++)
                if (model->items[room][item].time_ms == time_ms &&
                    model->items[room][item].of_lane == (bool)of_lane)
                    size += snprintf(told + size, sizeof(told) - (size_t)size, "%lld ",
                                     (long long)time_ms);
    return told;
}

START_TEST(it_is_the_fold_of_both_logs_at_any_time)
{
    uint64_t random = 7;
    for (unsigned run = 0; run < 60; run++) {
        struct model model = {0};
        begin_view(ITEMS);
        for (int64_t time_ms = 1; time_ms <= RECORDS; time_ms++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            bool of_lane = !view->loading || (random >> 60) % 2;
            struct written written = {"acme",
                                      1 + (unsigned)(random >> 40) % ((1u << ROOMS) - 1),
                                      (unsigned)(random >> 48) % ITEMS,
                                      (random >> 56) % 4 == 0,
                                      time_ms,
                                      time_ms};
            model_fold(&model, &written, of_lane);
            if (of_lane)
                fold_lane(written);
            else
                fold_kept(written);
            if (time_ms == RECORDS / 2)
                view_set_loaded(view);
            for (unsigned room = 0; !view->loading && room < ROOMS; room++)
                ck_assert_str_eq(shown("acme", room), model_shows(&model, room));
        }
        ck_assert_ptr_null(view->gone); /* what only mattered while it was loaded */
        end_view();
    }
}
END_TEST

START_TEST(of_more_items_those_that_have_changed_last_are_shown)
{
    begin_view(3);
    fold_lane((struct written){"acme", 1, 7, false, 90, 90});
    for (int i = 1; i <= 5; i++)
        fold_kept((struct written){"acme", 1, (unsigned)i, false, i, (int64_t)10 * i});
    for (int i = 0; i < 3; i++)
        fold_lane((struct written){"acme", 1, 5u - (unsigned)i, false, 91 + i, 91 + i});
    /* The lane's own have pushed out one of the lane: the topic does not bring it back, though there
     * is room for it again. */
    fold_lane((struct written){"acme", 1, 3, true, 94, 94});
    fold_kept((struct written){"acme", 1, 7, false, 6, 60});
    view_set_loaded(view);
    ck_assert_str_eq(shown("acme", 0), "91 92 ");
    fold_lane((struct written){"acme", 1, 3, false, 95, 93});
    struct state_list *list = list_of("acme", 0, INT64_MIN);
    ck_assert_uint_eq(list->count, 3);
    ck_assert_int_eq(list->since_ms, 91);
    state_list_drop(list);
    ck_assert_str_eq(shown("acme", 0), "91 92 93 ");
    for (unsigned i = 3; i <= 5; i++) /* none are left, and it does not say that there are none */
        fold_lane((struct written){"acme", 1, i, true, 95 + i, 95});
    list = list_of("acme", 0, INT64_MIN);
    ck_assert_uint_eq(list->count, 0);
    ck_assert_int_eq(list->since_ms, 91);
    state_list_drop(list);
    end_view();
}
END_TEST

START_TEST(what_is_older_than_it_may_be_is_not_shown)
{
    begin_view(10);
    fold_kept_since((struct written){"acme", 1, 1, false, 1, 60}, 50);
    fold_kept_since((struct written){"acme", 1, 2, false, 2, 51}, 50);
    fold_kept_since((struct written){"acme", 1, 1, false, 3, 49}, 50); /* a clock that goes wrong */
    view_set_loaded(view);
    fold_lane((struct written){"acme", 1, 3, false, 7, 70});
    fold_lane((struct written){"acme", 1, 4, false, 8, 61});
    ck_assert_str_eq(shown_since("acme", 0, 50), "51 70 61 ");
    ck_assert_str_eq(shown_since("acme", 0, 52), "70 61 ");
    ck_assert_str_eq(shown_since("acme", 0, 62), "70 ");
    fold_lane((struct written){"acme", 2, 4, false, 9, 80});
    size_t bytes = view->bytes;
    view_expire(view, 75);
    ck_assert_uint_lt(view->bytes, bytes);
    ck_assert_str_eq(shown_since("acme", 0, 75), "");
    ck_assert_str_eq(shown_since("acme", 1, 75), "80 ");
    end_view();
}
END_TEST

START_TEST(what_stands_before_a_record_of_another_layout_does_not_count)
{
    begin_view(10);
    ck_assert_int_eq(view->since_ms, 1000000);
    fold_kept((struct written){"acme", 1, 1, false, 1, 10});
    ck_assert_int_eq(view->since_ms, 11);
    fold_kept((struct written){"acme", 1, 2, false, 2, 20});
    view_cut_kept(view, 3, 30);
    fold_kept((struct written){"acme", 1, 2, false, 4, 40});
    fold_kept((struct written){"acme", 1, 3, false, 5, 50});
    view_set_loaded(view);
    ck_assert_int_eq(view->since_ms, 31);
    ck_assert_str_eq(shown("acme", 0), "40 50 ");
    end_view();
}
END_TEST

START_TEST(all_who_ask_before_the_room_changes_share_one_list)
{
    begin_view(10);
    view_set_loaded(view);
    fold_lane((struct written){"acme", 3, 1, false, 1, 1});
    struct state_list *list = list_of("acme", 0, INT64_MIN);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_ptr_eq(list_of("acme", 0, INT64_MIN), list);
    ck_assert_uint_eq(hub.stats.state_lists, 1);
    fold_lane((struct written){"acme", 2, 1, false, 2, 2}); /* another room */
    ck_assert_ptr_eq(list_of("acme", 0, INT64_MIN), list);
    for (unsigned i = 0; i < 102; i++)
        state_list_drop(list);
    ck_assert_ptr_eq(list_of("acme", 0, INT64_MIN), list); /* kept for the next one */
    fold_lane((struct written){"acme", 1, 1, true, 3, 3});
    ck_assert_uint_eq(list->count, 1); /* who holds it reads what it was */
    ck_assert_str_eq(shown("acme", 0), "");
    state_list_drop(list);
    end_view();
}
END_TEST

START_TEST(of_a_list_that_is_too_large_the_newest_are_given)
{
    begin_view(100);
    view_set_loaded(view);
    for (unsigned i = 1; i <= 50; i++)
        fold_lane((struct written){"acme", 1, i, false, i, 100 + i});
    struct state_list *list = list_of("acme", 0, INT64_MIN);
    ck_assert_uint_eq(list->count, 50);
    hub.config.history.buffered = 8 * (list->message_bytes + list->own_bytes) / 2;
    state_list_drop(list);
    list = list_of("acme", 0, INT64_MIN);
    ck_assert_uint_lt(list->count, 30);
    ck_assert_uint_gt(list->count, 20);
    ck_assert_int_eq(list->messages[list->count - 1]->timestamp_ms, 150);
    ck_assert_int_eq(list->since_ms, list->messages[0]->timestamp_ms);
    ck_assert_uint_le(list->message_bytes + list->own_bytes, hub.config.history.buffered / 8);
    state_list_drop(list);
    end_view();
}
END_TEST

START_TEST(a_message_of_many_rooms_is_counted_once)
{
    begin_view(10);
    view_set_loaded(view);
    struct written in_all = {"acme", 7, 1, false, 1, 1};
    struct message *message = message_of(&in_all);
    view_fold_lane(view, message);
    size_t all = view->bytes;
    ck_assert_uint_gt(all, message_record_bytes(message));
    ck_assert_uint_eq(message->shown, 3);
    struct view *old =
        view; /* the lane broke, and is open again, with the same message in its ring */
    view = view_new(&hub, 2, 0);
    view_set_loaded(view);
    view_retire(old);
    view_fold_lane(view, message);
    ck_assert_uint_eq(view->bytes, all);
    while (view_free_one(old))
        ;
    ck_assert_uint_eq(message->shown, 3);
    fold_lane((struct written){"acme", 3, 1, true, 2, 2});
    ck_assert_uint_eq(message->shown, 1);
    fold_lane((struct written){"acme", 4, 1, true, 3, 3});
    ck_assert_uint_eq(message->shown, 0);
    ck_assert_uint_eq(view->bytes, 0);
    message_unref(message);
    end_view();
}
END_TEST

TEST_PROGRAM("view", the_lane_says_more_than_the_topic_whichever_comes_first,
             each_room_of_each_tenant_goes_by_its_own_records,
             it_is_the_fold_of_both_logs_at_any_time,
             of_more_items_those_that_have_changed_last_are_shown,
             what_is_older_than_it_may_be_is_not_shown,
             what_stands_before_a_record_of_another_layout_does_not_count,
             all_who_ask_before_the_room_changes_share_one_list,
             of_a_list_that_is_too_large_the_newest_are_given,
             a_message_of_many_rooms_is_counted_once)
