/* The dispatcher's state, told by a changelog that holds anything, between batches of its own that
 * are committed or rolled back. Whatever it was told, a memory that is made anew from all that was
 * written answers as the one that wrote it: nothing is forgotten by a restart, nothing invented. */
#include <assert.h>

#include "fuzz_input.h"
#include "partition_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DOMAIN = 7, RECORDS = 600, EVENTS = 8, TASKS = 6, REASONS = 3, OPERATIONS = 200 };

#define SUBJECT                                                   \
    "{\"taskId\":\"t\",\"queue\":\"q\",\"rooms\":[\"review:q\"]," \
    "\"decisions\":[\"yes\"]}"

struct kept {
    struct buffer key, value;
    bool has_value;
};

static struct {
    struct kept records[RECORDS];
    size_t count;
} changelog;

static const struct partition_state_settings settings = {.dedupe_window_ms = 1000,
                                                         .dedupe_entries = 12,
                                                         .review_window_ms = 2000,
                                                         .review_tasks = 4,
                                                         .reviews_per_task = 3,
                                                         .order_window_ms = 1500,
                                                         .order_items = 4};

static struct fingerprint id_of(uint64_t number)
{
    return (struct fingerprint){.low = number, .high = number & 1};
}

static void write_record(void *context, struct bytes key, struct bytes value, bool has_value)
{
    (void)context;
    assert(changelog.count < RECORDS);
    struct kept *record = &changelog.records[changelog.count++];
    *record = (struct kept){.has_value = has_value};
    buffer_append(&record->key, key);
    buffer_append(&record->value, value);
}

static struct partition_state *read_changelog(void)
{
    struct partition_state *state = partition_state_new(&settings, DOMAIN);
    for (size_t i = 0; i < changelog.count; i++)
        partition_state_restore(state, buffer_peek(&changelog.records[i].key),
                                buffer_peek(&changelog.records[i].value),
                                changelog.records[i].has_value);
    return state;
}

static void append_number(struct buffer *out, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buffer_append_byte(out, (uint8_t)(number >> 8 * i));
}

static void append_id(struct buffer *out, struct fingerprint id)
{
    append_number(out, id.low, 8);
    append_number(out, id.high, 8);
}

static uint64_t pick_number(struct bytes *input)
{
    static const uint64_t numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, UINT64_MAX, INT64_MAX, 1ull << 63};
    return FUZZ_PICK(input, numbers);
}

static int64_t pick_time(struct bytes *input)
{
    static const int64_t times_ms[] = {INT64_MAX, INT64_MIN, -1, 0};
    uint8_t how = fuzz_byte(input);
    return how < 240 ? 100L * how : times_ms[how % 4];
}

/* A review, as it is kept: sound, or nearly. */
static void append_review(struct buffer *value, struct bytes *input)
{
    uint8_t by = fuzz_byte(input) % 3;
    append_number(value, pick_number(input), 4);
    uint8_t state = fuzz_byte(input) % 8;
    append_number(value, state % 4 + (state < 4 ? 0 : 128), 1);
    append_number(value, by, 2);
    if (state >= 4) {
        append_number(value, (uint64_t)pick_time(input), 8);
        append_number(value, pick_number(input), 4);
        append_number(value, (uint64_t)pick_time(input), 8);
    }
    buffer_append(value, bytes_of("ann", by));
    buffer_append_string(value, fuzz_byte(input) % 8 ? SUBJECT : "{}");
}

/* Somebody else's record, or one of ours that was damaged. */
static void restore(struct partition_state *state, struct bytes *input)
{
    static const char kinds[] = "EEERRRxVVOO";
    auto_buffer struct buffer key = {0}, value = {0};
    uint8_t how = fuzz_byte(input);
    char kind = kinds[fuzz_byte(input) % (sizeof(kinds) - 1)];
    buffer_append_byte(&key, (uint8_t)kind);
    append_number(&key, how & 1 ? 1 : DOMAIN, 4);
    if (kind != 'E')
        append_id(&key, id_of(pick_number(input)));
    if (kind != 'R' && kind != 'O')
        append_number(&key, pick_number(input), 8);
    if (how & 2)
        buffer_append(&key, fuzz_bytes(input, 20));
    if (kind == 'V')
        append_review(&value, input);
    if (kind == 'O') {
        append_number(&value, fuzz_byte(input) % 3, 1);
        append_number(&value, pick_number(input), 8);
        append_number(&value, (uint64_t)pick_time(input), 8);
    }
    for (unsigned i = kind == 'V' || kind == 'O' ? 0 : fuzz_byte(input) % 24; i; i--) {
        append_id(&value, id_of(pick_number(input)));
        append_number(&value, (uint64_t)pick_time(input), 8);
    }
    if (how & 4)
        buffer_append(&value, fuzz_bytes(input, 20));
    partition_state_restore(state, buffer_peek(&key), buffer_peek(&value), !(how & 8));
    write_record(NULL, buffer_peek(&key), buffer_peek(&value), !(how & 8));
}

/* Some of a batch. */
static void change(struct partition_state *state, struct bytes *input)
{
    struct fingerprint event = id_of(pick_number(input));
    struct fingerprint reason = id_of(fuzz_byte(input) % REASONS);
    int64_t time_ms = pick_time(input);
    struct reviews *reviews = partition_state_reviews(state);
    const struct review *review = reviews_find_of_task(reviews, event);
    struct review_id opened = {.task = event, .instance = reason.low};
    const struct item_order order = {.is_time = reason.low == 0, .value = time_ms % 7};
    switch (fuzz_byte(input) % 8) {
    case 6:
    case 7:
        item_orders_tell(partition_state_orders(state), event, order, time_ms);
        break;
    case 4:
        if (!reviews_find(reviews, opened))
            (void)!reviews_open(reviews, opened, BYTES_LITERAL(SUBJECT), time_ms > 0 ? time_ms : 0);
        break;
    case 5:
        if (review) {
            const struct review_status status = {.state = (enum review_state)(reason.low + 1),
                                                 .version = review->status.version + 1,
                                                 .by = BYTES_LITERAL("bob")};
            reviews_set(reviews, review->id, &status,
                        status.state == REVIEW_CLAIMED && time_ms > 0 ? time_ms : 0);
        }
        break;
    case 0:
        (void)partition_state_open_review(state, event, reason, time_ms);
        break;
    case 1:
        partition_state_close_reviews(state, event);
        break;
    default:
        if (!partition_state_has_seen(state, event, time_ms))
            partition_state_note(state, event, time_ms);
    }
}

static void expect_same_order(struct partition_state *a, struct partition_state *b, uint64_t item,
                              int64_t time_ms)
{
    const struct item_order *of_a =
        item_orders_find(partition_state_orders(a), id_of(item), time_ms);
    const struct item_order *of_b =
        item_orders_find(partition_state_orders(b), id_of(item), time_ms);
    assert(!of_a == !of_b);
    assert(!of_a || (of_a->is_time == of_b->is_time && of_a->value == of_b->value));
}

static void expect_same(struct partition_state *a, struct partition_state *b)
{
    static const int64_t times_ms[] = {0, 5000, 24000};
    assert(partition_state_event_count(a) == partition_state_event_count(b));
    assert(partition_state_review_count(a) == partition_state_review_count(b));
    assert(partition_state_living_count(a) == partition_state_living_count(b));
    assert(item_orders_count(partition_state_orders(a)) ==
           item_orders_count(partition_state_orders(b)));
    assert(partition_state_timed_count(a) == partition_state_timed_count(b));
    assert(partition_state_deadline(a) == partition_state_deadline(b));
    for (size_t i = 0; i < sizeof(times_ms) / sizeof(times_ms[0]); i++) {
        for (uint64_t event = 0; event < EVENTS; event++)
            assert(partition_state_has_seen(a, id_of(event), times_ms[i]) ==
                   partition_state_has_seen(b, id_of(event), times_ms[i]));
        for (uint64_t item = 0; item < EVENTS; item++)
            expect_same_order(a, b, item, times_ms[i]);
        for (uint64_t task = 0; task < TASKS; task++)
            for (uint64_t reason = 0; reason < REASONS; reason++)
                assert(partition_state_review_is_open(a, id_of(task), id_of(reason), times_ms[i]) ==
                       partition_state_review_is_open(b, id_of(task), id_of(reason), times_ms[i]));
    }
}

/* A batch of changes, written or not. */
static void run_batch(struct partition_state *state, struct bytes *input)
{
    for (unsigned i = fuzz_byte(input) % 8; i; i--)
        change(state, input);
    uint8_t how = fuzz_byte(input);
    size_t before = changelog.count;
    if (how & 1)
        partition_state_flush(state, write_record, NULL);
    if (how & 1 && how & 2) {
        partition_state_commit(state);
        return;
    }
    while (changelog.count > before) { /* the transaction was aborted */
        struct kept *record = &changelog.records[--changelog.count];
        buffer_deinit(&record->key);
        buffer_deinit(&record->value);
    }
    partition_state_rollback(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    struct partition_state *state = partition_state_new(&settings, DOMAIN);
    for (unsigned i = 0; i < OPERATIONS && input.size && changelog.count < RECORDS - 100; i++) {
        if (fuzz_byte(&input) % 3 == 0)
            restore(state, &input);
        else
            run_batch(state, &input);
    }
    struct partition_state *again = read_changelog();
    expect_same(state, again);
    partition_state_free(again);
    partition_state_free(state);
    for (; changelog.count; changelog.count--) {
        buffer_deinit(&changelog.records[changelog.count - 1].key);
        buffer_deinit(&changelog.records[changelog.count - 1].value);
    }
    return 0;
}
